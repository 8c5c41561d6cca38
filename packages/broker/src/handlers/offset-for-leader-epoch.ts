/** OffsetForLeaderEpoch: where an epoch ended, so that a reader notices a log that was cut. */
import {
  type OffsetForLeaderEpochRequest,
  type OffsetForLeaderEpochResponse,
  offsetForLeaderEpoch,
} from '@millrace/protocol'
import { partitionCodeOf } from './error-mapping.ts'
import type { Handler } from './handler.ts'

/** The handler of OffsetForLeaderEpoch. */
export const offsetForLeaderEpochHandler: Handler<
  OffsetForLeaderEpochRequest,
  OffsetForLeaderEpochResponse
> = {
  api: offsetForLeaderEpoch,

  handle: ({ topics }, _call, { engine }) => ({
    throttleTimeMs: 0,
    topics: topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(({ partition, leaderEpoch: asked, currentLeaderEpoch }) => {
        const end = engine.endOfEpoch(topic, partition, asked, currentLeaderEpoch)
        const { error, leaderEpoch, endOffset } = end
        return { errorCode: partitionCodeOf(error), partition, leaderEpoch, endOffset }
      }),
    })),
  }),

  failure: ({ topics }, { partitionCode: errorCode }) => ({
    throttleTimeMs: 0,
    topics: topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(({ partition }) => ({ errorCode, partition })),
    })),
  }),
}
