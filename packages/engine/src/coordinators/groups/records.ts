/**
 * The records of `__consumer_offsets`, in Apache Kafka's own formats, so that tools that read the
 * topic understand it: OffsetCommitKey v1 with OffsetCommitValue v3 (also read: v0, v1, v2, v4), and
 * GroupMetadataKey v2 with GroupMetadataValue v3 (also read: v0 to v4). Big endian; a leading int16
 * is the version; strings have an int16 length, bytes an int32 length; version 4 is flexible.
 *
 * Decoding is total: what is no such record, or is cut short, decodes to null.
 */
import type { CoordinatorRecord } from '../../machines/record-sink.ts'
import { ByteReader, ByteWriter } from './bytes.ts'

/** Where an offset is committed. */
export type OffsetKey = {
  readonly kind: 'offset'
  readonly groupId: string
  readonly topic: string
  readonly partition: number
}

/** Key of a group's metadata. */
export type GroupKey = { readonly kind: 'group'; readonly groupId: string }

/** A committed offset as it is stored. Timestamps in ms since the epoch. */
export type StoredOffset = {
  readonly offset: number
  /** -1 where unknown. */
  readonly leaderEpoch: number
  readonly metadata: string
  readonly commitTimestamp: number
}

/** A member as it is stored with its group. */
export type StoredMember = {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly rebalanceTimeoutMs: number
  readonly sessionTimeoutMs: number
  readonly subscription: Buffer
  readonly assignment: Buffer
}

/** A generation of a group as it is stored. */
export type StoredGroup = {
  readonly protocolType: string
  readonly generationId: number
  readonly protocolName: string | null
  readonly leader: string | null
  /** When the state was entered; -1 where unknown. */
  readonly stateTimestamp: number
  readonly members: readonly StoredMember[]
}

const OFFSET_KEY_VERSION = 1
const GROUP_KEY_VERSION = 2
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

export function encodeGroupKey(groupId: string): Buffer {
  return new ByteWriter().int16(GROUP_KEY_VERSION).text(groupId).finish()
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

export function encodeGroup(value: StoredGroup): Buffer {
  const writer = new ByteWriter()
    .int16(VALUE_VERSION)
    .text(value.protocolType)
    .int32(value.generationId)
    .nullableText(value.protocolName)
    .nullableText(value.leader)
    .int64(value.stateTimestamp)
    .int32(value.members.length)
  for (const member of value.members) {
    writer
      .text(member.memberId)
      .nullableText(member.groupInstanceId)
      .text(member.clientId)
      .text(member.clientHost)
      .int32(member.rebalanceTimeoutMs)
      .int32(member.sessionTimeoutMs)
      .bytes(member.subscription)
      .bytes(member.assignment)
  }
  return writer.finish()
}

/** A committed offset as a record. */
export function offsetRecord(
  groupId: string,
  topic: string,
  partition: number,
  value: StoredOffset | null,
): CoordinatorRecord {
  return {
    key: encodeOffsetKey(groupId, topic, partition),
    value: value === null ? null : encodeOffset(value),
  }
}

/** A group's metadata as a record; null deletes it. */
export function groupRecord(groupId: string, value: StoredGroup | null): CoordinatorRecord {
  return { key: encodeGroupKey(groupId), value: value === null ? null : encodeGroup(value) }
}

/** The key of a record of the topic; null for kinds this coordinator does not know. */
export function decodeKey(key: Buffer): OffsetKey | GroupKey | null {
  const reader = new ByteReader(key)
  const version = reader.int16()
  if (version === 0 || version === OFFSET_KEY_VERSION) {
    const groupId = reader.text()
    const topic = reader.text()
    const partition = reader.int32()
    return reader.failed ? null : { kind: 'offset', groupId, topic, partition }
  }
  if (version === GROUP_KEY_VERSION) {
    const groupId = reader.text()
    return reader.failed ? null : { kind: 'group', groupId }
  }
  return null
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

/** A group's metadata; null where the bytes are none. Buffers are slices of `value`. */
export function decodeGroup(value: Buffer): StoredGroup | null {
  const reader = new ByteReader(value)
  const version = reader.int16()
  if (version < 0 || version > FLEXIBLE_VERSION) return null
  reader.flexible = version === FLEXIBLE_VERSION
  const protocolType = reader.text()
  const generationId = reader.int32()
  const protocolName = reader.nullableText()
  const leader = reader.nullableText()
  const stateTimestamp = version >= 2 ? reader.int64() : -1
  const count = reader.count()
  const members: StoredMember[] = []
  for (let i = 0; i < count && !reader.failed; i++) members.push(decodeMember(reader, version))
  return reader.failed
    ? null
    : { protocolType, generationId, protocolName, leader, stateTimestamp, members }
}

function decodeMember(reader: ByteReader, version: number): StoredMember {
  const memberId = reader.text()
  const groupInstanceId = version >= 3 ? reader.nullableText() : null
  const clientId = reader.text()
  const clientHost = reader.text()
  const rebalanceTimeout = version >= 1 ? reader.int32() : -1
  const sessionTimeoutMs = reader.int32()
  const subscription = reader.bytes()
  const assignment = reader.bytes()
  reader.skipTags()
  return {
    memberId,
    groupInstanceId,
    clientId,
    clientHost,
    rebalanceTimeoutMs: rebalanceTimeout === -1 ? sessionTimeoutMs : rebalanceTimeout,
    sessionTimeoutMs,
    subscription,
    assignment,
  }
}
