/**
 * Syncs of segments and of their names. A partition for which one fails, or hangs, is fenced: a failed
 * sync is never repeated, because what it should have covered is lost, names like bytes.
 */
import { inParallel } from '@millrace/base'
import { DiskError } from '../disk/disk.ts'
import { PARTITIONS_FOLDER, type PartitionLog } from '../partitions/partition-log.ts'
import { inTime } from './in-time.ts'
import type { LogStore } from './log-store.ts'

/** Syncs at once when the journal is more than half full (engine rule 5). */
const SYNCS_AT_ONCE_MAX = 4
/** Syncs at once while the engine opens: nobody waits for the journal. */
const SYNCS_AT_OPENING = 8

/** Syncs what has changed, one call at a time. */
export class SegmentSyncs {
  readonly #store: LogStore
  readonly #opening: boolean
  #turn: Promise<void> = Promise.resolve()
  /** Partitions whose folder's own name no sync has covered yet. */
  readonly #newFolders = new Set<PartitionLog>()

  /** @param options.opening nobody is served yet: a failed sync is the opening's */
  constructor(store: LogStore, options: { readonly opening?: boolean } = {}) {
    this.#store = store
    this.#opening = options.opening === true
  }

  /**
   * Syncs the bytes, whoever has the names: afterwards the files can be closed. Who comes later must
   * not take a sync under way for done, so calls follow one another.
   */
  files(partitions: Iterable<PartitionLog>): Promise<void> {
    const turn = this.#turn.then(() => this.#syncFiles(partitions))
    this.#turn = turn.catch(() => undefined) // told to whoever asked for it
    return turn
  }

  /** Syncs the names of files in the partitions' folders. Rejects where none could be opened for it. */
  async names(partitions: readonly PartitionLog[]): Promise<void> {
    const { disk } = this.#store
    const named = partitions.filter(
      partition => partition.namesDirty && partition.trouble?.state !== 'fenced',
    )
    for (const partition of named) {
      partition.namesDirty = false
      this.#newFolders.add(partition)
    }
    try {
      const work = named.map(
        partition => () => this.#syncNames([partition], () => disk.syncFolder(partition.folder)),
      )
      await inParallel(work, this.#atOnce, sync => sync())
    } catch (cause) {
      for (const partition of named) partition.namesDirty = true
      throw cause
    }
  }

  /** Syncs the names of the folders that are new, all at once. */
  async folders(): Promise<void> {
    const made = [...this.#newFolders]
    if (made.length === 0) return
    await this.#syncNames(made, () => this.#store.disk.syncFolder(PARTITIONS_FOLDER))
    for (const partition of made) this.#newFolders.delete(partition)
  }

  /** Nothing is known of names whose folders no sync has covered: they are synced again. */
  forgetFolders(): void {
    for (const partition of this.#newFolders) partition.namesDirty = true
    this.#newFolders.clear()
  }

  /** A disk that does not answer must not hold the journal for ever. */
  async limited(work: Promise<unknown>): Promise<void> {
    if (this.#opening) {
      await work // nothing is held up yet
      return
    }
    const { outside, settings } = this.#store
    await inTime(outside.timers, settings['journal.stall.max.ms'], work)
  }

  get #atOnce(): number {
    if (this.#opening) return SYNCS_AT_OPENING
    const { usedBytes, maxBytes } = this.#store.journal.fill
    return usedBytes > maxBytes / 2 ? SYNCS_AT_ONCE_MAX : 1
  }

  async #syncFiles(partitions: Iterable<PartitionLog>): Promise<void> {
    const work: (() => Promise<void>)[] = []
    for (const partition of partitions) {
      if (partition.trouble?.state === 'fenced') continue
      for (const segment of partition.segments) {
        if (segment.dirty) work.push(() => this.#syncOr([partition], segment.sync()))
      }
    }
    await inParallel(work, this.#atOnce, sync => sync())
  }

  /** One that could not be opened for it is no failed sync: rejects. */
  async #syncNames(
    partitions: readonly PartitionLog[],
    syncFolder: () => Promise<void>,
  ): Promise<void> {
    let lacks: DiskError | undefined
    const synced = syncFolder().catch((cause: unknown) => {
      if (!(cause instanceof DiskError) || cause.code !== 'EMFILE') throw cause
      lacks = cause
    })
    await this.#syncOr(partitions, synced)
    if (lacks !== undefined) throw lacks
  }

  async #syncOr(partitions: readonly PartitionLog[], synced: Promise<void>): Promise<void> {
    try {
      await this.limited(synced)
    } catch (cause) {
      if (this.#opening) throw cause
      for (const partition of partitions) {
        // The files of a deleted topic may go at any time.
        if (!partition.removed) partition.fence(`a segment failed to sync: ${String(cause)}`)
      }
    }
  }
}
