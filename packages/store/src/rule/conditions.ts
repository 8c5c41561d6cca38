/**
 * What an append may claim beside its own stream's version, and how the rule judges it at the place
 * of the append's last record: versions of other streams, and that no tagged event of the bucket
 * and the tenant matches a query. Tagged events are looked at in order of offset, because that is
 * the order that readers are given them in; the last {@link TAGGED_MAX} are remembered. What cannot
 * be judged is void, never guessed.
 */
import type { EventQuery } from '../port.ts'
import { type EventFacts, TAGGED_MAX, tenantOf } from './facts.ts'
import type { BucketFold, StreamStates, Tagged, VoidReason } from './fold-state.ts'

/** Whether an event matches a query: any of its types, all of its tags; an empty list, nothing. */
export function matches(
  event: { readonly type: string; readonly tags: readonly string[] },
  { types, tags }: EventQuery,
): boolean {
  if (types === undefined && tags === undefined) return false
  if (types !== undefined && !types.includes(event.type)) return false
  return tags === undefined || (tags.length > 0 && tags.every(tag => event.tags.includes(tag)))
}

/** Why the claims of an append's first record do not hold; null: they do. */
export function claimsProblem(
  bucket: BucketFold,
  streams: StreamStates,
  { stream, checks, condition }: EventFacts,
): Extract<VoidReason, 'check' | 'condition' | 'stale'> | null {
  if (checks !== undefined) {
    for (const check of checks) {
      if (streams.get(check.stream).version !== check.version) return 'check'
    }
  }
  if (condition === undefined) return null
  if (condition.after < bucket.taggedFrom) return 'stale'
  for (const { tags } of condition.failIfMatch) {
    // Events without tags are not remembered, so a query without tags cannot be judged.
    if (tags === undefined || tags.length === 0) return 'condition'
  }
  const tenant = tenantOf(stream)
  for (let i = bucket.tagged.length - 1; i >= 0; i--) {
    const event = bucket.tagged[i] as Tagged
    if (event.offset < condition.after) break
    // Tenants may share a bucket, and never see each other's events.
    if (event.tenant !== tenant) continue
    for (const query of condition.failIfMatch) if (matches(event, query)) return 'condition'
  }
  return null
}

/** Remembers an accepted event with tags, and forgets what no condition may look back to. */
export function rememberTagged(bucket: BucketFold, record: EventFacts): void {
  // An append of several records may be accepted after a shorter one that began later.
  let at = bucket.tagged.length
  while (at > 0 && (bucket.tagged[at - 1] as Tagged).offset > record.offset) at -= 1
  bucket.tagged.splice(at, 0, {
    tenant: tenantOf(record.stream),
    offset: record.offset,
    type: record.type,
    tags: record.tags,
  })
  // Up to twice as many are kept before the list is cut, so that cutting costs a constant an event;
  // what is looked at is bounded by `taggedFrom` either way.
  if (bucket.tagged.length > TAGGED_MAX) {
    const leaving = bucket.tagged[bucket.tagged.length - TAGGED_MAX - 1] as Tagged
    bucket.taggedFrom = Math.max(bucket.taggedFrom, leaving.offset + 1)
    if (bucket.tagged.length >= 2 * TAGGED_MAX) bucket.tagged = bucket.tagged.slice(-TAGGED_MAX)
  }
}
