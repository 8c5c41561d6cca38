/**
 * The cleaner: looks which compacted partitions are due, cleans one at a time, and takes replaced
 * files away once a durable checkpoint no longer lists them.
 *
 *     due? ──► segments written anew ──► in place ──► checkpoint durable ──► old files unlinked
 *
 * A partition that cannot be cleaned now is left as it is, and looked at again with the next pass.
 * Bounds: the memory of the offset map, the bytes read and written in a second, and the bytes of
 * replaced files that wait for a checkpoint, by the settings `log.cleaner.*` and the constant here.
 */
import { LogError, type Offset } from '@millrace/log'
import { DiskError } from '../../disk/disk.ts'
import type { CompactedPartition } from '../../engine.ts'
import type { PartitionLog } from '../../partitions/partition-log.ts'
import { DamageError } from '../../segments/damage.ts'
import type { Segment } from '../../segments/segment.ts'
import { isSparse } from '../../segments/segment-record.ts'
import type { Checkpointer } from '../checkpointer.ts'
import type { LogStore } from '../log-store.ts'
import { CleaningObsolete } from './cleaning-output.ts'
import {
  type AgeOf,
  type CleaningPlan,
  type PlannedSegment,
  planCleaning,
} from './cleaning-plan.ts'
import { Pace, Stopped } from './pace.ts'
import { type CleaningReport, PartitionCleaning } from './partition-cleaning.ts'

/** Bytes of replaced files after which the cleaner asks for a checkpoint by itself. */
const REPLACED_BYTES_MAX = 64 << 20
/** A cleaning that somebody asked for begins again so often when retention gets in its way. */
const ATTEMPTS_MAX = 3
/** Under load the journal moves on while it is scrubbed; a checkpoint then frees what was in use. */
const SCRUBS_MAX = 10

/** What is told of a cleaning. */
export type CleaningEvent = {
  readonly level: 'info' | 'warn' | 'error'
  readonly message: string
}

type CleanerParts = {
  readonly store: LogStore
  readonly checkpointer: Checkpointer
  /** The partitions of compacted topics. */
  readonly partitions: () => Iterable<PartitionLog>
  /** Resolves when all log starts that have been moved so far are durable. */
  readonly startsDurable: () => Promise<void>
  readonly ageOf: AgeOf
  readonly onEvent: (event: CleaningEvent) => void
}

/** Cleans compacted partitions. */
export class Cleaner {
  readonly #parts: CleanerParts
  readonly #pace: Pace
  /** Ends when the cleaning that runs now has ended. */
  #turn: Promise<unknown> = Promise.resolve()
  #replacedBytes = 0
  cleanings = 0
  bytesBefore = 0
  bytesAfter = 0
  recordsRemoved = 0

  constructor(parts: CleanerParts) {
    this.#parts = parts
    const { outside, settings } = parts.store
    this.#pace = new Pace(outside.timers, settings['log.cleaner.io.max.bytes.per.second'])
  }

  /** One pass over all compacted partitions; failures are told as events. */
  async run(): Promise<void> {
    try {
      await this.#pass()
    } catch (cause) {
      this.#parts.onEvent({ level: 'error', message: `cleaning has failed: ${String(cause)}` })
    }
  }

  async #pass(): Promise<void> {
    const { store } = this.#parts
    const now = store.outside.clock.now()
    const idle = this.#partitions().filter(partition => mayRoll(partition, now))
    if (idle.length > 0) {
      for (const partition of idle) partition.roll(now)
      await this.#checkpoint()
    }
    for (const { partition } of this.#due()) {
      if (this.#pace.stopped) return
      await this.#exclusive(() => this.#clean(partition, false)).catch(cause =>
        this.#tell(partition, cause),
      )
    }
    if (this.#replacedBytes > 0) await this.#checkpoint()
  }

