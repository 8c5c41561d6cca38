// Promises about handlers that misbehave: what fails now and then, never settles, holds the thread,
// or gives what cannot be recorded is the trouble of its stream, and of nobody else.
import { expect, it } from 'vitest'
import { projection } from '../../src/define/projection.ts'
import { type } from '../../src/define/schema.ts'
import { openSqlite } from '../../src/sql/index.ts'
import { account, accountEvents, MemoryEvents, processorOf, until } from './support/accounts.ts'

type Rows = { seen: { stream: string } }
type Answer = (event: { stream: string; version: number }, late: () => Promise<unknown>) => unknown

/** A projection of opened accounts with what the test makes of each. */
const opened = (name: string, answer: Answer, from = [account]) =>
  projection(name, {
    version: 1,
    from,
    tables: type<Rows>(),
    create: db => db.schema.createTable(name).addColumn('stream', 'text'),
    on: {
      'account.Opened': (db, event) => {
        const insert = db.insertInto(name as 'seen').values({ stream: event.stream })
        return (answer(event, () => insert.execute()) ?? insert) as never
      },
    },
  })

const rowsOf = async (processor: { db: unknown }, name: string): Promise<string[]> => {
  const db = processor.db as ReturnType<typeof processorOf<Rows>>['processor']['db']
  const rows = await db
    .selectFrom(name as 'seen')
    .selectAll()
    .execute()
  return rows.map(({ stream }) => stream).sort()
}

it.each([0.02, 0.2])('gets on with a handler that fails in %d of its calls', async rate => {
  const store = new MemoryEvents()
  const end = store.append(...accountEvents(400, 0).filter(e => e.type === 'account.Opened'))
  await using sql = await openSqlite({ file: ':memory:' })
  let calls = 0
  // Any sequence that is not periodic in the page does: a generator with a seed.
  let seed = 7
  const { processor } = processorOf(
    opened('flaky', () => {
      calls += 1
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
      if (seed / 2 ** 32 < rate) throw new Error('sometimes')
    }),
    store,
    sql,
    { 'projection.attempts.max': 8, 'projection.page.events': 200 },
  )
  await processor.start()
  await processor.reached(end)
  await processor.stop()
  expect(await rowsOf(processor, 'flaky')).toHaveLength(400)
  expect(processor.status().parked).toBe(0)
  expect(calls).toBeLessThan(40_000)
})

it('gives up a handler that never settles, and nobody else waits for it', async () => {
  const store = new MemoryEvents()
  const end = store.append(...accountEvents(6, 0).filter(e => e.type === 'account.Opened'))
  await using sql = await openSqlite({ file: ':memory:' })
  const settings = { 'projection.handler.ms': 20, 'projection.held.ms': 1 }
  const stuck = processorOf(
    opened('stuck', ({ stream }) => (stream === 'a-2' ? new Promise(() => undefined) : undefined)),
    store,
    sql,
    settings,
  )
  const fine = processorOf(
    opened('fine', () => undefined),
    store,
    sql,
    settings,
  )
  await stuck.processor.start()
  await until(() => stuck.processor.status().waitsFor !== undefined)
  expect(stuck.processor.status().waitsFor).toMatchObject({
    ...{ type: 'account.Opened', stream: 'a-2', version: 1 },
  })
  await fine.processor.start()
  await fine.processor.reached(end)
  await stuck.processor.reached(end)
  expect(await rowsOf(stuck.processor, 'stuck')).toEqual(['a-0', 'a-1', 'a-3', 'a-4', 'a-5'])
  expect(await stuck.processor.parked()).toMatchObject([
    {
      stream: { id: 'a-2' },
      reason: expect.stringContaining('projection.handler.ms'),
      attempts: 3,
    },
  ])
  await fine.processor.stop()
  await stuck.processor.stop()
})

