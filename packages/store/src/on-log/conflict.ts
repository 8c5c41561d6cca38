/** What the loser of a race is told: what is so now, and what came in between. */
import { bucketCheckpoint } from '../checkpoint.ts'
import type { Conflict, RecordedEvent } from '../port.ts'
import type { Judgement } from './judge.ts'
import type { AppendRequest } from './pending.ts'
import { matching } from './search.ts'
import { IndexStreamReader, type ReaderParts } from './stream-reader.ts'

type Lost = Extract<Judgement, { kind: 'conflict' }>

/** @param eventsMax `conflict.events.max` */
export async function conflictOf(
  parts: ReaderParts,
  request: AppendRequest,
  lost: Lost,
  eventsMax: number,
  flush: () => Promise<void>,
): Promise<Conflict> {
  const { bucket, tenant } = request
  const { name } = bucket.category
  const stream = lost.conflict === 'check' ? lost.check.stream : request.stream
  const version = bucket.index.get(stream).version
  const checkpoint = bucketCheckpoint(parts.log, tenant, name, bucket.number, bucket.decided)
  let events: readonly RecordedEvent[] = []
  let complete = true
  if (lost.conflict === 'condition') {
    await flush()
    const found = await conditionEvents(parts, request, eventsMax + 1)
    events = found.slice(0, eventsMax)
    complete = found.length <= eventsMax
  } else {
    const expected = lost.conflict === 'check' ? lost.check.expectedVersion : request.expected
    const from = typeof expected === 'number' ? expected + 1 : 1
    const id = stream.slice(stream.indexOf('\0') + 1)
    const reader = new IndexStreamReader(parts, { from, to: version, limit: eventsMax }, () => ({
      bucket,
      tenant,
      id,
    }))
    events = (await reader.all()).events
    complete = events.length >= version - from + 1
  }
  return { ok: false, conflict: lost.conflict, version, events, complete, checkpoint }
}

/** Events that match a condition, by the index. */
async function conditionEvents(
  parts: ReaderParts,
  { bucket, tenant, condition }: AppendRequest,
  limit: number,
): Promise<readonly RecordedEvent[]> {
  if (condition === undefined) return []
  const { failIfMatch, after } = condition
  const end = bucket.position
  return matching(parts.kv, parts.opener, bucket, tenant, failIfMatch, after, end, limit)
}
