/**
 * What consumers of a group tell each other inside JoinGroup and SyncGroup (protocol type
 * "consumer"): Subscription and Assignment, versions 0 to 3, of Kafka's ConsumerProtocol.
 *
 * The log passes these bytes on unread. Each begins with an int16 version; a newer version is read
 * with the fields of version 3, because fields are only ever added at the end (Apache Kafka,
 * ConsumerProtocolSubscription.json). Every count is checked against what is left before anything
 * is allocated.
 */

import type { TopicPartition } from '@millrace/log'
import { LogError } from '@millrace/log'

/** The protocol type under which consumers join a group. */
export const CONSUMER_PROTOCOL_TYPE = 'consumer'
/** Generation of a member that was in none. */
const NO_GENERATION_ID = -1
const VERSION_WRITTEN = 3
const VERSION_MAX = 3

/** What a member wants to read and what it holds. */
export type Subscription = {
  readonly topics: readonly string[]
  readonly userData: Buffer | null
  /** Partitions held when joining; version 1 and later (KIP-429). */
  readonly ownedPartitions: readonly TopicPartition[]
  /** The generation of `ownedPartitions`, -1 unknown; version 2 and later (KIP-792). */
  readonly generationId: number
  /** Version 3 and later (KIP-881). */
  readonly rackId: string | null
}

/** What a member is given. */
export type Assignment = {
  readonly partitions: readonly TopicPartition[]
  readonly userData: Buffer | null
}

/** Encodes a subscription; a reader of an older version ignores what it does not know. */
export function encodeSubscription(
  subscription: Subscription,
  version: number = VERSION_WRITTEN,
): Buffer {
  const out = new Bytes()
  out.int16(version)
  out.int32(subscription.topics.length)
  for (const topic of subscription.topics) out.text(topic)
  out.bytes(subscription.userData)
  if (version >= 1) out.partitions(subscription.ownedPartitions)
  if (version >= 2) out.int32(subscription.generationId)
  if (version >= 3) out.textOrNull(subscription.rackId)
  return out.toBuffer()
}

/** Decodes a subscription of any version. Throws INVALID_REQUEST on bytes that are none. */
export function decodeSubscription(data: Buffer): Subscription {
  const input = new Input(data)
  const version = Math.min(input.version(), VERSION_MAX)
  const topics: string[] = []
  for (let left = input.count(2); left > 0; left -= 1) topics.push(input.text())
  const userData = input.bytesOrNull()
  const ownedPartitions = version >= 1 ? input.partitions() : []
  const generationId = version >= 2 ? input.int32() : NO_GENERATION_ID
  const rackId = version >= 3 ? input.textOrNull() : null
  return { topics, userData, ownedPartitions, generationId, rackId }
}

/** Encodes an assignment. */
export function encodeAssignment(
  assignment: Assignment,
  version: number = VERSION_WRITTEN,
): Buffer {
  const out = new Bytes()
  out.int16(version)
  out.partitions(assignment.partitions)
  out.bytes(assignment.userData)
  return out.toBuffer()
}

/** Decodes an assignment; no bytes at all mean no partitions. Throws INVALID_REQUEST. */
export function decodeAssignment(data: Buffer): Assignment {
  if (data.length === 0) return { partitions: [], userData: null }
  const input = new Input(data)
  input.version()
  return { partitions: input.partitions(), userData: input.bytesOrNull() }
}

/** Partitions by topic, topics and numbers in rising order. */
function byTopic(partitions: readonly TopicPartition[]): [string, number[]][] {
  const topics = new Map<string, number[]>()
  for (const { topic, partition } of partitions) {
    const numbers = topics.get(topic)
    if (numbers === undefined) topics.set(topic, [partition])
    else numbers.push(partition)
  }
  for (const numbers of topics.values()) numbers.sort((a, b) => a - b)
  return [...topics].sort(([a], [b]) => (a < b ? -1 : 1))
}

class Bytes {
  #parts: Buffer[] = []

  int16(value: number): void {
    const part = Buffer.allocUnsafe(2)
    part.writeInt16BE(value)
    this.#parts.push(part)
  }

  int32(value: number): void {
    const part = Buffer.allocUnsafe(4)
    part.writeInt32BE(value)
    this.#parts.push(part)
  }

  text(value: string): void {
    const part = Buffer.from(value, 'utf8')
    this.int16(part.length)
    this.#parts.push(part)
  }

  textOrNull(value: string | null): void {
    if (value === null) this.int16(-1)
    else this.text(value)
  }

  bytes(value: Buffer | null): void {
    this.int32(value === null ? -1 : value.length)
    if (value !== null) this.#parts.push(value)
  }

  partitions(value: readonly TopicPartition[]): void {
    const topics = byTopic(value)
    this.int32(topics.length)
    for (const [topic, numbers] of topics) {
      this.text(topic)
      this.int32(numbers.length)
      for (const number of numbers) this.int32(number)
    }
  }

  toBuffer(): Buffer {
    return Buffer.concat(this.#parts)
  }
}

class Input {
  #data: Buffer
  #at = 0

  constructor(data: Buffer) {
    this.#data = data
  }

  version(): number {
    const version = this.#int16()
    if (version < 0) throw malformed(`version ${version}`)
    return version
  }

  int32(): number {
    return this.#data.readInt32BE(this.#take(4))
  }

  /** A count of things of at least `bytesEach` bytes, checked against what is left. */
  count(bytesEach: number): number {
    const count = this.int32()
    if (count < 0 || count * bytesEach > this.#data.length - this.#at)
      throw malformed(`a count of ${count}`)
    return count
  }

  text(): string {
    const text = this.textOrNull()
    if (text === null) throw malformed('null where text must be')
    return text
  }

  textOrNull(): string | null {
    const length = this.#int16()
    if (length === -1) return null
    if (length < 0) throw malformed(`a length of ${length}`)
    const at = this.#take(length)
    return this.#data.toString('utf8', at, at + length)
  }

  bytesOrNull(): Buffer | null {
    const length = this.int32()
    if (length === -1) return null
    if (length < 0) throw malformed(`a length of ${length}`)
    const at = this.#take(length)
    return this.#data.subarray(at, at + length)
  }

  partitions(): TopicPartition[] {
    const partitions: TopicPartition[] = []
    for (let topics = this.count(6); topics > 0; topics -= 1) {
      const topic = this.text()
      for (let left = this.count(4); left > 0; left -= 1)
        partitions.push({ topic, partition: this.int32() })
    }
    return partitions
  }

  #int16(): number {
    return this.#data.readInt16BE(this.#take(2))
  }

  #take(length: number): number {
    const at = this.#at
    if (at + length > this.#data.length) throw malformed('an end in the middle')
    this.#at += length
    return at
  }
}

const malformed = (what: string): LogError =>
  new LogError('INVALID_REQUEST', `consumer protocol metadata with ${what}`)
