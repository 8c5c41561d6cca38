// A rewrite keeps what counts, where it was, and nothing else; whatever step it dies at, the next
// call comes to the same.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createProducer } from '@millrace/clients'
import { type Engine, openEngine } from '@millrace/engine'
import { type Log, NO_GENERATION } from '@millrace/log'
import {
  ERASED,
  type EventStore,
  memoryKeys,
  openStore,
  type RecordedEvent,
  rewriteCategory,
} from '@millrace/store'

import { describe, expect, onTestFinished, test } from 'vitest'

const CATEGORY = 'account'
const STREAMS = 20
const GROUP = 'reader'

async function newLog(): Promise<Engine> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-rewrite-'))
  const log = await openEngine({ folder })
  onTestFinished(async () => {
    await log.close()
    await rm(folder, { recursive: true, force: true })
  })
  return log
}

const open = (log: Log): Promise<EventStore> =>
  openStore({ log, folder: null, categories: { [CATEGORY]: {} } })

const stream = (id: string) => ({ category: CATEGORY, id })

/** Streams of every kind, lost races, records of others, and a group that has read a part. */
async function fill(log: Log): Promise<void> {
  await using store = await openStore({
    ...{ log, folder: null, categories: { [CATEGORY]: { buckets: 3 } } },
  })
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < STREAMS; i++) {
      const events = [0, 1].map(n => ({ type: 'Moved', data: { round, n }, tags: [`t:${i % 3}`] }))
      const options = { commandId: `c-${i}-${round}`, metadata: { by: 'test' } }
      await store.append(stream(`s${i}`), events, options)
    }
    const producer = createProducer(log)
    for (let i = 0; i < 5; i++) await producer.send(CATEGORY, { key: `s${i}`, value: 'foreign' })
    await producer.close()
  }
  await store.truncate(stream('s1'), 4)
  await store.archive(stream('s2'))
  await store.tombstone(stream('s3'))
  await log.groups.commit({
    ...{ groupId: GROUP, generationId: NO_GENERATION, memberId: '', groupInstanceId: null },
    offsets: [{ topic: CATEGORY, partition: 1, offset: 7, leaderEpoch: -1, metadata: 'here' }],
  })
}

type Seen = {
  readonly events: readonly RecordedEvent[]
  readonly states: readonly object[]
  readonly committed: readonly unknown[]
  readonly checkpoint: string
}

async function seen(log: Log): Promise<Seen> {
  await using store = await open(log)
  const events: RecordedEvent[] = []
  let checkpoint = ''
  for await (const page of store.readAll([CATEGORY])) {
    events.push(...page.events)
    checkpoint = page.checkpoint
  }
  // Buckets are read side by side: their pages come in any order.
  events.sort((a, b) => a.bucket - b.bucket || a.offset - b.offset)
  const states: object[] = []
  for (let i = 0; i < STREAMS; i++) states.push(await store.state(stream(`s${i}`)))
  const committed = (await log.groups.fetchOffsets(GROUP, [{ topic: CATEGORY, partition: 1 }])).map(
    ({ offset, metadata }) => ({ offset, metadata }),
  )
  return { events, states, committed, checkpoint }
}

const foreignOf = async (log: Log): Promise<number> => {
  await using store = await open(log)
  const [described] = await store.describe()
  return described?.buckets.reduce((sum, { foreign }) => sum + foreign, 0) ?? 0
}

