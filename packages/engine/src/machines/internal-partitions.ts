/** The partitions of the engine's own topics: ids and names that never change. */
import type { InternalPartition } from './machine.ts'

/** Topics, their partitions and configuration. */
export const CATALOGUE_PARTITION: InternalPartition = {
  id: 0,
  topic: '__catalogue',
  topicId: 'AAAAAAAAQACAAAAAAAAAAQ',
  partition: 0,
}

/** Groups and committed offsets. */
export const CONSUMER_OFFSETS_PARTITION: InternalPartition = {
  id: 1,
  topic: '__consumer_offsets',
  topicId: 'AAAAAAAAQACAAAAAAAAAAg',
  partition: 0,
}
