/**
 * The consumer: an async iterable of batches that reads ahead within a bound.
 *
 *     const consumer = createConsumer(log, { groupId: 'billing', commitIntervalMs: 1000 })
 *     consumer.subscribe(['loans'])
 *     for await (const batch of consumer) for (const record of batch.records) ...
 *
 * One batch is in hand at a time. Asking for the next one says that it is finished: only finished
 * work is committed by interval and at a rebalance, so each record is worked on at least once. A
 * batch left by `break` or by an exception is not finished. Back-pressure is the loop itself: who
 * does not ask is not given more, and at most `prefetchBytesMax` is fetched ahead.
 *
 * When the group takes partitions away, the consumer stops handing them out, waits until the batch
 * in hand is finished, lets the listener finish its own work, commits, and only then lets go, all
 * within `rebalanceTimeoutMs`. Partitions are read with a group (`subscribe`) or by hand
 * (`assign`), not both.
 */

import { Signal, sleep, type Timer } from '@millrace/base'
import type { Log, Offset, TopicDescription, TopicPartition } from '@millrace/log'
import { asLogError, LogError, NO_GENERATION } from '@millrace/log'
import { answerWithin } from '../answer.ts'
import { Committer, noGroup, type OffsetToCommit } from './committer.ts'
import type { ConsumedBatch } from './consumed-batch.ts'
import { type FetchedChunk, Fetcher } from './fetcher.ts'
import { Membership } from './membership.ts'
import {
  type ConsumerOptions,
  type ResolvedConsumerOptions,
  resolveConsumerOptions,
} from './options.ts'
import { type PartitionState, PartitionTable, type StartPlace } from './partition-table.ts'

/** Hears of partitions that come and go. Each call is awaited; what it throws, the loop throws. */
export type RebalanceListener = {
  /** These are ours from now on; nothing of them was handed out yet. */
  readonly onAssigned?: (partitions: readonly TopicPartition[]) => void | Promise<void>
  /**
   * These go to others. Nothing of them is handed out any more, and the batch in hand is finished;
   * a last `commit` is still possible. Bounded by `rebalanceTimeoutMs`.
   */
  readonly onRevoked?: (partitions: readonly TopicPartition[]) => void | Promise<void>
  /** These are gone: others may be working on them already, and commits are refused. */
  readonly onLost?: (partitions: readonly TopicPartition[]) => void | Promise<void>
}

/** A partition to be read by hand, and from where: default the committed offset, if there is one. */
export type ManualAssignment = TopicPartition & { readonly offset?: StartPlace }

/** Reads records from a log. See the head of the file. */
export interface Consumer extends AsyncIterable<ConsumedBatch>, AsyncDisposable {
  /**
   * Reads topics with the group; a pattern is matched against all topics that are not internal.
   * Called again, it changes the subscription. Throws LogError INVALID_GROUP_ID without a group.
   */
  subscribe(topics: readonly string[] | RegExp, listener?: RebalanceListener): void
  /** Reads exactly these partitions, without a group's help; replaces what was assigned before. */
  assign(partitions: readonly ManualAssignment[]): void
  /** What is read now. */
  assignment(): readonly TopicPartition[]
  /** Goes on from another place. What was fetched is dropped. Throws if not assigned. */
  seek(partition: TopicPartition, place: StartPlace): void
  /** Hands out nothing of these until `resume`. What was fetched of them is dropped. */
  pause(partitions: readonly TopicPartition[]): void
  resume(partitions: readonly TopicPartition[]): void
  /** The offset that is handed out next; null while it is not known. */
  position(partition: TopicPartition): Offset | null
  /**
   * Commits these offsets, or all that was handed out, the batch in hand included: the caller says
   * that it is done. Throws the group's refusal (ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, ...).
   */
  commit(offsets?: readonly OffsetToCommit[]): Promise<void>
  /**
   * Waits for the batch in hand (at most `closeTimeoutMs`; inside the loop `break` first), commits
   * what is finished if commits go by interval, leaves the group. The loop then ends.
   */
  close(): Promise<void>
}

type Mode = 'none' | 'manual' | 'group'

/** Makes a consumer on a log. Throws RangeError on bad options. Reads nothing until told what. */
export function createConsumer(log: Log, options: ConsumerOptions = {}): Consumer {
  return new PrefetchingConsumer(log, resolveConsumerOptions(options))
}

