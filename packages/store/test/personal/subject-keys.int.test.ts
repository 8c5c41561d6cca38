import { createProducer } from '@millrace/clients'
import { type Log, LogError } from '@millrace/log'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { memoryKeyValue } from '../../src/kv/memory.ts'
import { memoryKeys } from '../../src/personal/providers.ts'
import type { SubjectKey, SubjectKeys } from '../../src/personal/subject-keys.ts'
import {
  codeOf,
  filesWith,
  KEYS_TOPIC,
  MASTER_A,
  MASTER_B,
  openKeys,
  openLog,
  temporaryFolder,
} from './support.ts'

/** Writes a record of the keys topic as another node would. */
async function write(log: Log, key: string, value: string | null): Promise<void> {
  const producer = createProducer(log)
  onTestFinished(() => producer.close())
  await producer.send(KEYS_TOPIC, { key, value })
}

describe('a key', () => {
  test('is the same for the same subject, another for another one or another tenant', async () => {
    const keys = await openKeys(await openLog())
    const of = async (tenant: string, subject: string): Promise<SubjectKey> =>
      keys.sealing(await keys.hash(tenant, subject))
    const ada = await of('', 'ada')
    expect(await of('', 'ada')).toBe(ada)
    expect((await of('', 'bob')).bytes).not.toEqual(ada.bytes)
    expect((await of('t', 'ada')).bytes).not.toEqual(ada.bytes)
    expect((await of('a', 'da')).bytes).not.toEqual((await of('ad', 'a')).bytes)
  })

  test('is answered at once when it was used before', async () => {
    const keys = await openKeys(await openLog())
    const hash = await keys.hash('', 'ada')
    const key = await keys.sealing(hash)
    expect(keys.hash('', 'ada')).toBe(hash)
    expect(keys.sealing(hash)).toBe(key)
    expect(keys.opening(key.id)).toBe(key)
  })

  test('is made once when many ask for it at the same time', async () => {
    const keys = await openKeys(await openLog())
    const hash = await keys.hash('', 'ada')
    const made = await Promise.all(Array.from({ length: 50 }, () => keys.sealing(hash)))
    expect(new Set(made.map(({ id }) => id)).size).toBe(1)
  })

  test('is found again after a restart, from what is kept locally and without it', async () => {
    const log = await openLog()
    const kv = memoryKeyValue()
    const first = await openKeys(log, { kv })
    const key = await first.sealing(await first.hash('', 'ada'))
    await first.close()
    for (const other of [kv, memoryKeyValue()]) {
      const again = await openKeys(log, { kv: other })
      expect(await again.opening(key.id)).toEqual(key)
      expect(await again.sealing(await again.hash('', 'ada'))).toEqual(key)
    }
  })

  test('is found by another node at once, which never takes it for forgotten', async () => {
    const log = await openLog()
    const [one, two] = [await openKeys(log), await openKeys(log)]
    for (let i = 0; i < 20; i++) {
      const key = await one.sealing(await one.hash('', `user ${i}`))
      expect(await two.opening(key.id)).toEqual(key)
    }
  })

  test('made by two nodes at the same time is good on both, also after they restart', async () => {
    const log = await openLog()
    const [one, two] = [await openKeys(log), await openKeys(log)]
    const used: SubjectKey[] = []
    for (let i = 0; i < 20; i++) {
      const hash = await one.hash('', `user ${i}`)
      expect(await two.hash('', `user ${i}`)).toBe(hash)
      used.push(...(await Promise.all([one.sealing(hash), two.sealing(hash)])))
    }
    const third = await openKeys(log)
    for (const node of [one, two, third]) {
      for (const key of used) expect(await node.opening(key.id)).toEqual(key)
    }
  })

  test('has one hash of its subject on all nodes, which may all start at the same time', async () => {
    const log = await openLog()
    const hashes = async (nodes: readonly SubjectKeys[]): Promise<Set<string>> =>
      new Set(await Promise.all(nodes.map(node => node.hash('', 'ada'))))
    const nodes = await Promise.all([openKeys(log), openKeys(log), openKeys(log)])
    const first = await hashes(nodes)
    expect(first.size).toBe(1)
    const provider = memoryKeys({ b: MASTER_B, a: MASTER_A })
    const rotating = await openKeys(log, { provider })
    await rotating.rotate()
    const later = await Promise.all([openKeys(log, { provider }), openKeys(log, { provider })])
    expect(await hashes([...nodes, rotating, ...later])).toEqual(first)
  })

  test('is kept in memory for a bounded number of subjects, and read again beyond', async () => {
    const keys = await openKeys(await openLog(), { cached: 2 })
    const made: SubjectKey[] = []
    for (const name of ['a', 'b', 'c']) made.push(await keys.sealing(await keys.hash('', name)))
    const [a, , c] = made as [SubjectKey, SubjectKey, SubjectKey]
    expect(keys.opening(c.id)).toBe(c)
    const again = keys.opening(a.id)
    expect(again).toBeInstanceOf(Promise)
    expect(await again).toEqual(a)
  })

  test('lies on disk only wrapped, and says nothing of its subject', async () => {
    const folder = temporaryFolder()
    const log = await openLog(folder)
    const keys = await openKeys(log)
    const key = await keys.sealing(await keys.hash('acme-tenant', 'ada@example.org'))
    expect(filesWith(folder, key.id)).not.toEqual([])
    for (const secret of [
      key.bytes,
      key.bytes.toString('base64url'),
      MASTER_A,
      'ada@example.org',
    ]) {
      expect(filesWith(folder, secret)).toEqual([])
    }
  })
})

