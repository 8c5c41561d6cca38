/**
 * DeleteRecords: moves the start of partitions forward (KIP-107).
 *
 * An offset of -1 means the high watermark.
 */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API DeleteRecords, key 21. */
export const deleteRecords: Api<DeleteRecordsRequest, DeleteRecordsResponse> = api({
  key: 21,
  name: 'DeleteRecords',
  versions: [0, 2],
  flexibleFrom: 2,
  request: `
    topics:[]{
      name:str
      partitions:[]{ partitionIndex:i32 offset:i64 }
    }
    timeoutMs:i32`,
  response: `
    throttleTimeMs:i32
    topics:[]{
      name:str
      partitions:[]{ partitionIndex:i32 lowWatermark:i64 errorCode:i16 }
    }`,
})

/** The request of DeleteRecords. */
export interface DeleteRecordsRequest extends Tagged {
  readonly topics: readonly DeleteRecordsTopic[]
  readonly timeoutMs: number
}

/** What to delete of one topic. */
export interface DeleteRecordsTopic extends Tagged {
  readonly name: string
  readonly partitions: readonly DeleteRecordsPartition[]
}

/** The first offset of one partition that is to be kept. */
export interface DeleteRecordsPartition extends Tagged {
  readonly partitionIndex: number
  readonly offset: number
}

/** The response of DeleteRecords. */
export interface DeleteRecordsResponse extends Tagged {
  readonly throttleTimeMs: number
  readonly topics: readonly DeleteRecordsTopicResponse[]
}

/** The outcome for one topic. */
export interface DeleteRecordsTopicResponse extends Tagged {
  readonly name: string
  readonly partitions: readonly DeleteRecordsPartitionResponse[]
}

/** The outcome for one partition: its first offset now. */
export interface DeleteRecordsPartitionResponse extends Tagged {
  readonly partitionIndex: number
  readonly lowWatermark: number
  readonly errorCode: number
}
