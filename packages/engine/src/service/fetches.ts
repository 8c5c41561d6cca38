/**
 * Reads: slices of segments, and fetches that wait for more.
 *
 * A fetch looks at its partitions in slices of a turn. One that waits sits in the waiter list of each
 * of its partitions, and counts what each that moves has got; one timer of the wheel ends its wait. It
 * holds no file and no bytes meanwhile. Those that have enough at the same moment look in slices, too.
 */

import type { Timer, Timers, Turns } from '@millrace/base'
import {
  type FetchPosition,
  type FetchRequest,
  type FetchResult,
  LogError,
  type LogErrorCode,
} from '@millrace/log'
import { DiskError } from '../disk/disk.ts'
import type { RecordSlice, SlicedFetchResult } from '../engine.ts'
import type { LocatedRange, SegmentRun } from '../partitions/located-range.ts'
import type { PartitionLog, PartitionWaiter } from '../partitions/partition-log.ts'
import { DamageError } from '../segments/damage.ts'
import type { Segment } from '../segments/segment.ts'
import type { EngineSettings } from '../settings.ts'
import type { TopicTable } from './topic-table.ts'

const EMPTY_SLICE: RecordSlice = { byteLength: 0, read: () => undefined, release: () => undefined }
/** A look at a partition takes some microseconds, one at the clock a twentieth of that. */
const STEPS_BETWEEN_LOOKS_AT_THE_CLOCK = 8
const NO_TRANSACTIONS: FetchResult['abortedTransactions'] = []

/** Batches of one segment, read when they are sent. */
class SegmentSlice implements RecordSlice {
  readonly byteLength: number
  readonly #segment: Segment
  readonly #position: number
  readonly #partition: PartitionLog
  #released = false

