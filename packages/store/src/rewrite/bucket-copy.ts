/**
 * One bucket, written anew: every record that counts at the offset that it had, and an empty record,
 * which is no event, in the place of each that does not. Offsets are kept, so that whatever points
 * into the bucket still does: checkpoints, committed offsets, results of commands, conditions.
 *
 * Two passes: the rule says which records count and what the streams come to, then they are copied.
 * The state of each stream of the bucket is in memory meanwhile, about 1 KiB each.
 */

import { createHash, type Hash } from 'node:crypto'
import { HeaderReader, HeaderWriter, headerName, type Log, RecordBatchBuilder } from '@millrace/log'
import { bucketOf, isNamed, type ResolvedBoundary, resolveBoundary } from '../boundary.ts'
import { StoreError } from '../errors.ts'
import type { StreamVersion } from '../port.ts'
import { decodeFacts } from '../rule/decode-headers.ts'
import { DROPPED_TYPE, type Facts, type IdentityFacts, idOf, tenantOf } from '../rule/facts.ts'
import { foldRecord } from '../rule/fold.ts'
import {
  type BucketFold,
  EMPTY_STREAM,
  emptyBucket,
  type StreamFold,
  type StreamStates,
} from '../rule/fold-state.ts'
import { batchesOf, type RecordView, rangeOf, recordsOf } from './records.ts'

const BATCH_BYTES = 256 * 1024
/** Headers that the rule needs of an event whose data is dropped. */
const KEPT_HEADERS: ReadonlySet<string> = new Set([
  'ce_specversion',
  'ce_source',
  'ce_rule',
  'ce_tenant',
  'ce_append',
  'ce_place',
  'ce_id',
  'ce_time',
  'ce_command',
])
const TYPE = headerName('ce_type')
const BY_ID = resolveBoundary(undefined)

/** A partition of a topic. */
export type Place = { readonly topic: string; readonly bucket: number }

/** Which events lose their data. */
export type DropOptions = {
  /** Those below the first version that can be read. */
  readonly truncated: boolean
  /** All of streams that were deleted. */
  readonly tombstoned: boolean
}

/** What of a bucket counts. */
export type Survey = {
  readonly start: number
  readonly end: number
  readonly events: number
  readonly controls: number
  /** Records that do not count. */
  readonly others: number
  /** Offsets of records that lost, were cancelled, or are of an append that was never finished. */
  readonly voids: ReadonlySet<number>
  readonly streams: ReadonlyMap<string, StreamFold>
  /** What the category is, by this bucket; null where it does not say. */
  readonly identity: IdentityFacts | null
}

/** What was written. */
export type Copied = { readonly dropped: number; readonly digest: string }

/**
 * Folds a bucket from its beginning. Streams of other buckets are told where the boundary of the
 * category is known.
 */
export async function survey(
  log: Log,
  { topic, bucket }: Place,
  boundary?: ResolvedBoundary,
): Promise<Survey> {
  const range = await rangeOf(log, topic, bucket)
  const streams = new Map<string, StreamFold>()
  const fold = emptyBucket()
  const states: StreamStates = {
    get: stream => streams.get(stream) ?? EMPTY_STREAM,
    set: (stream, state) => void streams.set(stream, state),
    belongs: stream => holds(fold, bucket, stream, boundary),
  }
  const voids = new Set<number>()
  let controls = 0
  for await (const one of batchesOf(log, topic, bucket, range)) {
    const isIgnored = one.batch.isControl || one.batch.isTransactional
    for (const record of recordsOf(one)) {
      const facts: Facts = isIgnored ? { kind: 'foreign', offset: record.offset } : factsOf(record)
      const verdicts: Parameters<typeof foldRecord>[3] = []
      const { misplaced } = fold
      foldRecord(fold, states, facts, verdicts)
      if (fold.misplaced > misplaced) voids.add(facts.offset)
      else if (isControl(facts)) controls += 1
      for (const verdict of verdicts) {
        if (verdict.kind === 'void') for (const offset of verdict.offsets) voids.add(offset)
      }
    }
  }
  for (const { records } of fold.open.values()) for (const { offset } of records) voids.add(offset)
  const { events, identity } = fold
  const others = range.end - range.start - events - controls - (identity === null ? 0 : 1)
  return { ...range, events, controls, others, voids, streams, identity }
}

/** Whether a stream lies in a bucket, as far as its boundary is known here. */
function holds(
  { identity }: BucketFold,
  bucket: number,
  stream: string,
  boundary: ResolvedBoundary | undefined,
): boolean {
  if (identity === null) return true
  const known = isNamed(identity, BY_ID) ? BY_ID : boundary
  if (known === undefined || !isNamed(identity, known)) return true
  try {
    return bucketOf(known, tenantOf(stream), idOf(stream), identity.buckets) === bucket
  } catch {
    return false
  }
}

/** Copies a bucket that was surveyed into an empty one. */
export async function copyBucket(
  log: Log,
  from: Place,
  to: Place,
  found: Survey,
  drop: DropOptions,
): Promise<Copied> {
  const writer = new BucketWriter(log, to)
  let dropped = 0
  for await (const one of batchesOf(log, from.topic, from.bucket, found)) {
    const isIgnored = one.batch.isControl || one.batch.isTransactional
    for (const record of recordsOf(one)) {
      const facts = isIgnored ? undefined : factsOf(record)
      if (facts === undefined || !counts(facts, found)) continue
      const isDropped = facts.kind === 'event' && losesData(facts, found, drop)
      if (isDropped) dropped += 1
      await writer.write(isDropped ? emptied(record) : record)
    }
  }
  return { dropped, digest: await writer.end(found.end) }
}

