/**
 * Writes records that are about an append, a stream or the category and no events: settle, truncate,
 * archive, tombstone, identity. All of them may be written twice without harm, so an unknown outcome is simply tried
 * again; a call ends when the fold has passed its record.
 */

import { backoffMs, type Outside, sleep } from '@millrace/base'
import {
  type HeaderBlock,
  type Log,
  LogError,
  type Offset,
  RecordBatchBuilder,
  type Timestamp,
} from '@millrace/log'
import { failureOfLog, StoreError } from '../errors.ts'
import type { StreamVersion } from '../port.ts'
import type { ControlFacts } from '../rule/facts.ts'
import { type Bucket, placeOf } from './bucket.ts'

const BACKOFF_FIRST_MS = 20

/** Bounds of a control writer. */
export type ControlLimits = {
  readonly timeoutMs: number
  readonly retryMaxMs: number
  /** How long a caller waits for a log that fails, retriably. What settles an outcome waits on. */
  readonly patienceMs: number
}

/** An append to be cancelled. */
export type SettleTarget = {
  /** Stream key. */
  readonly stream: string
  readonly appendId: string
  /** That its first record claims. */
  readonly version: StreamVersion
}

type ControlRecord = {
  readonly key: string | null
  readonly headers: () => HeaderBlock
  /** Default: now. */
  readonly time?: Timestamp
}

/** See the head of the file. */
export class ControlWriter {
  readonly #log: Log
  readonly #limits: ControlLimits
  readonly #outside: Outside
  readonly #catchUp: (bucket: Bucket, offset: Offset) => Promise<void>
  readonly #closing: AbortSignal

  /** @param closing ends the attempts */
  constructor(
    log: Log,
    limits: ControlLimits,
    outside: Outside,
    closing: AbortSignal,
    catchUp: (bucket: Bucket, offset: Offset) => Promise<void>,
  ) {
    this.#log = log
    this.#limits = limits
    this.#outside = outside
    this.#closing = closing
    this.#catchUp = catchUp
  }

  /** Cancels appends: when this resolves each is accepted or can never be. */
  settle(bucket: Bucket, targets: readonly SettleTarget[]): Promise<void> {
    const { headers } = bucket.category
    return this.#write(
      bucket,
      targets.map(({ stream, appendId, version }) => {
        const nul = stream.indexOf('\0')
        return {
          key: stream.slice(nul + 1),
          headers: () => headers.settle(stream.slice(0, nul), appendId, version),
        }
      }),
      Number.POSITIVE_INFINITY,
    )
  }

  /** Says something about a stream as a whole. */
  control(
    bucket: Bucket,
    kind: ControlFacts['kind'],
    stream: { readonly tenant: string; readonly id: string },
    recordId: string,
    before: number,
  ): Promise<void> {
    const { headers } = bucket.category
    return this.#write(bucket, [
      { key: stream.id, headers: () => headers.control(kind, stream.tenant, recordId, before) },
    ])
  }

  /** Says what the category is, in a bucket that does not say it; who is first counts. */
  identify(bucket: Bucket, id: string): Promise<void> {
    const { headers, bucketCount, boundary } = bucket.category
    return this.#write(bucket, [
      // Of no time: what is looked up by time must not find it before events that were imported.
      { key: null, headers: () => headers.identity(id, bucketCount, boundary), time: 0 },
    ])
  }

  async #write(
    bucket: Bucket,
    records: readonly ControlRecord[],
    patienceMs: number = this.#limits.patienceMs,
  ): Promise<void> {
    if (records.length === 0) return
    const { clock } = this.#outside
    const begun = clock.monotonic()
    const backoff = { firstMs: BACKOFF_FIRST_MS, maxMs: this.#limits.retryMaxMs }
    for (let failures = 1; ; failures++) {
      try {
        await this.#catchUp(bucket, await this.#tryWrite(bucket, records))
        return
      } catch (error) {
        if (error instanceof StoreError) throw error
        // No waiting mends what the log refuses.
        const isFinal = error instanceof LogError && !error.retriable
        if (isFinal || clock.monotonic() - begun >= patienceMs) {
          throw failureOfLog(placeOf(bucket), error)
        }
        if (this.#closing.aborted) throw new StoreError('STORE_CLOSED', undefined, { cause: error })
        const wait = backoffMs(backoff, failures, this.#outside.random)
        await sleep(this.#outside.timers, wait, this.#closing)
      }
    }
  }

  /** Returns the offset after the records. */
  async #tryWrite(bucket: Bucket, records: readonly ControlRecord[]): Promise<number> {
    const builder = new RecordBatchBuilder()
    const now = this.#outside.clock.now()
    for (const { key, headers, time = now } of records) {
      builder.append({ key, value: null, headers: headers(), timestamp: time }, now)
    }
    const { topic } = bucket.category
    const [result] = await this.#log.append(
      [{ topic, partition: bucket.number, batch: builder.finish() }],
      { timeoutMs: this.#limits.timeoutMs },
    )
    if (result === undefined) throw new LogError('UNKNOWN_SERVER_ERROR', 'no answer to an append')
    if (result.error !== undefined) throw result.error
    return result.baseOffset + records.length
  }
}
