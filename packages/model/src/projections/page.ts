/**
 * One page of events in one transaction: checkpoint moved, events handled, changes noted, streams
 * parked; all of it or nothing.
 *
 *     all events ──ok──► commit
 *         │ an event fails
 *         ▼ roll back
 *     one by one, each behind a savepoint (a batch: by halves) ──none fails──► commit
 *         │ roll back, wait, again: `projection.attempts.max` times; what failed before fails alone
 *         │ again. Another event fails now, or one does not end: PageSplit, and the part reads
 *         │ smaller pages, until what fails stands alone.
 *         ▼
 *     one by one, and the streams that still fail are parked ──► commit
 *
 * The checkpoint is moved first, so of two who handle the same page one waits for the other on
 * PostgreSQL, and then gives up before it has done its work (CHECKPOINT_MOVED).
 */
import type { RecordedEvent } from '@millrace/store'
import { ModelError, reasonOf } from '../errors.ts'
import type { SqlDatabase, SqlSession } from '../sql/port.ts'
import { CapturingSession } from './changes.ts'
import { HandlerStopped, HandlerTimeout, type HandlerWatch } from './handler-watch.ts'
import type { Handlers } from './handlers.ts'
import type { Build, Ledger } from './ledger.ts'
import type { OutboxEntry } from './outbox.ts'
import { type ParkedRow, type StreamKey, streamKeyText } from './parking.ts'

/** What pages of one part are handled with. */
export type PageTools = {
  readonly sql: SqlDatabase
  readonly build: Build
  readonly part: number
  readonly ledger: Ledger
  readonly handlers: Handlers
  readonly watch: HandlerWatch
  /** Topic of the changes; undefined: nothing is published. */
  readonly topic: string | undefined
  readonly attemptsMax: number
  /** Most bytes of a change that is published. */
  readonly publishBytes: number
  readonly parkedMax: number
  readonly now: () => number
  /** Waits before the next attempt; throws when the processor is stopped. */
  readonly backOff: (attempt: number) => Promise<void>
  /** To be awaited between events, if it is a promise: others have their turn. */
  readonly turn: () => Promise<void> | undefined
  /** Whether the changes of an event are to be published, or were by an earlier build. */
  readonly publishes: (event: RecordedEvent) => boolean
}

/** Where the part is before the page, and what it passes over. */
export type PageStart = {
  readonly revision: number
  /** Texts of the keys of parked streams. */
  readonly parked: ReadonlySet<string>
}

/** What became of a page. */
export type PageOutcome = {
  readonly handled: number
  readonly parked: readonly ParkedRow[]
  /** Changes that wait to be published. */
  readonly changes: number
}

/** How many events are handled between looks at the clock. */
const TURN_EVENTS = 32

/** Not the handler's fault: the database's, or another instance's. */
const FOREIGN: ReadonlySet<string> = new Set<ModelError['code']>([
  'SQL_FAILED',
  'CHECKPOINT_MOVED',
  'PARKED_EXCEEDED',
])

/** Whether a failure has nothing to do with the event that was handled. */
export const isForeign = (error: unknown): boolean =>
  error instanceof HandlerStopped ||
  error instanceof PageSplit ||
  (error instanceof ModelError && FOREIGN.has(error.code))

/** The page is to be handled in smaller ones: up to this event, then this event alone. */
export class PageSplit extends Error {
  readonly event: RecordedEvent

  constructor(event: RecordedEvent) {
    super('the page is split')
    this.event = event
  }
}

/** An event failed and has attempts left. */
class AttemptsLeft extends Error {}

type Failure = { readonly event: RecordedEvent; readonly error: unknown }

/** One run over a page within one transaction. */
class Pass {
  readonly session: SqlSession
  readonly outbox: OutboxEntry[] = []
  readonly failures = new Map<string, Failure>()
  /** Last version passed over, by stream. */
  readonly skipped = new Map<string, RecordedEvent>()
  handled = 0
  readonly #parked: ReadonlySet<string>

  constructor(session: SqlSession, parked: ReadonlySet<string>) {
    this.session = session
    this.#parked = parked
  }

