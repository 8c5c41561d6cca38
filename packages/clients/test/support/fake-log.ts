/**
 * A log in memory for tests: topics, appends with the sequence check of Kafka, fetches that wait,
 * offsets by time, and the classic group protocol (memory-groups.ts). Every call can be delayed and
 * can fail, as the test says: before it takes effect, or after, with the answer lost.
 */

import type {
  AppendEntry,
  AppendOptions,
  AppendResult,
  FetchPosition,
  FetchRequest,
  FetchResult,
  InitProducerRequest,
  Log,
  LogRecord,
  NewTopic,
  OffsetAnswer,
  OffsetQuery,
  ProducerIdentity,
  RecordError,
  TopicDescription,
  TopicPartition,
} from '@millrace/log'
import {
  baseSequenceOf,
  batchBytesOf,
  computeBatchCrc,
  crcOf,
  decodeBatches,
  LogError,
  type LogErrorCode,
  lastOffsetDeltaOf,
  lastOffsetOf,
  maxTimestampOf,
  producerEpochOf,
  producerIdOf,
  recordCountOf,
  setBatchPosition,
} from '@millrace/log'
import { MemoryGroups } from './memory-groups.ts'
import type { SimOutside } from './sim-outside.ts'

/** What happens to one append of one batch. */
export type AppendFault =
  | 'none'
  | 'requestLost'
  | 'answerLost'
  | 'never'
  | { readonly code: LogErrorCode }

type StoredBatch = { readonly base: number; readonly last: number; readonly bytes: Buffer }
type ProducerState = {
  epoch: number
  recent: { first: number; last: number; base: number }[]
}

class Partition {
  readonly batches: StoredBatch[] = []
  readonly producers = new Map<number, ProducerState>()
  start = 0
  end = 0
}

export class FakeLog implements Log {
  readonly id = 'memory'
  readonly groups: MemoryGroups
  readonly outside: SimOutside
  /** Called per append: what happens to it as a whole, or per entry by code. */
  faultOf: (entries: readonly AppendEntry[]) => AppendFault = () => 'none'
  codeOf: (entry: AppendEntry) => LogErrorCode | null = () => null
  /** The records that a refusal by `codeOf` names. */
  recordErrors: readonly RecordError[] = []
  fetchFault: (request: FetchRequest) => LogError | null = () => null
  latencyMs: () => number = () => 1
  appends = 0
  fetches = 0
  describes = 0
  appendsInFlight = 0
  appendsInFlightPeak = 0
  readonly topics = new Map<string, Partition[]>()
  #nextProducerId = 1000
  #waiters = new Set<() => void>()

  constructor(outside: SimOutside) {
    this.outside = outside
    this.groups = new MemoryGroups(outside)
  }

  async createTopics(topics: readonly NewTopic[]) {
    for (const { name, partitions = 1 } of topics)
      this.topics.set(
        name,
        Array.from({ length: partitions }, () => new Partition()),
      )
    return topics.map(({ name }) => ({ name }))
  }

