import { systemOutside } from '@millrace/base'
import { createProducer } from '@millrace/clients'
import type { Engine } from '@millrace/engine'
import { type Log, LogError, type LogRecord } from '@millrace/log'
import { memoryKeys, openStore } from '@millrace/store'
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { openStoreOver } from '../../src/open-store.ts'
import { ensureOwnTopic } from '../../src/own-topics/own-topic.ts'
import { recordAt, TopicTail, type TopicTailOptions } from '../../src/own-topics/topic-tail.ts'
import { LossyKeyValue } from '../personal/lossy-key-value.ts'
import { codeOf, MASTER_A, openLog } from '../personal/support.ts'

const TOPIC = 'own'
const outside = systemOutside()
const compacted = {
  name: TOPIC,
  configs: { 'cleanup.policy': 'compact' },
  required: { 'cleanup.policy': 'compact' },
}

let log: Engine
beforeEach(async () => {
  log = await openLog()
})

/** A log of which one call fails while `failing.with` is set. */
function flaky(call: string, failing: { with: LogError | null }): Log {
  return new Proxy<Log>(log, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return (...args: unknown[]) =>
        failing.with !== null && name === call
          ? Promise.reject(failing.with)
          : value.apply(target, args)
    },
  })
}

async function write(...values: readonly (string | null)[]): Promise<void> {
  const producer = createProducer(log)
  onTestFinished(() => producer.close())
  await producer.sendBatch(
    TOPIC,
    values.map((value, i) => ({ key: `key ${i % 7}`, value })),
  )
}

/** A tail and what it has applied. */
function follow(options: Partial<TopicTailOptions> = {}): { tail: TopicTail; seen: string[] } {
  const seen: string[] = []
  const tail = new TopicTail({
    log,
    topic: TOPIC,
    outside,
    from: 0,
    waitMs: 100,
    fetchBytes: 1 << 20,
    apply: (records: readonly LogRecord[]) => {
      seen.push(...records.map(({ value }) => String(value)))
    },
    ...options,
  })
  onTestFinished(() => tail.close())
  tail.start()
  return { tail, seen }
}

const numbered = (count: number): string[] => Array.from({ length: count }, (_, i) => `v${i}`)

describe('a tail', () => {
  beforeEach(async () => {
    await ensureOwnTopic(log, compacted, outside)
  })

  test('applies each record once, in order, however small its fetches are', async () => {
    const all = numbered(500)
    await write(...all.slice(0, 200))
    const tails = [follow(), follow({ fetchBytes: 1 }), follow({ apply: () => undefined })]
    await write(...all.slice(200))
    for (const { tail } of tails) await tail.caughtUp(5000)
    expect(tails.map(({ tail }) => tail.position)).toEqual([500, 500, 500])
    expect(tails[0]?.seen).toEqual(all)
    expect(tails[1]?.seen).toEqual(all)
  })

  test('begins in the middle of a batch where it was told to', async () => {
    await write(...numbered(10))
    const { tail, seen } = follow({ from: 7 })
    await tail.caughtUp(5000)
    expect(seen).toEqual(['v7', 'v8', 'v9'])
  })

  test('goes on when the log answers again, and who waits is bounded by its own time', async () => {
    const failing = { with: new LogError('NOT_LEADER_OR_FOLLOWER') as LogError | null }
    const { tail, seen } = follow({ log: flaky('fetch', failing) })
    await write('a')
    expect(await codeOf(() => tail.caughtUp(100))).toBe('REQUEST_TIMED_OUT')
    failing.with = null
    await tail.caughtUp(5000)
    expect(seen).toEqual(['a'])
  })

  test('ends when its place is gone, and says so to all who ask', async () => {
    const failing = { with: new LogError('OFFSET_OUT_OF_RANGE') }
    const { tail } = follow({ log: flaky('fetch', failing) })
    await write('a')
    expect(await codeOf(() => tail.caughtUp(5000))).toBe('OFFSET_OUT_OF_RANGE')
    expect(await codeOf(() => tail.caughtUp(5000))).toBe('OFFSET_OUT_OF_RANGE')
  })

  test('ends when what it brings cannot be applied', async () => {
    const { tail } = follow({ apply: () => Promise.reject(new Error('the disk is full')) })
    await write('a')
    await expect(tail.caughtUp(5000)).rejects.toThrow('the disk is full')
    expect(tail.position).toBe(0)
  })

  test('that is closed tells whoever waits', async () => {
    const { tail } = follow({
      log: flaky('fetch', { with: new LogError('NOT_LEADER_OR_FOLLOWER') }),
    })
    await write('a')
    const waiting = codeOf(() => tail.caughtUp(60_000))
    await vi.waitFor(() => expect(tail.position).toBe(0))
    await tail.close()
    expect(await waiting).toBe('LOG_CLOSED')
  })

  test('gets past what compaction took away', async () => {
    await write(...numbered(100))
    await log.compactNow(TOPIC)
    await write('last')
    await log.compactNow(TOPIC)
    const { tail, seen } = follow()
    await tail.caughtUp(5000)
    expect(tail.position).toBe(101)
    expect(seen).toHaveLength(7)
    expect(seen.at(-1)).toBe('last')
    expect(await recordAt(log, TOPIC, 0)).toBeUndefined()
    expect(String((await recordAt(log, TOPIC, 100))?.value)).toBe('last')
    expect(await recordAt(log, TOPIC, 101)).toBeUndefined()
  })
})

