/** Personal data through the store: users of a shop, their orders, and what is left when they go. */
import { join } from 'node:path'
import type { Engine } from '@millrace/engine'
import {
  ERASED,
  type EventStore,
  type Fold,
  type Json,
  memoryKeys,
  openStore,
  type RecordedEvent,
  rotateKeys,
  type StoreOptions,
} from '@millrace/store'
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import {
  codeOf,
  filesWith,
  KEYS_TOPIC,
  MASTER_A,
  MASTER_B,
  openLog,
  temporaryFolder,
} from './support.ts'

const CATEGORIES: StoreOptions['categories'] = {
  user: {
    buckets: 2,
    events: {
      Registered: {
        personal: { fields: ['name', 'mail'] },
        tags: data => [`plan:${(data as { plan?: string }).plan}`],
      },
      Moved: { personal: { fields: ['address'] } },
    },
  },
  order: {
    buckets: 2,
    events: { Placed: { personal: { fields: ['shipTo'], subject: 'user' } } },
  },
}

const NAME = 'Ada Lovelace-Byron'
const STREET = 'Ockham Park 1815'
const user = (id: string) => ({ category: 'user', id })
const order = (id: string) => ({ category: 'order', id })

type Profile = { readonly name: string; readonly moves: number }
const PROFILE: Fold<Profile> = {
  initial: () => ({ name: '', moves: 0 }),
  evolve: (state, { type, data }) =>
    type === 'Registered'
      ? { ...state, name: (data as { name: string }).name }
      : { ...state, moves: state.moves + 1 },
  snapshot: { name: 'profile', hash: 'v1', every: 5 },
}

let folder = ''
let index = ''
let log: Engine

beforeEach(async () => {
  folder = temporaryFolder()
  index = join(temporaryFolder(), 'index')
  log = await openLog(folder)
})

async function open(options: Partial<StoreOptions> = {}): Promise<EventStore> {
  const store = await openStore({
    log,
    folder: null,
    categories: CATEGORIES,
    keys: memoryKeys({ a: MASTER_A }),
    ...options,
  })
  onTestFinished(() => store.close())
  return store
}

/** Two users; the first has moved six times and has two orders. */
async function fill(store: EventStore): Promise<void> {
  const registered = (name: string): { type: string; data: Json } => ({
    type: 'Registered',
    data: { name, mail: `${name}@example.org`, plan: 'free' },
  })
  const moved = { type: 'Moved', data: { address: STREET } }
  await store.append(user('u-1'), [registered(NAME)])
  await store.append(user('u-1'), [moved, moved, moved])
  await store.append(user('u-1'), [moved, moved, moved])
  await store.append(user('u-2'), [registered('Bob')])
  for (const [id, by] of [
    ['o-1', 'u-1'],
    ['o-2', 'u-1'],
    ['o-3', 'u-2'],
  ] as const) {
    await store.append(order(id), [
      { type: 'Placed', data: { user: by, shipTo: [STREET], total: 9 } },
    ])
  }
}

const eventsOf = async (store: EventStore, stream: { category: string; id: string }) =>
  (await store.read(stream).all()).events

/** Every event of the store, by every way of reading. */
async function everyWay(store: EventStore): Promise<readonly RecordedEvent[][]> {
  const ways: RecordedEvent[][] = [[], [], [], [], []]
  for await (const page of store.readAll(['user', 'order'])) ways[0]?.push(...page.events)
  for await (const page of store.search(['user', 'order'], { since: 0 }))
    ways[1]?.push(...page.events)
  const streams = [user('u-1'), user('u-2'), order('o-1'), order('o-2'), order('o-3')]
  for (const stream of streams) {
    ways[2]?.push(...(await eventsOf(store, stream)))
    const fold = {
      initial: (): RecordedEvent[] => [],
      evolve: (list: RecordedEvent[], event: RecordedEvent) => [...list, event],
    }
    ways[3]?.push(...(await store.aggregate(stream, fold)).state)
    const lost = await store.append(stream, [], { expectedVersion: 0 })
    if (!lost.ok) ways[4]?.push(...lost.events)
  }
  return ways
}

