// Promises about versions and rebuilds, on any database: the new one is built beside the old one,
// readers see one of them whole, and the same events give the same rows.
import { expect, it } from 'vitest'
import { projection } from '../../../src/define/projection.ts'
import { type } from '../../../src/define/schema.ts'
import {
  account,
  accountEvents,
  balances,
  digestOf,
  expectedRows,
  MemoryEvents,
  processorOf,
  rowsOf,
  type Trap,
  until,
} from './accounts.ts'
import type { OpenSql } from './following-cases.ts'

type NewTables = { balance: { id: string; cents: number } }

/** Version 2 of the balances: another column, one table less. `gate` holds its handlers up. */
function cents(gate: () => Promise<void> = async () => {}) {
  return projection('balances', {
    version: 2,
    from: [account],
    tables: type<NewTables>(),
    create: db =>
      db.schema
        .createTable('balance')
        .addColumn('id', 'text', column => column.primaryKey())
        .addColumn('cents', 'integer', column => column.notNull()),
    on: {
      'account.Opened': async (db, event) => {
        await gate()
        await db.insertInto('balance').values({ id: event.stream, cents: 0 }).execute()
      },
      'account.Deposited': (db, event) =>
        db
          .updateTable('balance')
          .set(of => ({ cents: of('cents', '+', event.data.amount * 100) }))
          .where('id', '=', event.stream),
    },
  })
}

