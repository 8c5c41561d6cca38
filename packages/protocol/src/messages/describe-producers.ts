/** DescribeProducers: the producers that partitions remember. */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API DescribeProducers, key 61. */
export const describeProducers: Api<DescribeProducersRequest, DescribeProducersResponse> = api({
  key: 61,
  name: 'DescribeProducers',
  versions: [0, 0],
  flexibleFrom: 0,
  request: `
    topics:[]{ name:str partitionIndexes:[]i32 }`,
  response: `
    throttleTimeMs:i32
    topics:[]{ name:str
      partitions:[]{ partitionIndex:i32 errorCode:i16 errorMessage:str?
        activeProducers:[]{ producerId:i64 producerEpoch:i32 lastSequence:i32=-1 lastTimestamp:i64=-1
          coordinatorEpoch:i32 currentTxnStartOffset:i64=-1 } } }`,
})

/** The request of DescribeProducers. */
export interface DescribeProducersRequest extends Tagged {
  readonly topics: readonly DescribeProducersTopic[]
}

/** Partitions of a topic that are asked for. */
export interface DescribeProducersTopic extends Tagged {
  readonly name: string
  readonly partitionIndexes: readonly number[]
}

/** The response of DescribeProducers. */
export interface DescribeProducersResponse extends Tagged {
  readonly throttleTimeMs: number
  readonly topics: readonly DescribeProducersTopicResponse[]
}

/** The answer for a topic. */
export interface DescribeProducersTopicResponse extends Tagged {
  readonly name: string
  readonly partitions: readonly DescribeProducersPartitionResponse[]
}

/** The answer for a partition. */
export interface DescribeProducersPartitionResponse extends Tagged {
  readonly partitionIndex: number
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly activeProducers: readonly DescribedProducer[]
}

/** A producer that a partition remembers. */
export interface DescribedProducer extends Tagged {
  readonly producerId: number
  readonly producerEpoch: number
  /** Of the last record; -1 where none is known. */
  readonly lastSequence?: number
  /** Of the last batch, ms since the epoch; -1 where none is known. */
  readonly lastTimestamp?: number
  /** Of the coordinator that wrote its last marker; -1 without transactions. */
  readonly coordinatorEpoch: number
  /** -1 outside of a transaction. */
  readonly currentTxnStartOffset?: number
}
