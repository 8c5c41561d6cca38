/**
 * Record batches as they come out of a fetch: the header read in place, the records on demand.
 *
 * `decodeBatches` walks a fetch answer batch by batch; the last one may be cut and is then dropped.
 * Nothing is decompressed until `records()` is iterated; without compression keys and values are
 * views of the answer itself. What is decompressed is bounded by a named number of bytes.
 */
import {
  type Compression,
  compressionNamed,
  DECOMPRESSED_BYTES_MAX,
  decompress,
} from '../compression/compression.ts'
import { LogError } from '../errors.ts'
import type { Offset, Timestamp } from '../vocabulary.ts'
import {
  attributesOf,
  BATCH_HEADER_BYTES,
  BATCH_LENGTH_OVERHEAD,
  BATCH_MAGIC,
  baseOffsetOf,
  baseSequenceOf,
  baseTimestampOf,
  batchBytesOf,
  compressionOf,
  computeBatchCrc,
  crcOf,
  isControl,
  isLogAppendTime,
  isTransactional,
  lastOffsetDeltaOf,
  lastOffsetOf,
  leaderEpochOf,
  magicOf,
  maxTimestampOf,
  producerEpochOf,
  producerIdOf,
  recordCountOf,
} from './batch-header.ts'
import type { Header, LogRecord } from './record.ts'
import { decodeHeaders, RecordCursor } from './record-cursor.ts'

/** How batches are read. */
export type DecodeOptions = {
  /** Whether each batch's checksum is compared before anything is read from it. Default true. */
  readonly checkCrc?: boolean
  /** Bound of what one batch decompresses to. Default {@link DECOMPRESSED_BYTES_MAX}. */
  readonly decompressedBytesMax?: number
  /** Batches that end before this offset are passed over, without a look at their checksum. */
  readonly from?: Offset
}

/** One whole batch in a buffer. */
export class RecordBatch {
  readonly baseOffset: Offset
  readonly lastOffset: Offset
  readonly attributes: number
  readonly #buffer: Buffer
  readonly #at: number
  readonly #bytesMax: number

  /**
   * @param buffer holds the whole batch from `at` on
   * @throws LogError CORRUPT_MESSAGE where header or checksum are not those of a whole batch
   */
  constructor(buffer: Buffer, at = 0, options: DecodeOptions = {}) {
    this.#buffer = buffer
    this.#at = at
    this.#bytesMax = options.decompressedBytesMax ?? DECOMPRESSED_BYTES_MAX
    checkLayout(buffer, at)
    if (
      options.checkCrc !== false &&
      crcOf(buffer, at) !== computeBatchCrc(buffer, at, this.bytes)
    ) {
      throw corrupt(`the checksum of the batch at offset ${baseOffsetOf(buffer, at)} is wrong`)
    }
    this.baseOffset = baseOffsetOf(buffer, at)
    this.lastOffset = this.baseOffset + lastOffsetDeltaOf(buffer, at)
    this.attributes = attributesOf(buffer, at)
    checkRanges(this)
  }

