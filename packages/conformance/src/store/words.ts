/** Short words of the cases: events, streams, outcomes, pages, refusals. */
import assert from 'node:assert/strict'
import type {
  Appended,
  AppendOptions,
  AppendResult,
  Checkpoint,
  Conflict,
  EventPage,
  EventStore,
  Fold,
  NewEvent,
  RecordedEvent,
  StoreError,
  StoreErrorCode,
  StreamRef,
} from '@millrace/store'
import { failureOf } from '../frame/frame.ts'

/** A stream of the category `loan`. */
export const loan = (id: string): StreamRef => ({ category: 'loan', id })

/** A stream of the category `course`: those with an equal beginning lie in one bucket. */
export const course = (id: string): StreamRef => ({ category: 'course', id })

/** `count` events of type Added, whose data are the numbers from `first` on. */
export const added = (count: number, first = 1): NewEvent[] =>
  Array.from({ length: count }, (_, i) => ({ type: 'Added', data: { n: first + i } }))

/** An event with tags. */
export const tagged = (type: string, ...tags: string[]): NewEvent => ({ type, data: {}, tags })

/** The numbers of {@link added} events. */
export const numbers = (events: readonly RecordedEvent[]): number[] =>
  events.map(event => (event.data as { n: number }).n)

/** From `first` to `last`, both included. */
export const range = (first: number, last: number): number[] =>
  Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i)

/** Sums the numbers of a stream of {@link added} events. */
export const SUM: Fold<{ sum: number; count: number }> = {
  initial: () => ({ sum: 0, count: 0 }),
  evolve: (state, event) => ({
    sum: state.sum + (event.data as { n: number }).n,
    count: state.count + 1,
  }),
}

/** Asserts that an append counts. */
export function accepted(result: AppendResult): Appended {
  assert.equal(result?.ok, true, `it was not accepted: ${JSON.stringify(result)}`)
  return result as Appended
}

/** Asserts that an append lost, and by what. */
export function lost(result: AppendResult, conflict: Conflict['conflict'] = 'version'): Conflict {
  assert.equal(result?.ok, false, `it did not lose: ${JSON.stringify(result)}`)
  assert.equal((result as Conflict).conflict, conflict)
  return result as Conflict
}

/** Appends what must be accepted. */
export async function append(
  store: EventStore,
  stream: StreamRef,
  events: readonly NewEvent[],
  options?: AppendOptions,
): Promise<Appended> {
  return accepted(await store.append(stream, events, options))
}

/** All events of a stream. */
export async function eventsOf(
  store: EventStore,
  stream: StreamRef,
): Promise<readonly RecordedEvent[]> {
  return (await store.read(stream).all()).events
}

/** A read over all streams that has ended. */
export type Pages = {
  readonly pages: readonly EventPage[]
  readonly events: readonly RecordedEvent[]
  /** That of the last page. */
  readonly checkpoint: Checkpoint
}

/** Reads to the end. Asserts what holds of every read: a last page, which says that it is it. */
export async function allPages(read: AsyncIterable<EventPage>): Promise<Pages> {
  const pages: EventPage[] = []
  for await (const page of read) pages.push(page)
  const last = pages.at(-1)
  assert.ok(last !== undefined, 'a read ends with a page, also when it is empty')
  assert.equal(last.caughtUp, true, 'the last page of a read that ends has caught up')
  assert.equal(typeof last.checkpoint, 'string')
  return { pages, events: pages.flatMap(page => page.events), checkpoint: last.checkpoint }
}

/** Takes elements until there are `count`, then leaves the iteration. */
export async function take<T>(source: AsyncIterable<T>, count: number): Promise<T[]> {
  const taken: T[] = []
  if (count === 0) return taken
  for await (const element of source) {
    taken.push(element)
    if (taken.length === count) break
  }
  assert.equal(taken.length, count, `it ended after ${taken.length} of ${count}`)
  return taken
}

/** Takes pages until a number of events or more has come, then leaves the iteration. */
export async function takeEvents(
  read: AsyncIterable<EventPage>,
  count: number,
): Promise<RecordedEvent[]> {
  const events: RecordedEvent[] = []
  for await (const page of read) {
    events.push(...page.events)
    if (events.length >= count) break
  }
  assert.ok(events.length >= count, `it ended after ${events.length} of ${count}`)
  return events
}

/** Asserts that a call fails with a code, and that its message names some words. */
export async function refuses(
  call: () => unknown,
  code: StoreErrorCode,
  ...mentions: readonly (string | number)[]
): Promise<StoreError> {
  const caught = await failureOf<StoreError>(call, 'StoreError', code)
  assert.equal(caught.code, code, `it failed with ${caught.code}: ${caught.message}`)
  for (const word of mentions) {
    assert.ok(caught.message.includes(String(word)), `"${caught.message}" does not name "${word}"`)
  }
  return caught
}

/**
 * Asserts that a store takes an event and gives it back. Ends cases about refusals: one that
 * refuses everything keeps no promise.
 */
export async function works(store: EventStore, category = 'loan'): Promise<void> {
  const stream = { category, id: 'it-works' }
  const { version } = await store.state(stream)
  const event = { type: 'Worked', data: { after: version } }
  await append(store, stream, [event], { expectedVersion: version })
  const last = await store.event(stream, version + 1)
  assert.deepEqual([last?.type, last?.data], [event.type, event.data])
}
