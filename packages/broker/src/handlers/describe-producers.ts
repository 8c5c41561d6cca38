/** DescribeProducers: the idempotent producers that partitions remember, and what they wrote last. */
import type { Engine, ProducerState } from '@millrace/engine'
import {
  type DescribedProducer,
  type DescribeProducersPartitionResponse,
  type DescribeProducersRequest,
  type DescribeProducersResponse,
  type DescribeProducersTopicResponse,
  describeProducers,
  ERROR_CODES,
} from '@millrace/protocol'
import { expected, messageOf, partitionCodeOf } from './error-mapping.ts'
import type { Handler } from './handler.ts'

/** There are no transactions: no coordinator has written a marker. */
const NO_COORDINATOR = -1

/** The handler of DescribeProducers. */
export const describeProducersHandler: Handler<
  DescribeProducersRequest,
  DescribeProducersResponse
> = {
  api: describeProducers,

  handle: async (request, _call, { engine }) => {
    const topics: DescribeProducersTopicResponse[] = []
    for (const { name, partitionIndexes } of request.topics) {
      const partitions: DescribeProducersPartitionResponse[] = []
      for (const index of partitionIndexes) partitions.push(await described(engine, name, index))
      topics.push({ name, partitions })
    }
    return { throttleTimeMs: 0, topics }
  },

  failure: ({ topics }, { partitionCode: errorCode, message: errorMessage }) => ({
    throttleTimeMs: 0,
    topics: topics.map(({ name, partitionIndexes }) => ({
      name,
      partitions: partitionIndexes.map(partitionIndex => ({
        partitionIndex,
        errorCode,
        errorMessage,
        activeProducers: [],
      })),
    })),
  }),
}

async function described(
  engine: Engine,
  topic: string,
  partitionIndex: number,
): Promise<DescribeProducersPartitionResponse> {
  try {
    const producers = await engine.describeProducers(topic, partitionIndex)
    const activeProducers = producers.map(asDescribed)
    return { partitionIndex, errorCode: ERROR_CODES.NONE, errorMessage: null, activeProducers }
  } catch (cause) {
    const error = expected(cause)
    const errorCode = partitionCodeOf(error)
    return { partitionIndex, errorCode, errorMessage: messageOf(error), activeProducers: [] }
  }
}

const asDescribed = (producer: ProducerState): DescribedProducer => ({
  producerId: producer.producerId,
  producerEpoch: producer.epoch,
  lastSequence: producer.lastSequence,
  lastTimestamp: producer.lastTimestamp,
  coordinatorEpoch: NO_COORDINATOR,
})