  /**
   * Cleans these partitions at once: what is still written is closed, ratio and maximal lag do not
   * count. When it resolves, the old files are unlinked, and what the journal held before the call is
   * zeros. Rejects with LogError KAFKA_STORAGE_ERROR.
   */
  async compactNow(partitions: readonly PartitionLog[]): Promise<readonly CompactedPartition[]> {
    const now = this.#parts.store.outside.clock.now()
    const hadSmall = partitions.some(({ segments }) => segments.some(({ isSmall }) => isSmall))
    for (const partition of partitions) if (takesBatches(partition)) partition.roll(now)
    await this.#mustCheckpoint()
    const reports: CompactedPartition[] = []
    for (const partition of partitions) reports.push(await this.#cleanAsked(partition))
    const old = partitions.flatMap(({ replacedSegments }) => replacedSegments)
    await this.#mustCheckpoint()
    // What was small stands in both checkpoint files.
    if (hadSmall) await this.#mustCheckpoint()
    const left = partitions.flatMap(({ replacedSegments }) => replacedSegments)
    const first = left.find(replaced => old.includes(replaced))?.segment
    if (first !== undefined) {
      throw new LogError('KAFKA_STORAGE_ERROR', `${first.path} could not be taken away yet`)
    }
    await this.#scrubJournal()
    return reports
  }

  /** A checkpoint is durable: files that neither it nor a later one lists go. */
  afterCheckpoint(): void {
    const { store, checkpointer } = this.#parts
    const covered = checkpointer.coveredSeq
    for (const partition of store.partitions.values()) {
      const due = partition.replacedSegments.filter(({ group }) => group <= covered)
      if (due.length === 0) continue
      // A fenced partition is listed as it was before it was fenced.
      if (partition.trouble?.state === 'fenced') continue
      for (const { segment } of due) this.#unlink(partition, segment)
    }
  }

  /** One that the disk does not let go is tried again behind the next checkpoint. */
  #unlink(partition: PartitionLog, segment: Segment): void {
    try {
      segment.unlink()
      partition.forgetReplaced([segment])
    } catch (cause) {
      if (!(cause instanceof DiskError)) throw cause
      this.#parts.onEvent({ level: 'warn', message: `an old segment stays: ${cause.message}` })
    }
  }

  /** Ends what runs, at the next slice. */
  async stop(): Promise<void> {
    this.#pace.stop()
    await this.#turn
  }

