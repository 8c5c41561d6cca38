/** ListPartitionReassignments: partitions whose replicas are moving (KIP-455). Null topics ask for all. */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API ListPartitionReassignments, key 46. */
export const listPartitionReassignments: Api<
  ListPartitionReassignmentsRequest,
  ListPartitionReassignmentsResponse
> = api({
  key: 46,
  name: 'ListPartitionReassignments',
  versions: [0, 0],
  flexibleFrom: 0,
  request: `
    timeoutMs:i32=60000
    topics:[]{ name:str partitionIndexes:[]i32 }?`,
  response: `
    throttleTimeMs:i32 errorCode:i16 errorMessage:str?
    topics:[]{
      name:str
      partitions:[]{
        partitionIndex:i32 replicas:[]i32 addingReplicas:[]i32 removingReplicas:[]i32
      }
    }`,
})

/** The request of ListPartitionReassignments. */
export interface ListPartitionReassignmentsRequest extends Tagged {
  readonly timeoutMs?: number
  /** Null: all. */
  readonly topics: readonly ListPartitionReassignmentsTopic[] | null
}

/** Partitions of one topic. */
export interface ListPartitionReassignmentsTopic extends Tagged {
  readonly name: string
  readonly partitionIndexes: readonly number[]
}

/** The response of ListPartitionReassignments. */
export interface ListPartitionReassignmentsResponse extends Tagged {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly topics: readonly OngoingTopicReassignment[]
}

/** What is moving of one topic. */
export interface OngoingTopicReassignment extends Tagged {
  readonly name: string
  readonly partitions: readonly OngoingPartitionReassignment[]
}

/** A partition that is moving. */
export interface OngoingPartitionReassignment extends Tagged {
  readonly partitionIndex: number
  readonly replicas: readonly number[]
  readonly addingReplicas: readonly number[]
  readonly removingReplicas: readonly number[]
}
