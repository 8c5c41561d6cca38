/**
 * ListOffsets: finds an offset by timestamp, or the first or last of a partition.
 *
 * 2 isolation, 4 leader epochs (KIP-320), 7 the record with the highest timestamp (KIP-734). 8, 9
 * and 11 know places of tiered storage. Timestamps below zero have a meaning of their own:
 * `LIST_OFFSETS_TIMESTAMP`.
 */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API ListOffsets, key 2. */
export const listOffsets: Api<ListOffsetsRequest, ListOffsetsResponse> = api({
  key: 2,
  name: 'ListOffsets',
  versions: [1, 11],
  flexibleFrom: 6,
  request: `
    replicaId:i32=-1 isolationLevel:i8[2+]
    topics:[]{
      name:str
      partitions:[]{ partitionIndex:i32 currentLeaderEpoch:i32[4+]=-1 timestamp:i64 }
    }
    timeoutMs:i32[10+]`,
  response: `
    throttleTimeMs:i32[2+]
    topics:[]{
      name:str
      partitions:[]{
        partitionIndex:i32 errorCode:i16 timestamp:i64=-1 offset:i64=-1 leaderEpoch:i32[4+]=-1
      }
    }`,
})

/** The request of ListOffsets. */
export interface ListOffsetsRequest extends Tagged {
  /** -1 for consumers. */
  readonly replicaId?: number
  /** One of `ISOLATION_LEVEL`. */
  readonly isolationLevel?: number
  readonly topics: readonly ListOffsetsTopic[]
  /** How long the answer may take where tiered storage is asked. */
  readonly timeoutMs?: number
}

/** The questions about one topic. */
export interface ListOffsetsTopic extends Tagged {
  readonly name: string
  readonly partitions: readonly ListOffsetsPartition[]
}

/** The question about one partition. */
export interface ListOffsetsPartition extends Tagged {
  readonly partitionIndex: number
  readonly currentLeaderEpoch?: number
  /** Milliseconds, or one of `LIST_OFFSETS_TIMESTAMP`. */
  readonly timestamp: number
}

/** The response of ListOffsets. */
export interface ListOffsetsResponse extends Tagged {
  readonly throttleTimeMs?: number
  readonly topics: readonly ListOffsetsTopicResponse[]
}

/** The answers about one topic. */
export interface ListOffsetsTopicResponse extends Tagged {
  readonly name: string
  readonly partitions: readonly ListOffsetsPartitionResponse[]
}

/** The answer about one partition. */
export interface ListOffsetsPartitionResponse extends Tagged {
  readonly partitionIndex: number
  readonly errorCode: number
  readonly timestamp?: number
  /** -1 where no record is as late as the timestamp. */
  readonly offset?: number
  readonly leaderEpoch?: number
}
