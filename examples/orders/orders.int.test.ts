// The whole shop on a real log: what customers see, and that nothing is lost in stock or money on
// the way back.
import { startApplication } from 'millrace'
import { describe, expect, it } from 'vitest'
import { eventually, withLog } from '../support.ts'
import { LIMIT_CENTS, payment, stock } from './aggregates.ts'
import definition from './application.ts'

describe('the orders application', () => {
  it('confirms what it can and undoes what it cannot', async () => {
    await withLog(async (log, folder) => {
      await using shop = await startApplication({ ...definition, log, folder })
      await shop.stock('lamp').receive({ pieces: 3 })
      await shop.stock('moon rock').receive({ pieces: 3 })
      await shop.order('good').place({ article: 'lamp', pieces: 2, cents: 5_000 })
      const stateOf = (id: string): Promise<string> =>
        eventually(`order ${id} is decided`, async () => {
          const row = await shop.projections.overview.db
            .selectFrom('orders')
            .select('state')
            .where('id', '=', id)
            .executeTakeFirst()
          return row === undefined || row.state === 'placed' ? undefined : row.state
        })
      expect(await stateOf('good')).toBe('confirmed')

      await shop.order('short').place({ article: 'lamp', pieces: 2, cents: 5_000 })
      await shop.order('dear').place({ article: 'lamp', pieces: 1, cents: LIMIT_CENTS + 1 })
      await shop.order('far').place({ article: 'moon rock', pieces: 1, cents: 5_000 })
      expect(await stateOf('short')).toBe('refused: 1 pieces are missing')
      expect(await stateOf('dear')).toBe('refused: over the limit')
      expect(await stateOf('far')).toBe('refused: no carrier goes there')

      const lamps = await shop.state(stock, 'lamp')
      expect(lamps.state).toEqual({ pieces: 1, reserved: {} })
      const rocks = await shop.state(stock, 'moon rock')
      expect(rocks.state).toEqual({ pieces: 3, reserved: {} })
      expect((await shop.state(payment, 'far')).state).toEqual({ at: 'refunded' })
    })
  })
})
