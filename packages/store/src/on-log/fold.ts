/**
 * The rule: which records of a bucket are events. Every reader folds a partition in offset order
 * with this function and comes to the same verdict; no clock, identity, configuration, float or
 * locale is in it.
 *
 * - A record without an append id is never an event (rule 1; `decodeFacts` says so).
 * - Record 0 opens an append if its version is the stream's + 1, its append id is not cancelled
 *   and its command id is not remembered (rule 2). It replaces the open one of its stream (3).
 * - The others come in order of index; one out of order voids its append. The last accepts all (3),
 *   if the claims on other streams and on tags hold at that place.
 * - A settle record voids its append if it is open, and is remembered until the stream's version
 *   reaches the append's claim (rule 4).
 *
 * A stream's state is looked up and stored through `StreamStates`, so that it can live on disk, and
 * replaced, never changed in place. The bucket's own is the fold's to change, and bounded by the
 * constants of `facts.ts`.
 */
import type { EventQuery } from '../port.ts'
import {
  CANCELS_MAX,
  COMMANDS_MAX,
  type ControlFacts,
  type EventFacts,
  type Facts,
  OPEN_MAX,
  type SettleFacts,
  TAGGED_MAX,
} from './facts.ts'

/** An accepted command id and its result. */
export type RememberedCommand = {
  readonly commandId: string
  readonly appendId: string
  readonly firstVersion: number
  readonly lastVersion: number
  readonly firstOffset: number
  readonly lastOffset: number
}

/** A cancelled append. */
export type Cancel = { readonly appendId: string; readonly claim: number }

/** What the rule keeps of a stream. */
export type StreamFold = {
  readonly version: number
  /** Newest last, at most COMMANDS_MAX. */
  readonly commands: readonly RememberedCommand[]
  readonly cancels: readonly Cancel[]
  /** First version that can be read; 1 at first. */
  readonly firstVersion: number
  readonly archived: boolean
  readonly tombstoned: boolean
  /** Time of the first and the last event; -1 at first. */
  readonly createdAt: number
  readonly updatedAt: number
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
  readonly offset: number
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
  /** Highest time of an accepted event; -1 at first. */
  clock: number
}

/** Why records are void. */
export type VoidReason =
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
    clock: -1,
  }
}

/** Below it everything is decided: the fold's position or the first record of an open append. */
export function decidedOffset(bucket: BucketFold): number {
  let decided = bucket.position
  for (const open of bucket.open.values()) decided = Math.min(decided, open.first.offset)
  return decided
}

/** The fold met a record of newer rules; it must not guess (rule 6). */
export class NewerRule extends Error {
  override readonly name = 'NewerRule'
  readonly offset: number

  constructor(offset: number, rule: number) {
    super(`the record at offset ${offset} was written under rule ${rule}`)
    this.offset = offset
  }
}

/** Whether an event matches a query: any of its types, all of its tags. */
export function matches(
  event: { readonly type: string; readonly tags: readonly string[] },
  query: EventQuery,
): boolean {
  if (query.types !== undefined && !query.types.includes(event.type)) return false
  if (query.tags !== undefined) {
    if (query.tags.length === 0 && query.types === undefined) return false
    for (const tag of query.tags) if (!event.tags.includes(tag)) return false
  }
  return query.types !== undefined || query.tags !== undefined
}

/**
 * Folds one record. Offsets only rise; gaps are legal.
 *
 * @param verdicts what was decided is pushed here
 * @throws NewerRule; nothing has changed then
 */
export function foldRecord(
  bucket: BucketFold,
  streams: StreamStates,
  facts: Facts,
  verdicts: Verdict[],
): void {
  if (facts.kind === 'newer') throw new NewerRule(facts.offset, facts.rule)
  bucket.position = facts.offset + 1
  switch (facts.kind) {
    case 'foreign':
      bucket.foreign += 1
      return
    case 'settle':
      settle(bucket, streams, facts, verdicts)
      return
    case 'event':
      if (facts.index === 0) begin(bucket, streams, facts, verdicts)
      else goOn(bucket, streams, facts, verdicts)
      return
    default:
      control(bucket, streams, facts, verdicts)
  }
}

