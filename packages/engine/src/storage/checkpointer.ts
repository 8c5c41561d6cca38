/**
 * Checkpoints: sync the segments that changed, write down how far everything reaches, free the
 * journal behind it.
 *
 *     wanted ──group sealed──► state machines copied ──same group complete──► ends copied
 *            ──► segments synced ──► checkpoint written ──► journal released
 *
 * State machines run ahead of the disk: they stand behind the last group that was sealed. So they are
 * copied when a group is sealed, and the partitions' ends when that very group is complete: both
 * halves then speak of the same moment. Appends go on all the while.
 */

import type { ProducerRecord } from '../coordinators/producer-ledger.ts'
import type { CoordinatorRecord } from '../coordinators/record-sink.ts'
import { type Checkpoint, type SnapshotRecord, writeCheckpoint } from './checkpoint-file.ts'
import type { JournalPosition } from './journal.ts'
import { entriesOf } from './journal-format.ts'
import { JournalScan } from './journal-scan.ts'
import type { LogStore } from './log-store.ts'
import { PARTITIONS_FOLDER, type PartitionLog, type PartitionRecord } from './partition-log.ts'
import { rescue } from './rescue.ts'

/** Segment syncs at once when the journal is more than half full (engine rule 5). */
const SYNCS_AT_ONCE_MAX = 4

/** The state machines of the engine, as a checkpoint copies them. */
export interface Snapshots {
  catalogue(): readonly CoordinatorRecord[]
  groups(): readonly CoordinatorRecord[]
}

type Copied = {
  readonly seq: number
  readonly catalogue: readonly SnapshotRecord[]
  readonly groups: readonly SnapshotRecord[]
  readonly producers: ReadonlyMap<number, readonly ProducerRecord[]>
}

/** Text form of a coordinator's records. */
export const toSnapshot = (records: readonly CoordinatorRecord[]): readonly SnapshotRecord[] =>
  records.map(({ key, value }) => [key.toString('base64'), value?.toString('base64') ?? null])

/** Records from their text form. */
export const fromSnapshot = (records: readonly SnapshotRecord[]): readonly CoordinatorRecord[] =>
  records.map(([key, value]) => ({
    key: Buffer.from(key, 'base64'),
    value: value === null ? null : Buffer.from(value, 'base64'),
  }))

/** Writes checkpoints of a store. */
export class Checkpointer {
  readonly #store: LogStore
  readonly #snapshots: Snapshots
  readonly #logId: string
  readonly #onError: (message: string) => void
  #number: number
  #last: Checkpoint
  #wanted = false
  #copied: Copied | undefined
  #running: Promise<void> | undefined
  #waiters: (() => void)[] = []
  /** Called after each durable checkpoint. */
  onDone: () => void = () => undefined
  count = 0

  constructor(parts: {
    store: LogStore
    snapshots: Snapshots
    /** The checkpoint that was written when the store was opened. */
    last: Checkpoint
    onError: (message: string) => void
  }) {
    this.#store = parts.store
    this.#snapshots = parts.snapshots
    this.#last = parts.last
    this.#logId = parts.last.logId
    this.#number = parts.last.number
    this.#onError = parts.onError
  }

  /** Groups up to this one are covered by a durable checkpoint. */
  get coveredSeq(): number {
    return this.#last.journal.seq
  }

  /** Whether a checkpoint is under way that needs no further group to be sealed. */
  get underWay(): boolean {
    return this.#running !== undefined || this.#copied !== undefined
  }

