/**
 * What the rule keeps, of each stream and of a bucket, and what it says of a record.
 *
 * A stream's state is looked up and stored through `StreamStates`, so that it can live on disk, and
 * replaced, never changed in place. The bucket's own is the fold's to change, and bounded by the
 * constants of `facts.ts`.
 */
import type { Offset, Timestamp } from '@millrace/log'
import type { StreamVersion } from '../port.ts'
import type { EventFacts, IdentityFacts } from './facts.ts'

/** An accepted command id and its result. */
export type RememberedCommand = {
  readonly commandId: string
  readonly appendId: string
  readonly firstVersion: StreamVersion
  readonly lastVersion: StreamVersion
  readonly firstOffset: Offset
  readonly lastOffset: Offset
}

/** A cancelled append, and the version that its first record claims. */
export type Cancel = { readonly appendId: string; readonly claim: StreamVersion }

/** What the rule keeps of a stream. */
export type StreamFold = {
  readonly version: StreamVersion
  /** Newest last, at most COMMANDS_MAX. */
  readonly commands: readonly RememberedCommand[]
  /** In order, those whose claim the version has not reached, at most CANCELS_MAX. */
  readonly cancels: readonly Cancel[]
  /** First version that can be read; 1 at first. */
  readonly firstVersion: StreamVersion
  readonly archived: boolean
  readonly tombstoned: boolean
  /** Time of the first and the last event; -1 at first. */
  readonly createdAt: Timestamp
  readonly updatedAt: Timestamp
}

/** A stream before its first record. */
export const EMPTY_STREAM: StreamFold = Object.freeze({
  version: 0,
  commands: [],
  cancels: [],
  firstVersion: 1,
  archived: false,
  tombstoned: false,
  createdAt: -1,
  updatedAt: -1,
})

/** Where the states of streams live. `get` of an unknown stream gives {@link EMPTY_STREAM}. */
export interface StreamStates {
  get(stream: string): StreamFold
  set(stream: string, state: StreamFold): void
  /** Whether a stream lies in this bucket, by the boundary of the category. Absent: all do. */
  belongs?(stream: string): boolean
}

/** An append that has begun and is not decided. */
export type OpenAppend = {
  readonly appendId: string
  readonly stream: string
  readonly count: number
  readonly first: EventFacts
  /** The records so far, in order of index; the array is the fold's own. */
  readonly records: EventFacts[]
}

/** A tagged event, as conditions look at it. */
export type Tagged = {
  readonly tenant: string
  readonly offset: Offset
  readonly type: string
  readonly tags: readonly string[]
}

/** What the rule keeps of a bucket beside its streams. */
export type BucketFold = {
  /** The next offset to be folded. */
  position: number
  /** By stream, in order of their first record. */
  readonly open: Map<string, OpenAppend>
  /** The last tagged events, oldest first; the array is the fold's own. */
  tagged: Tagged[]
  /** Conditions that look back before this offset cannot be judged. */
  taggedFrom: number
  events: number
  voided: number
  foreign: number
  /** Records of streams of other buckets. */
  misplaced: number
  /** What the category is; null until the bucket says so. */
  identity: IdentityFacts | null
  /** Highest time of an accepted event; -1 at first. */
  clock: number
  /**
   * Highest stamp of an append that was begun, counted or not: an append has at least this one for who
   * merges buckets. 0 at first.
   */
  stamp: number
}

/**
 * Why records are void. Each decides the append for good but `copy`, which says nothing about it:
 * the record is in the append already. Copies of an append that was accepted are void as well, by
 * its version or command; the first verdict on an append is the one that counts.
 */
export type VoidReason =
  | 'copy'
  | 'version'
  | 'command'
  | 'cancelled'
  | 'archived'
  | 'tombstoned'
  | 'replaced'
  | 'order'
  | 'check'
  | 'condition'
  | 'stale'
  | 'settled'
  | 'overflow'
  | 'misplaced'

/** What a record decided. One record can decide several appends. */
export type Verdict =
  | { readonly kind: 'accepted'; readonly records: readonly EventFacts[] }
  | {
      readonly kind: 'void'
      readonly stream: string
      readonly appendId: string
      readonly offsets: readonly number[]
      readonly reason: VoidReason
    }

/** A bucket before its first record. */
export function emptyBucket(): BucketFold {
  return {
    position: 0,
    open: new Map(),
    tagged: [],
    taggedFrom: 0,
    events: 0,
    voided: 0,
    foreign: 0,
    misplaced: 0,
    identity: null,
    clock: -1,
    stamp: 0,
  }
}

/** Below it everything is decided: the fold's position or the first record of an open append. */
export function decidedOffset(bucket: BucketFold): number {
  let decided = bucket.position
  for (const open of bucket.open.values()) decided = Math.min(decided, open.first.offset)
  return decided
}
