/**
 * What the group coordinator remembers over a restart: committed offsets, and the last stored
 * generation of each group.
 *
 * `replay` is the only writer. Who joins and waits just now is not here (see `ClassicGroup`): as in
 * Kafka a generation is stored when its assignment is known, so after a crash between join and sync
 * the members find the previous generation, learn ILLEGAL_GENERATION and join again. Bounded by
 * `groups.max` and `group.offsets.max`, which are checked where records are decided.
 */
import type { CoordinatorRecord, Replayable } from '../../machines/record-sink.ts'
import {
  decodeGroup,
  decodeKey,
  decodeOffset,
  encodeGroupKey,
  offsetRecord,
  type StoredGroup,
  type StoredOffset,
} from './records.ts'

/** Committed offsets of one group: topic, partition, offset. */
export type GroupOffsets = ReadonlyMap<string, ReadonlyMap<number, StoredOffset>>

const NO_OFFSETS: GroupOffsets = new Map()

type OffsetsOfGroup = {
  readonly topics: Map<string, Map<number, StoredOffset>>
  count: number
}

/** The durable state of all groups. */
export class GroupMachine implements Replayable {
  readonly #groups = new Map<string, { readonly value: Buffer; readonly group: StoredGroup }>()
  readonly #offsets = new Map<string, OffsetsOfGroup>()

  /** The last stored generation. */
  stored(groupId: string): StoredGroup | undefined {
    return this.#groups.get(groupId)?.group
  }

  /** Ids of groups with a stored generation or offsets. */
  groupIds(): ReadonlySet<string> {
    return new Set([...this.#groups.keys(), ...this.#offsets.keys()])
  }

  offset(groupId: string, topic: string, partition: number): StoredOffset | undefined {
    return this.#offsets.get(groupId)?.topics.get(topic)?.get(partition)
  }

  offsets(groupId: string): GroupOffsets {
    return this.#offsets.get(groupId)?.topics ?? NO_OFFSETS
  }

  /** How many partitions the group holds offsets for. */
  offsetCount(groupId: string): number {
    return this.#offsets.get(groupId)?.count ?? 0
  }

  replay(record: CoordinatorRecord): void {
    const key = decodeKey(record.key)
    if (key === null) return
    if (key.kind === 'group') {
      if (record.value === null) {
        this.#groups.delete(key.groupId)
        return
      }
      const group = decodeGroup(record.value)
      if (group !== null) this.#groups.set(key.groupId, { value: record.value, group })
      return
    }
    if (record.value === null) {
      this.#removeOffset(key.groupId, key.topic, key.partition)
      return
    }
    const value = decodeOffset(record.value)
    if (value !== null) this.#putOffset(key.groupId, key.topic, key.partition, value)
  }

  snapshot(): readonly CoordinatorRecord[] {
    const records: CoordinatorRecord[] = []
    for (const [groupId, { value }] of this.#groups) {
      records.push({ key: encodeGroupKey(groupId), value })
    }
    for (const [groupId, { topics }] of this.#offsets) {
      for (const [topic, partitions] of topics) {
        for (const [partition, value] of partitions) {
          records.push(offsetRecord(groupId, topic, partition, value))
        }
      }
    }
    return records
  }

  /** Records that delete the group's offsets which `gone` picks. */
  tombstones(
    groupId: string,
    gone: (topic: string, partition: number, value: StoredOffset) => boolean,
  ): CoordinatorRecord[] {
    const records: CoordinatorRecord[] = []
    for (const [topic, partitions] of this.offsets(groupId)) {
      for (const [partition, value] of partitions) {
        if (gone(topic, partition, value)) {
          records.push(offsetRecord(groupId, topic, partition, null))
        }
      }
    }
    return records
  }

  #putOffset(groupId: string, topic: string, partition: number, value: StoredOffset): void {
    let group = this.#offsets.get(groupId)
    if (group === undefined) {
      group = { topics: new Map(), count: 0 }
      this.#offsets.set(groupId, group)
    }
    let partitions = group.topics.get(topic)
    if (partitions === undefined) {
      partitions = new Map()
      group.topics.set(topic, partitions)
    }
    if (!partitions.has(partition)) group.count++
    partitions.set(partition, value)
  }

  #removeOffset(groupId: string, topic: string, partition: number): void {
    const group = this.#offsets.get(groupId)
    const partitions = group?.topics.get(topic)
    if (group === undefined || partitions === undefined || !partitions.delete(partition)) return
    group.count--
    if (partitions.size === 0) group.topics.delete(topic)
    if (group.count === 0) this.#offsets.delete(groupId)
  }
}
