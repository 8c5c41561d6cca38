/**
 * OffsetForLeaderEpoch: where a leader epoch ended, so that a reader notices that the log was cut
 * (KIP-101, KIP-320).
 *
 * 3 replicas name themselves.
 */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API OffsetForLeaderEpoch, key 23. */
export const offsetForLeaderEpoch: Api<OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse> =
  api({
    key: 23,
    name: 'OffsetForLeaderEpoch',
    versions: [2, 4],
    flexibleFrom: 4,
    request: `
    replicaId:i32[3+]=-2
    topics:[]{
      topic:str
      partitions:[]{
        partition:i32 currentLeaderEpoch:i32=-1 leaderEpoch:i32
      }
    }`,
    response: `
    throttleTimeMs:i32
    topics:[]{
      topic:str
      partitions:[]{
        errorCode:i16 partition:i32 leaderEpoch:i32=-1 endOffset:i64=-1
      }
    }`,
  })

/** The request of OffsetForLeaderEpoch. */
export interface OffsetForLeaderEpochRequest extends Tagged {
  /** -1 for consumers. */
  readonly replicaId?: number
  readonly topics: readonly OffsetForLeaderTopic[]
}

/** The questions about one topic. */
export interface OffsetForLeaderTopic extends Tagged {
  readonly topic: string
  readonly partitions: readonly OffsetForLeaderPartition[]
}

/** The question about one partition. */
export interface OffsetForLeaderPartition extends Tagged {
  readonly partition: number
  readonly currentLeaderEpoch?: number
  readonly leaderEpoch: number
}

/** The response of OffsetForLeaderEpoch. */
export interface OffsetForLeaderEpochResponse extends Tagged {
  readonly throttleTimeMs: number
  readonly topics: readonly OffsetForLeaderTopicResponse[]
}

/** The answers about one topic. */
export interface OffsetForLeaderTopicResponse extends Tagged {
  readonly topic: string
  readonly partitions: readonly OffsetForLeaderPartitionResponse[]
}

/** The answer about one partition. */
export interface OffsetForLeaderPartitionResponse extends Tagged {
  readonly errorCode: number
  readonly partition: number
  readonly leaderEpoch?: number
  readonly endOffset?: number
}
