/**
 * The event store on a log: the port, on the parts that do the work. It names streams, turns calls
 * into requests and reads, and refuses all of them once it is closed.
 */
import type { Log, Offset, Timestamp } from '@millrace/log'
import { encodeCheckpoint, positionsOf } from '../checkpoint.ts'
import { failureOfLog, StoreError } from '../errors.ts'
import { checkTags, checkTenant, checkWhole } from '../names.ts'
import type { PersonalData } from '../personal/personal-data.ts'
import {
  type Aggregated,
  type AggregateOptions,
  type AppendOptions,
  type AppendResult,
  type CategoryDescription,
  type Checkpoint,
  DEFAULT_TENANT,
  type EventFilter,
  type EventPage,
  type EventStore,
  type Fold,
  type ForgetReport,
  type NewEvent,
  type ReadAllOptions,
  type ReadOptions,
  type RecordedEvent,
  type StreamListing,
  type StreamReader,
  type StreamRef,
  type StreamState,
  type StreamVersion,
} from '../port.ts'
import type { ControlFacts } from '../rule/facts.ts'
import { aggregateStream, type StateKeeper } from './aggregate.ts'
import { type AllReaderParts, readAllEvents } from './all-reader.ts'
import type { Appender } from './appender.ts'
import { type Bucket, pastTheEnd, placeOf } from './bucket.ts'
import type { ControlWriter } from './control-writer.ts'
import type { Flusher } from './flusher.ts'
import { listStreams } from './listing.ts'
import { appendRequest, checkStream, type RequestParts } from './requests.ts'
import { hasPointers, pointers, zoneSkip } from './search.ts'
import {
  begin,
  checkRead,
  type FoundStream,
  IndexStreamReader,
  type ReaderParts,
} from './stream-reader.ts'
import type { Tail } from './tail.ts'

/** What the store is made of. */
export type StoreParts = {
  readonly log: Log
  readonly buckets: ReadonlyMap<string, readonly Bucket[]>
  readonly reader: ReaderParts & { readonly states: StateKeeper }
  readonly all: AllReaderParts
  readonly appender: Appender
  readonly controls: ControlWriter
  readonly tail: Tail
  readonly flusher: Flusher
  readonly personal: PersonalData
  readonly eventsMax: number
  readonly timeoutMs: number
  readonly pageEvents: number
  readonly monotonic: () => number
  readonly forget: (subject: string, tenant: string) => Promise<ForgetReport>
  readonly close: () => Promise<void>
}

/** See the head of the file. */
export class LogEventStore implements EventStore {
  readonly id: string
  readonly categories: readonly string[]
  readonly #parts: StoreParts
  readonly #requests: RequestParts
  #closed: Promise<void> | null = null

