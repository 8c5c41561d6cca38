/**
 * Reads the events of all streams of some buckets from the log, in offset order within a bucket, and
 * only below what is decided: so a checkpoint is one offset a bucket, and whoever goes on from it
 * sees the same. Records that are no events are passed over, and so are void ones.
 *
 * Buckets are merged by the stamps of appends (`hybrid-clock.ts`), as long as a bucket has more: what
 * caused an event comes before it, in a catch-up as live. What is concurrent comes as it happens.
 *
 * A catch-up waits for nothing that takes a turn of the event loop, so it makes way by itself, every
 * `read.turn.ms` of all reads of the store.
 */

import type { ChangeSignal, Turns } from '@millrace/base'
import {
  decodeBatches,
  type FetchResult,
  type Log,
  LogError,
  type Offset,
  type RecordBatch,
  type RecordCursor,
  type Timestamp,
} from '@millrace/log'
import { encodeCheckpoint } from '../checkpoint.ts'
import { failureOfLog, StoreError } from '../errors.ts'
import type { EventFilter, EventPage, Json, RecordedEvent } from '../port.ts'
import { decodeEventRecord } from '../rule/decode-headers.ts'
import { DROPPED_TYPE, idOf, tenantOf } from '../rule/facts.ts'
import { stampOf } from '../rule/fold.ts'
import { type Bucket, placeOf } from './bucket.ts'
import type { RawEvent } from './event.ts'
import { dataOf } from './event.ts'
import type { EventOpener } from './opener.ts'

/** What a reader over all streams needs of the store. */
export type AllReaderParts = {
  readonly log: Log
  readonly opener: EventOpener
  /** Changes when a bucket advanced. */
  readonly advanced: ChangeSignal
  readonly closing: AbortSignal
  readonly pageBytes: number
  /** Shared by all reads. */
  readonly turns: Turns
  /** Between reads that brought nothing. */
  readonly pause: () => Promise<void>
}

/** What is read. */
export type AllRead = {
  readonly buckets: readonly Bucket[]
  readonly from: ReadonlyMap<Bucket, number>
  readonly tenant: string | null
  readonly filter: EventFilter
  readonly follow: boolean
  readonly pageSize: number
  readonly signal: AbortSignal | undefined
  /** The next offset at or after this one that can matter; lets a search pass over parts. */
  readonly skip?: (bucket: Bucket, offset: Offset) => Promise<number>
}

/** How many events are given between looks at the clock. */
const LOOK_EVENTS = 16
/** How many records are looked at for the next event before others may have their turn. */
const LOOK_RECORDS = 64

/** The next event of a bucket, not opened yet. */
type Waiting = {
  readonly raw: RawEvent
  /** Why its data could not be read. */
  readonly damage: StoreError | undefined
  readonly key: number
  readonly bytes: number
}

/** Batches as the log gave them, of which the events from `from` to before `until` are wanted. */
type Loaded = {
  readonly batch: RecordBatch
  readonly voids: ReadonlySet<number>
  readonly from: Offset
  readonly until: Offset
}

/**
 * What has been read of one bucket and not been given yet: batches, of which one event is decoded at a
 * time, with its key, the highest stamp so far.
 */
class BucketSource {
  readonly bucket: Bucket
  /** The next offset to be read. */
  next: number
  /** Nothing from here on is decided. */
  end: number
  /** The event whose turn it is; undefined while it is looked for, and where nothing that was read is left. */
  first: Waiting | undefined
  readonly #read: AllRead
  #loaded: Loaded[] = []
  /** Those before it are done with. */
  #at = 0
  #cursor: RecordCursor | undefined
  /** While an event is looked for: below it everything was passed over. */
  #searchedTo: number | undefined
  #key = 0

  constructor(bucket: Bucket, read: AllRead) {
    this.bucket = bucket
    this.#read = read
    this.next = read.from.get(bucket) as number
    this.end = bucket.decided
  }

