/**
 * The way of an append: judged, numbered and entered into the open group, answered when the group is
 * complete. From the judgement on that is one synchronous step, except for batches that take
 * long to look at, compressed ones above all: they wait for their verdict in the lines of their partitions, and what comes
 * behind them for the same partitions waits with them.
 *
 * What finds no room in the journal waits in a queue, in order; nothing overtakes it. Both ways of
 * waiting are bounded by the same number of bytes.
 */
import {
  type AppendEntry,
  type AppendOptions,
  type AppendResult,
  baseSequenceOf,
  LogError,
  maxTimestampOf,
  NO_PRODUCER_ID,
  producerEpochOf,
  producerIdOf,
  type RecordError,
  recordCountOf,
  setLogAppendTime,
  setMaxTimestamp,
  type Verdict,
} from '@millrace/log'
import type { PartitionLog } from '../partitions/partition-log.ts'
import type { ProducedBatch } from '../partitions/producer-ledger.ts'
import { ENTRY_HEADER_BYTES } from '../storage/journal-format.ts'
import type { LogStore } from '../storage/log-store.ts'
import { AppendLines } from './append-lines.ts'
import { BatchDoor, type LateVerdict, mayTakeLong } from './batch-door.ts'
import type { TopicTable } from './topic-table.ts'

/** One call. */
type Asked = {
  readonly entries: readonly AppendEntry[]
  readonly bytes: number
  readonly options: AppendOptions
  /**
   * What the names stood for when it had to wait: another topic may have the name when it enters.
   * Absent while it has not waited.
   */
  readonly partitions?: readonly (PartitionLog | undefined)[]
}

type Waiting = {
  readonly asked: Asked
  readonly start: () => void
  readonly fail: (error: LogError) => void
}

/** Verdicts by the place of the entry; undefined for what is judged as it enters. */
type Verdicts = readonly (Verdict | undefined)[]

const NONE_JUDGED: Verdicts = []

type Entered = { readonly results: readonly AppendResult[]; readonly group: number }

/** Appends of clients. */
export class Appends {
  readonly #store: LogStore
  readonly #machinesGroup: () => number
  readonly #topics: TopicTable
  readonly #door: BatchDoor
  readonly #lines = new AppendLines()
  readonly #waiting: Waiting[] = []
  #waitingBytes = 0
  /** Why nothing is taken, where free space has fallen below the reserve. */
  diskFull: string | undefined
  batches = 0
  bytes = 0
  records = 0
  duplicates = 0
  refused = 0

  /** @param machinesGroup the last group that changed a machine: refusals may rest on it */
  constructor(store: LogStore, topics: TopicTable, machinesGroup: () => number) {
    this.#machinesGroup = machinesGroup
    this.#store = store
    this.#topics = topics
    const { settings, outside } = store
    this.#door = new BatchDoor(settings, outside, () => store.journal.batchBytesMax)
  }

  /** Batches that took more than one turn of the main thread to judge. */
  get slicedBatches(): number {
    return this.#door.slicedBatches
  }

  /** Bytes that wait for a verdict or for room. */
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
    if (this.#lines.isEmpty && !entries.some(({ batch }) => mayTakeLong(batch))) {
      return this.#admit({ entries, bytes, options }, NONE_JUDGED)
    }
    const verdicts = entries.map(entry => this.#open(entry))
    const lines = new Set(entries.map(({ topic, partition }) => lineOf(topic, partition)))
    if (verdicts.every(isSettled) && !this.#lines.holds(lines)) {
      return this.#admit({ entries, bytes, options }, verdicts)
    }
    return this.#hold({ entries, bytes, options }, lines, verdicts)
  }

