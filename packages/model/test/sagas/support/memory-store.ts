// An event store in memory, as far as sagas need one, that can be made to die at any step: what it
// was asked then may have happened or not, and nothing works any more until it is revived.
import {
  type Appended,
  type AppendOptions,
  type AppendResult,
  type CategoryDescription,
  type Checkpoint,
  decodeCheckpoint,
  type EventPage,
  type EventStore,
  encodeCheckpoint,
  type Fold,
  type Json,
  type NewEvent,
  type ReadAllOptions,
  type RecordedEvent,
  type StreamRef,
} from '@millrace/store'

const LOG = 'memory'

export class Died extends Error {
  override readonly name = 'Died'
}

/** What outlives a node: the log. */
export class EventLog {
  readonly buckets: number
  /** By category, by bucket. */
  readonly partitions = new Map<string, RecordedEvent[][]>()
  readonly streams = new Map<string, RecordedEvent[]>()
  #wake = Promise.withResolvers<void>()
  now: () => number

  constructor(categories: readonly string[], buckets: number, now: () => number) {
    this.buckets = buckets
    this.now = now
    for (const category of categories)
      this.partitions.set(
        category,
        Array.from({ length: buckets }, () => []),
      )
  }

  /** What stands before "-" is the boundary. */
  bucketOf(id: string): number {
    let hash = 7
    for (const char of id.split('-')[0] ?? '') hash = (hash * 31 + char.charCodeAt(0)) >>> 0
    return hash % this.buckets
  }

  stream({ tenant = '', category, id }: StreamRef): RecordedEvent[] {
    const key = `${tenant}/${category}/${id}`
    const stream = this.streams.get(key) ?? []
    this.streams.set(key, stream)
    return stream
  }

  append(ref: StreamRef, events: readonly NewEvent[], options: AppendOptions = {}): AppendResult {
    const stream = this.stream(ref)
    const { expectedVersion = 'any' } = options
    const version = stream.length
    if (typeof expectedVersion === 'number' && expectedVersion !== version)
      return {
        ok: false,
        conflict: 'version',
        version,
        events: [],
        complete: false,
        checkpoint: '',
      }
    const bucket = this.bucketOf(ref.id)
    const log = this.partitions.get(ref.category)?.[bucket]
    if (log === undefined) throw new Error(`no category ${ref.category}`)
    const firstOffset = log.length
    for (const { type, data, time } of events) {
      const recorded: RecordedEvent = {
        ...{ type, data: JSON.parse(JSON.stringify(data)) as Json, tenant: ref.tenant ?? '' },
        ...{ category: ref.category, stream: ref.id, version: stream.length + 1 },
        ...{ id: `${ref.category}/${ref.id}@${stream.length + 1}`, schemaVersion: 1, tags: [] },
        ...{ time: time ?? Math.max(this.now(), stream.at(-1)?.time ?? 0), metadata: {} },
        ...{ appendId: '', bucket, offset: log.length },
      }
      const last = stream.at(-1)
      if (last !== undefined && recorded.time < last.time) throw new Error('time falls')
      stream.push(recorded)
      log.push(recorded)
    }
    this.#wake.resolve()
    this.#wake = Promise.withResolvers()
    const places = { firstVersion: version + 1, version: stream.length, bucket, firstOffset }
    const result: Appended = {
      ...{ ok: true, appendId: '', duplicate: false, lastOffset: log.length - 1 },
      ...places,
      checkpoint: this.checkpoint(
        [ref.category],
        new Map([[ref.category, new Map([[bucket, log.length]])]]),
      ),
    }
    return result
  }

  checkpoint(
    categories: readonly string[],
    positions: ReadonlyMap<string, ReadonlyMap<number, number>>,
  ): Checkpoint {
    const own = new Map([...positions].filter(([category]) => categories.includes(category)))
    return encodeCheckpoint({ log: LOG, tenant: null, positions: own })
  }

