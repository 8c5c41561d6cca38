/**
 * What happens to a commit group, in this order and in one synchronous step each:
 *
 *     sealed ──► a checkpoint that is due copies the machines, which stand exactly behind the group
 *     complete ──► batches to their segments, high watermarks up
 *              ──► what was decided becomes visible (`whenComplete`)
 *              ──► the same checkpoint copies the partitions' ends
 *              ──► the clockwork looks whether something is due
 *              ──► (the journal) whoever waits for the group is answered
 *
 * So nobody is shown, or told, what the group's bytes do not hold; and both halves of a checkpoint
 * speak of the same moment.
 */
import type { PartitionLog } from '../partitions/partition-log.ts'
import type { CommitGroup } from './commit-group.ts'
import type { JournalPosition } from './journal-format.ts'

/** A step of the sequence that comes and goes with the engine's phases. */
export type CommitSteps = {
  /** Writes a complete group's batches to their segments. */
  readonly apply: (group: CommitGroup<PartitionLog>) => void
  /** Where the next group will follow. */
  readonly position: () => JournalPosition
  readonly checkpointer: () =>
    | {
        sealed(seq: number): void
        completed(seq: number, position: JournalPosition): void
      }
    | undefined
  readonly afterGroup: () => void
}

/** The way of commit groups from their sealing to their answers. */
export class CommitSequence {
  readonly #steps: CommitSteps
  /** By group, in the order of the groups. */
  readonly #effects: { readonly seq: number; readonly effect: () => void }[] = []

  constructor(steps: CommitSteps) {
    this.#steps = steps
  }

  /** Runs `effect` when the group is complete, behind its segments and before its answers. */
  whenComplete(seq: number, effect: () => void): void {
    this.#effects.push({ seq, effect })
  }

  sealed(group: CommitGroup<PartitionLog>): void {
    this.#steps.checkpointer()?.sealed(group.seq)
  }

  complete(group: CommitGroup<PartitionLog>): void {
    this.#steps.apply(group)
    this.#runEffects(group.seq)
    this.#steps.checkpointer()?.completed(group.seq, this.#steps.position())
    this.#steps.afterGroup()
  }

  #runEffects(seq: number): void {
    let due = 0
    while ((this.#effects[due]?.seq ?? Number.POSITIVE_INFINITY) <= seq) due += 1
    for (const { effect } of this.#effects.splice(0, due)) effect()
  }
}
