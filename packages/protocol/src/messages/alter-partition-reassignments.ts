/**
 * AlterPartitionReassignments: moves replicas of partitions to other brokers, or cancels that (KIP-455).
 *
 * 1 whether the number of replicas may change (KIP-860).
 */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API AlterPartitionReassignments, key 45. */
export const alterPartitionReassignments: Api<
  AlterPartitionReassignmentsRequest,
  AlterPartitionReassignmentsResponse
> = api({
  key: 45,
  name: 'AlterPartitionReassignments',
  versions: [0, 1],
  flexibleFrom: 0,
  request: `
    timeoutMs:i32=60000 allowReplicationFactorChange:bool[1]=true
    topics:[]{
      name:str
      partitions:[]{ partitionIndex:i32 replicas:[]i32? }
    }`,
  response: `
    throttleTimeMs:i32 allowReplicationFactorChange:bool[1]=true errorCode:i16 errorMessage:str?
    responses:[]{
      name:str
      partitions:[]{ partitionIndex:i32 errorCode:i16 errorMessage:str? }
    }`,
})

/** The request of AlterPartitionReassignments. */
export interface AlterPartitionReassignmentsRequest extends Tagged {
  readonly timeoutMs?: number
  readonly allowReplicationFactorChange?: boolean
  readonly topics: readonly ReassignableTopic[]
}

/** A topic to be moved. */
export interface ReassignableTopic extends Tagged {
  readonly name: string
  readonly partitions: readonly ReassignablePartition[]
}

/** A partition to be moved. */
export interface ReassignablePartition extends Tagged {
  readonly partitionIndex: number
  /** Null cancels what is under way. */
  readonly replicas: readonly number[] | null
}

/** The response of AlterPartitionReassignments. */
export interface AlterPartitionReassignmentsResponse extends Tagged {
  readonly throttleTimeMs: number
  readonly allowReplicationFactorChange?: boolean
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly responses: readonly ReassignableTopicResponse[]
}

/** The outcomes of one topic. */
export interface ReassignableTopicResponse extends Tagged {
  readonly name: string
  readonly partitions: readonly ReassignablePartitionResponse[]
}

/** The outcome for one partition. */
export interface ReassignablePartitionResponse extends Tagged {
  readonly partitionIndex: number
  readonly errorCode: number
  readonly errorMessage: string | null
}
