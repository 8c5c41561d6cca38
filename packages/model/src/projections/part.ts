/**
 * One part of a build: follows the events of its buckets and handles them a page at a time.
 *
 * What it keeps in memory (checkpoint, revision, parked streams) is only a copy: it is read when
 * the part starts, and a part whose copy is stale finds out when it moves the checkpoint.
 */
import type { Checkpoint, EventPage, ReadAllOptions } from '@millrace/store'
import { ModelError, reasonOf } from '../errors.ts'
import { Mutex } from '../sql/mutex.ts'
import type { HandlerTrouble } from './handler-watch.ts'
import { isForeign, PageHandler, type PageOutcome, PageSplit, type PageTools } from './page.ts'
import { type StreamKey, streamKeyText } from './parking.ts'
import { partOf } from './positions.ts'
import type { ProjectionContext, Redriven } from './types.ts'

/** What a part is made of. */
export type PartTools = Omit<PageTools, 'backOff'> & {
  readonly context: Pick<ProjectionContext, 'store' | 'outside'>
  readonly categories: readonly string[]
  /** Undefined: as large as the store's pages are. */
  readonly pageSize: number | undefined
  readonly idleMs: number
  readonly backOff: (attempt: number, signal: AbortSignal) => Promise<void>
  /** Told after each page that was committed, or passed without events of interest. */
  readonly onPage: (part: Part, outcome: PageOutcome, signal: AbortSignal) => Promise<void>
}

/** Where pages are as large as the store's are. */
const USUAL_PAGE = 1000

const IDLE: PageOutcome = { handled: 0, parked: [], changes: 0 }

export class Part {
  readonly index: number
  readonly #tools: PartTools
  readonly #pages: PageHandler
  readonly #mutex = new Mutex()
  #signal: AbortSignal = AbortSignal.abort()
  #checkpoint: Checkpoint | null = null
  #revision = 0
  #writtenAt = 0
  readonly #parked = new Set<string>()
  #isCaughtUp = false
  /** Sizes of the pages to come, after a page was split; then they double up to the usual one. */
  #sizes: number[] = []

