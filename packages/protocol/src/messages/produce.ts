/**
 * Produce: appends record batches.
 *
 * Versions 0 to 2 carry message sets of the time before record batches. They are advertised and decoded
 * because old librdkafka otherwise turns compression off (KAFKA-18659), but a handler refuses them with
 * UNSUPPORTED_VERSION. 3 transactions, 7 zstd, 8 record errors (KIP-467), 10 leader hints (KIP-951),
 * 13 topic ids (KIP-516). With `acks` 0 there is no response.
 */
import { type Api, api } from '../codec/api.ts'
import type { Records, Tagged } from '../codec/types.ts'

/** The API Produce, key 0. */
export const produce: Api<ProduceRequest, ProduceResponse> = api({
  key: 0,
  name: 'Produce',
  versions: [0, 13],
  flexibleFrom: 9,
  request: `
    transactionalId:str?[3+] acks:i16 timeoutMs:i32
    topicData:[]{
      name:str[0-12] topicId:uuid[13]
      partitionData:[]{ index:i32 records:records? }
    }`,
  response: `
    responses:[]{
      name:str[0-12] topicId:uuid[13]
      partitionResponses:[]{
        index:i32 errorCode:i16 baseOffset:i64
        logAppendTimeMs:i64[2+]=-1 logStartOffset:i64[5+]=-1
        recordErrors:[]{ batchIndex:i32 batchIndexErrorMessage:str? }[8+]
        errorMessage:str?[8+]
        currentLeader:{ leaderId:i32=-1 leaderEpoch:i32=-1 }[10+]<tag0>
      }
    }
    throttleTimeMs:i32[1+]
    nodeEndpoints:[]{ nodeId:i32 host:str port:i32 rack:str? }[10+]<tag0>`,
})

/** The request of Produce. */
export interface ProduceRequest extends Tagged {
  readonly transactionalId?: string | null
  /** 0: no answer, 1 and -1: when stored. */
  readonly acks: number
  readonly timeoutMs: number
  readonly topicData: readonly ProduceTopic[]
}

/** The batches for one topic. */
export interface ProduceTopic extends Tagged {
  readonly name?: string
  readonly topicId?: string
  readonly partitionData: readonly ProducePartition[]
}

/** The batches for one partition. */
export interface ProducePartition extends Tagged {
  readonly index: number
  readonly records: Records
}

/** The response of Produce. */
export interface ProduceResponse extends Tagged {
  readonly responses: readonly ProduceTopicResponse[]
  readonly throttleTimeMs?: number
  readonly nodeEndpoints?: readonly ProduceNodeEndpoint[]
}

/** Where a leader named in this response can be reached (KIP-951). */
export interface ProduceNodeEndpoint extends Tagged {
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly rack: string | null
}

/** The outcome for one topic. */
export interface ProduceTopicResponse extends Tagged {
  readonly name?: string
  readonly topicId?: string
  readonly partitionResponses: readonly ProducePartitionResponse[]
}

/** The outcome for one partition. */
export interface ProducePartitionResponse extends Tagged {
  readonly index: number
  readonly errorCode: number
  readonly baseOffset: number
  /** -1 where the topic uses the time of creation. */
  readonly logAppendTimeMs?: number
  readonly logStartOffset?: number
  readonly recordErrors?: readonly ProduceRecordError[]
  readonly errorMessage?: string | null
  readonly currentLeader?: ProduceLeader
}

/** The leader that the client should turn to (KIP-951). */
export interface ProduceLeader extends Tagged {
  readonly leaderId?: number
  readonly leaderEpoch?: number
}

/** A record for which its whole batch was refused (KIP-467). */
export interface ProduceRecordError extends Tagged {
  /** Index of the record in its batch. */
  readonly batchIndex: number
  readonly batchIndexErrorMessage: string | null
}
