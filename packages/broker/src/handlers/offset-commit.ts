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

/** The handler of OffsetCommit. */
export const offsetCommitHandler: Handler<OffsetCommitRequest, OffsetCommitResponse> = {
  api: offsetCommit,

  handle: async (request, _call, { engine }) => {
    const { groupId, memberId, groupInstanceId, topics } = request
    const offsets: CommitRequest['offsets'][number][] = []
    for (const { name, partitions } of topics) {
      for (const asked of partitions) {
        if (!exists(engine, name, asked.partitionIndex)) continue
        offsets.push({
          topic: name,
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
      topics: topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex }) => ({
          partitionIndex,
          errorCode:
            codes.get(`${name}/${partitionIndex}`) ?? ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION,
        })),
      })),
    }
  },

  failure: ({ topics }, { code: errorCode }) => ({
    topics: topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
    })),
  }),
}

function exists(engine: Engine, topic: string, partition: number): boolean {
  return engine.topic(topic)?.partitions[partition] !== undefined
}
