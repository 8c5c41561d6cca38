/**
 * OffsetDelete: deletes committed offsets of topics that a group is not subscribed to (KIP-496).
 *
 * Has no flexible version.
 */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API OffsetDelete, key 47. */
export const offsetDelete: Api<OffsetDeleteRequest, OffsetDeleteResponse> = api({
  key: 47,
  name: 'OffsetDelete',
  versions: [0, 0],
  request: `
    groupId:str
    topics:[]{
      name:str
      partitions:[]{ partitionIndex:i32 }
    }`,
  response: `
    errorCode:i16 throttleTimeMs:i32
    topics:[]{
      name:str
      partitions:[]{ partitionIndex:i32 errorCode:i16 }
    }`,
})

/** The request of OffsetDelete. */
export interface OffsetDeleteRequest extends Tagged {
  readonly groupId: string
  readonly topics: readonly OffsetDeleteTopic[]
}

/** Partitions of one topic. */
export interface OffsetDeleteTopic extends Tagged {
  readonly name: string
  readonly partitions: readonly OffsetDeletePartition[]
}

/** A partition. */
export interface OffsetDeletePartition extends Tagged {
  readonly partitionIndex: number
}

/** The response of OffsetDelete. */
export interface OffsetDeleteResponse extends Tagged {
  readonly errorCode: number
  readonly throttleTimeMs: number
  readonly topics: readonly OffsetDeleteTopicResponse[]
}

/** The outcome for one topic. */
export interface OffsetDeleteTopicResponse extends Tagged {
  readonly name: string
  readonly partitions: readonly OffsetDeletePartitionResponse[]
}

/** The outcome for one partition. */
export interface OffsetDeletePartitionResponse extends Tagged {
  readonly partitionIndex: number
  readonly errorCode: number
}