describe('forgetting', () => {
  test('makes what was sealed unreadable on all nodes, for ever, and says so once', async () => {
    const log = await openLog()
    const kv = memoryKeyValue()
    const [one, two] = [await openKeys(log, { kv }), await openKeys(log)]
    const told = vi.fn()
    two.onForgotten(told)
    const key = await one.sealing(await one.hash('', 'ada'))
    const other = await one.sealing(await one.hash('', 'bob'))
    expect(await two.opening(key.id)).toEqual(key)
    const before = Date.now()
    const report = await one.forget('', 'ada')
    expect(report).toMatchObject({ hash: await one.hash('', 'ada'), known: true })
    // An hour by the settings, with nothing left out of it.
    expect(report.keyGoneBy - before).toBeGreaterThanOrEqual(3_600_000)
    expect(report.keyGoneBy - Date.now()).toBeLessThanOrEqual(3_600_000)
    expect(one.opening(key.id)).toBeNull()
    await vi.waitFor(async () => expect(await two.opening(key.id)).toBeNull())
    expect(told).toHaveBeenCalledWith(key.id)
    expect(await one.opening(other.id)).toBe(other)
    await one.close()
    for (const store of [kv, memoryKeyValue()]) {
      const again = await openKeys(log, { kv: store })
      expect(await again.opening(key.id)).toBeNull()
      expect(await again.opening(other.id)).toEqual(other)
    }
  })

  test('a subject that has no key changes nothing; a second time tells the same date', async () => {
    const keys = await openKeys(await openLog())
    expect(await keys.forget('', 'nobody')).toMatchObject({ known: false })
    await keys.sealing(await keys.hash('', 'ada'))
    const { keyGoneBy } = await keys.forget('', 'ada')
    expect(await keys.forget('', 'ada')).toMatchObject({ known: false, keyGoneBy })
  })

  test('is known at once of any number of keys, also after a restart', async () => {
    const log = await openLog()
    const kv = memoryKeyValue()
    const first = await openKeys(log, { kv, cached: 2 })
    const ids: string[] = []
    for (let i = 0; i < 10; i++) {
      ids.push((await first.sealing(await first.hash('', `user ${i}`))).id)
      await first.forget('', `user ${i}`)
    }
    await first.close()
    const again = await openKeys(log, { kv, cached: 2 })
    expect(ids.map(id => again.opening(id))).toEqual(ids.map(() => null))
  })

  test('leaves a subject that comes back with a new key, and the old fields erased', async () => {
    const keys = await openKeys(await openLog())
    const hash = await keys.hash('', 'ada')
    const old = await keys.sealing(hash)
    await keys.forget('', 'ada')
    const fresh = await keys.sealing(hash)
    expect(fresh.id).not.toBe(old.id)
    expect(fresh.bytes).not.toEqual(old.bytes)
    expect(await keys.opening(old.id)).toBeNull()
    expect(await keys.opening(fresh.id)).toBe(fresh)
  })

  test('takes all keys of a subject, also those that two nodes made at once', async () => {
    const log = await openLog()
    const [one, two] = [await openKeys(log), await openKeys(log)]
    const used: SubjectKey[] = []
    for (let i = 0; i < 10; i++) {
      const hash = await one.hash('', `user ${i}`)
      used.push(...(await Promise.all([one.sealing(hash), two.sealing(hash)])))
    }
    for (let i = 0; i < 10; i++) await two.forget('', `user ${i}`)
    const third = await openKeys(log)
    for (const { id } of used) {
      for (const node of [one, two, third]) {
        await vi.waitFor(async () => expect(await node.opening(id)).toBeNull())
      }
    }
  })

  test('stands against a value that another node writes after the tombstone', async () => {
    const log = await openLog()
    const keys = await openKeys(log)
    const key = await keys.sealing(await keys.hash('', 'ada'))
    const wrapped = JSON.stringify({
      v: 1,
      master: 'a',
      wrapped: Buffer.from('whatever').toString('base64url'),
    })
    await keys.forget('', 'ada')
    await write(log, key.id, wrapped)
    // Whoever sees it buries it again: the last record of the key is a tombstone.
    await vi.waitFor(async () => expect(await lastValue(log, key.id)).toBeNull())
    expect(await keys.opening(key.id)).toBeNull()
    expect(await (await openKeys(log)).opening(key.id)).toBeNull()
  })
})

