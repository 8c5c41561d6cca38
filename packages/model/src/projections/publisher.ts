/**
 * Moves changes from the outbox to their topic, a page at a time, one page at a time.
 *
 * Keyed by stream; changes of one stream lie in the outbox in order, because one part handles them,
 * and the producer keeps the order of a key. Failures are waited out: the outbox keeps what waits.
 */
import { backoffMs, type Outside, type SettingValues, sleep } from '@millrace/base'
import { createProducer, type Producer } from '@millrace/clients'
import type { Log } from '@millrace/log'
import { ModelError, reasonOf } from '../errors.ts'
import type { SqlDatabase } from '../sql/port.ts'
import { Ledger } from './ledger.ts'
import type { PROJECTION_SETTINGS } from './settings.ts'
import type { ProjectionContext } from './types.ts'

/** What a publisher needs. */
export type PublisherTools = {
  readonly projection: string
  readonly topic: string
  readonly sql: SqlDatabase
  readonly log: Log
  readonly outside: Outside
  readonly pageMax: number
  readonly waitingMax: number
  readonly partitions: number
  readonly retryMs: (failures: number) => number
  readonly onFailure: (reason: string) => void
}

export class Publisher {
  readonly #tools: PublisherTools
  readonly #ledger: Ledger
  #producer: Producer | undefined
  #waiting = 0
  #isAsked = false
  #signal: AbortSignal = AbortSignal.abort()
  #loop: Promise<void> | undefined
  #room: (() => void)[] = []
  #reason: string | undefined

  constructor(tools: PublisherTools) {
    this.#tools = tools
    this.#ledger = new Ledger(tools.sql)
  }

  /** Why nothing is published at the moment. */
  get reason(): string | undefined {
    return this.#reason
  }

  /** Begins with what an earlier run left. Ends with the signal; `ended` says when. */
  async start(signal: AbortSignal): Promise<void> {
    this.#waiting = await this.#within(ledger => ledger.outbox.count(this.#tools.projection))
    signal.addEventListener('abort', () => this.#makeRoom(), { once: true })
    this.#wake(signal)
  }

  /** More changes were committed, or a build took over. */
  added(changes: number, signal: AbortSignal): void {
    this.#waiting += changes
    this.#wake(signal)
  }

  /** Resolves when the outbox has room, or the signal fires. */
  async room(signal: AbortSignal): Promise<void> {
    while (this.#waiting > this.#tools.waitingMax && !signal.aborted) {
      await new Promise<void>(resolve => this.#room.push(resolve))
    }
  }

  /** Resolves when nothing is under way; the outbox keeps what was not sent. */
  async ended(): Promise<void> {
    while (this.#loop !== undefined) await this.#loop
    await this.#producer?.close().catch(() => undefined)
    this.#producer = undefined
  }

  /** @param signal of the round; a loop of the round before ends by itself, then this one begins */
  #wake(signal: AbortSignal): void {
    this.#isAsked = true
    this.#signal = signal
    this.#loop ??= this.#drain(signal).finally(() => {
      this.#loop = undefined
      if (this.#isAsked && !this.#signal.aborted) this.#wake(this.#signal)
    })
  }

  async #drain(signal: AbortSignal): Promise<void> {
    let failures = 0
    while (this.#isAsked && !signal.aborted) {
      this.#isAsked = false
      try {
        while (!signal.aborted && (await this.#page()) > 0) failures = 0
        this.#reason = undefined
      } catch (error) {
        failures += 1
        this.#isAsked = true
        this.#reason = `publishing: ${reasonOf(error)}`
        this.#tools.onFailure(this.#reason)
        await sleep(this.#tools.outside.timers, this.#tools.retryMs(failures), signal)
      }
    }
  }

  /** Sends a page; gives how many changes it had. */
  async #page(): Promise<number> {
    const { projection, topic, pageMax } = this.#tools
    const rows = await this.#within(async ledger => {
      const live = await ledger.live(projection)
      return live === undefined ? [] : ledger.outbox.oldest(projection, live, pageMax)
    })
    if (rows.length === 0) return 0
    const producer = await this.#connected()
    await producer.sendBatch(
      topic,
      rows.map(({ key, value }) => ({ key: Buffer.from(key), value: Buffer.from(value) })),
    )
    await this.#within(ledger => ledger.outbox.remove(rows.map(row => row.id)))
    this.#waiting = Math.max(0, this.#waiting - rows.length)
    this.#makeRoom()
    return rows.length
  }

  #makeRoom(): void {
    const waiting = this.#room
    this.#room = []
    for (const resolve of waiting) resolve()
  }

  async #connected(): Promise<Producer> {
    if (this.#producer !== undefined) return this.#producer
    const { log, outside, topic, partitions } = this.#tools
    if ((await log.describeTopics([topic])).length === 0) {
      const [outcome] = await log.createTopics([{ name: topic, partitions }])
      const error = outcome?.error
      if (error !== undefined && error.code !== 'TOPIC_ALREADY_EXISTS') throw error
    }
    this.#producer = createProducer(log, { outside })
    return this.#producer
  }

  #within<T>(work: (ledger: Ledger) => Promise<T>): Promise<T> {
    return this.#tools.sql.transaction(async session => {
      this.#ledger.attach(session)
      try {
        return await work(this.#ledger)
      } finally {
        this.#ledger.attach(undefined)
      }
    })
  }
}

/** The publisher of a projection. @throws ModelError BAD_DEFINITION without a log */
export function publisherOf(
  projection: string,
  topic: string,
  sql: SqlDatabase,
  { log, outside }: Pick<ProjectionContext, 'log' | 'outside'>,
  values: SettingValues<typeof PROJECTION_SETTINGS>,
  onFailure: (reason: string) => void,
): Publisher {
  if (log === undefined) {
    throw new ModelError('BAD_DEFINITION', `projection ${projection} publishes: it needs a log`)
  }
  const backoff = {
    firstMs: values['projection.retry.first.ms'],
    maxMs: values['projection.retry.longest.ms'],
  }
  return new Publisher({
    ...{ projection, topic, sql, log, outside },
    pageMax: values['projection.outbox.page'],
    waitingMax: values['projection.outbox.max'],
    partitions: values['projection.publish.partitions'],
    retryMs: failures => backoffMs(backoff, failures, outside.random),
    onFailure,
  })
}
