// Promises about published changes, on any database: at least once, in order by stream, with ids
// that stay the same, and by a rebuild only what was not published before it.
import { decodeBatches, type Log } from '@millrace/log'
import { expect, it } from 'vitest'
import { projection } from '../../../src/define/projection.ts'
import { type } from '../../../src/define/schema.ts'
import type { Change } from '../../../src/projections/index.ts'
import {
  account,
  accountEvents,
  balances,
  MemoryEvents,
  processorOf,
  rowsOf,
  until,
} from './accounts.ts'
import { FailingSql } from './failing-sql.ts'
import type { OpenSql } from './following-cases.ts'

const TOPIC = 'balance-changes'

/** Opens an empty log; it is closed when the case ends. */
export type OpenLog = () => Promise<Log>

type Published = { readonly key: string; readonly change: Change }

/** All that is on the topic, in order within a partition. */
async function publishedOn(log: Log, name = TOPIC): Promise<readonly Published[]> {
  const [topic] = await log.describeTopics([name])
  const positions = (topic?.partitions ?? []).map(({ partition }) => ({
    ...{ topic: name, partition, offset: 0, maxBytes: 1 << 24 },
  }))
  if (positions.length === 0) return []
  const limits = { minBytes: 0, maxBytes: 1 << 26, maxWaitMs: 0 }
  const results = await log.fetch({ positions, ...limits, isolation: 'read_uncommitted' })
  return results.flatMap(({ records }) =>
    [...decodeBatches(records)].flatMap(batch =>
      [...batch.records()].map(({ key, value }) => ({
        key: String(key),
        change: JSON.parse(String(value)) as Change,
      })),
    ),
  )
}