/** Copies batches as they are; gives the digest of the records that count. */
export async function copyVerbatim(log: Log, from: Place, to: Place): Promise<string> {
  const range = await rangeOf(log, from.topic, from.bucket)
  const digest = new RecordDigest()
  for await (const one of batchesOf(log, from.topic, from.bucket, range)) {
    for (const record of recordsOf(one)) digest.add(record)
    const { batch } = one
    await appendAt(log, to, Buffer.from(batch.raw), batch.baseOffset)
  }
  return digest.end()
}

/** The digest of the records of a bucket that count, each with its offset. */
export async function digestOf(log: Log, { topic, bucket }: Place): Promise<string> {
  const digest = new RecordDigest()
  const range = await rangeOf(log, topic, bucket)
  for await (const one of batchesOf(log, topic, bucket, range)) {
    for (const record of recordsOf(one)) digest.add(record)
  }
  return digest.end()
}

/** A record as the rule sees it. */
export const factsOf = ({ offset, time, key, place }: RecordView): Facts =>
  decodeFacts(offset, time, key, place).facts

const isControl = ({ kind }: Facts): boolean =>
  kind === 'truncate' || kind === 'archive' || kind === 'unarchive' || kind === 'tombstone'

/** Whether it is an event that was accepted, or says something about a stream or the category. */
export const counts = (facts: Facts, { voids, identity }: Survey): boolean =>
  facts.kind === 'identity'
    ? facts.offset === identity?.offset
    : (facts.kind === 'event' || isControl(facts)) && !voids.has(facts.offset)

/** Whether an event's data is to be dropped. */
export function losesData(
  { stream, version }: { readonly stream: string; readonly version: StreamVersion },
  { streams }: Survey,
  drop: DropOptions,
): boolean {
  const state = streams.get(stream) ?? EMPTY_STREAM
  if (state.tombstoned) return drop.tombstoned
  return drop.truncated && version < state.firstVersion
}

/** The record without its data: what holds its version in the stream stays. */
export function emptied(record: RecordView): RecordView {
  const writer = new HeaderWriter()
  writer.text(TYPE, DROPPED_TYPE)
  const headers = copyHeaders(record, writer, name => KEPT_HEADERS.has(name))
  return { ...record, value: Buffer.from('null'), headers }
}

/** Headers of a record behind those that a writer has already. */
export function copyHeaders(
  { place: { bytes, headersAt, headerCount } }: RecordView,
  writer: HeaderWriter,
  isKept: (name: string) => boolean,
): RecordView['headers'] {
  const reader = new HeaderReader(bytes, headersAt, headerCount)
  while (reader.advance()) {
    if (isKept(reader.name)) writer.text(headerName(reader.name), reader.text)
  }
  const { bytes: headers, count } = writer.copy()
  return { bytes: headers, count }
}

/** Writes records into an empty bucket: at their offsets, or one after the other. */
export class BucketWriter {
  readonly #log: Log
  readonly #to: Place
  readonly #digest = new RecordDigest()
  #batch = new RecordBatchBuilder()
  #batchFrom = 0
  #next = 0
  #bytes = 0
  #time = 0

  constructor(log: Log, to: Place) {
    this.#log = log
    this.#to = to
  }

  /** At the record's own offset. */
  async write(record: RecordView): Promise<void> {
    await this.#fill(record.offset)
    await this.writeNext(record)
  }

  /** At the next offset. */
  async writeNext(record: RecordView): Promise<void> {
    const { key, value, headers, time } = record
    this.#digest.add(record)
    this.#time = time
    this.#batch.append({ key, value, headers, timestamp: time }, time)
    this.#bytes += (key?.length ?? 0) + (value?.length ?? 0) + headers.bytes.length
    this.#next += 1
    if (this.#bytes >= BATCH_BYTES) await this.#flush()
  }

  /** Fills up to `end`; gives the digest. */
  async end(end: number = this.#next): Promise<string> {
    await this.#fill(end)
    await this.#flush()
    return this.#digest.end()
  }

  /** Empty records, which are no events, for the offsets of what does not count. */
  async #fill(until: number): Promise<void> {
    while (this.#next < until) {
      this.#batch.append({ key: null, value: null, timestamp: this.#time }, this.#time)
      this.#bytes += 16
      this.#next += 1
      if (this.#bytes >= BATCH_BYTES) await this.#flush()
    }
  }

  async #flush(): Promise<void> {
    if (this.#next === this.#batchFrom) return
    await appendAt(this.#log, this.#to, this.#batch.finish(), this.#batchFrom)
    this.#batch = new RecordBatchBuilder()
    this.#batchFrom = this.#next
    this.#bytes = 0
  }
}

async function appendAt(log: Log, { topic, bucket }: Place, batch: Buffer, at: number) {
  const [result] = await log.append([{ topic, partition: bucket, batch }])
  if (result?.error !== undefined) throw result.error
  if (result?.baseOffset !== at) {
    throw new StoreError(
      'STORE_FAILED',
      `topic ${topic}, bucket ${bucket}: a batch came to offset ${result?.baseOffset}, not ${at}: somebody else writes`,
    )
  }
}

/** Of key, value, headers, time and offset of each record that is not empty. */
class RecordDigest {
  readonly #hash: Hash = createHash('sha256')

  add({ offset, time, key, value, headers }: RecordView): void {
    if (key === null && value === null && headers.count === 0) return
    const sizes = [key?.length ?? -1, value?.length ?? -1, headers.count]
    this.#hash.update(`${offset} ${time} ${sizes.join(' ')}\n`)
    for (const part of [key, value, headers.bytes]) if (part !== null) this.#hash.update(part)
  }

  end(): string {
    return this.#hash.digest('hex')
  }
}