/** The value of the last record of a key. */
async function lastValue(log: Log, key: string): Promise<string | null | undefined> {
  const { decodeBatches } = await import('@millrace/log')
  const [result] = await log.fetch({
    positions: [{ topic: KEYS_TOPIC, partition: 0, offset: 0, maxBytes: 1 << 20 }],
    minBytes: 1,
    maxBytes: 1 << 20,
    maxWaitMs: 0,
    isolation: 'read_uncommitted',
  })
  let last: string | null | undefined
  for (const batch of decodeBatches(result?.records ?? Buffer.alloc(0))) {
    for (const record of batch.records()) {
      if (record.key?.toString() === key) last = record.value?.toString() ?? null
    }
  }
  return last
}

describe('a new master key', () => {
  const both = { b: MASTER_B, a: MASTER_A }

  test('wraps all keys when they are rotated, and the old one is then not needed', async () => {
    const log = await openLog()
    const first = await openKeys(log)
    const made: SubjectKey[] = []
    for (let i = 0; i < 300; i++) made.push(await first.sealing(await first.hash('', `user ${i}`)))
    await first.forget('', 'user 7')
    const second = await openKeys(log, { provider: memoryKeys(both) })
    const seen: number[] = []
    const report = await second.rotate({ onProgress: ({ looked }) => seen.push(looked) })
    // 300 keys, one of them forgotten, and the secret of the hashes.
    expect(report).toMatchObject({
      master: 'b',
      looked: 300,
      rewrapped: 300,
      failed: 0,
      done: true,
    })
    expect(seen.length).toBeGreaterThan(2)
    expect(await second.rotate()).toMatchObject({ looked: 300, rewrapped: 0, done: true })
    const third = await openKeys(log, { provider: memoryKeys({ b: MASTER_B }) })
    for (const [i, key] of made.entries()) {
      expect(await third.opening(key.id)).toEqual(i === 7 ? null : key)
    }
    expect(await third.hash('', 'user 3')).toBe(await first.hash('', 'user 3'))
    expect(await first.opening((made[3] as SubjectKey).id)).toEqual(made[3])
  })

  test('is taken up where a rotation was stopped', async () => {
    const log = await openLog()
    const first = await openKeys(log)
    for (let i = 0; i < 300; i++) await first.sealing(await first.hash('', `user ${i}`))
    const second = await openKeys(log, { provider: memoryKeys(both) })
    const stop = new AbortController()
    const half = await second.rotate({ signal: stop.signal, onProgress: () => stop.abort() })
    expect(half.done).toBe(false)
    expect(half.rewrapped).toBeGreaterThan(0)
    expect(half.rewrapped).toBeLessThan(301)
    const rest = await second.rotate()
    expect(rest).toMatchObject({ done: true, rewrapped: 301 - half.rewrapped })
  })

  test('leaves keys whose old master key is missing, and names the reason', async () => {
    const log = await openLog()
    const kv = memoryKeyValue()
    const first = await openKeys(log, { kv })
    const key = await first.sealing(await first.hash('', 'ada'))
    await first.close()
    const second = await openKeys(log, { kv, provider: memoryKeys({ b: MASTER_B }) })
    const report = await second.rotate()
    expect(report).toMatchObject({ rewrapped: 0, failed: 2, done: true })
    expect(report.failure).toMatchObject({ code: 'KEY_UNAVAILABLE' })
    await second.close()
    const third = await openKeys(log, { kv })
    expect(await third.opening(key.id)).toEqual(key)
  })

  test('does not bring back a key that is forgotten while it is rotated', async () => {
    const log = await openLog()
    const first = await openKeys(log)
    const made: SubjectKey[] = []
    for (let i = 0; i < 200; i++) made.push(await first.sealing(await first.hash('', `user ${i}`)))
    const second = await openKeys(log, { provider: memoryKeys(both) })
    const forgetting = Array.from({ length: 100 }, (_, i) => first.forget('', `user ${i}`))
    await Promise.all([second.rotate(), ...forgetting])
    await vi.waitFor(async () => {
      const third = await openKeys(log, { provider: memoryKeys(both) })
      for (const [i, { id }] of made.entries()) {
        expect((await third.opening(id)) === null, `user ${i}`).toBe(i < 100)
      }
    })
  })
})

