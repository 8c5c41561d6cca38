/**
 * Committed offsets, by group, topic and partition.
 *
 * `replay` is the only writer. Bounded by `groups.max`, `group.offsets.max` and the totals of the
 * settings, which are checked where records are decided.
 */

import { CONSUMER_OFFSETS_PARTITION } from '../../machines/internal-partitions.ts'
import type {
  InternalPartition,
  Machine,
  MachineRecord,
  MachineSnapshot,
} from '../../machines/machine.ts'
import { SnapshotMap } from '../../snapshot-map.ts'
import {
  decodeOffset,
  decodeOffsetKey,
  isOffsetKey,
  offsetRecord,
  type StoredOffset,
} from './records.ts'

/** The offsets of one group in one topic, by partition. */
export type TopicOffsets = ReadonlyMap<number, StoredOffset>

/** A group and a topic: where offsets are kept together. */
type Place = { readonly groupId: string; readonly topic: string }

type OffsetsOfGroup = {
  readonly topics: Map<string, Place>
  count: number
}

/** All committed offsets. */
export class OffsetsMachine implements Machine {
  readonly name: string = 'offsets'
  readonly partition: InternalPartition = CONSUMER_OFFSETS_PARTITION
  readonly #groups = new Map<string, OffsetsOfGroup>()
  /** Ids of groups with offsets in a topic: who deletes one does not look through all groups. */
  readonly #groupsOf = new Map<string, Set<string>>()
  /** In one map for all groups, so that a checkpoint's snapshot shares it. */
  readonly #places = new SnapshotMap<Place, Map<number, StoredOffset>>()
  #count = 0
  #bytes = 0

  /** Ids of groups with offsets. */
  groupIds(): Iterable<string> {
    return this.#groups.keys()
  }

  /** How many offsets there are. */
  get size(): number {
    return this.#count
  }

  /** Bytes of memory, as `offsets.total.max.bytes` counts them. */
  get bytes(): number {
    return this.#bytes
  }

  /** What a commit would add to {@link bytes}; less than nothing where it replaces more. */
  bytesOf(groupId: string, topic: string, partition: number, metadata: string): number {
    const place = this.#groups.get(groupId)?.topics.get(topic)
    const known = place === undefined ? undefined : this.#places.get(place)?.get(partition)
    return (
      (place === undefined ? placeBytes(groupId, topic) : 0) +
      offsetBytes(metadata) -
      (known === undefined ? 0 : offsetBytes(known.metadata))
    )
  }

  offset(groupId: string, topic: string, partition: number): StoredOffset | undefined {
    return this.#partitions(groupId, topic)?.get(partition)
  }

  /** What the group has committed, topic by topic. */
  *offsets(groupId: string): Generator<readonly [topic: string, TopicOffsets]> {
    for (const [topic, place] of this.#groups.get(groupId)?.topics ?? []) {
      const partitions = this.#places.get(place)
      if (partitions !== undefined) yield [topic, partitions]
    }
  }

  /** All topics of which there are offsets. */
  topics(): Iterable<string> {
    return this.#groupsOf.keys()
  }

  /** Ids of groups with offsets in the topic, as they are while this is iterated. */
  groupIdsOf(topic: string): Iterable<string> {
    return this.#groupsOf.get(topic) ?? []
  }

  /** What the group has committed in one topic. */
  offsetsIn(groupId: string, topic: string): TopicOffsets {
    return this.#partitions(groupId, topic) ?? NO_OFFSETS
  }

  /** How many partitions the group holds offsets for. */
  count(groupId: string): number {
    return this.#groups.get(groupId)?.count ?? 0
  }

  owns(key: Buffer): boolean {
    return isOffsetKey(key)
  }

  replay(record: MachineRecord): void {
    const key = decodeOffsetKey(record.key)
    if (key === null) return
    if (record.value === null) {
      this.#remove(key.groupId, key.topic, key.partition)
      return
    }
    const value = decodeOffset(record.value)
    if (value !== null) this.#put(key.groupId, key.topic, key.partition, value)
  }

  snapshot(): MachineSnapshot {
    const places = this.#places.snapshot()
    return {
      *records() {
        for (const [{ groupId, topic }, partitions] of places.entries()) {
          for (const [partition, value] of partitions) {
            yield offsetRecord(groupId, topic, partition, value)
          }
        }
      },
      release: places.release,
    }
  }

  restore(records: Iterable<MachineRecord>): void {
    for (const record of records) this.replay(record)
  }

  #partitions(groupId: string, topic: string): TopicOffsets | undefined {
    const place = this.#groups.get(groupId)?.topics.get(topic)
    return place === undefined ? undefined : this.#places.get(place)
  }

  #put(groupId: string, topic: string, partition: number, value: StoredOffset): void {
    this.#bytes += this.bytesOf(groupId, topic, partition, value.metadata)
    let group = this.#groups.get(groupId)
    if (group === undefined) {
      group = { topics: new Map(), count: 0 }
      this.#groups.set(groupId, group)
    }
    let place = group.topics.get(topic)
    if (place === undefined) {
      place = { groupId, topic }
      group.topics.set(topic, place)
      const groupIds = this.#groupsOf.get(topic)
      if (groupIds === undefined) this.#groupsOf.set(topic, new Set([groupId]))
      else groupIds.add(groupId)
      this.#places.set(place, new Map())
    }
    const partitions = this.#places.own(place, known => new Map(known))
    if (partitions?.has(partition) === false) {
      group.count += 1
      this.#count += 1
    }
    partitions?.set(partition, value)
  }

  #remove(groupId: string, topic: string, partition: number): void {
    const group = this.#groups.get(groupId)
    const place = group?.topics.get(topic)
    if (group === undefined || place === undefined) return
    const known = this.#places.get(place)?.get(partition)
    if (known === undefined) return
    this.#bytes -= offsetBytes(known.metadata)
    const partitions = this.#places.own(place, known => new Map(known))
    partitions?.delete(partition)
    group.count -= 1
    this.#count -= 1
    if (partitions?.size === 0) {
      this.#places.delete(place)
      group.topics.delete(topic)
      const groupIds = this.#groupsOf.get(topic)
      groupIds?.delete(groupId)
      if (groupIds?.size === 0) this.#groupsOf.delete(topic)
      this.#bytes -= placeBytes(groupId, topic)
    }
    if (group.count === 0) this.#groups.delete(groupId)
  }
}

const NO_OFFSETS: TopicOffsets = new Map()

const offsetBytes = (metadata: string): number => 128 + Buffer.byteLength(metadata)

const placeBytes = (groupId: string, topic: string): number =>
  256 + Buffer.byteLength(groupId) + Buffer.byteLength(topic)
