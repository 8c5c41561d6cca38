/**
 * One partition: its segments, its ends, and who waits for more.
 *
 *     log start ......... high watermark ......... next offset
 *       first readable      first not durable        taken by the next append
 *
 * Offsets are given out when a batch enters the open commit group; the batch reaches the segment,
 * and the high watermark passes it, when the group is complete. Where something has run out it waits
 * in memory for its segment, and is read from there. Damage quarantines the partition: no
 * appends, no reads past it, until an operator decides; a failed sync of a segment fences it.
 */
import {
  LogError,
  lastOffsetOf,
  type Offset,
  type RecordPlace,
  type Timestamp,
} from '@millrace/log'
import { type Disk, type DiskError, isShortage } from '../disk/disk.ts'
import { batchesIn, offsetBehind } from '../segments/batch-run.ts'
import { DamageError } from '../segments/damage.ts'
import type { FileCache } from '../segments/file-cache.ts'
import { Segment, type SegmentPlace } from '../segments/segment.ts'
import type { SegmentRecord } from '../segments/segment-record.ts'
import type { SmallSegments } from '../segments/small-segments.ts'
import { type EpochEnd, type EpochStart, LeaderEpochs } from './leader-epochs.ts'
import type { LocatedRange } from './located-range.ts'
import { type ProducerCount, ProducerLedger } from './producer-ledger.ts'
import { SegmentAppends } from './segment-appends.ts'
import { type ReplacedSegment, SegmentList } from './segment-list.ts'
import type { Searched, TimeSearch } from './time-search.ts'
import type { TopicConfig } from './topic-config.ts'
import { WaitingBatches } from './waiting-batches.ts'

/** Folder of all partitions' folders. */
export const PARTITIONS_FOLDER = 'partitions'

/** Folder of a partition. */
export const partitionFolder = (id: number): string => `${PARTITIONS_FOLDER}/${id}`

/** What a checkpoint keeps of a partition. */
export type PartitionRecord = {
  readonly id: number
  readonly nextOffset: Offset
  readonly epochs: readonly EpochStart[]
  readonly segments: readonly SegmentRecord[]
  /** Absent where compaction has never been here. */
  readonly cleaning?: CleaningState
}

/** What compaction remembers of a partition. */
export type CleaningState = {
  /** Below it no two records have the same key, unless a tombstone is one of them. */
  readonly cleanedTo: Offset
  /** When the first of the remaining tombstones may go, ms since the epoch; null without one. */
  readonly tombstonesUntil: Timestamp | null
}

const NEVER_CLEANED: CleaningState = { cleanedTo: 0, tombstonesUntil: null }

/** Why a partition takes no appends. */
export type PartitionTrouble = {
  readonly state: 'quarantined' | 'fenced'
  readonly reason: string
}

/** Somebody who waits for records. */
export interface PartitionWaiter {
  /** Something about this partition has changed. */
  wake(partition: PartitionLog): void
}

/** What a partition is made with. */
export type PartitionParts = {
  readonly id: number
  readonly topic: string
  readonly partition: number
  readonly disk: Disk
  readonly cache: FileCache
  readonly small: SmallSegments
  readonly producersMax: number
  /** Counts the producers of all partitions; absent where nobody does. */
  readonly allProducers?: ProducerCount
  readonly config: () => TopicConfig
}

/** A partition's log. */
export class PartitionLog implements SegmentPlace {
  readonly id: number
  readonly topic: string
  readonly partition: number
  readonly producers: ProducerLedger
  readonly waiters: Set<PartitionWaiter> = new Set()
  readonly #parts: PartitionParts
  readonly #segments = new SegmentList()
  readonly #appends: SegmentAppends
  #epochs = new LeaderEpochs()
  #logStart: Offset = 0
  #nextOffset: Offset = 0
  #highWatermark: Offset = 0
  /** Where the segments end. */
  #writtenEnd: Offset = 0
  #trouble: PartitionTrouble | undefined
  readonly #waiting = new WaitingBatches()
  #takenBytes = 0
  /** The last group with an entry of this partition. */
  lastGroup = 0
  /** Its topic's deletion has been decided, but may not be durable yet: the log goes on. */
  deleted = false
  /** The deletion is durable: readers are told. */
  gone = false
  /** The deletion is durable: there are no files any more. */
  removed = false
  /** Whether its folder holds names that no sync has covered. */
  namesDirty = false
  /** A repair has found batches in its files that are in no journal; until the next checkpoint is durable. */
  isSalvaged = false
  cleaning: CleaningState = NEVER_CLEANED

