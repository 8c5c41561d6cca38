/**
 * The processor of a projection: plans what is to run, runs it, starts again when it fails.
 *
 *     starting ──► rebuilding ──caught up──► running
 *                     ▲  ▲                     │ │
 *                     │  └──────rebuild()──────┘ │ a failure: database, store, another instance
 *                     └──────── restarting ◄─────┘
 *     stopped: by stop(), by too many parked streams, by a newer version
 *
 * In a round it runs the build that readers see, and beside it, while there is one, the build that
 * is to take over. A round ends with a failure, or when the plan has changed (a build took over, a
 * rebuild was asked for); then the next round plans anew.
 */
import {
  backoffMs,
  repeat,
  resolveSettings,
  type SettingValues,
  sleep,
  Turns,
} from '@millrace/base'
import {
  type Checkpoint,
  decodeCheckpoint,
  encodeCheckpoint,
  StoreError,
  type StreamRef,
} from '@millrace/store'
import type { Kysely } from 'kysely'
import type { Projection } from '../define/projection.ts'
import { ModelError, reasonOf } from '../errors.ts'
import type { SqlDatabase } from '../sql/port.ts'
import { Builds } from './builds.ts'
import { checkDefinition } from './check-definition.ts'
import type { Build } from './ledger.ts'
import type { PageOutcome } from './page.ts'
import { type ParkedOf, parkedOf, parkedStream, selection } from './parked-streams.ts'
import type { Part } from './part.ts'
import {
  covers,
  isPassed,
  lagOf,
  mergePositions,
  type Positions,
  positionsOf,
} from './positions.ts'
import { type Publisher, publisherOf } from './publisher.ts'
import { Rate } from './rate.ts'
import { ProjectionRunner } from './runner.ts'
import { PROJECTION_SETTINGS } from './settings.ts'
import { sideBySide } from './side-by-side.ts'
import { Supervisor } from './supervisor.ts'
import type {
  ParkedStream,
  ProjectionContext,
  ProjectionOptions,
  ProjectionProcessor,
  ProjectionStatus,
  Redriven,
} from './types.ts'
import { Waiters } from './waiters.ts'

type Values = SettingValues<typeof PROJECTION_SETTINGS>

const NOWHERE: Positions = new Map()

/** Too many parked streams, a newer version, a definition that cannot run: not mended by waiting. */
const FINAL: ReadonlySet<string> = new Set<ModelError['code']>([
  'PARKED_EXCEEDED',
  'PROCESSOR_STOPPED',
  'BAD_DEFINITION',
])

export class SqlProjectionProcessor<DB> implements ProjectionProcessor<DB> {
  readonly name: string
  readonly db: Kysely<DB>
  readonly #definition: Projection
  readonly #context: ProjectionContext
  readonly #sql: SqlDatabase
  readonly #values: Values
  readonly #pageSize: number | undefined
  readonly #turns: Turns
  readonly #categories: ReadonlySet<string>
  readonly #builds: Builds
  readonly #supervisor: Supervisor
  readonly #publisher: Publisher | undefined
  readonly #waiters: Waiters
  readonly #takeovers = new Map<number, PromiseWithResolvers<void>>()
  readonly #rate: Rate
  #seen: Build | undefined
  #live: ProjectionRunner | undefined
  #next: ProjectionRunner | undefined
  #hasCaughtUp = false
  #isSwitching = false
  /** The last switch that was tried: whether it was made. */
  #attempt: Promise<boolean> = Promise.resolve(false)
  /** Why the next build does not take over. */
  #refusal: string | undefined
  /** Where the build that readers see stands: its changes are published up to there. */
  #published = NOWHERE
  #handled = 0
  #lag = 0

