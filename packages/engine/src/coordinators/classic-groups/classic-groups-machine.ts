/**
 * What classic groups remember over a restart: the last stored generation of each.
 *
 * `replay` is the only writer. Who joins and waits just now is not here (see `ClassicGroup`): as in
 * Kafka a generation is stored when its assignment is known, so after a crash between join and sync
 * the members find the previous generation, learn ILLEGAL_GENERATION and join again. Bounded by
 * `groups.max` and the byte limits of the settings, which are checked where records are decided.
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
  decodeGroup,
  decodeGroupKey,
  encodeGroupKey,
  isGroupKey,
  type StoredGroup,
} from './records.ts'

type Stored = { readonly value: Buffer; readonly group: StoredGroup }

/** The durable state of all classic groups. */
export class ClassicGroupsMachine implements Machine {
  readonly name: string = 'classic-groups'
  readonly partition: InternalPartition = CONSUMER_OFFSETS_PARTITION
  readonly #groups = new SnapshotMap<string, Stored>()

  /** The last stored generation. */
  stored(groupId: string): StoredGroup | undefined {
    return this.#groups.get(groupId)?.group
  }

  /** Ids of groups with a stored generation. */
  groupIds(): Iterable<string> {
    return this.#groups.keys()
  }

  owns(key: Buffer): boolean {
    return isGroupKey(key)
  }

  replay(record: MachineRecord): void {
    const groupId = decodeGroupKey(record.key)
    if (groupId === null) return
    if (record.value === null) {
      this.#groups.delete(groupId)
      return
    }
    const group = decodeGroup(record.value)
    if (group !== null) this.#groups.set(groupId, { value: record.value, group })
  }

  snapshot(): MachineSnapshot {
    const groups = this.#groups.snapshot()
    return {
      *records() {
        for (const [groupId, { value }] of groups.entries()) {
          yield { key: encodeGroupKey(groupId), value }
        }
      },
      release: groups.release,
    }
  }

  restore(records: Iterable<MachineRecord>): void {
    for (const record of records) this.replay(record)
  }
}
