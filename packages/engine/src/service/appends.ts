/**
 * The way of an append: checked, judged, numbered and entered into the open group in one synchronous
 * step, answered when the group is complete.
 *
 * What finds no room waits in a bounded queue, in order; nothing overtakes it.
 */
import {
  type AppendEntry,
  type AppendOptions,
  type AppendResult,
  baseSequenceOf,
  baseTimestampOf,
  LogError,
  maxTimestampOf,
  NO_PRODUCER_ID,
  producerEpochOf,
  producerIdOf,
  RecordBatch,
  recordCountOf,
  setLogAppendTime,
  validateBatch,
  validateRecords,
} from '@millrace/log'
import type { PartitionLog } from '../partitions/partition-log.ts'
import { ENTRY_HEADER_BYTES } from '../storage/journal-format.ts'
import type { LogStore } from '../storage/log-store.ts'
import type { TopicTable } from './topic-table.ts'

type Waiting = {
  readonly entries: readonly AppendEntry[]
  readonly bytes: number
  readonly start: () => void
  readonly fail: (error: LogError) => void
}

type Entered = { readonly results: readonly AppendResult[]; readonly group: number }

/** Appends of clients. */
export class Appends {
  readonly #store: LogStore
  readonly #topics: TopicTable
  readonly #waiting: Waiting[] = []
  #waitingBytes = 0
  /** Whether free space has fallen below the reserve. */
  diskFull = false
  batches = 0
  bytes = 0
  records = 0
  duplicates = 0
  refused = 0

  constructor(store: LogStore, topics: TopicTable) {
    this.#store = store
    this.#topics = topics
  }

  /** Bytes that wait for room. */
  get waitingBytes(): number {
    return this.#waitingBytes
  }

  append(
    entries: readonly AppendEntry[],
    options: AppendOptions = {},
  ): Promise<readonly AppendResult[]> {
    let bytes = 0
    for (const entry of entries) bytes += entry.batch.length
    const { journal } = this.#store
    const withHeaders = bytes + entries.length * ENTRY_HEADER_BYTES
    if (entries.length > 1 && withHeaders > journal.batchBytesMax) {
      return this.#split(entries, options)
    }
    // A batch that no group can hold is refused by `#problem`; it must not wait for room.
    if (bytes > journal.batchBytesMax) return this.#start(entries, options)
    // A fenced journal never has room again: the answer says why.
    if (journal.fencedBy !== undefined) return this.#start(entries, options)
    if (this.#waiting.length === 0 && journal.hasRoom(entries.length, bytes)) {
      return this.#start(entries, options)
    }
    return this.#queue(entries, bytes, options)
  }

