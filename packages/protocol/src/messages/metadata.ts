/**
 * Metadata: brokers, topics, partitions and their leaders.
 *
 * In version 0 an empty list asks for all topics; from 1 on null does, and an empty list asks for none.
 * 4 whether an unknown topic is created, 7 leader epochs (KIP-320), 8 authorized operations (KIP-430),
 * 10 topic ids (KIP-516), 12 questions by topic id. 11 leaves the cluster's operations to
 * DescribeCluster. 13 an error for the whole (KIP-1102).
 */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API Metadata, key 3. */
export const metadata: Api<MetadataRequest, MetadataResponse> = api({
  key: 3,
  name: 'Metadata',
  versions: [0, 13],
  flexibleFrom: 9,
  request: `
    topics:[]{ topicId:uuid[10+] name:str?10+ }?1+
    allowAutoTopicCreation:bool[4+]=true
    includeClusterAuthorizedOperations:bool[8-10] includeTopicAuthorizedOperations:bool[8+]`,
  response: `
    throttleTimeMs:i32[3+]
    brokers:[]{ nodeId:i32 host:str port:i32 rack:str?[1+] }
    clusterId:str?[2+] controllerId:i32[1+]=-1
    topics:[]{
      errorCode:i16 name:str?12+ topicId:uuid[10+] isInternal:bool[1+]
      partitions:[]{
        errorCode:i16 partitionIndex:i32 leaderId:i32 leaderEpoch:i32[7+]=-1
        replicaNodes:[]i32 isrNodes:[]i32 offlineReplicas:[]i32[5+]
      }
      topicAuthorizedOperations:i32[8+]=min
    }
    clusterAuthorizedOperations:i32[8-10]=min errorCode:i16[13]`,
})

/** The request of Metadata. */
export interface MetadataRequest extends Tagged {
  /** Null: all topics. */
  readonly topics: readonly MetadataTopic[] | null
  readonly allowAutoTopicCreation?: boolean
  readonly includeClusterAuthorizedOperations?: boolean
  readonly includeTopicAuthorizedOperations?: boolean
}

/** A topic asked for. */
export interface MetadataTopic extends Tagged {
  readonly topicId?: string
  /** Null where the topic is asked for by its id. */
  readonly name: string | null
}

/** The response of Metadata. */
export interface MetadataResponse extends Tagged {
  readonly throttleTimeMs?: number
  readonly brokers: readonly MetadataBroker[]
  readonly clusterId?: string | null
  readonly controllerId?: number
  readonly topics: readonly MetadataTopicResponse[]
  readonly clusterAuthorizedOperations?: number
  readonly errorCode?: number
}

/** A topic, or why it cannot be described. */
export interface MetadataTopicResponse extends Tagged {
  readonly errorCode: number
  readonly name: string | null
  readonly topicId?: string
  readonly isInternal?: boolean
  readonly partitions: readonly MetadataPartition[]
  /** Bits 1 << ACL operation; `NO_AUTHORIZED_OPERATIONS` where not asked for. */
  readonly topicAuthorizedOperations?: number
}

/** A partition and its replicas. */
export interface MetadataPartition extends Tagged {
  readonly errorCode: number
  readonly partitionIndex: number
  readonly leaderId: number
  readonly leaderEpoch?: number
  readonly replicaNodes: readonly number[]
  readonly isrNodes: readonly number[]
  readonly offlineReplicas?: readonly number[]
}

/** A broker and where clients reach it. */
export interface MetadataBroker extends Tagged {
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly rack?: string | null
}
