import { systemOutside } from '@millrace/base'
import { createProducer } from '@millrace/clients'
import { type Log, LogError } from '@millrace/log'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { memoryKeyValue } from '../../src/kv/memory.ts'
import { Snapshots, type SnapshotsOptions } from '../../src/snapshots/snapshots.ts'
import { filesWith, openKeys, openLog, temporaryFolder } from '../personal/support.ts'

const TOPIC = '__millrace.snapshots'
const NONE: ReadonlySet<string> = new Set()
const loan = { tenant: '', category: 'loans', stream: 'l-1' }

async function open(log: Log, options: Partial<SnapshotsOptions> = {}): Promise<Snapshots> {
  const snapshots = await Snapshots.open({
    log,
    topic: TOPIC,
    kv: memoryKeyValue(),
    keys: undefined,
    outside: systemOutside(),
    cached: 100,
    bytesMax: 64 * 1024,
    queueBytes: 1 << 20,
    tailWaitMs: 200,
    tailFetchBytes: 1 << 20,
    ...options,
  })
  onTestFinished(() => snapshots.close())
  return snapshots
}

/** Writes a record as somebody else would. */
async function write(log: Log, key: string, value: string): Promise<void> {
  const producer = createProducer(log)
  onTestFinished(() => producer.close())
  await producer.send(TOPIC, { key, value })
}

