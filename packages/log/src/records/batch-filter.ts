/**
 * Takes records out of a stored batch, as log compaction does, and leaves everything else as it was:
 * base offset, last offset, leader epoch, producer, sequence, codec, and each record's own offset
 * and timestamp. What comes out is a sparse batch, or an empty one.
 *
 * The bytes of a record that stays are copied, not encoded anew, except where the batch gets its
 * delete horizon: that takes the place of the base timestamp (attribute bit 6, KIP-534), and so the
 * timestamp deltas change. Bounded by the batch: once its decompressed records, once the kept ones.
 */
import { compress } from '../compression/compression.ts'
import type { Offset, Timestamp } from '../vocabulary.ts'
import {
  BATCH_HEADER_BYTES,
  type BatchHeader,
  hasDeleteHorizon,
  withDeleteHorizon,
  withoutCodec,
  writeBatchHeader,
} from './batch-header.ts'
import type { RecordBatch } from './record-batch.ts'
import type { RecordCursor } from './record-cursor.ts'
import { VARINT_BYTES_MAX, VARLONG_BYTES_MAX, writeVarint, writeVarlong } from './varint.ts'

/** What stays. */
export type BatchFilter = {
  /** Whether the record at the cursor stays; the cursor's fields hold until the call returns. */
  readonly keep: (cursor: RecordCursor, offset: Offset) => boolean
  /**
   * The horizon that the batch gets if a tombstone stays in it and it has none, in ms since the
   * epoch; null: none.
   */
  readonly deleteHorizon: Timestamp | null
}

/** What a filter has left of a batch. */
export type FilteredBatch = {
  /** The batch; the very bytes that went in where nothing has changed. */
  readonly batch: Buffer
  readonly changed: boolean
  readonly kept: number
  readonly removed: number
  /** Records without a value among the kept ones. */
  readonly tombstones: number
  /** Bytes of all records, decompressed: what the work depends on. */
  readonly recordBytes: number
  /** The delete horizon of what is left; null without one. */
  readonly deleteHorizon: Timestamp | null
}

/** The delete horizon of a batch, in ms since the epoch; null where it has none. */
export const deleteHorizonOf = (batch: RecordBatch): Timestamp | null =>
  hasDeleteHorizon(batch.attributes) ? batch.baseTimestamp : null

/**
 * The batch with only the records that the filter keeps; without any, {@link emptyBatch}.
 *
 * @throws LogError CORRUPT_MESSAGE, MESSAGE_TOO_LARGE, UNSUPPORTED_COMPRESSION_TYPE where the batch
 *   cannot be opened
 */
export function filterBatch(batch: RecordBatch, filter: BatchFilter): FilteredBatch {
  const known = deleteHorizonOf(batch)
  const kept = new KeptRecords(batch)
  const removed = kept.collect(filter)
  const { count, tombstones, recordBytes } = kept
  const counts = { kept: count, removed, tombstones, recordBytes }
  const horizon = known ?? (tombstones > 0 ? filter.deleteHorizon : null)
  if (count === 0) {
    return { ...counts, batch: emptyBatch(batch), changed: true, deleteHorizon: null }
  }
  if (removed === 0 && horizon === known) {
    return { ...counts, batch: batch.raw, changed: false, deleteHorizon: known }
  }
  const base = horizon ?? batch.baseTimestamp
  const records = base === batch.baseTimestamp ? kept.copied() : kept.shifted(base)
  const payload = compress(batch.compression, records)
  const bytes = withHeader(payload, {
    ...headerOf(batch),
    attributes: horizon === null ? batch.attributes : withDeleteHorizon(batch.attributes),
    baseTimestamp: base,
    maxTimestamp: batch.isLogAppendTime ? batch.maxTimestamp : kept.maxTimestamp,
    recordCount: count,
  })
  return { ...counts, batch: bytes, changed: true, deleteHorizon: horizon }
}

