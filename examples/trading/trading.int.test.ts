// The audit on a real log: what was done is a stream, who looked is a record on the audit's topic.
import { createConsumer, startApplication } from 'millrace'
import { describe, expect, it } from 'vitest'
import { withLog } from '../support.ts'
import definition from './application.ts'

describe('the trading application', () => {
  it('records who wrote and that somebody read', async () => {
    await withLog(async (log, folder) => {
      await using exchange = await startApplication({ ...definition, log, folder })
      const submission = {
        account: 'a-1',
        symbol: 'ACME',
        side: 'buy',
        quantity: 10,
        limit: 5,
      } as const
      const order = exchange.tradeOrder('o-1')
      const done = await order.submit(submission, { actor: 'broker-7' })
      if (!done.ok) throw new Error('refused')
      const { events } = await exchange.store.read({ category: 'trade-order', id: 'o-1' }).all()
      expect(events).toMatchObject([{ type: 'Submitted', actor: 'broker-7' }])

      const auditor = createConsumer(log, { groupId: 'auditor', autoOffsetReset: 'earliest' })
      auditor.subscribe(['__millrace.audit'])
      const seen: string[] = []
      for await (const { records } of auditor) {
        for (const { value } of records) seen.push(value?.toString() ?? '')
        if (seen.some(text => text.includes('broker-7')) && seen.length > 1) break
      }
      await auditor.close()
      expect(seen.some(text => text.includes('o-1') && text.includes('broker-7'))).toBe(true)
      expect(seen.some(text => text.includes('o-1') && text.includes('read'))).toBe(true)
    })
  })

  it('counts an execution once, and sums what an account holds', async () => {
    await withLog(async (log, folder) => {
      await using exchange = await startApplication({ ...definition, log, folder })
      const order = exchange.tradeOrder('o-1')
      await order.submit({ account: 'a-1', symbol: 'ACME', side: 'buy', quantity: 10, limit: 500 })
      const execution = { executionId: 'x-1', quantity: 10, price: 490 }
      await order.execute(execution)
      const again = await order.execute(execution)
      if (!again.ok) throw new Error('refused')
      const { positions } = exchange.projections
      await positions.reached(again.checkpoint)
      expect(await positions.db.selectFrom('positions').selectAll().execute()).toEqual([
        { account: 'a-1', symbol: 'ACME', pieces: 10, cents: -4_900 },
      ])
    })
  })
})
