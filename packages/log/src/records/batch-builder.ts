/**
 * Writes record batches: records go one by one into a growing buffer, as bytes, when they come;
 * `finish` puts the header in front, compresses, and computes the checksum.
 *
 * The buffer is kept for the next batch; the finished batch is a copy of exactly its size, so that
 * a batch that waits somewhere pins nothing but itself. Nothing is allocated for a record. Bounded
 * by `bytesMax`: a record that would exceed it is refused and leaves the builder as it was.
 */
import { COMPRESSIONS, type Compression, compress } from '../compression/compression.ts'
import { LogError } from '../errors.ts'
import {
  NO_LEADER_EPOCH,
  type Offset,
  type ProducerIdentity,
  type Timestamp,
} from '../vocabulary.ts'
import {
  attributeBits,
  BATCH_HEADER_BYTES,
  NO_PRODUCER_ID,
  writeBatchHeader,
} from './batch-header.ts'
import type { HeaderBlock } from './header-block.ts'
import type { NewHeader, NewRecordOrBlock } from './record.ts'
import { VARINT_BYTES_MAX, VARLONG_BYTES_MAX, writeVarint, writeVarlong } from './varint.ts'

/** Most bytes of a batch before compression, where the builder is given no other bound: 100 MiB. */
export const BATCH_BYTES_MAX: number = 100 * 1024 * 1024

const BUFFER_BYTES_INITIAL = 16 * 1024
/** A buffer that grew beyond this for one batch is not kept for the next. */
const BUFFER_BYTES_KEPT = 4 * 1024 * 1024
/** Most bytes of a record beside key, value and headers: attributes, deltas, lengths, count. */
const RECORD_OVERHEAD_BYTES: number = 1 + VARLONG_BYTES_MAX + 5 * VARINT_BYTES_MAX
const UTF8_BYTES_PER_UNIT = 3
/** Up to this length text is written by a loop, which then beats the call into native code. */
const TEXT_LOOP_LENGTH = 24

/** How a builder writes. */
export type BatchBuilderOptions = {
  /** Default "none". */
  readonly compression?: Compression
  /** Level of gzip or zstd; absent: their default. */
  readonly level?: number
  /** Bound of the batch before compression, header included. Default {@link BATCH_BYTES_MAX}. */
  readonly bytesMax?: number
}

/** What a batch's header is given beside its records. */
export type BatchIdentity = {
  /** Absent: a batch without a producer. */
  readonly producer?: ProducerIdentity
  /** Sequence number of the first record, 0 to 2^31-1; with `producer`. */
  readonly baseSequence?: number
  readonly transactional?: boolean
  /** Default 0: the log sets it. */
  readonly baseOffset?: Offset
  /** Default -1: the log sets it. */
  readonly leaderEpoch?: number
}

/** An upper bound of the bytes that a record takes in a batch before compression. */
export function recordBytesMax(record: NewRecordOrBlock): number {
  let bytes = RECORD_OVERHEAD_BYTES + bytesMaxOf(record.key) + bytesMaxOf(record.value)
  const { headers } = record
  if (headers !== undefined) {
    if ('bytes' in headers) return bytes + headers.bytes.length
    for (const header of headers) {
      bytes += 2 * VARINT_BYTES_MAX + bytesMaxOf(header.key) + bytesMaxOf(header.value)
    }
  }
  return bytes
}

const bytesMaxOf = (data: Buffer | string | null | undefined): number =>
  data === null || data === undefined
    ? 0
    : typeof data === 'string'
      ? data.length * UTF8_BYTES_PER_UNIT
      : data.length

/** Collects the records of one batch after the other. */
export class RecordBatchBuilder {
  readonly #compression: Compression
  readonly #level: number | undefined
  readonly #bytesMax: number
  #buffer: Buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES_INITIAL)
  #end: number = BATCH_HEADER_BYTES
  #count = 0
  #baseTimestamp: Timestamp = -1
  #maxTimestamp: Timestamp = -1

