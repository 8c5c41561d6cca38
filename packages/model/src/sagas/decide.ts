/**
 * What a saga does with an input: a pure function from the instance and the input to the events of
 * one append. No clock, no store: the runtime and `@millrace/model/testing` run the same code.
 *
 * Before an event is taken, the instance's timers that are due by `limit` fire, in the order of
 * their time (then name); so what a saga's stream holds does not depend on when it was looked at.
 * Handlers see the state as JSON, and what they answer is checked before anything of it counts: an
 * input is handled whole, or it parks the instance.
 */
import type { Json, RecordedEvent } from '@millrace/store'
import { notJson } from '../define/json.ts'
import type { Action, Saga } from '../define/saga.ts'
import { ModelError, reasonOf } from '../errors.ts'
import {
  type EventInput,
  evolveInstance,
  isSameInput,
  type NewSagaEvent,
  type RejectionInput,
  type SagaInput,
  type SagaInstance,
  sourceOf,
  type TimerInput,
} from './events.ts'
import type { SagaLimits } from './settings.ts'
import { versionTaken } from './taken.ts'

/** What became of an event. */
export type Taken =
  | 'taken'
  /** It had been taken before: a redelivery. */
  | 'known'
  /** The key has no instance, and the event does not begin one. */
  | 'not-begun'
  /** The instance had ended. */
  | 'ended'
  /** The instance is parked, now or from before: the event waits in its stream. */
  | 'deferred'
  /** It may not go further: the event comes again with the next decision. */
  | 'full'

/** How far a decision may go, after the store refused what one without bounds came to. */
export type Care = {
  /** Most handlers that it runs. */
  readonly steps: number
  /** Why the record of a single handler was refused: it parks the instance instead. */
  readonly refused: string | null
}

/** Nothing was refused. */
export const NO_CARE: Care = { steps: Number.POSITIVE_INFINITY, refused: null }

/** Full name of an event: `loan.Submitted`. */
export const fullNameOf = (event: Pick<RecordedEvent, 'category' | 'type'>): string =>
  `${event.category}.${event.type}`

/** Types that a saga looks at, by full name. */
export const typesOf = (definition: Saga): ReadonlySet<string> =>
  new Set([...definition.starts, ...Object.keys(definition.on)])

/** An event as handlers and `key` get it. */
export function eventForHandler(event: RecordedEvent): Record<string, unknown> {
  const { data, id, stream, version, time, metadata, tenant } = event
  return { type: fullNameOf(event), data, id, stream, version, time, metadata, tenant }
}

/** Which event it is. */
export function inputOf(event: RecordedEvent): EventInput {
  const { category, stream, version, bucket, offset } = event
  return { kind: 'event', category, stream, version, type: fullNameOf(event), bucket, offset }
}

/** Decides on one instance; collects the events of one append. */
export class SagaDecision {
  readonly #definition: Saga
  readonly #key: { readonly id: string; readonly tenant: string }
  readonly #limits: SagaLimits
  readonly #base: number
  readonly #care: Care
  #steps = 0
  #instance: SagaInstance
  #events: NewSagaEvent[] = []
  #movedAt = -1

  /** @param version of the stream that `instance` was folded from */
  constructor(
    definition: Saga,
    key: { readonly id: string; readonly tenant: string },
    instance: SagaInstance,
    version: number,
    limits: SagaLimits,
    care: Care = NO_CARE,
  ) {
    this.#definition = definition
    this.#key = key
    this.#instance = instance
    this.#base = version
    this.#limits = limits
    this.#care = care
  }

  /** With what was decided. */
  get instance(): SagaInstance {
    return this.#instance
  }

  get events(): readonly NewSagaEvent[] {
    return this.#events
  }

  /** Time of the latest input, ms since the epoch: of an event, or when a timer was due; -1: none. */
  get movedAt(): number {
    return this.#movedAt
  }