/** A log whose topics cannot be asked for as long as it is so. */
const downWhile = (log: Log, isDown: () => boolean): Log =>
  new Proxy(log, {
    get(target, name) {
      if (name === 'describeTopics' && isDown()) return () => Promise.reject(new Error('away'))
      const value = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })

const idsOf = (published: readonly Published[]): string[] =>
  published.map(({ change }) => change.id).sort()

/** Ids of all changes that the events make, once each. */
function expectedIds(events: ReturnType<typeof accountEvents>): string[] {
  const versions = new Map<string, number>()
  return events
    .flatMap(({ type: kind, stream }) => {
      const version = (versions.get(stream) ?? 0) + 1
      versions.set(stream, version)
      const id = `/account/${stream}/${version}/balances`
      return kind === 'account.Deposited' ? [`${id}/0`, `${id}/1`] : [`${id}/0`]
    })
    .sort()
}

export function publishingCases(open: OpenSql, openLog: OpenLog, stride = 1): void {
  it('parks the stream of a row that is too large to be published, and publishes the others', async () => {
    const log = await openLog()
    const store = new MemoryEvents()
    const owner = (stream: string) => (stream === 'a-1' ? 'x'.repeat(2000) : stream)
    const streams = ['a-0', 'a-1', 'a-2']
    const end = store.append(
      ...streams.map(stream => ({
        ...{ type: 'account.Opened', stream, data: { owner: owner(stream) } },
      })),
    )
    await using sql = await open()
    const settings = { 'projection.publish.bytes': 1000 }
    const { processor } = processorOf(balances({ publish: TOPIC }), store, sql, settings, log)
    await processor.start()
    await processor.reached(end)
    await until(async () => (await publishedOn(log)).length >= 2)
    expect(await processor.parked()).toMatchObject([
      { stream: { id: 'a-1' }, reason: expect.stringContaining('projection.publish.bytes') },
    ])
    expect(processor.status().restarts).toBe(0)
    await processor.stop()
    await log.close()
  })

  it('publishes each change of a row, keyed by stream and in its order', async () => {
    const store = new MemoryEvents()
    const events = accountEvents(6, 3)
    await using sql = await open()
    await using log = await openLog()
    const definition = balances({ publish: TOPIC })
    const { processor } = processorOf(definition, store, sql, {}, log)
    await processor.start()
    await processor.reached(store.append(...events))
    const expected = expectedIds(events)
    await until(async () => (await publishedOn(log)).length >= expected.length)
    const published = await publishedOn(log)
    expect(idsOf(published)).toEqual(expected)
    const mine = published.filter(({ key }) => key === 'a-3').map(({ change }) => change)
    expect(mine.map(({ table, operation, event }) => [table, operation, event.version])).toEqual([
      ['balance', 'insert', 1],
      ...[2, 3, 4].flatMap(version => [
        ['movement', 'insert', version],
        ['balance', 'update', version],
      ]),
      ['balance', 'delete', 5],
    ])
    expect(mine[2]).toEqual({
      id: '/account/a-3/2/balances/1',
      ...{ projection: 'balances', version: 1, table: 'balance', operation: 'update' },
      row: { id: 'a-3', owner: 'a-3', amount: 103 },
      event: {
        ...{ id: '/account/a-3/2', type: 'account.Deposited', tenant: '', stream: 'a-3' },
        ...{ version: 2, time: mine[2]?.event.time },
      },
    })
    await processor.stop()
  })

  it('publishes what was committed when it was killed before it could', async () => {
    const store = new MemoryEvents()
    const events = accountEvents(5, 2)
    const end = store.append(...events)
    await using sql = await open()
    await using log = await openLog()
    const definition = balances({ publish: TOPIC })
    const first = processorOf(
      definition,
      store,
      sql,
      {},
      downWhile(log, () => true),
    )
    await first.processor.start()
    await first.processor.reached(end)
    await until(() => first.told.some(({ kind }) => kind === 'processor-restarted'))
    expect(first.processor.status()).toMatchObject({ state: 'running', reason: 'publishing: away' })
    await first.processor.stop()
    expect(await publishedOn(log)).toEqual([])
    const second = processorOf(definition, store, sql, {}, log)
    await second.processor.start()
    const expected = expectedIds(events)
    await until(async () => (await publishedOn(log)).length >= expected.length)
    expect(idsOf(await publishedOn(log))).toEqual(expected)
    await second.processor.stop()
  })

  it('loses no change wherever the connection breaks; repeated ones have their ids', async () => {
    const events = accountEvents(2, 2)
    const expected = expectedIds(events)
    await using log = await openLog()
    let steps = 0
    for (let step = 1; ; step += stride) {
      const store = new MemoryEvents(1)
      const end = store.append(...events)
      await using inner = await open()
      const sql = new FailingSql(inner, step)
      const publish = `changes-${step}`
      const definition = balances({ publish })
      const { processor } = processorOf(definition, store, sql, {}, log)
      await processor.start().catch(() => processor.start())
      await processor.reached(end)
      const ids = async () => new Set(idsOf(await publishedOn(log, publish)))
      await until(async () => (await ids()).size >= expected.length)
      await processor.stop()
      expect([...(await ids())]).toEqual(expected)
      if (!sql.broke) break
      steps += stride
    }
    expect(steps).toBeGreaterThan(30)
  })

  it('publishes nothing again by a rebuild', async () => {
    const store = new MemoryEvents()
    const events = accountEvents(6, 3)
    await using sql = await open()
    await using log = await openLog()
    const definition = balances({ publish: TOPIC })
    const { processor } = processorOf(definition, store, sql, {}, log)
    await processor.start()
    await processor.reached(store.append(...events))
    const expected = expectedIds(events)
    await until(async () => (await publishedOn(log)).length >= expected.length)
    await processor.rebuild()
    const more = accountEvents(1, 1).map(event => ({ ...event, stream: 'later' }))
    await processor.reached(store.append(...more))
    const all = expectedIds([...events, ...more])
    await until(async () => (await publishedOn(log)).length >= all.length)
    expect(idsOf(await publishedOn(log))).toEqual(all)
    await processor.stop()
  })

  it('a new version publishes what the old one has not, when it has taken over', async () => {
    const store = new MemoryEvents(1)
    const before = accountEvents(3, 1)
    await using sql = await open()
    await using log = await openLog()
    const old = processorOf(balances({ publish: TOPIC }), store, sql, {}, log)
    await old.processor.start()
    await old.processor.reached(store.append(...before))
    await until(async () => (await publishedOn(log)).length >= expectedIds(before).length)
    await old.processor.stop()
    const deposit = (stream: string) => ({
      ...{ type: 'account.Deposited', stream, data: { amount: 9 } },
    })
    const meanwhile = [deposit('a-1'), deposit('a-2')]
    const end = store.append(...meanwhile)
    // The first one is handled and waits in the outbox; the last one keeps it from taking over.
    const gate = { isShut: true }
    const trap = ({ stream, version }: { stream: string; version: number }) => {
      if (gate.isShut && stream === 'a-2' && version === 3) throw new Error('not yet')
    }
    const settings = { 'projection.attempts.max': 1000, 'projection.page.events': 1 }
    const definition = balances({ publish: TOPIC, version: 2, trap })
    const next = processorOf(definition, store, sql, settings, log)
    await next.processor.start()
    await until(() => next.processor.status().handled >= before.length + 1)
    await new Promise(resolve => setTimeout(resolve, 20))
    expect((await publishedOn(log)).length).toBe(expectedIds(before).length)
    gate.isShut = false
    await next.processor.reached(end)
    const all = expectedIds([...before, ...meanwhile])
    await until(async () => (await publishedOn(log)).length >= all.length)
    const published = await publishedOn(log)
    expect(idsOf(published)).toEqual(all)
    expect(published.filter(({ change }) => change.version === 2).length).toBe(4)
    await next.processor.stop()
  })

  it('waits when more changes are unpublished than the outbox may hold', async () => {
    const store = new MemoryEvents(1)
    const events = accountEvents(30, 3)
    const end = store.append(...events)
    await using sql = await open()
    await using log = await openLog()
    const isDown = { value: true }
    const blocked = downWhile(log, () => isDown.value)
    const settings = { 'projection.outbox.max': 20, 'projection.page.events': 5 }
    const definition = balances({ publish: TOPIC })
    const { processor } = processorOf(definition, store, sql, settings, blocked)
    await processor.start()
    await until(() => processor.status().handled >= 20)
    await new Promise(resolve => setTimeout(resolve, 30))
    const { handled } = processor.status()
    expect(handled).toBeLessThan(40)
    isDown.value = false
    await processor.reached(end)
    const expected = expectedIds(events)
    await until(async () => (await publishedOn(log)).length >= expected.length)
    expect(await rowsOf(processor.db)).toContain('a-29')
    await processor.stop()
  })

  it('refuses to publish what a batch makes, and without a log', async () => {
    const store = new MemoryEvents()
    await using sql = await open()
    const definition = projection('batched', {
      version: 1,
      from: [account],
      tables: type<{ t: { id: string } }>(),
      create: db => db.schema.createTable('t').addColumn('id', 'text'),
      batch: () => [],
      options: { publish: TOPIC },
    })
    expect(() => processorOf(definition, store, sql)).toThrow(/BAD_DEFINITION|by stream/)
    expect(() => processorOf(balances({ publish: TOPIC }), store, sql)).toThrow(/needs a log/)
  })
}