  /** Below it everything was given, or passed over. */
  get position(): number {
    return this.first?.raw.offset ?? this.#searchedTo ?? this.next
  }

  /** Whether the next event is still looked for in what was read: {@link advance} goes on. */
  get isSearching(): boolean {
    return this.#searchedTo !== undefined
  }

  /** Whether there is more in the log, and nothing of it here. */
  get isHungry(): boolean {
    return this.first === undefined && !this.isSearching && this.next < this.end
  }

  /** Whether there is more in the log, and only a batch of it here. */
  get isShort(): boolean {
    return this.#loaded.length - this.#at <= 1 && this.next < this.end
  }

  add(loaded: readonly Loaded[]): void {
    if (this.#at > 0) this.#loaded.splice(0, this.#at)
    this.#at = 0
    this.#loaded.push(...loaded)
    if (this.first === undefined) this.advance()
  }

  /**
   * Goes on towards the next event that is asked for, by so many records at most. Who asks for few of
   * them would hold the thread for all that was read.
   */
  advance(): void {
    this.first = undefined
    this.#searchedTo = undefined
    let records = LOOK_RECORDS
    for (let loaded = this.#loaded[this.#at]; loaded !== undefined; ) {
      this.#cursor ??= loaded.batch.cursor()
      records = this.#search(loaded, this.#cursor, records)
      if (this.first !== undefined) return
      if (records === 0) {
        this.#searchedTo = Math.max(
          loaded.from,
          loaded.batch.baseOffset + this.#cursor.offsetDelta + 1,
        )
        return
      }
      this.#cursor = undefined
      this.#at += 1
      loaded = this.#loaded[this.#at]
    }
  }

