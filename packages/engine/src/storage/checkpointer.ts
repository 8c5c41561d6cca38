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

import { DiskError } from '../disk/disk.ts'
import type { MachineRecord } from '../machines/machine.ts'
import { type MachineRegistry, type MachineSnapshots, releaseAll } from '../machines/registry.ts'
import {
  PARTITIONS_FOLDER,
  type PartitionLog,
  type PartitionRecord,
} from '../partitions/partition-log.ts'
import type { ProducerRecord } from '../partitions/producer-ledger.ts'
import { type Segment, segmentName } from '../segments/segment.ts'
import { type Checkpoint, type SnapshotRecord, writeCheckpoint } from './checkpoint-file.ts'
import { inTime } from './in-time.ts'
import type { JournalPosition } from './journal.ts'
import { entriesOf } from './journal-format.ts'
import { JournalScan } from './journal-scan.ts'
import type { LogStore } from './log-store.ts'
import { rescue } from './rescue.ts'

/** Segment syncs at once when the journal is more than half full (engine rule 5). */
const SYNCS_AT_ONCE_MAX = 4
/** Attempts at a checkpoint behind which nothing is left in the journal, when the engine closes. */
const FINAL_ROUNDS_MAX = 3

type Copied = {
  readonly seq: number
  /** Read when the checkpoint is written; released when it is, or when a later one takes its place. */
  readonly machines: MachineSnapshots
  readonly producers: ReadonlyMap<number, readonly ProducerRecord[]>
}

/** A checkpoint that can be written without a further group: its turn has not come, or it failed. */
type Parked = {
  readonly copied: Copied
  readonly position: JournalPosition
  /**
   * Ends as of the group; undefined while batches of it wait for room on the disk. They are then
   * taken later and reach further: recovery passes over what a segment holds already.
   */
  partitions: readonly PartitionRecord[] | undefined
}

type Waiter = { readonly seq: number; readonly resolve: () => void }

/** Text form of the machines' records. */
export const toSnapshot = (machines: MachineSnapshots): Checkpoint['machines'] =>
  Object.fromEntries(
    [...machines].map(([name, snapshot]) => [name, [...snapshot.records()].map(toText)]),
  )

const toText = ({ key, value }: MachineRecord): SnapshotRecord => [
  key.toString('base64'),
  value?.toString('base64') ?? null,
]

/** Records from their text form, by machine. */
export const fromSnapshot = (
  machines: Checkpoint['machines'],
): ReadonlyMap<string, Iterable<MachineRecord>> =>
  new Map(
    Object.entries(machines).map(([name, records]) => [
      name,
      records.map(([key, value]) => ({
        key: Buffer.from(key, 'base64'),
        value: value === null ? null : Buffer.from(value, 'base64'),
      })),
    ]),
  )

/** Writes checkpoints of a store. */
export class Checkpointer {
  readonly #store: LogStore
  readonly #registry: MachineRegistry
  readonly #logId: string
  readonly #onError: (message: string) => void
  #number: number
  #last: Checkpoint
  #wanted = false
  #copied: Copied | undefined
  #parked: Parked | undefined
  #running: Promise<void> | undefined
  #syncing: Promise<void> = Promise.resolve()
  #waiters: Waiter[] = []
  /** Called after each durable checkpoint. */
  onDone: () => void = () => undefined
  count = 0

  constructor(parts: {
    store: LogStore
    registry: MachineRegistry
    /** The checkpoint that was written when the store was opened. */
    last: Checkpoint
    onError: (message: string) => void
  }) {
    this.#store = parts.store
    this.#registry = parts.registry
    this.#last = parts.last
    this.#logId = parts.last.logId
    this.#number = parts.last.number
    this.#onError = parts.onError
    this.#store.freeFiles = () => this.#syncInTurn(() => this.#syncFiles()).catch(() => undefined) // tried again
  }

  /** Groups up to this one are covered by a durable checkpoint. */
  get coveredSeq(): number {
    return this.#last.journal.seq
  }

  /** The partitions as the last durable checkpoint lists them. */
  get partitions(): readonly PartitionRecord[] {
    return this.#last.partitions
  }

  /**
   * Asks for a checkpoint: it begins with the next group that is sealed, also while another one is
   * being written. One that has failed is tried again at once.
   */
  request(): void {
    this.#wanted = true
    this.#start()
  }

  /** Whether a checkpoint is under way that needs no further group to be sealed. */
  get underWay(): boolean {
    return this.#running !== undefined || this.#copied !== undefined
  }

  /** Resolves when a checkpoint of everything entered so far is durable, or has failed. */
  async now(): Promise<void> {
    const seq = this.#store.journal.openSeq
    await new Promise<void>(resolve => {
      this.#waiters.push({ seq, resolve })
      this.request()
      this.#seal()
    })
  }

