/**
 * Sends what lanes hold: gathers one batch of each lane that may send into an append, judges the
 * answers, retries.
 *
 * At most `inFlightMax` appends are in flight, each with at most one batch of a partition. A batch
 * that is not full goes out at once when nothing is in flight, else after `lingerMs`: an idle
 * producer answers fast, a busy one makes large batches. One timer serves all waits.
 *
 * What an error means for a batch:
 *   refused, can succeed later      retried with backoff, in order, until its delivery time is over
 *   no word about it (lost answer)  the same; the log knows the batch again by its numbers
 *   refused behind a missing batch  retried after that one
 *   refused for good                given up; the lane starts over behind it, see lane.ts
 */

import type { Timer } from '@millrace/base'
import { backoffMs } from '@millrace/base'
import type { AppendResult, Log, ProducerIdentity, RecordError } from '@millrace/log'
import { asLogError, LogError, type LogErrorCode } from '@millrace/log'
import { ANSWER_GRACE_MS, answerWithin } from '../answer.ts'
import type { Lane, PendingBatch } from './lane.ts'
import type { ResolvedProducerOptions } from './options.ts'

/** Fresh starts of a lane without a success in between, after which its oldest batch is given up. */
const RESETS_MAX = 5

/** Codes of answers that leave open whether the batch is stored. */
const OUTCOME_UNKNOWN: ReadonlySet<LogErrorCode> = new Set<LogErrorCode>([
  'NETWORK_EXCEPTION',
  'REQUEST_TIMED_OUT',
  'UNKNOWN_SERVER_ERROR',
  'KAFKA_STORAGE_ERROR',
  'LOG_CLOSED',
])
/** Codes that say that the log and the lane disagree about the numbers. */
const NUMBERS_REFUSED: ReadonlySet<LogErrorCode> = new Set<LogErrorCode>([
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'UNKNOWN_PRODUCER_ID',
  'INVALID_PRODUCER_EPOCH',
])

/** What the sender tells its producer. */
export type SenderEvents = {
  /** A batch is stored, or given up; its bytes are free. */
  readonly settled: (batch: PendingBatch, error: LogError | null) => void
  /** The log does not know the topic, or its leader has moved. */
  readonly stale: (topic: string) => void
  /** The next moment at which the producer itself wants to be woken, or Infinity. */
  readonly wakeAt: () => number
  readonly woken: () => void
}

type Answer = AppendResult | LogError

/** See the head of the file. */
export class Sender {
  #log: Log
  #options: ResolvedProducerOptions
  #events: SenderEvents
  /** Lanes with something to send or waiting for an answer; those served last stand last. */
  #lanes = new Set<Lane>()
  #identity: ProducerIdentity | null = null
  #fresher: Promise<ProducerIdentity> | null = null
  #requestsInFlight = 0
  #timer: Timer | null = null
  #timerAt = Number.POSITIVE_INFINITY
  #pumpPlanned = false
  #stopped = false
  /** Batches begun up to this id are sent without lingering. */
  #urgentId = -1

  constructor(log: Log, options: ResolvedProducerOptions, events: SenderEvents) {
    this.#log = log
    this.#options = options
    this.#events = events
  }

  /** Gives the identity of an idempotent producer, before its first record. */
  start(identity: ProducerIdentity): void {
    this.#identity = identity
  }

  /** The lane has something to send. */
  wake(lane: Lane): void {
    this.#lanes.add(lane)
    this.plan()
  }

