/**
 * DescribeTopicPartitions: topics and partitions in the order of their names, a page at a time. Unlike
 * Metadata it never creates a topic, and its answer has a bound.
 */
import type { Engine, TopicView } from '@millrace/engine'
import { LogError } from '@millrace/log'
import {
  type Decoded,
  type DescribedTopic,
  type DescribeTopicPartitionsRequest,
  type DescribeTopicPartitionsResponse,
  describeTopicPartitions,
  ERROR_CODES,
  type TopicPartitionCursor,
  ZERO_UUID,
} from '@millrace/protocol'
import { topicOperations } from './authorized-operations.ts'
import type { Handler } from './handler.ts'
import { isTopicName } from './topics.ts'

/** Partitions in one answer, whatever the client asks for: Kafka's max.request.partition.size.limit. */
const PARTITIONS_MAX = 2000
/** Names in one request: they are put in order at once. */
const NAMES_MAX = 10_000

const NOBODY: readonly number[] = []

/** The handler of DescribeTopicPartitions. */
export const describeTopicPartitionsHandler: Handler<
  DescribeTopicPartitionsRequest,
  DescribeTopicPartitionsResponse
> = {
  api: describeTopicPartitions,

  handle: (request, _call, { engine }) => {
    const { cursor, topics } = request
    if (topics.length > NAMES_MAX) {
      throw new LogError('INVALID_REQUEST', `${topics.length} names, at most ${NAMES_MAX}`)
    }
    if (cursor !== null && cursor.partitionIndex < 0) {
      throw new LogError('INVALID_REQUEST', `cursor at partition ${cursor.partitionIndex}`)
    }
    const limit = Math.max(1, Math.min(request.responsePartitionLimit, PARTITIONS_MAX))
    return page(engine, namesFrom(engine, request), cursor, limit)
  },

  failure: ({ topics }, { code }) => ({
    throttleTimeMs: 0,
    topics: topics.map(({ name }) => nothing(name, code)),
    nextCursor: null,
  }),
}

/** The names asked for from the cursor's on, in order, each once. */
function namesFrom(
  engine: Engine,
  { topics, cursor }: Decoded<DescribeTopicPartitionsRequest>,
): readonly string[] {
  const names =
    topics.length === 0
      ? engine.allTopics().map(({ name }) => name)
      : [...new Set(topics.map(({ name }) => name))].sort()
  return cursor === null ? names : names.filter(name => name >= cursor.topicName)
}

function page(
  engine: Engine,
  names: readonly string[],
  cursor: TopicPartitionCursor | null,
  limit: number,
): DescribeTopicPartitionsResponse {
  const topics: DescribedTopic[] = []
  let room = limit
  for (const name of names) {
    const topic = engine.topic(name)
    if (topic === undefined) {
      topics.push(nothing(name, unknownCode(name)))
      continue
    }
    const from = cursor?.topicName === name ? cursor.partitionIndex : 0
    if (room === 0 && from < topic.partitions.length) {
      const nextCursor = { topicName: name, partitionIndex: from }
      return { throttleTimeMs: 0, topics, nextCursor }
    }
    const shown = described(topic, from, from + room)
    topics.push(shown)
    room -= shown.partitions.length
    const next = from + shown.partitions.length
    if (next < topic.partitions.length) {
      const nextCursor = { topicName: name, partitionIndex: next }
      return { throttleTimeMs: 0, topics, nextCursor }
    }
  }
  return { throttleTimeMs: 0, topics, nextCursor: null }
}

const unknownCode = (name: string): number =>
  isTopicName(name) ? ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION : ERROR_CODES.INVALID_TOPIC_EXCEPTION

function described(topic: TopicView, from: number, to: number): DescribedTopic {
  return {
    errorCode: ERROR_CODES.NONE,
    name: topic.name,
    topicId: topic.topicId,
    isInternal: topic.internal,
    partitions: topic.partitions.slice(from, to).map(partition => ({
      errorCode: ERROR_CODES.NONE,
      partitionIndex: partition.partition,
      leaderId: partition.leader,
      leaderEpoch: partition.leaderEpoch,
      replicaNodes: partition.replicas,
      isrNodes: partition.inSyncReplicas,
      eligibleLeaderReplicas: NOBODY,
      lastKnownElr: NOBODY,
      offlineReplicas: NOBODY,
    })),
    topicAuthorizedOperations: topicOperations(true),
  }
}

const nothing = (name: string, errorCode: number): DescribedTopic => ({
  errorCode,
  name,
  topicId: ZERO_UUID,
  isInternal: false,
  partitions: [],
})
