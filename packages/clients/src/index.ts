export type { AssignorName } from './consumer/assignors.ts'
export type { OffsetToCommit } from './consumer/committer.ts'
export type { ConsumedBatch } from './consumer/consumed-batch.ts'
export {
  type Consumer,
  createConsumer,
  type ManualAssignment,
  type RebalanceListener,
} from './consumer/consumer.ts'
export {
  type Assignment,
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
  type Subscription,
} from './consumer/embedded-protocol.ts'
export {
  type AutoOffsetReset,
  CONSUMER_SETTINGS,
  type ConsumerOptions,
} from './consumer/options.ts'
export type { StartPlace } from './consumer/partition-table.ts'
export { murmur2, partitionOfKey, partitionOfTextKey } from './partitioner.ts'
export type { Delivery } from './producer/lane.ts'
export {
  type DeliveryFailure,
  PRODUCER_SETTINGS,
  type ProducerOptions,
} from './producer/options.ts'
export { createProducer, type Producer, type RecordMetadata } from './producer/producer.ts'
export type { ProducerRecord } from './producer/topic.ts'
