/**
 * Live views: a state in memory, folded from all events; each node has its own, and each gets every
 * event. Nothing is stored: a view begins with the first event whenever it is started, and `start`
 * resolves when it has caught up.
 *
 *   starting ──caught up──► running ──store away──► restarting ──► running (goes on where it was)
 *
 * A page is folded in one go, so the state that is seen is always one after whole pages. A stream
 * whose event cannot be folded is passed over from there on, and shown; more of them than
 * `view.parked.max` stop the view.
 */
import { repeat, resolveSettings, type SettingValues } from '@millrace/base'
import {
  type Checkpoint,
  decodeCheckpoint,
  type EventPage,
  type RecordedEvent,
  StoreError,
  type StreamRef,
} from '@millrace/store'
import type { Processor, ProcessorStatus } from '../context.ts'
import type { Aggregate, On } from '../define/aggregate.ts'
import { ModelError, reasonOf } from '../errors.ts'
import { fullName, handlerEvent } from '../projections/handlers.ts'
import { streamKeyText } from '../projections/parking.ts'
import { covers, lagOf, type Positions, positionsOf } from '../projections/positions.ts'
import { Rate } from '../projections/rate.ts'
import { Supervisor } from '../projections/supervisor.ts'
import type { EventSource, ProjectionContext } from '../projections/types.ts'
import { Waiters } from '../projections/waiters.ts'
import { VIEW_SETTINGS } from './settings.ts'

/** A live view's definition. */
export type LiveView<S> = {
  readonly name: string
  readonly from: readonly Aggregate[]
  readonly initial: () => S
  /** By full name of the event, untyped: for the runtime. */
  readonly on: Readonly<Record<string, (state: S, event: never) => S>>
}

/** Defines a live view. Handlers give the next state; one that may throw must not change the old. */
export function liveView<const A extends Aggregate[], S>(
  name: string,
  is: { from: A; initial: () => S; on: On<A[number], S, NoInfer<S>> },
): LiveView<S> {
  return Object.freeze({
    name,
    from: is.from,
    initial: is.initial,
    on: is.on as unknown as LiveView<S>['on'],
  })
}

/** What a live view needs around it. */
export type LiveViewContext = Pick<ProjectionContext, 'outside' | 'onEvent'> & {
  readonly store: EventSource
}

/** A stream that a live view passes over. */
export type PassedOver = {
  readonly stream: Required<StreamRef>
  /** The event that could not be folded. */
  readonly version: number
  readonly reason: string
}

const FINAL: ReadonlySet<string> = new Set<ModelError['code']>(['PARKED_EXCEEDED'])

/** Runs a live view. */
export class LiveViewProcessor<S> implements Processor {
  readonly name: string
  readonly #view: LiveView<S>
  readonly #context: LiveViewContext
  readonly #values: SettingValues<typeof VIEW_SETTINGS>
  readonly #categories: ReadonlySet<string>
  readonly #supervisor: Supervisor
  readonly #waiters: Waiters
  readonly #passedOver = new Map<string, PassedOver>()
  #rate: Rate
  #state: S
  #checkpoint: Checkpoint | null = null
  #caughtUp = Promise.withResolvers<void>()
  #isCaughtUp = false
  #handled = 0
  #lag = 0

