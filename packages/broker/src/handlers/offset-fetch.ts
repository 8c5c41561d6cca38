/** OffsetFetch: what groups have committed, of one group up to version 7, of several from 8 on. */
import type { FetchedOffset, MeantPartition } from '@millrace/log'
import {
  type Decoded,
  ERROR_CODES,
  type OffsetFetchRequest,
  type OffsetFetchResponse,
  type OffsetFetchTopicResponse,
  offsetFetch,
  ZERO_UUID,
} from '@millrace/protocol'
import { codeOf, expected } from './error-mapping.ts'
import type { Handler, HandlerNode } from './handler.ts'
import { distinct, flatten, groupByTopic } from './nested.ts'
import { meantId, topicName } from './topics.ts'

/** First version that asks for several groups at once. */
const BATCH_VERSION_MIN = 8
/** First version with an error for the group as a whole. */
const GROUP_ERROR_VERSION_MIN = 2

/** First version that names topics by their ids alone. */
const BY_ID_VERSION_MIN = 10

type OldTopics = Decoded<OffsetFetchRequest>['topics']
type Topics = Decoded<OffsetFetchRequest>['groups'][number]['topics']
type Asked = { readonly groupId: string; readonly topics: Topics; readonly requireStable: boolean }

/** The handler of OffsetFetch. */
export const offsetFetchHandler: Handler<OffsetFetchRequest, OffsetFetchResponse> = {
  api: offsetFetch,

  handle: async (request, { version }, node) => {
    const { requireStable } = request
    if (version >= BATCH_VERSION_MIN) {
      const asked = distinct(request.groups, ({ groupId }) => groupId)
      const byId = version >= BY_ID_VERSION_MIN
      const groups = asked.map(group => oneGroup(node, { ...group, requireStable }, byId))
      return { groups: await Promise.all(groups) }
    }
    const { groupId } = request
    const topics = request.topics?.map(topic => ({ ...topic, topicId: ZERO_UUID })) ?? null
    const group = await oneGroup(node, { groupId, topics, requireStable }, false)
    return shapeOld(group, request.topics, version)
  },

  failure: ({ groups, topics }, { code: errorCode }, { version }) => {
    if (version < BATCH_VERSION_MIN) {
      return shapeOld({ topics: [], errorCode }, topics, version)
    }
    return { groups: groups.map(({ groupId }) => ({ groupId, topics: [], errorCode })) }
  },
}

/** The offsets of one topic, named in both ways. */
type TopicOffsets = OffsetFetchTopicResponse & { readonly topicId: string }

/** The offsets of one group. */
type GroupOffsets = { readonly topics: readonly TopicOffsets[]; readonly errorCode: number }

/** A group that fails is reported in its place; the others are still answered. */
async function oneGroup(
  { engine }: HandlerNode,
  { groupId, topics, requireStable }: Asked,
  byId: boolean,
): Promise<GroupOffsets & { readonly groupId: string }> {
  const known = topics?.filter(topic => topicName(engine, topic, byId) !== undefined)
  const partitions =
    known &&
    flatten(
      known,
      ({ partitionIndexes }) => partitionIndexes,
      (topic, partition): MeantPartition => ({
        topic: topicName(engine, topic, byId) ?? '',
        ...meantId(topic),
        partition,
      }),
    )
  // The ids of now: a topic that is deleted meanwhile was there when it was asked for.
  const ids = new Map(known?.map(topic => [topicName(engine, topic, byId) ?? '', topic.topicId]))
  const idOf = (name: string): string =>
    byId ? (ids.get(name) ?? engine.topic(name)?.topicId ?? ZERO_UUID) : ZERO_UUID
  try {
    const fetched = await engine.groups.fetchOffsets(groupId, partitions, { requireStable })
    const shaped = shapeTopics(fetched, idOf)
    return {
      groupId,
      topics: [
        // Of all offsets those of topics that are gone cannot be told by an id.
        ...(byId ? shaped.filter(({ topicId }) => topicId !== ZERO_UUID) : shaped),
        ...unknownTopics(topics, known),
      ],
      errorCode: ERROR_CODES.NONE,
    }
  } catch (error) {
    return { groupId, topics: [], errorCode: codeOf(expected(error)) }
  }
}

/** The topics whose ids no topic has. */
function unknownTopics(topics: Topics, known: Topics | undefined): readonly TopicOffsets[] {
  if (topics === null || known === undefined || known === null) return []
  const isKnown = new Set(known)
  return topics
    .filter(topic => !isKnown.has(topic))
    .map(({ topicId, partitionIndexes }) => ({
      topicId,
      name: '',
      partitions: partitionIndexes.map(partitionIndex => ({
        partitionIndex,
        committedOffset: -1,
        metadata: '',
        errorCode: ERROR_CODES.UNKNOWN_TOPIC_ID,
      })),
    }))
}

function shapeTopics(
  fetched: readonly FetchedOffset[],
  idOf: (name: string) => string,
): readonly TopicOffsets[] {
  return [...groupByTopic(fetched)].map(([name, offsets]) => ({
    name,
    topicId: idOf(name),
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
  { topics, errorCode }: GroupOffsets,
  asked: OldTopics,
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