describe('personal fields', () => {
  test('read as they were written, by every way of reading, and are never in clear on disk', async () => {
    const store = await open({ folder: index })
    await fill(store)
    for (const events of await everyWay(store)) {
      expect(events).toHaveLength(11)
      expect(events.every(({ erased }) => erased === undefined)).toBe(true)
      const texts = events.map(({ data }) => JSON.stringify(data))
      expect(texts.filter(text => text.includes(NAME))).toHaveLength(1)
      expect(texts.filter(text => text.includes(STREET))).toHaveLength(9)
    }
    await store.aggregate(user('u-1'), PROFILE)
    await store.close()
    for (const secret of [NAME, STREET, 'Bob@example.org', 'Lovelace']) {
      expect(filesWith(folder, secret), secret).toEqual([])
      expect(filesWith(index, secret), secret).toEqual([])
    }
    expect(filesWith(folder, '"plan":"free"')).not.toEqual([])
    const again = await open({ folder: index })
    expect((await eventsOf(again, user('u-1')))[0]?.data).toMatchObject({ name: NAME })
  })

  test('are found by tags that hold nothing of them', async () => {
    const store = await open()
    await fill(store)
    const found: string[] = []
    for await (const page of store.search(['user'], { tags: ['plan:free'] })) {
      found.push(...page.events.map(({ stream }) => stream))
    }
    expect(found.sort()).toEqual(['u-1', 'u-2'])
  })

  test('open before they are brought to the present schema, whatever they are called now', async () => {
    const first = await open()
    await first.append(user('u-1'), [{ type: 'Registered', data: { name: NAME } }])
    await first.close()
    const renamed = await open({
      categories: {
        user: {
          buckets: 2,
          events: {
            Registered: {
              upcast: [data => ({ fullName: (data as { name: string }).name })],
              personal: { fields: ['fullName'] },
            },
          },
        },
      },
    })
    await renamed.append(user('u-1'), [{ type: 'Registered', data: { fullName: 'Countess' } }])
    const names = async () =>
      (await eventsOf(renamed, user('u-1'))).map(
        ({ data }) => (data as { fullName: string }).fullName,
      )
    expect(await names()).toEqual([NAME, 'Countess'])
    await renamed.forget('u-1')
    expect(await names()).toEqual([ERASED, ERASED])
  })

  test('need a key provider, and the error names the type', async () => {
    const opening = openStore({ log, folder: null, categories: CATEGORIES })
    await expect(opening).rejects.toMatchObject({
      code: 'BAD_ARGUMENT',
      message: expect.stringContaining('Registered'),
    })
  })

  test('are KEY_UNAVAILABLE when the master key is lost; all else goes on', async () => {
    const first = await open()
    await fill(first)
    await first.append({ category: 'order', id: 'o-9' }, [{ type: 'Noted', data: 1 }])
    await first.close()
    const store = await open({ keys: memoryKeys({ b: MASTER_B }) })
    expect(await codeOf(() => store.read(user('u-1')).all())).toBe('KEY_UNAVAILABLE')
    expect(await codeOf(() => store.aggregate(user('u-1'), PROFILE))).toBe('KEY_UNAVAILABLE')
    expect(await codeOf(() => store.forget('u-1'))).toBe('KEY_UNAVAILABLE')
    const moved = { type: 'Moved', data: { address: 'x' } }
    expect(await codeOf(() => store.append(user('u-3'), [moved]))).toBe('KEY_UNAVAILABLE')
    expect((await eventsOf(store, order('o-9')))[0]?.data).toBe(1)
    expect(await store.append(order('o-9'), [{ type: 'Noted', data: 2 }])).toMatchObject({
      ok: true,
    })
    expect((await store.state(user('u-3'))).version).toBe(0)
  })
})

