/**
 * The header of a record batch, version 2: 61 bytes in front of the records, never compressed.
 *
 * The header is read in place, field by field, from the buffer that holds the batch: the engine
 * handles batches by their header alone. The checksum (CRC-32C) covers byte 21 to the end, so that
 * base offset and leader epoch can be set without touching it.
 * Layout: Apache Kafka, DefaultRecordBatch; all numbers big endian.
 */

import type { Offset, Timestamp } from '../vocabulary.ts'
import { crc32cJoined, crc32cOf } from './crc32c.ts'

/** Bytes of the header. */
export const BATCH_HEADER_BYTES = 61
/** Bytes in front of what the batch's length field counts: base offset and the field itself. */
export const BATCH_LENGTH_OVERHEAD = 12
/** Smallest legal value of the length field. */
export const BATCH_LENGTH_MIN: number = BATCH_HEADER_BYTES - BATCH_LENGTH_OVERHEAD
/** The only version of the format that is stored. */
export const BATCH_MAGIC = 2
/** Producer id of a batch without a producer. */
export const NO_PRODUCER_ID = -1

const LENGTH_AT = 8
const LEADER_EPOCH_AT = 12
const MAGIC_AT = 16
const CRC_AT = 17
const ATTRIBUTES_AT = 21
const LAST_OFFSET_DELTA_AT = 23
const BASE_TIMESTAMP_AT = 27
const MAX_TIMESTAMP_AT = 35
const PRODUCER_ID_AT = 43
const PRODUCER_EPOCH_AT = 51
const BASE_SEQUENCE_AT = 53
const RECORD_COUNT_AT = 57

const COMPRESSION_MASK = 0x07
const LOG_APPEND_TIME_BIT = 0x08
const TRANSACTIONAL_BIT = 0x10
const CONTROL_BIT = 0x20
const DELETE_HORIZON_BIT = 0x40
const UNUSED_BITS = 0xff80

const TWO_32 = 0x1_0000_0000

/** Reads an int64 that must be a safe integer; NaN where it is not. */
function readInt64(buffer: Buffer, at: number): number {
  const high = buffer.readInt32BE(at)
  const value = high * TWO_32 + buffer.readUInt32BE(at + 4)
  return Number.isSafeInteger(value) ? value : Number.NaN
}

function writeInt64(buffer: Buffer, at: number, value: number): void {
  buffer.writeInt32BE(Math.floor(value / TWO_32), at)
  buffer.writeUInt32BE(value >>> 0, at + 4)
}

/** Base offset of the batch at `at`; NaN if not a safe integer. */
export const baseOffsetOf = (b: Buffer, at = 0): Offset => readInt64(b, at)
/** Whole size of the batch in bytes, header included. */
export const batchBytesOf = (b: Buffer, at = 0): number =>
  b.readInt32BE(at + LENGTH_AT) + BATCH_LENGTH_OVERHEAD
/** Leader epoch under which the batch was stored. */
export const leaderEpochOf = (b: Buffer, at = 0): number => b.readInt32BE(at + LEADER_EPOCH_AT)
/** Version of the format. */
export const magicOf = (b: Buffer, at = 0): number => b.readInt8(at + MAGIC_AT)
/** The stored checksum. */
export const crcOf = (b: Buffer, at = 0): number => b.readUInt32BE(at + CRC_AT)
/** The attribute bits. */
export const attributesOf = (b: Buffer, at = 0): number => b.readUInt16BE(at + ATTRIBUTES_AT)
/** Offset of the last record relative to the base offset. */
export const lastOffsetDeltaOf = (b: Buffer, at = 0): number =>
  b.readInt32BE(at + LAST_OFFSET_DELTA_AT)
/** Offset of the last record. */
export const lastOffsetOf = (b: Buffer, at = 0): Offset =>
  baseOffsetOf(b, at) + lastOffsetDeltaOf(b, at)
/** Timestamp of the first record, or the delete horizon (KIP-534). */
export const baseTimestampOf = (b: Buffer, at = 0): Timestamp =>
  readInt64(b, at + BASE_TIMESTAMP_AT)
/** Largest timestamp of the batch, or its append time. */
export const maxTimestampOf = (b: Buffer, at = 0): Timestamp => readInt64(b, at + MAX_TIMESTAMP_AT)
/** Producer id, -1 without one. */
export const producerIdOf = (b: Buffer, at = 0): number => readInt64(b, at + PRODUCER_ID_AT)
/** Producer epoch, -1 without one. */
export const producerEpochOf = (b: Buffer, at = 0): number => b.readInt16BE(at + PRODUCER_EPOCH_AT)
/** Sequence number of the first record, -1 without one. */
export const baseSequenceOf = (b: Buffer, at = 0): number => b.readInt32BE(at + BASE_SEQUENCE_AT)
/** Number of records in the batch. */
export const recordCountOf = (b: Buffer, at = 0): number => b.readInt32BE(at + RECORD_COUNT_AT)
/** Codec of the records: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd. */
export const compressionOf = (attributes: number): number => attributes & COMPRESSION_MASK
/** Whether the timestamps are append times. */
export const isLogAppendTime = (attributes: number): boolean =>
  (attributes & LOG_APPEND_TIME_BIT) !== 0