  /** Whole size in bytes, header included. */
  get bytes(): number {
    return batchBytesOf(this.#buffer, this.#at)
  }

  /** The batch as it lies in the buffer, not a copy. */
  get raw(): Buffer {
    return this.#buffer.subarray(this.#at, this.#at + this.bytes)
  }

  get lastOffsetDelta(): number {
    return lastOffsetDeltaOf(this.#buffer, this.#at)
  }

  get leaderEpoch(): number {
    return leaderEpochOf(this.#buffer, this.#at)
  }

  get baseTimestamp(): Timestamp {
    return baseTimestampOf(this.#buffer, this.#at)
  }

  get maxTimestamp(): Timestamp {
    return maxTimestampOf(this.#buffer, this.#at)
  }

  get producerId(): number {
    return producerIdOf(this.#buffer, this.#at)
  }

  get producerEpoch(): number {
    return producerEpochOf(this.#buffer, this.#at)
  }

  get baseSequence(): number {
    return baseSequenceOf(this.#buffer, this.#at)
  }

  get recordCount(): number {
    return recordCountOf(this.#buffer, this.#at)
  }

  /** Throws UNSUPPORTED_COMPRESSION_TYPE for a codec that Kafka does not define. */
  get compression(): Compression {
    return compressionNamed(compressionOf(this.attributes))
  }

  /** Whether all timestamps are the time of the append. */
  get isLogAppendTime(): boolean {
    return isLogAppendTime(this.attributes)
  }

  get isTransactional(): boolean {
    return isTransactional(this.attributes)
  }

  /** Whether the records are markers that no application sees. */
  get isControl(): boolean {
    return isControl(this.attributes)
  }

  /**
   * The records in order. Each call decompresses anew.
   *
   * @throws LogError CORRUPT_MESSAGE, MESSAGE_TOO_LARGE, UNSUPPORTED_COMPRESSION_TYPE, here or
   *   while iterating
   */
  records(): IterableIterator<LogRecord> {
    return new RecordIterator(this, this.cursor())
  }

  /** A cursor over the decompressed records, for those who need places and not objects. */
  cursor(): RecordCursor {
    const payload = this.#buffer.subarray(this.#at + BATCH_HEADER_BYTES, this.#at + this.bytes)
    const records = decompress(this.compression, payload, this.#bytesMax)
    return new RecordCursor(records, this.recordCount, this.lastOffsetDelta)
  }

  /** The timestamp of a record with this delta. */
  timestampOf(delta: number): Timestamp {
    if (this.isLogAppendTime) return this.maxTimestamp
    const timestamp = this.baseTimestamp + delta
    if (!Number.isSafeInteger(timestamp)) throw corrupt('a timestamp beyond 2^53 - 1')
    return timestamp
  }
}

/**
 * The whole batches of a fetch answer, in order. A batch cut by the end of the buffer is dropped,
 * as the protocol asks.
 *
 * @throws LogError CORRUPT_MESSAGE, UNSUPPORTED_FOR_MESSAGE_FORMAT (formats 0 and 1)
 */
export function* decodeBatches(
  buffer: Buffer,
  options?: DecodeOptions,
): Generator<RecordBatch, void> {
  let at = 0
  while (at + BATCH_LENGTH_OVERHEAD <= buffer.length) {
    const bytes = batchBytesOf(buffer, at)
    // A length that no batch can have is damage; one that reaches past the end is a cut.
    if (bytes >= BATCH_HEADER_BYTES && at + bytes > buffer.length) return
    if (options?.from !== undefined && bytes >= BATCH_HEADER_BYTES) {
      if (lastOffsetOf(buffer, at) < options.from) {
        at += bytes
        continue
      }
    }
    const batch = new RecordBatch(buffer, at, options)
    at += bytes
    yield batch
  }
}

function checkLayout(buffer: Buffer, at: number): void {
  const room = buffer.length - at
  if (room < BATCH_HEADER_BYTES) throw corrupt(`${room} bytes are too few for a batch`)
  const magic = magicOf(buffer, at)
  if (magic === 0 || magic === 1) {
    throw new LogError('UNSUPPORTED_FOR_MESSAGE_FORMAT', `a message set of format ${magic}`)
  }
  if (magic !== BATCH_MAGIC) throw corrupt(`format ${magic} is unknown`)
  const bytes = batchBytesOf(buffer, at)
  if (bytes < BATCH_HEADER_BYTES || bytes > room) {
    throw corrupt(`the batch claims ${bytes} bytes, ${room} are there`)
  }
}

function checkRanges(batch: RecordBatch): void {
  const { recordCount, lastOffsetDelta } = batch
  // Compaction leaves gaps, and batches without a record; never more records than offsets.
  if (recordCount < 0 || lastOffsetDelta < 0 || recordCount - 1 > lastOffsetDelta) {
    throw corrupt(`${recordCount} records in ${lastOffsetDelta + 1} offsets`)
  }
  if (!Number.isSafeInteger(batch.lastOffset) || batch.baseOffset < 0) {
    throw corrupt('an offset that is negative or beyond 2^53 - 1')
  }
  if (Number.isNaN(batch.baseTimestamp) || Number.isNaN(batch.maxTimestamp)) {
    throw corrupt('a timestamp beyond 2^53 - 1')
  }
  if (Number.isNaN(batch.producerId)) throw corrupt('a producer id beyond 2^53 - 1')
}

const NO_HEADERS: readonly Header[] = Object.freeze([])

class DecodedRecord implements LogRecord {
  readonly offset: Offset
  readonly timestamp: Timestamp
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly #bytes: Buffer
  readonly #headersAt: number
  readonly #headerCount: number
  #headers: readonly Header[] | undefined

  constructor(offset: Offset, timestamp: Timestamp, cursor: RecordCursor) {
    const { bytes, keyAt, keyLength, valueAt, valueLength } = cursor
    this.offset = offset
    this.timestamp = timestamp
    this.key = keyLength < 0 ? null : bytes.subarray(keyAt, keyAt + keyLength)
    this.value = valueLength < 0 ? null : bytes.subarray(valueAt, valueAt + valueLength)
    this.#bytes = bytes
    this.#headersAt = cursor.headersAt
    this.#headerCount = cursor.headerCount
  }

  get headers(): readonly Header[] {
    if (this.#headerCount === 0) return NO_HEADERS
    this.#headers ??= decodeHeaders(this.#bytes, this.#headersAt, this.#headerCount)
    return this.#headers
  }
}

class RecordIterator implements IterableIterator<LogRecord> {
  readonly #batch: RecordBatch
  readonly #cursor: RecordCursor
  readonly #appendTime: boolean
  readonly #baseTimestamp: Timestamp

  constructor(batch: RecordBatch, cursor: RecordCursor) {
    this.#batch = batch
    this.#cursor = cursor
    this.#appendTime = batch.isLogAppendTime
    this.#baseTimestamp = this.#appendTime ? batch.maxTimestamp : batch.baseTimestamp
  }

  [Symbol.iterator](): this {
    return this
  }

  next(): IteratorResult<LogRecord, undefined> {
    const cursor = this.#cursor
    if (!cursor.advance()) return { done: true, value: undefined }
    const timestamp = this.#baseTimestamp + (this.#appendTime ? 0 : cursor.timestampDelta)
    if (!Number.isSafeInteger(timestamp)) throw corrupt('a timestamp beyond 2^53 - 1')
    const offset = this.#batch.baseOffset + cursor.offsetDelta
    return { done: false, value: new DecodedRecord(offset, timestamp, cursor) }
  }
}

const corrupt = (detail: string): LogError => new LogError('CORRUPT_MESSAGE', detail)
