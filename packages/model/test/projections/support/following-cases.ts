// Promises about following, on any database: each event counts once, whatever breaks and whoever
// else runs the same projection.
import { expect, it } from 'vitest'
import { aggregate } from '../../../src/define/aggregate.ts'
import { projection } from '../../../src/define/projection.ts'
import { type } from '../../../src/define/schema.ts'
import type { SqlDatabase } from '../../../src/sql/port.ts'
import {
  type AccountTables,
  account,
  accountEvents,
  balances,
  expectedRows,
  MemoryEvents,
  processorOf,
  rowsOf,
  until,
} from './accounts.ts'
import { FailingSql } from './failing-sql.ts'
import { GatedEvents } from './gated-events.ts'

/**
 * Opens an empty database, which the case closes. Cases that break a connection at every step take
 * each `stride`th one where opening is slow.
 */
export type OpenSql = () => Promise<SqlDatabase>

export function followingCases(open: OpenSql, stride = 1): void {
  it('makes rows of events, a page a transaction', async () => {
    const store = new MemoryEvents()
    const events = accountEvents(20, 5)
    const end = store.append(...events)
    await using sql = await open()
    const { processor } = processorOf(balances(), store, sql, { 'projection.page.events': 7 })
    await processor.start()
    await processor.reached(end)
    expect(await rowsOf(processor.db)).toBe(expectedRows(events))
    const { state, handled, lag, parked, restarts, version } = processor.status()
    expect({ state, handled, lag, parked, restarts, version }).toEqual({
      ...{ state: 'running', handled: events.length, lag: 0, parked: 0, restarts: 0, version: 1 },
    })
    await processor.stop()
    expect(processor.status().state).toBe('stopped')
  })

  it('sees events that are appended later, and its own writes once they are reached', async () => {
    const store = new MemoryEvents()
    await using sql = await open()
    const { processor } = processorOf(balances(), store, sql)
    await processor.start()
    for (const stream of ['a', 'b', 'c']) {
      const mine = store.append({ type: 'account.Opened', stream, data: { owner: 'me' } })
      await processor.reached(mine)
      const rows = await processor.db.selectFrom('balance').select('id').orderBy('id').execute()
      expect(rows.at(-1)).toEqual({ id: stream })
    }
    await processor.stop()
  })

  it('goes on where it stopped, and handles nothing twice', async () => {
    const store = new MemoryEvents()
    const events = accountEvents(6, 4)
    const seen: string[] = []
    await using sql = await open()
    for (let from = 0; from < events.length; from += 5) {
      const end = store.append(...events.slice(from, from + 5))
      const trap = (event: { stream: string; version: number }) => {
        seen.push(`${event.stream}/${event.version}`)
      }
      const { processor } = processorOf(balances({ trap }), store, sql, {
        'projection.page.events': 2,
      })
      await processor.start()
      await processor.reached(end)
      await processor.stop()
    }
    expect(seen.length).toBe(events.length)
    expect(new Set(seen).size).toBe(events.length)
  })

  it('counts each event once while two run it on one database', async () => {
    const store = new MemoryEvents()
    const events = accountEvents(30, 10)
    const end = store.append(...events)
    await using sql = await open()
    const settings = { 'projection.page.events': 3 }
    const one = processorOf(balances(), store, sql, settings)
    const two = processorOf(balances(), store, sql, settings)
    await Promise.all([one.processor.start(), two.processor.start()])
    await Promise.all([one.processor.reached(end), two.processor.reached(end)])
    expect(await rowsOf(one.processor.db)).toBe(expectedRows(events))
    await Promise.all([one.processor.stop(), two.processor.stop()])
  })

  it('does no harm when it wakes up after another one has gone on', async () => {
    const paused = new GatedEvents()
    const awake = new MemoryEvents()
    const events = accountEvents(9, 3)
    paused.append(...events)
    const end = awake.append(...events)
    await using sql = await open()
    const sleeper = processorOf(balances(), paused, sql)
    await sleeper.processor.start()
    await paused.arrived.promise
    const other = processorOf(balances(), awake, sql)
    await other.processor.start()
    await other.processor.reached(end)
    paused.opened.resolve()
    await sleeper.processor.reached(end)
    expect(await rowsOf(sleeper.processor.db)).toBe(expectedRows(events))
    const restarts = sleeper.told.filter(event => event.kind === 'processor-restarted')
    expect(restarts[0]?.reason).toMatch(/^CHECKPOINT_MOVED/)
    await Promise.all([sleeper.processor.stop(), other.processor.stop()])
  })

  it('reaches the same rows wherever the connection breaks', async () => {
    const events = accountEvents(4, 2)
    let steps = 0
    for (let step = 1; ; step += stride) {
      const store = new MemoryEvents(2)
      const end = store.append(...events)
      await using inner = await open()
      const sql = new FailingSql(inner, step)
      const { processor } = processorOf(balances(), store, sql, { 'projection.page.events': 4 })
      // The start says what failed; whoever started it does so again.
      await processor.start().catch(() => processor.start())
      await processor.reached(end)
      expect(await rowsOf(processor.db), `broken at step ${step}`).toBe(expectedRows(events))
      await processor.stop()
      if (!sql.broke) break
      steps += stride
    }
    expect(steps).toBeGreaterThan(40)
  })

  it('says why it restarted, and runs again by itself', async () => {
    const store = new MemoryEvents()
    const events = accountEvents(3, 1)
    await using inner = await open()
    const probe = new FailingSql(inner, -1)
    const { processor, told } = processorOf(balances(), store, probe)
    await processor.start()
    const broken = inner.transaction.bind(inner)
    let isDown = true
    probe.transaction = async work => {
      if (isDown) throw new Error('the database is down')
      return broken(work)
    }
    const end = store.append(...events)
    await until(() => told.length >= 2)
    expect(processor.status()).toMatchObject({
      state: 'restarting',
      reason: 'the database is down',
    })
    isDown = false
    await processor.reached(end)
    expect(processor.status().reason).toBeUndefined()
    expect(await rowsOf(processor.db)).toBe(expectedRows(events))
    await processor.stop()
  })

  it('works on groups of buckets side by side, with the same rows', async () => {
    const store = new MemoryEvents(6)
    const events = accountEvents(40, 4)
    const end = store.append(...events)
    await using sql = await open()
    const { processor } = processorOf(balances({ parallel: 3 }), store, sql, {
      'projection.page.events': 9,
    })
    await processor.start()
    await processor.reached(end)
    expect(await rowsOf(processor.db)).toBe(expectedRows(events))
    expect(processor.status().checkpoint).toMatch(/account=(\d:\d+,?){6}/)
    await processor.stop()
  })

  it('lets handlers read and write by themselves, inside of the transaction', async () => {
    const store = new MemoryEvents()
    const events = accountEvents(5, 3)
    const end = store.append(...events)
    await using sql = await open()
    const definition = projection('totals', {
      version: 1,
      from: [account],
      tables: type<{ total: { id: string; amount: number } }>(),
      create: db =>
        db.schema
          .createTable('total')
          .addColumn('id', 'text', column => column.primaryKey())
          .addColumn('amount', 'integer', column => column.notNull()),
      on: {
        'account.Deposited': async (db, event) => {
          const known = await db
            .selectFrom('total')
            .select('amount')
            .where('id', '=', 'all')
            .executeTakeFirst()
          const amount = (known?.amount ?? 0) + event.data.amount
          await db
            .insertInto('total')
            .values({ id: 'all', amount })
            .onConflict(conflict => conflict.column('id').doUpdateSet({ amount }))
            .execute()
        },
      },
    })
    const { processor } = processorOf(definition, store, sql)
    await processor.start()
    await processor.reached(end)
    const sum = [1, 2, 3].flatMap(round => [0, 1, 2, 3, 4].map(at => round * 100 + at))
    expect(await processor.db.selectFrom('total').selectAll().execute()).toEqual([
      { id: 'all', amount: sum.reduce((a, b) => a + b, 0) },
    ])
    await processor.stop()
  })

  it('tells handlers tenants, and which fields were erased', async () => {
    const person = aggregate('person', {
      events: { Named: type<{ name: string }>() },
      initial: () => ({}),
      commands: {},
      evolve: { Named: state => state },
      decide: {},
    })
    const seen: unknown[] = []
    const definition = projection('names', {
      version: 1,
      from: [person],
      tables: type<{ person_name: { id: string } }>(),
      create: db => db.schema.createTable('person_name').addColumn('id', 'text'),
      on: {
        'person.Named': (_db, event) => {
          seen.push(event)
          return []
        },
      },
    })
    const store = new MemoryEvents(1)
    const end = store.append(
      { type: 'person.Named', stream: 'p', tenant: 'acme', data: { name: 'Ada' } },
      { type: 'person.Named', stream: 'p', data: { name: '[erased]' }, erased: ['name'] },
    )
    await using sql = await open()
    const { processor } = processorOf(definition, store, sql)
    await processor.start()
    await processor.reached(end)
    expect(seen).toMatchObject([
      { type: 'person.Named', tenant: 'acme', stream: 'p', version: 1, data: { name: 'Ada' } },
      { type: 'person.Named', tenant: '', stream: 'p', version: 1, erased: ['name'] },
    ])
    await processor.stop()
  })

  it('refuses to write through what readers are given', async () => {
    const store = new MemoryEvents()
    await using sql = await open()
    const { processor } = processorOf(balances(), store, sql)
    await processor.start()
    const write = processor.db.insertInto('balance').values({ id: 'x', owner: 'x', amount: 1 })
    await expect(write.execute()).rejects.toThrow(/read-?only|cannot modify/i)
    await processor.stop()
  })

  it('ends the waiting of those who wait when it stops, and refuses foreign checkpoints', async () => {
    const store = new MemoryEvents()
    await using sql = await open()
    const { processor } = processorOf(balances(), store, sql)
    await processor.start()
    const future = 'mr1~memory~*~account=0:1000000'
    const waiting = processor.reached(future)
    const given = new AbortController()
    const aborted = processor.reached(future, { signal: given.signal })
    given.abort(new Error('no more time'))
    await expect(aborted).rejects.toThrow('no more time')
    const foreign = processor.reached('mr1~another~*~account=0:1')
    await expect(foreign).rejects.toMatchObject({ code: 'CHECKPOINT_MISMATCH' })
    const outcome = expect(waiting).rejects.toMatchObject({ code: 'PROCESSOR_STOPPED' })
    await processor.stop()
    await outcome
    await expect(processor.reached(future)).rejects.toMatchObject({ code: 'PROCESSOR_STOPPED' })
  })
}

export type { AccountTables }
