/**
 * Whether a partition is due for cleaning, and from where to where. Pure: what it knows comes in.
 *
 *     first offset .. cleaned to ............ cleanable to ........... high watermark
 *       │   clean      │        dirty           │   not yet, or still written
 *
 * Cleanable are the records of segments that take no batches any more, that a durable checkpoint
 * lists whole (engine rule 11), and whose last record is `min.compaction.lag.ms` old; and never a
 * record at or behind `stableEnd`, whose fate may still be open. Ages are measured by the node's
 * clock, when segments were begun: the timestamps of records are whatever clients write.
 */
import type { Offset, Timestamp } from '@millrace/log'
import type { CleaningState } from '../../partitions/partition-log.ts'
import type { TopicConfig } from '../../partitions/topic-config.ts'

/** A segment as a plan sees it. */
export type PlannedSegment = {
  readonly baseOffset: Offset
  readonly nextOffset: Offset
  readonly bytes: number
  readonly createdAt: Timestamp
  /** When it took its last batch at the latest, ms since the epoch. */
  readonly closedAt: number
  /** Takes no batches any more, and the last durable checkpoint lists all of it. */
  readonly covered: boolean
}

/** A partition as a plan sees it. */
export type PlannedPartition = {
  readonly segments: readonly PlannedSegment[]
  readonly cleaning: CleaningState
  /**
   * The first offset whose record may still be aborted: the last stable offset, which is the high
   * watermark as long as there are no transactions.
   */
  readonly stableEnd: Offset
}

/** Why a partition is cleaned. */
export type CleaningReason = 'asked' | 'lag' | 'ratio' | 'tombstones'

/** What is to be cleaned. */
export type CleaningPlan = {
  readonly reason: CleaningReason
  /** Records in [dirtyFrom, dirtyTo) have never been compared with those before them. */
  readonly dirtyFrom: Offset
  readonly dirtyTo: Offset
  /** Share of dirty bytes, 0 to 1. */
  readonly ratio: number
}

/** The configuration that decides. */
export type CleaningRules = Pick<
  TopicConfig,
  'minCleanableDirtyRatio' | 'minCompactionLagMs' | 'maxCompactionLagMs' | 'deleteRetentionMs'
>

/** How old something with this wall time is, in ms. */
export type AgeOf = (timestamp: Timestamp) => number

/** Whether a delete horizon has passed, by the age of the moment at which it was set. */
export const hasPassed = (horizon: Timestamp, deleteRetentionMs: number, ageOf: AgeOf): boolean =>
  ageOf(horizon - deleteRetentionMs) >= deleteRetentionMs

/** What to clean now; null if nothing is due. `asked`: whatever ratio and maximal lag say. */
export function planCleaning(
  partition: PlannedPartition,
  rules: CleaningRules,
  ageOf: AgeOf,
  asked: boolean,
): CleaningPlan | null {
  const { segments, cleaning, stableEnd } = partition
  const dirtyFrom = Math.max(cleaning.cleanedTo, segments[0]?.baseOffset ?? 0)
  const dirtyTo = Math.max(dirtyFrom, cleanableEnd(segments, rules, ageOf, stableEnd))
  const dirty = segments.filter(
    segment => segment.nextOffset > dirtyFrom && segment.baseOffset < dirtyTo,
  )
  const dirtyBytes = bytesOf(dirty)
  const cleanBytes = bytesOf(segments.filter(segment => segment.nextOffset <= dirtyFrom))
  const ratio = dirtyBytes === 0 ? 0 : dirtyBytes / (dirtyBytes + cleanBytes)
  const plan = { dirtyFrom, dirtyTo, ratio }
  const { tombstonesUntil } = cleaning
  const tombstonesDue =
    tombstonesUntil !== null && hasPassed(tombstonesUntil, rules.deleteRetentionMs, ageOf)
  if (asked) return dirtyBytes > 0 || tombstonesDue ? { ...plan, reason: 'asked' } : null
  const oldest = dirty[0]?.createdAt ?? Number.POSITIVE_INFINITY
  if (ageOf(oldest) >= rules.maxCompactionLagMs) return { ...plan, reason: 'lag' }
  if (dirtyBytes > 0 && ratio >= rules.minCleanableDirtyRatio) return { ...plan, reason: 'ratio' }
  return tombstonesDue ? { ...plan, reason: 'tombstones' } : null
}

/** The end of what may be cleaned. */
function cleanableEnd(
  segments: readonly PlannedSegment[],
  rules: CleaningRules,
  ageOf: AgeOf,
  stableEnd: Offset,
): Offset {
  // Defaults of the node may cross a topic's own value: the bound on how long things stay wins.
  const lagMs = Math.min(rules.minCompactionLagMs, rules.maxCompactionLagMs)
  const first = segments.find(segment => !segment.covered || ageOf(segment.closedAt) < lagMs)
  const end = first?.baseOffset ?? segments.at(-1)?.nextOffset ?? 0
  return Math.min(end, stableEnd)
}

const bytesOf = (segments: readonly PlannedSegment[]): number =>
  segments.reduce((sum, segment) => sum + segment.bytes, 0)
