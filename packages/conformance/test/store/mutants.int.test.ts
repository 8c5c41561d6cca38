// The suite catches a store that breaks one promise: each mutant here is the real store with one
// fault, and the case named with it must fail. (That the case passes without the fault, the run over
// the embedded engine shows.)
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Engine, openEngine } from '@millrace/engine'
import type {
  AppendOptions,
  AppendResult,
  EventFilter,
  EventPage,
  EventStore,
  NewEvent,
  ReadAllOptions,
  ReadOptions,
  StreamRef,
} from '@millrace/store'
import { openStore } from '@millrace/store'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ConformanceCase, storeConformance } from '../../src/store/index.ts'

type Fault = (store: EventStore) => Partial<EventStore>

/** Options without some of their names. */
function without<T extends object>(options: T | undefined, ...names: string[]): T {
  const rest: Record<string, unknown> = { ...options }
  for (const name of names) delete rest[name]
  return rest as T
}

const deafAppend =
  (...names: (keyof AppendOptions)[]): Fault =>
  store => ({
    append: (stream, events, options) => store.append(stream, events, without(options, ...names)),
  })

const changedEvents =
  (change: (event: NewEvent) => NewEvent): Fault =>
  store => ({
    append: (stream, events, options) => store.append(stream, events.map(change), options),
  })

const changedResult =
  (change: (result: AppendResult) => AppendResult): Fault =>
  store => ({
    append: async (stream, events, options) => change(await store.append(stream, events, options)),
  })

const deafRead =
  (...names: (keyof ReadOptions)[]): Fault =>
  store => ({ read: (stream, options) => store.read(stream, without(options, ...names)) })

const deafReadAll =
  (...names: (keyof ReadAllOptions)[]): Fault =>
  store => ({
    readAll: (categories, options) => store.readAll(categories, without(options, ...names)),
  })

const deafFilter =
  (...names: (keyof EventFilter)[]): Fault =>
  store => ({
    readAll: (categories, options) =>
      store.readAll(categories, { ...options, filter: without(options?.filter, ...names) }),
  })

const deafSearch =
  (...names: (keyof EventFilter)[]): Fault =>
  store => ({
    search: (categories, filter, options) =>
      store.search(categories, without(filter, ...names), options),
  })

const changedPages =
  (change: (page: EventPage, before: EventPage | undefined) => EventPage | null): Fault =>
  store => ({
    readAll: async function* (categories, options) {
      let before: EventPage | undefined
      for await (const page of store.readAll(categories, options)) {
        const changed = change(page, before)
        before = page
        if (changed !== null) yield changed
      }
    },
  })

/** Leaves the stream of every call out of its tenant. */
const deafToTenant: Fault = store => ({
  append: (stream, events, options) =>
    store.append(without<StreamRef>(stream, 'tenant'), events, options),
  read: (stream, options) => store.read(without<StreamRef>(stream, 'tenant'), options),
  state: stream => store.state(without<StreamRef>(stream, 'tenant')),
})

const oneByOne: Fault = store => ({
  append: async (stream, events, options) => {
    if (events.length < 2) return store.append(stream, events, options)
    const [first, ...rest] = events
    const begun = await store.append(stream, [first as NewEvent], options)
    if (!begun.ok || begun.duplicate) return begun
    let last = begun
    for (const event of rest) {
      const result = await store.append(stream, [event])
      if (result.ok) last = result
    }
    return { ...begun, version: last.version, lastOffset: last.lastOffset }
  },
})

