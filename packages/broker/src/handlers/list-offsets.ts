/** ListOffsets: the earliest or latest offset, or the first one at a time. */
import { LogError, type OffsetAnswer, type OffsetPlace, type OffsetQuery } from '@millrace/log'
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
import { flatten, nest } from './nested.ts'

type Request = Decoded<ListOffsetsRequest>
type Topic = Request['topics'][number]

const partitionsOf = (topic: Topic): Topic['partitions'] => topic.partitions

/** The handler of ListOffsets. */
export const listOffsetsHandler: Handler<ListOffsetsRequest, ListOffsetsResponse> = {
  api: listOffsets,

  handle: async (request, _call, { engine }) => {
    const places = flatten(request.topics, partitionsOf, (_topic, { timestamp }) =>
      placeOf(timestamp),
    )
    const queries: OffsetQuery[] = flatten(request.topics, partitionsOf, (topic, partition) => ({
      topic: topic.name,
      partition: partition.partitionIndex,
      place: placeOf(partition.timestamp) ?? 'latest',
      leaderEpoch: partition.currentLeaderEpoch,
    }))
    const isolation =
      request.isolationLevel === ISOLATION_LEVEL.readCommitted
        ? 'read_committed'
        : 'read_uncommitted'
    const asked = queries.filter((_query, index) => places[index] !== undefined)
    const answers = asked.length === 0 ? [] : await engine.listOffsets(asked, isolation)
    let next = 0
    return respond(
      request,
      queries.map((query, index) => {
        const answer = places[index] === undefined ? unsupported(query) : answers[next++]
        if (answer === undefined) throw new Error('the log answered fewer queries than asked')
        return answer
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

/** Undefined for places of tiered storage, which this node does not have. */
function placeOf(timestamp: number): OffsetPlace | undefined {
  if (timestamp >= 0) return timestamp
  switch (timestamp) {
    case LIST_OFFSETS_TIMESTAMP.latest:
      return 'latest'
    case LIST_OFFSETS_TIMESTAMP.earliest:
      return 'earliest'
    case LIST_OFFSETS_TIMESTAMP.maxTimestamp:
      return 'maxTimestamp'
    default:
      return undefined
  }
}

function unsupported({ topic, partition }: OffsetQuery): OffsetAnswer {
  const error = new LogError('UNSUPPORTED_VERSION', 'a place that only tiered storage has')
  return { topic, partition, error, offset: -1, timestamp: -1, leaderEpoch: -1 }
}
