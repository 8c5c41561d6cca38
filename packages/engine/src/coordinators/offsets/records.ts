/**
 * Committed offsets as records of `__consumer_offsets`, in Apache Kafka's own formats, so that tools
 * that read the topic understand them: OffsetCommitKey v1 (also read: v0) with OffsetCommitValue v3
 * (also read: v0, v1, v2, v4). Big endian; a leading int16 is the version; strings have an int16
 * length; version 4 is flexible.
 *
 * Decoding is total: what is no such record, or is cut short, decodes to null.
 */
import type { Offset, Timestamp } from '@millrace/log'
import { ByteReader, ByteWriter } from '../../machines/bytes.ts'
import type { MachineRecord } from '../../machines/machine.ts'

/** Where an offset is committed. */
export type OffsetKey = {
  readonly groupId: string
  readonly topic: string
  readonly partition: number
}

/** A committed offset as it is stored. Timestamps in ms since the epoch. */
export type StoredOffset = {
  readonly offset: Offset
  /** -1 where unknown. */
  readonly leaderEpoch: number
  readonly metadata: string
  readonly commitTimestamp: Timestamp
}

const OFFSET_KEY_VERSION = 1
const VALUE_VERSION = 3
const FLEXIBLE_VERSION = 4

export function encodeOffsetKey(groupId: string, topic: string, partition: number): Buffer {
  return new ByteWriter()
    .int16(OFFSET_KEY_VERSION)
    .text(groupId)
    .text(topic)
    .int32(partition)
    .finish()
}

export function encodeOffset(value: StoredOffset): Buffer {
  return new ByteWriter()
    .int16(VALUE_VERSION)
    .int64(value.offset)
    .int32(value.leaderEpoch)
    .text(value.metadata)
    .int64(value.commitTimestamp)
    .finish()
}

/** A committed offset as a record. */
export function offsetRecord(
  groupId: string,
  topic: string,
  partition: number,
  value: StoredOffset | null,
): MachineRecord {
  return {
    key: encodeOffsetKey(groupId, topic, partition),
    value: value === null ? null : encodeOffset(value),
  }
}

/** Whether a key of the topic is that of an offset: told by its version. */
export function isOffsetKey(key: Buffer): boolean {
  if (key.length < 2) return false
  const version = key.readInt16BE(0)
  return version === 0 || version === OFFSET_KEY_VERSION
}

/** Where an offset was committed; null where the bytes are no such key. */
export function decodeOffsetKey(key: Buffer): OffsetKey | null {
  if (!isOffsetKey(key)) return null
  const reader = new ByteReader(key)
  reader.int16()
  const groupId = reader.text()
  const topic = reader.text()
  const partition = reader.int32()
  return reader.failed ? null : { groupId, topic, partition }
}

/** A committed offset; null where the bytes are none. */
export function decodeOffset(value: Buffer): StoredOffset | null {
  const reader = new ByteReader(value)
  const version = reader.int16()
  if (version < 0 || version > FLEXIBLE_VERSION) return null
  reader.flexible = version === FLEXIBLE_VERSION
  const offset = reader.int64()
  const leaderEpoch = version >= 3 ? reader.int32() : -1
  const metadata = reader.text()
  const commitTimestamp = reader.int64()
  return reader.failed ? null : { offset, leaderEpoch, metadata, commitTimestamp }
}
