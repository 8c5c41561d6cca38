/**
 * Reads: slices of segments, and fetches that wait for more.
 *
 * A waiting fetch sits in the waiter list of each of its partitions and looks again when one of them
 * has moved; one timer of the wheel ends its wait. It holds no file and no bytes meanwhile.
 */
import {
  type FetchPosition,
  type FetchRequest,
  type FetchResult,
  LogError,
  type LogErrorCode,
} from '@millrace/log'
import type { RecordSlice, SlicedFetchResult } from '../engine.ts'
import type { Timer, Timers } from '../outside.ts'
import type { LocatedRange, PartitionLog, PartitionWaiter } from '../partitions/partition-log.ts'
import { DamageError } from '../segments/damage.ts'
import type { Segment } from '../segments/segment.ts'
import type { EngineSettings } from '../settings.ts'
import type { TopicTable } from './topic-table.ts'

const EMPTY_SLICE: RecordSlice = { byteLength: 0, read: () => undefined, release: () => undefined }
const NO_TRANSACTIONS: FetchResult['abortedTransactions'] = []

/** Batches of one segment, read when they are sent. */
class SegmentSlice implements RecordSlice {
  readonly byteLength: number
  readonly #segment: Segment
  readonly #position: number
  readonly #partition: PartitionLog
  #released = false

  constructor(partition: PartitionLog, { segment, position, bytes }: LocatedRange) {
    this.#partition = partition
    this.#segment = segment
    this.#position = position
    this.byteLength = bytes
    segment.hold()
  }

  read(from: number, target: Buffer): void {
    try {
      this.#segment.read(this.#position + from, target)
    } catch (cause) {
      if (cause instanceof DamageError) this.#partition.quarantine(cause.message)
      throw new LogError('KAFKA_STORAGE_ERROR', String(cause), cause)
    }
  }

  release(): void {
    if (this.#released) return
    this.#released = true
    this.#segment.letGo()
  }
}

/** What a look at the partitions found. */
type Look = {
  readonly results: readonly (Omit<SlicedFetchResult, 'records'> & {
    readonly range?: LocatedRange
  })[]
  readonly partitions: readonly (PartitionLog | undefined)[]
  readonly bytes: number
  readonly failed: boolean
}

/** Reads of clients. */
export class Fetches {
  readonly #topics: TopicTable
  readonly #timers: Pick<Timers, 'after'>
  readonly #settings: EngineSettings
  readonly #waiting = new Set<FetchWait>()
  count = 0
  bytes = 0

  constructor(topics: TopicTable, timers: Pick<Timers, 'after'>, settings: EngineSettings) {
    this.#topics = topics
    this.#timers = timers
    this.#settings = settings
  }

  get waitingCount(): number {
    return this.#waiting.size
  }

