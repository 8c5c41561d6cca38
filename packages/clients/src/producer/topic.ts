/**
 * One topic as a producer sees it: how many partitions it has, since when that is known, its lanes,
 * and the sends that wait for room, first come first served.
 */

import type { NewRecord, Timestamp } from '@millrace/log'
import { LogError } from '@millrace/log'
import { partitionOfKey, partitionOfTextKey, StickyPartitioner } from '../partitioner.ts'
import { type Delivery, Lane } from './lane.ts'
import type { ResolvedProducerOptions } from './options.ts'

/** A record to be sent; with `partition` it goes there whatever its key says. */
export type ProducerRecord = NewRecord & { readonly partition?: number }

/** A send that waits. */
export type WaitingSend = {
  /** Rises over all topics, in the order of the calls. */
  readonly id: number
  readonly records: readonly ProducerRecord[]
  /** Of records that have none of their own. */
  readonly timestamp: Timestamp
  readonly deliveryOf: (index: number) => Delivery
  /** Monotonic ms after which the rest is refused. */
  readonly deadline: number
  /** Refuses the records that are not taken. */
  readonly refuse: (error: LogError) => void
  /** First record that is not yet taken. */
  next: number
}

/** See the head of the file. */
export class ProducerTopic {
  readonly name: string
  /** 0 while the topic is not known. */
  partitionCount = 0
  /** Monotonic ms of the last look; -Infinity: look again. */
  refreshedAt: number = Number.NEGATIVE_INFINITY
  loading = false
  readonly waiting: WaitingSend[] = []
  #lanes: Lane[] = []
  #sticky: StickyPartitioner
  #options: ResolvedProducerOptions

  constructor(name: string, options: ResolvedProducerOptions) {
    this.name = name
    this.#options = options
    this.#sticky = new StickyPartitioner(options.outside.random, options.batchBytesMax)
  }

  /** The lane of a record of about `bytes` bytes. Throws UNKNOWN_TOPIC_OR_PARTITION. */
  laneOf(record: ProducerRecord, bytes: number): Lane {
    const count = this.partitionCount
    const { partition, key } = record
    if (partition !== undefined) {
      if (!Number.isInteger(partition) || partition < 0 || partition >= count)
        throw new LogError(
          'UNKNOWN_TOPIC_OR_PARTITION',
          `partition ${partition} of ${this.name}, which has ${count}`,
        )
      return this.#lane(partition)
    }
    if (key === null || key === undefined) return this.#lane(this.#sticky.next(bytes, count))
    if (typeof key === 'string') return this.#lane(partitionOfTextKey(key, count))
    return this.#lane(partitionOfKey(key, count))
  }

  #lane(partition: number): Lane {
    const known = this.#lanes[partition]
    if (known !== undefined) return known
    const { compression, compressionLevel: level, batchBytesMax, recordBytesMax } = this.#options
    const lane = new Lane(this.name, partition, {
      compression,
      ...(level === undefined ? {} : { level }),
      // The producer closes batches by size itself; this bound only has to let one record in.
      bytesMax: batchBytesMax + 2 * recordBytesMax,
    })
    this.#lanes[partition] = lane
    return lane
  }
}
