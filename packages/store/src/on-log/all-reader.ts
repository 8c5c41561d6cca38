/**
 * Reads the events of all streams of some buckets from the log, in offset order within a bucket, and
 * only below what is decided: so a checkpoint is one offset a bucket, and whoever goes on from it
 * sees the same. Records that are no events are passed over, and so are void ones.
 */
import {
  decodeBatches,
  type FetchResult,
  type Log,
  LogError,
  type Offset,
  type Timestamp,
} from '@millrace/log'
import { encodeCheckpoint } from '../checkpoint.ts'
import { StoreError } from '../errors.ts'
import type { EventFilter, EventPage, RecordedEvent } from '../port.ts'
import type { Bucket } from './bucket.ts'
import { decodeEventRecord } from './decode-headers.ts'
import type { RawEvent } from './event.ts'
import { dataOf } from './event.ts'
import { DROPPED_TYPE, idOf, tenantOf } from './facts.ts'
import type { EventOpener } from './opener.ts'
import type { ChangeSignal } from './signal.ts'

/** What a reader over all streams needs of the store. */
export type AllReaderParts = {
  readonly log: Log
  readonly opener: EventOpener
  /** Changes when a bucket advanced. */
  readonly advanced: ChangeSignal
  readonly closing: AbortSignal
  readonly pageBytes: number
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

type Page = { events: (RecordedEvent | Promise<RecordedEvent>)[]; awaited: boolean }

/** See the head of the file. */
export async function* readAllEvents(
  parts: AllReaderParts,
  read: AllRead,
): AsyncGenerator<EventPage, void> {
  const positions = new Map(read.from)
  const ends = new Map(read.buckets.map(bucket => [bucket, bucket.decided]))
  let told = false
  for (;;) {
    if (read.signal?.aborted) return
    if (parts.closing.aborted) throw new StoreError('STORE_CLOSED')
    const behind = await bucketsBehind(read, positions, ends)
    if (behind.length === 0) {
      if (!told) {
        told = true
        yield { events: [], checkpoint: checkpointOf(parts, read, positions), caughtUp: true }
      }
      if (!read.follow) return
      await parts.advanced.wait(read.signal)
      continue
    }
    const before = behind.map(bucket => positions.get(bucket))
    const results = await fetchBehind(parts, behind, positions, read.signal)
    for await (const page of pagesOf(parts, read, results, positions)) {
      const events = page.awaited ? await Promise.all(page.events) : page.events
      const caughtUp = isCaughtUp(read, positions, ends)
      told = caughtUp
      if (events.length === 0 && !caughtUp) continue
      yield {
        events: events as RecordedEvent[],
        checkpoint: checkpointOf(parts, read, positions),
        caughtUp,
      }
      if (read.signal?.aborted) return
    }
    // A log that fails for a moment is not asked again at once.
    if (behind.every((bucket, i) => positions.get(bucket) === before[i])) await parts.pause()
  }
}

/** Buckets with something to read. A read that does not follow ends where it was at its start. */
async function bucketsBehind(
  read: AllRead,
  positions: Map<Bucket, number>,
  ends: Map<Bucket, number>,
): Promise<readonly Bucket[]> {
  const behind: Bucket[] = []
  for (const bucket of read.buckets) {
    if (bucket.failure !== null) throw bucket.failure
    if (read.follow) ends.set(bucket, bucket.decided)
    const end = ends.get(bucket) as number
    let position = positions.get(bucket) as number
    if (position < end && read.skip !== undefined) {
      position = Math.min(await read.skip(bucket, position), end)
      positions.set(bucket, position)
    }
    if (position < end) behind.push(bucket)
  }
  return behind
}

function isCaughtUp(
  read: AllRead,
  positions: ReadonlyMap<Bucket, number>,
  ends: ReadonlyMap<Bucket, number>,
): boolean {
  return read.buckets.every(
    bucket =>
      (positions.get(bucket) as number) >=
      (read.follow ? bucket.decided : (ends.get(bucket) as number)),
  )
}

/** Nothing where the call failed and may be made again. */
async function fetchBehind(
  parts: AllReaderParts,
  buckets: readonly Bucket[],
  positions: ReadonlyMap<Bucket, number>,
  signal: AbortSignal | undefined,
): Promise<readonly { readonly bucket: Bucket; readonly result: FetchResult }[]> {
  try {
    const results = await parts.log.fetch({
      positions: buckets.map(bucket => ({
        topic: bucket.category.topic,
        partition: bucket.number,
        offset: positions.get(bucket) as number,
        maxBytes: Math.ceil(parts.pageBytes / buckets.length),
      })),
      minBytes: 1,
      maxBytes: parts.pageBytes,
      maxWaitMs: 0,
      isolation: 'read_uncommitted',
      ...(signal === undefined ? {} : { signal }),
    })
    return results.map((result, i) => ({ bucket: buckets[i] as Bucket, result }))
  } catch (error) {
    if (!(error instanceof LogError)) throw error
    if (error.retriable) return []
    throw new StoreError('STORE_FAILED', error.message, { cause: error })
  }
}

async function* pagesOf(
  parts: AllReaderParts,
  read: AllRead,
  results: readonly { readonly bucket: Bucket; readonly result: FetchResult }[],
  positions: Map<Bucket, number>,
): AsyncGenerator<Page, void> {
  let page: Page = { events: [], awaited: false }
  for (const { bucket, result } of results) {
    if (result.error !== undefined && !result.error.retriable) throw failed(bucket, result.error)
    if (result.error !== undefined || result.records.length === 0) continue
    const from = positions.get(bucket) as number
    const end = bucket.decided
    const voids = bucket.fold.voided === 0 ? NONE : await bucket.index.voids(from, end)
    for (const batch of decodeBatches(result.records)) {
      if (batch.baseOffset >= end) break
      const cursor = batch.cursor()
      const ignored = batch.isControl || batch.isTransactional
      while (!ignored && cursor.advance()) {
        const offset = batch.baseOffset + cursor.offsetDelta
        if (offset < from || voids.has(offset)) continue
        if (offset >= end) break
        const time = batch.timestampOf(cursor.timestampDelta)
        const raw = rawOf(bucket, offset, time, cursor)
        if (raw === null || !passes(raw, read)) continue
        const event = parts.opener.raw(bucket.category, raw)
        page.events.push(event)
        if (event instanceof Promise) page.awaited = true
        if (page.events.length < read.pageSize) continue
        positions.set(bucket, offset + 1)
        yield page
        page = { events: [], awaited: false }
      }
      positions.set(bucket, Math.min(batch.lastOffset + 1, end))
    }
  }
  yield page
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

/** The event of a record; null when it is none. */
function rawOf(bucket: Bucket, offset: Offset, time: Timestamp, at: CursorPlaces): RawEvent | null {
  const { bytes, keyAt, keyLength, valueAt, valueLength, headersAt, headerCount } = at
  const key = keyLength < 0 ? null : bytes.subarray(keyAt, keyAt + keyLength)
  const place = { bytes, valueAt, valueLength, headersAt, headerCount }
  const decoded = decodeEventRecord(offset, time, key, place)
  if (decoded === null || decoded.facts.type === DROPPED_TYPE) return null
  return {
    ...decoded.metadata,
    tenant: tenantOf(decoded.facts.stream),
    category: bucket.category.name,
    stream: idOf(decoded.facts.stream),
    bucket: bucket.number,
    offset,
    time,
    data: dataOf({ ...place, offset, time, headersEnd: at.position }),
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
  positions: ReadonlyMap<Bucket, number>,
): string {
  const categories = new Map<string, Map<number, number>>()
  for (const [bucket, offset] of positions) {
    const { name } = bucket.category
    let buckets = categories.get(name)
    if (buckets === undefined) {
      buckets = new Map()
      categories.set(name, buckets)
    }
    buckets.set(bucket.number, offset)
  }
  return encodeCheckpoint({ log: parts.log.id, tenant: read.tenant, positions: categories })
}

function failed(bucket: Bucket, cause: LogError): StoreError {
  const place = `category ${bucket.category.name}, bucket ${bucket.number}`
  return new StoreError('STORE_FAILED', `${place}: ${cause.message}`, { cause })
}
