/**
 * Retention: old segments go, whole ones only.
 *
 * By time: a segment whose largest timestamp is older than `retention.ms`; one that grew too old while
 * it was the last is closed first. By size: the oldest while the rest still reaches
 * `retention.bytes`. And what deleted records have left behind. The log start moves first and is
 * durable before a file is unlinked, and only segments that a durable checkpoint knows as closed are
 * touched (engine rule 11), so that a crash in between leaves nothing to guess.
 */

import type { PartitionLog } from '../partitions/partition-log.ts'
import { type Segment, unlinkAll } from '../segments/segment.ts'
import { PARTITIONS_A_TURN, pauseOf } from '../turns.ts'
import type { ExpiryClock } from './expiry-clock.ts'
import type { LogStore } from './log-store.ts'

/** Moves log starts, durably; with none to move, resolves when all earlier moves are durable. */
export type MoveLogStarts = (moves: ReadonlyMap<number, number>) => Promise<void>

/** Finds and removes old segments. */
export class Retention {
  readonly #store: LogStore
  readonly #move: MoveLogStarts
  readonly #skip: (partition: PartitionLog) => boolean
  readonly #ages: ExpiryClock
  readonly #pause: () => Promise<void>
  segmentsRemoved = 0

  /** @param skip partitions that are trimmed in another way */
  constructor(
    store: LogStore,
    move: MoveLogStarts,
    skip: (partition: PartitionLog) => boolean,
    ages: ExpiryClock,
  ) {
    this.#store = store
    this.#ages = ages
    this.#move = move
    this.#skip = skip
    this.#pause = pauseOf(store)
  }

  /** One pass over all partitions. */
  async run(): Promise<void> {
    const now = this.#store.outside.clock.now()
    const starts = new Map<PartitionLog, number>()
    let looked = 0
    for (const partition of this.#store.partitions.values()) {
      looked += 1
      if (looked % PARTITIONS_A_TURN === 0) await this.#pause()
      if (this.#skip(partition)) continue
      const mayMove = partition.trouble === undefined
      const start = mayMove ? this.#newStart(partition, now) : partition.logStart
      if (start > partition.logStart || partition.obsoleteSegments(start).length > 0) {
        starts.set(partition, start)
      }
    }
    const moves = new Map<number, number>()
    for (const [partition, start] of starts) {
      // Those that have been deleted meanwhile have no start any more.
      if (!this.#skip(partition) && start > partition.logStart) moves.set(partition.id, start)
    }
    if (starts.size === 0) return
    // Also without a move of our own: a start that somebody else has moved may not be durable yet,
    // and never will be if the journal has failed. What moves meanwhile has to wait for the next pass.
    await this.#move(moves)
    for (const [partition, start] of starts) this.#removeObsolete(partition, start)
  }

  /** Unlinks segments wholly below a log start that is durable. */
  #removeObsolete(partition: PartitionLog, start: number): void {
    const obsolete = partition.obsoleteSegments(start).filter(segment => !segment.dirty)
    partition.drop(obsolete)
    const failure = unlinkAll(obsolete)
    this.segmentsRemoved += obsolete.length
    if (failure !== undefined) throw failure
  }

  #newStart(partition: PartitionLog, now: number): number {
    const { deletes, retentionMs, retentionBytes } = partition.config
    if (!deletes) return partition.logStart
    const last = partition.segments.at(-1)
    if (last === undefined) return partition.logStart
    if (retentionMs >= 0 && this.#ageOf(last) > retentionMs) partition.roll(now)
    const closed = partition.segments.slice(0, -1)
    let start = partition.logStart
    let bytes = partition.bytes
    for (const segment of closed) {
      if (segment.dirty) break
      const tooOld = retentionMs >= 0 && this.#ageOf(segment) > retentionMs
      const tooMuch = retentionBytes >= 0 && bytes - segment.bytes >= retentionBytes
      if (!tooOld && !tooMuch) break
      bytes -= segment.bytes
      start = segment.nextOffset
    }
    return start
  }

  /** A segment without timestamps ages from its creation. */
  #ageOf({ maxTimestamp, createdAt }: Segment): number {
    return this.#ages.ageOf(maxTimestamp >= 0 ? maxTimestamp : createdAt)
  }
}