  /** Looks for work at the end of this turn of the event loop. */
  plan(): void {
    if (this.#pumpPlanned || this.#stopped) return
    this.#pumpPlanned = true
    this.#options.outside.timers.soon(() => {
      this.#pumpPlanned = false
      this.#pump()
    })
  }

  /** Closes the open batch of a lane. */
  close(lane: Lane): void {
    lane.close(this.#identity, this.#options.deliveryTimeoutMs)
    this.wake(lane)
  }

  /** Batches begun up to `id` do not linger any more. */
  hurry(id: number): void {
    this.#urgentId = Math.max(this.#urgentId, id)
    this.plan()
  }

  /** Gives up everything that is not stored, and stops. */
  stop(error: LogError): void {
    this.#stopped = true
    this.#timer?.cancel()
    for (const lane of this.#lanes) {
      this.close(lane)
      for (const batch of [...lane.queue]) this.#settle(batch, error)
    }
    this.#lanes.clear()
  }

  #pump(): void {
    if (this.#stopped) return
    const now = this.#options.outside.clock.monotonic()
    this.#expire(now)
    this.#events.woken()
    while (this.#requestsInFlight < this.#options.inFlightMax) {
      const batches = this.#gather(now)
      if (batches.length === 0) break
      this.#dispatch(batches)
    }
    for (const lane of this.#lanes)
      if (lane.queue.length === 0 && lane.openedAt === null) this.#lanes.delete(lane)
    this.#setTimer(now)
  }

  /** One batch of each lane that may send, as many as fit. */
  #gather(now: number): PendingBatch[] {
    const batches: PendingBatch[] = []
    let bytes = 0
    for (const lane of [...this.#lanes]) {
      if (lane.mustReset && lane.inFlight === 0 && !lane.resetting && now >= lane.retryAt)
        this.#reset(lane)
      const batch = this.#nextOf(lane, now)
      if (batch === null) continue
      if (batches.length > 0 && bytes + batch.bytes.length > this.#options.requestBytesMax) break
      batches.push(batch)
      bytes += batch.bytes.length
    }
    return batches
  }

  #nextOf(lane: Lane, now: number): PendingBatch | null {
    const ready = lane.next(now, this.#options.inFlightMax)
    if (ready !== null || lane.openedAt === null) return ready
    if (lane.queue.length > lane.inFlight || lane.mustReset || lane.resetting) return null
    const due =
      this.#requestsInFlight === 0 ||
      now >= lane.openedAt + this.#options.lingerMs ||
      (lane.openId ?? 0) <= this.#urgentId
    if (!due) return null
    lane.close(this.#identity, this.#options.deliveryTimeoutMs)
    return lane.next(now, this.#options.inFlightMax)
  }

  #dispatch(batches: readonly PendingBatch[]): void {
    const { outside, acks, requestTimeoutMs } = this.#options
    for (const batch of batches) {
      batch.lane.begin(batch)
      // To the end of the line: the next append begins with the lanes that this one left out.
      this.#lanes.delete(batch.lane)
      this.#lanes.add(batch.lane)
    }
    this.#requestsInFlight += 1
    const answer = (answers: (index: number) => Answer) => {
      this.#requestsInFlight -= 1
      for (const batch of batches) batch.lane.end(batch)
      for (const [index, batch] of batches.entries()) this.#judge(batch, answers(index))
      this.plan()
    }
    answerWithin(outside.timers, requestTimeoutMs + ANSWER_GRACE_MS, 'append', () =>
      this.#append(batches, { acks, timeoutMs: requestTimeoutMs }),
    ).then(
      results => answer(index => results[index] ?? noAnswer()),
      error => answer(() => asLogError(error)),
    )
  }

  #append(
    batches: readonly PendingBatch[],
    options: { acks: ResolvedProducerOptions['acks']; timeoutMs: number },
  ): Promise<readonly AppendResult[]> {
    return this.#log.append(
      batches.map(({ lane, bytes }) => ({
        topic: lane.topic,
        partition: lane.partition,
        batch: bytes,
      })),
      options,
    )
  }

  #judge(batch: PendingBatch, answer: Answer): void {
    if (this.#stopped) return
    const error = answer instanceof LogError ? answer : answer.error
    const { lane } = batch
    if (error === undefined || error.code === 'DUPLICATE_SEQUENCE_NUMBER') {
      lane.stored()
      this.#settle(batch, null, answer instanceof LogError ? undefined : answer)
      return
    }
    if (OUTCOME_UNKNOWN.has(error.code)) batch.outcomeUnknown = true
    if (this.#identity !== null && NUMBERS_REFUSED.has(error.code)) {
      this.#numbersRefused(batch, error)
      return
    }
    if (!error.retriable) {
      this.#giveUp(batch, error, answer instanceof LogError ? undefined : answer.recordErrors)
      return
    }
    batch.lastFailure = error
    if (!isQuiet(error.code)) this.#events.stale(lane.topic)
    lane.failures += 1
    const { outside, backoff } = this.#options
    lane.retryAt = outside.clock.monotonic() + backoffMs(backoff, lane.failures, outside.random)
  }

  #numbersRefused(batch: PendingBatch, error: LogError): void {
    const { lane } = batch
    const behindAnother = lane.queue[0] !== batch
    if (behindAnother && error.code === 'OUT_OF_ORDER_SEQUENCE_NUMBER') return
    if (lane.mustReset || behindAnother) return
    lane.mustReset = true
    lane.resets += 1
    if (lane.resets > RESETS_MAX) {
      lane.resets = 0
      this.#giveUp(batch, error)
    }
  }

  #giveUp(batch: PendingBatch, error: LogError, recordErrors?: readonly RecordError[]): void {
    // Its numbers are given away: what follows in this lane would be refused as out of order.
    if (this.#identity !== null) batch.lane.mustReset = true
    const named = new Map(recordErrors?.map(({ batchIndex, message }) => [batchIndex, message]))
    this.#settle(batch, error, undefined, named)
  }

  #settle(
    batch: PendingBatch,
    error: LogError | null,
    result?: AppendResult,
    named: ReadonlyMap<number, string> = new Map(),
  ): void {
    batch.lane.remove(batch)
    this.#events.settled(batch, error)
    const base = result?.baseOffset ?? -1
    const time = result?.logAppendTime ?? -1
    for (const { index, delivery } of batch.deliveries) {
      const own = error === null ? null : errorOfRecord(error, index, named)
      delivery(own, base < 0 ? -1 : base + index, time, batch.lane.partition)
    }
  }

  /** Gives up the batches whose time is over; the oldest of a lane stands first. */
  #expire(now: number): void {
    for (const lane of this.#lanes) {
      if (lane.openedAt !== null && now >= lane.openedAt + this.#options.deliveryTimeoutMs)
        lane.close(this.#identity, this.#options.deliveryTimeoutMs)
      for (let head = lane.queue[0]; head !== undefined; head = lane.queue[0]) {
        if (now < head.deadline || head.inFlight || lane.resetting) break
        this.#giveUp(head, lateError(head, this.#options.deliveryTimeoutMs))
      }
    }
  }

  /** Starts a lane over under a new epoch. */
  #reset(lane: Lane): void {
    for (const batch of [...lane.queue])
      if (batch.outcomeUnknown)
        this.#settle(
          batch,
          new LogError('UNKNOWN_SERVER_ERROR', 'the outcome of this batch is unknown'),
        )
    lane.resetting = true
    // An older epoch means that another lane has asked for a new one since.
    const fresh =
      this.#identity !== null && lane.identity !== this.#identity
        ? Promise.resolve(this.#identity)
        : this.#freshIdentity()
    fresh
      .then(
        identity => {
          if (!this.#stopped) lane.renumber(identity)
        },
        error => this.#resetFailed(lane, asLogError(error)),
      )
      .finally(() => {
        lane.resetting = false
        this.wake(lane)
      })
  }

  #resetFailed(lane: Lane, error: LogError): void {
    if (this.#stopped) return
    if (!error.retriable) {
      for (const batch of [...lane.queue]) this.#settle(batch, error)
      return
    }
    lane.failures += 1
    const { outside, backoff } = this.#options
    lane.retryAt = outside.clock.monotonic() + backoffMs(backoff, lane.failures, outside.random)
  }

  /** The next epoch of this producer; lanes that ask at the same time share one. */
  #freshIdentity(): Promise<ProducerIdentity> {
    const current = this.#identity
    const request =
      current === null ? { transactionalId: null } : { transactionalId: null, current }
    const { outside, requestTimeoutMs: ms } = this.#options
    this.#fresher ??= answerWithin(outside.timers, ms, 'a new epoch', () =>
      this.#log.initProducer(request),
    )
      .then(identity => {
        this.#identity = identity
        return identity
      })
      .finally(() => {
        this.#fresher = null
      })
    return this.#fresher
  }

  /** Sets the one timer to the next moment at which something is due. */
  #setTimer(now: number): void {
    let at = this.#events.wakeAt()
    for (const lane of this.#lanes) {
      const head = lane.queue[0]
      if (head !== undefined && !head.inFlight && !lane.resetting) at = Math.min(at, head.deadline)
      if (lane.retryAt > now) at = Math.min(at, lane.retryAt)
      // A moment that has passed needs no timer: the answer that makes room wakes the lane.
      const lingersUntil = (lane.openedAt ?? 0) + this.#options.lingerMs
      if (lane.openedAt !== null && lingersUntil > now) at = Math.min(at, lingersUntil)
    }
    if (this.#timer !== null && at === this.#timerAt) return
    this.#timer?.cancel()
    this.#timer = null
    this.#timerAt = at
    if (at === Number.POSITIVE_INFINITY) return
    this.#timer = this.#options.outside.timers.after(Math.max(0, at - now), () => {
      this.#timer = null
      this.#timerAt = Number.POSITIVE_INFINITY
      this.#pump()
    })
  }
}

