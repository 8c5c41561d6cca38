// Promises about key-value views, on any database.
import { expect, it } from 'vitest'
import { type } from '../../../src/define/schema.ts'
import { KeyValueReader, keyValueView, memoryCache } from '../../../src/views/index.ts'
import {
  account,
  accountEvents,
  MemoryEvents,
  processorOf,
} from '../../projections/support/accounts.ts'
import type { OpenSql } from '../../projections/support/following-cases.ts'

type Total = { count: number; sum: number }

/** Totals by the owner of an account: several streams meet in one key. */
const totals = (version = 1, trap: (stream: string) => void = () => undefined) =>
  keyValueView('account-totals', {
    from: [account],
    version,
    value: type<Total>(),
    key: event => `owner-${event.stream.slice(-1)}`,
    on: {
      'account.Deposited': (total, { stream, data }) => {
        trap(stream)
        return { count: (total?.count ?? 0) + 1, sum: (total?.sum ?? 0) + data.amount }
      },
      'account.Closed': () => undefined,
    },
  })

export function keyValueCases(open: OpenSql): void {
  it('folds a value for each key, a page at a time', async () => {
    const store = new MemoryEvents()
    const events = accountEvents(20, 5)
    const end = store.append(...events)
    await using sql = await open()
    const view = totals()
    const { processor } = processorOf(view, store, sql, { 'projection.page.events': 13 })
    await processor.start()
    const reader = new KeyValueReader(view, processor)
    // a-1 and a-11 have one owner; neither is closed.
    const sum = [1, 2, 3, 4, 5].reduce((all, round) => all + 2 * round * 100 + 1 + 11, 0)
    expect(await reader.get('owner-1', { after: end })).toEqual({ count: 10, sum })
    expect(await reader.get('owner-x')).toBeUndefined()
    expect(processor.status().handled).toBe(20 * 5 + 7)
    await processor.stop()
  })

  it('removes a key, and begins it anew', async () => {
    const store = new MemoryEvents(1)
    const deposit = { type: 'account.Deposited', stream: 'a-1', data: { amount: 5 } }
    const closed = { type: 'account.Closed', stream: 'a-1', data: {} }
    await using sql = await open()
    const view = totals()
    const { processor } = processorOf(view, store, sql)
    await processor.start()
    const reader = new KeyValueReader(view, processor)
    const read = (...events: (typeof deposit | typeof closed)[]) =>
      reader.get('owner-1', { after: store.append(...events) })
    expect(await read(deposit, deposit)).toEqual({ count: 2, sum: 10 })
    expect(await read(closed)).toBeUndefined()
    expect(await read(deposit, closed, deposit)).toEqual({ count: 1, sum: 5 })
    await processor.stop()
  })

  it('lists entries by key, a part at a time', async () => {
    const store = new MemoryEvents()
    const deposits = Array.from({ length: 9 }, (_, at) => ({
      ...{ type: 'account.Deposited', stream: `a-${at}`, data: { amount: at } },
    }))
    const end = store.append(...deposits)
    await using sql = await open()
    const view = totals()
    const { processor } = processorOf(view, store, sql)
    await processor.start()
    await processor.reached(end)
    const reader = new KeyValueReader(view, processor)
    const first = await reader.entries({ limit: 4 })
    expect(first.map(([key]) => key)).toEqual(['owner-0', 'owner-1', 'owner-2', 'owner-3'])
    const rest = await reader.entries({ limit: 100, after: 'owner-3' })
    expect(rest.map(([, value]) => value.sum)).toEqual([4, 5, 6, 7, 8])
    await processor.stop()
  })

  it('parks the stream that cannot be folded; others of its key go on', async () => {
    const store = new MemoryEvents()
    const end = store.append(
      { type: 'account.Deposited', stream: 'a-1', data: { amount: 1 } },
      { type: 'account.Deposited', stream: 'b-1', data: { amount: 2 } },
    )
    await using sql = await open()
    const view = totals(1, stream => {
      if (stream === 'a-1') throw new Error('poison')
    })
    const { processor } = processorOf(view, store, sql)
    await processor.start()
    expect(await new KeyValueReader(view, processor).get('owner-1', { after: end })).toEqual({
      ...{ count: 1, sum: 2 },
    })
    expect((await processor.parked()).map(({ stream }) => stream.id)).toEqual(['a-1'])
    await processor.stop()
  })

  it('is rebuilt like any projection', async () => {
    const store = new MemoryEvents()
    const end = store.append(...accountEvents(12, 3))
    await using sql = await open()
    const view = totals()
    const { processor } = processorOf(view, store, sql)
    await processor.start()
    await processor.reached(end)
    const reader = new KeyValueReader(view, processor)
    const before = await reader.entries({ limit: 100 })
    await processor.rebuild()
    expect(await reader.entries({ limit: 100 })).toEqual(before)
    await processor.stop()
  })

  it('reads from a cache for its time, and past it after a checkpoint', async () => {
    const store = new MemoryEvents()
    const deposit = { type: 'account.Deposited', stream: 'a-1', data: { amount: 5 } }
    await using sql = await open()
    const view = totals()
    const { processor } = processorOf(view, store, sql)
    await processor.start()
    let now = 0
    const outside = { clock: { now: () => now, monotonic: () => now } }
    const cache = memoryCache({ outside, settings: { 'view.cache.entries': 2 } })
    const reader = new KeyValueReader(view, processor, {
      cache,
      settings: { 'view.cache.ms': 100 },
    })
    await reader.get('owner-1', { after: store.append(deposit) })
    await processor.reached(store.append(deposit))
    expect(await reader.get('owner-1')).toEqual({ count: 1, sum: 5 })
    now = 100
    expect(await reader.get('owner-1')).toEqual({ count: 2, sum: 10 })
    const third = store.append(deposit)
    expect(await reader.get('owner-1', { after: third })).toEqual({ count: 3, sum: 15 })
    expect(await reader.get('owner-1')).toEqual({ count: 3, sum: 15 })
    await processor.stop()
  })
}
