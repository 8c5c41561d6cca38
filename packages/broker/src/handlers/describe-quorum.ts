/**
 * DescribeQuorum: this node is the whole quorum of its metadata. Its catalogue is no topic that anybody
 * could read, so the offsets are 0: nobody is ever behind.
 */
import {
  type DescribeQuorumPartitionResponse,
  type DescribeQuorumRequest,
  type DescribeQuorumResponse,
  describeQuorum,
  ERROR_CODES,
} from '@millrace/protocol'
import type { Handler } from './handler.ts'

/** Where Apache Kafka keeps its metadata, and tools ask about it. */
const METADATA_TOPIC = '__cluster_metadata'
const LISTENER = 'PLAINTEXT'

/** The handler of DescribeQuorum. */
export const describeQuorumHandler: Handler<DescribeQuorumRequest, DescribeQuorumResponse> = {
  api: describeQuorum,

  handle: ({ topics }, { endpoint }, { engine, outside }) => {
    const { nodeId } = engine
    const now = outside.clock.now()
    const quorum = {
      errorCode: ERROR_CODES.NONE,
      errorMessage: null,
      leaderId: nodeId,
      leaderEpoch: 0,
      highWatermark: 0,
      currentVoters: [
        {
          replicaId: nodeId,
          logEndOffset: 0,
          lastFetchTimestamp: now,
          lastCaughtUpTimestamp: now,
        },
      ],
      observers: [],
    }
    return {
      errorCode: ERROR_CODES.NONE,
      errorMessage: null,
      topics: topics.map(({ topicName, partitions }) => ({
        topicName,
        partitions: partitions.map(({ partitionIndex }) =>
          topicName === METADATA_TOPIC && partitionIndex === 0
            ? { partitionIndex, ...quorum }
            : unknown(partitionIndex),
        ),
      })),
      nodes: [
        { nodeId, listeners: [{ name: LISTENER, host: endpoint.host, port: endpoint.port }] },
      ],
    }
  },

  failure: (_request, { code: errorCode, message: errorMessage }) => ({
    errorCode,
    errorMessage,
    topics: [],
  }),
}

const unknown = (partitionIndex: number): DescribeQuorumPartitionResponse => ({
  partitionIndex,
  errorCode: ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION,
  errorMessage: `only partition 0 of ${METADATA_TOPIC} has a quorum`,
  leaderId: 0,
  leaderEpoch: 0,
  highWatermark: 0,
  currentVoters: [],
  observers: [],
})