const noAnswer = (): LogError => new LogError('UNKNOWN_SERVER_ERROR', 'no answer for this batch')

/** What the sender of one record hears: whether that record is to blame (KIP-467). */
function errorOfRecord(
  error: LogError,
  index: number,
  named: ReadonlyMap<number, string>,
): LogError {
  if (named.size === 0) return error
  const detail = named.get(index) ?? 'nothing is wrong with it, but with others of its batch'
  return new LogError(error.code, detail, error)
}

/** Retriable errors that say nothing about where the topic is. */
const isQuiet = (code: LogErrorCode): boolean =>
  code === 'THROTTLING_QUOTA_EXCEEDED' ||
  code === 'KAFKA_STORAGE_ERROR' ||
  code === 'CORRUPT_MESSAGE'

/**
 * Why a batch was not delivered in its time. What was refused each time is known not to be stored, and
 * why: that is told, not the time.
 */
function lateError(batch: PendingBatch, deliveryTimeoutMs: number): LogError {
  const { attempts, lastFailure, outcomeUnknown } = batch
  const tried = attempts === 0 ? 'never sent' : `tried ${attempts} times`
  const late = `not delivered in ${deliveryTimeoutMs} ms, ${tried}`
  if (lastFailure === undefined) return new LogError('REQUEST_TIMED_OUT', late)
  const why = `${late}, the last time: ${lastFailure.message}`
  return new LogError(outcomeUnknown ? 'REQUEST_TIMED_OUT' : lastFailure.code, why, lastFailure)
}