export function rebuildCases(open: OpenSql): void {
  it('gives equal digests after a rebuild from nothing', async () => {
    const store = new MemoryEvents()
    const events = accountEvents(25, 6)
    const end = store.append(...events)
    await using sql = await open()
    const settings = { 'projection.page.events': 11 }
    const { processor, told } = processorOf(balances(), store, sql, settings)
    await processor.start()
    await processor.reached(end)
    const before = await digestOf(processor.db)
    for (let round = 1; round <= 2; round += 1) {
      await processor.rebuild()
      expect(await digestOf(processor.db)).toBe(before)
    }
    expect(told.filter(({ kind }) => kind === 'projection-switched').length).toBe(2)
    const more = accountEvents(3, 1).map(event => ({ ...event, stream: `new-${event.stream}` }))
    await processor.reached(store.append(...more))
    expect(await rowsOf(processor.db)).toBe(expectedRows([...events, ...more]))
    expect(processor.status().restarts).toBe(0)
    await processor.stop()
  })

  it('removes rows that the events cannot have made', async () => {
    const store = new MemoryEvents()
    const events = accountEvents(4, 2)
    const end = store.append(...events)
    await using sql = await open()
    const { processor } = processorOf(balances(), store, sql)
    await processor.start()
    await processor.reached(end)
    await sql.transaction(session =>
      session.execute({
        sql: `insert into "balance__v1_1" (id, owner, amount) values ('ghost', 'nobody', 1)`,
        parameters: [],
      }),
    )
    expect(await rowsOf(processor.db)).toContain('ghost')
    await processor.rebuild()
    expect(await rowsOf(processor.db)).toBe(expectedRows(events))
    await processor.stop()
  })

  it('builds a new version beside the old one, then switches readers in one step', async () => {
    const store = new MemoryEvents()
    const events = accountEvents(6, 3)
    await using sql = await open()
    const old = processorOf(balances(), store, sql)
    await old.processor.start()
    await old.processor.reached(store.append(...events))
    await old.processor.stop()
    const gate = Promise.withResolvers<void>()
    const { processor, told } = processorOf(
      cents(() => gate.promise),
      store,
      sql,
    )
    await processor.start()
    const later = { type: 'account.Deposited', stream: 'a-1', data: { amount: 5 } }
    const end = store.append(later)
    // On SQLite in a file readers do not wait for the transaction that is held up.
    expect(processor.status()).toMatchObject({ state: 'rebuilding', version: 1, nextVersion: 2 })
    expect(await rowsOf(old.processor.db)).toBe(expectedRows(events))
    let isReached = false
    const reached = processor.reached(end).finally(() => {
      isReached = true
    })
    await new Promise(resolve => setTimeout(resolve, 30))
    expect(isReached).toBe(false)
    gate.resolve()
    await reached
    const rows = await processor.db.selectFrom('balance').selectAll().orderBy('id').execute()
    expect(rows.find(({ id }) => id === 'a-1')).toEqual({ id: 'a-1', cents: (303 + 300 + 5) * 100 })
    expect(Object.keys(rows[0] ?? {})).toEqual(['id', 'cents'])
    await until(() => processor.status().state === 'running')
    expect(processor.status()).toMatchObject({ version: 2, nextVersion: null })
    expect(told).toContainEqual({
      ...{ kind: 'projection-switched', projection: 'balances', from: 1, to: 2 },
    })
    const movements = old.processor.db.selectFrom('movement').selectAll().execute()
    await expect(movements).rejects.toThrow(/movement/)
    await until(async () => !(await isThere(sql, 'balance__v1_1')))
    await processor.stop()
  })

  it('ends the old version wherever it still runs, and does not let it come back', async () => {
    const store = new MemoryEvents()
    await using sql = await open()
    const old = processorOf(balances(), store, sql)
    await old.processor.start()
    await old.processor.reached(store.append(...accountEvents(4, 2)))
    const { processor } = processorOf(cents(), store, sql)
    await processor.start()
    await until(() => processor.status().state === 'running')
    const more = { type: 'account.Deposited', stream: 'a-1', data: { amount: 1 } }
    await processor.reached(store.append(more))
    await until(() => old.processor.status().state === 'stopped')
    expect(old.processor.status().reason).toMatch(/readers see version 2, this program has 1/)
    const again = processorOf(balances(), store, sql)
    await again.processor.start()
    expect(again.processor.status()).toMatchObject({ state: 'stopped' })
    const rows = await processor.db.selectFrom('balance').selectAll().execute()
    expect(rows.find(({ id }) => id === 'a-1')).toEqual({ id: 'a-1', cents: 30_300 })
    await processor.stop()
  })

  it('refuses to switch while the new version has parked streams, until they are redriven', async () => {
    const store = new MemoryEvents()
    const events = accountEvents(6, 3)
    const end = store.append(...events)
    await using sql = await open()
    let isBroken = false
    const trap: Trap = ({ stream, version }) => {
      if (isBroken && stream === 'a-4' && version === 2)
        throw new Error('broken by the new version')
    }
    const { processor } = processorOf(balances({ trap }), store, sql)
    await processor.start()
    await processor.reached(end)
    const before = await digestOf(processor.db)
    isBroken = true
    let isDone = false
    const rebuilt = processor.rebuild().finally(() => {
      isDone = true
    })
    await until(() => processor.status().reason?.startsWith('SWITCH_REFUSED') === true)
    expect(processor.status()).toMatchObject({ state: 'rebuilding', parked: 1, nextVersion: 1 })
    expect(await digestOf(processor.db)).toBe(before)
    expect(isDone).toBe(false)
    await expect(processor.rebuild()).rejects.toMatchObject({ code: 'BAD_ARGUMENT' })
    isBroken = false
    await processor.redrive({ limit: 1 })
    await rebuilt
    expect(await digestOf(processor.db)).toBe(before)
    await until(() => processor.status().state === 'running')
    await processor.stop()
  })

  it('takes over with parked streams when it is told to, and keeps them parked', async () => {
    const store = new MemoryEvents()
    const events = accountEvents(6, 3)
    const end = store.append(...events)
    await using sql = await open()
    let isBroken = false
    const trap: Trap = ({ stream, version }) => {
      if (isBroken && stream === 'a-4' && version === 2) throw new Error('broken')
    }
    const { processor } = processorOf(balances({ trap }), store, sql)
    await processor.start()
    await processor.reached(end)
    expect(await processor.takeOver()).toBe(false)
    isBroken = true
    const rebuilt = processor.rebuild()
    await until(() => processor.status().reason?.startsWith('SWITCH_REFUSED') === true)
    expect(await processor.takeOver()).toBe(true)
    await rebuilt
    expect((await processor.parked()).map(({ stream }) => stream.id)).toEqual(['a-4'])
    isBroken = false
    await processor.redrive({ limit: 1 })
    expect(await rowsOf(processor.db)).toBe(expectedRows(events))
    // Nothing waits to take over any more, whatever did before.
    await until(async () => (await processor.takeOver()) === false)
    await processor.stop()
  })

  it('goes on with a rebuild that was interrupted', async () => {
    const store = new MemoryEvents()
    const events = accountEvents(6, 3)
    const end = store.append(...events)
    await using sql = await open()
    let failsAt = Number.POSITIVE_INFINITY
    let calls = 0
    const trap: Trap = () => {
      calls += 1
      if (calls > failsAt) throw new Error('out of order')
    }
    const settings = { 'projection.page.events': 5, 'projection.parked.max': 0 }
    const first = processorOf(balances({ trap }), store, sql, settings)
    await first.processor.start()
    await first.processor.reached(end)
    const before = await digestOf(first.processor.db)
    calls = 0
    failsAt = 12
    await expect(first.processor.rebuild()).rejects.toMatchObject({ code: 'PROCESSOR_STOPPED' })
    failsAt = Number.POSITIVE_INFINITY
    calls = 0
    const second = processorOf(balances({ trap }), store, sql, settings)
    await second.processor.start()
    await until(() => second.told.some(({ kind }) => kind === 'projection-switched'))
    await until(() => second.processor.status().state === 'running')
    expect(await digestOf(second.processor.db)).toBe(before)
    // It did not begin anew.
    expect(calls).toBeLessThan(events.length)
    await second.processor.stop()
  })

  it('never takes readers back: the new version has what the old one had', async () => {
    const here = new MemoryEvents()
    const behind = new MemoryEvents()
    const events = accountEvents(6, 3)
    const half = events.slice(0, 12)
    await using sql = await open()
    const old = processorOf(balances(), here, sql)
    await old.processor.start()
    await old.processor.reached(here.append(...events))
    const before = await digestOf(old.processor.db)
    // A node whose store has not yet read all that the other node's projection has handled.
    behind.append(...half)
    const { processor } = processorOf(balances({ version: 2 }), behind, sql)
    await processor.start()
    await until(() => processor.status().handled === half.length)
    await new Promise(resolve => setTimeout(resolve, 50))
    expect(processor.status()).toMatchObject({ state: 'rebuilding', version: 1, nextVersion: 2 })
    expect(await digestOf(old.processor.db)).toBe(before)
    await processor.reached(behind.append(...events.slice(12)))
    expect(await digestOf(processor.db)).toBe(before)
    expect(processor.status().version).toBe(2)
    await Promise.all([old.processor.stop(), processor.stop()])
  })

  it('leaves nothing of a version that never took over', async () => {
    const store = new MemoryEvents()
    const end = store.append(...accountEvents(3, 1))
    await using sql = await open()
    const first = processorOf(balances(), store, sql)
    await first.processor.start()
    await first.processor.reached(end)
    await first.processor.stop()
    const broken = processorOf(
      cents(async () => {
        throw new Error('never')
      }),
      store,
      sql,
      { 'projection.parked.max': 0 },
    )
    await broken.processor.start()
    await until(() => broken.processor.status().state === 'stopped')
    expect(await isThere(sql, 'balance__v2_2')).toBe(true)
    const third = processorOf(balances({ version: 3 }), store, sql)
    await third.processor.start()
    await until(() => third.processor.status().state === 'running')
    await until(async () => !(await isThere(sql, 'balance__v2_2')))
    expect(await isThere(sql, 'balance__v1_1')).toBe(false)
    const { rows } = await sql.transaction(session =>
      session.execute({ sql: 'select build from millrace_progress', parameters: [] }),
    )
    expect(rows).toEqual([{ build: 3 }])
    await third.processor.stop()
  })

  it('shows how far a rebuild is', async () => {
    const store = new MemoryEvents()
    const end = store.append(...accountEvents(10, 3))
    await using sql = await open()
    const { processor } = processorOf(balances(), store, sql)
    await processor.start()
    await processor.reached(end)
    await processor.stop()
    const gate = Promise.withResolvers<void>()
    const next = processorOf(
      cents(() => gate.promise),
      store,
      sql,
    )
    await next.processor.start()
    await until(() => next.processor.status().lag > 0)
    expect(next.processor.status()).toMatchObject({
      state: 'rebuilding',
      checkpoint: null,
      lag: 44,
    })
    gate.resolve()
    await until(() => next.processor.status().state === 'running')
    expect(next.processor.status()).toMatchObject({ lag: 0, timeLeftMs: 0 })
    expect(next.processor.status().rate).toBeGreaterThan(0)
    await next.processor.stop()
  })

  it('refuses tables that changed under the same version', async () => {
    const store = new MemoryEvents()
    await using sql = await open()
    const { processor } = processorOf(balances({ version: 2 }), store, sql)
    await processor.start()
    await processor.stop()
    const changed = processorOf(cents(), store, sql)
    await expect(changed.processor.start()).rejects.toMatchObject({ code: 'BAD_DEFINITION' })
    await expect(changed.processor.start()).rejects.toThrow(/raise its version/)
  })

  it('refuses a table that belongs to another projection', async () => {
    const store = new MemoryEvents()
    await using sql = await open()
    const { processor } = processorOf(balances(), store, sql)
    await processor.start()
    const other = processorOf(balances({ name: 'others' }), store, sql)
    await expect(other.processor.start()).rejects.toThrow(/belongs to projection balances/)
    await processor.stop()
  })

  it('leaves another projection alone', async () => {
    const store = new MemoryEvents()
    const events = accountEvents(5, 2)
    const end = store.append(...events)
    await using sql = await open()
    const one = processorOf(balances(), store, sql)
    const other = processorOf(
      projection('owners', {
        version: 1,
        from: [account],
        tables: type<{ owner: { id: string } }>(),
        create: db => db.schema.createTable('owner').addColumn('id', 'text', c => c.primaryKey()),
        on: { 'account.Opened': (db, e) => db.insertInto('owner').values({ id: e.stream }) },
      }),
      store,
      sql,
    )
    await Promise.all([one.processor.start(), other.processor.start()])
    await Promise.all([one.processor.reached(end), other.processor.reached(end)])
    await one.processor.rebuild()
    expect(await other.processor.db.selectFrom('owner').selectAll().execute()).toHaveLength(5)
    expect(other.processor.status()).toMatchObject({ restarts: 0, state: 'running' })
    await Promise.all([one.processor.stop(), other.processor.stop()])
  })

  it('rebuilds a projection without events', async () => {
    await using sql = await open()
    const { processor } = processorOf(balances(), new MemoryEvents(), sql)
    await processor.start()
    await processor.rebuild()
    expect(await rowsOf(processor.db)).toBe(expectedRows([]))
    await processor.stop()
  })
}

/** Asked by reading: a catalogue that is read while a table is dropped may fail on its own. */
const isThere = (sql: Awaited<ReturnType<OpenSql>>, table: string): Promise<boolean> =>
  sql.db
    .selectFrom(table)
    .select(of => of.lit(1).as('one'))
    .limit(1)
    .execute()
    .then(
      () => true,
      () => false,
    )
