// Promises about events that cannot be handled, on any database: their stream is parked, in order,
// and the others go on.
import { expect, it } from 'vitest'
import { type Projection, projection } from '../../../src/define/projection.ts'
import { type } from '../../../src/define/schema.ts'
import type { GivenEvent } from '../../../src/testing/events.ts'
import {
  account,
  accountEvents,
  balances,
  expectedRows,
  MemoryEvents,
  processorOf,
  rowsOf,
  type Trap,
  until,
} from './accounts.ts'
import { FailingSql } from './failing-sql.ts'
import type { OpenSql } from './following-cases.ts'
import { GatedEvents } from './gated-events.ts'

/** A trap that can be taken away: the handler is mended. */
function mendable(isPoison: (event: Parameters<Trap>[0]) => boolean) {
  const state = { isMended: false, calls: [] as string[] }
  const trap: Trap = event => {
    state.calls.push(`${event.stream}/${event.version}`)
    if (!state.isMended && isPoison(event)) {
      throw new Error(`cannot handle ${event.stream}/${event.version}`)
    }
  }
  return { state, trap }
}

type Rows = { handled_event: { stream: string; version: number } }

/** A projection whose batch fails as long as it has one of the poisonous events. */
function batched(trap: Trap, sizes: number[]): Projection<Rows> {
  return projection('batched', {
    version: 1,
    from: [account],
    tables: type<Rows>(),
    create: db =>
      db.schema
        .createTable('handled_event')
        .addColumn('stream', 'text', column => column.notNull())
        .addColumn('version', 'integer', column => column.notNull())
        .addPrimaryKeyConstraint('handled_event_key', ['stream', 'version']),
    batch: (db, events) => {
      sizes.push(events.length)
      for (const event of events) trap(event)
      const rows = events.map(({ stream, version }) => ({ stream, version }))
      return db.insertInto('handled_event').values(rows)
    },
  })
}

const deposit = (stream: string, amount: number): GivenEvent => ({
  ...{ type: 'account.Deposited', stream, data: { amount } },
})

