/**
 * CreateTopics: creates topics, or checks whether they could be.
 *
 * 4 lets -1 stand for the defaults of the broker (KIP-464), 5 returns the configuration (KIP-525), 7 the
 * topic id (KIP-516).
 */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API CreateTopics, key 19. */
export const createTopics: Api<CreateTopicsRequest, CreateTopicsResponse> = api({
  key: 19,
  name: 'CreateTopics',
  versions: [2, 7],
  flexibleFrom: 5,
  request: `
    topics:[]{
      name:str numPartitions:i32 replicationFactor:i16
      assignments:[]{ partitionIndex:i32 brokerIds:[]i32 }
      configs:[]{ name:str value:str? }
    }
    timeoutMs:i32=60000 validateOnly:bool`,
  response: `
    throttleTimeMs:i32
    topics:[]{
      name:str topicId:uuid[7] errorCode:i16 errorMessage:str?
      topicConfigErrorCode:i16[5+]<tag0>
      numPartitions:i32[5+]=-1 replicationFactor:i16[5+]=-1
      configs:[]{
        name:str value:str? readOnly:bool configSource:i8=-1 isSensitive:bool
      }?[5+]
    }`,
})

/** The request of CreateTopics. */
export interface CreateTopicsRequest extends Tagged {
  readonly topics: readonly CreateTopicsTopic[]
  readonly timeoutMs?: number
  readonly validateOnly: boolean
}

/** A topic to be created. */
export interface CreateTopicsTopic extends Tagged {
  readonly name: string
  /** -1: by default, or by the assignments. */
  readonly numPartitions: number
  /** -1: by default, or by the assignments. */
  readonly replicationFactor: number
  readonly assignments: readonly CreateTopicsAssignment[]
  readonly configs: readonly CreateTopicsConfig[]
}

/** A configuration entry. */
export interface CreateTopicsConfig extends Tagged {
  readonly name: string
  readonly value: string | null
}

/** The brokers of one partition, where the client chooses them. */
export interface CreateTopicsAssignment extends Tagged {
  readonly partitionIndex: number
  readonly brokerIds: readonly number[]
}

/** The response of CreateTopics. */
export interface CreateTopicsResponse extends Tagged {
  readonly throttleTimeMs: number
  readonly topics: readonly CreateTopicsResult[]
}

/** The outcome for one topic. */
export interface CreateTopicsResult extends Tagged {
  readonly name: string
  readonly topicId?: string
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly topicConfigErrorCode?: number
  readonly numPartitions?: number
  readonly replicationFactor?: number
  readonly configs?: readonly CreateTopicsResultConfig[] | null
}

/** A configuration entry of the new topic. */
export interface CreateTopicsResultConfig extends Tagged {
  readonly name: string
  readonly value: string | null
  readonly readOnly: boolean
  /** One of `CONFIG_SOURCE`. */
  readonly configSource?: number
  readonly isSensitive: boolean
}