  constructor(options: BatchBuilderOptions = {}) {
    this.#compression = options.compression ?? 'none'
    this.#level = options.level
    this.#bytesMax = options.bytesMax ?? BATCH_BYTES_MAX
  }

  /** Records so far. */
  get count(): number {
    return this.#count
  }

  /** Bytes so far: header and records before compression. */
  get bytes(): number {
    return this.#end
  }

  /** Largest timestamp so far, -1 without a record. */
  get maxTimestamp(): Timestamp {
    return this.#maxTimestamp
  }

  /**
   * Adds a record; returns its place in the batch, from 0.
   *
   * @param now the timestamp of a record that has none
   * @throws LogError MESSAGE_TOO_LARGE past `bytesMax`, INVALID_TIMESTAMP; nothing is added then
   */
  append(record: NewRecordOrBlock, now: Timestamp): number {
    const timestamp = record.timestamp ?? now
    if (!Number.isSafeInteger(timestamp) || timestamp < 0) {
      throw new LogError('INVALID_TIMESTAMP', `${timestamp} is not a whole number of ms from 0 on`)
    }
    const start = this.#end
    const bodyMax = recordBytesMax(record)
    if (start + bodyMax > this.#buffer.length) this.#grow(start + bodyMax)
    const base = this.#count === 0 ? timestamp : this.#baseTimestamp
    // The length stands in front of the body and is known after it: its place is guessed by the
    // longest body, and the rare wrong guess moves the body.
    const guess = lengthBytes(bodyMax - VARINT_BYTES_MAX)
    const bodyAt = start + guess
    const bodyEnd = writeBody(this.#buffer, bodyAt, record, timestamp - base, this.#count)
    const bytes = bodyEnd - bodyAt
    const actual = lengthBytes(bytes)
    const end = bodyEnd + actual - guess
    if (end > this.#bytesMax) {
      throw new LogError(
        'MESSAGE_TOO_LARGE',
        `a batch of ${end} bytes, at most ${this.#bytesMax} before compression`,
      )
    }
    if (actual !== guess) this.#buffer.copyWithin(start + actual, bodyAt, bodyEnd)
    writeVarint(this.#buffer, start, bytes)
    this.#end = end
    this.#baseTimestamp = base
    if (timestamp > this.#maxTimestamp) this.#maxTimestamp = timestamp
    return this.#count++
  }

  /**
   * Ends the batch and begins the next. The batch is a buffer of its own.
   *
   * @throws LogError INVALID_RECORD without a record, or with a producer and no base sequence
   */
  finish(identity: BatchIdentity = {}): Buffer {
    if (this.#count === 0) throw new LogError('INVALID_RECORD', 'a batch has at least one record')
    const { producer, baseSequence = -1 } = identity
    if (producer !== undefined && baseSequence < 0) {
      throw new LogError('INVALID_RECORD', 'a batch of a producer needs its base sequence')
    }
    const batch = this.#withRoomForHeader()
    writeBatchHeader(batch, {
      baseOffset: identity.baseOffset ?? 0,
      leaderEpoch: identity.leaderEpoch ?? NO_LEADER_EPOCH,
      attributes: attributeBits(
        COMPRESSIONS.indexOf(this.#compression),
        identity.transactional ?? false,
      ),
      lastOffsetDelta: this.#count - 1,
      baseTimestamp: this.#baseTimestamp,
      maxTimestamp: this.#maxTimestamp,
      producerId: producer?.producerId ?? NO_PRODUCER_ID,
      producerEpoch: producer?.producerEpoch ?? -1,
      baseSequence: producer === undefined ? -1 : baseSequence,
      recordCount: this.#count,
    })
    this.reset()
    return batch
  }

  /** Forgets the records so far. */
  reset(): void {
    this.#end = BATCH_HEADER_BYTES
    this.#count = 0
    this.#baseTimestamp = -1
    this.#maxTimestamp = -1
    if (this.#buffer.length > BUFFER_BYTES_KEPT) {
      this.#buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES_INITIAL)
    }
  }

  #withRoomForHeader(): Buffer {
    const records = this.#buffer.subarray(BATCH_HEADER_BYTES, this.#end)
    const payload = compress(this.#compression, records, this.#level)
    const batch = Buffer.allocUnsafe(BATCH_HEADER_BYTES + payload.length)
    payload.copy(batch, BATCH_HEADER_BYTES)
    return batch
  }

  #grow(bytes: number): void {
    // Text may be bounded at three times its size, so room beyond the bound can be needed.
    const roomMax = this.#bytesMax * UTF8_BYTES_PER_UNIT + BUFFER_BYTES_INITIAL
    if (bytes > roomMax) {
      throw new LogError(
        'MESSAGE_TOO_LARGE',
        `more than ${this.#bytesMax} bytes before compression`,
      )
    }
    const grown = Buffer.allocUnsafeSlow(Math.max(bytes, this.#buffer.length * 2))
    this.#buffer.copy(grown, 0, 0, this.#end)
    this.#buffer = grown
  }
}

/** Bytes of the varint of a length, which is never negative. */
const lengthBytes = (length: number): number =>
  length < 0x40 ? 1 : length < 0x2000 ? 2 : length < 0x100000 ? 3 : length < 0x8000000 ? 4 : 5

function writeBody(
  b: Buffer,
  start: number,
  record: NewRecordOrBlock,
  timestampDelta: number,
  offsetDelta: number,
): number {
  let at = start
  b[at++] = 0
  at = writeVarlong(b, at, timestampDelta)
  at = writeVarint(b, at, offsetDelta)
  at = writeData(b, at, record.key)
  at = writeData(b, at, record.value)
  const { headers } = record
  if (headers === undefined) {
    b[at++] = 0
    return at
  }
  return 'bytes' in headers ? writeBlock(b, at, headers) : writeHeaders(b, at, headers)
}

function writeBlock(b: Buffer, start: number, block: HeaderBlock): number {
  const at = writeVarint(b, start, block.count)
  b.set(block.bytes, at)
  return at + block.bytes.length
}

function writeHeaders(b: Buffer, start: number, headers: readonly NewHeader[]): number {
  let at = writeVarint(b, start, headers.length)
  for (const header of headers) {
    at = writeData(b, at, header.key)
    at = writeData(b, at, header.value)
  }
  return at
}

/** Writes length and bytes; returns where they end. */
function writeData(b: Buffer, at: number, data: Buffer | string | null | undefined): number {
  if (data === null || data === undefined) return writeVarint(b, at, -1)
  if (typeof data === 'string') return writeText(b, at, data)
  const begin = writeVarint(b, at, data.length)
  b.set(data, begin)
  return begin + data.length
}

function writeText(b: Buffer, at: number, text: string): number {
  const { length } = text
  if (length <= TEXT_LOOP_LENGTH) {
    let i = 0
    for (; i < length; i++) {
      const unit = text.charCodeAt(i)
      if (unit >= 0x80) break
      b[at + 1 + i] = unit
    }
    if (i === length) {
      b[at] = length << 1
      return at + 1 + length
    }
  }
  const guess = lengthBytes(length)
  const bytes = b.write(text, at + guess)
  const actual = lengthBytes(bytes)
  if (actual !== guess) b.copyWithin(at + actual, at + guess, at + guess + bytes)
  writeVarint(b, at, bytes)
  return at + actual + bytes
}

/** A whole batch in one call. */
export type NewBatch = BatchIdentity &
  BatchBuilderOptions & {
    readonly records: readonly NewRecordOrBlock[]
    /** The timestamp of records that have none. Default 0. */
    readonly timestamp?: Timestamp
  }

/** Writes one batch. Throws as {@link RecordBatchBuilder} does. */
export function encodeBatch(batch: NewBatch): Buffer {
  const builder = new RecordBatchBuilder(batch)
  const now = batch.timestamp ?? 0
  for (const record of batch.records) builder.append(record, now)
  return builder.finish(batch)
}