const FAULTS: readonly (readonly [name: string, fault: Fault, caughtBy: string])[] = [
  [
    'expects nothing of versions',
    deafAppend('expectedVersion'),
    'of many writers that expect the same version exactly one wins, again and again',
  ],
  [
    'forgets command ids',
    deafAppend('commandId'),
    'a repeated command id is answered with the first result and appends nothing',
  ],
  [
    'forgets append ids',
    deafAppend('appendId'),
    'an append id that comes again is answered with the first result',
  ],
  [
    'looks at no condition',
    deafAppend('condition'),
    'a condition after a reading that found nothing still guards',
  ],
  [
    'takes every condition for one from the beginning',
    store => ({
      append: (stream, events, options) => {
        const { condition } = options ?? {}
        if (condition === undefined) return store.append(stream, events, options)
        return store.append(stream, events, { ...options, condition: without(condition, 'after') })
      },
    }),
    'what a lost condition brings is enough to decide again and to be accepted',
  ],
  [
    'looks at no checked stream',
    deafAppend('check'),
    'an append loses where a stream that it rests on has moved on',
  ],
  [
    'writes events one by one',
    oneByOne,
    'appends that expect nothing all succeed, each with versions of its own',
  ],
  [
    'loses metadata',
    deafAppend('metadata'),
    'an event carries all that was said of it and of its append',
  ],
  [
    'loses the correlation',
    deafAppend('correlationId'),
    'correlation, causation and actor stand on every event of an append',
  ],
  [
    'loses the times of events',
    changedEvents(event => without(event, 'time')),
    'events keep the times of their import, equal ones too',
  ],
  [
    'loses the ids of events',
    changedEvents(event => without(event, 'id')),
    'events keep the ids that their writer gave them',
  ],
  [
    'loses tags',
    changedEvents(event => without(event, 'tags')),
    'an event with the tag of a condition stands in its way',
  ],
  [
    'says of every conflict that it is complete',
    changedResult(result => (result.ok ? result : { ...result, complete: true })),
    'a conflict brings at most conflict.events.max events, the earliest, and says so',
  ],
  [
    'brings no events with conflicts',
    changedResult(result => (result.ok ? result : { ...result, events: [] })),
    'a conflict brings what came after the expected version, in order, and says that it is all',
  ],
  [
    'tells no duplicate',
    changedResult(result => (result.ok ? { ...result, duplicate: false } : result)),
    'one command sent many times at once is done once',
  ],
  ['reads from the first event', deafRead('from'), 'a read begins at a version'],
  ['reads to the last event', deafRead('to'), 'a read ends with a version, which is included'],
  ['reads without a limit', deafRead('limit'), 'a read brings as many events as its limit says'],
  ['reads forwards alone', deafRead('backwards'), 'a read goes backwards'],
  [
    'reads whatever the time',
    deafRead('until'),
    'a read up to a time brings what came until then, the time included',
  ],
  [
    'reads whatever the signal',
    deafRead('signal'),
    'a read whose signal has fired fails with its reason, before and in the middle',
  ],
  [
    'begins a read when it is made',
    store => ({
      read: (stream, options) => {
        const reader = store.read(stream, options)
        reader.end().catch(() => undefined)
        return reader
      },
    }),
    'a read is lazy: it begins when the first event is asked for',
  ],
  [
    'follows nothing that comes later',
    store => ({ follow: (stream, options) => store.read(stream, options) }),
    'following a stream brings what is there and then what comes',
  ],
  [
    'follows from the first event',
    store => ({ follow: (stream, options) => store.follow(stream, without(options, 'from')) }),
    'following begins at a version, also at one that is still to come',
  ],
  [
    'knows one tenant',
    deafToTenant,
    'one stream id of two tenants is two streams, with versions of their own',
  ],
  [
    'folds to the last version',
    store => ({ aggregate: (stream, fold) => store.aggregate(stream, fold) }),
    'a stream is folded up to a version',
  ],
  [
    'takes a snapshot of any hash',
    store => ({
      aggregate: (stream, fold, options) => {
        const { snapshot } = fold
        const same =
          snapshot === undefined ? fold : { ...fold, snapshot: { ...snapshot, hash: '' } }
        return store.aggregate(stream, same, options)
      },
    }),
    'a snapshot of another hash is ignored, and made again',
  ],
  [
    'reads all from the beginning',
    deafReadAll('after'),
    'a read goes on from the checkpoint of every page, with pages of every size',
  ],
  [
    'reads all buckets',
    deafReadAll('buckets'),
    'several buckets together bring what each brings, and checkpoints of some go on in all',
  ],
  [
    'reads pages of its own size',
    deafReadAll('pageSize'),
    'a read goes on from the checkpoint of every page, with pages of every size',
  ],
  [
    'reads the default tenant alone',
    deafReadAll('tenant'),
    'a read of all brings the events of one tenant; of all tenants if asked',
  ],
  [
    'reads the events of all tenants',
    store => ({
      readAll: (categories, options) => store.readAll(categories, { ...options, tenant: null }),
    }),
    'a follower of one tenant gets nothing of others, and its checkpoint passes them',
  ],
  [
    'ends where it should follow',
    deafReadAll('follow'),
    'following all streams brings what is there, then what comes',
  ],
  [
    'filters by no type',
    deafFilter('types'),
    'a read with a filter by type and tag brings those events alone, and the checkpoint moves on',
  ],
  [
    'filters by no tag',
    deafFilter('tags'),
    'a follower with a filter gets what matches, and its checkpoint passes what does not',
  ],
  [
    'searches by no correlation',
    deafSearch('correlationId'),
    'a search by correlation finds what matches, and nothing else',
  ],
  [
    'searches by no time',
    deafSearch('since', 'before'),
    'a search by time finds what matches, and nothing else',
  ],
  [
    'loses the last event of a page',
    changedPages(page => ({ ...page, events: page.events.slice(0, -1) })),
    'a read of all brings every event once, in offset order within a bucket',
  ],
  [
    'gives a page the checkpoint of the one before',
    changedPages((page, before) => ({ ...page, checkpoint: (before ?? page).checkpoint })),
    'a read goes on from the checkpoint of every page, with pages of every size',
  ],
  [
    'says of every page that it is the last',
    changedPages(page => ({ ...page, caughtUp: true })),
    'only the last page of a read says that it has caught up',
  ],
  [
    'gives no empty page',
    changedPages(page => (page.events.length === 0 ? null : page)),
    'a read of nothing brings one empty page with a checkpoint that goes on',
  ],
  [
    'gives the events of a page in another order',
    changedPages(page => ({ ...page, events: page.events.toReversed() })),
    'a read of all brings every event once, in offset order within a bucket',
  ],
  [
    'lists streams without a prefix',
    store => ({
      streams: (category, options) => store.streams(category, without(options, 'prefix')),
    }),
    'streams are listed by prefix, after an id, and as many as asked for',
  ],
  [
    'truncates nothing',
    store => ({ truncate: stream => store.state(stream) }),
    'a truncated stream is read from its first remaining event; its version stays',
  ],
  [
    'archives nothing',
    store => ({ archive: stream => store.state(stream) }),
    'an archived stream says so, is read as before and takes no events',
  ],
  [
    'archives where it should delete for good',
    store => ({ tombstone: stream => store.archive(stream) }),
    'a stream that was deleted for good is read empty, keeps its version and takes no events',
  ],
  [
    'takes the present for any time',
    store => ({ at: (categories, _, tenant) => store.now(categories, tenant) }),
    'a checkpoint at a time is before every event from then on',
  ],
  [
    'waits for no checkpoint',
    store => ({ reached: async () => void store.id }),
    'two stores see what each other append, once it is reached',
  ],
  ['closes nothing', () => ({ close: async () => {} }), 'a closed store refuses every call'],
]

