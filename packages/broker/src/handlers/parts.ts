/**
 * Requests that list a great deal are handled in parts, so that none holds the event loop.
 *
 * A part is a request of its own: so many elements of the list, whatever else the request says with
 * each. Parts are begun in order, in as many turns as it takes; their answers are put together in that
 * order. What a list repeats is merged first, or else one element would be worked on any number of
 * times: the last one wins, as in Apache Kafka where it keeps a map, or two are kept where the handler
 * refuses repetition and so has to see it.
 */
import type { Decoded } from '@millrace/protocol'

/** How a request is taken apart, and its answers put together. */
export interface Parts<Request extends object, Response extends object> {
  /** Elements of a part. A request with no more is handled as it is. */
  readonly size: number
  /** How many elements the request has, repeated ones too. */
  count(request: Decoded<Request>): number
  /** The request in parts, without what it repeats; at least one. */
  split(request: Decoded<Request>): readonly Decoded<Request>[]
  /** The answers to all parts, in their order, as one. */
  join(responses: readonly Response[], request: Decoded<Request>): Response
}

/** What becomes of elements with the same key: the last counts, or two stay to be refused. */
export type Repeats = 'last' | 'two'

/** A message whose fields are looked at by name. */
export type Fields = Readonly<Record<string, unknown>>
type Key = string | number

/** A list of a request, and that of the answers to it. */
type ListSpec = {
  /** Name of the list in the request. One that is null or empty is not taken apart. */
  readonly list: string
  /** Name of the list in the response. */
  readonly answers: string
  readonly size: number
  readonly repeats: Repeats
  readonly key: (element: never) => Key
}

/** The same with topics that have lists of partitions. */
type NestedSpec = Omit<ListSpec, 'key'> & {
  /** Name of a topic's name, in request and response. */
  readonly topic: string
  readonly partitions: string
  /** Name of the answers to its partitions. */
  readonly partitionAnswers: string
  readonly partitionKey: (partition: never) => Key
}

/** Parts of a plain list. */
export function listParts(spec: ListSpec): Parts<Fields, Fields> {
  const { list, answers, size, repeats } = spec
  const key = spec.key as (element: unknown) => Key
  return {
    size,
    count: request => listOf(request, list).length,
    split: request => {
      const elements = merged(listOf(request, list), key, repeats)
      return chunks(elements, size, key).map(chunk => ({ ...request, [list]: chunk }))
    },
    join: responses => ({
      ...(worst(responses) ?? {}),
      [answers]: responses.flatMap(response => listOf(response, answers)),
    }),
  }
}

/** Parts of a list of topics with partitions: a topic with many is in several. */
export function topicParts(spec: NestedSpec): Parts<Fields, Fields> {
  const { list, answers, size, repeats, topic, partitions, partitionAnswers } = spec
  const key = spec.partitionKey as (partition: unknown) => Key
  const partitionsOf = (each: unknown): readonly unknown[] => listOf(each as Fields, partitions)
  return {
    size,
    count: request =>
      (listOf(request, list) as readonly Fields[]).reduce(
        (sum, each) => sum + 1 + partitionsOf(each).length,
        0,
      ),
    split: request => {
      const topics = mergedTopics(listOf(request, list) as readonly Fields[], topic, partitions)
      const parts: Fields[][] = []
      let room = 0
      for (const each of topics) {
        const pieces = chunks(merged(partitionsOf(each), key, repeats), size, key)
        for (const piece of pieces) {
          if (room < piece.length + 1 || parts.length === 0) {
            parts.push([])
            room = size
          }
          parts.at(-1)?.push({ ...each, [partitions]: piece })
          room -= piece.length + 1
        }
      }
      if (parts.length === 0) return [request]
      return parts.map(part => ({ ...request, [list]: part }))
    },
    join: responses => ({
      ...(worst(responses) ?? {}),
      [answers]: mergedTopics(
        responses.flatMap(response => listOf(response, answers)) as readonly Fields[],
        topic,
        partitionAnswers,
      ),
    }),
  }
}

/** Parts of a request whose list has another name from some version on. */
export function eitherParts(
  first: Parts<Fields, Fields>,
  second: Parts<Fields, Fields>,
): Parts<Fields, Fields> {
  const of = (request: Fields): Parts<Fields, Fields> => (first.count(request) > 0 ? first : second)
  return {
    size: Math.min(first.size, second.size),
    count: request => of(request).count(request),
    split: request => of(request).split(request),
    join: (responses, request) => of(request).join(responses, request),
  }
}

const listOf = (fields: Fields, name: string): readonly unknown[] =>
  (fields[name] as readonly unknown[] | null | undefined) ?? []

/** What all answers have beside their lists: that of the first one with an error. */
const worst = (responses: readonly Fields[]): Fields | undefined =>
  responses.find(({ errorCode }) => typeof errorCode === 'number' && errorCode !== 0) ??
  responses[0]

/** The elements without repetition, at the places where their keys come first. */
function merged(
  elements: readonly unknown[],
  key: (element: unknown) => Key,
  repeats: Repeats,
): readonly unknown[] {
  const byKey = new Map<Key, unknown[]>()
  for (const element of elements) {
    const k = key(element)
    const known = byKey.get(k)
    if (known === undefined) byKey.set(k, [element])
    else if (repeats === 'last') known[0] = element
    else if (known.length < 2) known.push(element)
  }
  return byKey.size === elements.length ? elements : [...byKey.values()].flat()
}

/** Topics of the same name as one, with all their partitions. */
function mergedTopics(topics: readonly Fields[], name: string, list: string): readonly Fields[] {
  const byName = new Map<unknown, { topic: Fields; lists: (readonly unknown[])[] }>()
  for (const topic of topics) {
    // Versions that name topics by their ids leave the name empty.
    const key = topic[name] === '' ? `/${topic['topicId']}` : topic[name]
    const known = byName.get(key)
    if (known === undefined) byName.set(key, { topic, lists: [listOf(topic, list)] })
    else known.lists.push(listOf(topic, list))
  }
  if (byName.size === topics.length) return topics
  return [...byName.values()].map(({ topic, lists }) => ({ ...topic, [list]: lists.flat() }))
}

/** Runs of `size` elements, where those with the same key, which follow each other, stay together. */
function chunks(
  elements: readonly unknown[],
  size: number,
  key: (element: unknown) => Key,
): readonly (readonly unknown[])[] {
  if (elements.length === 0) return [elements]
  const runs: (readonly unknown[])[] = []
  for (let from = 0; from < elements.length; ) {
    let to = Math.min(from + size, elements.length)
    if (to < elements.length && key(elements[to - 1]) === key(elements[to])) to += 1
    runs.push(elements.slice(from, to))
    from = to
  }
  return runs
}
