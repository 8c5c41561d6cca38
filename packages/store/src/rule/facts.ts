/**
 * What the rule may know of a record: its headers, read. Never the payload, which may be encrypted,
 * erased, or of a schema that is not at hand.
 */
import type { Offset, Timestamp } from '@millrace/log'
import type { EventQuery, StreamVersion } from '../port.ts'

/**
 * Type of an event whose data was dropped when its category was rewritten: it holds a version of its
 * stream, and no reader is given it.
 */
export const DROPPED_TYPE = '$dropped'

/** Rules this program knows. An identity that names a later one stops the fold (rule 6). */
export const RULE_VERSION = 1

/** Most records of one append; a record that claims more is foreign. Part of the rule. */
export const APPEND_RECORDS_MAX = 1024

/** Most accepted command ids that a stream remembers (rule 5). */
export const COMMANDS_MAX = 64

/** Most cancelled appends that a stream remembers (rule 4). */
export const CANCELS_MAX = 64

/** Most open appends of a bucket; one more voids the oldest. Part of the rule. */
export const OPEN_MAX = 1024

/**
 * Most tagged events of a bucket that conditions are judged by. A condition whose `after` lies
 * before them is void: its writer claims again from a later place.
 */
export const TAGGED_MAX = 1024

/** A claim on a stream that is not written: it is at this version. `stream` is a stream key. */
export type CheckClaim = { readonly stream: string; readonly version: StreamVersion }

/**
 * A claim on tags: no accepted event of the bucket from offset `after` on matches. Each query names
 * at least one tag; what does not is void, because events without tags are not remembered.
 */
export type ConditionClaim = { readonly after: number; readonly failIfMatch: readonly EventQuery[] }

/** A record of an append. */
export type EventFacts = {
  readonly kind: 'event'
  readonly offset: Offset
  /** Tenant, NUL, id: see `streamKey`. */
  readonly stream: string
  readonly appendId: string
  /** 0 to count - 1. */
  readonly index: number
  /** 1 to {@link APPEND_RECORDS_MAX}. */
  readonly count: number
  /** Version that the event has if it counts: the first's claim + index. */
  readonly version: StreamVersion
  readonly type: string
  readonly tags: readonly string[]
  /** Ms since the epoch. Kept in the stream's state; no part of the verdict. */
  readonly time: Timestamp
  /** On record 0 only: see `hybrid-clock.ts`. Absent where it was written without one. */
  readonly stamp: number | undefined
  /** On record 0 only. */
  readonly commandId: string | undefined
  readonly condition: ConditionClaim | undefined
  readonly checks: readonly CheckClaim[] | undefined
}

/** A record that cancels an append. */
export type SettleFacts = {
  readonly kind: 'settle'
  readonly offset: Offset
  readonly stream: string
  readonly appendId: string
  /** Version that the append's first record claims. */
  readonly claim: StreamVersion
}

/** A record about a stream as a whole, outside of its version. */
export type ControlFacts = {
  readonly kind: 'truncate' | 'archive' | 'unarchive' | 'tombstone'
  readonly offset: Offset
  readonly stream: string
  /** With `truncate`: the first version that can still be read. */
  readonly before: number
}

/**
 * What a category is: the first record of each bucket says so. Of several that raced the first in the
 * bucket counts; a category of 0.1 has it further behind, and none before its next opening.
 */
export type IdentityFacts = {
  readonly kind: 'identity'
  readonly offset: Offset
  readonly id: string
  readonly buckets: number
  readonly boundary: string
  readonly boundaryVersion: number
  /** Records of later rules than this one are void. */
  readonly rule: number
}

/** A record that is no event and never can be (rule 1). */
export type ForeignFacts = { readonly kind: 'foreign'; readonly offset: Offset }

/** A record that claims to be written under newer rules. */
export type NewerFacts = { readonly kind: 'newer'; readonly offset: Offset; readonly rule: number }

/** A record as the rule sees it. */
export type Facts =
  | EventFacts
  | SettleFacts
  | ControlFacts
  | IdentityFacts
  | ForeignFacts
  | NewerFacts

/** One name for a stream within a category: no tenant or id holds NUL. */
export function streamKey(tenant: string, id: string): string {
  return `${tenant}\0${id}`
}

/** The tenant of a stream key. */
export function tenantOf(stream: string): string {
  return stream.slice(0, Math.max(0, stream.indexOf('\0')))
}

/** The id of a stream key. */
export function idOf(stream: string): string {
  return stream.slice(stream.indexOf('\0') + 1)
}

/** Between the append id that a caller gave and what makes each attempt its own. */
const ATTEMPT_MARK = '~'

/**
 * The id of one attempt under an append id that the caller gave. Each attempt has another one, so that
 * a verdict on one (perhaps made by another process, a call repeated) is never taken for that of
 * another.
 */
export const attemptIdOf = (appendId: string, unique: string): string =>
  `${appendId}${ATTEMPT_MARK}${unique}`

/** The append id that callers see: without what makes the attempt its own. */
export function appendIdOf(attemptId: string): string {
  const mark = attemptId.lastIndexOf(ATTEMPT_MARK)
  return mark < 0 ? attemptId : attemptId.slice(0, mark)
}