describe('a store with one fault fails the case about it', () => {
  const root = mkdtempSync(join(tmpdir(), 'millrace-store-mutants-'))
  let engine: Engine
  beforeAll(async () => {
    engine = await openEngine({ folder: join(root, 'log') })
  })
  afterAll(async () => {
    await engine.close()
    rmSync(root, { recursive: true, force: true })
  })

  /** The case of a name, over stores with a fault. Whatever the fault, they are closed. */
  function faulty(fault: Fault, name: string): ConformanceCase {
    const opened: EventStore[] = []
    const cases = storeConformance({
      place: async () => ({
        open: async options => {
          const store = await openStore({ ...options, log: engine, folder: null })
          opened.push(store)
          return mutant(store, fault(store))
        },
        log: () => engine,
        end: async () => {
          for (const store of opened) await store.close()
        },
      }),
      features: {
        onLog: true,
        restarts: false,
        discards: false,
        severalStores: true,
        ownLogs: false,
      },
    })
    const found = cases.find(one => one.name === name)
    if (found === undefined) throw new Error(`there is no case "${name}"`)
    return found
  }

  test('and one without a fault, wrapped in the same way, fails none', async () => {
    for (const name of new Set(FAULTS.map(([, , caughtBy]) => caughtBy))) {
      await faulty(() => ({}), name).run()
    }
  })

  for (const [name, fault, caughtBy] of FAULTS) {
    test.concurrent(`one that ${name}`, async () => {
      await expect(faulty(fault, caughtBy).run()).rejects.toThrow()
    })
  }
})

/** The store, but for what the fault does in its own way. */
function mutant(store: EventStore, fault: Partial<EventStore>): EventStore {
  return new Proxy(store, {
    get: (target, name) => {
      const own = Reflect.get(fault, name) ?? Reflect.get(target, name)
      return typeof own === 'function' && !Reflect.has(fault, name) ? own.bind(target) : own
    },
  })
}
