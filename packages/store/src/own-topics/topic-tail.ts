/**
 * Follows one of the store's own topics: each record is applied once, in order, for as long as the
 * store is open.
 *
 * `caughtUp` is how others make sure that they look at the present: it asks the log for its end and
 * waits until that has been applied. A fetch that fails is tried again with backoff for ever, since
 * what this topic holds may come back; whoever waits is bounded by its own time. A position that the
 * topic no longer has ends the tail: what was below it can never be known.
 */
import { backoffMs, type Outside, sleep } from '@millrace/base'
import { decodeBatches, type Log, LogError, type LogRecord, type Offset } from '@millrace/log'

/** How a topic is followed. */
export type TopicTailOptions = {
  readonly log: Log
  readonly topic: string
  readonly outside: Outside
  /** Where to begin. */
  readonly from: Offset
  /** Longest wait of one fetch at the end of the topic, in ms. */
  readonly waitMs: number
  /** Most bytes of one fetch. */
  readonly fetchBytes: number
  /** Records in order, and the offset behind them; awaited before the next ones come. */
  readonly apply: (records: readonly LogRecord[], next: Offset) => void | Promise<void>
}

type Waiter = {
  readonly offset: Offset
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

const BACKOFF = { firstMs: 20, maxMs: 5000 }

/** Follows a topic of one partition. See the head of the file. */
export class TopicTail {
  readonly #options: TopicTailOptions
  readonly #stopping = new AbortController()
  #position: Offset
  #waiters: Waiter[] = []
  #ended: Error | null = null
  #running: Promise<void> | null = null

  constructor(options: TopicTailOptions) {
    this.#options = options
    this.#position = options.from
  }

  /** Everything below it has been applied. */
  get position(): Offset {
    return this.#position
  }

  /** Begins to follow. */
  start(): void {
    this.#running ??= this.#run().then(
      () => this.#end(closed()),
      error => this.#end(error as Error),
    )
  }

  /**
   * Resolves when all that was durable when it was called has been applied.
   *
   * @throws LogError REQUEST_TIMED_OUT after `timeoutMs`; what the log answered; why the tail ended
   */
  async caughtUp(timeoutMs: number): Promise<void> {
    const { log, topic } = this.#options
    if (this.#ended !== null) throw this.#ended
    const [answer] = await log.listOffsets([{ topic, partition: 0, place: 'latest' }])
    if (answer?.error !== undefined) throw answer.error
    await this.applied(answer?.offset ?? 0, timeoutMs)
  }

  /** Resolves when everything below `offset` has been applied. Throws as {@link caughtUp} does. */
  applied(offset: Offset, timeoutMs: number): Promise<void> {
    if (this.#position >= offset) return Promise.resolve()
    if (this.#ended !== null) return Promise.reject(this.#ended)
    return new Promise((resolve, reject) => {
      const { outside, topic } = this.#options
      const waiter: Waiter = {
        offset,
        resolve: () => {
          timer.cancel()
          resolve()
        },
        reject: error => {
          timer.cancel()
          reject(error)
        },
      }
      const timer = outside.timers.after(timeoutMs, () => {
        this.#waiters = this.#waiters.filter(other => other !== waiter)
        const where = `${topic} was read to ${this.#position}, not to ${offset}`
        reject(new LogError('REQUEST_TIMED_OUT', `${where} in ${timeoutMs} ms`))
      })
      this.#waiters.push(waiter)
    })
  }

  /** Ends the tail; what is being applied is finished. Whoever waits hears LOG_CLOSED. */
  async close(): Promise<void> {
    this.#stopping.abort()
    await this.#running
    this.#end(closed())
  }

  async #run(): Promise<void> {
    const { outside } = this.#options
    let failures = 0
    while (!this.#stopping.signal.aborted) {
      try {
        await this.#step()
        failures = 0
      } catch (error) {
        if (!(error instanceof LogError) || !error.retriable) throw error
        failures += 1
        await this.#pause(backoffMs(BACKOFF, failures, outside.random))
      }
    }
  }

  async #step(): Promise<void> {
    const { log, topic, waitMs, fetchBytes } = this.#options
    const position = this.#position
    const [result] = await log.fetch({
      positions: [{ topic, partition: 0, offset: position, maxBytes: fetchBytes }],
      minBytes: 1,
      maxBytes: fetchBytes,
      maxWaitMs: waitMs,
      isolation: 'read_committed',
      signal: this.#stopping.signal,
    })
    if (result?.error !== undefined) throw result.error
    const records: LogRecord[] = []
    let next = position
    for (const batch of decodeBatches(result?.records ?? Buffer.alloc(0))) {
      next = Math.max(next, batch.lastOffset + 1)
      if (batch.isControl) continue
      for (const record of batch.records()) if (record.offset >= position) records.push(record)
    }
    if (next === position) return
    await this.#options.apply(records, next)
    this.#position = next
    const reached = this.#waiters.filter(waiter => waiter.offset <= next)
    this.#waiters = this.#waiters.filter(waiter => waiter.offset > next)
    for (const waiter of reached) waiter.resolve()
  }

  #pause(ms: number): Promise<void> {
    return sleep(this.#options.outside.timers, ms, this.#stopping.signal)
  }

  #end(error: Error): void {
    this.#ended ??= error
    for (const waiter of this.#waiters.splice(0)) waiter.reject(this.#ended)
  }
}

const closed = (): LogError => new LogError('LOG_CLOSED', 'the store is closing')

/**
 * The one record at an offset; undefined when compaction has taken it.
 *
 * @throws LogError of the fetch
 */
export async function recordAt(
  log: Log,
  topic: string,
  offset: Offset,
): Promise<LogRecord | undefined> {
  // One byte: the one batch that holds the offset, whatever its size.
  const [result] = await log.fetch({
    positions: [{ topic, partition: 0, offset, maxBytes: 1 }],
    minBytes: 1,
    maxBytes: 1,
    maxWaitMs: 0,
    isolation: 'read_committed',
  })
  if (result?.error !== undefined) throw result.error
  for (const batch of decodeBatches(result?.records ?? Buffer.alloc(0))) {
    for (const record of batch.records()) if (record.offset === offset) return record
  }
  return undefined
}
