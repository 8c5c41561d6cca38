/**
 * One partition as a producer sees it: the batch that is being filled, the closed batches that are
 * not yet stored, and the sequence numbers.
 *
 *     open ──close──► queue (oldest first): in flight │ waiting for a retry │ never sent
 *
 * A batch stays in the queue, at its place, until it is stored or given up, so the order in the
 * partition is the order of the calls. While a batch waits for a retry nothing new is sent, and
 * retries go one at a time: the five batches that the log remembers are then always enough.
 *
 * A sequence number that was given away and then not stored leaves a gap that the log refuses for
 * ever. Then the lane starts over: a new epoch, numbers from 0, for the batches that the log has
 * refused or never seen. A batch of which nobody knows whether it is stored is never renumbered,
 * because that could store it twice; it is given up, and its sender is told.
 */

import type { LogError, NewRecord } from '@millrace/log'
import {
  attributesOf,
  type BatchBuilderOptions,
  baseTimestampOf,
  lastOffsetDeltaOf,
  maxTimestampOf,
  NO_LEADER_EPOCH,
  type Offset,
  type ProducerIdentity,
  RecordBatchBuilder,
  recordCountOf,
  setBatchPosition,
  type Timestamp,
  writeBatchHeader,
} from '@millrace/log'

const SEQUENCE_MAX = 2 ** 31 - 1

/**
 * Hears of one record: where it is stored, or why not. `offset` and `appendTime` are -1 where there
 * is none, `appendTime` also on topics that keep the records' own times.
 */
export type Delivery = (
  error: LogError | null,
  offset: Offset,
  appendTime: Timestamp,
  partition: number,
) => void

/** A closed batch that is not yet stored. */
export type PendingBatch = {
  readonly lane: Lane
  /** Rises over all lanes of a producer, in the order in which batches were begun. */
  readonly id: number
  readonly bytes: Buffer
  readonly recordCount: number
  /** What the batch takes of the producer's buffer bound. */
  readonly bufferedBytes: number
  /** Monotonic ms after which it is given up. */
  readonly deadline: number
  readonly deliveries: readonly { readonly index: number; readonly delivery: Delivery }[]
  attempts: number
  /** Why the last attempt failed; it is tried again. */
  lastFailure: LogError | undefined
  inFlight: boolean
  /** Whether an attempt ended without saying if the batch is stored. */
  outcomeUnknown: boolean
}

type OpenBatch = {
  readonly id: number
  readonly openedAt: number
  readonly deliveries: { readonly index: number; readonly delivery: Delivery }[]
}

/** See the head of the file. */
export class Lane {
  readonly topic: string
  readonly partition: number
  /** Closed batches, oldest first. */
  readonly queue: PendingBatch[] = []
  inFlight = 0
  /** Failed tries since the last success. */
  failures = 0
  /** Fresh starts since the last success. */
  resets = 0
  /** Monotonic ms before which nothing is sent. */
  retryAt = 0
  /** Whether the lane must start over before it sends again. */
  mustReset = false
  resetting = false
  #builder: RecordBatchBuilder
  #open: OpenBatch | null = null
  #identity: ProducerIdentity | null = null
  #nextSequence = 0
  #known = false

  constructor(topic: string, partition: number, options: BatchBuilderOptions) {
    this.topic = topic
    this.partition = partition
    this.#builder = new RecordBatchBuilder(options)
  }

  get identity(): ProducerIdentity | null {
    return this.#identity
  }

  /** Bytes of the open batch, 0 without one. */
  get openBytes(): number {
    return this.#open === null ? 0 : this.#builder.bytes
  }

  /** Monotonic ms at which the open batch was begun, null without one. */
  get openedAt(): number | null {
    return this.#open?.openedAt ?? null
  }

  /** The id of the open batch, null without one. */
  get openId(): number | null {
    return this.#open?.id ?? null
  }

  /** Adds a record to the open batch; returns the bytes it took. Throws as the builder does. */
  append(
    record: NewRecord,
    timestamp: Timestamp,
    opened: { readonly id: number; readonly at: number },
    delivery: Delivery | undefined,
  ): number {
    const before = this.openBytes
    const index = this.#builder.append(record, timestamp)
    this.#open ??= { id: opened.id, openedAt: opened.at, deliveries: [] }
    if (delivery !== undefined) this.#open.deliveries.push({ index, delivery })
    return this.#builder.bytes - before
  }

