/**
 * The producer: takes records, batches them by partition, stores them in order, once each.
 *
 * Two ways in, one way through:
 *
 *     send(topic, record): Promise      for applications: waits for room by itself
 *     offer(topic, record): boolean     for pumps: no promise per record; false: not taken,
 *                                       `await ready(topic)` and offer it again
 *
 * A record is encoded into the open batch of its partition at once, so what waits is bytes, not
 * objects. From being taken to being answered it counts against `bufferBytesMax`; beyond it `offer`
 * refuses and `send` waits, first come first served. Whoever offers without a callback learns of
 * failures from `flush`, which throws the first one, and from `onFailure`.
 *
 * Idempotent by default: the log tells a retry from a new batch by producer id, epoch and sequence
 * (KIP-98), so an answer that was lost makes no second copy. Order in a partition is the order of
 * the calls, over retries too.
 */

import { backoffMs, sleep } from '@millrace/base'
import type { Log, NewRecord, Offset, Timestamp } from '@millrace/log'
import { asLogError, LogError, recordBytesMax } from '@millrace/log'
import { answerWithin } from '../answer.ts'
import type { Delivery, PendingBatch } from './lane.ts'
import {
  type ProducerOptions,
  type ResolvedProducerOptions,
  resolveProducerOptions,
} from './options.ts'
import { Sender } from './sender.ts'
import { type ProducerRecord, ProducerTopic, type WaitingSend } from './topic.ts'

/** Share of the buffer bound that must be free before `ready` says so. */
const READY_FREE_SHARE = 0.25
const TOPIC_NAME_LENGTH_MAX = 249

/** Where a record is stored. */
export type RecordMetadata = {
  readonly topic: string
  readonly partition: number
  /** -1 with acks 0, and where the log no longer remembered the offset of a repeated batch. */
  readonly offset: Offset
  /** Time of the append on topics with LogAppendTime, else the record's own. */
  readonly timestamp: Timestamp
}

/** Writes records to a log. See the head of the file. */
export interface Producer extends AsyncDisposable {
  /** Sends a record; resolves when it is stored as `acks` asks for. Rejects with a LogError. */
  send(topic: string, record: ProducerRecord): Promise<RecordMetadata>
  /** Sends records in order; resolves when all are stored, rejects with the first failure. */
  sendBatch(topic: string, records: readonly ProducerRecord[]): Promise<readonly RecordMetadata[]>
  /**
   * Takes a record without a promise. False: not taken, because the buffer is full, a `send` waits
   * before it, or the topic is not known yet; await `ready(topic)` and offer it again.
   *
   * @param delivery called once when the record is stored or given up; must not throw
   * @throws LogError MESSAGE_TOO_LARGE, UNKNOWN_TOPIC_OR_PARTITION (bad partition), LOG_CLOSED
   */
  offer(topic: string, record: ProducerRecord, delivery?: Delivery): boolean
  /** Resolves when `offer` is likely to take records of this topic. Bounded by `blockMsMax`. */
  ready(topic: string): Promise<void>
  /**
   * Sends what was taken before this call without delay; resolves when it is answered. Throws the
   * first failure, since the last flush, of a record that was offered without a callback.
   */
  flush(): Promise<void>
  /** Flushes and ends; records that come later are refused with LOG_CLOSED. */
  close(): Promise<void>
}

type ReadyWaiter = {
  readonly topic: ProducerTopic
  readonly deadline: number
  readonly settle: (error: LogError | null) => void
}

type Flusher = { readonly sendId: number; lastBatchId: number | null; readonly done: () => void }

/** Makes a producer on a log. Throws RangeError on bad options. Does nothing until first used. */
export function createProducer(log: Log, options: ProducerOptions = {}): Producer {
  return new BatchingProducer(log, resolveProducerOptions(options))
}

class BatchingProducer implements Producer {
  #log: Log
  #options: ResolvedProducerOptions
  #sender: Sender
  #topics = new Map<string, ProducerTopic>()
  #readyWaiters: ReadyWaiter[] = []
  #waitingSends = 0
  #bufferedBytes = 0
  #nextBatchId = 0
  #nextSendId = 0
  /** Ids of batches that are begun and not settled, in rising order. */
  #unsettled = new Set<number>()
  #flushers: Flusher[] = []
  #failure: LogError | null = null
  /** Why the last question to the log was not answered. */
  #trouble: LogError | null = null
  #started: boolean
  #starting = false
  #closing: Promise<void> | null = null
  #stopping = new AbortController()