describe('a snapshot', () => {
  test('is found by its own name, hash, stream, category and tenant alone', async () => {
    const it = await open(await openLog())
    it.save(loan, 'loan', 'h1', { version: 7, state: { n: 7 } }, NONE)
    expect(it.load(loan, 'loan', 'h1')).toMatchObject({ version: 7, state: { n: 7 } })
    expect(it.load(loan, 'loan', 'h2')).toBeUndefined()
    expect(it.load(loan, 'other', 'h1')).toBeUndefined()
    for (const other of [{ stream: 'l-2' }, { category: 'x' }, { tenant: 't' }]) {
      expect(it.load({ ...loan, ...other }, 'loan', 'h1')).toBeUndefined()
    }
  })

  test('comes from memory without I/O once it was loaded or saved', async () => {
    const kv = memoryKeyValue()
    const it = await open(await openLog(), { kv })
    it.save(loan, 'loan', 'h', { version: 1, state: { n: 1 } }, NONE)
    await it.flush()
    const read = vi.spyOn(kv, 'getSync')
    const first = it.load(loan, 'loan', 'h')
    expect(it.load(loan, 'loan', 'h')).toBe(first)
    expect(read).not.toHaveBeenCalled()
  })

  test('is found by other nodes and after a restart, the newest one', async () => {
    const log = await openLog()
    const kv = memoryKeyValue()
    const [one, two] = [await open(log, { kv }), await open(log)]
    for (let version = 1; version <= 300; version++) {
      one.save(loan, 'loan', 'h', { version, state: { version } }, NONE)
    }
    await one.flush()
    await vi.waitFor(() => expect(two.load(loan, 'loan', 'h')).toMatchObject({ version: 300 }))
    expect(two.load(loan, 'loan', 'other code')).toBeUndefined()
    // A newer one takes the place of what the other node has in memory.
    one.save(loan, 'loan', 'h', { version: 301, state: 'x' }, NONE)
    await vi.waitFor(() => expect(two.load(loan, 'loan', 'h')).toMatchObject({ version: 301 }))
    await one.close()
    const again = await open(log, { kv })
    await vi.waitFor(() => expect(again.load(loan, 'loan', 'h')).toMatchObject({ version: 301 }))
  })

  test('that is older than the one in memory does not take its place', async () => {
    const it = await open(await openLog())
    it.save(loan, 'loan', 'h', { version: 9, state: 9 }, NONE)
    it.save(loan, 'loan', 'h', { version: 5, state: 5 }, NONE)
    await it.flush()
    expect(it.load(loan, 'loan', 'h')).toMatchObject({ version: 9, state: 9 })
  })

  test('cannot be changed by who loads it, nor by who saved it', async () => {
    const it = await open(await openLog())
    const state = { list: [1] }
    it.save(loan, 'loan', 'h', { version: 1, state }, NONE)
    state.list.push(2)
    const kept = (await it.load(loan, 'loan', 'h')) as { state: { list: number[] } }
    expect(kept.state).toEqual({ list: [1] })
    expect(() => kept.state.list.push(3)).toThrow(TypeError)
  })

  test('is ignored when it is damaged, or something else', async () => {
    const log = await openLog()
    const kv = memoryKeyValue()
    const it = await open(log, { kv })
    const key = '\0loans\0l-1\0loan'
    for (const value of [
      '',
      '{',
      'null',
      '{"v":2}',
      '{"v":1,"hash":"h"}',
      '{"v":1,"hash":"h","version":0,"state":1}',
    ]) {
      await write(log, key, value)
      await vi.waitFor(() => expect(kv.getSync(Buffer.from(`S\x01${key}`))?.toString()).toBe(value))
      expect(it.load(loan, 'loan', 'h'), value).toBeUndefined()
    }
  })

  test('of a state that is not JSON or too large is not kept, and that is told once', async () => {
    const told = vi.fn()
    const it = await open(await openLog(), { onUnfit: told })
    const states = [new Map(), { at: new Date() }, undefined, 'x'.repeat(64 * 1024)]
    for (const state of states) it.save(loan, 'loan', 'h', { version: 1, state }, NONE)
    expect(it.load(loan, 'loan', 'h')).toBeUndefined()
    expect(told).toHaveBeenCalledExactlyOnceWith('loans', 'loan', expect.stringContaining('Map'))
    it.save(loan, 'loan', 'h', { version: 1, state: 'x'.repeat(64 * 1024 - 2) }, NONE)
    expect(it.load(loan, 'loan', 'h')).toMatchObject({ version: 1 })
  })

  test('is dropped, without a failure, when too many wait or the log refuses', async () => {
    const log = await openLog()
    let down = false
    const refusing = new Proxy(log, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name)
        if (typeof value !== 'function') return value
        return (...args: unknown[]) =>
          down && name === 'append'
            ? Promise.reject(new LogError('INVALID_REQUEST'))
            : value.apply(target, args)
      },
    })
    const it = await open(refusing, { queueBytes: 65_536 })
    down = true
    for (let i = 0; i < 50; i++) {
      const state = 'x'.repeat(10_000)
      it.save({ ...loan, stream: `l-${i}` }, 'loan', 'h', { version: 1, state }, NONE)
    }
    await it.flush()
    expect(it.dropped).toBe(50)
    down = false
    it.save(loan, 'loan', 'h', { version: 2, state: 1 }, NONE)
    await it.flush()
    expect(it.dropped).toBe(50)
    const other = await open(log)
    await vi.waitFor(() => expect(other.load(loan, 'loan', 'h')).toMatchObject({ version: 2 }))
  })

  test('can be removed with all others of its stream, and only those', async () => {
    const log = await openLog()
    const [one, two] = [await open(log), await open(log)]
    const ten = { ...loan, stream: 'l-10' }
    one.save(loan, 'a', 'h', { version: 1, state: 1 }, NONE)
    one.save(loan, 'b', 'h', { version: 1, state: 1 }, NONE)
    one.save(ten, 'a', 'h', { version: 1, state: 1 }, NONE)
    await one.flush()
    expect(await one.remove([loan])).toBe(2)
    expect(await one.remove([loan])).toBe(0)
    expect(one.load(loan, 'a', 'h')).toBeUndefined()
    expect(one.load(ten, 'a', 'h')).toMatchObject({ version: 1 })
    await vi.waitFor(() => expect(two.load(ten, 'a', 'h')).toMatchObject({ version: 1 }))
    expect(two.load(loan, 'b', 'h')).toBeUndefined()
  })
})