  constructor(
    definition: Projection<DB>,
    context: ProjectionContext,
    sql: SqlDatabase,
    options: ProjectionOptions = {},
  ) {
    checkDefinition(definition as Projection)
    this.name = definition.name
    this.db = sql.db
    this.#definition = definition as Projection
    this.#context = context
    this.#sql = sql
    this.#values = resolveSettings(PROJECTION_SETTINGS, options.settings)
    this.#pageSize = options.settings?.['projection.page.events']
    this.#turns = context.turns ?? new Turns(context.outside, this.#values['projection.turn.ms'])
    this.#categories = new Set(definition.from.map(({ name }) => name))
    this.#builds = new Builds(this.#definition, sql, () => context.outside.clock.now())
    this.#waiters = new Waiters(this.#values['projection.waiters.max'])
    this.#rate = new Rate(context.outside.clock.monotonic())
    this.#publisher = this.#createPublisher()
    this.#supervisor = new Supervisor({
      outside: context.outside,
      backoff: {
        firstMs: this.#values['projection.restart.first.ms'],
        maxMs: this.#values['projection.restart.longest.ms'],
      },
      prepare: () => this.#prepare(),
      run: signal => this.#run(signal),
      isFinal: error => error instanceof ModelError && FINAL.has(error.code),
      onRestart: (reason, restarts) =>
        context.onEvent({ kind: 'processor-restarted', processor: this.name, reason, restarts }),
      onStop: reason => this.#stopped(reason),
    })
  }

  /**
   * Resolves when it follows; from then on it starts itself again. A program whose version is older
   * than what readers see does not fail here: its projection is stopped, and says so.
   */
  async start(): Promise<void> {
    try {
      await this.#supervisor.start()
    } catch (error) {
      if (!isModelError(error, 'PROCESSOR_STOPPED')) throw error
    }
  }

  async stop(): Promise<void> {
    await this.#supervisor.stop()
    await this.#publisher?.ended()
  }

  status(): ProjectionStatus {
    const now = this.#context.outside.clock.monotonic()
    const supervised = this.#supervisor.state
    const isRebuilding = this.#next !== undefined || !this.#hasCaughtUp
    const focus = this.#next ?? this.#live
    const rate = this.#rate.perSecond(now)
    const reason = this.#supervisor.reason ?? this.#refusal ?? this.#publisher?.reason
    return {
      name: this.name,
      kind: 'projection',
      state: supervised === 'running' && isRebuilding ? 'rebuilding' : supervised,
      ...(reason === undefined ? {} : { reason }),
      restarts: this.#supervisor.restarts,
      checkpoint: focus === undefined ? null : this.#checkpointOf(focus),
      handled: this.#handled,
      rate,
      lag: this.#lag,
      timeLeftMs: this.#lag === 0 ? 0 : rate > 0 ? (this.#lag / rate) * 1000 : null,
      parked: (this.#live?.parkedCount ?? 0) + (this.#next?.parkedCount ?? 0),
      version: this.#seen?.version ?? null,
      nextVersion: this.#next?.build.version ?? null,
      ...this.#live?.trouble,
      ...this.#next?.trouble,
    }
  }

  /** Resolves when readers see everything below the checkpoint, or it is parked. */
  async reached(
    checkpoint: Checkpoint,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<void> {
    const { log, positions } = decodeCheckpoint(checkpoint)
    if (log !== this.#context.store.id) {
      throw new StoreError('CHECKPOINT_MISMATCH', `a checkpoint of log ${log}, not of this one`)
    }
    if (this.#isReached(positions)) return
    if (this.#supervisor.state === 'stopped') throw this.#notRunning(this.#supervisor.reason)
    await this.#waiters.wait(positions, options.signal)
  }

  async parked(): Promise<readonly ParkedStream[]> {
    return (await this.#parked()).map(parkedStream)
  }

  async redrive(what: StreamRef | { readonly limit: number }): Promise<readonly Redriven[]> {
    const wanted = selection(what)
    const rows = (await this.#parked()).filter(({ row }) => wanted.matches(row))
    const redriven: Redriven[] = []
    for (const { build, row } of rows.slice(0, wanted.limit)) {
      const part = this.#runnerOf(build).parts[row.part]
      if (part === undefined) continue
      const result = await part.redrive(row).catch(error => {
        // The build was replaced meanwhile, and its parked streams with it.
        if (!isModelError(error, 'CHECKPOINT_MOVED')) throw error
      })
      if (result === undefined) continue
      redriven.push(result)
      if (!result.ok) continue
      const { stream, events } = result
      const { onEvent } = this.#context
      onEvent({ kind: 'stream-redriven', processor: this.name, stream: stream.id, events })
    }
    await this.#switchIfReady()
    return redriven
  }

  async rebuild(): Promise<void> {
    if (this.#supervisor.state === 'stopped') throw this.#notRunning('start it first')
    const { build } = await this.#builds.rebuild()
    if (this.#seen !== undefined && this.#seen.build >= build) return
    const takeover = Promise.withResolvers<void>()
    this.#takeovers.set(build, takeover)
    this.#supervisor.again()
    await takeover.promise
  }

  async takeOver(): Promise<boolean> {
    // The processor may be trying by itself at this moment, only to be refused.
    if (await this.#attempt) return true
    return this.#switchIfReady(Number.POSITIVE_INFINITY)
  }

  async #prepare(): Promise<void> {
    this.#live = undefined
    this.#next = undefined
    const { live, next, seen } = await this.#builds.plan()
    const published = await this.#builds.within(ledger => ledger.progress(seen))
    this.#published = mergePositions(published.map(part => positionsOf(part.checkpoint)))
    const liveRunner = live === undefined ? undefined : this.#createRunner(live)
    const nextRunner = next === undefined ? undefined : this.#createRunner(next)
    await liveRunner?.load()
    await nextRunner?.load()
    this.#seen = seen
    this.#live = liveRunner
    this.#next = nextRunner
    this.#refusal = undefined
    this.#isSwitching = false
    this.#attempt = Promise.resolve(false)
    for (const [build, takeover] of this.#takeovers) {
      if (build > seen.build) continue
      this.#takeovers.delete(build)
      takeover.resolve()
    }
    this.#waiters.check(want => this.#isReached(want))
  }

  async #run(signal: AbortSignal): Promise<void> {
    await this.#publisher?.start(signal)
    const { timers } = this.#context.outside
    const stopLooking = repeat(timers, this.#values['projection.lag.ms'], () => this.#look())
    try {
      const runners = [this.#live, this.#next].filter(runner => runner !== undefined)
      await sideBySide(
        signal,
        runners.map(runner => either => runner.run(either)),
      )
    } catch (error) {
      // The build that was just replaced had a page under way: planned, and no failure.
      if (!(this.#isSwitching && isModelError(error, 'CHECKPOINT_MOVED'))) throw error
    } finally {
      await stopLooking()
    }
  }

  /** Looks at the end of the log. */
  async #look(): Promise<void> {
    const focus = this.#next ?? this.#live
    if (this.#live !== undefined) this.#published = this.#live.positions
    if (focus === undefined) return
    const described = await this.#context.store.describe()
    this.#lag = lagOf(described, focus.positions, this.#categories)
    await this.#switchIfReady()
  }

  async #paged(runner: ProjectionRunner, part: Part, outcome: PageOutcome, signal: AbortSignal) {
    const { outside, onEvent } = this.#context
    this.#supervisor.progressed()
    this.#handled += outcome.handled
    this.#rate.add(outcome.handled, outside.clock.monotonic())
    for (const { stream, firstVersion: version, reason } of outcome.parked) {
      onEvent({ kind: 'stream-parked', processor: this.name, stream, version, reason })
    }
    if (outcome.changes > 0) this.#publisher?.added(outcome.changes, signal)
    await this.#publisher?.room(signal)
    if (runner === this.#live) this.#waiters.check(want => this.#isReached(want))
    if (!part.isCaughtUp) return
    if (runner === (this.#next ?? this.#live) && runner.isCaughtUp) this.#lag = 0
    if (runner === this.#next) await this.#switchIfReady()
    else if (runner.isCaughtUp) this.#hasCaughtUp = true
  }

  /** Lets the next build take over when it has caught up; true when it has taken over. */
  async #switchIfReady(parkedMax = 0): Promise<boolean> {
    const next = this.#next
    const seen = this.#seen
    if (next === undefined || seen === undefined) return false
    if (this.#isSwitching || !next.isCaughtUp) return false
    const attempt = this.#switch(next, seen, parkedMax)
    this.#attempt = attempt.catch(() => false)
    return await attempt
  }

  async #switch(next: ProjectionRunner, seen: Build, parkedMax: number): Promise<boolean> {
    this.#isSwitching = true
    let isDone = false
    try {
      const isAhead = (checkpoints: readonly (string | null)[]): boolean => {
        const old = mergePositions(checkpoints.map(positionsOf))
        return covers(next.positions, old, this.#categories)
      }
      isDone = await this.#builds.switchTo(next.build, seen, isAhead, parkedMax)
    } catch (error) {
      if (!isModelError(error, 'SWITCH_REFUSED')) throw error
      this.#refusal = reasonOf(error)
    } finally {
      // Once it is done, the next plan ends the switch.
      if (!isDone) this.#isSwitching = false
    }
    if (!isDone) return false
    this.#hasCaughtUp = true
    const { version: from } = seen
    const { version: to } = next.build
    const { onEvent } = this.#context
    onEvent({ kind: 'projection-switched', projection: this.name, from, to })
    this.#supervisor.again()
    return true
  }

  #isReached(want: Positions): boolean {
    return this.#live !== undefined && covers(this.#live.positions, want, this.#categories)
  }

  #checkpointOf(runner: ProjectionRunner): Checkpoint | null {
    const [first] = runner.parts
    if (runner.parts.length === 1) return first?.checkpoint ?? null
    return encodeCheckpoint({
      log: this.#context.store.id,
      tenant: null,
      positions: runner.positions,
    })
  }

  #parked(): Promise<readonly ParkedOf[]> {
    return parkedOf(this.#builds, this.name, this.#definition.version)
  }

  /** The one that runs, or one that does not run, for a redrive. */
  #runnerOf(build: Build): ProjectionRunner {
    const running = [this.#live, this.#next].find(runner => runner?.build.build === build.build)
    return running ?? this.#createRunner(build)
  }

  #createRunner(build: Build): ProjectionRunner {
    const { outside } = this.#context
    const values = this.#values
    const backoff = {
      firstMs: values['projection.retry.first.ms'],
      maxMs: values['projection.retry.longest.ms'],
    }
    const isFirst = build.build === 1
    const runner: ProjectionRunner = new ProjectionRunner(this.#definition, this.#sql, {
      sql: this.#sql,
      build,
      context: this.#context,
      categories: [...this.#categories],
      topic: this.#definition.options.publish,
      attemptsMax: values['projection.attempts.max'],
      publishBytes: values['projection.publish.bytes'],
      handlerMs: values['projection.handler.ms'],
      heldMs: values['projection.held.ms'],
      parkedMax: values['projection.parked.max'],
      pageSize: this.#pageSize,
      idleMs: values['projection.idle.ms'],
      turn: () => (this.#turns.spent() ? this.#turns.next() : undefined),
      now: () => outside.clock.now(),
      publishes: event =>
        isFirst || build.build === this.#seen?.build || !isPassed(this.#published, event),
      backOff: async (attempt, signal) => {
        await sleep(outside.timers, backoffMs(backoff, attempt, outside.random), signal)
        signal.throwIfAborted()
      },
      onPage: (part, outcome, signal) => this.#paged(runner, part, outcome, signal),
    })
    return runner
  }

  #createPublisher(): Publisher | undefined {
    const { publish: topic } = this.#definition.options
    if (topic === undefined) return undefined
    return publisherOf(this.name, topic, this.#sql, this.#context, this.#values, reason => {
      const { restarts } = this.#supervisor
      this.#context.onEvent({
        kind: 'processor-restarted',
        processor: this.name,
        reason,
        restarts,
      })
    })
  }

  #notRunning(why: string | undefined): ModelError {
    const detail = why === undefined ? '' : `: ${why}`
    return new ModelError('PROCESSOR_STOPPED', `projection ${this.name} is stopped${detail}`)
  }

  #stopped(reason: string | undefined): void {
    const error = this.#notRunning(reason)
    this.#waiters.rejectAll(error)
    for (const takeover of this.#takeovers.values()) takeover.reject(error)
    this.#takeovers.clear()
    if (reason === undefined) return
    this.#context.onEvent({ kind: 'processor-stopped', processor: this.name, reason })
  }
}

const isModelError = (error: unknown, code: ModelError['code']): boolean =>
  error instanceof ModelError && error.code === code