  /** Closes the open batch, if any: it gets its numbers and joins the queue. */
  close(identity: ProducerIdentity | null, deliveryTimeoutMs: number): PendingBatch | null {
    const open = this.#open
    if (open === null) return null
    // A newer epoch is taken over only when no batch of the older one can still be answered.
    if (this.queue.length === 0 && this.#identity !== identity) this.#startAt(identity)
    const recordCount = this.#builder.count
    const bufferedBytes = this.#builder.bytes
    const producer = this.#identity
    const bytes = this.#builder.finish(
      producer === null ? {} : { producer, baseSequence: this.#nextSequence },
    )
    this.#open = null
    this.#nextSequence = sequenceAfter(this.#nextSequence, recordCount)
    const batch: PendingBatch = {
      lane: this,
      id: open.id,
      bytes,
      recordCount,
      bufferedBytes,
      deadline: open.openedAt + deliveryTimeoutMs,
      deliveries: open.deliveries,
      attempts: 0,
      lastFailure: undefined,
      inFlight: false,
      outcomeUnknown: false,
    }
    this.queue.push(batch)
    return batch
  }

  /** Whether a batch waits for its retry. */
  get recovering(): boolean {
    const head = this.queue[0]
    return head !== undefined && this.queue.some(batch => batch.attempts > 0 && !batch.inFlight)
  }

  /** The batch to send next, if the lane may send now. */
  next(now: number, inFlightMax: number): PendingBatch | null {
    if (this.mustReset || this.resetting || now < this.retryAt) return null
    if (this.recovering) return this.inFlight === 0 ? (this.queue[0] ?? null) : null
    // A log that knows nothing of a producer takes any first number: until it has stored one batch,
    // a second in flight could get in before the first.
    if (this.inFlight >= (this.#known ? inFlightMax : 1)) return null
    return this.queue[this.inFlight] ?? null
  }

  /** Readies a batch for an attempt. */
  begin(batch: PendingBatch): void {
    // A log may have written its place into the bytes in an attempt that failed.
    if (batch.attempts > 0) setBatchPosition(batch.bytes, 0, 0, NO_LEADER_EPOCH)
    batch.attempts += 1
    batch.inFlight = true
    this.inFlight += 1
  }

  /** Notes that an attempt has ended. */
  end(batch: PendingBatch): void {
    batch.inFlight = false
    this.inFlight -= 1
  }

  /** Takes a batch out of the queue. */
  remove(batch: PendingBatch): void {
    const at = this.queue[0] === batch ? 0 : this.queue.indexOf(batch)
    if (at >= 0) this.queue.splice(at, 1)
  }

  /** Notes that the log has stored a batch under the present numbers. */
  stored(): void {
    this.#known = true
    this.failures = 0
    this.resets = 0
  }

  /** Starts over as `identity`: every batch of the queue gets new numbers. */
  renumber(identity: ProducerIdentity): void {
    this.#startAt(identity)
    for (const batch of this.queue) {
      stamp(batch.bytes, identity, this.#nextSequence)
      this.#nextSequence = sequenceAfter(this.#nextSequence, batch.recordCount)
      batch.attempts = 0
    }
    this.mustReset = false
  }

  #startAt(identity: ProducerIdentity | null): void {
    this.#identity = identity
    this.#nextSequence = 0
    this.#known = false
  }
}

/** Sequence numbers go on from 0 after 2^31 - 1, also inside a batch. */
const sequenceAfter = (sequence: number, count: number): number =>
  (sequence + count) % (SEQUENCE_MAX + 1)

/** Writes a producer's numbers into a finished batch, and its new checksum. */
function stamp(batch: Buffer, producer: ProducerIdentity, baseSequence: number): void {
  writeBatchHeader(batch, {
    baseOffset: 0,
    leaderEpoch: NO_LEADER_EPOCH,
    attributes: attributesOf(batch),
    lastOffsetDelta: lastOffsetDeltaOf(batch),
    baseTimestamp: baseTimestampOf(batch),
    maxTimestamp: maxTimestampOf(batch),
    producerId: producer.producerId,
    producerEpoch: producer.producerEpoch,
    baseSequence,
    recordCount: recordCountOf(batch),
  })
}
