/** DescribeTopicPartitions: topics and their partitions, page by page (KIP-966). No names ask for all topics. */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API DescribeTopicPartitions, key 75. */
export const describeTopicPartitions: Api<
  DescribeTopicPartitionsRequest,
  DescribeTopicPartitionsResponse
> = api({
  key: 75,
  name: 'DescribeTopicPartitions',
  versions: [0, 0],
  flexibleFrom: 0,
  request: `
    topics:[]{ name:str } responsePartitionLimit:i32=2000
    cursor:{ topicName:str partitionIndex:i32 }?`,
  response: `
    throttleTimeMs:i32
    topics:[]{
      errorCode:i16 name:str? topicId:uuid isInternal:bool
      partitions:[]{
        errorCode:i16 partitionIndex:i32 leaderId:i32 leaderEpoch:i32=-1
        replicaNodes:[]i32 isrNodes:[]i32 eligibleLeaderReplicas:[]i32? lastKnownElr:[]i32?
        offlineReplicas:[]i32
      }
      topicAuthorizedOperations:i32=min
    }
    nextCursor:{ topicName:str partitionIndex:i32 }?`,
})

/** The request of DescribeTopicPartitions. */
export interface DescribeTopicPartitionsRequest extends Tagged {
  readonly topics: readonly DescribeTopicPartitionsTopic[]
  readonly responsePartitionLimit?: number
  /** Where to go on; null: at the first. */
  readonly cursor: TopicPartitionCursor | null
}

/** A topic asked for. */
export interface DescribeTopicPartitionsTopic extends Tagged {
  readonly name: string
}

/** A place in the topics in the order of their names. */
export interface TopicPartitionCursor extends Tagged {
  readonly topicName: string
  readonly partitionIndex: number
}

/** The response of DescribeTopicPartitions. */
export interface DescribeTopicPartitionsResponse extends Tagged {
  readonly throttleTimeMs: number
  readonly topics: readonly DescribedTopic[]
  /** Null: nothing is left. */
  readonly nextCursor: TopicPartitionCursor | null
}

/** A topic, or why it cannot be described. */
export interface DescribedTopic extends Tagged {
  readonly errorCode: number
  readonly name: string | null
  readonly topicId: string
  readonly isInternal: boolean
  readonly partitions: readonly DescribedPartition[]
  readonly topicAuthorizedOperations?: number
}

/** A partition and its replicas. */
export interface DescribedPartition extends Tagged {
  readonly errorCode: number
  readonly partitionIndex: number
  readonly leaderId: number
  readonly leaderEpoch?: number
  readonly replicaNodes: readonly number[]
  readonly isrNodes: readonly number[]
  readonly eligibleLeaderReplicas: readonly number[] | null
  readonly lastKnownElr: readonly number[] | null
  readonly offlineReplicas: readonly number[]
}