export function parkingCases(open: OpenSql, stride = 1): void {
  it('parks the stream of a poison event with its reason, and the others go on', async () => {
    const store = new MemoryEvents()
    const events = accountEvents(8, 3)
    const { trap } = mendable(({ stream, version }) => stream === 'a-2' && version === 3)
    const end = store.append(...events)
    await using sql = await open()
    const { processor, told } = processorOf(balances({ trap }), store, sql)
    await processor.start()
    await processor.reached(end)
    const others = events.filter(({ stream }) => stream !== 'a-2')
    const theirs = events.filter(({ stream }) => stream === 'a-2').slice(0, 2)
    expect(await rowsOf(processor.db)).toBe(expectedRows([...others, ...theirs]))
    expect(await processor.parked()).toMatchObject([
      {
        stream: { tenant: '', category: 'account', id: 'a-2' },
        ...{ projectionVersion: 1, firstVersion: 3, lastVersion: 4, attempts: 3 },
        reason: 'cannot handle a-2/3',
      },
    ])
    expect(processor.status().parked).toBe(1)
    expect(told).toContainEqual({
      ...{ kind: 'stream-parked', processor: 'balances', stream: 'a-2', version: 3 },
      reason: 'cannot handle a-2/3',
    })
    await processor.stop()
  })

  it('passes over later events of a parked stream, also after a restart', async () => {
    const store = new MemoryEvents()
    const { state, trap } = mendable(({ version }) => version === 2)
    store.append({ type: 'account.Opened', stream: 'p', data: { owner: 'p' } }, deposit('p', 1))
    await using sql = await open()
    for (let version = 3; version <= 5; version += 1) {
      const end = store.append(deposit('p', version))
      const { processor } = processorOf(balances({ trap }), store, sql)
      await processor.start()
      await processor.reached(end)
      const [parked] = await processor.parked()
      expect(parked).toMatchObject({ firstVersion: 2, lastVersion: version })
      await processor.stop()
    }
    expect(state.calls.filter(call => call !== 'p/1' && call !== 'p/2')).toEqual([])
  })

  it('redrives what was passed over in order, and follows again', async () => {
    const store = new MemoryEvents()
    const events = accountEvents(5, 4)
    const poison = new Set(['a-1/2', 'a-3/4'])
    const { state, trap } = mendable(event => poison.has(`${event.stream}/${event.version}`))
    const end = store.append(...events)
    await using sql = await open()
    const { processor, told } = processorOf(balances({ trap }), store, sql)
    await processor.start()
    await processor.reached(end)
    state.isMended = true
    state.calls.length = 0
    const redriven = await processor.redrive({ limit: 10 })
    const stream = (id: string) => ({ tenant: '', category: 'account', id })
    expect([...redriven].sort((a, b) => a.events - b.events)).toEqual([
      { stream: stream('a-3'), ok: true, events: 3 },
      { stream: stream('a-1'), ok: true, events: 4 },
    ])
    expect(state.calls.filter(call => call.startsWith('a-1'))).toEqual(
      [2, 3, 4, 5].map(version => `a-1/${version}`),
    )
    expect(told.filter(event => event.kind === 'stream-redriven').length).toBe(2)
    const more = [deposit('a-1', 7), deposit('a-3', 8)]
    await processor.reached(store.append(...more))
    expect(await rowsOf(processor.db)).toBe(expectedRows([...events, ...more]))
    expect(await processor.parked()).toEqual([])
    expect(processor.status()).toMatchObject({ parked: 0, restarts: 0 })
    await processor.stop()
  })

  it('leaves nothing of a redrive that fails half way, and says the new reason', async () => {
    const store = new MemoryEvents()
    const isPoison = { version: 2 }
    const { trap } = mendable(({ version }) => version === isPoison.version)
    store.append({ type: 'account.Opened', stream: 'p', data: { owner: 'p' } })
    const end = store.append(deposit('p', 1), deposit('p', 2), deposit('p', 3))
    await using sql = await open()
    const { processor } = processorOf(balances({ trap }), store, sql)
    await processor.start()
    await processor.reached(end)
    isPoison.version = 4
    const before = await rowsOf(processor.db)
    expect(await processor.redrive({ category: 'account', id: 'p' })).toMatchObject([
      { ok: false, events: 0, reason: 'cannot handle p/4' },
    ])
    expect(await rowsOf(processor.db)).toBe(before)
    expect(await processor.parked()).toMatchObject([
      { firstVersion: 2, lastVersion: 4, attempts: 4, reason: 'cannot handle p/4' },
    ])
    await processor.stop()
  })

  it('loses no event when another process redrives while it runs', async () => {
    const store = new MemoryEvents()
    const { state, trap } = mendable(({ version }) => version === 2)
    store.append({ type: 'account.Opened', stream: 'p', data: { owner: 'p' } })
    const end = store.append(deposit('p', 1), deposit('p', 2))
    await using sql = await open()
    const running = processorOf(balances({ trap }), store, sql)
    await running.processor.start()
    await running.processor.reached(end)
    state.isMended = true
    const operator = processorOf(balances({ trap }), store, sql)
    expect(await operator.processor.redrive({ limit: 1 })).toMatchObject([{ ok: true, events: 2 }])
    await running.processor.reached(store.append(deposit('p', 3)))
    const row = await running.processor.db.selectFrom('balance').select('amount').execute()
    expect(row).toEqual([{ amount: 6 }])
    expect(running.processor.status().parked).toBe(0)
    await running.processor.stop()
  })

  it('does no harm when it redrives after a pause in which another one has gone on', async () => {
    const paused = new GatedEvents(1)
    const awake = new MemoryEvents(1)
    const events = accountEvents(3, 2)
    paused.append(...events)
    const end = awake.append(...events)
    const { state, trap } = mendable(({ stream, version }) => stream === 'a-1' && version === 2)
    await using sql = await open()
    const sleeper = processorOf(balances({ trap }), paused, sql)
    await sleeper.processor.start()
    await paused.arrived.promise
    const other = processorOf(balances({ trap }), awake, sql)
    await other.processor.start()
    await other.processor.reached(end)
    await other.processor.stop()
    state.isMended = true
    expect(await sleeper.processor.redrive({ limit: 1 })).toMatchObject([{ ok: true, events: 2 }])
    paused.opened.resolve()
    await sleeper.processor.reached(end)
    expect(await rowsOf(sleeper.processor.db)).toBe(expectedRows(events))
    expect(await sleeper.processor.parked()).toEqual([])
    await sleeper.processor.stop()
  })

  it('tries an event again before it parks its stream', async () => {
    const store = new MemoryEvents()
    let failures = 0
    const trap: Trap = ({ stream, version }) => {
      if (stream !== 'a-1' || version !== 2 || failures >= 3) return
      failures += 1
      throw new Error('busy')
    }
    const events = accountEvents(3, 2)
    const end = store.append(...events)
    await using sql = await open()
    const { processor } = processorOf(balances({ trap }), store, sql)
    await processor.start()
    await processor.reached(end)
    expect(await processor.parked()).toEqual([])
    expect(await rowsOf(processor.db)).toBe(expectedRows(events))
    await processor.stop()
  })

  it('parks no stream because the database was away', async () => {
    const store = new MemoryEvents()
    const events = accountEvents(3, 2)
    await using inner = await open()
    const sql = new FailingSql(inner, -1)
    const { processor } = processorOf(balances(), store, sql)
    await processor.start()
    const session = inner.transaction.bind(inner)
    let downs = 0
    sql.transaction = work => {
      if (downs >= 10) return session(work)
      downs += 1
      return new FailingSql(inner, 4).transaction(work)
    }
    await processor.reached(store.append(...events))
    expect(downs).toBe(10)
    expect(await processor.parked()).toEqual([])
    expect(await rowsOf(processor.db)).toBe(expectedRows(events))
    await processor.stop()
  })

  it('leaves nothing of an event that failed half way', async () => {
    const store = new MemoryEvents(1)
    const definition = projection('half', {
      version: 1,
      from: [account],
      tables: type<Rows>(),
      create: db =>
        db.schema
          .createTable('handled_event')
          .addColumn('stream', 'text', column => column.primaryKey())
          .addColumn('version', 'integer', column => column.notNull()),
      on: {
        'account.Deposited': (db, { stream, version, data }) => [
          db.insertInto('handled_event').values({ stream: `${stream}/${version}`, version }),
          // The second of a stream meets the first one's key.
          db.insertInto('handled_event').values({ stream: `amount ${data.amount}`, version }),
        ],
      },
    })
    const end = store.append(deposit('p', 1), deposit('p', 1), deposit('q', 2))
    await using sql = await open()
    const { processor } = processorOf(definition, store, sql)
    await processor.start()
    await processor.reached(end)
    expect(await processor.parked()).toMatchObject([{ stream: { id: 'p' }, firstVersion: 2 }])
    const rows = await processor.db.selectFrom('handled_event').select('stream').execute()
    expect(rows.map(({ stream }) => stream).sort()).toEqual([
      ...['amount 1', 'amount 2', 'p/1', 'q/1'],
    ])
    await processor.stop()
  })

  it('parks for a query that the database refuses, too', async () => {
    const store = new MemoryEvents()
    const twice = { type: 'account.Opened', stream: 'p', data: { owner: 'p' } }
    const end = store.append(twice, twice, {
      type: 'account.Opened',
      stream: 'q',
      data: { owner: 'q' },
    })
    await using sql = await open()
    const { processor } = processorOf(balances(), store, sql)
    await processor.start()
    await processor.reached(end)
    const [parked] = await processor.parked()
    expect(parked).toMatchObject({ stream: { id: 'p' }, firstVersion: 2 })
    expect(parked?.reason).toMatch(/unique/i)
    const rows = await processor.db.selectFrom('balance').select('id').orderBy('id').execute()
    expect(rows).toEqual([{ id: 'p' }, { id: 'q' }])
    await processor.stop()
  })

  it('stops when more streams than the bound would be parked, and says why', async () => {
    const store = new MemoryEvents()
    const { state, trap } = mendable(({ type: kind }) => kind === 'account.Deposited')
    store.append(...accountEvents(6, 1))
    await using sql = await open()
    const settings = { 'projection.parked.max': 5 }
    const { processor, told } = processorOf(balances({ trap }), store, sql, settings)
    await processor.start()
    await until(() => processor.status().state === 'stopped')
    expect(processor.status().reason).toMatch(/^PARKED_EXCEEDED: more than 5 streams/)
    expect(told.at(-1)).toMatchObject({ kind: 'processor-stopped', processor: 'balances' })
    expect(await processor.parked()).toEqual([])
    state.isMended = true
    await processor.start()
    await until(() => processor.status().state === 'running' && processor.status().lag === 0)
    expect(await rowsOf(processor.db)).toBe(expectedRows(accountEvents(6, 1)))
    await processor.stop()
  })

  it('parks as many streams as the bound allows', async () => {
    const store = new MemoryEvents()
    const { trap } = mendable(({ type: kind }) => kind === 'account.Deposited')
    const end = store.append(...accountEvents(6, 1))
    await using sql = await open()
    const settings = { 'projection.parked.max': 6 }
    const { processor } = processorOf(balances({ trap }), store, sql, settings)
    await processor.start()
    await processor.reached(end)
    expect((await processor.parked()).length).toBe(6)
    await processor.stop()
  })

  it('finds the poison of a batch, and handles all the rest', async () => {
    const store = new MemoryEvents(1)
    const events = accountEvents(10, 6)
    const poison = new Set(['a-2/3', 'a-7/1', 'a-9/7'])
    const { state, trap } = mendable(event => poison.has(`${event.stream}/${event.version}`))
    const end = store.append(...events)
    await using sql = await open()
    const sizes: number[] = []
    const definition = batched(trap, sizes)
    const { processor } = processorOf(definition, store, sql)
    await processor.start()
    await processor.reached(end)
    const parked = await processor.parked()
    expect(parked.map(p => [p.stream.id, p.firstVersion, p.lastVersion]).sort()).toEqual([
      ['a-2', 3, 7],
      ['a-7', 1, 7],
      ['a-9', 7, 8],
    ])
    const rows = () => processor.db.selectFrom('handled_event').selectAll().execute()
    const passed = (id: string) => parked.find(p => p.stream.id === id)?.firstVersion ?? Infinity
    expect((await rows()).every(({ stream, version }) => version < passed(stream))).toBe(true)
    expect((await rows()).length).toBe(events.length - 5 - 7 - 2)
    // Halving: far fewer calls than one for each event and attempt.
    expect(sizes.length).toBeLessThan(3 * events.length)
    state.isMended = true
    await processor.redrive({ limit: 3 })
    expect((await rows()).length).toBe(events.length)
    await processor.stop()
  })

  it('keeps streams of one id apart by their tenants', async () => {
    const store = new MemoryEvents()
    const definition = batched(event => {
      if ((event as unknown as { tenant: string }).tenant === 'bad') throw new Error('no')
    }, [])
    const opened = { type: 'account.Opened', stream: 'same', data: { owner: 'x' } }
    const end = store.append({ ...opened, tenant: 'bad' }, opened, opened)
    await using sql = await open()
    const { processor } = processorOf(definition, store, sql)
    await processor.start()
    await processor.reached(end)
    expect((await processor.parked()).map(({ stream }) => stream.tenant)).toEqual(['bad'])
    expect(await processor.redrive({ category: 'account', id: 'same' })).toEqual([])
    expect(
      await processor.redrive({ tenant: 'bad', category: 'account', id: 'same' }),
    ).toHaveLength(1)
    await processor.stop()
  })

  it('reaches the same rows wherever the connection breaks while it parks', async () => {
    const events = accountEvents(3, 2)
    const { state, trap } = mendable(({ stream, version }) => stream === 'a-1' && version === 2)
    let steps = 0
    for (let step = 1; ; step += stride) {
      const store = new MemoryEvents(1)
      const end = store.append(...events)
      await using inner = await open()
      const sql = new FailingSql(inner, step)
      state.isMended = false
      const { processor } = processorOf(balances({ trap }), store, sql)
      await processor.start().catch(() => processor.start())
      await processor.reached(end)
      await processor.stop()
      expect((await processor.parked().catch(() => processor.parked())).length).toBe(1)
      state.isMended = true
      await processor.redrive({ limit: 1 }).catch(() => processor.redrive({ limit: 1 }))
      expect(await rowsOf(processor.db), `broken at step ${step}`).toBe(expectedRows(events))
      if (!sql.broke) break
      steps += stride
    }
    expect(steps).toBeGreaterThan(40)
  })

  it('refuses a redrive of nothing', async () => {
    await using sql = await open()
    const { processor } = processorOf(balances(), new MemoryEvents(), sql)
    for (const limit of [0, -1, 1.5, Number.NaN]) {
      const redrive = processor.redrive({ limit })
      await expect(redrive).rejects.toMatchObject({ code: 'BAD_ARGUMENT' })
    }
  })
}