  /** Takes an event of a source, after the timers that are due by `limit` (ms since the epoch). */
  take(event: RecordedEvent, limit: number): Taken {
    const input = inputOf(event)
    const known = this.#known(input)
    if (known !== null) return known
    if (this.#instance.status !== 'absent') this.fireDue(limit)
    if (this.#isFull) return 'full'
    // A timer that fired may have ended or parked it.
    if (this.#is('ended')) return 'ended'
    if (this.#is('parked')) {
      this.#emit({ type: 'Deferred', data: { input } })
      return 'deferred'
    }
    return this.#takeNow(input, event)
  }

  /** Fires the timers that are due by `limit`, also those that are started meanwhile. */
  fireDue(limit: number): void {
    for (let fired = 0; this.#instance.status === 'running'; fired += 1) {
      const timer = earliest(this.#instance)
      if (timer === null || timer.due > limit || this.#isFull) return
      if (fired >= this.#limits.firings) {
        const problem = `timers start timers that are due at once, ${fired} in a row`
        this.#emit({ type: 'Parked', data: { input: timer, reason: problem } })
        return
      }
      this.#fire(timer)
    }
  }

  /** A command that it sent was refused; once. */
  reject(input: RejectionInput): void {
    if (this.#instance.sends[input.sent] === undefined) return
    if (this.#instance.status === 'parked') this.#emit({ type: 'Deferred', data: { input } })
    else this.#refuse(input)
  }

  /**
   * Handles what was deferred, in order: at most `most` inputs, up to one that fails again. Says
   * whether that is all that can be done.
   */
  async redrive(
    read: (input: EventInput) => Promise<RecordedEvent | undefined>,
    most: number,
  ): Promise<{ readonly handled: number; readonly isOver: boolean }> {
    if (!this.#is('parked')) return { handled: 0, isOver: true }
    let handled = 0
    while (handled < most && !this.#isFull) {
      const [input] = this.#instance.deferred
      if (input === undefined) break
      if (!(await this.#again(input, read))) return { handled, isOver: true }
      handled += 1
      if (this.#is('ended')) return { handled, isOver: true }
    }
    if (this.#instance.deferred.length === 0) {
      const timers = Object.entries(this.#instance.timers)
      const running = timers.map(([timer, { due, version }]) => ({ timer, due, version }))
      this.#emit({ type: 'Resumed', data: { timers: running } })
    }
    return { handled, isOver: this.#instance.deferred.length === 0 }
  }

  /** Records that a send reached its goal; once. */
  delivered(sent: number): void {
    if (this.#instance.sends[sent] !== undefined) this.#emit({ type: 'Delivered', data: { sent } })
  }

  /** Gives a send up until it is redriven. */
  parkSend(sent: number, reason: string, attempts: number): void {
    if (this.#instance.sends[sent]?.parked !== false) return
    this.#emit({ type: 'SendParked', data: { sent, reason, attempts } })
  }

  /** Lets a parked send be tried again. */
  redriveSend(sent: number): void {
    if (this.#instance.sends[sent]?.parked !== true) return
    this.#emit({ type: 'SendRedriven', data: { sent } })
  }

  get #isFull(): boolean {
    return this.#steps >= this.#care.steps
  }

  /** A handler is about to run. Throws where its record has been refused. */
  #step(): void {
    this.#steps += 1
    if (this.#care.refused !== null) throw bad(`it cannot be recorded: ${this.#care.refused}`)
  }

  #is(status: SagaInstance['status']): boolean {
    return this.#instance.status === status
  }

  /** What is known of an event before any handler runs; null if it is to be handled. */
  #known(input: EventInput): Taken | null {
    const { status, taken, start } = this.#instance
    if (versionTaken(taken, sourceOf(input)) >= input.version) return 'known'
    if (status === 'ended') return 'ended'
    if (status === 'absent')
      return this.#definition.starts.includes(input.type) ? null : 'not-begun'
    // It came before the instance began and was passed over then: so it is when it comes again.
    const isBefore =
      start !== null &&
      start.category === input.category &&
      start.bucket === input.bucket &&
      input.offset < start.offset
    return isBefore ? 'not-begun' : null
  }

  #takeNow(input: EventInput, event: RecordedEvent): Taken {
    this.#movedAt = Math.max(this.#movedAt, event.time)
    const isFirst = this.#instance.status === 'absent'
    try {
      this.#step()
      const state = isFirst ? toJson(this.#definition.initial(), 'initial()') : this.#instance.state
      const handler = this.#definition.on[input.type]
      const actions = handler?.(copy(state), eventForHandler(event) as never) ?? []
      const events = this.#eventsOf(actions, event.time, event.correlationId)
      if (isFirst) this.#emit({ type: 'Started', data: { state } })
      this.#emit({ type: 'Took', data: input }, ...events)
      return 'taken'
    } catch (error) {
      if (isFirst) this.#emit({ type: 'Started', data: { state: null } })
      this.#emit({ type: 'Parked', data: { input, reason: reasonOf(error) } })
      return 'deferred'
    }
  }

  #fire(timer: TimerInput): void {
    this.#movedAt = Math.max(this.#movedAt, timer.due)
    const handler = this.#definition.timers[timer.timer]
    const instance = { ...this.#key, time: timer.due }
    try {
      this.#step()
      if (handler === undefined) throw noTimer(timer.timer, this.#definition.name)
      const actions = handler(copy(this.#instance.state), instance)
      const events = this.#eventsOf(actions, timer.due, undefined, timer.timer)
      this.#emit({ type: 'Fired', data: timer }, ...events)
    } catch (error) {
      this.#emit({ type: 'Parked', data: { input: timer, reason: reasonOf(error) } })
    }
  }

  #refuse(input: RejectionInput): void {
    const { sent: _, kind: __, ...rejection } = input
    const handler = this.#definition.rejected[`${input.aggregate}.${input.command}`]
    // An ended instance takes nothing more, but what became of its commands stays on record.
    const isHandled = this.#instance.status === 'running' && handler !== undefined
    const instance = { ...this.#key, time: this.#instance.time }
    try {
      if (isHandled) this.#step()
      const actions = isHandled ? handler(copy(this.#instance.state), rejection, instance) : []
      const events = this.#eventsOf(actions, this.#instance.time, undefined)
      this.#emit({ type: 'Rejected', data: input }, ...events)
    } catch (error) {
      this.#emit({ type: 'Parked', data: { input, reason: reasonOf(error) } })
    }
  }

  /** Handles a deferred input; false when it failed again. */
  async #again(
    input: SagaInput,
    read: (input: EventInput) => Promise<RecordedEvent | undefined>,
  ): Promise<boolean> {
    const parkedAt = this.#events.length
    const before = this.#instance
    this.#instance = { ...before, status: 'running' }
    if (input.kind === 'timer') {
      // Without its timer there is nothing to fire: an event that was deferred later cancelled it.
      if (before.timers[input.timer]?.due === input.due) this.#fire(input)
      else this.#emit({ type: 'Fired', data: input })
    } else if (input.kind === 'rejection') this.#refuse(input)
    else {
      const event = await read(input)
      // Truncated or deleted meanwhile: there is nothing left to handle.
      if (event === undefined) this.#emit({ type: 'Took', data: input })
      else this.#takeAgain(input, event)
    }
    const failed = this.#events.at(-1)?.type === 'Parked' && this.#events.length > parkedAt
    if (!failed && this.#instance.status === 'running')
      this.#instance = { ...this.#instance, status: 'parked' }
    return !failed
  }

  #takeAgain(input: EventInput, event: RecordedEvent): void {
    const { start } = this.#instance
    if (start !== null && isSameInput(start, input)) {
      // The event that began the instance had failed: it begins anew.
      this.#instance = { ...this.#instance, status: 'absent' }
    } else this.fireDue(event.time)
    if (!this.#is('ended') && !this.#is('parked')) this.#takeNow(input, event)
  }

  #eventsOf(
    actions: readonly Action<string, unknown>[],
    time: number,
    correlationId: string | undefined,
    firing?: string,
  ): NewSagaEvent[] {
    if (!Array.isArray(actions)) throw bad('a handler must answer a list of actions')
    if (actions.length > this.#limits.actions)
      throw bad(`a handler answered ${actions.length} actions, more than ${this.#limits.actions}`)
    const events: NewSagaEvent[] = []
    const running = new Set(Object.keys(this.#instance.timers))
    if (firing !== undefined) running.delete(firing)
    for (const action of actions) {
      if ('after' in action) {
        if (!Object.hasOwn(this.#definition.timers, action.after))
          throw noTimer(action.after, this.#definition.name)
        running.add(action.after)
        const due = time + action.delayMs
        events.push({ type: 'TimerSet', data: { timer: action.after, due } })
      } else if ('cancel' in action) {
        if (running.delete(action.cancel))
          events.push({ type: 'TimerCancelled', data: { timer: action.cancel } })
      } else if ('become' in action) {
        events.push({ type: 'Became', data: { state: toJson(action.become, 'become()') } })
      } else if ('send' in action) {
        events.push(sendEvent(action.send, correlationId))
      } else if (!('end' in action)) {
        throw bad(`not an action: ${JSON.stringify(action)}`)
      }
    }
    // The end counts last, wherever it stands among the actions.
    if (actions.some(action => 'end' in action)) events.push({ type: 'Ended', data: {} })
    return events
  }

  #emit(...events: NewSagaEvent[]): void {
    for (const event of events) {
      this.#events.push(event)
      this.#instance = evolveInstance(this.#instance, event, this.#base + this.#events.length)
    }
  }
}

/** The timer that is due first; by name where several are. */
function earliest({ timers }: SagaInstance): TimerInput | null {
  let first: TimerInput | null = null
  for (const [timer, { due }] of Object.entries(timers)) {
    const isEarlier =
      first === null || due < first.due || (due === first.due && timer < first.timer)
    if (isEarlier) first = { kind: 'timer', timer, due }
  }
  return first
}

function sendEvent(
  send: Extract<Action<string, unknown>, { send: unknown }>['send'],
  correlationId: string | undefined,
): NewSagaEvent {
  const common = {
    ...(send.data === undefined
      ? {}
      : {
          data: toJson(
            send.data,
            'effect' in send ? `send(${send.effect})` : `tell(${send.aggregate}.${send.command})`,
          ),
        }),
    ...(correlationId === undefined ? {} : { correlationId }),
  }
  if ('effect' in send) return { type: 'EffectSent', data: { effect: send.effect, ...common } }
  const { aggregate, id, command } = send
  return { type: 'CommandSent', data: { aggregate, id, command, ...common } }
}

/** A value as it will be read again; throws, by name, for what JSON would change or has no form of. */
function toJson(value: unknown, what: string): Json {
  if (value === undefined) return null
  const problem = notJson(value)
  if (problem !== undefined) throw bad(`${what} is not JSON: ${problem.replace(/^: /, '')}`)
  return JSON.parse(JSON.stringify(value)) as Json
}

/** Handlers cannot change the instance by changing what they are given. */
const copy = (state: Json): never =>
  (state !== null && typeof state === 'object' ? structuredClone(state) : state) as never

const bad = (detail: string): ModelError => new ModelError('BAD_ARGUMENT', detail)
const noTimer = (timer: string, saga: string): ModelError =>
  bad(`saga ${saga} has no timer ${JSON.stringify(timer)}`)
