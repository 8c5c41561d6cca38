/**
 * DescribeQuorum: leader, voters and observers of the metadata's quorum (KIP-595).
 *
 * 1 when each was last heard of (KIP-836), 2 words, folder ids and addresses (KIP-853).
 */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API DescribeQuorum, key 55. */
export const describeQuorum: Api<DescribeQuorumRequest, DescribeQuorumResponse> = api({
  key: 55,
  name: 'DescribeQuorum',
  versions: [0, 2],
  flexibleFrom: 0,
  request: `
    topics:[]{
      topicName:str
      partitions:[]{ partitionIndex:i32 }
    }`,
  response: `
    errorCode:i16 errorMessage:str?[2+]
    topics:[]{
      topicName:str
      partitions:[]{
        partitionIndex:i32 errorCode:i16 errorMessage:str?[2+]
        leaderId:i32 leaderEpoch:i32 highWatermark:i64
        currentVoters:[]{
          replicaId:i32 replicaDirectoryId:uuid[2+] logEndOffset:i64
          lastFetchTimestamp:i64[1+]=-1 lastCaughtUpTimestamp:i64[1+]=-1
        }
        observers:[]{
          replicaId:i32 replicaDirectoryId:uuid[2+] logEndOffset:i64
          lastFetchTimestamp:i64[1+]=-1 lastCaughtUpTimestamp:i64[1+]=-1
        }
      }
    }
    nodes:[]{
      nodeId:i32
      listeners:[]{ name:str host:str port:u16 }
    }[2+]`,
})

/** The request of DescribeQuorum. */
export interface DescribeQuorumRequest extends Tagged {
  readonly topics: readonly DescribeQuorumTopic[]
}

/** Partitions of one topic. */
export interface DescribeQuorumTopic extends Tagged {
  readonly topicName: string
  readonly partitions: readonly DescribeQuorumPartition[]
}

/** A partition asked for. */
export interface DescribeQuorumPartition extends Tagged {
  readonly partitionIndex: number
}

/** The response of DescribeQuorum. */
export interface DescribeQuorumResponse extends Tagged {
  readonly errorCode: number
  readonly errorMessage?: string | null
  readonly topics: readonly DescribeQuorumTopicResponse[]
  readonly nodes?: readonly QuorumNode[]
}

/** The quorums of one topic. */
export interface DescribeQuorumTopicResponse extends Tagged {
  readonly topicName: string
  readonly partitions: readonly DescribeQuorumPartitionResponse[]
}

/** The quorum of one partition. */
export interface DescribeQuorumPartitionResponse extends Tagged {
  readonly partitionIndex: number
  readonly errorCode: number
  readonly errorMessage?: string | null
  readonly leaderId: number
  readonly leaderEpoch: number
  readonly highWatermark: number
  readonly currentVoters: readonly QuorumReplica[]
  readonly observers: readonly QuorumReplica[]
}

/** A member of the quorum, or an observer. */
export interface QuorumReplica extends Tagged {
  readonly replicaId: number
  readonly replicaDirectoryId?: string
  readonly logEndOffset: number
  /** Milliseconds; -1: unknown. */
  readonly lastFetchTimestamp?: number
  readonly lastCaughtUpTimestamp?: number
}

/** A node of the quorum and where it is reached. */
export interface QuorumNode extends Tagged {
  readonly nodeId: number
  readonly listeners: readonly QuorumListener[]
}

/** An address of a node. */
export interface QuorumListener extends Tagged {
  readonly name: string
  readonly host: string
  readonly port: number
}