describe('a snapshot of personal data', () => {
  const setUp = async () => {
    const folder = temporaryFolder()
    const log = await openLog(folder)
    const keys = await openKeys(log)
    const [ada, bob] = await Promise.all(
      ['ada', 'bob'].map(async name => (await keys.sealing(await keys.hash('', name))).id),
    )
    const used: ReadonlySet<string> = new Set([ada as string, bob as string])
    return { folder, log, keys, used, it: await open(log, { keys }) }
  }

  test('lies on disk sealed, and opens on every node that has the keys', async () => {
    const { folder, log, used, it } = await setUp()
    const state = { name: 'Ada Lovelace-Byron' }
    it.save(loan, 'loan', 'h', { version: 3, state }, used)
    await it.flush()
    expect(it.load(loan, 'loan', 'h')).toMatchObject({ version: 3, state })
    expect(filesWith(folder, 'Lovelace')).toEqual([])
    const other = await open(log, { keys: await openKeys(log) })
    await vi.waitFor(async () =>
      expect(await other.load(loan, 'loan', 'h')).toMatchObject({ state, keys: [...used] }),
    )
    // Who has no keys has read past it once it has what was saved behind it.
    const without = await open(log)
    it.save(loan, 'loan', 'behind', { version: 1, state: { name: 'nobody' } }, new Set())
    await it.flush()
    await vi.waitFor(async () =>
      expect(await without.load(loan, 'loan', 'behind')).toMatchObject({ version: 1 }),
    )
    expect(without.load(loan, 'loan', 'h')).toBeUndefined()
  })

  test('is gone from memory and cannot be read again when one of its subjects is forgotten', async () => {
    const { log, keys, used, it } = await setUp()
    const otherKeys = await openKeys(log)
    const other = await open(log, { keys: otherKeys })
    it.save(loan, 'loan', 'h', { version: 3, state: { name: 'Ada' } }, used)
    await vi.waitFor(async () =>
      expect(await other.load(loan, 'loan', 'h')).toMatchObject({ version: 3 }),
    )
    await keys.forget('', 'ada')
    expect(await it.load(loan, 'loan', 'h')).toBeUndefined()
    await vi.waitFor(async () => expect(await other.load(loan, 'loan', 'h')).toBeUndefined())
    // What was folded before, and is saved after it, is not kept either.
    it.save(loan, 'loan', 'h', { version: 4, state: { name: 'Ada' } }, used)
    await it.flush()
    expect(await it.load(loan, 'loan', 'h')).toBeUndefined()
  })

  test('is neither kept nor handed out when a subject is forgotten while a key is on its way', async () => {
    const { log, keys, used, it } = await setUp()
    it.save(loan, 'loan', 'h', { version: 3, state: { name: 'Ada' } }, used)
    await it.flush()
    // Keys that come when they are let go, as from a node far away.
    const late: (() => void)[] = []
    const gone = new Set<string>()
    const slow = await open(log, {
      keys: {
        onForgotten: () => () => undefined,
        isGone: id => gone.has(id),
        opening: async id => {
          await new Promise<void>(resolve => late.push(resolve))
          return keys.opening(id)
        },
      },
    })
    const [ada] = [...used] as [string]
    const begun = (): Promise<void> => vi.waitFor(() => expect(late).toHaveLength(2))
    let loading: unknown
    await vi.waitFor(() => {
      loading = slow.load(loan, 'loan', 'h')
      expect(loading).toBeInstanceOf(Promise)
    })
    await begun()
    gone.add(ada)
    for (const go of late.splice(0)) go()
    expect(await loading).toBeUndefined()
    gone.clear()
    slow.save({ ...loan, stream: 'l-2' }, 'loan', 'h', { version: 9, state: {} }, used)
    await begun()
    gone.add(ada)
    for (const go of late.splice(0)) go()
    await new Promise(resolve => setImmediate(resolve))
    await slow.flush()
    const other = await open(log, { keys })
    await vi.waitFor(async () => expect(await other.load(loan, 'loan', 'h')).toBeDefined())
    expect(await other.load({ ...loan, stream: 'l-2' }, 'loan', 'h')).toBeUndefined()
  })
})
