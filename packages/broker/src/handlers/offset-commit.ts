/** OffsetCommit: where a group goes on reading. Offsets of partitions that do not exist are refused. */
import type { Engine } from '@millrace/engine'
import type { CommitRequest } from '@millrace/log'
import {
  ERROR_CODES,
  type OffsetCommitRequest,
  type OffsetCommitResponse,
  offsetCommit,
} from '@millrace/protocol'
import { codeOf } from './error-mapping.ts'
import type { Handler } from './handler.ts'
import { meantId, topicName } from './topics.ts'

/** First version that names topics by their ids. */
const IDS_VERSION_MIN = 10

/** The handler of OffsetCommit. */
export const offsetCommitHandler: Handler<OffsetCommitRequest, OffsetCommitResponse> = {
  api: offsetCommit,

  handle: async (request, { version }, { engine }) => {
    const { groupId, memberId, groupInstanceId, topics } = request
    const offsets: CommitRequest['offsets'][number][] = []
    // Once, before the commit: a topic that is deleted meanwhile was there when it was asked for.
    const names = topics.map(topic => topicName(engine, topic, version >= IDS_VERSION_MIN))
    for (const [index, topic] of topics.entries()) {
      const name = names[index]
      const meant = meantId(topic)
      for (const asked of topic.partitions) {
        if (name === undefined || !exists(engine, name, asked.partitionIndex)) continue
        offsets.push({
          topic: name,
          ...meant,
          partition: asked.partitionIndex,
          offset: asked.committedOffset,
          leaderEpoch: asked.committedLeaderEpoch,
          metadata: asked.committedMetadata,
        })
      }
    }
    const generationId = request.generationIdOrMemberEpoch
    const identity = { groupId, generationId, memberId, groupInstanceId }
    const outcomes = await engine.groups.commit({ ...identity, offsets })
    const codes = new Map<string, number>()
    for (const { topic, partition, error } of outcomes) {
      codes.set(`${topic}/${partition}`, codeOf(error))
    }
    return {
      topics: topics.map((topic, index) => {
        const name = names[index]
        const unknown =
          name === undefined ? ERROR_CODES.UNKNOWN_TOPIC_ID : ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION
        return {
          name: topic.name,
          topicId: topic.topicId,
          partitions: topic.partitions.map(({ partitionIndex }) => ({
            partitionIndex,
            errorCode: codes.get(`${name}/${partitionIndex}`) ?? unknown,
          })),
        }
      }),
    }
  },

  failure: ({ topics }, { code: errorCode }) => ({
    topics: topics.map(({ name, topicId, partitions }) => ({
      name,
      topicId,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
    })),
  }),
}

function exists(engine: Engine, topic: string, partition: number): boolean {
  return engine.topic(topic)?.partitions[partition] !== undefined
}
