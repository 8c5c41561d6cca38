/**
 * The tail: brings what others write to all buckets. One fetch over all of them waits at the end of
 * the log; what this store wrote itself has been folded by then and is passed over.
 *
 * `catchUp` brings one bucket to a place at once, beside the loop: both may bring the same records,
 * since a bucket takes each offset once.
 *
 * A fetch looks at partitions one after the other, so it may bring an event without the one of another
 * bucket that caused it, if both came meanwhile. So what others wrote is *confirmed* by a further look
 * at all buckets: whatever was in the log before it is folded then. Who reads several buckets is given
 * nothing that is not confirmed. Own records need none, as long as everything else is confirmed.
 */
import { backoffMs, type Outside, sleep } from '@millrace/base'
import { decodeBatches, type FetchResult, type Log, LogError, type Offset } from '@millrace/log'
import { failureOfLog, StoreError } from '../errors.ts'
import { type Bucket, placeOf } from './bucket.ts'
import type { Flusher } from './flusher.ts'

/** Bounds of a tail. */
export type TailLimits = {
  readonly waitMs: number
  readonly pauseMs: number
  readonly fetchBytes: number
  /** How long a log that fails, retriably, is asked again before a caller is told. */
  readonly patienceMs: number
}

/** What is in the log, by its own word, is not given. */
const NOTHING_CAME = new LogError('OFFSET_NOT_AVAILABLE', 'the log gives nothing')

const BACKOFF = { firstMs: 10, maxMs: 2000 } as const

/** See the head of the file. */
export class Tail {
  readonly #log: Log
  readonly #buckets: readonly Bucket[]
  readonly #limits: TailLimits
  readonly #outside: Outside
  readonly #flusher: Flusher
  readonly #advanced: () => void
  readonly #closing = new AbortController()
  readonly #byPlace = new Map<string, Bucket>()
  #loop: Promise<void> = Promise.resolve()
  /** Buckets with records of others that are not confirmed, and the offset behind these. */
  readonly #unconfirmed: Map<Bucket, Offset>
  #looking: Promise<void> | undefined

  /** @param advanced called after records were folded, or the end of a bucket became known */
  constructor(
    log: Log,
    buckets: readonly Bucket[],
    limits: TailLimits,
    outside: Outside,
    flusher: Flusher,
    advanced: () => void,
  ) {
    this.#log = log
    this.#buckets = buckets
    this.#limits = limits
    this.#outside = outside
    this.#flusher = flusher
    this.#advanced = advanced
    this.#unconfirmed = new Map(buckets.map(bucket => [bucket, bucket.position]))
    for (const bucket of buckets)
      this.#byPlace.set(keyOf(bucket.category.topic, bucket.number), bucket)
  }

  /** Brings buckets to the end of the log as it is now, and confirms what is there. */
  async catchUpAll(buckets: readonly Bucket[] = this.#buckets): Promise<void> {
    await this.catchUpToEnd(buckets)
    const targets = buckets.map(bucket => [bucket, bucket.position] as const)
    // The look that is under way may have begun before; the next one has not.
    while (targets.some(([bucket, end]) => bucket.failure === null && bucket.confirmed < end)) {
      await this.#confirm()
    }
  }

  /** Brings buckets to the end of the log as it is now. */
  async catchUpToEnd(buckets: readonly Bucket[]): Promise<void> {
    await this.#look(buckets)
    for (const { failure } of buckets) if (failure !== null) throw failure
  }

  /** Brings a bucket to an offset that is in the log, however long that takes: an outcome hangs on it. */
  async catchUp(bucket: Bucket, offset: Offset): Promise<void> {
    await this.#bring(bucket, offset, Number.POSITIVE_INFINITY)
    this.#confirm().catch(() => undefined) // the loop comes to it, and tells
  }

