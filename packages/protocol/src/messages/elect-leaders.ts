/**
 * ElectLeaders: asks for a preferred or an unclean election of leaders (KIP-460).
 *
 * 1 the type of the election, and an error for the whole. Null partitions ask for all.
 */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API ElectLeaders, key 43. */
export const electLeaders: Api<ElectLeadersRequest, ElectLeadersResponse> = api({
  key: 43,
  name: 'ElectLeaders',
  versions: [0, 2],
  flexibleFrom: 2,
  request: `
    electionType:i8[1+]
    topicPartitions:[]{ topic:str partitions:[]i32 }?
    timeoutMs:i32=60000`,
  response: `
    throttleTimeMs:i32 errorCode:i16[1+]
    replicaElectionResults:[]{
      topic:str
      partitionResult:[]{ partitionId:i32 errorCode:i16 errorMessage:str? }
    }`,
})

/** The request of ElectLeaders. */
export interface ElectLeadersRequest extends Tagged {
  /** One of `ELECTION_TYPE`. */
  readonly electionType?: number
  /** Null: all. */
  readonly topicPartitions: readonly ElectLeadersTopic[] | null
  readonly timeoutMs?: number
}

/** Partitions of one topic. */
export interface ElectLeadersTopic extends Tagged {
  readonly topic: string
  readonly partitions: readonly number[]
}

/** The response of ElectLeaders. */
export interface ElectLeadersResponse extends Tagged {
  readonly throttleTimeMs: number
  readonly errorCode?: number
  readonly replicaElectionResults: readonly ElectLeadersTopicResult[]
}

/** The outcomes of one topic. */
export interface ElectLeadersTopicResult extends Tagged {
  readonly topic: string
  readonly partitionResult: readonly ElectLeadersPartitionResult[]
}

/** The outcome for one partition. */
export interface ElectLeadersPartitionResult extends Tagged {
  readonly partitionId: number
  readonly errorCode: number
  readonly errorMessage: string | null
}