  async describeTopics(names?: readonly string[]): Promise<readonly TopicDescription[]> {
    this.describes += 1
    await this.#latency()
    const found = names ?? [...this.topics.keys()]
    return found
      .filter(name => this.topics.has(name))
      .map(name => ({
        name,
        topicId: name,
        internal: name.startsWith('__'),
        partitions: this.#partitions(name).map((_, partition) => ({
          partition,
          leaderEpoch: 0,
          leader: 1,
          replicas: [1],
          inSyncReplicas: [1],
        })),
      }))
  }

  async deleteTopics(names: readonly string[]) {
    for (const name of names) this.topics.delete(name)
    this.#wake()
    return names.map(name => ({ name }))
  }

  async createPartitions(topics: readonly { name: string; partitions: number }[]) {
    for (const { name, partitions } of topics) {
      const known = this.#partitions(name)
      while (known.length < partitions) known.push(new Partition())
    }
    return topics.map(({ name }) => ({ name }))
  }

  async append(entries: readonly AppendEntry[], options: AppendOptions = {}) {
    this.appends += 1
    this.appendsInFlight += 1
    this.appendsInFlightPeak = Math.max(this.appendsInFlightPeak, this.appendsInFlight)
    try {
      const fault = this.faultOf(entries)
      if (fault === 'never') return await new Promise<never>(() => {})
      const applied = fault !== 'requestLost' && typeof fault === 'string'
      const results = applied ? entries.map(entry => this.#append(entry)) : []
      if (applied) this.#wake()
      await this.#latency()
      if (typeof fault !== 'string')
        return entries.map(() => failedAppend(new LogError(fault.code, 'injected')))
      if (fault === 'requestLost' || fault === 'answerLost')
        throw new LogError('NETWORK_EXCEPTION', fault)
      return options.acks === 0 ? results.map(result => ({ ...result, baseOffset: -1 })) : results
    } finally {
      this.appendsInFlight -= 1
    }
  }

  async fetch(request: FetchRequest): Promise<readonly FetchResult[]> {
    this.fetches += 1
    const fault = this.fetchFault(request)
    await this.#latency()
    if (fault !== null) throw fault
    const deadline = this.outside.clock.monotonic() + request.maxWaitMs
    for (;;) {
      const results = this.#read(request)
      const bytes = results.reduce((sum, { records }) => sum + records.length, 0)
      const enough = bytes >= request.minBytes || results.some(({ error }) => error !== undefined)
      const left = deadline - this.outside.clock.monotonic()
      if (enough || left <= 0 || request.signal?.aborted) return results
      await new Promise<void>(resolve => {
        const end = () => {
          timer.cancel()
          this.#waiters.delete(end)
          request.signal?.removeEventListener('abort', end)
          resolve()
        }
        const timer = this.outside.timers.after(left, end)
        this.#waiters.add(end)
        request.signal?.addEventListener('abort', end)
      })
    }
  }

  async listOffsets(queries: readonly OffsetQuery[]): Promise<readonly OffsetAnswer[]> {
    await this.#latency()
    return queries.map(({ topic, partition, place }) => {
      const answer = { topic, partition, timestamp: -1, leaderEpoch: 0 }
      const found = this.topics.get(topic)?.[partition]
      if (found === undefined)
        return { ...answer, offset: -1, error: new LogError('UNKNOWN_TOPIC_OR_PARTITION') }
      if (place === 'earliest') return { ...answer, offset: found.start }
      if (place === 'latest') return { ...answer, offset: found.end }
      if (place === 'maxTimestamp') throw new Error('not asked for by clients under test')
      const batch = found.batches.find(({ bytes }) => maxTimestampOf(bytes) >= place)
      return { ...answer, offset: batch?.base ?? -1 }
    })
  }

  async deleteRecords(targets: readonly (TopicPartition & { offset: number })[]) {
    return targets.map(({ topic, partition, offset }) => {
      const found = this.#partitions(topic)[partition]
      if (found === undefined) throw new Error('no such partition')
      found.start = offset < 0 ? found.end : offset
      return { topic, partition, lowWatermark: found.start }
    })
  }

  async initProducer(request: InitProducerRequest): Promise<ProducerIdentity> {
    await this.#latency()
    const { current } = request
    if (current) return { ...current, producerEpoch: current.producerEpoch + 1 }
    return { producerId: this.#nextProducerId++, producerEpoch: 0 }
  }

  async describeConfig() {
    return []
  }

  async alterConfig() {}

  async describeSizes() {
    return []
  }

  async close() {}

  async [Symbol.asyncDispose]() {}

  /** Everything that is stored in a partition. */
  records(topic: string, partition: number): LogRecord[] {
    const found = this.#partitions(topic)[partition]
    return (found?.batches ?? []).flatMap(({ bytes }) =>
      [...decodeBatches(bytes)].flatMap(batch => [...batch.records()]),
    )
  }

  batchCount(topic: string): number {
    return this.#partitions(topic).reduce((sum, { batches }) => sum + batches.length, 0)
  }

  /** Forgets what is known of producers, as a log does after a long time. */
  forgetProducers(): void {
    for (const partitions of this.topics.values())
      for (const partition of partitions) partition.producers.clear()
  }

  #partitions(topic: string): Partition[] {
    const found = this.topics.get(topic)
    if (found === undefined) throw new Error(`no topic ${topic}`)
    return found
  }

  async #latency(): Promise<void> {
    await this.outside.sleep(this.latencyMs())
  }

  #wake(): void {
    for (const waiter of [...this.#waiters]) waiter()
  }

  #append(entry: AppendEntry): AppendResult {
    const code = this.codeOf(entry)
    if (code !== null) {
      const refused = failedAppend(new LogError(code, 'injected'))
      return { ...refused, recordErrors: this.recordErrors }
    }
    const partition = this.topics.get(entry.topic)?.[entry.partition]
    if (partition === undefined) return failedAppend(new LogError('UNKNOWN_TOPIC_OR_PARTITION'))
    const { batch } = entry
    if (
      batchBytesOf(batch) !== batch.length ||
      computeBatchCrc(batch, 0, batch.length) !== crcOf(batch)
    )
      return failedAppend(new LogError('CORRUPT_MESSAGE'))
    const checked = checkSequence(partition, batch)
    if (checked instanceof LogError) return failedAppend(checked)
    if (checked !== null) return stored(checked, partition)
    const base = partition.end
    const bytes = Buffer.from(batch)
    setBatchPosition(bytes, 0, base, 0)
    // As the port allows: the bytes of the caller carry the place, too.
    setBatchPosition(batch, 0, base, 0)
    partition.end = base + lastOffsetDeltaOf(bytes) + 1
    partition.batches.push({ base, last: lastOffsetOf(bytes), bytes })
    return stored(base, partition)
  }

  #read(request: FetchRequest): FetchResult[] {
    let room = request.maxBytes
    return request.positions.map(position => {
      const result = this.#readOne(
        position,
        Math.min(room, position.maxBytes),
        request.maxBytes === room,
      )
      room = Math.max(0, room - result.records.length)
      return result
    })
  }

  #readOne(position: FetchPosition, maxBytes: number, first: boolean): FetchResult {
    const { topic, partition, offset } = position
    const found = this.topics.get(topic)?.[partition]
    const empty = Buffer.alloc(0)
    const nothing = { topic, partition, records: empty, abortedTransactions: [] }
    if (found === undefined)
      return {
        ...nothing,
        highWatermark: -1,
        lastStableOffset: -1,
        logStartOffset: -1,
        error: new LogError('UNKNOWN_TOPIC_OR_PARTITION'),
      }
    const marks = {
      highWatermark: found.end,
      lastStableOffset: found.end,
      logStartOffset: found.start,
    }
    if (offset < found.start || offset > found.end)
      return { ...nothing, ...marks, error: new LogError('OFFSET_OUT_OF_RANGE') }
    const parts: Buffer[] = []
    let bytes = 0
    for (const batch of found.batches) {
      if (batch.last < offset) continue
      const forced = first && bytes === 0
      if (!forced && bytes + batch.bytes.length > maxBytes) break
      parts.push(batch.bytes)
      bytes += batch.bytes.length
    }
    return { ...nothing, ...marks, records: Buffer.concat(parts) }
  }
}

