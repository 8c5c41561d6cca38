/**
 * Classic groups as records of `__consumer_offsets`, in Apache Kafka's own formats, so that tools that
 * read the topic understand them: GroupMetadataKey v2 with GroupMetadataValue v3 (also read: v0 to
 * v4). Big endian; a leading int16 is the version; strings have an int16 length, bytes an int32
 * length; version 4 is flexible.
 *
 * Decoding is total: what is no such record, or is cut short, decodes to null.
 */

import { ByteReader, ByteWriter } from '../../machines/bytes.ts'
import type { MachineRecord } from '../../machines/machine.ts'

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

const GROUP_KEY_VERSION = 2
const VALUE_VERSION = 3
const FLEXIBLE_VERSION = 4

export function encodeGroupKey(groupId: string): Buffer {
  return new ByteWriter().int16(GROUP_KEY_VERSION).text(groupId).finish()
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

/** A group's metadata as a record; null deletes it. */
export function groupRecord(groupId: string, value: StoredGroup | null): MachineRecord {
  return { key: encodeGroupKey(groupId), value: value === null ? null : encodeGroup(value) }
}

/** Whether a key of the topic is that of a group: told by its version. */
export function isGroupKey(key: Buffer): boolean {
  return key.length >= 2 && key.readInt16BE(0) === GROUP_KEY_VERSION
}

/** The group's id; null where the bytes are no such key. */
export function decodeGroupKey(key: Buffer): string | null {
  if (!isGroupKey(key)) return null
  const reader = new ByteReader(key)
  reader.int16()
  const groupId = reader.text()
  return reader.failed ? null : groupId
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
