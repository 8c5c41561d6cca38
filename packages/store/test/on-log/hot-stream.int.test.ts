// Many writers of one stream: their appends go out together, in their order, and each is judged on what
// the one before it leaves.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEngine } from '@millrace/engine'
import type { Log } from '@millrace/log'
import { afterAll, expect, it } from 'vitest'
import { type EventStore, openStore, StoreError } from '../../src/index.ts'

const folder = await mkdtemp(join(tmpdir(), 'millrace-hot-'))
afterAll(() => rm(folder, { recursive: true, force: true }))

const stream = { category: 'thing', id: 'hot' }
const made = (n: number, time?: number) => [
  { type: 'Made', data: { n }, ...(time === undefined ? {} : { time }) },
]

/** The same log, with its appends counted. */
function counting(log: Log) {
  const count = { appends: 0 }
  const append: Log['append'] = (entries, options) => {
    count.appends += 1
    return log.append(entries, options)
  }
  const counted = new Proxy(log, {
    get: (target, name) => {
      if (name === 'append') return append
      const value = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  return { log: counted, count }
}

const open = (log: Log): Promise<EventStore> =>
  openStore({ log, folder: null, categories: { thing: { buckets: 2 } } })

const numbersOf = async (store: EventStore): Promise<number[]> =>
  (await store.read(stream).all()).events.map(({ data }) => (data as { n: number }).n)

const outcomeOf = (work: ReturnType<EventStore['append']>): Promise<unknown> =>
  work.then(
    result => (result.ok ? result.version : 'conflict'),
    (error: unknown) => (error instanceof StoreError ? error.code : String(error)),
  )

it('appends of one stream that wait go out together, in order', async () => {
  await using engine = await openEngine({ folder: join(folder, 'order') })
  const { log, count } = counting(engine)
  await using store = await open(log)
  const before = count.appends
  const appends = Array.from({ length: 300 }, (_, n) => store.append(stream, made(n)))
  const results = await Promise.all(appends.map(outcomeOf))
  expect(results).toEqual(Array.from({ length: 300 }, (_, n) => n + 1))
  expect(await numbersOf(store)).toEqual(Array.from({ length: 300 }, (_, n) => n))
  expect(count.appends - before).toBeLessThan(30)
})

it('each is judged on what those ahead of it leave, and answered by what is decided', async () => {
  await using log = await openEngine({ folder: join(folder, 'judged') })
  await using store = await open(log)
  const outcomes = await Promise.all(
    [
      store.append(stream, made(0, 1000), { expectedVersion: 'absent', commandId: 'c0' }),
      store.append(stream, made(1, 1000), { expectedVersion: 1 }),
      store.append(stream, made(2, 1000), { expectedVersion: 1 }),
      store.append(stream, made(0, 1000), { commandId: 'c0' }),
      store.append(stream, made(3, 999)),
      store.append(stream, made(4, 1000), { expectedVersion: 'absent' }),
      store.append(stream, [...made(5, 2000), ...made(6, 2000)], { expectedVersion: 2 }),
      store.append(stream, made(7, 2000), { expectedVersion: 'exists' }),
    ].map(outcomeOf),
  )
  expect(outcomes).toEqual([1, 2, 'conflict', 1, 'TIME_FALLS', 'conflict', 4, 5])
  expect(await numbersOf(store)).toEqual([0, 1, 5, 6, 7])
})

it('writers of several stores get through, and each append counts once', async () => {
  await using log = await openEngine({ folder: join(folder, 'stores') })
  const stores = await Promise.all([open(log), open(log), open(log)])
  const outcomes = await Promise.all(
    stores.flatMap((store, s) =>
      Array.from({ length: 100 }, (_, n) => outcomeOf(store.append(stream, made(s * 100 + n)))),
    ),
  )
  const versions = outcomes.map(Number).toSorted((a, b) => a - b)
  expect(versions).toEqual(Array.from({ length: 300 }, (_, n) => n + 1))
  for (const store of stores) await store.catchUp()
  const [first = [], ...others] = await Promise.all(stores.map(numbersOf))
  expect(first.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 300 }, (_, n) => n))
  for (const other of others) expect(other).toEqual(first)
  for (const s of [0, 1, 2]) {
    const own = first.filter(n => Math.floor(n / 100) === s)
    expect(own).toEqual(own.toSorted((a, b) => a - b))
  }
  for (const store of stores) await store.close()
})

it('whoever stood behind one that lost has lost no race', async () => {
  await using log = await openEngine({ folder: join(folder, 'behind') })
  const settings = { 'append.attempts.max': 1 }
  const categories = { thing: { buckets: 2 } }
  await using store = await openStore({ log, folder: null, categories, settings })
  await using other = await openStore({ log, folder: null, categories })
  await store.append(stream, made(0))
  for (let round = 0; round < 20; round += 1) {
    const [, ...outcomes] = await Promise.all([
      other.append(stream, made(0)),
      ...[1, 2, 3].map(n => outcomeOf(store.append(stream, made(n)))),
    ])
    // Only the first of a batch loses its attempt by one race; nobody else writes a second time.
    expect(outcomes.filter(outcome => outcome === 'STALE_CONDITION').length).toBeLessThanOrEqual(1)
    expect(outcomes.filter(outcome => typeof outcome === 'number').length).toBeGreaterThan(1)
  }
})
