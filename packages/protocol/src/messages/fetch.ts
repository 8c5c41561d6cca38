/**
 * Fetch: reads record batches, and waits for them if there are too few.
 *
 * 4 isolation and aborted transactions (KIP-98), 5 log start, 7 sessions (KIP-227), 9 leader epochs
 * (KIP-320), 10 zstd, 11 fetching from followers (KIP-392), 12 diverging epochs (KIP-595), 13 topic ids
 * (KIP-516), 15 replicas name themselves in a tag (KIP-903), 16 leader hints (KIP-951), 17 and 18 are for
 * replicas.
 */
import { type Api, api } from '../codec/api.ts'
import type { Records, Tagged } from '../codec/types.ts'

/** The API Fetch, key 1. */
export const fetch: Api<FetchRequest, FetchResponse> = api({
  key: 1,
  name: 'Fetch',
  versions: [4, 18],
  flexibleFrom: 12,
  request: `
    clusterId:str?[12+]<tag0>
    replicaId:i32[4-14]=-1
    replicaState:{ replicaId:i32=-1 replicaEpoch:i64=-1 }[15+]<tag1>
    maxWaitMs:i32 minBytes:i32 maxBytes:i32=max isolationLevel:i8
    sessionId:i32[7+] sessionEpoch:i32[7+]=-1
    topics:[]{
      topic:str[4-12] topicId:uuid[13+]
      partitions:[]{
        partition:i32 currentLeaderEpoch:i32[9+]=-1 fetchOffset:i64 lastFetchedEpoch:i32[12+]=-1
        logStartOffset:i64[5+]=-1 partitionMaxBytes:i32
        replicaDirectoryId:uuid[17+]<tag0> highWatermark:i64[18+]<tag1>=9007199254740991
      }
    }
    forgottenTopicsData:[]{ topic:str[7-12] topicId:uuid[13+] partitions:[]i32 }[7+]
    rackId:str[11+]`,
  response: `
    throttleTimeMs:i32 errorCode:i16[7+] sessionId:i32[7+]
    responses:[]{
      topic:str[4-12] topicId:uuid[13+]
      partitions:[]{
        partitionIndex:i32 errorCode:i16 highWatermark:i64 lastStableOffset:i64=-1
        logStartOffset:i64[5+]=-1
        divergingEpoch:{ epoch:i32=-1 endOffset:i64=-1 }[12+]<tag0>
        currentLeader:{ leaderId:i32=-1 leaderEpoch:i32=-1 }[12+]<tag1>
        snapshotId:{ endOffset:i64=-1 epoch:i32=-1 }[12+]<tag2>
        abortedTransactions:[]{ producerId:i64 firstOffset:i64 }?
        preferredReadReplica:i32[11+]=-1
        records:records?
      }
    }
    nodeEndpoints:[]{ nodeId:i32 host:str port:i32 rack:str? }[16+]<tag0>`,
})

/** The request of Fetch. */
export interface FetchRequest extends Tagged {
  readonly clusterId?: string | null
  /** -1 for consumers. */
  readonly replicaId?: number
  readonly replicaState?: FetchReplicaState
  readonly maxWaitMs: number
  /** The answer waits for this many bytes, at most `maxWaitMs`. */
  readonly minBytes: number
  readonly maxBytes?: number
  /** One of `ISOLATION_LEVEL`. */
  readonly isolationLevel: number
  /** 0 asks for a new session, or for none where the epoch is -1. */
  readonly sessionId?: number
  readonly sessionEpoch?: number
  readonly topics: readonly FetchTopic[]
  readonly forgottenTopicsData?: readonly FetchForgottenTopic[]
  readonly rackId?: string
}

/** A replica that fetches; consumers leave it out. */
export interface FetchReplicaState extends Tagged {
  readonly replicaId?: number
  readonly replicaEpoch?: number
}

/** Partitions that leave the session. */
export interface FetchForgottenTopic extends Tagged {
  readonly topic?: string
  readonly topicId?: string
  readonly partitions: readonly number[]
}

/** What is wanted of one topic. */
export interface FetchTopic extends Tagged {
  readonly topic?: string
  readonly topicId?: string
  readonly partitions: readonly FetchPartition[]
}

/** What is wanted of one partition. */
export interface FetchPartition extends Tagged {
  readonly partition: number
  readonly currentLeaderEpoch?: number
  readonly fetchOffset: number
  readonly lastFetchedEpoch?: number
  readonly logStartOffset?: number
  readonly partitionMaxBytes: number
  /** Of replicas only, as the next one. */
  readonly replicaDirectoryId?: string
  readonly highWatermark?: number
}

/** The response of Fetch. */
export interface FetchResponse extends Tagged {
  readonly throttleTimeMs: number
  readonly errorCode?: number
  /** 0 refuses a session. */
  readonly sessionId?: number
  readonly responses: readonly FetchTopicResponse[]
  readonly nodeEndpoints?: readonly FetchNodeEndpoint[]
}

/** Where a leader named in this response can be reached (KIP-951). */
export interface FetchNodeEndpoint extends Tagged {
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly rack: string | null
}

/** What is returned of one topic. */
export interface FetchTopicResponse extends Tagged {
  readonly topic?: string
  readonly topicId?: string
  readonly partitions: readonly FetchPartitionResponse[]
}

/** What is returned of one partition. */
export interface FetchPartitionResponse extends Tagged {
  readonly partitionIndex: number
  readonly errorCode: number
  readonly highWatermark: number
  readonly lastStableOffset?: number
  readonly logStartOffset?: number
  readonly divergingEpoch?: FetchDivergingEpoch
  readonly currentLeader?: FetchLeader
  readonly snapshotId?: FetchSnapshotId
  /** Null under read_uncommitted. */
  readonly abortedTransactions: readonly FetchAbortedTransaction[] | null
  readonly preferredReadReplica?: number
  /** Whole batches; other brokers may cut the last one short. */
  readonly records: Records
}

/** A transaction whose records from `firstOffset` on are to be left out. */
export interface FetchAbortedTransaction extends Tagged {
  readonly producerId: number
  readonly firstOffset: number
}

/** Of KRaft replicas only. */
export interface FetchSnapshotId extends Tagged {
  readonly endOffset?: number
  readonly epoch?: number
}

/** The leader, where the reader has an old one. */
export interface FetchLeader extends Tagged {
  readonly leaderId?: number
  readonly leaderEpoch?: number
}

/** Where the log of the reader parts from this one (KIP-595). */
export interface FetchDivergingEpoch extends Tagged {
  readonly epoch?: number
  readonly endOffset?: number
}
