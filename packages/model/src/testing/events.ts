/**
 * Events in memory, for tests of projections and views: the part of an event store that they read
 * from, in the order of appending, with checkpoints of the store's own form.
 */
import {
  type CategoryDescription,
  type Checkpoint,
  DEFAULT_TENANT,
  decodeCheckpoint,
  type EventPage,
  encodeCheckpoint,
  type Json,
  type ReadAllOptions,
  type ReadEnd,
  type ReadOptions,
  type RecordedEvent,
  type StreamReader,
  type StreamRef,
} from '@millrace/store'
import type { EventSource } from '../projections/types.ts'

/** An event to be given. */
export type GivenEvent = {
  /** Full name: `loan.Submitted`. */
  readonly type: string
  /** Id of the aggregate. */
  readonly stream: string
  readonly data: Json
  readonly tenant?: string
  /** Ms since the epoch, UTC. Default: a second after the one before. */
  readonly time?: number
  readonly metadata?: Readonly<Record<string, string>>
  /** Names of fields whose subject was forgotten. */
  readonly erased?: readonly string[]
}

const PAGE_EVENTS = 1000
const SECOND_MS = 1000
const LOG_ID = 'memory'

/** A source of events that are appended by a test. */
export class MemoryEvents implements EventSource {
  readonly id: string = LOG_ID
  readonly #buckets: number
  /** By category, by bucket, in order of offset. */
  readonly #logs = new Map<string, RecordedEvent[][]>()
  readonly #streams = new Map<string, RecordedEvent[]>()
  #time = 0
  #wake = Promise.withResolvers<void>()

  /** @param buckets of each category */
  constructor(buckets = 4) {
    this.#buckets = buckets
  }

  /** Appends events; gives a checkpoint after the last one. */
  append(...events: readonly GivenEvent[]): Checkpoint {
    for (const event of events) this.#append(event)
    this.#wake.resolve()
    this.#wake = Promise.withResolvers()
    return this.#checkpoint([...this.#logs.keys()], undefined)
  }

  async *readAll(
    categories: readonly string[],
    options: ReadAllOptions = {},
  ): AsyncGenerator<EventPage> {
    const { signal, follow = false, pageSize = PAGE_EVENTS } = options
    const from = options.after === undefined ? undefined : decodeCheckpoint(options.after).positions
    const next = new Map(categories.map(c => [c, new Map(from?.get(c) ?? [])] as const))
    const buckets = options.buckets ?? Array.from({ length: this.#buckets }, (_, b) => b)
    for (let isFirst = true; ; isFirst = false) {
      const { promise } = this.#wake
      const events: RecordedEvent[] = []
      let hasMore = false
      for (const category of categories) {
        for (const bucket of buckets) {
          const log = this.#logs.get(category)?.[bucket] ?? []
          const at = next.get(category)?.get(bucket) ?? 0
          const taken = log.slice(at, at + pageSize - events.length)
          events.push(...taken)
          next.get(category)?.set(bucket, at + taken.length)
          hasMore ||= at + taken.length < log.length
        }
      }
      const matching = events.filter(event => matches(event, options))
      const checkpoint = this.#checkpoint(categories, next)
      if (isFirst || events.length > 0) {
        yield { events: matching, checkpoint, caughtUp: !hasMore }
      }
      if (hasMore) continue
      if (!follow || signal?.aborted) return
      await woken(promise, signal)
      if (signal?.aborted) return
    }
  }

  read(stream: StreamRef, options: ReadOptions = {}): StreamReader {
    const all = this.#streams.get(keyOf(stream.tenant, stream.category, stream.id)) ?? []
    const { from = 1, to = all.length } = options
    const events = all.slice(from - 1, to)
    const end: ReadEnd = { version: all.length, checkpoint: this.#checkpoint([], undefined) }
    return {
      async *[Symbol.asyncIterator]() {
        yield* events
      },
      all: async () => ({ ...end, events }),
      end: async () => end,
    }
  }

  async describe(): Promise<readonly CategoryDescription[]> {
    return [...this.#logs].map(([category, logs]) => ({
      category,
      topic: category,
      topicId: category,
      buckets: logs.map(({ length }, bucket) => ({
        ...{ bucket, position: length, decided: length, endOffset: length, events: length },
        ...{ voided: 0, foreign: 0, misplaced: 0, openAppends: 0, clock: this.#time },
      })),
    }))
  }

  #append({ type, stream, data, tenant = DEFAULT_TENANT, ...given }: GivenEvent): void {
    const dot = type.indexOf('.')
    if (dot < 1) throw new RangeError(`the type of an event is aggregate.Name, not ${type}`)
    const category = type.slice(0, dot)
    const logs = this.#logs.get(category) ?? Array.from({ length: this.#buckets }, () => [])
    this.#logs.set(category, logs)
    const key = keyOf(tenant, category, stream)
    const earlier = this.#streams.get(key) ?? []
    this.#streams.set(key, earlier)
    const bucket = bucketOf(`${tenant}/${stream}`, this.#buckets)
    const log = logs[bucket] as RecordedEvent[]
    const version = earlier.length + 1
    this.#time = given.time ?? this.#time + SECOND_MS
    const id = `${key}/${version}`
    const event: RecordedEvent = {
      ...{ type: type.slice(dot + 1), data, id, tenant, category, stream, version, bucket },
      ...{ time: this.#time, schemaVersion: 1, tags: [], metadata: given.metadata ?? {} },
      ...{ appendId: id, offset: log.length },
      ...(given.erased === undefined ? {} : { erased: given.erased }),
    }
    log.push(event)
    earlier.push(event)
  }

  #checkpoint(
    categories: readonly string[],
    positions: ReadonlyMap<string, ReadonlyMap<number, number>> | undefined,
  ): Checkpoint {
    const end = (category: string) =>
      new Map((this.#logs.get(category) ?? []).map(({ length }, bucket) => [bucket, length]))
    const at = positions ?? new Map(categories.map(category => [category, end(category)]))
    return encodeCheckpoint({ log: LOG_ID, tenant: null, positions: at })
  }
}

const keyOf = (tenant: string | undefined, category: string, stream: string): string =>
  `${tenant ?? DEFAULT_TENANT}/${category}/${stream}`

function matches(event: RecordedEvent, { filter, tenant = DEFAULT_TENANT }: ReadAllOptions) {
  if (tenant !== null && event.tenant !== tenant) return false
  return filter?.types === undefined || filter.types.includes(event.type)
}

/** Any fixed spread will do: nobody else computes it. */
function bucketOf(text: string, buckets: number): number {
  let hash = 0
  for (let at = 0; at < text.length; at += 1) hash = (hash * 31 + text.charCodeAt(at)) >>> 0
  return hash % buckets
}

function woken(wake: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return wake
  return new Promise(resolve => {
    const end = (): void => {
      signal.removeEventListener('abort', end)
      resolve()
    }
    signal.addEventListener('abort', end, { once: true })
    void wake.then(end)
  })
}
