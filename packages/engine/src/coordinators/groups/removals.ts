/**
 * What takes state away: deletion and expiry of groups and offsets, offsets of deleted topics.
 *
 * However much there is, it goes in slices, each decided anew from what is there then, entered whole
 * into one commit group, and durable before the next: nothing is left out because it did not fit, and
 * others have room in between. All removals share a budget of each turn of the event loop. A group's own record goes with its last offsets, so a crash on the way
 * leaves a group with fewer offsets and never offsets of a group that is gone.
 */

import type { Turns } from '@millrace/base'
import type { LogError } from '@millrace/log'
import type { MachineCommit } from '../../machines/runtime.ts'
import type { ClassicGroup } from '../classic-groups/classic-group.ts'
import { type GroupLedger, hadNoRoom } from '../classic-groups/ledger.ts'
import { groupRecord } from '../classic-groups/records.ts'
import {
  type OffsetChoice,
  type Tombstones,
  tombstones,
  topicTombstones,
} from '../offsets/decisions.ts'
import type { OffsetsMachine } from '../offsets/offsets-machine.ts'

/** One step of a removal. */
type Slice = {
  readonly parts: readonly MachineCommit[]
  /** Whether nothing is left to be done; told what follows then, in the same step. */
  readonly last: boolean
  readonly onLast?: () => void
}

/** Largest slice of keys of a deleted topic, of all groups together. */
const TOPIC_SLICE_BYTES_MAX = 64 << 10

/** Removes from the machines of groups. Everything rejects with COORDINATOR_NOT_AVAILABLE. */
export class Removals {
  readonly #ledger: GroupLedger
  readonly #offsets: OffsetsMachine
  readonly #problem: () => LogError | null
  readonly #turns: Turns

  /** `problem`: why nothing may be removed any more, if so; asked before each slice. */
  constructor(
    ledger: GroupLedger,
    offsets: OffsetsMachine,
    turns: Turns,
    problem: () => LogError | null,
  ) {
    this.#turns = turns
    this.#ledger = ledger
    this.#offsets = offsets
    this.#problem = problem
  }

  /**
   * Removes the offsets that `choice` picks, decided anew for each slice (null: none any more). A group
   * with nothing left is ended where `ends` says so, else it stays, without offsets.
   */
  offsets(
    group: ClassicGroup,
    choice: () => OffsetChoice | null,
    ends: { readonly when: () => boolean; readonly ended: () => void } = NEVER,
  ): Promise<void> {
    return this.#inSlices(() => {
      const gone = choice()
      if (gone === null) return null
      const found = tombstones(this.#offsets, group.groupId, gone, this.#ledger.sliceBytes)
      if (found.last && ends.when()) {
        return { parts: this.#end(group, found), last: true, onLast: ends.ended }
      }
      if (found.records.length === 0) return null
      return { parts: this.withoutOffsets(group, found), last: found.complete }
    })
  }

  /** Removes all offsets of a deleted topic, of as many groups in one slice as fit. */
  ofTopic(topic: string, groupOf: (groupId: string) => ClassicGroup | undefined): Promise<void> {
    const sliceBytes = Math.min(TOPIC_SLICE_BYTES_MAX, this.#ledger.sliceBytes)
    return this.#inSlices(() => {
      const parts: MachineCommit[] = []
      let bytes = 0
      for (const groupId of this.#offsets.groupIdsOf(topic)) {
        const group = groupOf(groupId)
        if (group === undefined) continue
        const found = topicTombstones(this.#offsets, groupId, topic, sliceBytes - bytes)
        parts.push(...this.withoutOffsets(group, found))
        bytes += found.bytes
        if (!found.complete || bytes >= sliceBytes) return { parts, last: false }
      }
      return parts.length === 0 ? null : { parts, last: true }
    })
  }

  /**
   * A group that holds only offsets stays until the next look for expired ones, as in Apache Kafka:
   * with its last offset it gets a record of its own.
   */
  withoutOffsets(
    group: ClassicGroup,
    { records, last }: Pick<Tombstones, 'records' | 'last'>,
  ): readonly MachineCommit[] {
    const { machine } = this.#ledger
    const keeps = last && records.length > 0 && machine.stored(group.groupId) === undefined
    return [
      { machine: this.#offsets, records },
      { machine, records: keeps ? [groupRecord(group.groupId, group.toStored())] : [] },
    ]
  }

  #end(group: ClassicGroup, { records }: Tombstones): readonly MachineCommit[] {
    const { machine } = this.#ledger
    const stored = machine.stored(group.groupId) !== undefined
    return [
      { machine: this.#offsets, records },
      { machine, records: stored ? [groupRecord(group.groupId, null)] : [] },
    ]
  }

  async #inSlices(next: () => Slice | null): Promise<void> {
    for (;;) {
      if (this.#turns.spent()) await this.#turns.next()
      // Who closes the coordinator in between waits for what has entered, not for all that is left.
      const problem = this.#problem()
      if (problem !== null) throw problem
      const slice = next()
      if (slice === null) return
      if (!this.#commit(slice)) {
        await this.#ledger.room()
        continue
      }
      if (slice.last) {
        slice.onLast?.()
        return
      }
      await this.#ledger.settled()
    }
  }

  /** False where the open group has no room: the next one has. */
  #commit({ parts }: Slice): boolean {
    try {
      this.#ledger.commit(parts, { makesRoom: true })
      return true
    } catch (error) {
      if (hadNoRoom(error)) return false
      throw error
    }
  }
}

const NEVER = { when: () => false, ended: () => undefined }