class PrefetchingConsumer implements Consumer {
  #log: Log
  #options: ResolvedConsumerOptions
  #table = new PartitionTable()
  #fetcher: Fetcher
  #committer: Committer | null
  #membership: Membership | null
  #mode: Mode = 'none'
  #topics: readonly string[] | RegExp = []
  #listener: RebalanceListener = {}
  #hand: FetchedChunk | null = null
  #handSince = 0
  #failure: LogError | null = null
  #ended: LogError | null = null
  #available: Signal
  #handFinished: Signal
  /** Changes of the assignment happen one after the other. */
  #changes: Promise<void> = Promise.resolve()
  #commitTimer: Timer | null = null
  #closing: Promise<void> | null = null
  #closed = false
  #asking = false

  constructor(log: Log, options: ResolvedConsumerOptions) {
    this.#log = log
    this.#options = options
    this.#available = new Signal(options.outside.timers)
    this.#handFinished = new Signal(options.outside.timers)
    this.#fetcher = new Fetcher(log, this.#table, options, {
      available: () => this.#available.fire(),
      failed: error => this.#fail(error),
      mustExist: () => this.#mode === 'manual',
    })
    const { groupId } = options
    this.#membership = groupId === null ? null : this.#member(groupId)
    this.#committer =
      groupId === null
        ? null
        : new Committer(log.groups, options, () => this.#commitIdentity(groupId))
  }

  subscribe(topics: readonly string[] | RegExp, listener: RebalanceListener = {}): void {
    this.#use('group')
    if (this.#membership === null) throw noGroup()
    this.#topics = topics instanceof RegExp ? topics : [...topics]
    this.#listener = listener
    this.#membership.start()
    this.#membership.rejoin()
    this.#planCommit()
  }

  assign(partitions: readonly ManualAssignment[]): void {
    this.#use('manual')
    this.#table.clear()
    for (const { topic, partition, offset } of partitions)
      this.#table.add({ topic, partition }, offset ?? this.#defaultStart())
    this.#fetcher.changed()
    this.#planCommit()
  }

  assignment(): readonly TopicPartition[] {
    return this.#table.partitions()
  }

  seek(partition: TopicPartition, place: StartPlace): void {
    const state = this.#state(partition)
    if (typeof place === 'number') {
      if (!Number.isSafeInteger(place) || place < 0)
        throw new LogError('OFFSET_OUT_OF_RANGE', `cannot seek to ${place}`)
      state.moveTo(place)
      state.finished = place
    } else {
      state.restart(place)
      state.finished = null
    }
    this.#fetcher.changed()
  }

  pause(partitions: readonly TopicPartition[]): void {
    for (const state of partitions.map(each => this.#state(each))) {
      if (state.paused) continue
      state.paused = true
      state.unfetch()
    }
    this.#fetcher.changed()
  }

  resume(partitions: readonly TopicPartition[]): void {
    for (const state of partitions.map(each => this.#state(each))) state.paused = false
    this.#fetcher.changed()
  }

  position(partition: TopicPartition): Offset | null {
    return this.#state(partition).position
  }

  async commit(offsets?: readonly OffsetToCommit[]): Promise<void> {
    if (this.#committer === null) throw noGroup()
    if (offsets !== undefined) {
      await this.#commit(offsets)
      this.#finishUpTo(offsets)
      return
    }
    const handedOut = this.#table.all().filter(state => state.handedOut)
    await this.#commit(handedOut.flatMap(state => commitOf(state, state.position)))
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  [Symbol.asyncIterator](): AsyncIterator<ConsumedBatch, undefined> {
    return {
      next: () => this.#next(),
      return: async () => {
        this.#drop()
        return { done: true, value: undefined }
      },
    }
  }

  async #next(): Promise<IteratorResult<ConsumedBatch, undefined>> {
    if (this.#asking)
      throw new LogError('INVALID_REQUEST', 'a consumer is iterated by one loop at a time')
    this.#asking = true
    try {
      this.#finish()
      this.#membership?.resume()
      for (;;) {
        const batch = this.#take()
        if (batch !== null) return { done: false, value: batch }
        if (this.#closed) return { done: true, value: undefined }
        await this.#available.wait()
      }
    } finally {
      this.#asking = false
    }
  }

  /** The next batch there is; throws what went wrong since. */
  #take(): ConsumedBatch | null {
    const failure = this.#failure ?? this.#ended
    this.#failure = null
    if (failure !== null) throw failure
    if (this.#closing !== null) return null
    for (let chunk = this.#fetcher.take(); chunk !== null; chunk = this.#fetcher.take()) {
      const { state, batch } = chunk
      const before = state.position
      state.position = chunk.nextOffset
      if (batch !== null) {
        state.handedOut = true
        this.#hand = chunk
        this.#handSince = this.#options.outside.clock.monotonic()
        return batch
      }
      // Nothing to work on: finished if all before it is.
      if (state.finished === before) state.finished = chunk.nextOffset
    }
    return null
  }

  /** The loop asks for more: the batch in hand is done. */
  #finish(): void {
    const hand = this.#hand
    if (hand === null) return
    if (hand.seeks === hand.state.seeks) hand.state.finished = hand.nextOffset
    this.#drop()
  }

  #drop(): void {
    this.#hand = null
    this.#handFinished.fire()
  }

  #use(mode: 'manual' | 'group'): void {
    if (this.#closing !== null) throw new LogError('LOG_CLOSED', 'the consumer has been closed')
    if (this.#mode !== 'none' && this.#mode !== mode)
      throw new LogError('INVALID_REQUEST', 'a consumer either subscribes or is assigned by hand')
    this.#mode = mode
  }

  #state(partition: TopicPartition): PartitionState {
    const state = this.#table.get(partition)
    if (state === undefined)
      throw new LogError(
        'UNKNOWN_TOPIC_OR_PARTITION',
        `${partition.topic}-${partition.partition} is not assigned to this consumer`,
      )
    return state
  }

  #defaultStart(): 'committed' | StartPlace {
    if (this.#options.groupId !== null) return 'committed'
    return this.#options.autoOffsetReset === 'earliest' ? 'earliest' : 'latest'
  }

  #fail(error: LogError): void {
    this.#failure ??= error
    this.#available.fire()
  }

  #member(groupId: string): Membership {
    return new Membership(this.#log.groups, groupId, this.#options, {
      topics: () => this.#topicsNow(),
      partitionCounts: async topics => {
        const found = topics.length === 0 ? [] : await this.#describe(topics)
        return new Map(found.map(({ name, partitions }) => [name, partitions.length]))
      },
      owned: () => this.#table.partitions(),
      revoke: partitions => this.#inTurn(() => this.#revoke(partitions)),
      lose: partitions => this.#inTurn(() => this.#lose(partitions)),
      assign: partitions => this.#inTurn(() => this.#acquire(partitions)),
      stalled: () =>
        this.#hand !== null &&
        this.#options.outside.clock.monotonic() - this.#handSince >= this.#options.processingMsMax,
      fatal: error => {
        this.#ended = error
        this.#available.fire()
      },
    })
  }

  async #topicsNow(): Promise<readonly string[]> {
    const wanted = this.#topics
    if (!(wanted instanceof RegExp)) return wanted
    const all = await this.#describe()
    return all.filter(({ name, internal }) => !internal && matches(wanted, name)).map(t => t.name)
  }

  #describe(topics?: readonly string[]): Promise<readonly TopicDescription[]> {
    const { outside, requestTimeoutMs } = this.#options
    return answerWithin(outside.timers, requestTimeoutMs, 'describe topics', () =>
      this.#log.describeTopics(topics),
    )
  }

  /** One change of the assignment after the other; a listener that throws ends in the loop. */
  #inTurn(change: () => Promise<void>): Promise<void> {
    const turn = this.#changes.then(change).catch(error => this.#fail(asLogError(error)))
    this.#changes = turn
    return turn
  }

  async #revoke(partitions: readonly TopicPartition[]): Promise<void> {
    const { outside, rebalanceTimeoutMs } = this.#options
    const deadline = outside.clock.monotonic() + rebalanceTimeoutMs
    const states = partitions.flatMap(each => this.#table.get(each) ?? [])
    if (states.length === 0) return
    for (const state of states) {
      state.leaving = true
      state.unfetch()
    }
    this.#fetcher.changed()
    const waitMs = this.#closing === null ? rebalanceTimeoutMs : this.#options.closeTimeoutMs
    await this.#handGone(states, outside.clock.monotonic() + waitMs)
    try {
      const left = Math.max(0, deadline - outside.clock.monotonic())
      await this.#within(left, () => this.#listener.onRevoked?.(namesOf(states)))
      if (this.#options.commitIntervalMs > 0) {
        const leftAfter = Math.max(0, deadline - outside.clock.monotonic())
        await this.#within(leftAfter, () => this.#commitFinished(states))
      }
    } finally {
      for (const state of states) this.#table.remove(state)
      this.#fetcher.changed()
    }
  }

  async #lose(partitions: readonly TopicPartition[]): Promise<void> {
    const states = partitions.flatMap(each => this.#table.get(each) ?? [])
    if (states.length === 0) return
    for (const state of states) this.#table.remove(state)
    this.#fetcher.changed()
    const { onLost } = this.#listener
    await this.#within(this.#options.rebalanceTimeoutMs, () => onLost?.(namesOf(states)))
  }

  async #acquire(partitions: readonly TopicPartition[]): Promise<void> {
    const { onAssigned } = this.#listener
    const states = partitions.map(each => {
      const state = this.#table.add(each, 'committed')
      state.leaving = true
      return state
    })
    try {
      if (states.length > 0 && onAssigned !== undefined)
        await this.#within(this.#options.rebalanceTimeoutMs, () => onAssigned(namesOf(states)))
    } finally {
      for (const state of states) state.leaving = false
      this.#fetcher.changed()
    }
  }

  /** Waits until the batch in hand is of none of these partitions, or until the deadline. */
  async #handGone(states: readonly PartitionState[], deadline: number): Promise<void> {
    const { clock } = this.#options.outside
    while (this.#hand !== null && states.includes(this.#hand.state)) {
      const left = deadline - clock.monotonic()
      if (left <= 0) return
      await this.#handFinished.wait(left)
    }
  }

  /** Awaits work of the application or the coordinator, but not longer than this. */
  async #within(ms: number, work: () => void | Promise<void>): Promise<void> {
    const done = new AbortController()
    const late = sleep(this.#options.outside.timers, ms, done.signal)
    try {
      await Promise.race([work(), late])
    } finally {
      done.abort()
    }
  }

  #commitIdentity(groupId: string) {
    const alone = { groupId, generationId: NO_GENERATION, memberId: '', groupInstanceId: null }
    return this.#mode === 'group' && this.#membership !== null ? this.#membership.identity : alone
  }

  async #commit(offsets: readonly OffsetToCommit[]): Promise<void> {
    if (offsets.length === 0 || this.#committer === null) return
    try {
      await this.#committer.commit(offsets)
    } catch (error) {
      // The heartbeat finds out what is wrong and brings the member back.
      this.#membership?.check()
      throw error
    }
    for (const each of offsets) {
      const state = this.#table.get(each)
      if (state !== undefined) state.committed = each.offset
    }
  }

  /** What the program has committed by hand is finished: no commit by interval goes behind it. */
  #finishUpTo(offsets: readonly OffsetToCommit[]): void {
    for (const each of offsets) {
      const state = this.#table.get(each)
      if (state === undefined || state.finished === null) continue
      state.finished = Math.max(state.finished, each.offset)
    }
  }

  /** Commits what is finished; a failure is tried again with the next commit. */
  async #commitFinished(states: readonly PartitionState[]): Promise<void> {
    try {
      await this.#commit(states.flatMap(state => commitOf(state, state.finished)))
    } catch (error) {
      this.#options.onBackgroundError(asLogError(error))
    }
  }

  #planCommit(): void {
    const { commitIntervalMs, outside } = this.#options
    if (commitIntervalMs === 0 || this.#commitTimer !== null) return
    this.#commitTimer = outside.timers.after(commitIntervalMs, () => {
      this.#commitFinished(this.#table.all()).finally(() => {
        if (this.#commitTimer === null) return
        this.#commitTimer = null
        this.#planCommit()
      })
    })
  }

  async #close(): Promise<void> {
    // Yields once, so that `#closing` is set before anything looks at it.
    await Promise.resolve()
    this.#commitTimer?.cancel()
    this.#commitTimer = null
    this.#available.fire()
    if (this.#mode === 'group') await this.#membership?.stop()
    else if (this.#mode === 'manual') await this.#closeManual()
    this.#closed = true
    await this.#fetcher.stop()
    this.#table.clear()
    this.#available.fire()
  }

  async #closeManual(): Promise<void> {
    const { outside, closeTimeoutMs, commitIntervalMs } = this.#options
    const states = this.#table.all()
    await this.#handGone(states, outside.clock.monotonic() + closeTimeoutMs)
    if (commitIntervalMs > 0) await this.#within(closeTimeoutMs, () => this.#commitFinished(states))
  }
}

const namesOf = (states: readonly PartitionState[]): TopicPartition[] =>
  states.map(({ topic, partition }) => ({ topic, partition }))

const commitOf = (state: PartitionState, offset: Offset | null): OffsetToCommit[] =>
  offset === null || offset === state.committed
    ? []
    : [{ topic: state.topic, partition: state.partition, offset }]

/** A pattern with the flag g or y remembers where it was; every name is matched from its start. */
function matches(pattern: RegExp, name: string): boolean {
  pattern.lastIndex = 0
  return pattern.test(name)
}