  constructor(partition: PartitionLog, { segment, position, bytes }: SegmentRun) {
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

/** Batches that wait in memory for their segment. */
function memorySlice(batches: readonly Buffer[]): RecordSlice {
  const bytes = Buffer.concat(batches)
  return {
    byteLength: bytes.length,
    read: (from, target) => void bytes.copy(target, 0, from, from + target.length),
    release: () => undefined,
  }
}

/** A position of a fetch that waits, and how many bytes there are for it. */
type Place = {
  readonly position: FetchPosition
  /** Bytes that count: what was there, up to the position's own limit. */
  bytes: number
  /** What the partition had taken when `bytes` was true. */
  takenBytes: number
}

/**
 * A look at the partitions of a request, in slices: what it finds is held, to be sent or released.
 *
 * Two sums: the bytes of whole batches that are sent, and those that count for `minBytes`. A partition
 * whose limit cuts its batches off counts up to the limit, as in Apache Kafka: whole batches never
 * reach it exactly, and the reader would wait although there is plenty.
 */
class Look {
  readonly results: SlicedFetchResult[] = []
  readonly #request: FetchRequest
  readonly #topics: TopicTable
  readonly #prepared = new Set<Segment>()
  #preparing: Segment | undefined
  #left: number
  bytes = 0
  counted = 0
  failed = false
  /** What a wait has to know of each partition, from one that has nothing wrong. */
  readonly places = new Map<PartitionLog, Place>()

  constructor(request: FetchRequest, topics: TopicTable, bytesMax: number) {
    this.#request = request
    this.#topics = topics
    this.#left = bytesMax
  }

  /** Looks on; false where it has to be waited before all was seen: see {@link wait}. */
  goOn(turns: Turns): boolean {
    const { positions } = this.#request
    while (this.results.length < positions.length) {
      if (this.results.length % STEPS_BETWEEN_LOOKS_AT_THE_CLOCK === 0 && turns.spent()) {
        return false
      }
      const position = positions[this.results.length]
      if (position === undefined) continue
      const segment = this.#unprepared(position)
      if (segment !== undefined) {
        this.#preparing = segment
        return false
      }
      this.results.push(this.#one(position))
    }
    return true
  }

  /** Waits for the next turn, or for a segment that nobody has read since the start. */
  async wait(turns: Turns): Promise<void> {
    const segment = this.#preparing
    this.#preparing = undefined
    if (segment === undefined) {
      await turns.next()
      return
    }
    // What is wrong with it the read will say.
    await segment.prepare(() => turns.next()).catch(() => undefined)
    this.#prepared.add(segment)
  }

  #unprepared({ topic, topicId, partition, offset }: FetchPosition): Segment | undefined {
    const segment = this.#topics.readable(topic, partition, topicId)?.unprepared(offset)
    return segment === undefined || this.#prepared.has(segment) ? undefined : segment
  }

  /** Nothing of it is sent. */
  release(): void {
    for (const { records } of this.results) records.release()
  }

  #one(position: FetchPosition): SlicedFetchResult {
    const { topic, topicId } = position
    const partition = this.#topics.readable(topic, position.partition, topicId)
    if (topicId !== undefined && partition === undefined) {
      this.failed = true
      const isThere = this.#topics.shown(topic)?.topic.topicId === topicId
      return refusal(position, undefined, isThere ? unknown(position) : unknownId(position))
    }
    const problem = positionProblem(partition, position)
    if (problem !== null || partition === undefined) {
      this.failed = true
      return refusal(position, partition, problem)
    }
    try {
      const takenBytes = partition.takenBytes
      const before = this.counted
      const records = this.#take(partition, position)
      this.places.set(partition, { position, bytes: this.counted - before, takenBytes })
      return { ...answer(position, partition), records }
    } catch (cause) {
      this.failed = true
      return refusal(position, partition, cause as LogError)
    }
  }

  #take(partition: PartitionLog, position: FetchPosition): RecordSlice {
    if (this.#left <= 0 && this.bytes > 0) return EMPTY_SLICE
    const room = Math.max(0, Math.min(position.maxBytes, this.#left))
    const range = partition.locate(position.offset, room)
    if (range === undefined) return EMPTY_SLICE
    // Only the first batch of an answer may be larger than what was asked for (KIP-74).
    const fits = this.bytes === 0 || range.bytes <= room
    const cutOff = !fits || !partition.reachesEnd(range)
    this.counted += cutOff ? Math.max(room, fits ? range.bytes : 0) : range.bytes
    if (!fits) return EMPTY_SLICE
    const slice = sliceOf(partition, range, this.bytes === 0)
    this.bytes += slice.byteLength
    this.#left -= slice.byteLength
    return slice
  }
}

/** A slice, held; none where there is no descriptor for it but the answer has others. */
function sliceOf(partition: PartitionLog, range: LocatedRange, first: boolean): RecordSlice {
  if ('batches' in range) return memorySlice(range.batches)
  try {
    return new SegmentSlice(partition, range)
  } catch (cause) {
    if (first || !(cause instanceof DiskError)) {
      throw new LogError('KAFKA_STORAGE_ERROR', `a read failed: ${String(cause)}`, cause)
    }
    return EMPTY_SLICE
  }
}

/** Reads of clients. */
export class Fetches {
  readonly #topics: TopicTable
  readonly #timers: Pick<Timers, 'after'>
  readonly #settings: EngineSettings
  readonly #turns: Turns
  readonly #waiting = new Set<FetchWait>()
  /** Waits that have what they waited for, until the group that brought it is applied as a whole. */
  readonly #due = new Set<FetchWait>()
  count = 0
  bytes = 0

  constructor(
    topics: TopicTable,
    timers: Pick<Timers, 'after'>,
    settings: EngineSettings,
    turns: Turns,
  ) {
    this.#topics = topics
    this.#timers = timers
    this.#settings = settings
    this.#turns = turns
  }

  /** Those that wait, for bytes or for their turn. */
  get waitingCount(): number {
    return this.#waiting.size + this.#due.size
  }

  fetchSlices(request: FetchRequest): Promise<readonly SlicedFetchResult[]> {
    this.count += 1
    const look = this.#look(request)
    return look.goOn(this.#turns) ? this.#judge(request, look) : this.#lookOn(request, look)
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
    return new Look(request, this.#topics, this.#bytesMax(request))
  }

  #bytesMax(request: FetchRequest): number {
    return Math.min(request.maxBytes, this.#settings['fetch.max.bytes'])
  }

  async #lookOn(request: FetchRequest, look: Look): Promise<readonly SlicedFetchResult[]> {
    await this.#wholly(look)
    return this.#judge(request, look)
  }

  /** What is there now, without waiting for more. */
  #lookNow(
    request: FetchRequest,
  ): readonly SlicedFetchResult[] | Promise<readonly SlicedFetchResult[]> {
    const look = this.#look(request)
    if (look.goOn(this.#turns)) return this.#take(look)
    return this.#wholly(look).then(() => this.#take(look))
  }

  /** The rest of a look that has to be waited for. */
  async #wholly(look: Look): Promise<void> {
    do await look.wait(this.#turns)
    while (!look.goOn(this.#turns))
  }

  /** The look is done: answered is what it found, or waited for more. */
  #judge(request: FetchRequest, look: Look): Promise<readonly SlicedFetchResult[]> {
    const waitMs = Math.min(request.maxWaitMs, this.#settings['fetch.max.wait.ms'])
    // More than the answer may hold is never there.
    const missing = Math.min(request.minBytes, this.#bytesMax(request)) - look.counted
    if (
      look.failed ||
      missing <= 0 ||
      waitMs <= 0 ||
      look.places.size === 0 ||
      request.signal?.aborted === true ||
      this.waitingCount >= this.#settings['fetch.waiting.max']
    ) {
      return Promise.resolve(this.#take(look))
    }
    look.release()
    return new Promise((resolve, reject) => {
      const wait = new FetchWait(look.places, missing, {
        due: ended => this.#finishSoon(ended),
        finish: () => {
          // Whoever waits behind this one has nothing to do with what goes wrong here.
          try {
            resolve(this.#lookNow(request))
          } catch (cause) {
            reject(cause)
          }
        },
      })
      this.#waiting.add(wait)
      wait.start(this.#timers, waitMs, request.signal)
    })
  }

  #finishSoon(wait: FetchWait): void {
    this.#waiting.delete(wait)
    this.#due.add(wait)
    if (this.#due.size === 1) queueMicrotask(() => void this.#finishDue())
  }

  async #finishDue(): Promise<void> {
    // Those that become due meanwhile are seen, too.
    for (const wait of this.#due) {
      if (this.#turns.spent()) await this.#turns.next()
      if (this.#due.delete(wait)) wait.finish()
    }
  }

  #take({ results, bytes }: Look): readonly SlicedFetchResult[] {
    this.bytes += bytes
    return results
  }
}

/** What a wait does when it is over. */
type WaitEnd = {
  readonly due: (wait: FetchWait) => void
  readonly finish: () => void
}

/**
 * A fetch that waits. It is told which partition has moved and counts the bytes: nothing is read, and
 * no other partition is looked at, before there is enough.
 */
class FetchWait implements PartitionWaiter {
  readonly #places: ReadonlyMap<PartitionLog, Place>
  readonly #onEnd: WaitEnd
  #missing: number
  #timer: Timer | undefined
  #signal: AbortSignal | undefined
  #ended = false

  constructor(places: ReadonlyMap<PartitionLog, Place>, missing: number, onEnd: WaitEnd) {
    this.#places = places
    this.#missing = missing
    this.#onEnd = onEnd
  }

  start(timers: Pick<Timers, 'after'>, ms: number, signal: AbortSignal | undefined): void {
    this.#timer = timers.after(ms, () => this.end())
    this.#signal = signal
    signal?.addEventListener('abort', this.#onAbort)
    for (const [partition, { takenBytes }] of this.#places) {
      partition.waiters.add(this)
      // A look in slices may have missed it.
      if (partition.takenBytes !== takenBytes || partition.gone) this.wake(partition)
    }
  }

  wake(partition: PartitionLog): void {
    const place = this.#places.get(partition)
    if (this.#ended || place === undefined) return
    const { position } = place
    if (positionProblem(partition, position) !== null) {
      this.end()
      return
    }
    const more = partition.takenBytes - place.takenBytes
    place.takenBytes = partition.takenBytes
    if (more === 0 || partition.highWatermark <= position.offset) return
    // The first batch is answered whatever its size: the least that a position waits for is a byte.
    const bytes = Math.max(
      place.bytes,
      Math.min(place.bytes + more, Math.max(position.maxBytes, 1)),
    )
    this.#missing -= bytes - place.bytes
    place.bytes = bytes
    if (this.#missing <= 0) this.end()
  }

  /** Enough is there, or nobody waits any longer: answered once what runs now is over. */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    for (const partition of this.#places.keys()) partition.waiters.delete(this)
    this.#timer?.cancel()
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#onEnd.due(this)
  }

  finish(): void {
    this.#onEnd.finish()
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

const nameOf = ({ topic, partition }: FetchPosition): string => `${topic}-${partition}`

function positionProblem(
  partition: PartitionLog | undefined,
  position: FetchPosition,
): LogError | null {
  if (partition === undefined || partition.gone) {
    return unknown(position)
  }
  const stale = epochProblem(partition, position.leaderEpoch)
  if (stale !== null) {
    return new LogError(
      stale,
      `${nameOf(position)}: ${position.leaderEpoch}, not ${partition.leaderEpoch}`,
    )
  }
  if (position.offset < partition.logStart || position.offset > partition.nextOffset) {
    return new LogError(
      'OFFSET_OUT_OF_RANGE',
      `${nameOf(position)}: ${position.offset}, not in ${partition.logStart} to ${partition.highWatermark}`,
    )
  }
  return null
}

const unknown = (position: FetchPosition): LogError =>
  new LogError('UNKNOWN_TOPIC_OR_PARTITION', nameOf(position))

const unknownId = ({ topic, topicId }: FetchPosition): LogError =>
  new LogError('UNKNOWN_TOPIC_ID', `${topic} has not id ${topicId}`)

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
): SlicedFetchResult => ({
  topic,
  partition,
  records: EMPTY_SLICE,
  error: error ?? new LogError('UNKNOWN_SERVER_ERROR'),
  highWatermark: log?.highWatermark ?? -1,
  lastStableOffset: log?.highWatermark ?? -1,
  logStartOffset: log?.logStart ?? -1,
  abortedTransactions: NO_TRANSACTIONS,
})