  /** This store has folded what it wrote itself. */
  folded(bucket: Bucket): void {
    // Everything that it can have known is confirmed; else the look that is due confirms it, too.
    if (this.#unconfirmed.size === 0) bucket.confirmed = bucket.position
    this.#advanced()
  }

  async #bring(bucket: Bucket, offset: Offset, patienceMs?: number): Promise<void> {
    const patience = this.#patience(patienceMs)
    while (bucket.position < offset) {
      if (bucket.failure !== null) throw bucket.failure
      if (this.#closing.signal.aborted) throw new StoreError('STORE_CLOSED')
      const before = bucket.position
      const result = await this.#fetchOne(bucket)
      const error = result?.error
      if (error !== undefined && !error.retriable) throw failureOfLog(placeOf(bucket), error)
      if (result !== undefined && error === undefined) await this.#take(bucket, result)
      this.#advanced()
      if (bucket.position > before) patience.afterSuccess()
      else await patience.afterFailure(failureOfLog(placeOf(bucket), error ?? NOTHING_CAME))
    }
  }

  /** Begins to follow. */
  start(): void {
    this.#loop = this.#follow()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#loop
  }

  async #follow(): Promise<void> {
    const { signal } = this.#closing
    for (let failures = 0; !signal.aborted; ) {
      const alive = this.#buckets.filter(bucket => bucket.failure === null)
      if (alive.length === 0) return
      try {
        const fresh = await this.#round(alive)
        failures = 0
        if (!fresh) await this.#wait(this.#limits.pauseMs)
      } catch (error) {
        if (signal.aborted) return
        if (isClosed(error)) {
          for (const bucket of alive) this.#fail(bucket, error)
          return
        }
        failures += 1
        await this.#wait(backoffMs(BACKOFF, failures, this.#outside.random))
      }
    }
  }

  #wait(ms: number): Promise<void> {
    return sleep(this.#outside.timers, ms, this.#closing.signal)
  }