function begin(
  bucket: BucketFold,
  streams: StreamStates,
  facts: EventFacts,
  verdicts: Verdict[],
): void {
  const state = streams.get(facts.stream)
  const reason = refusal(state, facts)
  if (reason !== null) {
    voidOne(bucket, facts, reason, verdicts)
    return
  }
  voidOpen(bucket, facts.stream, 'replaced', verdicts)
  if (facts.count === 1) {
    accept(bucket, streams, [facts], verdicts)
    return
  }
  if (bucket.open.size >= OPEN_MAX) {
    const [oldest] = bucket.open.keys()
    if (oldest !== undefined) voidOpen(bucket, oldest, 'overflow', verdicts)
  }
  bucket.open.set(facts.stream, {
    appendId: facts.appendId,
    stream: facts.stream,
    count: facts.count,
    first: facts,
    records: [facts],
  })
}

function refusal(state: StreamFold, facts: EventFacts): VoidReason | null {
  if (state.tombstoned) return 'tombstoned'
  if (state.archived) return 'archived'
  for (const cancel of state.cancels) if (cancel.appendId === facts.appendId) return 'cancelled'
  if (facts.commandId !== undefined) {
    for (const done of state.commands) if (done.commandId === facts.commandId) return 'command'
  }
  return facts.version === state.version + 1 ? null : 'version'
}

function goOn(
  bucket: BucketFold,
  streams: StreamStates,
  facts: EventFacts,
  verdicts: Verdict[],
): void {
  const open = bucket.open.get(facts.stream)
  if (open === undefined || open.appendId !== facts.appendId) {
    voidOne(bucket, facts, 'order', verdicts)
    return
  }
  const fits =
    facts.index === open.records.length &&
    facts.count === open.count &&
    facts.version === open.first.version + facts.index
  if (!fits) {
    voidOpen(bucket, facts.stream, 'order', verdicts)
    voidOne(bucket, facts, 'order', verdicts)
    return
  }
  open.records.push(facts)
  if (open.records.length < open.count) return
  bucket.open.delete(facts.stream)
  accept(bucket, streams, open.records, verdicts)
}

function accept(
  bucket: BucketFold,
  streams: StreamStates,
  records: readonly EventFacts[],
  verdicts: Verdict[],
): void {
  const first = records[0] as EventFacts
  const last = records[records.length - 1] as EventFacts
  const reason = claimsProblem(bucket, streams, first)
  if (reason !== null) {
    voidAll(bucket, records, reason, verdicts)
    return
  }
  const state = streams.get(first.stream)
  streams.set(first.stream, {
    ...state,
    version: last.version,
    commands: first.commandId === undefined ? state.commands : remember(state, first, last),
    cancels: state.cancels.length === 0 ? state.cancels : livingCancels(state, last.version),
    createdAt: state.createdAt < 0 ? first.time : state.createdAt,
    updatedAt: last.time,
  })
  bucket.events += records.length
  for (const record of records) {
    if (record.time > bucket.clock) bucket.clock = record.time
    if (record.tags.length > 0) tag(bucket, record)
  }
  verdicts.push({ kind: 'accepted', records })
}

function remember(
  state: StreamFold,
  first: EventFacts,
  last: EventFacts,
): readonly RememberedCommand[] {
  const kept =
    state.commands.length < COMMANDS_MAX ? state.commands : state.commands.slice(1 - COMMANDS_MAX)
  return [
    ...kept,
    {
      commandId: first.commandId as string,
      appendId: first.appendId,
      firstVersion: first.version,
      lastVersion: last.version,
      firstOffset: first.offset,
      lastOffset: last.offset,
    },
  ]
}

const livingCancels = (state: StreamFold, version: number): readonly Cancel[] =>
  state.cancels.filter(cancel => cancel.claim > version)