  constructor(tools: PartTools) {
    this.#tools = tools
    this.index = tools.part
    this.#pages = new PageHandler({
      ...tools,
      backOff: attempt => tools.backOff(attempt, this.#signal),
    })
  }

  /** Below it everything is handled or parked; null before the first page. */
  get checkpoint(): Checkpoint | null {
    return this.#checkpoint
  }

  /** Everything that was decided when the last page was read is handled. */
  get isCaughtUp(): boolean {
    return this.#isCaughtUp
  }

  /** What its handlers are in trouble with. */
  get trouble(): HandlerTrouble {
    return this.#tools.watch.trouble()
  }

  /** Streams that it passes over. */
  get parkedCount(): number {
    return this.#parked.size
  }

  /** Reads where it is. @throws ModelError CHECKPOINT_MOVED when its build is gone */
  load(): Promise<void> {
    return this.#mutex.run(() => this.#load())
  }

  async #load(): Promise<void> {
    const { sql, ledger, build } = this.#tools
    await sql.transaction(async session => {
      ledger.attach(session)
      const progress = (await ledger.progress(build))[this.index]
      if (progress === undefined) throw this.#gone()
      this.#checkpoint = progress.checkpoint
      this.#revision = progress.revision
      this.#parked.clear()
      for (const row of await ledger.parking.list(build)) {
        if (row.part === this.index) this.#parked.add(streamKeyText(row))
      }
    })
    this.#writtenAt = this.#tools.context.outside.clock.monotonic()
  }

  /** Follows until the signal fires. Throws what the store or the database throw. */
  async run(signal: AbortSignal): Promise<void> {
    this.#signal = signal
    this.#tools.watch.stopping = signal
    try {
      while (!signal.aborted) await this.#follow(signal)
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      this.#tools.watch.stopping = undefined
    }
  }

  /** Follows until the size of pages changes. */
  async #follow(signal: AbortSignal): Promise<void> {
    const { context, categories } = this.#tools
    const [size] = this.#sizes
    const options = await this.#readOptions(signal, size)
    for await (const page of context.store.readAll(categories, options)) {
      if (signal.aborted) return
      let outcome: PageOutcome
      try {
        outcome = await this.#mutex.run(() => this.#handle(page))
      } catch (error) {
        if (!(error instanceof PageSplit)) throw error
        const before = page.events.indexOf(error.event)
        this.#sizes = before > 0 ? [before, 1] : [1]
        return
      }
      this.#isCaughtUp = page.caughtUp
      await this.#tools.onPage(this, outcome, signal)
      if (signal.aborted) return
      if (size === undefined) continue
      this.#sizes.shift()
      const usual = this.#tools.pageSize ?? USUAL_PAGE
      if (this.#sizes.length === 0 && size * 2 < usual) this.#sizes.push(size * 2)
      return
    }
    if (size === undefined) return
    // A read that follows ends by its signal only.
    signal.throwIfAborted()
  }

  /** Handles what was passed over of a parked stream; all of it, or it stays parked. */
  redrive(key: StreamKey): Promise<Redriven> {
    return this.#mutex.run(() => this.#redrive(key))
  }

  async #readOptions(signal: AbortSignal, size: number | undefined): Promise<ReadAllOptions> {
    const { context, build, handlers } = this.#tools
    const pageSize = size ?? this.#tools.pageSize
    const options: ReadAllOptions = {
      tenant: null,
      follow: true,
      signal,
      ...(this.#checkpoint === null ? {} : { after: this.#checkpoint }),
      ...(handlers.types === undefined ? {} : { filter: { types: handlers.types } }),
      ...(pageSize === undefined ? {} : { pageSize }),
    }
    if (build.parts === 1) return options
    const described = await context.store.describe()
    const count = Math.max(0, ...described.map(({ buckets }) => buckets.length))
    const all = Array.from({ length: count }, (_, bucket) => bucket)
    return { ...options, buckets: all.filter(b => partOf(b, build.parts) === this.index) }
  }

  async #handle(page: EventPage): Promise<PageOutcome> {
    const { handlers, context, idleMs } = this.#tools
    const events = page.events.filter(event => handlers.takes(event))
    const now = context.outside.clock.monotonic()
    if (events.length === 0 && now - this.#writtenAt < idleMs) {
      this.#checkpoint = page.checkpoint
      return IDLE
    }
    const start = { revision: this.#revision, parked: this.#parked }
    const outcome = await this.#pages.handle(start, events, page.checkpoint)
    this.#checkpoint = page.checkpoint
    this.#revision += 1
    this.#writtenAt = now
    for (const row of outcome.parked) this.#parked.add(streamKeyText(row))
    return outcome
  }

  async #redrive(key: StreamKey): Promise<Redriven> {
    const { sql, ledger, build, context } = this.#tools
    const { tenant, category } = key
    const stream = { tenant, category, id: key.stream }
    try {
      const events = await sql.transaction(async session => {
        ledger.attach(session)
        // Moves the revision before it looks: whoever handles a page meanwhile, believing that the
        // stream is parked, cannot commit it.
        const revision = await ledger.touch(build, this.index)
        if (revision === undefined) throw this.#gone()
        const row = await ledger.parking.find(build, key)
        if (row === undefined) return { handled: 0, revision }
        const { firstVersion: from, lastVersion: to } = row
        const handled = await this.#pages.within(session, context.store.read(stream, { from, to }))
        await ledger.parking.remove(build, key)
        return { handled, revision }
      })
      // Another revision in between: this copy is stale, and stays so that it is found out.
      if (events.revision === this.#revision + 1) this.#revision = events.revision
      this.#parked.delete(streamKeyText(key))
      return { stream, ok: true, events: events.handled }
    } catch (error) {
      if (isForeign(error)) throw error
      const reason = reasonOf(error)
      await this.#noteFailure(key, reason)
      return { stream, ok: false, events: 0, reason }
    }
  }

  async #noteFailure(key: StreamKey, reason: string): Promise<void> {
    const { sql, ledger, build } = this.#tools
    await sql.transaction(async session => {
      ledger.attach(session)
      const row = await ledger.parking.find(build, key)
      if (row === undefined) return
      await ledger.parking.change(build, key, { reason, attempts: row.attempts + 1 })
    })
  }

  #gone(): ModelError {
    const { build } = this.#tools
    return new ModelError(
      'CHECKPOINT_MOVED',
      `build ${build.build} of projection ${build.projection} was replaced`,
    )
  }
}
