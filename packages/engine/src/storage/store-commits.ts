/** The commit groups of a store, as the machines' runtime sees them. */
import type { LogError } from '@millrace/log'
import type { CommitPort } from '../machines/runtime.ts'
import type { LogStore } from './log-store.ts'

/** Commits of machines into a store's journal. */
export class StoreCommits implements CommitPort {
  readonly #store: LogStore

  constructor(store: LogStore) {
    this.#store = store
  }

  get fencedBy(): string | undefined {
    return this.#store.journal.refuses
  }

  get completedGroup(): number {
    return this.#store.journal.completedSeq
  }

  get openGroup(): number {
    return this.#store.journal.openSeq
  }

  now(): number {
    return this.#store.outside.clock.now()
  }

  get groupBytesMax(): number {
    return this.#store.journal.batchBytesMax
  }

  fitsGroup(batches: number, bytes: number): boolean {
    return this.#store.journal.fitsGroup(batches, bytes)
  }

  fitsNow(batches: number, bytes: number, makesRoom: boolean): boolean {
    return this.#store.journal.hasInternalRoom(batches, bytes, makesRoom)
  }

  enter(partitionId: number, batch: Buffer, recordCount: number, makesRoom: boolean): void {
    const partition = this.#store.partitions.get(partitionId)
    if (partition === undefined) throw new Error(`partition ${partitionId} is missing`)
    this.#store.enter(partition, batch, recordCount, { needsSync: true, makesRoom })
  }

  wait(group: number, timeoutMs?: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (error: LogError | null): void => (error === null ? resolve() : reject(error))
      this.#store.journal.wait(group, done, timeoutMs)
    })
  }
}
