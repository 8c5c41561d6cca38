/**
 * What goes on by itself: checkpoints by time and size, retention, compaction, the watch on free
 * space, the expiry of producers, the trimming of internal topics.
 */

import type { Timer } from '@millrace/base'
import type { PartitionLog } from '../partitions/partition-log.ts'
import type { Segment } from '../segments/segment.ts'
import type { Checkpointer } from '../storage/checkpointer.ts'
import { writeClock } from '../storage/clock-file.ts'
import type { Cleaner } from '../storage/compaction/cleaner.ts'
import type { ExpiryClock } from '../storage/expiry-clock.ts'
import { inTime } from '../storage/in-time.ts'
import type { LogStore } from '../storage/log-store.ts'
import type { Retention } from '../storage/retention.ts'
import { pauseOf } from '../turns.ts'
import type { Appends } from './appends.ts'
import type { TopicTable } from './topic-table.ts'

/** How often free space and the clocks are looked at, in ms. */
const LOOK_MS = 1000
/** How often the time is written down, in ms. */
const CLOCK_WRITE_MS = 60_000
/** Partitions and producers that are looked at in one turn. */
const PRODUCERS_A_TURN = 20_000

/** Timers of the engine. */
export class Clockwork {
  readonly #store: LogStore
  readonly #topics: TopicTable
  readonly #checkpointer: Checkpointer
  readonly #retention: Retention
  readonly #cleaner: Cleaner
  readonly #appends: Appends
  readonly #ages: ExpiryClock
  readonly #timers = new Map<string, Timer>()
  #bytesAtCheckpoint = 0
  /** Segments of internal topics that the last checkpoint still lists; the next one does not. */
  #doomed: (readonly [partition: PartitionLog, segment: Segment])[] = []
  #retaining: Promise<void> | undefined
  #cleaning: Promise<void> | undefined
  #checkpointing = false
  #remembering: Promise<void> | undefined
  #expiring = false
  /** Jumps that are written down, whoever has noticed them. */
  #rememberedJumps = 0
  #stopped = false

  constructor(parts: {
    store: LogStore
    topics: TopicTable
    checkpointer: Checkpointer
    retention: Retention
    cleaner: Cleaner
    appends: Appends
    ages: ExpiryClock
  }) {
    this.#store = parts.store
    this.#topics = parts.topics
    this.#checkpointer = parts.checkpointer
    this.#retention = parts.retention
    this.#cleaner = parts.cleaner
    this.#appends = parts.appends
    this.#ages = parts.ages
    this.#checkpointer.onDone = () => this.#afterCheckpoint()
  }

  get checkpoints(): number {
    return this.#checkpointer.count
  }

  get segmentsRemoved(): number {
    return this.#retention.segmentsRemoved
  }

