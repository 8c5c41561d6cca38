/**
 * The audit's records on their way to `<prefix>audit`.
 *
 *     record ─► waiting (bounded) ─► the topic, in order, tried again until it is stored
 *
 * Nothing is ever dropped: when the topic cannot be written, records wait, and when too many wait,
 * whoever would make another one waits too. A record can be there twice when an answer was lost; its
 * id tells. Who needs to know that it is stored can wait for that, within a bound.
 */

import { backoffMs, type Outside, sleep } from '@millrace/base'
import { createProducer, type Producer } from '@millrace/clients'
import type { Log, Timestamp } from '@millrace/log'
import { StoreError } from '../errors.ts'
import { ensureOwnTopic } from '../own-topics/own-topic.ts'
import type { StreamVersion } from '../port.ts'

/** What was done. */
export type AuditAction =
  | 'append'
  | 'read'
  | 'follow'
  | 'aggregate'
  | 'state'
  | 'event'
  | 'read-all'
  | 'search'
  | 'streams'
  | 'truncate'
  | 'archive'
  | 'unarchive'
  | 'tombstone'
  | 'forget'

/** One call, as it is recorded. Never holds data of events, nor the subject of a `forget`. */
export type AuditEntry = {
  readonly action: AuditAction
  /** Null: nobody was named. */
  readonly actor: string | null
  readonly outcome: 'ok' | 'conflict' | 'failed'
  /** Of the error, with `failed`. */
  readonly code?: string
  /** Null: all tenants. */
  readonly tenant: string | null
  readonly categories: readonly string[]
  readonly stream?: string
  /** The stream's version that was found or made. */
  readonly version?: StreamVersion
  /** Events written. */
  readonly events?: number
  readonly commandId?: string
  /** What of a stream was asked for. */
  readonly from?: number
  readonly to?: number
}

/** A record of the topic: an entry, its id, and when it was made, ms since the epoch. */
export type AuditRecord = AuditEntry & {
  readonly v: 1
  readonly id: string
  readonly time: Timestamp
}

/** With what the audit is kept. */
export type AuditLogOptions = {
  readonly log: Log
  /** Name of the audit topic. */
  readonly topic: string
  readonly outside: Outside
  /** Most records that wait: `audit.queue.max`. */
  readonly queueMax: number
  /** Longest wait for a record to be stored: `audit.timeout.ms`. */
  readonly timeoutMs: number
}

type Waiting = { readonly value: string; readonly time: Timestamp; readonly stored: () => void }

/** Records that go to the log at once. */
const ROUND = 500
const BACKOFF = { firstMs: 50, maxMs: 5000 }
const ID_BYTES = 12

/** Keeps the audit. See the head of the file. */
export class AuditLog {
  readonly #options: AuditLogOptions
  readonly #producer: Producer
  #waiting: Waiting[] = []
  #forRoom: (() => void)[] = []
  #pumping: Promise<void> | null = null
  #failure: unknown
  #stopped = false

  private constructor(options: AuditLogOptions) {
    this.#options = options
    const { log, outside, timeoutMs } = options
    this.#producer = createProducer(log, {
      outside,
      deliveryTimeoutMs: timeoutMs,
      blockMsMax: timeoutMs,
    })
  }

  /** Creates the topic if need be. @throws StoreError BAD_TOPIC, STORE_FAILED */
  static async open(options: AuditLogOptions): Promise<AuditLog> {
    const { log, topic, outside } = options
    const configs = { 'cleanup.policy': 'delete', 'retention.ms': '-1', 'retention.bytes': '-1' }
    const required = { 'cleanup.policy': 'delete' }
    await ensureOwnTopic(log, { name: topic, configs, required }, outside)
    return new AuditLog(options)
  }

  /** Records that are not stored yet. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Takes a record; waits while too many are on their way. @throws StoreError STORE_CLOSED */
  async add(entry: AuditEntry): Promise<void> {
    while (this.#waiting.length >= this.#options.queueMax && !this.#stopped) await this.#room()
    if (this.#stopped) throw new StoreError('STORE_CLOSED')
    this.#push(entry, () => undefined)
  }

  /**
   * Takes a record, and resolves when it is stored.
   *
   * @throws StoreError AUDIT_UNAVAILABLE after `timeoutMs`; it may still be stored later.
   *   STORE_CLOSED
   */
  store(entry: AuditEntry): Promise<void> {
    const { outside, timeoutMs, queueMax } = this.#options
    return new Promise((resolve, reject) => {
      let late = false
      const timer = outside.timers.after(timeoutMs, () => {
        late = true
        reject(this.#unavailable(`it was not stored in ${timeoutMs} ms`))
      })
      const take = (): void => {
        if (late) return
        if (this.#stopped) {
          timer.cancel()
          reject(new StoreError('STORE_CLOSED'))
          return
        }
        if (this.#waiting.length >= queueMax) {
          void this.#room().then(take)
          return
        }
        this.#push(entry, () => {
          timer.cancel()
          resolve()
        })
      }
      take()
    })
  }

  /**
   * Stores what waits, and ends.
   *
   * @throws StoreError AUDIT_UNAVAILABLE when records could not be stored in `timeoutMs`
   */
  async close(): Promise<void> {
    const { outside, timeoutMs } = this.#options
    const timer = outside.timers.after(timeoutMs, () => {
      this.#stopped = true
      void this.#producer.close().catch(() => undefined)
    })
    while (this.#pumping !== null && !this.#stopped) await this.#pumping
    timer.cancel()
    this.#stopped = true
    await this.#producer.close().catch(() => undefined)
    for (const resolve of this.#forRoom.splice(0)) resolve()
    const lost = this.#waiting.length
    if (lost > 0) throw this.#unavailable(`${lost} records could not be stored before the end`)
  }

  #room(): Promise<void> {
    return new Promise(resolve => this.#forRoom.push(resolve))
  }

  #push(entry: AuditEntry, stored: () => void): void {
    const { clock, random } = this.#options.outside
    const time = clock.now()
    const id = random.bytes(ID_BYTES).toString('base64url')
    const record: AuditRecord = { v: 1, id, time, ...entry }
    this.#waiting.push({ value: JSON.stringify(record), time, stored })
    this.#pumping ??= this.#pump()
  }

  async #pump(): Promise<void> {
    const { topic, outside } = this.#options
    let failures = 0
    while (this.#waiting.length > 0 && !this.#stopped) {
      const round = this.#waiting.slice(0, ROUND)
      const records = round.map(({ value, time }) => ({ value, timestamp: time }))
      try {
        await this.#producer.sendBatch(topic, records)
      } catch (cause) {
        this.#failure = cause
        failures += 1
        const ms = backoffMs(BACKOFF, failures, outside.random)
        await sleep(outside.timers, ms)
        continue
      }
      failures = 0
      this.#failure = undefined
      this.#waiting = this.#waiting.slice(round.length)
      for (const { stored } of round) stored()
      for (const resolve of this.#forRoom.splice(0)) resolve()
    }
    // In the same step as the last look at what waits: who comes now begins anew.
    this.#pumping = null
  }

  #unavailable(why: string): StoreError {
    const cause = this.#failure
    return new StoreError(
      'AUDIT_UNAVAILABLE',
      `the audit record cannot be stored on ${this.#options.topic}: ${why}`,
      cause === undefined ? undefined : { cause },
    )
  }
}
