/**
 * Looks at the topics of a running store from time to time: one that was deleted and made again, or
 * that somebody gave more partitions, is not what was opened. Its buckets fail, with what to do.
 */
import { type Outside, sleep } from '@millrace/base'
import { type Log, LogError, type TopicDescription } from '@millrace/log'
import { StoreError } from '../errors.ts'
import type { Bucket } from './bucket.ts'
import type { Category } from './category.ts'

/** See the head of the file. */
export class TopicWatch {
  readonly #log: Log
  readonly #buckets: readonly Bucket[]
  readonly #everyMs: number
  readonly #outside: Outside
  readonly #failed: (bucket: Bucket, error: StoreError) => void
  readonly #closing: AbortSignal
  #loop: Promise<void> = Promise.resolve()

  /**
   * @param closing ends it
   * @param failed told of each bucket that is not what was opened
   */
  constructor(
    log: Log,
    buckets: readonly Bucket[],
    everyMs: number,
    outside: Outside,
    closing: AbortSignal,
    failed: (bucket: Bucket, error: StoreError) => void,
  ) {
    this.#log = log
    this.#buckets = buckets
    this.#everyMs = everyMs
    this.#outside = outside
    this.#closing = closing
    this.#failed = failed
  }

  start(): void {
    this.#loop = this.#run()
  }

  /** To be called after `closing` was aborted. */
  close(): Promise<void> {
    return this.#loop
  }

  async #run(): Promise<void> {
    while (!this.#closing.aborted) {
      await sleep(this.#outside.timers, this.#everyMs, this.#closing)
      if (this.#closing.aborted) return
      try {
        await this.#look()
      } catch (error) {
        // A log that does not answer is told by whoever reads it.
        if (!(error instanceof LogError)) throw error
      }
    }
  }

  async #look(): Promise<void> {
    const alive = this.#buckets.filter(({ failure }) => failure === null)
    const topics = [...new Set(alive.map(({ category }) => category.topic))]
    if (topics.length === 0) return
    const described = new Map((await this.#log.describeTopics(topics)).map(one => [one.name, one]))
    if (this.#closing.aborted) return
    for (const bucket of alive) {
      const { category } = bucket
      const error = problemOf(category, described.get(category.topic))
      if (error !== null) this.#failed(bucket, error)
    }
  }
}

/** Why a topic is not the one that was opened; null where it is, or nothing is known. */
function problemOf(category: Category, topic: TopicDescription | undefined): StoreError | null {
  if (topic === undefined) return null
  if (topic.topicId !== category.topicId) {
    return new StoreError(
      'LOG_REPLACED',
      `category ${category.name}: topic ${category.topic} was deleted and made again; open the store again`,
    )
  }
  const count = topic.partitions.length
  return count === category.bucketCount ? null : category.bucketsDiffer(count)
}