/** Whether the batch belongs to a transaction. */
export const isTransactional = (attributes: number): boolean =>
  (attributes & TRANSACTIONAL_BIT) !== 0
/** Whether the batch holds control records, which no application sees. */
export const isControl = (attributes: number): boolean => (attributes & CONTROL_BIT) !== 0
/** Whether the base timestamp is a delete horizon. */
export const hasDeleteHorizon = (attributes: number): boolean =>
  (attributes & DELETE_HORIZON_BIT) !== 0
/** The attribute bits of a batch whose base timestamp is a delete horizon. */
export const withDeleteHorizon = (attributes: number): number => attributes | DELETE_HORIZON_BIT
/** The attribute bits of a batch without records: neither a codec nor a horizon. */
export const withoutCodec = (attributes: number): number =>
  attributes & ~(COMPRESSION_MASK | DELETE_HORIZON_BIT)
/** Whether bits without a meaning are set. */
export const hasUnusedBits = (attributes: number): boolean => (attributes & UNUSED_BITS) !== 0

/** Computes the checksum of a whole batch of `bytes` bytes at `at`. */
export const computeBatchCrc = (b: Buffer, at: number, bytes: number): number =>
  crc32cOf(b, at + ATTRIBUTES_AT, at + bytes)

/**
 * The checksum of a whole batch of `bytes` bytes behind what has the checksum `before`, from the one that
 * it carries, which must be right.
 */
export function wholeBatchCrc(b: Buffer, at: number, bytes: number, before = 0): number {
  const head = crc32cOf(b, at, at + ATTRIBUTES_AT, before)
  return crc32cJoined(head, crcOf(b, at), bytes - ATTRIBUTES_AT)
}

/** Sets base offset and leader epoch in place; the checksum does not cover them. */
export function setBatchPosition(
  b: Buffer,
  at: number,
  baseOffset: Offset,
  leaderEpoch: number,
): void {
  writeInt64(b, at, baseOffset)
  b.writeInt32BE(leaderEpoch, at + LEADER_EPOCH_AT)
}

/**
 * Turns the batch into one with append time: sets time and bit, and computes the checksum anew. A first
 * time beyond 2^53, which nobody here could read, becomes the time of append as well.
 */
export function setLogAppendTime(b: Buffer, at: number, bytes: number, time: number): void {
  b.writeUInt16BE(attributesOf(b, at) | LOG_APPEND_TIME_BIT, at + ATTRIBUTES_AT)
  writeInt64(b, at + MAX_TIMESTAMP_AT, time)
  if (Number.isNaN(baseTimestampOf(b, at))) writeInt64(b, at + BASE_TIMESTAMP_AT, time)
  b.writeUInt32BE(computeBatchCrc(b, at, bytes), at + CRC_AT)
}

/** Sets the largest timestamp of the records, and computes the checksum anew. */
export function setMaxTimestamp(b: Buffer, at: number, bytes: number, timestamp: Timestamp): void {
  writeInt64(b, at + MAX_TIMESTAMP_AT, timestamp)
  b.writeUInt32BE(computeBatchCrc(b, at, bytes), at + CRC_AT)
}

/** What a new batch's header says; its length and checksum follow from the bytes behind it. */
export type BatchHeader = {
  readonly baseOffset: Offset
  readonly leaderEpoch: number
  readonly attributes: number
  readonly lastOffsetDelta: number
  readonly baseTimestamp: Timestamp
  readonly maxTimestamp: Timestamp
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly recordCount: number
}

/** The attribute bits of a new batch. `compression` is 0 to 4. */
export const attributeBits = (compression: number, transactional: boolean): number =>
  compression | (transactional ? TRANSACTIONAL_BIT : 0)

/** Writes the header of a batch that fills the whole buffer, checksum included. */
export function writeBatchHeader(b: Buffer, header: BatchHeader): void {
  writeInt64(b, 0, header.baseOffset)
  b.writeInt32BE(b.length - BATCH_LENGTH_OVERHEAD, LENGTH_AT)
  b.writeInt32BE(header.leaderEpoch, LEADER_EPOCH_AT)
  b.writeInt8(BATCH_MAGIC, MAGIC_AT)
  b.writeUInt16BE(header.attributes, ATTRIBUTES_AT)
  b.writeInt32BE(header.lastOffsetDelta, LAST_OFFSET_DELTA_AT)
  writeInt64(b, BASE_TIMESTAMP_AT, header.baseTimestamp)
  writeInt64(b, MAX_TIMESTAMP_AT, header.maxTimestamp)
  writeInt64(b, PRODUCER_ID_AT, header.producerId)
  b.writeInt16BE(header.producerEpoch, PRODUCER_EPOCH_AT)
  b.writeInt32BE(header.baseSequence, BASE_SEQUENCE_AT)
  b.writeInt32BE(header.recordCount, RECORD_COUNT_AT)
  b.writeUInt32BE(computeBatchCrc(b, 0, b.length), CRC_AT)
}