describe('forgetting', () => {
  test('erases the fields of one subject in all streams, by every way of reading', async () => {
    const store = await open({ folder: index })
    await fill(store)
    const report = await store.forget('u-1')
    expect(report).toMatchObject({ subject: 'u-1', known: true, events: 9 })
    expect(report.streams.map(({ category, id }) => `${category}/${id}`).sort()).toEqual([
      'order/o-1',
      'order/o-2',
      'user/u-1',
    ])
    expect(report.keyGoneBy).toBeGreaterThan(Date.now())
    for (const events of await everyWay(store)) {
      expect(events).toHaveLength(11)
      for (const event of events) {
        const data = event.data as Record<string, Json>
        const own = event.stream === 'u-1' || data['user'] === 'u-1'
        expect(event.erased !== undefined, `${event.stream}/${event.version}`).toBe(own)
      }
      const texts = JSON.stringify(events.map(({ data }) => data))
      expect(texts).not.toContain(NAME)
      expect(texts).toContain('Bob@example.org')
    }
    const [first] = await eventsOf(store, user('u-1'))
    expect(first).toMatchObject({
      data: { name: ERASED, mail: ERASED, plan: 'free' },
      erased: ['name', 'mail'],
    })
    expect(await store.forget('u-1')).toMatchObject({ known: false, events: 9 })
    await store.close()
    for (const secret of [NAME, STREET]) {
      expect([...filesWith(folder, secret), ...filesWith(index, secret)], secret).toEqual([])
    }
    const again = await open({ folder: index })
    expect((await eventsOf(again, user('u-1')))[0]?.erased).toEqual(['name', 'mail'])
  })

  test('concerns one tenant, and not the same subject of another', async () => {
    const store = await open()
    const moved = { type: 'Moved', data: { address: STREET } }
    for (const tenant of ['a', 'b']) await store.append({ ...user('u-1'), tenant }, [moved])
    expect(await store.forget('u-1')).toMatchObject({ known: false, events: 0 })
    expect(await store.forget('u-1', { tenant: 'a' })).toMatchObject({ known: true, events: 1 })
    const of = async (tenant: string) => (await store.event({ ...user('u-1'), tenant }, 1))?.data
    expect(await of('a')).toEqual({ address: ERASED })
    expect(await of('b')).toEqual({ address: STREET })
  })

  test('is seen by other stores on the log, which had the fields in memory', async () => {
    const [one, two] = [await open(), await open()]
    await fill(one)
    await two.catchUp()
    expect((await two.aggregate(user('u-1'), PROFILE)).state.name).toBe(NAME)
    await one.forget('u-1')
    await vi.waitFor(async () =>
      expect((await two.aggregate(user('u-1'), PROFILE)).state.name).toBe(ERASED),
    )
    expect((await two.event(order('o-1'), 1))?.erased).toEqual(['shipTo'])
  })

  test('leaves a subject that comes back readable from then on, and not before', async () => {
    const store = await open()
    await fill(store)
    await store.forget('u-1')
    await store.append(user('u-1'), [{ type: 'Moved', data: { address: 'St James’s Square' } }])
    const events = await eventsOf(store, user('u-1'))
    expect(events.map(({ erased }) => erased !== undefined)).toEqual([
      ...Array(7).fill(true),
      false,
    ])
    expect(await store.forget('u-1')).toMatchObject({ known: true, events: 10 })
    expect((await store.event(user('u-1'), 8))?.erased).toEqual(['address'])
  })

  test('takes the wrapped key from the medium by the next compaction', async () => {
    const store = await open({ settings: { 'keys.gone.ms': 121_000 } })
    await fill(store)
    const lag = (await log.describeConfig(KEYS_TOPIC)).find(
      ({ name }) => name === 'max.compaction.lag.ms',
    )
    expect(lag?.value).toBe('1000')
    const wrapped = await wrappedKeys(log)
    expect(wrapped).toHaveLength(3)
    await store.forget('u-1')
    let left: string[] = []
    // A record stays for half of the lag at least, counted from when its segment was closed.
    await vi.waitFor(
      async () => {
        await log.compactNow(KEYS_TOPIC)
        left = await wrappedKeys(log)
        expect(left).toHaveLength(2)
      },
      { timeout: 10_000, interval: 100 },
    )
    const [gone] = wrapped.filter(text => !left.includes(text)) as [string]
    // Asked for, it takes the copies in the journal, too.
    expect(filesWith(folder, gone)).toEqual([])
    expect(filesWith(folder, left[0] as string)).not.toEqual([])
  })
})

/** The wrapped keys that a reader of the keys topic is given. */
async function wrappedKeys(engine: Engine): Promise<string[]> {
  const { decodeBatches } = await import('@millrace/log')
  const [result] = await engine.fetch({
    positions: [{ topic: KEYS_TOPIC, partition: 0, offset: 0, maxBytes: 1 << 20 }],
    minBytes: 1,
    maxBytes: 1 << 20,
    maxWaitMs: 0,
    isolation: 'read_uncommitted',
  })
  const found: string[] = []
  for (const batch of decodeBatches(result?.records ?? Buffer.alloc(0))) {
    for (const { value } of batch.records()) {
      if (value !== null) found.push((JSON.parse(value.toString()) as { wrapped: string }).wrapped)
    }
  }
  return found
}

