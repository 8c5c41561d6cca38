// A rewrite keeps what counts, where it was, and nothing else; whatever step it dies at, the next
// call comes to the same.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Engine, openEngine } from '@millrace/engine'
import { createProducer, type Log, NO_GENERATION } from '@millrace/log'
import { type EventStore, openStore, type RecordedEvent, rewriteCategory } from '@millrace/store'
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
  openStore({ log, folder: null, categories: { [CATEGORY]: { buckets: 3 } } })

const stream = (id: string) => ({ category: CATEGORY, id })

/** Streams of every kind, lost races, records of others, and a group that has read a part. */
async function fill(log: Log): Promise<void> {
  await using store = await open(log)
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

  test('of nothing is refused', async () => {
    const log = await newLog()
    await expect(rewriteCategory({ log, category: 'nothing' })).rejects.toMatchObject({
      code: 'UNKNOWN_CATEGORY',
    })
  })

  test('that dies at any step is ended by the next call; no store opens it meanwhile', async () => {
    const log = await newLog()
    await fill(log)
    const before = await seen(log)
    let steps = 0
    let refused = 0
    for (let dieAt = 1; ; dieAt++) {
      steps = 0
      const dying = dyingAt(log, () => ++steps === dieAt)
      const died = await rewriteCategory({ log: dying, category: CATEGORY }).then(
        () => false,
        error => (error as Error).message === 'died',
      )
      if (!died) break
      const isMarked = (await log.describeTopics([`${CATEGORY}.rewritten`])).length > 0
      if (isMarked) {
        refused += 1
        await expect(open(log)).rejects.toMatchObject({ code: 'BAD_TOPIC' })
      }
      await rewriteCategory({ log, category: CATEGORY })
      expect(await seen(log), `died at change ${dieAt}`).toEqual(before)
    }
    expect(steps).toBeGreaterThan(10)
    expect(refused).toBeGreaterThan(4)
  }, 120_000)
})

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