  /** Notes an event of a stream that is passed over. */
  skips(event: RecordedEvent): boolean {
    if (this.#parked.size === 0 && this.failures.size === 0) return false
    const key = streamKeyText(event)
    if (!this.#parked.has(key) && !this.failures.has(key)) return false
    this.skipped.set(key, event)
    return true
  }

  fail(event: RecordedEvent, error: unknown): void {
    this.failures.set(streamKeyText(event), { event, error })
  }
}

export class PageHandler {
  readonly #tools: PageTools

  constructor(tools: PageTools) {
    this.#tools = tools
  }

  /** Handles the events and moves the part to the checkpoint. */
  async handle(
    start: PageStart,
    events: readonly RecordedEvent[],
    checkpoint: string,
  ): Promise<PageOutcome> {
    try {
      return await this.#transaction(start, checkpoint, pass => this.#all(pass, events))
    } catch (error) {
      if (isForeign(error)) throw error
    }
    try {
      return await this.#carefully(start, events, checkpoint)
    } finally {
      this.#tools.watch.passed()
    }
  }

  async #carefully(
    start: PageStart,
    events: readonly RecordedEvent[],
    checkpoint: string,
  ): Promise<PageOutcome> {
    const attempts = new Map<string, number>()
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#transaction(start, checkpoint, async pass => {
          await this.#each(pass, events)
          this.#count(pass, attempts, events.length === 1 ? undefined : attempt)
          return this.#park(pass, attempts)
        })
      } catch (error) {
        if (!(error instanceof AttemptsLeft)) throw error
      }
      await this.#tools.backOff(attempt)
    }
  }

  /** Handles events of one stream in a transaction that is there already (a redrive). */
  async within(session: SqlSession, events: AsyncIterable<RecordedEvent>): Promise<number> {
    const { handlers } = this.#tools
    const pass = new Pass(session, new Set())
    handlers.attach(session)
    try {
      for await (const event of events) {
        if (handlers.takes(event)) await this.#all(pass, [event])
      }
      await session.flush()
      await this.#publish(pass)
      return pass.handled
    } finally {
      handlers.attach(undefined)
    }
  }

  async #transaction(
    start: PageStart,
    checkpoint: string,
    work: (pass: Pass) => Promise<readonly ParkedRow[]>,
  ): Promise<PageOutcome> {
    const { sql, ledger, handlers, build, part, turn } = this.#tools
    try {
      return await sql.transaction(async session => {
        // Hundreds of projections with a page of one event each hold a turn together, one after the other.
        await turn()
        ledger.attach(session)
        handlers.attach(session)
        await ledger.advance(build, part, start.revision, checkpoint)
        const pass = new Pass(session, start.parked)
        const parked = await work(pass)
        await session.flush()
        await this.#noteSkipped(pass, start.parked)
        await this.#publish(pass)
        return { handled: pass.handled, parked, changes: pass.outbox.length }
      })
    } finally {
      ledger.attach(undefined)
      handlers.attach(undefined)
    }
  }

  /** The fast way: one after the other, and the first failure ends it. */
  async #all(pass: Pass, events: readonly RecordedEvent[]): Promise<readonly ParkedRow[]> {
    const { handlers, topic } = this.#tools
    if (handlers.isBatch) {
      const taken = events.filter(event => !pass.skips(event))
      if (taken.length > 0) await this.#splitting(taken, () => handlers.batch(pass.session, taken))
      pass.handled += taken.length
      return []
    }
    for (const event of events) {
      if (pass.skips(event)) continue
      const waits =
        topic === undefined ? handlers.one(pass.session, event) : this.#captured(pass, event)
      if (waits !== undefined) {
        if (events.length === 1) await waits
        else await this.#splitting([event], () => waits, events.length)
      }
      pass.handled += 1
      if (pass.handled % TURN_EVENTS === 0) {
        const turn = this.#tools.turn()
        if (turn !== undefined) await turn
      }
    }
    return []
  }

  /** What takes too long is split off at once: nobody else is to wait for it again. */
  async #splitting(
    events: readonly RecordedEvent[],
    work: () => Promise<void> | undefined,
    of = events.length,
  ): Promise<void> {
    try {
      await work()
    } catch (error) {
      const at = events[events.length >> 1]
      if (!(error instanceof HandlerTimeout) || of === 1 || at === undefined) throw error
      throw new PageSplit(at)
    }
  }

  async #captured(pass: Pass, event: RecordedEvent): Promise<void> {
    const { handlers, build, publishes } = this.#tools
    if (!publishes(event)) return handlers.one(pass.session, event)
    const session = new CapturingSession(pass.session)
    handlers.attach(session)
    await handlers.one(session, event)
    handlers.attach(pass.session)
    pass.outbox.push(...session.entries(build, event, this.#tools.publishBytes))
  }

  /** The careful way: whatever fails is set aside, with the rest of its stream. */
  async #each(pass: Pass, events: readonly RecordedEvent[]): Promise<void> {
    if (this.#tools.handlers.isBatch) return this.#halves(pass, events)
    for (const event of events) {
      if (pass.skips(event)) continue
      const failed = await this.#attempt(pass, [event])
      if (failed?.error instanceof HandlerTimeout && events.length > 1) throw new PageSplit(event)
      if (failed !== undefined) pass.fail(event, failed.error)
    }
  }

  /** Finds the poison of a batch by halving it. */
  async #halves(pass: Pass, events: readonly RecordedEvent[]): Promise<void> {
    const taken = events.filter(event => !pass.skips(event))
    const [first] = taken
    if (first === undefined) return
    const failed = await this.#attempt(pass, taken)
    if (failed === undefined) return
    if (taken.length === 1) return pass.fail(first, failed.error)
    const half = taken.length >> 1
    await this.#halves(pass, taken.slice(0, half))
    await this.#halves(pass, taken.slice(half))
  }

  async #attempt(
    pass: Pass,
    events: readonly RecordedEvent[],
  ): Promise<{ error: unknown } | undefined> {
    const { session, outbox } = pass
    const command = (sql: string) => session.execute({ sql, parameters: [] })
    const before = { handled: pass.handled, changes: outbox.length }
    await command('savepoint millrace_event')
    try {
      await this.#all(pass, events)
      await session.flush()
      await command('release savepoint millrace_event')
      return undefined
    } catch (error) {
      if (isForeign(error)) throw error
      pass.handled = before.handled
      outbox.length = before.changes
      this.#tools.handlers.attach(session)
      await session.flush().catch(() => undefined)
      await command('rollback to savepoint millrace_event')
      await command('release savepoint millrace_event')
      return { error }
    }
  }

  /**
   * Counts the failures of a pass. Throws AttemptsLeft while one of them has attempts left, and
   * PageSplit when one has failed less often than there were passes: what fails now and then would
   * keep a large page from ever passing.
   *
   * @param passes undefined: the page is one event
   */
  #count(pass: Pass, attempts: Map<string, number>, passes: number | undefined): void {
    let hasLeft = false
    let isNew = false
    for (const [key, { event }] of pass.failures) {
      const id = `${key}/${event.version}`
      const count = (attempts.get(id) ?? 0) + 1
      attempts.set(id, count)
      isNew ||= passes !== undefined && count < passes
      hasLeft ||= count < this.#tools.attemptsMax
    }
    const [first] = pass.failures.values()
    if (first === undefined) return
    if (isNew) throw new PageSplit(first.event)
    const count = attempts.get(`${streamKeyText(first.event)}/${first.event.version}`) ?? 1
    this.#tools.watch.fails(first.event, reasonOf(first.error), count)
    if (hasLeft) throw new AttemptsLeft()
  }

  async #park(pass: Pass, attempts: ReadonlyMap<string, number>): Promise<readonly ParkedRow[]> {
    if (pass.failures.size === 0) return []
    const { ledger, build, part, parkedMax, now } = this.#tools
    const rows: ParkedRow[] = []
    for (const [key, { event, error }] of pass.failures) {
      rows.push({
        ...keyOf(event),
        part,
        firstVersion: event.version,
        lastVersion: pass.skipped.get(key)?.version ?? event.version,
        reason: reasonOf(error),
        attempts: attempts.get(`${key}/${event.version}`) ?? 1,
        parkedAt: now(),
      })
    }
    if ((await ledger.parking.count(build)) + rows.length > parkedMax) {
      throw new ModelError(
        'PARKED_EXCEEDED',
        `more than ${parkedMax} streams of projection ${build.projection} would be parked; the last failure: ${rows.at(-1)?.reason}`,
      )
    }
    for (const row of rows) await ledger.parking.add(build, row)
    return rows
  }

  /** Up to where streams that were parked before were passed over. */
  async #noteSkipped(pass: Pass, parked: ReadonlySet<string>): Promise<void> {
    const { ledger, build } = this.#tools
    for (const [key, event] of pass.skipped) {
      if (!parked.has(key)) continue
      await ledger.parking.change(build, keyOf(event), { last_version: event.version })
    }
  }

  async #publish(pass: Pass): Promise<void> {
    const { build, topic, ledger } = this.#tools
    if (topic === undefined || pass.outbox.length === 0) return
    await ledger.outbox.add(build, topic, pass.outbox)
  }
}

const keyOf = ({ tenant, category, stream }: RecordedEvent): StreamKey => ({
  tenant,
  category,
  stream,
})
