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

import { isShortage } from '../disk/disk.ts'
import { type MachineRegistry, type MachineSnapshots, releaseAll } from '../machines/registry.ts'
import type { PartitionLog } from '../partitions/partition-log.ts'
import type { Segment } from '../segments/segment.ts'
import { PARTITIONS_A_TURN, pauseOf } from '../turns.ts'
import type { CheckpointHead } from './checkpoint.ts'
import { repeatCheckpoint } from './checkpoint-file.ts'
import { CheckpointPass } from './checkpoint-pass.ts'
import type { JournalPosition } from './journal-format.ts'
import type { LogStore } from './log-store.ts'
import { SegmentSyncs } from './segment-syncs.ts'

/** Attempts at a checkpoint behind which nothing is left in the journal, when the engine closes. */
const FINAL_ROUNDS_MAX = 3

type Copied = {
  readonly seq: number
  /** Read when the checkpoint is written; released when it is, or when a later one takes its place. */
  readonly machines: MachineSnapshots
}

/** A checkpoint that can be written without a further group: its turn has not come, or it failed. */
type Parked = { readonly copied: Copied; readonly position: JournalPosition }

type Waiter = { readonly seq: number; readonly resolve: () => void }

/** Writes checkpoints of a store. */
export class Checkpointer {
  readonly #store: LogStore
  readonly #registry: MachineRegistry
  readonly #onError: (message: string) => void
  readonly #syncs: SegmentSyncs
  #number: number
  #last: CheckpointHead
  #wanted = false
  #copied: Copied | undefined
  #parked: Parked | undefined
  #running: Promise<void> | undefined
  #waiters: Waiter[] = []
  /** Called after each durable checkpoint. */
  onDone: () => void = () => undefined
  count = 0

  constructor(parts: {
    store: LogStore
    registry: MachineRegistry
    /** The checkpoint that was written when the store was opened. */
    last: CheckpointHead
    onError: (message: string) => void
  }) {
    this.#store = parts.store
    this.#registry = parts.registry
    this.#last = parts.last
    this.#number = parts.last.number
    this.#onError = parts.onError
    this.#syncs = new SegmentSyncs(parts.store)
    const { store } = parts
    // What fails is tried again.
    store.freeFiles = () => this.#syncs.files(store.partitions.values()).catch(() => undefined)
  }

  /** Groups up to this one are covered by a durable checkpoint. */
  get coveredSeq(): number {
    return this.#last.journal.seq
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

  /** Whether one has failed: {@link request} tries it again, and takes no room of the journal for it. */
  get hasFailed(): boolean {
    return this.#parked !== undefined && this.#running === undefined
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
    this.#copied = { seq, machines: this.#registry.snapshot() }
  }

  /** A group is complete and in its segments. */
  completed(seq: number, position: JournalPosition): void {
    const copied = this.#copied
    if (copied === undefined || copied.seq !== seq) return
    this.#copied = undefined
    this.#letGo(this.#parked)
    this.#parked = { copied, position }
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
    await this.#saveIndexes(partition => partition.segments)
    try {
      const clean = { ...this.#last, clean: true }
      const written = repeatCheckpoint(this.#store.disk, clean, pauseOf(this.#store))
      await this.#syncs.limited(written)
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
    if (this.#running === undefined && this.#parked !== undefined) this.#running = this.#writeAll()
  }

  async #writeAll(): Promise<void> {
    try {
      while (this.#parked !== undefined) {
        if (this.#store.waitsFor !== undefined) await this.#store.relieve()
        // Looked up behind that wait: a newer one may have taken its place and released its copies.
        const parked: Parked = this.#parked
        this.#parked = undefined
        const written = await this.#write(parked)
        this.#answer(parked.copied.seq)
        // Kept, because a full journal could not seal a group to begin another one with.
        if (!written && this.#parked === undefined) {
          this.#parked = parked
          return
        }
        // A newer one goes on, also behind one that has failed: nobody else would begin it.
        this.#letGo(parked)
      }
    } finally {
      // In the step of the last look, so that what is parked in the next one begins by itself.
      this.#running = undefined
    }
  }

  /** Whether it was written; why not is told. */
  async #write(parked: Parked): Promise<boolean> {
    try {
      // Those of the groups up to this one have to be in their segments.
      const { waitsFor } = this.#store
      if (waitsFor !== undefined) throw waitsFor
      await this.#run(parked)
      this.#store.checkpointLacks = undefined
      this.#store.openingLacks = undefined
      return true
    } catch (cause) {
      this.#store.checkpointLacks = isShortage(cause) ? cause : undefined
      // The same file is written again next time: the other one holds the last good checkpoint.
      this.#number += 2
      this.#onError(`a checkpoint failed: ${String(cause)}`)
      return false
    }
  }

  #letGo(parked: Parked | undefined): void {
    if (parked !== undefined) releaseAll(parked.copied.machines)
  }

  async #run({ copied, position }: Parked): Promise<void> {
    const last = this.#last
    const next = { ...last, number: this.#number + 1, clean: false, journal: position }
    const store = this.#store
    await new CheckpointPass({
      store,
      machines: copied.machines,
      last,
      next,
      syncs: this.#syncs,
    }).run()
    this.#number = next.number
    this.#last = next
    this.count += 1
    store.journal.release(next.journal.seq)
    try {
      this.onDone()
    } catch (cause) {
      // The checkpoint stands; what is left over goes at the next open.
      this.#onError(`files could not be taken away: ${String(cause)}`)
    }
    await this.#saveIndexes(partition => partition.segments.slice(0, -1))
  }

  /** Segments get their index and checksums: derived data, so a failure is only told. */
  async #saveIndexes(of: (partition: PartitionLog) => readonly Segment[]): Promise<void> {
    const pause = pauseOf(this.#store)
    let looked = 0
    for (const partition of this.#store.partitions.values()) {
      looked += 1
      if (looked % PARTITIONS_A_TURN === 0) await pause()
      for (const segment of of(partition)) {
        if (!segment.wantsIndex) continue
        try {
          await segment.prepare(pause)
          // Retention and compaction go on meanwhile.
          if (partition.segments.includes(segment) && !segment.dirty) segment.saveIndex()
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
}
