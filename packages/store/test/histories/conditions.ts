// Whether conditions on tags held where they were judged: an append with one counts only if nothing
// that matches was accepted between what its writer had read and the append itself; and one that was
// told that its condition is broken was told the truth.
import { decodeCheckpoint } from '../../src/checkpoint.ts'
import type { Checkpoint, RecordedEvent } from '../../src/index.ts'
import { CATEGORY, nameOf } from './names.ts'

/** A condition that somebody set: no event with the tag since the checkpoint. */
export type Condition = { readonly tag: string; readonly after: Checkpoint }

/** A call with a condition. */
export type ConditionalCall = {
  readonly stream: string
  readonly command: string
  readonly condition: Condition
  /** It was told that the condition is broken. */
  readonly lost: boolean
}

/** What is wrong; empty if nothing is. @param events all, at the end */
export function conditionProblems(
  calls: readonly ConditionalCall[],
  events: readonly RecordedEvent[],
  bucketOf: ReadonlyMap<string, number>,
): readonly string[] {
  const problems: string[] = []
  const ends = new Map<string, number>()
  const appendOf = (event: RecordedEvent): string => `${event.stream} ${event.appendId}`
  for (const event of events) {
    ends.set(appendOf(event), Math.max(ends.get(appendOf(event)) ?? 0, event.offset))
  }
  const byName = new Map(events.map(event => [nameOf(event), event]))
  for (const { stream, command, condition, lost } of calls) {
    const { tag, after } = condition
    const bucket = bucketOf.get(stream) as number
    const since = decodeCheckpoint(after).positions.get(CATEGORY)?.get(bucket) ?? 0
    const unseen = events.filter(
      event => event.bucket === bucket && event.offset >= since && event.tags.includes(tag),
    )
    if (lost && unseen.length === 0) problems.push(`${command} lost, and nothing has tag ${tag}`)
    const own = byName.get(`${command}/0`)
    if (own === undefined) continue
    const end = ends.get(appendOf(own)) as number
    const broken = unseen.find(event => (ends.get(appendOf(event)) as number) < end)
    if (broken !== undefined) {
      const place = `at ${own.offset} of bucket ${bucket}`
      problems.push(`${command} counts ${place} in spite of ${nameOf(broken)} at ${broken.offset}`)
    }
  }
  return problems
}