  /** There is room again: what waits goes on, in order. */
  drain(): void {
    const fencedBy = this.#store.journal.fencedBy
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (fencedBy === undefined && !this.#store.journal.hasRoom(next.entries.length, next.bytes)) {
        return
      }
      this.#waiting.shift()
      this.#waitingBytes -= next.bytes
      if (fencedBy === undefined) next.start()
      else next.fail(new LogError('KAFKA_STORAGE_ERROR', fencedBy))
    }
  }

  /** Resolves when nothing waits for room any more. */
  async settled(): Promise<void> {
    const { journal } = this.#store
    while (this.#waiting.length > 0 && journal.fencedBy === undefined) {
      await journal.sync().catch(() => undefined) // fenced on the way: what waits has been answered
    }
  }

  /** More than one group can hold: two calls, one behind the other. */
  async #split(
    entries: readonly AppendEntry[],
    options: AppendOptions,
  ): Promise<readonly AppendResult[]> {
    const middle = entries.length >>> 1
    const halves = [entries.slice(0, middle), entries.slice(middle)]
    return (await Promise.all(halves.map(half => this.append(half, options)))).flat()
  }

  #queue(
    entries: readonly AppendEntry[],
    bytes: number,
    options: AppendOptions,
  ): Promise<readonly AppendResult[]> {
    const max = this.#store.settings['append.queue.max.bytes']
    if (this.#waitingBytes + bytes > max) {
      return Promise.reject(
        new LogError(
          'KAFKA_STORAGE_ERROR',
          `append.queue.max.bytes is ${max} and the queue is full`,
        ),
      )
    }
    this.#waitingBytes += bytes
    return new Promise((resolve, reject) => {
      this.#waiting.push({
        entries,
        bytes,
        start: () => this.#start(entries, options).then(resolve, reject),
        fail: reject,
      })
    })
  }

  #start(
    entries: readonly AppendEntry[],
    options: AppendOptions,
  ): Promise<readonly AppendResult[]> {
    const { results, group } = this.#enter(entries)
    const { journal } = this.#store
    if (options.acks === 0 || (group <= journal.completedSeq && journal.fencedBy === undefined)) {
      return Promise.resolve(results)
    }
    return new Promise(resolve => {
      journal.wait(
        group,
        error => resolve(error === null ? results : results.map(result => failed(result, error))),
        options.timeoutMs,
      )
    })
  }

  #enter(entries: readonly AppendEntry[]): Entered {
    const results: AppendResult[] = []
    let group = 0
    for (const entry of entries) {
      const partition = this.#topics.partition(entry.topic, entry.partition)
      const result = this.#enterOne(partition, entry)
      results.push(result)
      if (result.error === undefined && partition !== undefined) {
        group = Math.max(group, partition.lastGroup)
      } else this.refused += 1
    }
    return { results, group }
  }

  #enterOne(
    partition: PartitionLog | undefined,
    { topic, batch, ...at }: AppendEntry,
  ): AppendResult {
    if (partition === undefined) {
      return refusal(new LogError('UNKNOWN_TOPIC_OR_PARTITION', `${topic}-${at.partition}`))
    }
    const problem = this.#problem(partition, batch)
    if (problem !== null) return refusal(problem)
    const producerId = producerIdOf(batch)
    const recordCount = recordCountOf(batch)
    const produced = {
      producerId,
      epoch: producerEpochOf(batch),
      baseSequence: baseSequenceOf(batch),
      recordCount,
    }
    const { config, logStart } = partition
    if (producerId !== NO_PRODUCER_ID) {
      const verdict = partition.producers.judge(produced)
      if (verdict.kind === 'refused') return refusal(verdict.error)
      if (verdict.kind === 'duplicate') {
        this.duplicates += 1
        return {
          baseOffset: verdict.baseOffset,
          logAppendTime: config.timestampType === 'LogAppendTime' ? verdict.timestamp : -1,
          logStartOffset: logStart,
        }
      }
    }
    const store = this.#store
    const now = store.outside.clock.now()
    const stamped = config.timestampType === 'LogAppendTime'
    const { baseOffset, at: position } = store.enter(
      partition,
      batch,
      recordCount,
      config.durability === 'sync',
    )
    if (stamped) setLogAppendTime(store.journal.staging, position, batch.length, now)
    if (producerId !== NO_PRODUCER_ID) {
      const timestamp = stamped ? now : maxTimestampOf(batch)
      partition.producers.replay(produced, baseOffset, timestamp, now)
    }
    this.batches += 1
    this.bytes += batch.length
    this.records += recordCount
    return { baseOffset, logAppendTime: stamped ? now : -1, logStartOffset: logStart }
  }

  #problem(partition: PartitionLog, batch: Buffer): LogError | null {
    const fencedBy = this.#store.journal.fencedBy
    if (fencedBy !== undefined) return new LogError('KAFKA_STORAGE_ERROR', fencedBy)
    const { trouble, config } = partition
    const name = `${partition.topic}-${partition.partition}`
    if (trouble !== undefined) {
      return new LogError('KAFKA_STORAGE_ERROR', `${name} is ${trouble.state}: ${trouble.reason}`)
    }
    if (this.#store.waitsForRoom || this.diskFull) {
      return new LogError('KAFKA_STORAGE_ERROR', 'the disk is full: disk.reserve.bytes is not free')
    }
    if (this.#topics.get(partition.topic)?.internal === true) {
      return new LogError('INVALID_TOPIC_EXCEPTION', `${partition.topic} is internal`)
    }
    const bytesMax = Math.min(config.maxMessageBytes, this.#store.journal.batchBytesMax)
    const invalid = validateBatch(batch, 0, batch.length, { bytesMax })
    if (invalid !== null) return invalid
    if (config.compacts) {
      const opened = new RecordBatch(batch, 0, { checkCrc: false })
      const keyless = validateRecords(opened, { requireKeys: true })
      if (keyless !== null) return keyless
    }
    if (config.timestampType === 'LogAppendTime') return null
    return this.#timestampProblem(batch, config.timestampBeforeMaxMs, config.timestampAfterMaxMs)
  }

  #timestampProblem(batch: Buffer, beforeMaxMs: number, afterMaxMs: number): LogError | null {
    const now = this.#store.outside.clock.now()
    const latest = maxTimestampOf(batch)
    if (latest > now + afterMaxMs) {
      return new LogError(
        'INVALID_TIMESTAMP',
        `${latest} lies more than message.timestamp.after.max.ms=${afterMaxMs} ahead`,
      )
    }
    const first = baseTimestampOf(batch)
    if (first >= 0 && first < now - beforeMaxMs) {
      return new LogError(
        'INVALID_TIMESTAMP',
        `${first} lies more than message.timestamp.before.max.ms=${beforeMaxMs} behind`,
      )
    }
    return null
  }
}

const refusal = (error: LogError): AppendResult => ({
  error,
  baseOffset: -1,
  logAppendTime: -1,
  logStartOffset: -1,
})

const failed = (result: AppendResult, error: LogError): AppendResult =>
  result.error === undefined ? refusal(error) : result