/**
 * The header of a batch without its records: it still says who wrote its offsets, up to which
 * sequence, and that they existed.
 */
export function emptyBatch(batch: RecordBatch): Buffer {
  return withHeader(Buffer.alloc(0), {
    ...headerOf(batch),
    attributes: withoutCodec(batch.attributes),
    baseTimestamp: -1,
    maxTimestamp: batch.maxTimestamp,
    recordCount: 0,
  })
}

/** What a filtered batch takes over. */
const headerOf = (
  batch: RecordBatch,
): Omit<BatchHeader, 'attributes' | 'baseTimestamp' | 'maxTimestamp' | 'recordCount'> => ({
  baseOffset: batch.baseOffset,
  leaderEpoch: batch.leaderEpoch,
  lastOffsetDelta: batch.lastOffsetDelta,
  producerId: batch.producerId,
  producerEpoch: batch.producerEpoch,
  baseSequence: batch.baseSequence,
})

function withHeader(payload: Buffer, header: BatchHeader): Buffer {
  const bytes = Buffer.allocUnsafe(BATCH_HEADER_BYTES + payload.length)
  payload.copy(bytes, BATCH_HEADER_BYTES)
  writeBatchHeader(bytes, header)
  return bytes
}

/** A record that stays, by its place in the decompressed bytes. */
type KeptRecord = {
  readonly start: number
  readonly end: number
  /** Where its key begins. */
  readonly keyAt: number
  readonly keyLength: number
  readonly offsetDelta: number
  readonly timestamp: Timestamp
}

class KeptRecords {
  readonly #batch: RecordBatch
  readonly #kept: KeptRecord[] = []
  #bytes: Buffer = Buffer.alloc(0)
  maxTimestamp: Timestamp = -1
  tombstones = 0

  constructor(batch: RecordBatch) {
    this.#batch = batch
  }

  get count(): number {
    return this.#kept.length
  }

  get recordBytes(): number {
    return this.#bytes.length
  }

  /** Walks the records; answers how many do not stay. */
  collect(filter: BatchFilter): number {
    const batch = this.#batch
    const cursor = batch.cursor()
    this.#bytes = cursor.bytes
    let removed = 0
    for (let start = 0; cursor.advance(); start = cursor.position) {
      if (!filter.keep(cursor, batch.baseOffset + cursor.offsetDelta)) {
        removed += 1
        continue
      }
      const { keyAt, keyLength, offsetDelta, position } = cursor
      const timestamp = batch.timestampOf(cursor.timestampDelta)
      this.#kept.push({ start, end: position, keyAt, keyLength, offsetDelta, timestamp })
      if (timestamp > this.maxTimestamp) this.maxTimestamp = timestamp
      if (cursor.valueLength < 0) this.tombstones += 1
    }
    return removed
  }

  /** The records as they were. */
  copied(): Buffer {
    return Buffer.concat(this.#kept.map(({ start, end }) => this.#bytes.subarray(start, end)))
  }

  /** The records with their timestamps relative to another base. */
  shifted(base: Timestamp): Buffer {
    return Buffer.concat(
      this.#kept.flatMap(({ end, keyAt, keyLength, offsetDelta, timestamp }) => {
        // Attributes, timestamp delta, offset delta, length of the key; the rest stays as it is.
        const head = Buffer.allocUnsafe(1 + VARLONG_BYTES_MAX + 2 * VARINT_BYTES_MAX)
        head[0] = 0
        let at = writeVarlong(head, 1, timestamp - base)
        at = writeVarint(head, at, offsetDelta)
        at = writeVarint(head, at, keyLength)
        const rest = this.#bytes.subarray(keyAt, end)
        const length = Buffer.allocUnsafe(VARINT_BYTES_MAX)
        const lengthBytes = writeVarint(length, 0, at + rest.length)
        return [length.subarray(0, lengthBytes), head.subarray(0, at), rest]
      }),
    )
  }
}
