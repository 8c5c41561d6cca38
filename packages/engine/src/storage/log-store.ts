/**
 * The store: journal and partitions together. Batches enter here and reach their segments here.
 */

import type { Outside } from '@millrace/base'
import { type Offset, setBatchPosition } from '@millrace/log'
import type { Disk, DiskError } from '../disk/disk.ts'
import type { PartitionLog } from '../partitions/partition-log.ts'
import { gatherRuns } from '../segments/batch-run.ts'
import type { FileCache } from '../segments/file-cache.ts'
import { SmallSegments } from '../segments/small-segments.ts'
import type { EngineSettings } from '../settings.ts'
import type { CommitGroup, EntryOptions, GroupEntry } from './commit-group.ts'
import type { Journal } from './journal.ts'

/** How often batches that wait for something that has run out are tried again, in ms. */
const RETRY_WAITING_MS = 1000

/** A batch that has entered the open group. */
export type EnteredBatch = {
  readonly baseOffset: Offset
  /** The group that must complete before the append is acknowledged. */
  readonly group: number
  /** Where the batch lies in the journal's staging area. */
  readonly at: number
}

/** Journal and partitions. */
export class LogStore {
  readonly disk: Disk
  readonly cache: FileCache
  readonly outside: Outside
  readonly settings: EngineSettings
  readonly small: SmallSegments
  readonly partitions: Map<number, PartitionLog> = new Map()
  #journal: Journal<PartitionLog> | undefined
  #relief: Promise<void> | undefined
  #retryArmed = false
  #lacks: DiskError | undefined
  /** Syncs segments, so that their files can be closed; never rejects. */
  freeFiles: () => Promise<void> = () => Promise.resolve()
  /** Appends that waited for {@link relieving} go on. */
  onRelieved: () => void = () => undefined
  /**
   * Why the engine has opened without a checkpoint; until one is durable. What recovery has restored is
   * durable in the journal, but appends might be numbered by what is in memory alone.
   */
  openingLacks: DiskError | undefined
  /** What the last checkpoint has failed for; a full journal waits for it. */
  checkpointLacks: DiskError | undefined
  /** Journal bytes since the store was opened. */
  journalBytes = 0
  groups = 0

  constructor(parts: {
    disk: Disk
    cache: FileCache
    outside: Outside
    settings: EngineSettings
  }) {
    this.disk = parts.disk
    this.cache = parts.cache
    this.outside = parts.outside
    this.settings = parts.settings
    this.small = new SmallSegments({
      segmentBytesMax: parts.settings['segment.memory.max.bytes'],
      bytesMax: parts.settings['segments.memory.max.bytes'],
    })
  }

  get journal(): Journal<PartitionLog> {
    if (this.#journal === undefined) throw new Error('the store has no journal yet')
    return this.#journal
  }

  attach(journal: Journal<PartitionLog>): void {
    this.#journal = journal
  }

  /**
   * Enters a checked batch: takes its offsets, copies it into the open group, and sets its position
   * there; the caller's bytes are left alone. Throws LOG_CLOSED; then no offset has been taken.
   */
  enter(
    partition: PartitionLog,
    batch: Buffer,
    recordCount: number,
    options: EntryOptions,
  ): EnteredBatch {
    const journal = this.journal
    const group = journal.openSeq
    // Offsets that nobody writes would be a hole: nothing is taken where nothing may enter.
    journal.mustTake()
    const baseOffset = partition.take(recordCount, group)
    const at = journal.add(partition, batch, options)
    setBatchPosition(journal.staging, at, baseOffset, partition.leaderEpoch)
    return { baseOffset, group, at }
  }

  /** Writes a complete group's batches to their segments and moves the high watermarks. */
  applyGroup(group: CommitGroup<PartitionLog>): void {
    this.journalBytes += group.bytes
    this.groups += 1
    const now = this.outside.clock.now()
    const places = new Map<PartitionLog, GroupEntry<PartitionLog>[]>()
    for (const entry of group.entries) {
      const known = places.get(entry.target)
      if (known === undefined) places.set(entry.target, [entry])
      else known.push(entry)
    }
    for (const [partition, its] of places) {
      const areSummed = its.every(({ isSummed }) => isSummed)
      partition.apply(gatherRuns(group.staging, its), now, areSummed)
      this.#lacks ??= partition.lacks
    }
    if (this.#lacks !== undefined) void this.relieve()
  }

  /**
   * What has run out so that durable batches wait for their segments, or groups for the journal; no
   * appends are taken then.
   */
  get lacks(): DiskError | undefined {
    const short = this.#lacks ?? this.openingLacks
    if (short !== undefined || this.#journal === undefined) return short
    const { lacks, isFull } = this.#journal
    return lacks ?? (isFull ? this.checkpointLacks : undefined)
  }

  /** Whether the disk lacks room, so that a checkpoint may not come soon. */
  get isShort(): boolean {
    return (this.#lacks ?? this.openingLacks ?? this.checkpointLacks)?.code === 'ENOSPC'
  }

  /** Whether what has run out is being made free: who waits for that is not refused. */
  get relieving(): boolean {
    return this.#relief !== undefined
  }

  /** What batches wait for that have not reached their segments, looked up now. */
  get waitsFor(): DiskError | undefined {
    for (const { lacks } of this.partitions.values()) if (lacks !== undefined) return lacks
    return undefined
  }

  /**
   * Writes what waits, as long as that gets on: files are closed where descriptors have run out. What
   * is left is tried again after a time. Never rejects.
   */
  relieve(): Promise<void> {
    this.#relief ??= this.#relieve().finally(() => {
      this.#relief = undefined
      if (this.#lacks !== undefined) this.#retryLater()
      this.onRelieved()
    })
    return this.#relief
  }

  async #relieve(): Promise<void> {
    for (let before = Number.POSITIVE_INFINITY, left = 0; ; before = left) {
      if (this.#lacks?.code === 'EMFILE') await this.freeFiles()
      left = 0
      this.#lacks = undefined
      for (const partition of this.partitions.values()) {
        partition.retryWaiting(this.outside.clock.now())
        this.#lacks ??= partition.lacks
        if (partition.lacks !== undefined) left += partition.waitingBytes
      }
      if (this.#lacks?.code !== 'EMFILE' || left >= before) return
    }
  }

  #retryLater(): void {
    if (this.#retryArmed) return
    this.#retryArmed = true
    this.outside.timers.after(RETRY_WAITING_MS, () => {
      this.#retryArmed = false
      if (this.#lacks !== undefined) void this.relieve()
    })
  }
}