  constructor(
    view: LiveView<S>,
    context: LiveViewContext,
    options: { readonly settings?: Partial<SettingValues<typeof VIEW_SETTINGS>> } = {},
  ) {
    this.name = view.name
    this.#view = view
    this.#context = context
    this.#values = resolveSettings(VIEW_SETTINGS, options.settings)
    this.#categories = new Set(view.from.map(({ name }) => name))
    this.#waiters = new Waiters(this.#values['view.waiters.max'])
    this.#rate = new Rate(context.outside.clock.monotonic())
    this.#state = view.initial()
    this.#supervisor = new Supervisor({
      outside: context.outside,
      backoff: {
        firstMs: this.#values['view.restart.first.ms'],
        maxMs: this.#values['view.restart.longest.ms'],
      },
      prepare: async () => undefined,
      run: signal => this.#run(signal),
      isFinal: error => error instanceof ModelError && FINAL.has(error.code),
      onRestart: (reason, restarts) =>
        context.onEvent({ kind: 'processor-restarted', processor: this.name, reason, restarts }),
      onStop: reason => this.#stopped(reason),
    })
  }

  /** The state after all events so far. Not to be changed by who reads it. */
  get state(): S {
    return this.#state
  }

  /** Streams that are passed over, in the order in which it happened. */
  get passedOver(): readonly PassedOver[] {
    return [...this.#passedOver.values()]
  }

  /** Folds all events anew; resolves when it has caught up. */
  async start(): Promise<void> {
    if (this.#supervisor.state !== 'stopped') return this.#caughtUp.promise
    this.#state = this.#view.initial()
    this.#checkpoint = null
    this.#passedOver.clear()
    this.#isCaughtUp = false
    this.#handled = 0
    this.#caughtUp = Promise.withResolvers()
    this.#caughtUp.promise.catch(() => undefined)
    await this.#supervisor.start()
    await this.#caughtUp.promise
  }

  stop(): Promise<void> {
    return this.#supervisor.stop()
  }

  status(): ProcessorStatus {
    const { state, reason, restarts } = this.#supervisor
    const rate = this.#rate.perSecond(this.#context.outside.clock.monotonic())
    return {
      name: this.name,
      kind: 'projection',
      state: state === 'running' && !this.#isCaughtUp ? 'rebuilding' : state,
      ...(reason === undefined ? {} : { reason }),
      restarts,
      checkpoint: this.#checkpoint,
      handled: this.#handled,
      rate,
      lag: this.#lag,
      timeLeftMs: this.#lag === 0 ? 0 : rate > 0 ? (this.#lag / rate) * 1000 : null,
      parked: this.#passedOver.size,
    }
  }

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

  async #run(signal: AbortSignal): Promise<void> {
    const { store } = this.#context
    const names = Object.keys(this.#view.on)
    const types = [...new Set(names.map(name => name.slice(name.indexOf('.') + 1)))]
    const after = this.#checkpoint === null ? {} : { after: this.#checkpoint }
    const options = { tenant: null, follow: true, filter: { types }, signal, ...after }
    const { timers } = this.#context.outside
    const stopLooking = repeat(timers, this.#values['view.lag.ms'], () => this.#look())
    try {
      for await (const page of store.readAll([...this.#categories], options)) {
        if (signal.aborted) return
        this.#fold(page)
      }
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      await stopLooking()
    }
  }

  #fold(page: EventPage): void {
    for (const event of page.events) this.#one(event)
    this.#checkpoint = page.checkpoint
    this.#supervisor.progressed()
    this.#rate.add(page.events.length, this.#context.outside.clock.monotonic())
    this.#waiters.check(want => this.#isReached(want))
    if (!page.caughtUp) return
    this.#lag = 0
    this.#isCaughtUp = true
    this.#caughtUp.resolve()
  }

  #one(event: RecordedEvent): void {
    const fold = this.#view.on[fullName(event)]
    if (fold === undefined) return
    const key = streamKeyText(event)
    if (this.#passedOver.has(key)) return
    try {
      this.#state = fold(this.#state, handlerEvent(event) as never)
      this.#handled += 1
    } catch (error) {
      this.#passOver(key, event, reasonOf(error))
    }
  }

  #passOver(key: string, event: RecordedEvent, reason: string): void {
    const max = this.#values['view.parked.max']
    if (this.#passedOver.size >= max) {
      const message = `more than ${max} streams cannot be folded by view ${this.name}: ${reason}`
      throw new ModelError('PARKED_EXCEEDED', message)
    }
    const { tenant, category, stream: id, version } = event
    this.#passedOver.set(key, { stream: { tenant, category, id }, version, reason })
    const { onEvent } = this.#context
    onEvent({ kind: 'stream-parked', processor: this.name, stream: id, version, reason })
  }

  async #look(): Promise<void> {
    const described = await this.#context.store.describe()
    this.#lag = lagOf(described, positionsOf(this.#checkpoint), this.#categories)
  }

  #isReached(want: Positions): boolean {
    return covers(positionsOf(this.#checkpoint), want, this.#categories)
  }

  #notRunning(why: string | undefined): ModelError {
    const detail = why === undefined ? '' : `: ${why}`
    return new ModelError('PROCESSOR_STOPPED', `view ${this.name} is stopped${detail}`)
  }

  #stopped(reason: string | undefined): void {
    const error = this.#notRunning(reason)
    this.#waiters.rejectAll(error)
    this.#caughtUp.reject(error)
    if (reason === undefined) return
    this.#context.onEvent({ kind: 'processor-stopped', processor: this.name, reason })
  }
}
