/**
 * Reads ahead: one fetch at a time for all partitions that may be read, a long poll that any change
 * cuts short. Finds starting positions first.
 *
 * Bounded by `prefetchBytesMax`: while that much waits to be taken, nothing is fetched; one answer
 * may exceed it, because an answer holds at least one whole batch. Failures are retried with
 * backoff for each partition apart; what cannot be retried goes to the consumer, which throws it.
 */

import { backoffMs, Signal, sleep } from '@millrace/base'
import type { FetchResult, Log, Offset, OffsetPlace } from '@millrace/log'
import { asLogError, LogError } from '@millrace/log'
import { answerWithin } from '../answer.ts'
import { type Chunk, chunkOf } from './consumed-batch.ts'
import type { ResolvedConsumerOptions } from './options.ts'
import type { PartitionState, PartitionTable, SoughtPlace } from './partition-table.ts'

/** What the fetcher tells its consumer. */
export type FetcherEvents = {
  /** Something may be there to be taken. */
  readonly available: () => void
  /** To be thrown at whoever iterates. */
  readonly failed: (error: LogError) => void
  /** Whether a partition that does not exist is an error after a while. */
  readonly mustExist: () => boolean
}

/** A chunk, and what it was fetched for. */
export type FetchedChunk = Chunk & {
  readonly state: PartitionState
  readonly version: number
  readonly seeks: number
}

/** See the head of the file. */
export class Fetcher {
  #log: Log
  #table: PartitionTable
  #options: ResolvedConsumerOptions
  #events: FetcherEvents
  #chunks: FetchedChunk[] = []
  #bufferedBytes = 0
  #signal: Signal
  #poll: AbortController | null = null
  #stopping = new AbortController()
  #running: Promise<void> | null = null

  constructor(
    log: Log,
    table: PartitionTable,
    options: ResolvedConsumerOptions,
    events: FetcherEvents,
  ) {
    this.#log = log
    this.#table = table
    this.#options = options
    this.#events = events
    this.#signal = new Signal(options.outside.timers)
  }

  /** Bytes fetched and not taken. */
  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  /** The table has changed: what is asked for now is out of date. */
  changed(): void {
    this.#running ??= this.#run()
    this.#dropVoid()
    this.#poll?.abort()
    this.#signal.fire()
  }

  /** The oldest chunk that may be handed out. */
  take(): FetchedChunk | null {
    this.#dropVoid()
    const chunk = this.#chunks.shift()
    if (chunk === undefined) return null
    this.#bufferedBytes -= chunk.bytes
    this.#signal.fire()
    return chunk
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#poll?.abort()
    this.#signal.fire()
    await this.#running
    this.#chunks = []
    this.#bufferedBytes = 0
  }