  /** Asks for a checkpoint; it begins with the next group that is sealed. */
  request(): void {
    if (this.#wanted || this.#running !== undefined) return
    this.#wanted = true
  }

  /** Writes a checkpoint now and resolves when it is durable, or has failed. */
  async now(): Promise<void> {
    while (this.#running !== undefined) await this.#running
    await new Promise<void>(resolve => {
      this.#waiters.push(resolve)
      this.#wanted = true
      this.#store.journal.sync().catch(() => this.#finish())
    })
  }

  /** The journal has sealed a group: state machines stand exactly behind it. */
  sealed(seq: number): void {
    if (!this.#wanted || this.#running !== undefined || this.#copied !== undefined) return
    this.#wanted = false
    const producers = new Map<number, readonly ProducerRecord[]>()
    for (const partition of this.#store.partitions.values()) {
      if (partition.producers.size > 0) {
        producers.set(partition.id, partition.producers.snapshot())
      }
    }
    this.#copied = {
      seq,
      catalogue: toSnapshot(this.#snapshots.catalogue()),
      groups: toSnapshot(this.#snapshots.groups()),
      producers,
    }
  }

  /** A group is complete and in its segments. */
  completed(seq: number, position: JournalPosition): void {
    const copied = this.#copied
    if (copied === undefined || copied.seq !== seq) return
    this.#copied = undefined
    if (this.#store.hasUnwritten) {
      // What waits for room is in the journal only: it must stay there.
      this.#wanted = true
      this.#finish()
      return
    }
    const fenced: PartitionLog[] = []
    const partitions: PartitionRecord[] = []
    for (const partition of this.#store.partitions.values()) {
      if (partition.trouble?.state === 'fenced') {
        fenced.push(partition)
        const before = this.#last.partitions.find(record => record.id === partition.id)
        if (before !== undefined) partitions.push(before)
      } else partitions.push(partition.record(copied.producers.get(partition.id) ?? []))
    }
    const next: Checkpoint = {
      number: this.#number + 1,
      logId: this.#logId,
      clean: false,
      journal: position,
      partitions,
      catalogue: copied.catalogue,
      groups: copied.groups,
      quarantined: quarantinedOf(this.#store),
    }
    this.#running = this.#run(next, fenced).then(
      () => this.#finish(),
      (cause: unknown) => {
        // The same file is written again next time: the other one holds the last good checkpoint.
        this.#number += 2
        this.#onError(`a checkpoint failed: ${String(cause)}`)
        this.#finish()
      },
    )
  }

  /** The last checkpoint of a run: nothing is left in the journal, indexes are written. */
  async final(): Promise<void> {
    await this.#running
    await this.now()
    if (this.#store.journal.fencedBy !== undefined) return
    if (this.#last.journal.seq !== this.#store.journal.completedSeq) return
    for (const partition of this.#store.partitions.values()) {
      for (const segment of partition.segments) {
        if (!segment.indexIsSaved) segment.saveIndex()
      }
    }
    const clean: Checkpoint = { ...this.#last, number: this.#number + 1, clean: true }
    await writeCheckpoint(this.#store.disk, clean)
  }

  async #run(next: Checkpoint, fenced: readonly PartitionLog[]): Promise<void> {
    await this.#rescue(fenced)
    const failed = await this.#syncSegments()
    if (failed) {
      this.#wanted = true // the next one leaves the fenced partitions out
      return
    }
    await writeCheckpoint(this.#store.disk, next)
    this.#number = next.number
    this.#last = next
    this.count += 1
    this.#store.journal.release(next.journal.seq)
    this.#saveIndexes()
    this.onDone()
  }

  /** Closed segments get their index and checksums: derived data, so a failure is only told. */
  #saveIndexes(): void {
    for (const partition of this.#store.partitions.values()) {
      for (const segment of partition.segments.slice(0, -1)) {
        if (segment.dirty || segment.indexIsSaved) continue
        try {
          segment.saveIndex()
        } catch (cause) {
          this.#onError(`the index of ${segment.path} could not be written: ${String(cause)}`)
        }
      }
    }
  }

  #finish(): void {
    this.#running = undefined
    const waiters = this.#waiters
    this.#waiters = []
    for (const resolve of waiters) resolve()
  }

  async #syncSegments(): Promise<boolean> {
    let failed = false
    const work: (() => Promise<void>)[] = []
    let newFolders = false
    for (const partition of this.#store.partitions.values()) {
      if (partition.trouble?.state === 'fenced' || partition.deleted) continue
      for (const segment of partition.segments) {
        if (!segment.dirty) continue
        work.push(async () => {
          try {
            await segment.sync()
          } catch (cause) {
            failed = true
            partition.fence(`a segment failed to sync: ${String(cause)}`)
          }
        })
      }
      if (partition.namesDirty) {
        partition.namesDirty = false
        newFolders = true
        work.push(async () => {
          try {
            await this.#store.disk.syncFolder(partition.folder)
          } catch (cause) {
            partition.namesDirty = true
            throw cause
          }
        })
      }
    }
    const { usedBytes, maxBytes } = this.#store.journal.fill
    await inParallel(work, usedBytes > maxBytes / 2 ? SYNCS_AT_ONCE_MAX : 1)
    if (newFolders) await this.#store.disk.syncFolder(PARTITIONS_FOLDER)
    return failed
  }

  /** Copies what the fenced partitions miss out of the journal, so that they do not pin it. */
  async #rescue(fenced: readonly PartitionLog[]): Promise<void> {
    if (fenced.length === 0) return
    const wanted = new Map(fenced.map(partition => [partition.id, [] as Buffer[]]))
    const scan = new JournalScan(this.#store.disk, this.#last.journal)
    try {
      for (const { payload } of scan.groups()) {
        for (const { partitionId, batch } of entriesOf(payload))
          wanted.get(partitionId)?.push(batch)
      }
    } finally {
      scan.close()
    }
    for (const [id, batches] of wanted) {
      if (batches.length > 0) await rescue(this.#store.disk, id, batches)
    }
  }
}

/** Quarantined partitions and their reasons, as a checkpoint keeps them. */
export const quarantinedOf = (store: LogStore): Checkpoint['quarantined'] =>
  [...store.partitions.values()].flatMap(({ id, trouble }) =>
    trouble?.state === 'quarantined' ? [[id, trouble.reason] as const] : [],
  )

async function inParallel(work: readonly (() => Promise<void>)[], width: number): Promise<void> {
  let next = 0
  const lane = async (): Promise<void> => {
    for (let job = work[next++]; job !== undefined; job = work[next++]) await job()
  }
  await Promise.all(Array.from({ length: width }, lane))
}