  fetchSlices(request: FetchRequest): Promise<readonly SlicedFetchResult[]> {
    this.count += 1
    const look = this.#look(request)
    const waitMs = Math.min(request.maxWaitMs, this.#settings['fetch.max.wait.ms'])
    if (
      look.failed ||
      look.bytes >= request.minBytes ||
      waitMs <= 0 ||
      look.partitions.length === 0 ||
      request.signal?.aborted === true ||
      this.#waiting.size >= this.#settings['fetch.waiting.max']
    ) {
      return Promise.resolve(this.#take(look))
    }
    return new Promise(resolve => {
      const wait = new FetchWait(
        look.partitions,
        () => {
          const again = this.#look(request)
          return again.failed || again.bytes >= request.minBytes
        },
        () => {
          this.#waiting.delete(wait)
          resolve(this.#take(this.#look(request)))
        },
      )
      this.#waiting.add(wait)
      wait.start(this.#timers, waitMs, request.signal)
    })
  }

  async fetch(request: FetchRequest): Promise<readonly FetchResult[]> {
    const sliced = await this.fetchSlices(request)
    return sliced.map(({ records, ...result }) => {
      const bytes = Buffer.allocUnsafe(records.byteLength)
      try {
        records.read(0, bytes)
        return { ...result, records: bytes }
      } catch (cause) {
        const error =
          cause instanceof LogError ? cause : new LogError('KAFKA_STORAGE_ERROR', '', cause)
        return { ...result, error, records: Buffer.alloc(0) }
      } finally {
        records.release()
      }
    })
  }

  /** Ends all waits: the engine closes. */
  close(): void {
    for (const wait of [...this.#waiting]) wait.end()
  }

  #look(request: FetchRequest): Look {
    let left = Math.min(request.maxBytes, this.#settings['fetch.max.bytes'])
    let bytes = 0
    let failed = false
    const partitions: (PartitionLog | undefined)[] = []
    const results = request.positions.map(position => {
      const partition = this.#topics.partition(position.topic, position.partition)
      partitions.push(partition)
      const problem = positionProblem(partition, position)
      if (problem !== null || partition === undefined) {
        failed = true
        return refusal(position, partition, problem)
      }
      try {
        const room = Math.min(position.maxBytes, left)
        const range = left > 0 || bytes === 0 ? partition.locate(position.offset, room) : undefined
        // Only the first batch of an answer may be larger than what was asked for (KIP-74).
        const taken =
          range !== undefined && (bytes === 0 || range.bytes <= room) ? range : undefined
        bytes += taken?.bytes ?? 0
        left -= taken?.bytes ?? 0
        const base = answer(position, partition)
        return taken === undefined ? base : { ...base, range: taken }
      } catch (cause) {
        failed = true
        return refusal(position, partition, cause as LogError)
      }
    })
    return { results, partitions, bytes, failed }
  }

  #take({ results, partitions, bytes }: Look): readonly SlicedFetchResult[] {
    this.bytes += bytes
    return results.map(({ range, ...result }, i) => {
      const partition = partitions[i]
      const records =
        range === undefined || partition === undefined
          ? EMPTY_SLICE
          : new SegmentSlice(partition, range)
      return { ...result, records }
    })
  }
}

/** A fetch that waits. */
class FetchWait implements PartitionWaiter {
  readonly #partitions: readonly (PartitionLog | undefined)[]
  readonly #enough: () => boolean
  readonly #finish: () => void
  #timer: Timer | undefined
  #signal: AbortSignal | undefined
  #looking = false
  #ended = false

  constructor(
    partitions: readonly (PartitionLog | undefined)[],
    enough: () => boolean,
    finish: () => void,
  ) {
    this.#partitions = partitions
    this.#enough = enough
    this.#finish = finish
  }

  start(timers: Pick<Timers, 'after'>, ms: number, signal: AbortSignal | undefined): void {
    for (const partition of this.#partitions) partition?.waiters.add(this)
    this.#timer = timers.after(ms, () => this.end())
    this.#signal = signal
    signal?.addEventListener('abort', this.#onAbort)
  }

  wake(): void {
    if (this.#looking || this.#ended) return
    this.#looking = true
    // After the whole group has reached its partitions: one look for all of them.
    queueMicrotask(() => {
      this.#looking = false
      if (!this.#ended && this.#enough()) this.end()
    })
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    for (const partition of this.#partitions) partition?.waiters.delete(this)
    this.#timer?.cancel()
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#finish()
  }

  readonly #onAbort = (): void => this.end()
}

/** What is wrong with the leader epoch that a caller believes in; null if nothing (KIP-320). */
export function epochProblem(
  partition: PartitionLog,
  believed: number | undefined,
): LogErrorCode | null {
  if (believed === undefined || believed < 0 || believed === partition.leaderEpoch) return null
  return believed < partition.leaderEpoch ? 'FENCED_LEADER_EPOCH' : 'UNKNOWN_LEADER_EPOCH'
}

function positionProblem(
  partition: PartitionLog | undefined,
  position: FetchPosition,
): LogError | null {
  const name = `${position.topic}-${position.partition}`
  if (partition === undefined || partition.deleted) {
    return new LogError('UNKNOWN_TOPIC_OR_PARTITION', name)
  }
  const stale = epochProblem(partition, position.leaderEpoch)
  if (stale !== null) {
    return new LogError(stale, `${name}: ${position.leaderEpoch}, not ${partition.leaderEpoch}`)
  }
  if (position.offset < partition.logStart || position.offset > partition.nextOffset) {
    return new LogError(
      'OFFSET_OUT_OF_RANGE',
      `${name}: ${position.offset}, not in ${partition.logStart} to ${partition.highWatermark}`,
    )
  }
  return null
}

const answer = (
  { topic, partition }: FetchPosition,
  log: PartitionLog,
): Omit<SlicedFetchResult, 'records'> => ({
  topic,
  partition,
  highWatermark: log.highWatermark,
  lastStableOffset: log.highWatermark,
  logStartOffset: log.logStart,
  abortedTransactions: NO_TRANSACTIONS,
})

const refusal = (
  { topic, partition }: FetchPosition,
  log: PartitionLog | undefined,
  error: LogError | null,
): Omit<SlicedFetchResult, 'records'> => ({
  topic,
  partition,
  error: error ?? new LogError('UNKNOWN_SERVER_ERROR'),
  highWatermark: log?.highWatermark ?? -1,
  lastStableOffset: log?.highWatermark ?? -1,
  logStartOffset: log?.logStart ?? -1,
  abortedTransactions: NO_TRANSACTIONS,
})