describe('snapshots of personal data', () => {
  test('save folding, are sealed on disk, and go when the subject goes', async () => {
    const store = await open({ folder: index })
    await fill(store)
    expect(await store.aggregate(user('u-1'), PROFILE)).toMatchObject({ snapshotVersion: 0 })
    expect(await store.aggregate(user('u-1'), PROFILE)).toMatchObject({
      snapshotVersion: 7,
      state: { name: NAME, moves: 6 },
    })
    await store.close()
    const again = await open({ folder: index })
    await vi.waitFor(async () =>
      expect(await again.aggregate(user('u-1'), PROFILE)).toMatchObject({
        snapshotVersion: 7,
        state: { name: NAME },
      }),
    )
    expect([...filesWith(folder, NAME), ...filesWith(index, NAME)]).toEqual([])
    const report = await again.forget('u-1')
    expect(report).toMatchObject({ snapshots: 1 })
    expect(await again.aggregate(user('u-1'), PROFILE)).toMatchObject({
      snapshotVersion: 0,
      state: { name: ERASED, moves: 6 },
    })
    // The state without the fields is kept again, for anybody to read.
    expect(await again.aggregate(user('u-1'), PROFILE)).toMatchObject({
      snapshotVersion: 7,
      state: { name: ERASED, moves: 6 },
    })
  })

  test('carry the subjects of the snapshot that they were folded from', async () => {
    const store = await open({ folder: index })
    await fill(store)
    await store.aggregate(user('u-1'), PROFILE)
    // Nothing personal comes after the snapshot, yet the name is in the state.
    for (let i = 0; i < 6; i++) await store.append(user('u-1'), [{ type: 'Seen', data: i }])
    expect(await store.aggregate(user('u-1'), PROFILE)).toMatchObject({ snapshotVersion: 7 })
    expect(await store.aggregate(user('u-1'), PROFILE)).toMatchObject({
      snapshotVersion: 13,
      state: { name: NAME },
    })
    await store.close()
    expect(filesWith(folder, '"version":13,')).not.toEqual([])
    expect([...filesWith(folder, NAME), ...filesWith(index, NAME)]).toEqual([])
  })
})

test('snapshots go with the events when a stream is truncated or deleted', async () => {
  const store = await open()
  const plain = {
    initial: () => 0,
    evolve: (n: number) => n + 1,
    snapshot: { name: 'n', hash: 'h', every: 2 },
  }
  for (const id of ['a', 'b']) {
    await store.append(
      order(id),
      [1, 2, 3, 4].map(data => ({ type: 'Noted', data })),
    )
    await store.aggregate(order(id), plain)
    expect(await store.aggregate(order(id), plain)).toMatchObject({ snapshotVersion: 4, state: 4 })
  }
  await store.truncate(order('a'), 3)
  expect(await store.aggregate(order('a'), plain)).toMatchObject({ snapshotVersion: 0, state: 2 })
  await store.tombstone(order('b'))
  expect(await store.aggregate(order('b'), plain)).toMatchObject({ snapshotVersion: 0, state: 0 })
})

test('a state that is no JSON is folded each time, and the operator hears of it', async () => {
  const told = vi.fn()
  const store = await open({ onEvent: told })
  await fill(store)
  const fold = {
    initial: () => new Map<string, number>(),
    evolve: (state: Map<string, number>, { type }: RecordedEvent) => new Map(state).set(type, 1),
    snapshot: { name: 'types', hash: 'h', every: 1 },
  }
  for (let i = 0; i < 3; i++) {
    const { state, snapshotVersion } = await store.aggregate(user('u-1'), fold)
    expect([...state.keys()]).toEqual(['Registered', 'Moved'])
    expect(snapshotVersion).toBe(0)
  }
  expect(told).toHaveBeenCalledExactlyOnceWith(
    expect.objectContaining({ kind: 'snapshot-unfit', category: 'user', name: 'types' }),
  )
})

test('the master key is rotated beside open stores, which go on reading and writing', async () => {
  const both = memoryKeys({ b: MASTER_B, a: MASTER_A })
  const store = await open({ keys: memoryKeys({ a: MASTER_A }) })
  await fill(store)
  expect(await rotateKeys({ log, keys: both })).toMatchObject({
    master: 'b',
    // Two users and the secret of the hashes.
    rewrapped: 3,
    failed: 0,
    done: true,
  })
  expect((await eventsOf(store, user('u-1')))[0]?.data).toMatchObject({ name: NAME })
  const later = await open({ keys: memoryKeys({ b: MASTER_B }) })
  expect((await eventsOf(later, user('u-1')))[0]?.data).toMatchObject({ name: NAME })
  expect(await later.forget('u-1')).toMatchObject({ known: true, events: 9 })
})