  start(): void {
    const { settings } = this.#store
    this.checkSpace()
    void this.#rememberClock()
    this.#every('look', LOOK_MS, () => {
      this.checkSpace()
      this.#checkClock()
    })
    this.#every('clock', CLOCK_WRITE_MS, () => void this.#rememberClock())
    this.#every('checkpoint', settings['checkpoint.interval.ms'], () => this.#checkpointIfNeeded())
    this.#every('retention', settings['log.retention.check.interval.ms'], () => this.retain())
    this.#every('cleaner', settings['log.cleaner.backoff.ms'], () => this.#clean())
  }

  /** A group is complete: is a checkpoint due by size? */
  afterGroup(): void {
    const { settings, journalBytes } = this.#store
    if (journalBytes - this.#bytesAtCheckpoint >= settings['checkpoint.bytes']) {
      this.#checkpointer.request()
    }
  }

  /** The ring is getting full; answers whether a checkpoint is under way already. */
  pressure(): boolean {
    if (!this.#stopped || this.#checkpointer.underWay) this.#checkpointer.request()
    return this.#checkpointer.underWay
  }

  /** One pass of retention. */
  retain(): void {
    if (this.#retaining !== undefined || this.#stopped) return
    this.#retaining = this.#retention
      .run()
      .catch(() => undefined) // the journal is fenced: health says why
      .finally(() => {
        this.#retaining = undefined
      })
  }

  checkSpace(): void {
    const { disk, settings } = this.#store
    const { free, freeInodes } = disk.space()
    const reserve = settings['disk.reserve.bytes']
    if (free < reserve) this.#appends.diskFull = `disk.reserve.bytes=${reserve} is not free`
    else if (freeInodes === 0) this.#appends.diskFull = 'the file system has no inodes left'
    else this.#appends.diskFull = undefined
  }

  /** Stops the timers and writes the last checkpoint. */
  async stop(): Promise<void> {
    this.#stopped = true
    for (const timer of this.#timers.values()) timer.cancel()
    this.#timers.clear()
    await this.#cleaner.stop()
    await this.#cleaning
    await this.#retaining
    if (this.#store.journal.fencedBy !== undefined) return
    await this.#checkpointer.final()
    const { outside, settings } = this.#store
    // A disk that does not answer must not hold up the end.
    await inTime(outside.timers, settings['journal.stall.max.ms'], this.#rememberClock()).catch(
      () => undefined,
    )
  }

  #clean(): void {
    if (this.#cleaning !== undefined || this.#store.journal.fencedBy !== undefined) return
    this.#cleaning = this.#cleaner.run().finally(() => {
      this.#cleaning = undefined
    })
  }

  #checkpointIfNeeded(): void {
    void this.#expireProducers()
    const { journal, lacks, openingLacks } = this.#store
    // What deleted records have left behind makes room.
    if (lacks !== undefined || this.#appends.diskFull !== undefined) this.retain()
    if (this.#checkpointer.hasFailed) {
      this.#checkpointer.request()
      return
    }
    if (journal.completedSeq <= this.#checkpointer.coveredSeq && openingLacks === undefined) return
    if (this.#checkpointing) return
    this.#checkpointing = true
    this.#checkpointer
      .now()
      .catch(() => undefined) // reported by the checkpointer
      .finally(() => {
        this.#checkpointing = false
      })
  }

  /** Some partitions in each turn, as many as have a number of producers together. */
  async #expireProducers(): Promise<void> {
    if (this.#expiring) return
    this.#expiring = true
    const { settings, partitions } = this.#store
    const ageMax = settings['producer.id.expiration.ms']
    const isTooOld = (lastSeen: number): boolean => this.#ages.ageOf(lastSeen) > ageMax
    const pause = pauseOf(this.#store)
    let looked = 0
    for (const { producers } of partitions.values()) {
      producers.expire(isTooOld)
      looked += 1 + producers.size
      if (looked < PRODUCERS_A_TURN) continue
      looked = 0
      await pause()
    }
    this.#expiring = false
  }

  /** A jump is written down at once, so that a restart does not take it for time. */
  #checkClock(): void {
    this.#ages.look()
    if (this.#ages.jumpsTotal > this.#rememberedJumps) void this.#rememberClock()
  }

  /** One at a time. Where it fails, the next start only sees a longer absence. */
  #rememberClock(): Promise<void> {
    const { disk, journal } = this.#store
    if (journal.fencedBy !== undefined) return Promise.resolve()
    if (this.#remembering !== undefined) return this.#remembering
    const { memory, jumpsTotal } = this.#ages
    this.#remembering = writeClock(disk, memory)
      .then(() => {
        this.#rememberedJumps = jumpsTotal
      })
      .catch(() => undefined) // whatever it was: nobody waits for it
      .finally(() => {
        this.#remembering = undefined
      })
    return this.#remembering
  }

  #afterCheckpoint(): void {
    this.#bytesAtCheckpoint = this.#store.journalBytes
    this.#cleaner.afterCheckpoint()
    for (const [partition, segment] of this.#doomed) {
      // A fenced partition is listed as it was before it was fenced; the next start takes them away.
      if (!isFenced(partition)) segment.unlink()
    }
    this.#doomed = []
    for (const topic of this.#topics.all()) {
      if (!topic.internal) continue
      for (const partition of topic.partitions) {
        if (isFenced(partition)) continue
        // The checkpoint holds the coordinators' whole state: their older records are not needed.
        const closed = partition.segments.slice(0, -1).filter(segment => !segment.dirty)
        const last = closed.at(-1)
        if (last === undefined) continue
        partition.moveLogStart(last.nextOffset)
        partition.drop(closed)
        for (const segment of closed) this.#doomed.push([partition, segment])
      }
    }
  }

  #every(name: string, ms: number, work: () => void): void {
    this.#timers.set(
      name,
      this.#store.outside.timers.after(ms, () => {
        if (this.#stopped) return
        work()
        this.#every(name, ms, work)
      }),
    )
  }
}

const isFenced = ({ trouble }: PartitionLog): boolean => trouble?.state === 'fenced'