  #dropVoid(): void {
    if (this.#chunks.every(({ state, version }) => state.version === version)) return
    this.#chunks = this.#chunks.filter(({ state, version }) => state.version === version)
    this.#bufferedBytes = this.#chunks.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      this.#resolvePositions()
      const now = this.#options.outside.clock.monotonic()
      const all = this.#table.all()
      const states = all.filter(state => isReadable(state) && state.retryAt <= now)
      const room = this.#options.prefetchBytesMax - this.#bufferedBytes
      if (states.length > 0 && room > 0) {
        await this.#fetch(states, room)
        continue
      }
      let wakeAt = Number.POSITIVE_INFINITY
      for (const { retryAt } of all) if (retryAt > now) wakeAt = Math.min(wakeAt, retryAt)
      await this.#signal.wait(wakeAt - now)
    }
  }

  async #fetch(states: readonly PartitionState[], room: number): Promise<void> {
    const { fetchBytesMax, fetchBytesMin, fetchWaitMs, partitionBytesMax } = this.#options
    const versions = states.map(({ version }) => version)
    const poll = new AbortController()
    this.#poll = poll
    try {
      const results = await this.#ask('fetch', fetchWaitMs, () =>
        this.#log.fetch({
          positions: states.map(({ topic, partition, fetchOffset }) => ({
            topic,
            partition,
            offset: fetchOffset,
            maxBytes: partitionBytesMax,
          })),
          minBytes: fetchBytesMin,
          maxBytes: Math.min(fetchBytesMax, room),
          maxWaitMs: fetchWaitMs,
          isolation: this.#options.isolation,
          signal: poll.signal,
        }),
      )
      for (const [index, state] of states.entries()) {
        const result = results[index]
        if (result !== undefined && state.version === versions[index]) this.#take(state, result)
      }
    } catch (error) {
      await this.#fetchFailed(asLogError(error), states)
    } finally {
      this.#poll = null
    }
  }

  async #fetchFailed(error: LogError, states: readonly PartitionState[]): Promise<void> {
    if (this.#stopping.signal.aborted) return
    if (error.retriable) {
      this.#options.onBackgroundError(error)
      for (const state of states) this.#retryLater(state)
      return
    }
    this.#events.failed(error)
    await sleep(this.#options.outside.timers, this.#options.backoff.maxMs, this.#stopping.signal)
  }

  #take(state: PartitionState, result: FetchResult): void {
    if (result.error !== undefined) {
      this.#partitionFailed(state, result.error)
      return
    }
    state.failures = 0
    state.retryAt = 0
    if (result.records.length === 0) return
    try {
      const chunk = chunkOf(result, state.fetchOffset, this.#options)
      if (chunk === null) throw new LogError('CORRUPT_MESSAGE', 'less than one batch')
      this.#chunks.push({ ...chunk, state, version: state.version, seeks: state.seeks })
      this.#bufferedBytes += chunk.bytes
      state.fetchOffset = chunk.nextOffset
      this.#table.rotate(state)
      this.#events.available()
    } catch (error) {
      this.#reject(state, asLogError(error))
    }
  }

  #partitionFailed(state: PartitionState, error: LogError): void {
    if (error.code === 'OFFSET_OUT_OF_RANGE') {
      // What was fetched before stays good; the question comes up again once it is taken.
      if (state.position !== state.fetchOffset) this.#retryLater(state)
      else if (this.#options.autoOffsetReset === 'error') this.#reject(state, error)
      else state.restart(this.#options.autoOffsetReset)
      return
    }
    if (!error.retriable) {
      this.#reject(state, error)
      return
    }
    this.#retryLater(state)
    const missingMs = this.#options.outside.clock.monotonic() - state.failingSince
    const missing = error.code === 'UNKNOWN_TOPIC_OR_PARTITION'
    if (missing && this.#events.mustExist() && missingMs >= this.#options.topicMissingMsMax)
      this.#reject(state, error)
  }

  /** Gives the error to the consumer, and asks again only after a while. */
  #reject(state: PartitionState, error: LogError): void {
    this.#retryLater(state)
    const where = `${state.topic}-${state.partition} at offset ${state.fetchOffset}`
    this.#events.failed(new LogError(error.code, where, error))
  }

  #retryLater(state: PartitionState): void {
    const { outside, backoff } = this.#options
    const now = outside.clock.monotonic()
    if (state.failures === 0) state.failingSince = now
    state.failures += 1
    state.retryAt = now + backoffMs(backoff, state.failures, outside.random)
  }

  /** Finds the positions that are not known, in the background. */
  #resolvePositions(): void {
    const now = this.#options.outside.clock.monotonic()
    const states = this.#table
      .all()
      .filter(
        ({ position, resolving, leaving, retryAt }) =>
          position === null && !resolving && !leaving && retryAt <= now,
      )
    if (states.length === 0) return
    for (const state of states) state.resolving = true
    this.#resolve(states.map(state => ({ state, version: state.version, seeks: state.seeks })))
      .catch(error => {
        const failure = asLogError(error)
        for (const state of states) this.#retryLater(state)
        if (failure.retriable) this.#options.onBackgroundError(failure)
        else this.#events.failed(failure)
      })
      .finally(() => {
        for (const state of states) state.resolving = false
        this.changed()
      })
  }

  async #resolve(asked: readonly Asked[]): Promise<void> {
    const { groupId, autoOffsetReset, isolation } = this.#options
    const placed: { asked: Asked; start: SoughtPlace }[] = []
    const committed = asked.filter(({ state }) => state.start === 'committed')
    for (const each of asked)
      if (each.state.start !== 'committed') placed.push({ asked: each, start: each.state.start })
    if (committed.length > 0 && groupId !== null) {
      const partitions = committed.map(({ state: { topic, partition } }) => ({ topic, partition }))
      const found = await this.#log.groups.fetchOffsets(groupId, partitions, {
        requireStable: true,
      })
      for (const [index, each] of committed.entries()) {
        const { error, offset } = found[index] ?? { offset: -1 }
        if (error !== undefined) this.#unresolved(each, error)
        else if (offset >= 0) this.#resolved(each, offset, offset)
        else if (autoOffsetReset !== 'error') placed.push({ asked: each, start: autoOffsetReset })
        else this.#unresolved(each, new LogError('OFFSET_OUT_OF_RANGE', 'no offset is committed'))
      }
    }
    if (placed.length === 0) return
    const queries = placed.map(({ asked: { state }, start }) => ({
      topic: state.topic,
      partition: state.partition,
      place: placeOf(start),
    }))
    const answers = await this.#ask('list offsets', 0, () =>
      this.#log.listOffsets(queries, isolation),
    )
    for (const [index, { asked: each, start }] of placed.entries()) {
      const { error, offset } = answers[index] ?? { offset: -1 }
      if (error !== undefined) this.#unresolved(each, error)
      else if (offset >= 0) this.#resolved(each, offset)
      // No record is as young as the timestamp: what comes next will be.
      else if (typeof start === 'object') each.state.start = 'latest'
      else this.#unresolved(each, new LogError('OFFSET_NOT_AVAILABLE'))
    }
  }

  #ask<T>(what: string, waitMs: number, call: () => Promise<T>): Promise<T> {
    const { outside, requestTimeoutMs } = this.#options
    return answerWithin(outside.timers, waitMs + requestTimeoutMs, what, call)
  }

  #resolved({ state, version }: Asked, offset: Offset, committed: Offset | null = null): void {
    if (state.version !== version) return
    state.moveTo(offset)
    state.finished = offset
    state.committed = committed
  }

  #unresolved({ state, version }: Asked, error: LogError): void {
    if (state.version === version) this.#partitionUnresolved(state, error)
  }

  #partitionUnresolved(state: PartitionState, error: LogError): void {
    if (error.retriable) this.#partitionFailed(state, error)
    else this.#reject(state, error)
  }
}

type Asked = { readonly state: PartitionState; readonly version: number }

const isReadable = (state: PartitionState): boolean =>
  state.position !== null && !state.paused && !state.leaving

const placeOf = (start: SoughtPlace): OffsetPlace =>
  typeof start === 'object' ? start.timestamp : start