/** Whether what was claimed of other streams and of tags does not hold at this place. */
function claimsProblem(
  bucket: BucketFold,
  streams: StreamStates,
  first: EventFacts,
): VoidReason | null {
  if (first.checks !== undefined) {
    for (const check of first.checks) {
      if (streams.get(check.stream).version !== check.version) return 'check'
    }
  }
  const { condition } = first
  if (condition === undefined) return null
  if (condition.after < bucket.taggedFrom) return 'stale'
  for (let i = bucket.tagged.length - 1; i >= 0; i--) {
    const event = bucket.tagged[i] as Tagged
    if (event.offset < condition.after) break
    for (const query of condition.failIfMatch) if (matches(event, query)) return 'condition'
  }
  return null
}

function tag(bucket: BucketFold, record: EventFacts): void {
  // In order of offset: an append of several records may be accepted after a later, shorter one.
  let at = bucket.tagged.length
  while (at > 0 && (bucket.tagged[at - 1] as Tagged).offset > record.offset) at -= 1
  bucket.tagged.splice(at, 0, { offset: record.offset, type: record.type, tags: record.tags })
  // Twice the window is kept before it is cut, so that cutting costs a constant an event; what is
  // looked at is bounded by `taggedFrom` either way.
  if (bucket.tagged.length > TAGGED_MAX) {
    const leaving = bucket.tagged[bucket.tagged.length - TAGGED_MAX - 1] as Tagged
    bucket.taggedFrom = Math.max(bucket.taggedFrom, leaving.offset + 1)
    if (bucket.tagged.length >= 2 * TAGGED_MAX) bucket.tagged = bucket.tagged.slice(-TAGGED_MAX)
  }
}

function settle(
  bucket: BucketFold,
  streams: StreamStates,
  facts: SettleFacts,
  verdicts: Verdict[],
): void {
  if (bucket.open.get(facts.stream)?.appendId === facts.appendId) {
    voidOpen(bucket, facts.stream, 'settled', verdicts)
  }
  const state = streams.get(facts.stream)
  if (facts.claim <= state.version) return
  if (state.cancels.some(cancel => cancel.appendId === facts.appendId)) return
  const kept = state.cancels.slice(-(CANCELS_MAX - 1))
  streams.set(facts.stream, {
    ...state,
    cancels: [...kept, { appendId: facts.appendId, claim: facts.claim }],
  })
}

function control(
  bucket: BucketFold,
  streams: StreamStates,
  facts: ControlFacts,
  verdicts: Verdict[],
): void {
  const state = streams.get(facts.stream)
  switch (facts.kind) {
    case 'truncate': {
      const before = Math.min(facts.before, state.version + 1)
      if (before > state.firstVersion) {
        streams.set(facts.stream, { ...state, firstVersion: before })
      }
      return
    }
    case 'archive':
      voidOpen(bucket, facts.stream, 'archived', verdicts)
      streams.set(facts.stream, { ...state, archived: true })
      return
    case 'unarchive':
      streams.set(facts.stream, { ...state, archived: false })
      return
    case 'tombstone':
      voidOpen(bucket, facts.stream, 'tombstoned', verdicts)
      streams.set(facts.stream, { ...state, tombstoned: true, firstVersion: state.version + 1 })
  }
}

function voidOpen(
  bucket: BucketFold,
  stream: string,
  reason: VoidReason,
  verdicts: Verdict[],
): void {
  const open = bucket.open.get(stream)
  if (open === undefined) return
  bucket.open.delete(stream)
  voidAll(bucket, open.records, reason, verdicts)
}

function voidOne(
  bucket: BucketFold,
  facts: EventFacts,
  reason: VoidReason,
  verdicts: Verdict[],
): void {
  voidAll(bucket, [facts], reason, verdicts)
}

function voidAll(
  bucket: BucketFold,
  records: readonly EventFacts[],
  reason: VoidReason,
  verdicts: Verdict[],
): void {
  const first = records[0] as EventFacts
  bucket.voided += records.length
  verdicts.push({
    kind: 'void',
    stream: first.stream,
    appendId: first.appendId,
    offsets: records.map(record => record.offset),
    reason,
  })
}