describe('keys that cannot be reached', () => {
  test.each([
    ['the provider is down', { key: () => Promise.reject(new Error('no route')) }],
    ['the master key is lost', { key: () => Promise.resolve(undefined) }],
    ['another key stands under its id', { key: () => Promise.resolve(MASTER_B) }],
    ['the master key is too short', { key: () => Promise.resolve(Buffer.alloc(16)) }],
    ['the provider never answers', { key: () => new Promise<undefined>(() => undefined) }],
  ])('are KEY_UNAVAILABLE, never erased: %s', async (_, broken) => {
    const log = await openLog()
    const first = await openKeys(log)
    const key = await first.sealing(await first.hash('', 'ada'))
    const provider = { currentId: () => Promise.resolve('a'), ...broken }
    const second = await openKeys(log, { provider, timeoutMs: 300 })
    expect(await codeOf(() => second.opening(key.id))).toBe('KEY_UNAVAILABLE')
    expect(await codeOf(() => second.hash('', 'ada'))).toBe('KEY_UNAVAILABLE')
    expect(await codeOf(() => second.sealing('AAAAAAAAAAAAAAAAAAAAAB'))).toBe('KEY_UNAVAILABLE')
  })

  test('do not open under another id than their own, so that nobody can swap them', async () => {
    const log = await openLog()
    const first = await openKeys(log)
    const ada = await first.sealing(await first.hash('', 'ada'))
    const bob = await first.sealing(await first.hash('', 'bob'))
    await write(log, bob.id, (await lastValue(log, ada.id)) as string)
    const second = await openKeys(log)
    expect(await second.opening(ada.id)).toEqual(ada)
    expect(await codeOf(() => second.opening(bob.id))).toBe('KEY_UNAVAILABLE')
  })

  test('are there again when the provider is, without a restart', async () => {
    const log = await openLog()
    const first = await openKeys(log)
    const key = await first.sealing(await first.hash('', 'ada'))
    let up = false
    const working = memoryKeys({ a: MASTER_A })
    const second = await openKeys(log, {
      provider: {
        currentId: () => working.currentId(),
        key: id => (up ? working.key(id) : Promise.reject(new Error('down'))),
      },
    })
    expect(await codeOf(() => second.opening(key.id))).toBe('KEY_UNAVAILABLE')
    up = true
    expect(await second.opening(key.id)).toEqual(key)
    expect(await second.hash('', 'ada')).toBe(await first.hash('', 'ada'))
  })

  test('are KEY_UNAVAILABLE and not erased while the log does not answer', async () => {
    const log = await openLog()
    let down = false
    const flaky = new Proxy(log, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name)
        if (typeof value !== 'function') return value
        return (...args: unknown[]) => {
          if (down && (name === 'fetch' || name === 'listOffsets')) {
            return Promise.reject(new LogError('NOT_LEADER_OR_FOLLOWER'))
          }
          return value.apply(target, args)
        }
      },
    })
    const [writer, reader] = [await openKeys(log), await openKeys(flaky, { timeoutMs: 300 })]
    down = true
    const key = await writer.sealing(await writer.hash('', 'ada'))
    expect(await codeOf(() => reader.opening(key.id))).toBe('KEY_UNAVAILABLE')
    down = false
    await vi.waitFor(async () => expect(await reader.opening(key.id)).toEqual(key), 5000)
  })

  test('refuse a topic that would lose them', async () => {
    const log = await openLog()
    await log.createTopics([{ name: KEYS_TOPIC, partitions: 1, configs: {} }])
    await expect(openKeys(log)).rejects.toMatchObject({ code: 'BAD_TOPIC' })
  })

  test('are found again when what was kept locally is damaged, or of another log', async () => {
    const log = await openLog()
    const first = await openKeys(log)
    const key = await first.sealing(await first.hash('', 'ada'))
    const { topicId } = (await log.describeTopics([KEYS_TOPIC]))[0] as { topicId: string }
    const positions = [
      '',
      'null',
      '{',
      '{"position":1}',
      JSON.stringify({ topicId, position: 999 }),
    ]
    for (const position of positions) {
      const kv = memoryKeyValue()
      await kv.batch([{ type: 'put', key: Buffer.from('Pm'), value: Buffer.from(position) }])
      const again = await openKeys(log, { kv })
      expect(await again.opening(key.id), position).toEqual(key)
    }
  })

  test('say what the log says when it refuses their topic', async () => {
    const log = await openLog()
    await log.close()
    await expect(openKeys(log)).rejects.toMatchObject({
      code: 'STORE_FAILED',
      message: expect.stringContaining(KEYS_TOPIC),
    })
  })

  test('ignore records that others wrote to their topic', async () => {
    const log = await openLog()
    const keys = await openKeys(log)
    const key = await keys.sealing(await keys.hash('', 'ada'))
    for (const [name, value] of [
      ['junk', 'x'],
      [key.id, 'not json'],
      [key.id, '{"v":2}'],
      [key.id, 'null'],
    ] as const) {
      await write(log, name, value)
    }
    const other = await openKeys(log)
    expect(await other.opening(key.id)).toEqual(key)
  })
})