  constructor(log: Log, options: ResolvedProducerOptions) {
    this.#log = log
    this.#options = options
    this.#started = !options.idempotent
    this.#sender = new Sender(log, options, {
      settled: (batch, error) => this.#settled(batch, error),
      stale: topic => this.#refresh(topic),
      wakeAt: () => this.#nextDeadline(),
      woken: () => this.#admit(),
    })
  }

  send(topicName: string, record: ProducerRecord): Promise<RecordMetadata> {
    return new Promise((resolve, reject) => {
      const topic = this.#topic(topicName)
      const at = this.#options.outside.clock.now()
      const delivery: Delivery = (error, offset, appendTime, partition) => {
        if (error !== null) return reject(error)
        const timestamp = appendTime >= 0 ? appendTime : (record.timestamp ?? at)
        resolve({ topic: topicName, partition, offset, timestamp })
      }
      this.#enqueue(topic, [record], at, () => delivery, reject)
    })
  }

  sendBatch(
    topicName: string,
    records: readonly ProducerRecord[],
  ): Promise<readonly RecordMetadata[]> {
    return new Promise((resolve, reject) => {
      const answers: RecordMetadata[] = new Array(records.length)
      let missing = records.length
      if (missing === 0) return resolve(answers)
      const topic = this.#topic(topicName)
      const at = this.#options.outside.clock.now()
      const deliveryOf = (index: number): Delivery => {
        return (error, offset, appendTime, partition) => {
          if (error !== null) return reject(error)
          const timestamp = appendTime >= 0 ? appendTime : (records[index]?.timestamp ?? at)
          answers[index] = { topic: topicName, partition, offset, timestamp }
          missing -= 1
          if (missing === 0) resolve(answers)
        }
      }
      this.#enqueue(topic, records, at, deliveryOf, reject)
    })
  }

  offer(topicName: string, record: ProducerRecord, delivery?: Delivery): boolean {
    const topic = this.#topic(topicName)
    if (topic.waiting.length > 0) return false
    return this.#take(topic, record, this.#options.outside.clock.now(), delivery)
  }

  ready(topicName: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const topic = this.#topic(topicName)
      if (this.#isReady(topic)) return resolve()
      this.#checkWaiters()
      this.#readyWaiters.push({
        topic,
        deadline: this.#options.outside.clock.monotonic() + this.#options.blockMsMax,
        settle: error => (error === null ? resolve() : reject(error)),
      })
      this.#prepare(topic)
      this.#sender.plan()
    })
  }

  async flush(): Promise<void> {
    await new Promise<void>(done => {
      this.#flushers.push({ sendId: this.#nextSendId - 1, lastBatchId: null, done })
      this.#checkFlushers()
    })
    const failure = this.#failure
    this.#failure = null
    if (failure !== null) throw failure
  }

  close(): Promise<void> {
    this.#closing ??= this.flush().finally(() => {
      const closed = new LogError('LOG_CLOSED', 'the producer has been closed')
      this.#stopping.abort()
      for (const waiter of this.#readyWaiters.splice(0)) waiter.settle(closed)
      this.#sender.stop(closed)
    })
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #topic(name: string): ProducerTopic {
    if (this.#closing !== null) throw new LogError('LOG_CLOSED', 'the producer has been closed')
    const known = this.#topics.get(name)
    if (known !== undefined) return known
    if (name.length === 0 || name.length > TOPIC_NAME_LENGTH_MAX)
      throw new LogError('INVALID_TOPIC_EXCEPTION', JSON.stringify(name.slice(0, 300)))
    if (this.#topics.size >= this.#options.topicsMax)
      throw new LogError('THROTTLING_QUOTA_EXCEEDED', `topicsMax ${this.#options.topicsMax}`)
    const topic = new ProducerTopic(name, this.#options)
    this.#topics.set(name, topic)
    return topic
  }

  /** Takes a record into its open batch, if there is room and the topic is known. */
  #take(
    topic: ProducerTopic,
    record: ProducerRecord,
    timestamp: Timestamp,
    delivery: Delivery | undefined,
  ): boolean {
    const { batchBytesMax, bufferBytesMax, metadataMaxAgeMs } = this.#options
    const bytes = recordBytesMax(record)
    if (bytes > this.#options.recordBytesMax) this.#checkSize(record)
    if (!this.#started || topic.partitionCount === 0) return false
    if (this.#bufferedBytes > 0 && this.#bufferedBytes + bytes > bufferBytesMax) return false
    const now = this.#options.outside.clock.monotonic()
    if (now - topic.refreshedAt > metadataMaxAgeMs) this.#prepare(topic)
    const lane = topic.laneOf(record, bytes)
    if (lane.openBytes > 0 && lane.openBytes + bytes > batchBytesMax) this.#sender.close(lane)
    const opens = lane.openedAt === null
    const opened = { id: this.#nextBatchId, at: now }
    this.#bufferedBytes += lane.append(record, timestamp, opened, delivery)
    if (opens) {
      this.#unsettled.add(this.#nextBatchId)
      this.#nextBatchId += 1
      this.#sender.wake(lane)
    }
    if (lane.openBytes >= batchBytesMax) this.#sender.close(lane)
    return true
  }

  /** The cheap bound counts text at three bytes a unit; this counts what it takes. */
  #checkSize(record: NewRecord): void {
    let bytes = sizeOf(record.key) + sizeOf(record.value)
    for (const { key, value } of record.headers ?? []) bytes += sizeOf(key) + sizeOf(value)
    const limit = this.#options.recordBytesMax
    if (bytes > limit)
      throw new LogError('MESSAGE_TOO_LARGE', `a record of ${bytes} bytes, recordBytesMax ${limit}`)
  }

  #enqueue(
    topic: ProducerTopic,
    records: readonly ProducerRecord[],
    timestamp: Timestamp,
    deliveryOf: (index: number) => Delivery,
    reject: (error: LogError) => void,
  ): void {
    const send: WaitingSend = {
      id: this.#nextSendId,
      records,
      timestamp,
      deliveryOf,
      deadline: this.#options.outside.clock.monotonic() + this.#options.blockMsMax,
      refuse: reject,
      next: 0,
    }
    this.#nextSendId += 1
    if (topic.waiting.length === 0 && this.#advance(topic, send)) return
    this.#checkWaiters()
    topic.waiting.push(send)
    this.#waitingSends += 1
    this.#prepare(topic)
    this.#sender.plan()
  }

  /** Takes as many records of a send as fit; true when it is done with, taken or refused. */
  #advance(topic: ProducerTopic, send: WaitingSend): boolean {
    try {
      while (send.next < send.records.length) {
        const record = send.records[send.next]
        if (record === undefined) break
        if (!this.#take(topic, record, send.timestamp, send.deliveryOf(send.next))) return false
        send.next += 1
      }
    } catch (error) {
      send.refuse(asLogError(error))
    }
    return true
  }

  /** Lets in what waits, as far as there is room; refuses what waited too long. */
  #admit(): void {
    const now = this.#options.outside.clock.monotonic()
    if (this.#waitingSends > 0)
      for (const topic of this.#topics.values()) this.#admitTopic(topic, now)
    for (const waiter of [...this.#readyWaiters]) {
      const late = now >= waiter.deadline
      if (!late && !this.#isReady(waiter.topic)) continue
      this.#readyWaiters.splice(this.#readyWaiters.indexOf(waiter), 1)
      waiter.settle(late ? this.#waitedInVain(waiter.topic) : null)
    }
    this.#checkFlushers()
  }

  #admitTopic(topic: ProducerTopic, now: number): void {
    for (let send = topic.waiting[0]; send !== undefined; send = topic.waiting[0]) {
      if (now >= send.deadline) send.refuse(this.#waitedInVain(topic))
      else if (!this.#advance(topic, send)) return
      topic.waiting.shift()
      this.#waitingSends -= 1
    }
  }

  #waitedInVain(topic: ProducerTopic): LogError {
    const { blockMsMax, bufferBytesMax } = this.#options
    const because = this.#trouble === null ? '' : ` (${this.#trouble.message})`
    const waited = `in blockMsMax ${blockMsMax} ms${because}`
    if (!this.#started)
      return new LogError('REQUEST_TIMED_OUT', `no producer id ${waited}`, this.#trouble)
    if (topic.partitionCount === 0)
      return new LogError('UNKNOWN_TOPIC_OR_PARTITION', `${topic.name}, ${waited}`, this.#trouble)
    return new LogError(
      'THROTTLING_QUOTA_EXCEEDED',
      `no room in bufferBytesMax ${bufferBytesMax} for blockMsMax ${blockMsMax} ms`,
    )
  }

  #checkWaiters(): void {
    if (this.#waitingSends + this.#readyWaiters.length >= this.#options.waitersMax)
      throw new LogError('THROTTLING_QUOTA_EXCEEDED', `waitersMax ${this.#options.waitersMax}`)
  }

  #isReady(topic: ProducerTopic): boolean {
    if (!this.#started || topic.partitionCount === 0 || topic.waiting.length > 0) return false
    return this.#bufferedBytes <= this.#options.bufferBytesMax * (1 - READY_FREE_SHARE)
  }

  #nextDeadline(): number {
    let at = Number.POSITIVE_INFINITY
    for (const { deadline } of this.#readyWaiters) at = Math.min(at, deadline)
    if (this.#waitingSends > 0)
      for (const { waiting } of this.#topics.values())
        at = Math.min(at, waiting[0]?.deadline ?? Number.POSITIVE_INFINITY)
    return at
  }

  #settled(batch: PendingBatch, error: LogError | null): void {
    this.#bufferedBytes -= batch.bufferedBytes
    this.#unsettled.delete(batch.id)
    if (error !== null) {
      if (batch.deliveries.length < batch.recordCount) this.#failure ??= error
      const { topic, partition } = batch.lane
      this.#options.onFailure?.({ topic, partition, error, recordCount: batch.recordCount })
    }
    if (this.#flushers.length > 0) this.#checkFlushers()
  }

  #checkFlushers(): void {
    if (this.#flushers.length === 0) return
    const [oldest] = this.#unsettled
    this.#flushers = this.#flushers.filter(flusher => {
      if (flusher.lastBatchId === null) {
        for (const { waiting } of this.#topics.values())
          if ((waiting[0]?.id ?? Number.POSITIVE_INFINITY) <= flusher.sendId) return true
        flusher.lastBatchId = this.#nextBatchId - 1
        this.#sender.hurry(flusher.lastBatchId)
      }
      if (oldest !== undefined && oldest <= flusher.lastBatchId) return true
      flusher.done()
      return false
    })
  }

  #refresh(name: string): void {
    const topic = this.#topics.get(name)
    if (topic !== undefined) this.#prepare(topic)
  }

  /** Fetches what is missing before records of a topic can be taken: producer id, partitions. */
  #prepare(topic: ProducerTopic): void {
    if (!this.#started && !this.#starting) {
      this.#starting = true
      this.#obtain('a producer id', async () => {
        this.#sender.start(await this.#log.initProducer({ transactionalId: null }))
        this.#started = true
        return true
      }).then(error => {
        this.#starting = false
        if (error !== null)
          for (const each of this.#topics.values()) this.#refuseWaiting(each, error)
        this.#sender.plan()
      })
    }
    if (topic.loading) return
    topic.loading = true
    this.#obtain(topic.name, () => this.#load(topic)).then(error => {
      topic.loading = false
      topic.refreshedAt = this.#options.outside.clock.monotonic()
      if (error !== null && topic.partitionCount === 0) this.#refuseWaiting(topic, error)
      this.#sender.plan()
    })
  }

  async #load(topic: ProducerTopic): Promise<boolean> {
    const [found] = await this.#log.describeTopics([topic.name])
    if (found !== undefined) topic.partitionCount = found.partitions.length
    return topic.partitionCount > 0
  }

  /** Tries until it succeeds or fails for good; at most as long as anybody waits for it. */
  async #obtain(what: string, attempt: () => Promise<boolean>): Promise<LogError | null> {
    const { outside, backoff, blockMsMax } = this.#options
    const deadline = outside.clock.monotonic() + blockMsMax
    for (let failures = 1; ; failures += 1) {
      try {
        const ms = this.#options.requestTimeoutMs
        if (await answerWithin(outside.timers, ms, what, attempt)) return null
      } catch (error) {
        this.#trouble = asLogError(error)
        if (!this.#trouble.retriable) return this.#trouble
      }
      if (this.#stopping.signal.aborted) return new LogError('LOG_CLOSED', what)
      if (outside.clock.monotonic() >= deadline)
        return new LogError('REQUEST_TIMED_OUT', `${what}: not in ${blockMsMax} ms`, this.#trouble)
      const wait = backoffMs(backoff, failures, outside.random)
      await sleep(outside.timers, wait, this.#stopping.signal)
    }
  }

  #refuseWaiting(topic: ProducerTopic, error: LogError): void {
    this.#waitingSends -= topic.waiting.length
    for (const send of topic.waiting.splice(0)) send.refuse(error)
    for (const waiter of this.#readyWaiters.filter(each => each.topic === topic)) {
      this.#readyWaiters.splice(this.#readyWaiters.indexOf(waiter), 1)
      waiter.settle(error)
    }
  }
}

const sizeOf = (data: Buffer | string | null | undefined): number =>
  data === null || data === undefined ? 0 : Buffer.byteLength(data)
