/**
 * What a coordinator is to the storage below it: a decide/replay machine in a registry.
 *
 * `decide` (the coordinator's own) reads state and returns records and an answer. Its records enter
 * the open commit group through `MachineRuntime.commit`, which replays them at once; `replay` is the
 * only writer of state, and boot runs exactly that code. So a second request sees the first one's
 * effect, and its answer waits until what it rests on is durable (engine rule 13).
 *
 * Checkpoint, recovery, verification and trimming know machines by this interface alone: a new
 * coordinator is a folder of its own and a line in `coordinators/machines.ts`.
 */

/** A record of an internal partition: null value deletes the key. */
export type MachineRecord = { readonly key: Buffer; readonly value: Buffer | null }

/** A partition of the engine's own topics. The same in every log, so that it can be recognised. */
export type InternalPartition = {
  /** Below {@link FIRST_CLIENT_PARTITION_ID}; never used for anything else. */
  readonly id: number
  readonly topic: string
  /** 22 characters base64url, one for each topic. */
  readonly topicId: string
  readonly partition: number
}

/** Partition ids of the engine's own topics lie below. */
export const FIRST_CLIENT_PARTITION_ID = 16

/**
 * A machine's whole state as it was at one moment, however long its reading takes: it is made in one
 * step when a commit group is sealed, and read later, in slices, while `replay` goes on. So making it
 * must be cheap: share immutable values, or keep what changes meanwhile (`SnapshotMap`).
 */
export interface MachineSnapshot {
  /**
   * Records that rebuild the state when an empty machine is given them in order. Produced one by one:
   * whoever writes them stops between any two to let others work. Each call begins anew. A key may
   * come twice, with the same value.
   */
  records(): Iterable<MachineRecord>
  /** Nobody reads it any more; called exactly once. */
  release(): void
}

/** A coordinator's state. */
export interface Machine {
  /** Names its part of a checkpoint; never changed, never used again. */
  readonly name: string
  /** Where its records are. Machines may share one. */
  readonly partition: InternalPartition
  /** Whether a record of that partition is its own: told by the key alone. */
  owns(key: Buffer): boolean
  /** Applies one record. Synchronous, deterministic, total: unknown kinds are ignored. */
  replay(record: MachineRecord): void
  snapshot(): MachineSnapshot
  /** Builds the state of a snapshot up again, in an empty machine. May be called for each slice. */
  restore(records: Iterable<MachineRecord>): void
}

/** The snapshot of a state that is copied as records at once: for machines that stay small. */
export function copiedSnapshot(records: readonly MachineRecord[]): MachineSnapshot {
  return { records: () => records, release: () => undefined }
}