  /** One fetch; says whether it brought something new, or waited. */
  async #round(buckets: readonly Bucket[]): Promise<boolean> {
    const waitMs = this.#unconfirmed.size > 0 ? 0 : this.#limits.waitMs
    const results = await this.#fetch(buckets, waitMs)
    let bytes = 0
    let applied = 0
    let trouble: LogError | undefined
    for (const result of results) {
      const bucket = this.#byPlace.get(keyOf(result.topic, result.partition))
      if (bucket === undefined || bucket.failure !== null) continue
      if (result.error !== undefined) {
        if (result.error.retriable) trouble = result.error
        else this.#fail(bucket, result.error)
        continue
      }
      bytes += result.records.length
      applied += await this.#take(bucket, result)
    }
    this.#advanced()
    if (trouble !== undefined) throw trouble
    await this.#confirm()
    return applied > 0 || bytes === 0
  }

  /** Looks at all buckets once more: what was folded when it began is confirmed then. */
  #confirm(): Promise<void> {
    if (this.#unconfirmed.size === 0) return Promise.resolve()
    this.#looking ??= this.#lookOnce().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  async #lookOnce(): Promise<void> {
    const cut = new Map(this.#buckets.map(bucket => [bucket, bucket.position]))
    const alive = this.#buckets.filter(bucket => bucket.failure === null)
    // What a store of one bucket reads is in order as it is.
    if (this.#buckets.length > 1) await this.#look(alive, 'pass over')
    for (const [bucket, end] of this.#unconfirmed) {
      if (end <= (cut.get(bucket) as Offset) || bucket.failure !== null) {
        this.#unconfirmed.delete(bucket)
      }
    }
    const isWhole = this.#unconfirmed.size === 0
    for (const [bucket, position] of cut) {
      bucket.confirmed = Math.max(bucket.confirmed, isWhole ? bucket.position : position)
    }
    this.#advanced()
  }

  /**
   * Folds everything of these buckets that is in the log now. One that does not answer in time fails it,
   * or is passed over: nobody else waits for it for ever.
   */
  async #look(buckets: readonly Bucket[], absent: 'fail' | 'pass over' = 'fail'): Promise<void> {
    const ends = await this.#ends(buckets, absent)
    for (const [i, bucket] of buckets.entries()) {
      try {
        await this.#bring(bucket, ends[i] as Offset)
      } catch (error) {
        if (absent === 'fail' || !(error instanceof StoreError)) throw error
        if (error.code !== 'LOG_UNAVAILABLE' && bucket.failure === null) throw error
      }
    }
  }

  /** Where the buckets end in the log. */
  async #ends(
    buckets: readonly Bucket[],
    absent: 'fail' | 'pass over',
  ): Promise<readonly Offset[]> {
    const patience = this.#patience()
    for (;;) {
      try {
        const answers = await this.#log.listOffsets(
          buckets.map(({ category, number }) => ({
            topic: category.topic,
            partition: number,
            place: 'latest' as const,
          })),
        )
        const passing = answers.find(({ error }) => error?.retriable)?.error
        if (passing !== undefined && (absent === 'fail' || !patience.isOver())) throw passing
        return answers.map(({ error, offset }, i) => {
          if (error === undefined) return offset
          const bucket = buckets[i] as Bucket
          if (!error.retriable) this.#fail(bucket, error)
          return bucket.position
        })
      } catch (cause) {
        const error = cause instanceof LogError ? failureOfLog('the ends of buckets', cause) : cause
        await patience.afterFailure(error)
      }
    }
  }

  /** Waits after failures that may pass, longer each time, and throws them when it has been too long. */
  #patience(patienceMs = this.#limits.patienceMs) {
    const { clock, random } = this.#outside
    let failures = 0
    let since = clock.monotonic()
    const isOver = (): boolean => clock.monotonic() - since >= patienceMs
    return {
      isOver,
      afterSuccess: () => {
        failures = 0
        since = clock.monotonic()
      },
      afterFailure: async (error: unknown): Promise<void> => {
        const mayPass = error instanceof StoreError && error.code === 'LOG_UNAVAILABLE'
        if (!mayPass || isOver()) throw error
        failures += 1
        await this.#wait(backoffMs(BACKOFF, failures, random))
        if (this.#closing.signal.aborted) throw new StoreError('STORE_CLOSED')
      },
    }
  }

  /** Undefined: the call failed, and may be made again. */
  async #fetchOne(bucket: Bucket): Promise<FetchResult | undefined> {
    try {
      const [result] = await this.#fetch([bucket], 0)
      return result
    } catch (error) {
      if (error instanceof LogError && error.retriable) return undefined
      throw error
    }
  }

  #fetch(buckets: readonly Bucket[], maxWaitMs: number): Promise<readonly FetchResult[]> {
    return this.#log.fetch({
      positions: buckets.map(bucket => ({
        topic: bucket.category.topic,
        partition: bucket.number,
        offset: bucket.position,
        maxBytes: this.#limits.fetchBytes,
      })),
      minBytes: 1,
      maxBytes: this.#limits.fetchBytes,
      maxWaitMs,
      isolation: 'read_uncommitted',
      signal: this.#closing.signal,
    })
  }

  async #take(bucket: Bucket, result: FetchResult): Promise<number> {
    bucket.endOffset = Math.max(bucket.endOffset, result.highWatermark)
    let applied = 0
    try {
      for (const batch of decodeBatches(result.records, { from: bucket.position })) {
        applied += bucket.applyBatch(batch)
      }
    } catch (error) {
      this.#fail(bucket, error)
      throw bucket.failure ?? error
    }
    if (applied > 0) this.#unconfirmed.set(bucket, bucket.position)
    await this.#flusher.noted()
    return applied
  }

  #fail(bucket: Bucket, error: unknown): void {
    bucket.fail(error instanceof StoreError ? error : failureOfLog(placeOf(bucket), error))
    this.#advanced()
  }
}

const keyOf = (topic: string, partition: number): string => `${topic}/${partition}`

const isClosed = (error: unknown): boolean =>
  error instanceof LogError && error.code === 'LOG_CLOSED'