/** The base offset of the first copy, null for a new batch, or why it is refused. */
function checkSequence(partition: Partition, batch: Buffer): number | null | LogError {
  const producerId = producerIdOf(batch)
  if (producerId < 0) return null
  const epoch = producerEpochOf(batch)
  const first = baseSequenceOf(batch)
  const last = first + recordCountOf(batch) - 1
  const known = partition.producers.get(producerId)
  const entry = { first, last, base: partition.end }
  if (known === undefined) {
    partition.producers.set(producerId, { epoch, recent: [entry] })
    return null
  }
  if (epoch < known.epoch) return new LogError('INVALID_PRODUCER_EPOCH')
  if (epoch > known.epoch) {
    if (first !== 0) return new LogError('OUT_OF_ORDER_SEQUENCE_NUMBER', 'new epoch')
    known.epoch = epoch
    known.recent = [entry]
    return null
  }
  const copy = known.recent.find(other => other.first === first && other.last === last)
  if (copy !== undefined) return copy.base
  if (first !== (known.recent.at(-1)?.last ?? -1) + 1)
    return new LogError(
      'OUT_OF_ORDER_SEQUENCE_NUMBER',
      `${first} after ${known.recent.at(-1)?.last}`,
    )
  known.recent = [...known.recent, entry].slice(-5)
  return null
}

const stored = (baseOffset: number, partition: Partition): AppendResult => ({
  baseOffset,
  logAppendTime: -1,
  logStartOffset: partition.start,
})

const failedAppend = (error: LogError): AppendResult => ({
  error,
  baseOffset: -1,
  logAppendTime: -1,
  logStartOffset: -1,
})