it('stops, and starts again, while a handler does not settle', async () => {
  const store = new MemoryEvents()
  let isMended = false
  const end = store.append({ type: 'account.Opened', stream: 's', data: { owner: 's' } })
  await using sql = await openSqlite({ file: ':memory:' })
  const { processor } = processorOf(
    opened('stuck', () => (isMended ? undefined : new Promise(() => undefined))),
    store,
    sql,
    { 'projection.handler.ms': 3_600_000, 'projection.held.ms': 1 },
  )
  await processor.start()
  await until(() => processor.status().waitsFor !== undefined)
  await processor.stop()
  isMended = true
  await processor.start()
  await processor.reached(end)
  expect(await rowsOf(processor, 'stuck')).toEqual(['s'])
  await processor.stop()
})

it('refuses the queries of a handler that comes too late', async () => {
  const store = new MemoryEvents()
  const end = store.append(...accountEvents(3, 0).filter(e => e.type === 'account.Opened'))
  await using sql = await openSqlite({ file: ':memory:' })
  const late: (() => Promise<unknown>)[] = []
  const { processor } = processorOf(
    opened('late', ({ stream }, insert) => {
      if (stream !== 'a-1') return undefined
      late.push(insert)
      return new Promise(() => undefined)
    }),
    store,
    sql,
    { 'projection.handler.ms': 10 },
  )
  await processor.start()
  await processor.reached(end)
  expect(late.length).toBeGreaterThan(1)
  for (const insert of late) await expect(insert()).rejects.toThrow()
  expect(await rowsOf(processor, 'late')).toEqual(['a-0', 'a-2'])
  await processor.stop()
})

it('names a handler that held the thread', async () => {
  const store = new MemoryEvents()
  const end = store.append(...accountEvents(3, 0).filter(e => e.type === 'account.Opened'))
  await using sql = await openSqlite({ file: ':memory:' })
  const { processor } = processorOf(
    opened('heavy', ({ stream }) => {
      const until = performance.now() + (stream === 'a-1' ? 30 : 0)
      while (performance.now() < until);
    }),
    store,
    sql,
    { 'projection.held.ms': 20 },
  )
  await processor.start()
  await processor.reached(end)
  expect(processor.status().held).toMatchObject({ stream: 'a-1', ms: expect.any(Number) })
  await processor.stop()
})

it.each([
  ['is long', () => new Error('x'.repeat(2_000_000))],
  ['has zeros and halves of characters', () => new Error('a\0b\ud800')],
  ['cannot be shown', () => Object.create(null)],
])('parks with a reason within bounds when what is thrown %s', async (_, thrown) => {
  const store = new MemoryEvents()
  const end = store.append(...accountEvents(3, 0).filter(e => e.type === 'account.Opened'))
  await using sql = await openSqlite({ file: ':memory:' })
  const { processor } = processorOf(
    opened('bounded', ({ stream }) => {
      if (stream === 'a-1') throw thrown()
    }),
    store,
    sql,
  )
  await processor.start()
  await processor.reached(end)
  const [parked] = await processor.parked()
  expect(parked?.reason.length).toBeLessThan(2100)
  expect(parked?.reason.isWellFormed() && !parked.reason.includes('\0')).toBe(true)
  expect(processor.status().restarts).toBe(0)
  await processor.stop()
})

it('refuses other aggregates under the same version, in words, and takes them in any order', async () => {
  const other = { ...account, name: 'other' } as unknown as typeof account
  const third = { ...account, name: 'third' } as unknown as typeof account
  const store = new MemoryEvents()
  store.append({ type: 'account.Opened', stream: 's', data: { owner: 's' } })
  await using sql = await openSqlite({ file: ':memory:' })
  const begin = async (from: (typeof account)[]) => {
    const { processor } = processorOf(
      opened('from', () => undefined, from),
      store,
      sql,
    )
    await processor.start()
    await processor.stop()
  }
  await begin([account, other])
  await begin([other, account])
  const words = /was made from account,other and is from .*raise its version/
  await expect(begin([account])).rejects.toThrow(words)
  await expect(begin([account, other, third])).rejects.toThrow(words)
})