  constructor(parts: PartitionParts) {
    this.#parts = parts
    this.id = parts.id
    this.topic = parts.topic
    this.partition = parts.partition
    this.producers = new ProducerLedger(parts.producersMax, parts.allProducers)
    this.#appends = new SegmentAppends(this.#segments, parts.config, (baseOffset, createdAt) =>
      this.segment({
        baseOffset,
        createdAt,
        bytes: 0,
        nextOffset: baseOffset,
        maxTimestamp: -1,
        maxTimestampOffset: -1,
      }),
    )
  }

  get folder(): string {
    return partitionFolder(this.id)
  }

  get disk(): Disk {
    return this.#parts.disk
  }

  get cache(): FileCache {
    return this.#parts.cache
  }

  get small(): SmallSegments {
    return this.#parts.small
  }

  /** What compaction takes away must not stay behind in a checkpoint. */
  get mayStaySmall(): boolean {
    return !this.config.compacts
  }

  /** Makes the partition's folder, if this is the first of its files. Throws DiskError. */
  beforeFile(): void {
    if (!this.segments.some(({ isSmall, bytes }) => !isSmall && bytes > 0)) {
      this.disk.makeFolder(this.folder)
    }
    this.namesDirty = true
  }

  get config(): TopicConfig {
    return this.#parts.config()
  }

  get logStart(): Offset {
    return this.#logStart
  }

  get nextOffset(): Offset {
    return this.#nextOffset
  }

  get highWatermark(): Offset {
    return this.#highWatermark
  }

  get leaderEpoch(): number {
    return this.#epochs.latest
  }

  get epochs(): readonly EpochStart[] {
    return this.#epochs.starts
  }

  get trouble(): PartitionTrouble | undefined {
    return this.#trouble
  }

  get segments(): readonly Segment[] {
    return this.#segments.all
  }

  /** Segments that compaction has replaced, while their files are still there. */
  get replacedSegments(): readonly ReplacedSegment[] {
    return this.#segments.replaced
  }

  /** Bytes of its segments. */
  get bytes(): number {
    return this.#segments.bytes
  }

  /** What durable batches wait for in memory, if any do that can still reach their segment. */
  get lacks(): DiskError | undefined {
    return this.#isFenced || this.#waiting.isEmpty ? undefined : this.#waiting.lacks
  }

  /** Bytes that wait in memory for their segments. */
  get waitingBytes(): number {
    return this.#waiting.bytes
  }

  /** Bytes that readers were given since the start, whatever has been taken away since. */
  get takenBytes(): number {
    return this.#takenBytes
  }

  /** Takes the offsets of a batch that enters the open group. */
  take(recordCount: number, group: number): Offset {
    const baseOffset = this.#nextOffset
    // Beyond, sums are rounded, and an offset would be given out twice.
    if (recordCount < 1 || !Number.isSafeInteger(baseOffset + recordCount)) {
      throw new Error(`${recordCount} offsets from ${baseOffset} on cannot be taken`)
    }
    this.#nextOffset += recordCount
    this.lastGroup = group
    return baseOffset
  }

  /**
   * Writes runs of batches whose group is complete and moves the high watermark. Where something has run out
   * they wait in memory; any other failure fences the partition, whose batches stay in the journal,
   * go from there to its rescue file, and are read from memory until the restart that heals it.
   *
   * @param areSummed whether the checksums that the batches carry are known to be right
   */
  apply(runs: readonly Buffer[], now: number, areSummed = false): void {
    const last = runs.at(-1)
    if (this.removed || last === undefined) return
    const mayWrite = this.#waiting.isEmpty && !this.#isFenced
    // A run lies in one segment. Where that is about to be full, it is taken apart.
    const parts = this.#appends.fitsLast(runs) ? runs : runs.flatMap(batchesIn)
    const written = mayWrite ? this.#write(parts, now, areSummed) : 0
    if (written < parts.length) this.#waiting.add(parts.slice(written))
    this.#highWatermark = offsetBehind(last)
    for (const run of runs) this.#takenBytes += run.length
    this.#wake()
  }

  /** Tries again to write what waits. */
  retryWaiting(now: number): void {
    if (this.#waiting.isEmpty || this.#isFenced) return
    this.#waiting.drop(this.#write(this.#waiting.all, now))
  }

  /** Leaves offsets out that are lost: the next batch has `offset`. */
  skipTo(offset: Offset): void {
    this.#nextOffset = offset
    this.#highWatermark = offset
    this.#writtenEnd = offset
  }

  /**
   * Writes batches of recovery: like `apply`, but offsets are given, and errors are thrown: a shortage
   * only where the batch may not wait for its segment.
   */
  restoreBatch(batch: Buffer, now: number, mayWait = false): void {
    if (!this.#waiting.isEmpty || !this.#restoreNow(batch, now, mayWait)) this.#waiting.add([batch])
    this.#nextOffset = lastOffsetOf(batch) + 1
    this.#highWatermark = this.#nextOffset
  }

  #restoreNow(batch: Buffer, now: number, mayWait: boolean): boolean {
    try {
      this.#appends.append([batch], now, false)
    } catch (cause) {
      if (!mayWait || !isShortage(cause)) throw cause
      this.#waiting.lacks = cause
      return false
    }
    this.#writtenEnd = lastOffsetOf(batch) + 1
    return true
  }

  /** The batches from `offset` on; undefined at the end. Throws LogError and DamageError. */
  locate(offset: Offset, maxBytes: number): LocatedRange | undefined {
    if (offset >= this.#highWatermark) return undefined
    if (offset >= this.#writtenEnd) {
      const batches = this.#waiting.from(offset, maxBytes)
      return { batches, bytes: batches.reduce((sum, batch) => sum + batch.length, 0) }
    }
    return this.#reading(() => this.#segments.locate(offset, maxBytes))
  }

  /** The segment that has to be prepared before a read at `offset`, so as not to hold others up. */
  unprepared(offset: Offset): Segment | undefined {
    const segment = offset < this.#writtenEnd ? this.#segments.at(offset) : undefined
    return segment?.needsPreparing === true ? segment : undefined
  }

  /** Whether a range goes to the very end of what can be read. */
  reachesEnd(range: LocatedRange): boolean {
    if ('batches' in range) return range.batches.at(-1) === this.#waiting.all.at(-1)
    const { segment, position, bytes } = range
    return position + bytes >= segment.bytes && segment.nextOffset >= this.#highWatermark
  }

  /** The first record at or after `timestamp`, null if there is none. Rejects with LogError. */
  recordAtTime(timestamp: Timestamp, search: TimeSearch): Promise<RecordPlace | null> {
    return this.#searching(search.recordAtTime(this.#searched, timestamp, this.#logStart))
  }

  /** The first record that has the largest timestamp, null if there is none. Rejects with LogError. */
  recordOfMaxTimestamp(search: TimeSearch): Promise<RecordPlace | null> {
    return this.#searching(search.recordOfMaxTimestamp(this.#searched, this.#logStart))
  }

  /** Where `epoch` ended: the start of the next larger one, or the end (KIP-320). */
  endOfEpoch(epoch: number): EpochEnd {
    return this.#epochs.endOf(epoch, this.#logStart, this.#highWatermark)
  }

  /** Begins a new leader epoch at the end: the visible end may have moved back (engine rule 1). */
  startEpoch(): void {
    this.#epochs.begin(this.#nextOffset)
  }

  /** The leader epoch under which a record at `offset` was written. */
  epochAt(offset: Offset): number {
    return this.#epochs.at(offset)
  }

  /** Whether there has been this leader epoch. */
  knowsEpoch(epoch: number): boolean {
    return this.#epochs.has(epoch)
  }

  /** Moves the log start up; never back. */
  moveLogStart(offset: Offset): void {
    this.#logStart = Math.max(this.#logStart, offset)
    this.#wake()
  }

  /** Segments that lie wholly below a log start; the last one never does. */
  obsoleteSegments(logStart: Offset = this.#logStart): readonly Segment[] {
    return this.segments.slice(0, -1).filter(segment => segment.nextOffset <= logStart)
  }

  /** Takes segments out of the list; their files are unlinked by the caller. */
  drop(segments: readonly Segment[]): void {
    this.#segments.drop(segments)
  }

  /** The segment of the partition's folder with this record. */
  segment(record: SegmentRecord): Segment {
    return new Segment(this, record)
  }

  /**
   * Puts a segment that compaction has written, and synced, in the place of its sources; false where
   * they are no longer all there, or nothing may be changed any more.
   *
   * @param group the commit group that is open now
   */
  replace(sources: readonly Segment[], result: Segment, group: number): boolean {
    if (this.deleted || this.removed || this.#trouble !== undefined) return false
    return this.#segments.replace(sources, result, group)
  }

  /** The files of these replaced segments are gone. */
  forgetReplaced(segments: readonly Segment[]): void {
    this.#segments.forget(segments)
  }

  /** Closes the last segment, so that retention or compaction can take it. */
  roll(now: number): void {
    const { last } = this.#segments
    if (last === undefined || last.bytes === 0) return
    this.#appends.begin(this.#writtenEnd, now)
  }

  /** Refuses appends from now on, and reads past the damage. */
  quarantine(reason: string): void {
    this.#trouble ??= { state: 'quarantined', reason }
    this.#wake()
  }

  /** Refuses appends after a failed write or sync; reads go on. */
  fence(reason: string): void {
    this.#trouble ??= { state: 'fenced', reason }
    this.#wake()
  }

  /**
   * No longer there for who writes. Until that is durable a crash may bring it back: readers go on, and
   * what is acknowledged still has to reach its segments and the checkpoints.
   */
  delete(): void {
    this.deleted = true
  }

  /** The deletion is durable: whoever waits is told. */
  leave(): void {
    this.gone = true
    this.#wake()
  }

  /** The deletion is durable: answers the segments, whose files the caller takes away. */
  remove(): readonly Segment[] {
    this.removed = true
    this.producers.clear()
    this.#waiting.drop(Number.POSITIVE_INFINITY)
    return this.#segments.takeAll()
  }

  /** What a checkpoint keeps: the ends as of the last complete group. */
  record(): PartitionRecord {
    return {
      id: this.id,
      nextOffset: this.#writtenEnd,
      epochs: this.#epochs.starts,
      // A segment without bytes has no file yet.
      segments: this.segments.filter(segment => segment.bytes > 0).map(segment => segment.record()),
      ...(this.cleaning === NEVER_CLEANED ? {} : { cleaning: this.cleaning }),
    }
  }

  /** Takes over what a checkpoint kept. The files have been cut to these sizes before. */
  restore(record: PartitionRecord): void {
    for (const known of record.segments) {
      const segment = this.segment(known)
      segment.checkpointedBytes = known.bytes
      this.#segments.add(segment)
    }
    const first = record.segments[0]?.baseOffset ?? record.nextOffset
    this.#logStart = Math.max(this.#logStart, first)
    this.#epochs = new LeaderEpochs(record.epochs)
    this.#nextOffset = record.nextOffset
    this.#highWatermark = record.nextOffset
    this.#writtenEnd = record.nextOffset
    this.cleaning = record.cleaning ?? NEVER_CLEANED
  }

  get #isFenced(): boolean {
    return this.#trouble?.state === 'fenced'
  }

  #write(batches: readonly Buffer[], now: number, areSummed = false): number {
    let written = 0
    try {
      while (written < batches.length) {
        const run = this.#appends.countThatFits(batches, written)
        this.#appends.append(batches.slice(written, written + run), now, areSummed)
        written += run
        this.#writtenEnd = this.#segments.last?.nextOffset ?? this.#writtenEnd
      }
    } catch (cause) {
      if (isShortage(cause)) this.#waiting.lacks = cause
      else this.fence(`a segment write failed: ${String(cause)}`)
    }
    return written
  }

  get #searched(): Searched {
    return { segments: () => this.#segments.all, waiting: this.#waiting.all }
  }

  async #searching<T>(search: Promise<T>): Promise<T> {
    try {
      return await search
    } catch (cause) {
      throw this.#readFailure(cause)
    }
  }

  #reading<T>(read: () => T): T {
    try {
      return read()
    } catch (cause) {
      throw this.#readFailure(cause)
    }
  }

  #readFailure(cause: unknown): LogError {
    if (cause instanceof LogError) return cause
    if (cause instanceof DamageError) {
      this.quarantine(cause.message)
      return new LogError('KAFKA_STORAGE_ERROR', cause.message, cause)
    }
    return new LogError('KAFKA_STORAGE_ERROR', `a read failed: ${String(cause)}`, cause)
  }

  #wake(): void {
    for (const waiter of this.waiters) waiter.wake(this)
  }
}