  /** Looks for {@link first} in at most so many records of a batch; answers how many are left to look at. */
  #search({ batch, voids, from, until }: Loaded, cursor: RecordCursor, records: number): number {
    if (batch.isControl || batch.isTransactional) return records
    for (let left = records; left > 0; left -= 1) {
      if (!cursor.advance()) return left
      const offset = batch.baseOffset + cursor.offsetDelta
      if (offset < from || voids.has(offset)) continue
      if (offset >= until) return left
      const found = rawOf(this.bucket, offset, batch.timestampOf(cursor.timestampDelta), cursor)
      if (found === null) continue
      if (found.stamp !== undefined && found.stamp > this.#key) this.#key = found.stamp
      if (!passes(found.raw, this.#read)) continue
      const { raw, damage } = found
      this.first = { raw, damage, key: this.#key, bytes: cursor.position - cursor.keyAt }
      return left
    }
    return 0
  }
}

/** Events that are given together. */
class Page {
  readonly events: (RecordedEvent | Promise<RecordedEvent>)[] = []
  #bytes = 0
  #awaited = false

  get bytes(): number {
    return this.#bytes
  }

  add(event: RecordedEvent | Promise<RecordedEvent>, bytes: number): void {
    this.events.push(event)
    this.#bytes += bytes
    this.#awaited ||= event instanceof Promise
  }

  async opened(): Promise<readonly RecordedEvent[]> {
    return this.#awaited ? Promise.all(this.events) : (this.events as RecordedEvent[])
  }
}

const BUCKET_BYTES_MIN = 64 * 1024

/** See the head of the file. */
export async function* readAllEvents(
  parts: AllReaderParts,
  read: AllRead,
): AsyncGenerator<EventPage, void> {
  const sources = read.buckets.map(bucket => new BucketSource(bucket, read))
  let page = new Page()
  let told = false
  for (;;) {
    if (read.signal?.aborted) return
    if (parts.closing.aborted) throw new StoreError('STORE_CLOSED')
    lookAt(read, sources)
    if (read.skip !== undefined) await passOver(read.skip, sources)
    const isHungry = sources.some(source => source.isHungry)
    // A log that fails for a moment is not asked again at once.
    if (isHungry) {
      // One append wakes all who follow.
      if (parts.turns.spent()) await parts.turns.next()
      if (!(await fill(parts, read, sources))) await parts.pause()
      told = false
      continue
    }
    const merged = merge(parts, read, sources, page)
    if (merged === 'hungry') continue
    if (merged === 'turn') {
      await parts.turns.next()
      continue
    }
    const caughtUp = isCaughtUp(read, sources)
    if (page.events.length > 0 || (caughtUp && !told)) {
      const checkpoint = checkpointOf(parts, read, sources)
      told = caughtUp
      const events = await page.opened()
      page = new Page()
      yield { events, checkpoint, caughtUp }
      continue
    }
    if (merged === 'all' && !read.follow) return
    await parts.advanced.wait(read.signal)
  }
}

/** Where each bucket ends now. A read that does not follow ends where it was at its start. */
function lookAt(read: AllRead, sources: readonly BucketSource[]): void {
  for (const source of sources) {
    const { bucket } = source
    if (bucket.failure !== null) throw bucket.failure
    if (read.follow) source.end = bucket.decided
  }
}

async function passOver(
  skip: NonNullable<AllRead['skip']>,
  sources: readonly BucketSource[],
): Promise<void> {
  for (const source of sources) {
    if (!source.isHungry) continue
    source.next = Math.min(await skip(source.bucket, source.next), source.end)
  }
}

/**
 * Gives the events of all sources in the order of their keys, as far as it is known: until a source
 * has none left here but in the log, or the next one is not confirmed, or the page is full, or others
 * are to have their turn.
 */
function merge(
  parts: AllReaderParts,
  read: AllRead,
  sources: readonly BucketSource[],
  page: Page,
): 'hungry' | 'full' | 'blocked' | 'all' | 'turn' {
  const isAlone = sources.length === 1
  let given = 0
  for (;;) {
    if (page.events.length >= read.pageSize || page.bytes >= parts.pageBytes) return 'full'
    given += 1
    if (given % LOOK_EVENTS === 0 && parts.turns.spent()) return 'turn'
    let lowest: BucketSource | undefined
    let key = Number.POSITIVE_INFINITY
    for (const source of sources) {
      while (source.isSearching) {
        source.advance()
        if (source.isSearching && parts.turns.spent()) return 'turn'
      }
      const { first } = source
      if (first === undefined) {
        if (source.next < source.end) return 'hungry'
      } else if (first.key < key) {
        lowest = source
        key = first.key
      }
    }
    if (lowest === undefined) return 'all'
    const { bucket, first } = lowest
    const { raw, damage, bytes } = first as Waiting
    if (!isAlone && raw.offset >= bucket.confirmed) return 'blocked'
    page.add(parts.opener.orUnreadable(bucket.category, raw, damage), bytes)
    lowest.advance()
  }
}

function isCaughtUp(read: AllRead, sources: readonly BucketSource[]): boolean {
  return sources.every(
    ({ bucket, position, end }) => position >= (read.follow ? bucket.decided : end),
  )
}

/** Reads on where there is little left; false where that brought nothing. */
async function fill(
  parts: AllReaderParts,
  read: AllRead,
  sources: readonly BucketSource[],
): Promise<boolean> {
  const short = sources.filter(source => source.isShort)
  const share = Math.max(Math.ceil(parts.pageBytes / sources.length), BUCKET_BYTES_MIN)
  const results = await fetchAll(parts, short, share, read.signal)
  let isFilled = false
  for (const [i, result] of results.entries()) {
    const source = short[i] as BucketSource
    if (result.error !== undefined && !result.error.retriable) {
      throw failureOfLog(placeOf(source.bucket), result.error)
    }
    if (result.error !== undefined || result.records.length === 0) continue
    const before = source.next
    await load(source, result)
    if (source.next > before) isFilled = true
  }
  return isFilled
}

/** Nothing where the call failed and may be made again. */
async function fetchAll(
  parts: AllReaderParts,
  sources: readonly BucketSource[],
  share: number,
  signal: AbortSignal | undefined,
): Promise<readonly FetchResult[]> {
  try {
    return await parts.log.fetch({
      positions: sources.map(({ bucket, next }) => ({
        topic: bucket.category.topic,
        partition: bucket.number,
        offset: next,
        maxBytes: share,
      })),
      minBytes: 1,
      maxBytes: share * sources.length,
      maxWaitMs: 0,
      isolation: 'read_uncommitted',
      ...(signal === undefined ? {} : { signal }),
    })
  } catch (error) {
    if (!(error instanceof LogError)) throw error
    if (error.retriable) return []
    throw failureOfLog('a read of all streams', error)
  }
}

/** Takes an answer of the log. */
async function load(source: BucketSource, result: FetchResult): Promise<void> {
  const { bucket, next: from, end: until } = source
  const batches = [...decodeBatches(result.records)]
  const to = Math.min(until, (batches.at(-1)?.lastOffset ?? from) + 1)
  const voids = bucket.fold.voided === 0 ? NONE : await bucket.index.voids(from, to)
  source.next = Math.max(from, to)
  source.add(batches.map(batch => ({ batch, voids, from, until })))
}

const NONE: ReadonlySet<number> = new Set()

type CursorPlaces = {
  readonly bytes: Buffer
  readonly keyAt: number
  readonly keyLength: number
  readonly valueAt: number
  readonly valueLength: number
  readonly headersAt: number
  readonly headerCount: number
  readonly position: number
}

/** The event of a record, and the stamp of the append that begins with it; null when it is none. */
function rawOf(
  bucket: Bucket,
  offset: Offset,
  time: Timestamp,
  at: CursorPlaces,
): {
  readonly raw: RawEvent
  readonly damage: StoreError | undefined
  readonly stamp: number | undefined
} | null {
  const { bytes, keyAt, keyLength, valueAt, valueLength, headersAt, headerCount } = at
  const key = keyLength < 0 ? null : bytes.subarray(keyAt, keyAt + keyLength)
  const place = { bytes, valueAt, valueLength, headersAt, headerCount }
  const decoded = decodeEventRecord(offset, time, key, place)
  if (decoded === null || decoded.facts.type === DROPPED_TYPE) return null
  const { facts, metadata } = decoded
  let data: Json = null
  let damage: StoreError | undefined
  try {
    data = dataOf({ ...place, offset, time, headersEnd: at.position })
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    damage = error
  }
  return {
    damage,
    stamp: facts.index === 0 ? stampOf(facts) : undefined,
    raw: {
      ...metadata,
      tenant: tenantOf(facts.stream),
      category: bucket.category.name,
      stream: idOf(facts.stream),
      bucket: bucket.number,
      offset,
      time,
      data,
    },
  }
}

/** Whether an event is asked for. */
function passes(event: RawEvent, { tenant, filter }: AllRead): boolean {
  if (tenant !== null && event.tenant !== tenant) return false
  if (filter.types !== undefined && !filter.types.includes(event.type)) return false
  if (filter.tags !== undefined && !filter.tags.every(tag => event.tags.includes(tag))) return false
  if (filter.correlationId !== undefined && event.correlationId !== filter.correlationId) {
    return false
  }
  if (filter.streams !== undefined && !filter.streams.includes(event.stream)) return false
  if (filter.since !== undefined && event.time < filter.since) return false
  return filter.before === undefined || event.time < filter.before
}

function checkpointOf(
  parts: AllReaderParts,
  read: AllRead,
  sources: readonly BucketSource[],
): string {
  const categories = new Map<string, Map<number, number>>()
  for (const { bucket, position } of sources) {
    const { name } = bucket.category
    let buckets = categories.get(name)
    if (buckets === undefined) {
      buckets = new Map()
      categories.set(name, buckets)
    }
    buckets.set(bucket.number, position)
  }
  return encodeCheckpoint({ log: parts.log.id, tenant: read.tenant, positions: categories })
}