describe('a rewrite', () => {
  test('keeps every event, stream, checkpoint and committed offset as they are', async () => {
    const log = await newLog()
    await fill(log)
    const before = await seen(log)
    const report = await rewriteCategory({ log, category: CATEGORY })
    expect(report).toMatchObject({
      ...{ events: STREAMS * 6, controls: 3, others: 15, dropped: 0, resumed: false },
      streams: STREAMS,
    })
    expect(await seen(log)).toEqual(before)
    const names = (await log.describeTopics()).map(({ name }) => name)
    expect(names.filter(name => name.startsWith(CATEGORY))).toEqual([CATEGORY])
    // Their offsets are held by empty records; their bytes are gone.
    expect(await foreignOf(log)).toBe(15)
    const raw = await log.fetch({
      positions: [0, 1, 2].map(partition => ({
        ...{ topic: CATEGORY, partition, offset: 0, maxBytes: 1 << 20 },
      })),
      ...{ minBytes: 1, maxBytes: 1 << 22, maxWaitMs: 0, isolation: 'read_uncommitted' as const },
    })
    expect(raw.some(({ records }) => records.includes('foreign'))).toBe(false)
  })

  test('leaves the category open for more: versions and commands go on', async () => {
    const log = await newLog()
    await fill(log)
    const first = await rewriteCategory({ log, category: CATEGORY })
    await using store = await open(log)
    const event = { type: 'Moved', data: { round: 9 } }
    const again = await store.append(stream('s0'), [event], { commandId: 'c-0-1' })
    expect(again).toMatchObject({ ok: true, duplicate: true, version: 4 })
    const next = await store.append(stream('s0'), [event], { expectedVersion: 6 })
    expect(next).toMatchObject({ ok: true, version: 7 })
    await expect(store.append(stream('s3'), [event])).rejects.toMatchObject({
      code: 'STREAM_TOMBSTONED',
    })
    expect(first.resumed).toBe(false)
  })

  test('drops the data of what was truncated or deleted, and no version with it', async () => {
    const log = await newLog()
    await fill(log)
    const before = await seen(log)
    const drop = { truncated: true, tombstoned: true }
    const dry = await rewriteCategory({ log, category: CATEGORY, drop, dryRun: true })
    expect(await seen(log)).toEqual(before)
    const report = await rewriteCategory({ log, category: CATEGORY, drop })
    expect(report).toEqual(dry)
    expect(report.dropped).toBe(3 + 6)
    const after = await seen(log)
    expect(after.states).toEqual(before.states)
    expect(after.checkpoint).toBe(before.checkpoint)
    const isDropped = ({ stream, version }: RecordedEvent): boolean =>
      stream === 's3' || (stream === 's1' && version < 4)
    expect(after.events).toEqual(before.events.filter(event => !isDropped(event)))
  })

  test('may be done again and again', async () => {
    const log = await newLog()
    await fill(log)
    const drop = { truncated: true, tombstoned: true }
    await rewriteCategory({ log, category: CATEGORY, drop })
    const once = await seen(log)
    await rewriteCategory({ log, category: CATEGORY, drop })
    expect(await seen(log)).toEqual(once)
  })

  test('leaves a mark that no writer can make: an event with it would never be delivered', async () => {
    const log = await newLog()
    await using store = await openStore({ log, folder: null, categories: { [CATEGORY]: {} } })
    const appended = store.append(stream('s'), [{ type: '$dropped', data: null }])
    await expect(appended).rejects.toMatchObject({
      code: 'BAD_ARGUMENT',
      message: expect.stringContaining('events[0].type'),
    })
    expect((await store.state(stream('s'))).version).toBe(0)
  })

  test('of nothing is refused', async () => {
    const log = await newLog()
    await expect(rewriteCategory({ log, category: 'nothing' })).rejects.toMatchObject({
      code: 'UNKNOWN_CATEGORY',
    })
  })

  const region = (id: string): string => id.slice(0, 2)

  test('puts streams into another number of buckets, each by its boundary', async () => {
    const log = await newLog()
    await fill(log)
    await log.groups.delete([GROUP])
    const before = await seen(log)
    const spread = { count: 7, boundary: region }
    const report = await rewriteCategory({ log, category: CATEGORY, spread })
    expect(report).toMatchObject({ buckets: 7, events: STREAMS * 6, controls: 3, others: 15 })
    await using store = await openStore({
      ...{ log, folder: null },
      categories: { [CATEGORY]: { buckets: 7, boundary: region } },
    })
    const events: RecordedEvent[] = []
    for await (const page of store.readAll([CATEGORY])) events.push(...page.events)
    expect(byStream(events)).toEqual(byStream(before.events))
    expect(new Set(events.map(({ bucket }) => bucket)).size).toBeGreaterThan(1)
    const [described] = await store.describe()
    expect(described?.buckets.map(({ foreign, voided }) => foreign + voided)).toEqual(
      Array.from({ length: 7 }, () => 0),
    )
    const event = { type: 'Moved', data: { round: 9 } }
    const again = await store.append(stream('s10'), [event], { commandId: 'c-10-2' })
    expect(again).toMatchObject({ ok: true, duplicate: true, version: 6 })
    const next = await store.append(stream('s10'), [event], { expectedVersion: 6 })
    expect(next).toMatchObject({ ok: true, version: 7 })
  })

  test('puts right a topic that somebody gave more partitions, with what was there before', async () => {
    const log = await newLog()
    await fill(log)
    const before = await seen(log)
    await log.createPartitions([{ name: CATEGORY, partitions: 8 }])
    await expect(open(log)).rejects.toMatchObject({ code: 'BUCKETS_DIFFER' })
    const report = await rewriteCategory({ log, category: CATEGORY })
    expect(report).toMatchObject({ buckets: 3, events: STREAMS * 6, controls: 3 })
    expect((await seen(log)).events).toEqual(before.events)

    await log.createPartitions([{ name: CATEGORY, partitions: 5 }])
    await log.groups.delete([GROUP])
    const spread = { count: 5, boundary: { name: 'region', version: 2, of: region } }
    expect(await rewriteCategory({ log, category: CATEGORY, spread })).toMatchObject({ buckets: 5 })
    await expect(open(log)).rejects.toMatchObject({ code: 'BOUNDARY_DIFFERS' })
    await using store = await openStore({
      ...{ log, folder: null, categories: { [CATEGORY]: { boundary: spread.boundary } } },
    })
    const events: RecordedEvent[] = []
    for await (const page of store.readAll([CATEGORY])) events.push(...page.events)
    expect(byStream(events)).toEqual(byStream(before.events))
  })

  test('into another number of buckets is refused while a group has a position', async () => {
    const log = await newLog()
    await fill(log)
    const before = await seen(log)
    const rewrite = rewriteCategory({ log, category: CATEGORY, spread: { count: 5 } })
    await expect(rewrite).rejects.toMatchObject({
      ...{ code: 'BAD_ARGUMENT', message: expect.stringContaining(GROUP) },
    })
    expect(await seen(log)).toEqual(before)
  })

  test('keeps sealed fields sealed, and readable with their key', async () => {
    const log = await newLog()
    const keys = memoryKeys({ first: Buffer.alloc(32, 7) })
    const events = { Named: { personal: { fields: ['name'] } } }
    const openSealed = (buckets: number) =>
      openStore({ log, keys, folder: null, categories: { [CATEGORY]: { buckets, events } } })
    await using first = await openSealed(3)
    await first.append(stream('s1'), [{ type: 'Named', data: { name: 'Ada' } }])
    await first.append(stream('s2'), [{ type: 'Named', data: { name: 'Bob' } }])
    await first.forget('s2')
    await first.close()
    for (const count of [3, 5]) {
      await rewriteCategory({ log, category: CATEGORY, spread: { count } })
      await using store = await openSealed(count)
      const names = await Promise.all(
        ['s1', 's2'].map(async id => (await store.event(stream(id), 1))?.data),
      )
      expect(names).toEqual([{ name: 'Ada' }, { name: ERASED }])
    }
  })

  test.each([
    { as: 'in as many buckets', counts: [3] },
    { as: 'in more buckets and in fewer', counts: [5, 3] },
  ])(
    '$as that dies at any step is ended by the next call; no store opens it meanwhile',
    async ({ counts }) => {
      const log = await newLog()
      await fill(log)
      const isSpread = counts.length > 1
      if (isSpread) await log.groups.delete([GROUP])
      const shape = async (): Promise<object> => {
        const { events, states, ...rest } = await seen(log)
        return isSpread
          ? { events: byStream(events), states: states.map(placeless) }
          : { events, states, ...rest }
      }
      const before = await shape()
      let steps = 0
      let refused = 0
      for (let dieAt = 1; ; dieAt++) {
        steps = 0
        const spread = { count: counts[dieAt % counts.length] as number }
        const dying = dyingAt(log, () => ++steps === dieAt)
        const died = await rewriteCategory({ log: dying, category: CATEGORY, spread }).then(
          () => false,
          error => (error as Error).message === 'died',
        )
        const isMarked = (await log.describeTopics([`${CATEGORY}.rewritten`])).length > 0
        if (isMarked) {
          refused += 1
          await expect(open(log)).rejects.toMatchObject({ code: 'BAD_TOPIC' })
        }
        if (died) await rewriteCategory({ log, category: CATEGORY, spread })
        expect(await shape(), `died at change ${dieAt}`).toEqual(before)
        const [topic] = await log.describeTopics([CATEGORY])
        expect(topic?.partitions.length).toBe(spread.count)
        if (!died) break
      }
      expect(steps).toBeGreaterThan(10)
      expect(refused).toBeGreaterThan(4)
    },
    120_000,
  )
})

const placeless = <T extends object>({ bucket, offset, checkpoint, ...rest }: T & Places): object =>
  rest
type Places = { readonly bucket?: number; readonly offset?: number; readonly checkpoint?: string }

const byStream = (events: readonly RecordedEvent[]): readonly object[] =>
  events
    .toSorted((a, b) => a.stream.localeCompare(b.stream) || a.version - b.version)
    .map(placeless)

/** The log, of which one change is the last: it is made, and then nothing more is. */
function dyingAt(log: Log, isLast: () => boolean): Log {
  let isDead = false
  const change = <T>(call: () => Promise<T>): Promise<T> => {
    if (isDead) return Promise.reject(new Error('died'))
    if (!isLast()) return call()
    isDead = true
    return call().then(() => Promise.reject(new Error('died')))
  }
  const changes: Partial<Log> = {
    append: (...args) => change(() => log.append(...args)),
    createTopics: (...args) => change(() => log.createTopics(...args)),
    deleteTopics: (...args) => change(() => log.deleteTopics(...args)),
  }
  return new Proxy(log, {
    get(target, name) {
      const own = changes[name as keyof Log]
      if (own !== undefined) return own
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
