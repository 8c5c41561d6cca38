/**
 * What becomes of an append, as the fold knows the bucket now: an answer, a claim to be written, or
 * "look again at the end of the log first" where what is known may be too old to refuse.
 */
import { StoreError } from '../errors.ts'
import type { ExpectedVersion, StreamVersion } from '../port.ts'
import { matches } from '../rule/conditions.ts'
import type { ConditionClaim } from '../rule/facts.ts'
import type { RememberedCommand, StreamFold } from '../rule/fold-state.ts'
import type { AppendRequest, ReadyCheck } from './pending.ts'

/** What is to be done with an append. */
export type Judgement =
  | { readonly kind: 'duplicate'; readonly command: RememberedCommand }
  | { readonly kind: 'refused'; readonly error: StoreError }
  | { readonly kind: 'conflict'; readonly conflict: 'version'; readonly sure: boolean }
  | {
      readonly kind: 'conflict'
      readonly conflict: 'check'
      readonly check: ReadyCheck
      readonly sure: boolean
    }
  | { readonly kind: 'conflict'; readonly conflict: 'condition'; readonly sure: true }
  /** The tags of older events must be looked up first: from `after` (included) to `before`. */
  | { readonly kind: 'search'; readonly after: number; readonly before: number }
  /** The condition's checkpoint lies behind what is decided here. */
  | { readonly kind: 'behind' }
  | { readonly kind: 'claim' }

/** Whether a version is what was expected. */
export function expectationHolds(expected: ExpectedVersion, version: StreamVersion): boolean {
  switch (expected) {
    case 'any':
      return true
    case 'exists':
      return version > 0
    case 'absent':
      return version === 0
    default:
      return version === expected
  }
}

/** Whether a failed expectation stays failed whatever else was written: versions only rise. */
function failsForGood(expected: ExpectedVersion, version: StreamVersion): boolean {
  if (expected === 'absent') return true
  return typeof expected === 'number' && expected < version
}

/** @param searched the older events were looked up, and none matches before this offset */
export function judge(request: AppendRequest, state: StreamFold, searched: number): Judgement {
  const { bucket, commandId } = request
  if (commandId !== undefined) {
    const command = state.commands.find(done => done.commandId === commandId)
    if (command !== undefined) return { kind: 'duplicate', command }
  }
  if (state.tombstoned) return refused('STREAM_TOMBSTONED', `stream ${request.id} was deleted`)
  if (state.archived) return refused('STREAM_ARCHIVED', `stream ${request.id} is archived`)
  if (!expectationHolds(request.expected, state.version)) {
    const sure = failsForGood(request.expected, state.version)
    return { kind: 'conflict', conflict: 'version', sure }
  }
  for (const check of request.checks) {
    const { version } = bucket.index.get(check.stream)
    if (expectationHolds(check.expectedVersion, version)) continue
    const sure = failsForGood(check.expectedVersion, version)
    return { kind: 'conflict', conflict: 'check', check, sure }
  }
  return request.condition === undefined ? { kind: 'claim' } : judgeCondition(request, searched)
}

function judgeCondition(request: AppendRequest, searched: number): Judgement {
  const { bucket } = request
  const condition = request.condition as NonNullable<AppendRequest['condition']>
  if (bucket.decided < condition.after) return { kind: 'behind' }
  const { tagged, taggedFrom } = bucket.fold
  for (const event of tagged) {
    if (event.offset < condition.after || event.tenant !== request.tenant) continue
    if (condition.failIfMatch.some(query => matches(event, query))) {
      return { kind: 'conflict', conflict: 'condition', sure: true }
    }
  }
  const from = Math.max(condition.after, searched)
  if (from < taggedFrom) return { kind: 'search', after: from, before: taggedFrom }
  return { kind: 'claim' }
}

/** What a condition claims: that nothing came since what is decided now. */
export function conditionClaim(request: AppendRequest): ConditionClaim | undefined {
  const { condition, bucket } = request
  if (condition === undefined) return undefined
  return {
    after: Math.max(condition.after, bucket.decided),
    failIfMatch: condition.failIfMatch,
  }
}

const refused = (code: 'STREAM_TOMBSTONED' | 'STREAM_ARCHIVED', text: string): Judgement => ({
  kind: 'refused',
  error: new StoreError(code, text),
})

/**
 * The times of an append's events: those given, else now, and never below the stream's last.
 *
 * @throws StoreError TIME_FALLS
 */
export function timesOf(request: AppendRequest, state: StreamFold, now: number): number[] {
  let last = Math.max(state.updatedAt, 0)
  return request.events.map((event, i) => {
    if (event.time !== undefined && event.time < last) {
      throw new StoreError(
        'TIME_FALLS',
        `events[${i}].time ${event.time} is before ${last}, the last of stream ${request.id}`,
      )
    }
    last = event.time ?? Math.max(now, last)
    return last
  })
}