describe('a topic of the store’s own', () => {
  test('is made once by many who open at the same time', async () => {
    const made = await Promise.all([1, 2, 3].map(() => ensureOwnTopic(log, compacted, outside)))
    expect(new Set(made.map(({ topicId }) => topicId)).size).toBe(1)
    expect(made[0]?.config.get('cleanup.policy')).toBe('compact')
  })

  test('is refused when it has several partitions, or loses what it must keep', async () => {
    await log.createTopics([
      { name: 'wide', partitions: 2, configs: { 'cleanup.policy': 'compact' } },
    ])
    await log.createTopics([
      { name: 'both', partitions: 1, configs: { 'cleanup.policy': 'compact,delete' } },
    ])
    for (const name of ['wide', 'both']) {
      const opening = ensureOwnTopic(log, { ...compacted, name }, outside)
      await expect(opening).rejects.toMatchObject({
        code: 'BAD_TOPIC',
        message: expect.stringContaining(name),
      })
    }
  })
})

test('a store that cannot open leaves nothing behind that goes on', async () => {
  const categories = { user: { buckets: 1, events: { Met: { personal: { fields: ['name'] } } } } }
  const options = { folder: null, categories, keys: memoryKeys({ a: MASTER_A }) }
  const store = await openStore({ log, ...options })
  onTestFinished(() => store.close())
  await store.append({ category: 'user', id: 'u-1' }, [{ type: 'Met', data: { name: 'Ada' } }])
  const kv = new LossyKeyValue()
  const closed = vi.spyOn(kv, 'close')
  const written = vi.spyOn(kv, 'batch')
  const calls = { made: 0, open: 0 }
  const half = broken(log, 'user', calls)
  const opening = openStoreOver({ log: half, ...options }, () => Promise.resolve(kv))
  expect(await codeOf(() => opening)).not.toBe('none')
  expect(closed).toHaveBeenCalledOnce()
  written.mockClear()
  await vi.waitFor(() => expect(calls.open).toBe(0))
  const { made } = calls
  await store.append({ category: 'user', id: 'u-2' }, [{ type: 'Met', data: { name: 'Bob' } }])
  expect(await store.read({ category: 'user', id: 'u-2' })).toBeDefined()
  expect(calls.made, 'nobody asks the log any more').toBe(made)
  expect(written).not.toHaveBeenCalled()
})

/** A log that cannot read one topic, and counts its calls, and those under way. */
function broken(whole: Log, topic: string, calls: { made: number; open: number }): Log {
  return new Proxy<Log>(whole, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => {
        calls.made += 1
        const asked = JSON.stringify(args[0] ?? null)
        if (name === 'fetch' && asked.includes(`"topic":"${topic}"`)) {
          return Promise.reject(new LogError('UNSUPPORTED_FOR_MESSAGE_FORMAT'))
        }
        const result: unknown = value.apply(target, args)
        if (!(result instanceof Promise)) return result
        calls.open += 1
        return result.finally(() => {
          calls.open -= 1
        })
      }
    },
  })
}
