/**
 * What a coordinator needs of the storage below it: a place for its records.
 *
 * A coordinator is a decide/replay machine. `decide` reads state and returns records and an answer;
 * `replay` is synchronous, deterministic and total, and the only writer of state. The machine
 * appends its records, replays them at once, and holds the answer until `append` has resolved
 * (engine rule 13). So a second request sees the first one's effect, and nobody is told of an effect
 * that a crash could take back.
 */

/** A record of an internal topic: null value deletes the key. */
export type CoordinatorRecord = { readonly key: Buffer; readonly value: Buffer | null }

/** Where the records of one internal partition go. */
export interface RecordSink {
  /**
   * Enters the records, atomically, into the open commit group, before it returns. Resolves when
   * they and everything before them are durable. With no records: when all that was entered before
   * is. Rejects with KAFKA_STORAGE_ERROR once the engine is fenced; memory is then ahead of the disk
   * and only a restart mends it.
   */
  append(records: readonly CoordinatorRecord[]): Promise<void>
}

/** A coordinator's state as recovery sees it. */
export interface Replayable {
  /** Applies one record. Synchronous, deterministic, total: unknown kinds are ignored. */
  replay(record: CoordinatorRecord): void
  /** The whole state as records that rebuild it when replayed in order into an empty machine. */
  snapshot(): readonly CoordinatorRecord[]
}