  /** The verdict on a batch that may take long; undefined for one that is judged as it enters. */
  #open({ topic, partition, batch }: AppendEntry): Verdict | LateVerdict | undefined {
    if (!mayTakeLong(batch)) return undefined
    const config = this.#topics.partition(topic, partition)?.config
    if (config !== undefined) return this.#door.open(config, batch, lineOf(topic, partition))
    return { error: unknownPartition(topic, partition), maxTimestamp: -1, decompressedBytes: 0 }
  }

  /** Waits for verdicts, and for those who came before for the same partitions. */
  #hold(
    asked: Asked,
    lines: ReadonlySet<string>,
    verdicts: readonly (Verdict | LateVerdict | undefined)[],
  ): Promise<readonly AppendResult[]> {
    const { bytes } = asked
    const full = this.#queueProblem(bytes)
    if (full !== null) return Promise.reject(full)
    this.#waitingBytes += bytes
    const all = Promise.all(verdicts.map(each => (typeof each === 'function' ? each() : each)))
    const held = this.#waits(asked)
    return this.#lines.add(lines, all, judged => {
      this.#waitingBytes -= bytes
      return this.#admit(held, judged)
    })
  }

  /** Enters what has been judged, or lets it wait for room. */
  #admit(asked: Asked, verdicts: Verdicts): Promise<readonly AppendResult[]> {
    const { journal } = this.#store
    const { entries, bytes } = asked
    // A batch that no group can hold is refused as it enters; it must not wait for room.
    if (bytes > journal.batchBytesMax) return this.#start(asked, verdicts)
    // A fenced journal never has room again: the answer says why.
    if (journal.fencedBy !== undefined) return this.#start(asked, verdicts)
    // Nor does one for which the disk has no room, for now: it is refused at once, retriably.
    if (this.#isShort) return this.#start(asked, verdicts)
    const mayGoOn = this.#waiting.length === 0 && !this.#store.relieving
    if (mayGoOn && journal.hasRoom(entries.length, bytes)) {
      return this.#start(asked, verdicts)
    }
    return this.#queue(asked, verdicts)
  }

  /** There is room again: what waits goes on, in order. */
  drain(): void {
    const fencedBy = this.#store.journal.fencedBy
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (fencedBy === undefined && this.#store.relieving) return
      const { entries, bytes } = next.asked
      const waits = fencedBy === undefined && !this.#isShort
      if (waits && !this.#store.journal.hasRoom(entries.length, bytes)) return
      this.#waiting.shift()
      this.#waitingBytes -= bytes
      if (fencedBy === undefined) next.start()
      else next.fail(new LogError('KAFKA_STORAGE_ERROR', fencedBy))
    }
  }

  /** Whether something has run out, and nobody is making room of it at this moment. */
  get #isShort(): boolean {
    return this.#store.lacks !== undefined && !this.#store.relieving
  }

  /** Resolves when nothing waits any more, neither for a verdict nor for room. */
  async settled(): Promise<void> {
    const { journal } = this.#store
    await this.#lines.idle()
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
    // Both are done with before this is answered: the batches are the caller's again then.
    const settled = await Promise.allSettled(halves.map(half => this.append(half, options)))
    return settled.flatMap(half => {
      if (half.status === 'rejected') throw half.reason
      return half.value
    })
  }

  #queue(asked: Asked, verdicts: Verdicts): Promise<readonly AppendResult[]> {
    const { bytes } = asked
    const full = this.#queueProblem(bytes)
    if (full !== null) return Promise.reject(full)
    this.#waitingBytes += bytes
    const queued = this.#waits(asked)
    return new Promise((resolve, reject) => {
      const start = (): void => {
        // Whoever makes room is not told of it: the caller is.
        try {
          resolve(this.#start(queued, verdicts))
        } catch (cause) {
          reject(cause)
        }
      }
      this.#waiting.push({ asked: queued, start, fail: reject })
    })
  }

  #waits(asked: Asked): Asked {
    if (asked.partitions !== undefined) return asked
    const partitions = asked.entries.map(each => this.#topics.partition(each.topic, each.partition))
    return { ...asked, partitions }
  }

  #queueProblem(bytes: number): LogError | null {
    const max = this.#store.settings['append.queue.max.bytes']
    if (this.#waitingBytes + bytes <= max) return null
    return new LogError(
      'KAFKA_STORAGE_ERROR',
      `append.queue.max.bytes is ${max} and the queue is full`,
    )
  }

  #start(asked: Asked, verdicts: Verdicts): Promise<readonly AppendResult[]> {
    const { results, group } = this.#enter(asked, verdicts)
    const { journal } = this.#store
    const { options } = asked
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

  #enter({ entries, partitions }: Asked, verdicts: Verdicts): Entered {
    const results: AppendResult[] = []
    let group = 0
    for (const entry of entries) {
      const named = this.#topics.partition(entry.topic, entry.partition)
      const meant = partitions === undefined ? named : partitions[results.length]
      const partition = named === meant ? named : undefined
      const result = this.#topics.isAnother(entry.topic, entry.topicId)
        ? refusal(new LogError('UNKNOWN_TOPIC_ID', `${entry.topic} has not id ${entry.topicId}`))
        : this.#enterOne(partition, entry, verdicts[results.length])
      results.push(result)
      if (result.error !== undefined) this.refused += 1
      // It rests on the disk, whose answer nobody can wait for.
      if (result.error?.code === 'KAFKA_STORAGE_ERROR') continue
      // Refusals and repetitions rest on what is there already: on batches before, on topics.
      const rests = result.error === undefined ? 0 : this.#machinesGroup()
      group = Math.max(group, partition?.lastGroup ?? 0, rests)
    }
    return { results, group }
  }

  #enterOne(
    partition: PartitionLog | undefined,
    { topic, partition: number, batch }: AppendEntry,
    judged: Verdict | undefined,
  ): AppendResult {
    if (partition === undefined) return refusal(unknownPartition(topic, number))
    const problem = this.#problem(partition)
    if (problem !== null) return refusal(problem)
    const { error, recordErrors, maxTimestamp } =
      judged ?? this.#door.judge(partition.config, batch)
    if (error !== undefined) return refusal(error, recordErrors)
    const recordCount = recordCountOf(batch)
    const { config, logStart } = partition
    const produced = producerIdOf(batch) === NO_PRODUCER_ID ? undefined : producedOf(batch)
    if (produced !== undefined) {
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
    if (!Number.isSafeInteger(partition.nextOffset + recordCount)) {
      return refusal(new LogError('INVALID_RECORD', `${topic}-${number} has no offsets left`))
    }
    const store = this.#store
    const stamped = config.timestampType === 'LogAppendTime'
    const now = stamped || produced !== undefined ? store.outside.clock.now() : -1
    const { baseOffset, at: position } = store.enter(partition, batch, recordCount, {
      needsSync: config.durability === 'sync',
      // What waited for its verdict was the caller's meanwhile, who may have changed it, and shared
      // memory always is.
      isSummed: judged === undefined && !(batch.buffer instanceof SharedArrayBuffer),
    })
    const { staging } = store.journal
    if (stamped) setLogAppendTime(staging, position, batch.length, now)
    // As Kafka does: some clients leave it empty, or write the first record's time into it.
    else if (maxTimestampOf(batch) !== maxTimestamp) {
      setMaxTimestamp(staging, position, batch.length, maxTimestamp)
    }
    if (produced !== undefined) {
      const timestamp = stamped ? now : maxTimestamp
      partition.producers.replay(produced, baseOffset, timestamp, now)
    }
    this.batches += 1
    this.bytes += batch.length
    this.records += recordCount
    return { baseOffset, logAppendTime: stamped ? now : -1, logStartOffset: logStart }
  }

  #problem(partition: PartitionLog): LogError | null {
    const fencedBy = this.#store.journal.fencedBy
    if (fencedBy !== undefined) return new LogError('KAFKA_STORAGE_ERROR', fencedBy)
    const { trouble } = partition
    const name = `${partition.topic}-${partition.partition}`
    if (trouble !== undefined) {
      return new LogError('KAFKA_STORAGE_ERROR', `${name} is ${trouble.state}: ${trouble.reason}`)
    }
    const { lacks, relieving } = this.#store
    if (this.diskFull !== undefined) {
      return new LogError('KAFKA_STORAGE_ERROR', `the disk is full: ${this.diskFull}`)
    }
    if (lacks !== undefined && !relieving) {
      return new LogError('KAFKA_STORAGE_ERROR', `appends are refused for now: ${lacks.message}`)
    }
    if (this.#topics.get(partition.topic)?.internal === true) {
      return new LogError('INVALID_TOPIC_EXCEPTION', `${partition.topic} is internal`)
    }
    return null
  }
}

const isSettled = (verdict: Verdict | LateVerdict | undefined): verdict is Verdict | undefined =>
  typeof verdict !== 'function'

const producedOf = (batch: Buffer): ProducedBatch => ({
  producerId: producerIdOf(batch),
  epoch: producerEpochOf(batch),
  baseSequence: baseSequenceOf(batch),
  recordCount: recordCountOf(batch),
})

/** A name has no slash. */
const lineOf = (topic: string, partition: number): string => `${topic}/${partition}`

const unknownPartition = (topic: string, partition: number): LogError =>
  new LogError('UNKNOWN_TOPIC_OR_PARTITION', `${topic}-${partition}`)

const refusal = (error: LogError, recordErrors?: readonly RecordError[]): AppendResult => ({
  error,
  ...(recordErrors !== undefined && { recordErrors }),
  baseOffset: -1,
  logAppendTime: -1,
  logStartOffset: -1,
})

/** A refusal whose ground may not last is none, except one of the storage, which rests on no record. */
const failed = (result: AppendResult, error: LogError): AppendResult =>
  result.error?.code === 'KAFKA_STORAGE_ERROR' ? result : refusal(error)