  constructor(parts: StoreParts) {
    this.#parts = parts
    this.id = parts.log.id
    this.categories = [...parts.buckets.keys()]
    this.#requests = {
      log: parts.log.id,
      personal: parts.personal,
      eventsMax: parts.eventsMax,
      timeoutMs: parts.timeoutMs,
      monotonic: parts.monotonic,
      find: stream => this.#find(stream),
    }
  }

  async append(
    stream: StreamRef,
    events: readonly NewEvent[],
    options: AppendOptions = {},
  ): Promise<AppendResult> {
    const request = appendRequest(this.#requests, this.#find(stream), events, options)
    return this.#parts.appender.append(request instanceof Promise ? await request : request)
  }

  read(stream: StreamRef, options: ReadOptions = {}): StreamReader {
    checkRead(options)
    checkStream(stream)
    return new IndexStreamReader(this.#parts.reader, options, () => this.#find(stream))
  }

  async *follow(
    stream: StreamRef,
    options: { readonly from?: number; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<RecordedEvent, void> {
    const { signal } = options
    if (options.from !== undefined) checkWhole(options.from, 1, 'from')
    let next = options.from ?? 1
    while (!signal?.aborted) {
      const { bucket, tenant, id } = this.#find(stream)
      const { version } = begin(this.id, { bucket, tenant, id })
      if (version < next) {
        await this.#parts.all.advanced.wait(signal)
        continue
      }
      // Without the signal: it ends the following, and a read that it stopped would fail.
      const read = this.read(stream, { from: next, to: version })
      for await (const event of read) {
        yield event
        if (signal?.aborted) return
      }
      next = version + 1
    }
  }

  async aggregate<State>(
    stream: StreamRef,
    fold: Fold<State>,
    options: AggregateOptions = {},
  ): Promise<Aggregated<State>> {
    if (options.version !== undefined) checkWhole(options.version, 0, 'version')
    return aggregateStream(this.#parts.reader, this.#find(stream), fold, options)
  }

  async state(stream: StreamRef): Promise<StreamState> {
    return this.#stateOf(this.#find(stream))
  }

  async event(stream: StreamRef, version: StreamVersion): Promise<RecordedEvent | undefined> {
    const { events } = await this.read(stream, { from: version, to: version }).all()
    return events[0]
  }

  readAll(categories: readonly string[], options: ReadAllOptions = {}): AsyncIterable<EventPage> {
    return this.#readAll(categories, options)
  }

  search(
    categories: readonly string[],
    filter: EventFilter,
    options: Omit<ReadAllOptions, 'filter' | 'follow'> = {},
  ): AsyncIterable<EventPage> {
    return this.#search(categories, filter, options)
  }

  async *streams(
    category: string,
    options: {
      readonly tenant?: string | null
      readonly prefix?: string
      readonly after?: string
      readonly limit?: number
    } = {},
  ): AsyncGenerator<StreamListing, void> {
    const buckets = this.#bucketsOf([category])
    if (options.limit !== undefined) checkWhole(options.limit, 0, 'limit')
    if (options.after !== undefined && options.tenant === null) {
      throw new StoreError('BAD_ARGUMENT', 'after is an id of one tenant: name the tenant')
    }
    await this.#parts.flusher.flush()
    yield* listStreams(this.#parts.reader.kv, buckets, {
      ...options,
      tenant: options.tenant === undefined ? DEFAULT_TENANT : options.tenant,
    })
  }

  truncate(stream: StreamRef, before: number): Promise<StreamState> {
    checkWhole(before, 1, 'before')
    return this.#control(stream, 'truncate', before)
  }

  archive(stream: StreamRef, archived = true): Promise<StreamState> {
    return this.#control(stream, archived ? 'archive' : 'unarchive', 0)
  }

  tombstone(stream: StreamRef): Promise<StreamState> {
    return this.#control(stream, 'tombstone', 0)
  }

  async catchUp(categories: readonly string[] = this.categories): Promise<void> {
    await this.#parts.tail.catchUpAll(this.#bucketsOf(categories))
  }

  async now(
    categories: readonly string[],
    tenant: string | null = DEFAULT_TENANT,
  ): Promise<Checkpoint> {
    const buckets = this.#bucketsOf(categories)
    return this.#checkpoint(tenant, buckets, new Map(buckets.map(b => [b, b.decided])))
  }

  async at(
    categories: readonly string[],
    time: Timestamp,
    tenant: string | null = DEFAULT_TENANT,
  ): Promise<Checkpoint> {
    checkWhole(time, 0, 'time')
    const buckets = this.#bucketsOf(categories)
    const answers = await this.#parts.log.listOffsets(
      buckets.map(({ category, number }) => ({
        topic: category.topic,
        partition: number,
        place: time,
      })),
    )
    const offsets = new Map<Bucket, number>()
    for (const [i, { error, offset }] of answers.entries()) {
      const bucket = buckets[i] as Bucket
      if (error !== undefined) throw failureOfLog(placeOf(bucket), error)
      offsets.set(bucket, offset < 0 ? bucket.decided : Math.min(offset, bucket.decided))
    }
    return this.#checkpoint(tenant, buckets, offsets)
  }

  async reached(
    checkpoint: Checkpoint,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<void> {
    this.#checkOpen()
    const positions = positionsOf(checkpoint, { log: this.id, tenant: null })
    for (const [category, offsets] of positions) {
      const buckets = this.#bucketsOf([category])
      for (const [number, offset] of offsets) {
        const bucket = buckets[number]
        if (bucket === undefined) {
          throw new StoreError(
            'CHECKPOINT_MISMATCH',
            `category ${category} has no bucket ${number}`,
          )
        }
        while (bucket.decided < offset) {
          options.signal?.throwIfAborted()
          if (bucket.failure !== null) throw bucket.failure
          this.#checkOpen()
          await this.#parts.all.advanced.wait(options.signal)
        }
      }
    }
  }

  async forget(subject: string, options: { readonly tenant?: string } = {}): Promise<ForgetReport> {
    this.#checkOpen()
    const tenant = options.tenant ?? DEFAULT_TENANT
    checkTenant(tenant)
    await this.#parts.flusher.flush()
    return this.#parts.forget(subject, tenant)
  }

  async describe(): Promise<readonly CategoryDescription[]> {
    this.#checkOpen()
    const described: CategoryDescription[] = []
    for (const [category, buckets] of this.#parts.buckets) {
      const [first] = buckets
      if (first === undefined) continue
      const ends = await this.#parts.log.listOffsets(
        buckets.map(({ number }) => ({
          topic: first.category.topic,
          partition: number,
          place: 'latest' as const,
        })),
      )
      described.push({
        category,
        topic: first.category.topic,
        topicId: first.category.topicId,
        buckets: buckets.map((bucket, i) => ({
          bucket: bucket.number,
          position: bucket.position,
          decided: bucket.decided,
          endOffset: ends[i]?.offset ?? bucket.endOffset,
          events: bucket.fold.events,
          voided: bucket.fold.voided,
          foreign: bucket.fold.foreign,
          misplaced: bucket.fold.misplaced,
          openAppends: bucket.fold.open.size,
          clock: bucket.fold.clock,
        })),
      })
    }
    return described
  }

  close(): Promise<void> {
    this.#closed ??= this.#parts.close()
    return this.#closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  // --- inside ----------------------------------------------------------------------------------

  #checkOpen(): void {
    if (this.#closed !== null) throw new StoreError('STORE_CLOSED')
  }

  #find(stream: StreamRef): FoundStream {
    this.#checkOpen()
    const tenant = checkStream(stream)
    const buckets = this.#bucketsOf([stream.category])
    const [first] = buckets
    const number = (first as Bucket).category.bucketOf(tenant, stream.id)
    return { bucket: buckets[number] as Bucket, tenant, id: stream.id }
  }

  #bucketsOf(categories: readonly string[]): readonly Bucket[] {
    this.#checkOpen()
    if (categories.length === 1) return this.#bucketsOfOne(categories[0] as string)
    return categories.flatMap(category => this.#bucketsOfOne(category))
  }

  #bucketsOfOne(category: string): readonly Bucket[] {
    const buckets = this.#parts.buckets.get(category)
    if (buckets === undefined) {
      throw new StoreError('UNKNOWN_CATEGORY', `the store was opened without category ${category}`)
    }
    return buckets
  }

  #stateOf(found: FoundStream): StreamState {
    const { slot, end } = begin(this.id, found)
    const { state } = slot
    return {
      stream: { tenant: found.tenant, category: found.bucket.category.name, id: found.id },
      version: state.version,
      firstVersion: state.firstVersion,
      createdAt: state.createdAt,
      updatedAt: state.updatedAt,
      archived: state.archived,
      tombstoned: state.tombstoned,
      bucket: found.bucket.number,
      checkpoint: end.checkpoint,
    }
  }

  async #control(
    stream: StreamRef,
    kind: ControlFacts['kind'],
    before: number,
  ): Promise<StreamState> {
    const found = this.#find(stream)
    const id = this.#parts.appender.newId()
    await this.#parts.controls.control(found.bucket, kind, found, id, before)
    if (kind === 'truncate' || kind === 'tombstone') {
      // Nobody is given them any more; that their bytes go too is best effort.
      const source = { tenant: found.tenant, category: stream.category, stream: found.id }
      await this.#parts.reader.states.remove([source]).catch(() => undefined)
    }
    return this.#stateOf(found)
  }

  async *#readAll(
    categories: readonly string[],
    options: ReadAllOptions,
    skip?: (bucket: Bucket, offset: Offset) => Promise<number>,
  ): AsyncGenerator<EventPage, void> {
    const tenant = options.tenant === undefined ? DEFAULT_TENANT : options.tenant
    if (tenant !== null) checkTenant(tenant)
    const { pageSize = this.#parts.pageEvents } = options
    checkPageSize(pageSize, this.#parts.pageEvents)
    const all = this.#bucketsOf(categories)
    if (options.buckets !== undefined) checkBuckets(options.buckets, all)
    const buckets = all.filter(({ number }) => options.buckets?.includes(number) ?? true)
    yield* readAllEvents(this.#parts.all, {
      buckets,
      from: await this.#from(categories, buckets, options.after, tenant),
      tenant,
      filter: options.filter ?? {},
      follow: options.follow ?? false,
      pageSize,
      signal: options.signal,
      ...(skip === undefined ? {} : { skip }),
    })
  }

  async #from(
    categories: readonly string[],
    buckets: readonly Bucket[],
    after: Checkpoint | undefined,
    tenant: string | null,
  ): Promise<ReadonlyMap<Bucket, number>> {
    const positions = after === undefined ? undefined : positionsOf(after, { log: this.id, tenant })
    for (const category of positions?.keys() ?? []) {
      if (categories.includes(category)) continue
      throw new StoreError(
        'CHECKPOINT_MISMATCH',
        `a checkpoint of category ${category}, which is not read`,
      )
    }
    const from = new Map(
      buckets.map(bucket => [
        bucket,
        positions?.get(bucket.category.name)?.get(bucket.number) ?? 0,
      ]),
    )
    // Another store may have read further; nobody has read past the end of the log.
    const behind = buckets.filter(bucket => bucket.decided < (from.get(bucket) as number))
    if (behind.length > 0) await this.#parts.tail.catchUpAll(behind)
    for (const bucket of behind) {
      if (bucket.decided < (from.get(bucket) as number)) throw pastTheEnd(bucket)
    }
    return from
  }

  async *#search(
    categories: readonly string[],
    filter: EventFilter,
    options: Omit<ReadAllOptions, 'filter' | 'follow'>,
  ): AsyncGenerator<EventPage, void> {
    if (filter.tags !== undefined) checkTags(filter.tags, 'filter.tags')
    this.#bucketsOf(categories)
    await this.#parts.flusher.flush()
    const tenant = options.tenant === undefined ? DEFAULT_TENANT : options.tenant
    if (!hasPointers(filter) || tenant === null) {
      const skip = zoneSkip(this.#parts.reader.kv, filter)
      yield* this.#readAll(categories, { ...options, filter }, skip)
      return
    }
    const skip = pointerSkip(this.#parts, filter, tenant)
    yield* this.#readAll(categories, { ...options, filter }, skip)
  }

  #checkpoint(
    tenant: string | null,
    buckets: readonly Bucket[],
    offsets: ReadonlyMap<Bucket, number>,
  ): Checkpoint {
    const categories = new Map<string, Map<number, number>>()
    for (const bucket of buckets) {
      const { name } = bucket.category
      const known = categories.get(name) ?? new Map<number, number>()
      known.set(bucket.number, offsets.get(bucket) as number)
      categories.set(name, known)
    }
    return encodeCheckpoint({ log: this.id, tenant, positions: categories })
  }
}

function checkPageSize(pageSize: number, max: number): void {
  checkWhole(pageSize, 1, 'pageSize')
  if (pageSize <= max) return
  throw new StoreError('BAD_ARGUMENT', `pageSize must be at most ${max}, not ${pageSize}`)
}

function checkBuckets(wanted: readonly number[], buckets: readonly Bucket[]): void {
  for (const number of wanted) {
    if (buckets.some(bucket => bucket.number === number)) continue
    throw new StoreError('BAD_ARGUMENT', `buckets: there is no bucket ${number}`)
  }
}

/** Passes over everything that has not the tag or correlation. */
function pointerSkip(
  { reader: { kv } }: StoreParts,
  filter: EventFilter,
  tenant: string,
): (bucket: Bucket, offset: Offset) => Promise<number> {
  const by =
    filter.correlationId === undefined
      ? { kind: 'tag' as const, tenant, text: filter.tags?.[0] as string }
      : { kind: 'correlation' as const, tenant, text: filter.correlationId }
  return async (bucket, offset) => {
    for await (const pointer of pointers(kv, bucket, by, offset, bucket.decided))
      return pointer.offset
    return bucket.decided
  }
}