  end(categories: readonly string[]): Checkpoint {
    const positions = new Map(
      categories.map(category => [
        category,
        new Map(this.partitions.get(category)?.map((log, bucket) => [bucket, log.length])),
      ]),
    )
    return this.checkpoint(categories, positions)
  }

  woken(signal: AbortSignal | undefined): Promise<void> {
    const { promise } = this.#wake
    if (signal === undefined) return promise
    const aborted = new Promise<void>(resolve => {
      if (signal.aborted) resolve()
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
    return Promise.race([promise, aborted])
  }
}

/** One node's store over the log. `die(step)` may throw at any of its steps. */
export function memoryStore(log: EventLog, die: (step: string) => void = () => {}): EventStore {
  async function* readAll(
    categories: readonly string[],
    options: ReadAllOptions = {},
  ): AsyncGenerator<EventPage> {
    const { follow = false, signal, pageSize = 1000, filter } = options
    const from = options.after === undefined ? new Map() : decodeCheckpoint(options.after).positions
    const buckets = options.buckets ?? Array.from({ length: log.buckets }, (_, bucket) => bucket)
    const next = new Map(
      categories.map(category => [
        category,
        new Map(buckets.map(bucket => [bucket, (from.get(category)?.get(bucket) as number) ?? 0])),
      ]),
    )
    for (let told = false; !signal?.aborted; ) {
      die('read')
      const woken = log.woken(signal)
      const events: RecordedEvent[] = []
      let caughtUp = true
      for (const [category, places] of next) {
        for (const [bucket, at] of places) {
          const all = log.partitions.get(category)?.[bucket] ?? []
          const some = all.slice(at, at + Math.max(0, pageSize - events.length))
          places.set(bucket, at + some.length)
          if (at + some.length < all.length) caughtUp = false
          for (const event of some)
            if (filter?.types === undefined || filter.types.includes(event.type)) events.push(event)
        }
      }
      if (events.length > 0 || (caughtUp && !told))
        yield { events, checkpoint: log.checkpoint(categories, next), caughtUp }
      told = caughtUp
      if (caughtUp && !follow) return
      if (caughtUp) await woken
    }
  }
  const store: Partial<EventStore> = {
    id: LOG,
    append: async (ref, events, options) => {
      die('before append')
      const result = log.append(ref, events, options)
      die('after append')
      await Promise.resolve()
      return result
    },
    aggregate: async <State>(ref: StreamRef, fold: Fold<State>) => {
      die('load')
      const events = log.stream(ref)
      let state = fold.initial()
      for (const event of events) state = fold.evolve(state, event)
      const version = events.length
      const base = { version, stateVersion: version, snapshotVersion: 0, checkpoint: '' }
      return { ...base, state, archived: false, tombstoned: false }
    },
    event: async (ref, version) => {
      die('event')
      return log.stream(ref)[version - 1]
    },
    read: (ref, { from = 1, to = Number.POSITIVE_INFINITY, limit } = {}) => {
      const all = async () => {
        die('read a stream')
        const stream = log.stream(ref)
        const events = stream.filter(({ version }) => version >= from && version <= to)
        return { events: events.slice(0, limit), version: stream.length, checkpoint: '' }
      }
      return {
        all,
        end: all,
        async *[Symbol.asyncIterator]() {
          yield* (await all()).events
        },
      }
    },
    follow: async function* (ref, { from = 1, signal } = {}) {
      for (let next = from; !signal?.aborted; ) {
        const woken = log.woken(signal)
        const some = log.stream(ref).slice(next - 1)
        next += some.length
        yield* some
        await woken
      }
    },
    readAll,
    now: async categories => log.end(categories),
    describe: async () =>
      [...log.partitions].map(([category, partitions]) => ({
        ...{ category, topic: category, topicId: category },
        buckets: partitions.map((events, bucket) => ({ bucket, decided: events.length })),
      })) as unknown as readonly CategoryDescription[],
  }
  return store as EventStore
}
