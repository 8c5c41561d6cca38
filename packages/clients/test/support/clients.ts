/** Helpers of the consumer tests: a log with records in it, and loops that collect. */

import { encodeBatch } from '@millrace/log'
import type { ConsumedBatch } from '../../src/consumer/consumed-batch.ts'
import { type Consumer, createConsumer } from '../../src/consumer/consumer.ts'
import type { ConsumerOptions } from '../../src/consumer/options.ts'
import { FakeLog } from './fake-log.ts'
import { SimOutside } from './sim-outside.ts'

export type Bench = { readonly outside: SimOutside; readonly log: FakeLog }

export async function bench(partitions = 1, seed = 1): Promise<Bench> {
  const outside = new SimOutside(seed)
  const log = new FakeLog(outside)
  await log.createTopics([{ name: 't', partitions }])
  return { outside, log }
}

/** Stores one batch with these values, at once. */
export function store(log: FakeLog, values: readonly string[], partition = 0, topic = 't') {
  const batch = encodeBatch({ records: values.map(value => ({ value })), timestamp: 1_000 })
  log.append([{ topic, partition, batch }])
}

export const numbers = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, index) => String(from + index))

export const consumerOn = ({ log, outside }: Bench, options: ConsumerOptions = {}): Consumer =>
  createConsumer(log, { outside, autoOffsetReset: 'earliest', retryBackoffMs: 10, ...options })

export const valuesOf = (batch: ConsumedBatch): string[] =>
  [...batch.records].map(record => String(record.value))

/** Reads until `count` records came. */
export async function readSome(consumer: Consumer, count: number): Promise<string[]> {
  const values: string[] = []
  for await (const batch of consumer) {
    values.push(...valuesOf(batch))
    if (values.length >= count) break
  }
  return values
}

/** A loop that runs until its consumer is closed, taking `workMs` for each batch. */
export class Loop {
  readonly consumer: Consumer
  readonly seen: string[] = []
  readonly done: Promise<void>
  error: unknown = null
  workMs = 0
  /** Set: what is in hand is never finished, nor anything after it. */
  dead = false
  /** Partition numbers of the batches in hand now. */
  readonly working = new Set<number>()

  constructor(consumer: Consumer, outside: SimOutside) {
    this.consumer = consumer
    this.done = this.#run(outside).catch(error => {
      this.error = error
    })
  }

  async #run(outside: SimOutside): Promise<void> {
    for await (const batch of this.consumer) {
      this.working.add(batch.partition)
      if (this.workMs > 0) await outside.sleep(this.workMs)
      if (this.dead) return
      this.seen.push(...valuesOf(batch))
      this.working.delete(batch.partition)
    }
  }
}
