/**
 * CreatePartitions: raises the number of partitions of topics (KIP-195).
 *
 * 3 knows THROTTLING_QUOTA_EXCEEDED.
 */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API CreatePartitions, key 37. */
export const createPartitions: Api<CreatePartitionsRequest, CreatePartitionsResponse> = api({
  key: 37,
  name: 'CreatePartitions',
  versions: [0, 3],
  flexibleFrom: 2,
  request: `
    topics:[]{
      name:str count:i32
      assignments:[]{ brokerIds:[]i32 }?
    }
    timeoutMs:i32 validateOnly:bool`,
  response: `
    throttleTimeMs:i32
    results:[]{ name:str errorCode:i16 errorMessage:str? }`,
})

/** The request of CreatePartitions. */
export interface CreatePartitionsRequest extends Tagged {
  readonly topics: readonly CreatePartitionsTopic[]
  readonly timeoutMs: number
  readonly validateOnly: boolean
}

/** A topic and the number of partitions that it is to have. */
export interface CreatePartitionsTopic extends Tagged {
  readonly name: string
  readonly count: number
  /** Null: the broker chooses. */
  readonly assignments: readonly CreatePartitionsAssignment[] | null
}

/** The brokers of one new partition. */
export interface CreatePartitionsAssignment extends Tagged {
  readonly brokerIds: readonly number[]
}

/** The response of CreatePartitions. */
export interface CreatePartitionsResponse extends Tagged {
  readonly throttleTimeMs: number
  readonly results: readonly CreatePartitionsResult[]
}

/** The outcome for one topic. */
export interface CreatePartitionsResult extends Tagged {
  readonly name: string
  readonly errorCode: number
  readonly errorMessage: string | null
}
