// Given-when-then for projections: it accepts what is right, and finds what a single run would not.
import { describe, expect, it } from 'vitest'
import { type Projection, projection } from '../../src/define/projection.ts'
import { type } from '../../src/define/schema.ts'
import { projectionScenario } from '../../src/testing/index.ts'
import { account, accountEvents, balances, expectedRows } from './support/accounts.ts'

const opened = (stream: string) => ({
  ...{ type: 'account.Opened', stream, data: { owner: 'Ada' } },
})
const deposited = (stream: string, amount: number) => ({
  ...{ type: 'account.Deposited', stream, data: { amount } },
})

type Rows = { seen: { id: string; n: number } }

/** One row for each account, with a number from outside of the database. */
const numbered = (next: (stream: string) => number): Projection<Rows> =>
  projection('numbered', {
    version: 1,
    from: [account],
    tables: type<Rows>(),
    create: db => db.schema.createTable('seen').addColumn('id', 'text').addColumn('n', 'integer'),
    on: {
      'account.Opened': (db, { stream }) =>
        db.insertInto('seen').values({ id: stream, n: next(stream) }),
    },
  })

describe('a scenario of a projection', () => {
  it('passes when the rows are those, in any order', async () => {
    const scenario = projectionScenario(balances()).given([
      opened('a'),
      deposited('a', 5),
      opened('b'),
      deposited('a', 7),
    ])
    await scenario.expectRows('balance', [
      { id: 'b', owner: 'Ada', amount: 0 },
      { id: 'a', owner: 'Ada', amount: 12 },
    ])
    await scenario.given([deposited('b', 1)]).expectRows('movement', [
      { id: 'a', version: 2, amount: 5 },
      { id: 'a', version: 3, amount: 7 },
      { id: 'b', version: 2, amount: 1 },
    ])
  })

  it('comes to the rows of many events', async () => {
    const events = accountEvents(6, 3)
    const { balance } = await projectionScenario(balances()).given(events).rows()
    const byId = [...balance].sort((a, b) => (a.id < b.id ? -1 : 1))
    expect(byId).toEqual(JSON.parse(expectedRows(events)).balance)
  })

  it('fails with the difference when they are others', async () => {
    const scenario = projectionScenario(balances()).given([opened('a')])
    const wrong = scenario.expectRows('balance', [{ id: 'a', owner: 'Bob', amount: 0 }])
    await expect(wrong).rejects.toThrow(/table balance has other rows[\s\S]*Ada[\s\S]*Bob/)
  })

  it('finds a handler that counts outside of its database', async () => {
    let count = 0
    const scenario = projectionScenario(numbered(() => ++count)).given([opened('a'), opened('b')])
    await expect(scenario.rows()).rejects.toThrow(/numbered: .* comes to other rows/)
  })

  it('finds a handler that remembers what it has seen', async () => {
    const seen = new Set<string>()
    const first = (stream: string): number => {
      const isNew = !seen.has(stream)
      seen.add(stream)
      return isNew ? 1 : 0
    }
    const scenario = projectionScenario(numbered(first), { times: 2 }).given([opened('a')])
    await expect(scenario.rows()).rejects.toThrow(/comes to other rows/)
  })

  it('expects what is parked', async () => {
    const scenario = projectionScenario(balances()).given([
      opened('a'),
      opened('b'),
      opened('a'),
      deposited('a', 1),
    ])
    await scenario.expectParked([{ stream: 'a', version: 2 }])
    await expect(scenario.expectParked([])).rejects.toThrow(/other streams are parked/)
    await expect(scenario.expectRows('balance', [])).rejects.toThrow(/streams are parked/)
  })

  it('works without events, and refuses a bad number of times', async () => {
    await projectionScenario(balances()).expectRows('balance', [])
    for (const times of [0, 1.5, Number.NaN]) {
      expect(() => projectionScenario(balances(), { times })).toThrow(/times must be 1 or more/)
    }
  })

  it('compares projections that publish by their rows', async () => {
    const scenario = projectionScenario(balances({ publish: 'changes' })).given([opened('a')])
    await scenario.expectRows('balance', [{ id: 'a', owner: 'Ada', amount: 0 }])
  })
})
