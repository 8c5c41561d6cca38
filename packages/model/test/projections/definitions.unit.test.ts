// Projections that cannot run are refused with the field and its bound.
import { expect, it } from 'vitest'
import type { Projection } from '../../src/define/projection.ts'
import { checkDefinition } from '../../src/projections/check-definition.ts'
import { Rate } from '../../src/projections/rate.ts'
import { balances } from './support/accounts.ts'

const good = balances() as Projection
const refused = (change: Partial<Projection>): RegExp | string => {
  try {
    checkDefinition({ ...good, ...change })
    return 'accepted'
  } catch (error) {
    return (error as Error).message
  }
}

it('refuses versions, parts and handlers outside of their bounds', () => {
  expect(() => checkDefinition(good)).not.toThrow()
  for (const version of [0, -1, 1.5, Number.NaN, 1_000_000]) {
    expect(refused({ version })).toMatch(/balances: version must be a whole number from 1/)
  }
  for (const parallel of [0, 65, 0.5]) {
    expect(refused({ options: { parallel } })).toMatch(/parallel must be .* from 1 to 64/)
  }
  expect(refused({ options: { parallel: 64 } })).toBe('accepted')
  expect(refused({ on: {} })).toMatch(/one of on and batch/)
  expect(refused({ batch: () => [] })).toMatch(/one of on and batch/)
  expect(refused({ types: ['account.Opened'] })).toMatch(/types are for batch/)
  expect(refused({ on: {}, batch: () => [], options: { publish: 'x' } })).toMatch(/by stream/)
})

it('counts events a second over the last ten seconds', () => {
  const rate = new Rate(0)
  expect(rate.perSecond(0)).toBe(0)
  rate.add(100, 500)
  expect(rate.perSecond(1000)).toBe(100)
  for (let second = 1; second < 20; second += 1) rate.add(50, second * 1000 + 500)
  expect(rate.perSecond(20_000)).toBeCloseTo(50, 5)
  expect(rate.perSecond(40_000)).toBe(0)
})