  /** The journal has sealed a group: state machines stand exactly behind it. */
  sealed(seq: number): void {
    if (!this.#wanted || this.#copied !== undefined) return
    this.#wanted = false
    const producers = new Map<number, readonly ProducerRecord[]>()
    for (const partition of this.#store.partitions.values()) {
      if (partition.producers.size > 0) {
        producers.set(partition.id, partition.producers.snapshot())
      }
    }
    this.#copied = { seq, machines: this.#registry.snapshot(), producers }
  }

  /** A group is complete and in its segments. */
  completed(seq: number, position: JournalPosition): void {
    const copied = this.#copied
    if (copied === undefined || copied.seq !== seq) return
    this.#copied = undefined
    this.#letGo(this.#parked)
    this.#parked = { copied, position, partitions: this.#ends(copied) }
    this.#start()
    // Somebody waits for a later one, and perhaps nobody appends any more.
    if (this.#wanted && this.#waiters.some(waiter => waiter.seq > seq)) this.#seal()
  }

  /** The last checkpoint of a run: nothing is left in the journal, indexes are written. */
  async final(): Promise<void> {
    const { journal } = this.#store
    await this.#running
    await this.#store.relieve()
    // A group of the flush timer may complete behind the one that a checkpoint covers: once more.
    for (let round = 0; round < FINAL_ROUNDS_MAX; round += 1) {
      await this.now()
      if (journal.fencedBy !== undefined) return
      if (this.#last.journal.seq === journal.completedSeq) break
    }
    if (this.#last.journal.seq !== journal.completedSeq) return
    this.#saveIndexes(partition => partition.segments)
    const clean: Checkpoint = { ...this.#last, number: this.#number + 1, clean: true }
    try {
      await writeCheckpoint(this.#store.disk, clean)
    } catch (cause) {
      // The last one stands: the next open reads the journal, as after a crash.
      this.#onError(`the last checkpoint failed: ${String(cause)}`)
    }
  }

  #seal(): void {
    // The journal is fenced: nothing is written any more.
    this.#store.journal.sync().catch(() => this.#answer(Number.POSITIVE_INFINITY))
  }

  #start(): void {
    if (this.#running !== undefined || this.#parked === undefined) return
    this.#running = this.#writeParked().finally(() => {
      this.#running = undefined
    })
  }

  async #writeParked(): Promise<void> {
    for (let parked = this.#parked; parked !== undefined; parked = this.#parked) {
      if (this.#store.hasWaiting) await this.#store.relieve()
      parked.partitions ??= this.#ends(parked.copied)
      this.#parked = undefined
      try {
        if (parked.partitions === undefined) {
          throw new Error(`batches wait for their segments: ${this.#store.lacks?.message}`)
        }
        await this.#run(parked, parked.partitions)
      } catch (cause) {
        // The same file is written again next time: the other one holds the last good checkpoint.
        this.#number += 2
        this.#onError(`a checkpoint failed: ${String(cause)}`)
        this.#answer(parked.copied.seq)
        // Kept, because a full journal could not seal a group to begin another one with.
        if (this.#parked === undefined) this.#parked = parked
        else this.#letGo(parked)
        return
      }
      this.#letGo(parked)
      this.#answer(parked.copied.seq)
    }
  }

  #letGo(parked: Parked | undefined): void {
    if (parked !== undefined) releaseAll(parked.copied.machines)
  }

  /** The ends of all partitions; undefined while some of their batches are not in a segment. */
  #ends({ producers }: Copied): readonly PartitionRecord[] | undefined {
    if (this.#store.hasWaiting) return undefined
    return [...this.#store.partitions.values()].map(partition =>
      partition.record(producers.get(partition.id) ?? []),
    )
  }

  async #run({ copied, position }: Parked, partitions: readonly PartitionRecord[]): Promise<void> {
    let ids: ReadonlySet<number>
    do {
      const fenced = this.#fenced()
      ids = new Set(fenced.map(partition => partition.id))
      await this.#rescue(fenced)
      await this.#syncInTurn(() => this.#syncSegments())
    } while (this.#fenced().some(partition => !ids.has(partition.id)))
    const next: Checkpoint = {
      number: this.#number + 1,
      logId: this.#logId,
      clean: false,
      journal: position,
      partitions: [
        // What a fenced partition got since the last checkpoint is in its rescue file.
        ...this.#last.partitions.filter(record => ids.has(record.id)),
        ...partitions
          .filter(record => !ids.has(record.id))
          .map(record => withoutDropped(record, this.#store.partitions.get(record.id))),
      ],
      machines: toSnapshot(copied.machines),
      quarantined: quarantinedOf(this.#store),
    }
    await this.#limited(writeCheckpoint(this.#store.disk, next))
    this.#number = next.number
    this.#last = next
    this.count += 1
    this.#store.journal.release(next.journal.seq)
    this.#saveIndexes(partition => partition.segments.slice(0, -1))
    try {
      this.onDone()
    } catch (cause) {
      // The checkpoint stands; what is left over goes at the next open.
      this.#onError(`files could not be taken away: ${String(cause)}`)
    }
  }

  #fenced(): readonly PartitionLog[] {
    return [...this.#store.partitions.values()].filter(
      partition => partition.trouble?.state === 'fenced',
    )
  }

  /** Segments get their index and checksums: derived data, so a failure is only told. */
  #saveIndexes(of: (partition: PartitionLog) => readonly Segment[]): void {
    for (const partition of this.#store.partitions.values()) {
      for (const segment of of(partition)) {
        if (segment.dirty || segment.indexIsSaved) continue
        try {
          segment.saveIndex()
        } catch (cause) {
          this.#onError(`the index of ${segment.path} could not be written: ${String(cause)}`)
        }
      }
    }
  }

  /** Who waits for a checkpoint up to `seq` is told: it is durable, or has failed. */
  #answer(seq: number): void {
    const done = this.#waiters.filter(waiter => waiter.seq <= seq)
    this.#waiters = this.#waiters.filter(waiter => waiter.seq > seq)
    for (const { resolve } of done) resolve()
  }

  /** One sync of the segments at a time: who comes later must not take a sync under way for done. */
  #syncInTurn(sync: () => Promise<void>): Promise<void> {
    const turn = this.#syncing.then(sync)
    this.#syncing = turn.catch(() => undefined) // told to whoever asked for it
    return turn
  }

  /** Syncs what has changed; a partition for which that fails, or hangs, is fenced. */
  async #syncSegments(): Promise<void> {
    await this.#syncFiles()
    const named = [...this.#store.partitions.values()].filter(
      partition => partition.namesDirty && partition.trouble?.state !== 'fenced',
    )
    if (named.length === 0) return
    for (const partition of named) partition.namesDirty = false
    const { disk } = this.#store
    try {
      await inParallel(
        named.map(partition => () => this.#syncNames(partition, disk.syncFolder(partition.folder))),
        this.#syncsAtOnce(),
      )
      const all = disk.syncFolder(PARTITIONS_FOLDER)
      all.catch(() => undefined) // told below, for each partition
      for (const partition of named) await this.#syncNames(partition, all)
    } catch (cause) {
      for (const partition of named) partition.namesDirty = true
      throw cause
    }
  }

  /** Syncs the bytes, whoever has the names: afterwards the files can be closed. */
  async #syncFiles(): Promise<void> {
    const work = [...this.#store.partitions.values()]
      .filter(partition => partition.trouble?.state !== 'fenced')
      .flatMap(partition =>
        partition.segments
          .filter(segment => segment.dirty)
          .map(segment => () => this.#syncOr(partition, () => segment.sync())),
      )
    await inParallel(work, this.#syncsAtOnce())
  }

  #syncsAtOnce(): number {
    const { usedBytes, maxBytes } = this.#store.journal.fill
    return usedBytes > maxBytes / 2 ? SYNCS_AT_ONCE_MAX : 1
  }

  /** Syncs a folder's names. One that could not be opened for it is no failed sync: rejects. */
  async #syncNames(partition: PartitionLog, sync: Promise<void>): Promise<void> {
    let lacks: DiskError | undefined
    const synced = sync.catch((cause: unknown) => {
      if (!(cause instanceof DiskError) || cause.code !== 'EMFILE') throw cause
      lacks = cause
    })
    await this.#syncOr(partition, () => synced)
    if (lacks !== undefined) throw lacks
  }

  /** A failed sync is never repeated: what it should have covered is lost, names like bytes. */
  async #syncOr(partition: PartitionLog, sync: () => Promise<void>): Promise<void> {
    try {
      await this.#limited(sync())
    } catch (cause) {
      // The files of a deleted topic may go at any time.
      if (!partition.removed) partition.fence(`a segment failed to sync: ${String(cause)}`)
    }
  }

  /** A disk that does not answer must not hold the journal for ever. */
  #limited(work: Promise<unknown>): Promise<void> {
    const { outside, settings } = this.#store
    return inTime(outside.timers, settings['journal.stall.max.ms'], work)
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

/**
 * A record may have waited while the checkpoint before it was written, and segments have been dropped
 * since: this checkpoint must not list files that are taken away once it is durable. What compaction
 * has replaced since is still there, and stays until a checkpoint no longer lists it.
 */
function withoutDropped(
  record: PartitionRecord,
  partition: PartitionLog | undefined,
): PartitionRecord {
  if (partition === undefined) return record
  const replaced = partition.replacedSegments.map(({ segment }) => segment)
  const kept = new Set([...partition.segments, ...replaced].map(segmentName))
  const segments = record.segments.filter(segment => kept.has(segmentName(segment)))
  return segments.length === record.segments.length ? record : { ...record, segments }
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
