/** OffsetFetch: what groups have committed, of one group up to version 7, of several from 8 on. */
import type { FetchedOffset, TopicPartition } from '@millrace/log'
import {
  type Decoded,
  ERROR_CODES,
  type OffsetFetchGroupResponse,
  type OffsetFetchRequest,
  type OffsetFetchResponse,
  type OffsetFetchTopicResponse,
  offsetFetch,
} from '@millrace/protocol'
import { codeOf, expected } from './error-mapping.ts'
import type { Handler, HandlerNode } from './handler.ts'
import { distinct, flatten, groupByTopic } from './nested.ts'

/** First version that asks for several groups at once. */
const BATCH_VERSION_MIN = 8
/** First version with an error for the group as a whole. */
const GROUP_ERROR_VERSION_MIN = 2

type Topics = Decoded<OffsetFetchRequest>['topics']
type Asked = { readonly groupId: string; readonly topics: Topics; readonly requireStable: boolean }

/** The handler of OffsetFetch. */
export const offsetFetchHandler: Handler<OffsetFetchRequest, OffsetFetchResponse> = {
  api: offsetFetch,

  handle: async (request, { version }, node) => {
    const { requireStable } = request
    if (version >= BATCH_VERSION_MIN) {
      const asked = distinct(request.groups, ({ groupId }) => groupId)
      const groups = asked.map(group => oneGroup(node, { ...group, requireStable }))
      return { groups: await Promise.all(groups) }
    }
    const { groupId, topics } = request
    const group = await oneGroup(node, { groupId, topics, requireStable })
    return shapeOld(group, topics, version)
  },

  failure: ({ groups, topics }, { code: errorCode }, { version }) => {
    if (version < BATCH_VERSION_MIN) {
      return shapeOld({ groupId: '', topics: [], errorCode }, topics, version)
    }
    return { groups: groups.map(({ groupId }) => ({ groupId, topics: [], errorCode })) }
  },
}

/** A group that fails is reported in its place; the others are still answered. */
async function oneGroup(
  { engine }: HandlerNode,
  { groupId, topics, requireStable }: Asked,
): Promise<OffsetFetchGroupResponse> {
  try {
    const partitions =
      topics === null
        ? undefined
        : flatten(
            topics,
            ({ partitionIndexes }) => partitionIndexes,
            ({ name }, partition): TopicPartition => ({ topic: name, partition }),
          )
    const fetched = await engine.groups.fetchOffsets(groupId, partitions, { requireStable })
    return { groupId, topics: shapeTopics(fetched), errorCode: ERROR_CODES.NONE }
  } catch (error) {
    return { groupId, topics: [], errorCode: codeOf(expected(error)) }
  }
}

function shapeTopics(fetched: readonly FetchedOffset[]): OffsetFetchTopicResponse[] {
  return [...groupByTopic(fetched)].map(([name, offsets]) => ({
    name,
    partitions: offsets.map(({ partition, offset, leaderEpoch, metadata, error }) => ({
      partitionIndex: partition,
      committedOffset: offset,
      committedLeaderEpoch: leaderEpoch,
      metadata: metadata ?? '',
      errorCode: codeOf(error),
    })),
  }))
}

/** Up to version 7; in version 1 an error can only be told partition by partition. */
function shapeOld(
  { topics, errorCode }: OffsetFetchGroupResponse,
  asked: Topics,
  version: number,
): OffsetFetchResponse {
  if (version >= GROUP_ERROR_VERSION_MIN || errorCode === ERROR_CODES.NONE) {
    return { topics, errorCode }
  }
  return {
    topics: (asked ?? []).map(({ name, partitionIndexes }) => ({
      name,
      partitions: partitionIndexes.map(partitionIndex => ({
        partitionIndex,
        committedOffset: -1,
        metadata: '',
        errorCode,
      })),
    })),
  }
}
