/**
 * ListOffsets: the earliest or latest offset, or the first one at a time. There is no tiered storage:
 * the earliest local offset is the earliest, and what would lie in the other tier is nowhere (-1).
 */
import {
  LogError,
  type OffsetAnswer,
  type OffsetPlace,
  type OffsetQuery,
  type Timestamp,
} from '@millrace/log'
import {
  type Decoded,
  ISOLATION_LEVEL,
  LIST_OFFSETS_TIMESTAMP,
  type ListOffsetsRequest,
  type ListOffsetsResponse,
  listOffsets,
} from '@millrace/protocol'
import { partitionCodeOf } from './error-mapping.ts'
import type { Handler } from './handler.ts'
import { flatten, mayRepeat, nest, repeated } from './nested.ts'

type Request = Decoded<ListOffsetsRequest>
type Topic = Request['topics'][number]

const partitionsOf = (topic: Topic): Topic['partitions'] => topic.partitions

/** The handler of ListOffsets. */
export const listOffsetsHandler: Handler<ListOffsetsRequest, ListOffsetsResponse> = {
  api: listOffsets,

  handle: async (request, { version }, { engine }) => {
    const twice = repeatedPartitions(request)
    const places = flatten(
      request.topics,
      partitionsOf,
      ({ name }, partition): Place =>
        twice?.has(`${name}/${partition.partitionIndex}`) === true
          ? 'repeated'
          : placeOf(partition.timestamp, version),
    )
    const queries: OffsetQuery[] = flatten(request.topics, partitionsOf, (topic, partition) => ({
      topic: topic.name,
      partition: partition.partitionIndex,
      place: askedPlace(placeOf(partition.timestamp, version)),
      leaderEpoch: partition.currentLeaderEpoch,
    }))
    const isolation =
      request.isolationLevel === ISOLATION_LEVEL.readCommitted
        ? 'read_committed'
        : 'read_uncommitted'
    const isAsked = (index: number): boolean =>
      places[index] !== 'unsupported' && places[index] !== 'repeated'
    const asked = queries.filter((_query, index) => isAsked(index))
    const answers = asked.length === 0 ? [] : await engine.listOffsets(asked, isolation)
    let next = 0
    return respond(
      request,
      queries.map((query, index) => {
        const place = places[index]
        if (place === 'unsupported') return unsupported(query)
        if (place === 'repeated') return repeatedly(query)
        const answer = answers[next++]
        if (answer === undefined) throw new Error('the log answered fewer queries than asked')
        return place === 'tiered' && answer.error === undefined ? nowhere(query) : answer
      }),
    )
  },

  failure: ({ topics }, { partitionCode: errorCode }) => ({
    topics: topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
    })),
  }),
}

function respond(request: Request, answers: readonly OffsetAnswer[]): ListOffsetsResponse {
  return {
    topics: nest(
      request.topics,
      partitionsOf,
      answers,
      ({ partitionIndex }, { error, timestamp, offset, leaderEpoch }) => ({
        partitionIndex,
        errorCode: partitionCodeOf(error),
        timestamp,
        offset,
        leaderEpoch,
      }),
      ({ name }, partitions) => ({ name, partitions }),
    ),
  }
}

/** The first version that knows each place below zero. */
const VERSION_MIN: Readonly<Record<number, number>> = {
  [LIST_OFFSETS_TIMESTAMP.latest]: 0,
  [LIST_OFFSETS_TIMESTAMP.earliest]: 0,
  [LIST_OFFSETS_TIMESTAMP.maxTimestamp]: 7,
  [LIST_OFFSETS_TIMESTAMP.earliestLocal]: 8,
  [LIST_OFFSETS_TIMESTAMP.latestTiered]: 9,
  [LIST_OFFSETS_TIMESTAMP.earliestPendingUpload]: 11,
}

/**
 * A place in the log; one that only tiered storage has; one that the version does not know; or one of a
 * partition that is asked for more than once.
 */
type Place = OffsetPlace | 'tiered' | 'unsupported' | 'repeated'

function placeOf(timestamp: Timestamp, version: number): Place {
  if (timestamp >= 0) return timestamp
  if (version < (VERSION_MIN[timestamp] ?? Number.POSITIVE_INFINITY)) return 'unsupported'
  switch (timestamp) {
    case LIST_OFFSETS_TIMESTAMP.latest:
      return 'latest'
    case LIST_OFFSETS_TIMESTAMP.maxTimestamp:
      return 'maxTimestamp'
    case LIST_OFFSETS_TIMESTAMP.earliest:
    case LIST_OFFSETS_TIMESTAMP.earliestLocal:
      return 'earliest'
    default:
      return 'tiered'
  }
}

/** What the engine is asked: about a place that is nowhere, whether the partition is there. */
const askedPlace = (place: Place): OffsetPlace =>
  place === 'tiered' || place === 'unsupported' || place === 'repeated' ? 'latest' : place

const nowhere = ({ topic, partition }: OffsetQuery): OffsetAnswer => ({
  topic,
  partition,
  offset: -1,
  timestamp: -1,
  leaderEpoch: -1,
})

const unsupported = (query: OffsetQuery): OffsetAnswer => ({
  ...nowhere(query),
  error: new LogError('UNSUPPORTED_VERSION', 'a place that this version does not know'),
})

const repeatedly = (query: OffsetQuery): OffsetAnswer => ({
  ...nowhere(query),
  error: new LogError('INVALID_REQUEST', `partition ${query.partition} occurs twice`),
})

/** Partitions that the request names more than once: each is refused, as in Apache Kafka. */
function repeatedPartitions({ topics }: Request): ReadonlySet<string> | undefined {
  const indexesOf = (topic: Topic): readonly number[] =>
    topic.partitions.map(({ partitionIndex }) => partitionIndex)
  if (!mayRepeat(topics, ({ name }) => name, indexesOf)) return undefined
  return repeated(
    flatten(topics, partitionsOf, ({ name }, { partitionIndex }) => `${name}/${partitionIndex}`),
  )
}