  #partitions(): readonly PartitionLog[] {
    return [...this.#parts.partitions()].filter(
      ({ deleted, removed, trouble }) => !deleted && !removed && trouble === undefined,
    )
  }

  /** What is due, the oldest and the dirtiest first. */
  #due(): readonly { readonly partition: PartitionLog; readonly plan: CleaningPlan }[] {
    return this.#partitions()
      .map(partition => ({
        partition,
        plan: this.#plan(partition, false),
      }))
      .filter((due): due is { partition: PartitionLog; plan: CleaningPlan } => due.plan !== null)
      .sort((a, b) => urgency(b.plan) - urgency(a.plan))
  }

  #plan(partition: PartitionLog, asked: boolean): CleaningPlan | null {
    const { config, cleaning, highWatermark } = partition
    const segments = plannedSegments(partition)
    const planned = { segments, cleaning, stableEnd: highWatermark }
    return planCleaning(planned, config, this.#parts.ageOf, asked)
  }

  /** Cleans a partition if it is due; undefined if not. */
  async #clean(partition: PartitionLog, asked: boolean): Promise<CompactedPartition | undefined> {
    const { store } = this.#parts
    const plan = this.#plan(partition, asked)
    if (this.#pace.stopped) throw new Stopped('the engine closes')
    if (plan === null) return undefined
    this.#mustHaveRoom(partition)
    const bytesBefore = bytesBelow(partition, plan.dirtyTo)
    const { logStart } = partition
    if (logStart > 0) await this.#parts.startsDurable()
    const cleaning = new PartitionCleaning({
      store,
      partition,
      plan,
      logStart,
      pace: this.#pace,
      ageOf: this.#parts.ageOf,
      onReplaced: bytes => this.#onReplaced(bytes),
    })
    const report = await cleaning.run()
    const bytesAfter = bytesBelow(partition, plan.dirtyTo)
    this.#count(partition, plan, report, bytesBefore, bytesAfter)
    const { topic, partition: number } = partition
    const { recordsRemoved, cleanedTo } = report
    return { topic, partition: number, cleanedTo, bytesBefore, bytesAfter, recordsRemoved }
  }

  async #cleanAsked(partition: PartitionLog): Promise<CompactedPartition> {
    const { topic, partition: number } = partition
    for (let attempt = 1; ; attempt += 1) {
      try {
        const { trouble } = partition
        if (trouble !== undefined) throw new LogError('KAFKA_STORAGE_ERROR', trouble.reason)
        const done = await this.#exclusive(() => this.#clean(partition, true))
        if (done !== undefined) return done
        const { cleanedTo } = partition.cleaning
        const bytes = bytesBelow(partition, cleanedTo)
        return {
          topic,
          partition: number,
          cleanedTo,
          bytesBefore: bytes,
          bytesAfter: bytes,
          recordsRemoved: 0,
        }
      } catch (cause) {
        this.#tell(partition, cause)
        if (cause instanceof CleaningObsolete && attempt < ATTEMPTS_MAX) continue
        throw new LogError('KAFKA_STORAGE_ERROR', `${topic}-${number}: ${String(cause)}`, cause)
      }
    }
  }

  #count(
    { topic, partition }: PartitionLog,
    plan: CleaningPlan,
    report: CleaningReport,
    bytesBefore: number,
    bytesAfter: number,
  ): void {
    this.cleanings += 1
    this.bytesBefore += bytesBefore
    this.bytesAfter += bytesAfter
    this.recordsRemoved += report.recordsRemoved
    const unreadable =
      report.unreadable === 0 ? '' : `; ${report.unreadable} batches could not be opened and stay`
    this.#parts.onEvent({
      level: report.unreadable === 0 ? 'info' : 'warn',
      message: `${topic}-${partition} cleaned up to offset ${report.cleanedTo} (${plan.reason}): ${bytesBefore} bytes before, ${bytesAfter} after, ${report.recordsRemoved} records removed in ${report.rounds} rounds${unreadable}`,
    })
  }

  /** Why a partition was not cleaned. What only comes at the wrong time is nobody's business. */
  #tell(partition: PartitionLog, cause: unknown): void {
    if (cause instanceof CleaningObsolete || cause instanceof Stopped) return
    const name = `${partition.topic}-${partition.partition}`
    if (cause instanceof DamageError) partition.quarantine(cause.message)
    const level = cause instanceof DamageError ? 'error' : 'warn'
    this.#parts.onEvent({ level, message: `${name} could not be cleaned: ${String(cause)}` })
  }

  /** The largest new segment has to fit beside the old ones. */
  #mustHaveRoom(partition: PartitionLog): void {
    const largest = partition.segments.reduce((most, { bytes }) => Math.max(most, bytes), 0)
    const needed = Math.max(largest, Math.min(partition.config.segmentBytes, partition.bytes))
    const { free } = this.#parts.store.disk.space()
    if (free < needed) {
      const path = partition.folder
      throw new DiskError('ENOSPC', path, `cleaning needs ${needed} bytes, ${free} are free`)
    }
  }

  async #onReplaced(bytes: number): Promise<void> {
    this.#replacedBytes += bytes
    if (this.#replacedBytes >= REPLACED_BYTES_MAX) await this.#checkpoint()
  }

  async #checkpoint(): Promise<void> {
    this.#replacedBytes = 0
    await this.#parts.checkpointer.now()
  }

  async #mustCheckpoint(): Promise<void> {
    if (this.#pace.stopped) throw new LogError('LOG_CLOSED')
    const { store, checkpointer } = this.#parts
    const seq = store.journal.openSeq
    await this.#checkpoint()
    if (checkpointer.coveredSeq >= seq) return
    throw new LogError('KAFKA_STORAGE_ERROR', 'a checkpoint failed: old segments are still there')
  }

  /** Takes the copies of what was cleaned out of the journal. */
  async #scrubJournal(): Promise<void> {
    const { journal } = this.#parts.store
    try {
      const files = journal.scrubbable
      for (let attempt = 0; attempt < SCRUBS_MAX; attempt += 1) {
        await this.#exclusive(() => journal.scrub(files, bytes => this.#pace.spend(bytes)))
        if (files.size === 0) return
        await this.#mustCheckpoint() // frees the files that were still in use
      }
    } catch (cause) {
      if (cause instanceof LogError) throw cause
      throw new LogError('KAFKA_STORAGE_ERROR', `the journal: ${String(cause)}`, cause)
    }
    throw new LogError('KAFKA_STORAGE_ERROR', 'old copies are still in the journal: it is too busy')
  }

  /** One cleaning at a time, in the order in which they were asked for. */
  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => undefined)
    return turn
  }
}

/** Whether the last segment takes batches, and holds some. */
function takesBatches({ segments }: PartitionLog): boolean {
  const last = segments.at(-1)
  return last !== undefined && last.bytes > 0 && !isSparse(last)
}

/** Nobody may append for a long time: what has been appended is cleaned all the same. */
const mayRoll = (partition: PartitionLog, now: number): boolean =>
  takesBatches(partition) &&
  now - (partition.segments.at(-1)?.createdAt ?? now) > partition.config.segmentMs

function plannedSegments({ segments }: PartitionLog): readonly PlannedSegment[] {
  return segments.map((segment, i) => {
    const next = segments[i + 1]
    const closed = next !== undefined || isSparse(segment)
    return {
      baseOffset: segment.baseOffset,
      nextOffset: segment.nextOffset,
      bytes: segment.bytes,
      createdAt: segment.createdAt,
      closedAt: next?.createdAt ?? segment.createdAt,
      covered: closed && !segment.dirty && segment.checkpointedBytes === segment.bytes,
    }
  })
}

const bytesBelow = ({ segments }: PartitionLog, offset: Offset): number =>
  segments.reduce((sum, segment) => sum + (segment.baseOffset < offset ? segment.bytes : 0), 0)

/** What must be cleaned by its age comes first, then what is worth most. */
const urgency = ({ reason, ratio }: CleaningPlan): number => (reason === 'lag' ? 1 : 0) + ratio
