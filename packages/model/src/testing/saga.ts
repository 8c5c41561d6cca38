/**
 * Given-when-then for sagas, with a clock of its own, without a store and for any test runner.
 *
 *   sagaScenario(reminder)
 *     .given({ type: 'loan.OfferMade', stream: '7', data: { offerId: 'o-1' } })
 *     .advance({ days: 7 })
 *     .expectSent(send(mail, { loan: '7' }))
 *     .expectEnded()
 *
 * It runs what the runtime runs: the decisions, the fold, JSON in between. Time passes with the
 * events and with `advance`, and timers fire at their time on the way. Every event is delivered
 * twice, because the runtime may do so: the second time must change nothing. A handler that throws
 * fails the scenario, where the runtime would park the instance.
 */
import { AssertionError } from 'node:assert'
import type { Json, RecordedEvent } from '@millrace/store'
import { type Delay, delayMsOf, type Saga, type Send } from '../define/saga.ts'
import { validated } from '../define/validate.ts'
import { eventForHandler, SagaDecision } from '../sagas/decide.ts'
import {
  ABSENT_INSTANCE,
  evolveInstance,
  type NewSagaEvent,
  type SagaInstance,
} from '../sagas/events.ts'
import type { SagaLimits } from '../sagas/settings.ts'
import type { GivenEvent } from './events.ts'
import { asJson, assertEqual, assertJson } from './json.ts'

/** What a scenario of a saga is told. */
export type SagaScenarioOptions = {
  /** Time at which it begins, ms since the epoch. Default 0. */
  readonly now?: number
  readonly tenant?: string
}

type Instance = { readonly instance: SagaInstance; readonly version: number }

/** What has happened so far. */
type History = {
  readonly now: number
  readonly instances: ReadonlyMap<string, Instance>
  /** Versions of the streams of the sources. */
  readonly streams: ReadonlyMap<string, number>
  /** What the last step sent. */
  readonly sent: readonly Send['send'][]
  /** Events after the end of their instance, in all. */
  readonly ignored: number
}
type Scene = { readonly saga: Saga; readonly tenant: string }

const LIMITS: SagaLimits = { actions: 500, firings: 100 }

/** Begins a scenario of a saga without instances. */
export function sagaScenario(saga: Saga, options: SagaScenarioOptions = {}): SagaScenario {
  const scene = { saga, tenant: options.tenant ?? '' }
  const history = {
    now: options.now ?? 0,
    instances: new Map(),
    streams: new Map(),
    sent: [],
    ignored: 0,
  }
  return new SagaScenario(scene, history)
}

/** What has happened to a saga. Each step gives a scenario; none changes an earlier one. */
export class SagaScenario {
  readonly #scene: Scene
  readonly #history: History

  constructor(scene: Scene, history: History) {
    this.#scene = scene
    this.#history = history
  }

  /** Ms since the epoch. */
  get now(): number {
    return this.#history.now
  }

  /** Events that happen, in this order; at their time, or now. Timers that are due before fire. */
  given(...events: readonly GivenEvent[]): SagaScenario {
    let history: History = { ...this.#history, sent: [] }
    for (const event of events) history = this.#happened(history, event)
    return new SagaScenario(this.#scene, history)
  }

  /** Time passes; timers fire in the order of their time. */
  advance(delay: Delay): SagaScenario {
    const history = { ...this.#history, sent: [] }
    const until = history.now + delayMsOf(delay, 'advance')
    return new SagaScenario(this.#scene, this.#firedUntil(history, until))
  }

  /** The oldest unanswered command of this full name (`stock.reserve`) is refused. */
  refused(command: string, reason: Json, key?: string): SagaScenario {
    const id = this.#keyOf(key)
    const history = { ...this.#history, sent: [] }
    const pending = this.#pending(id).find(({ name }) => name === command)
    if (pending === undefined)
      throw failure(
        `no command ${command} of instance ${id} is without an answer`,
        undefined,
        command,
      )
    const { aggregate, id: target, command: local, version: sent } = pending
    const input = {
      kind: 'rejection',
      sent,
      aggregate,
      id: target,
      command: local,
      reason,
    } as const
    return new SagaScenario(
      this.#scene,
      this.#decided(history, id, decision => decision.reject(input)),
    )
  }

  /** Throws unless the last step sent just this, in this order. */
  expectSent(...expected: readonly Send[]): this {
    const { saga } = this.#scene
    const wanted = asJson(expected.map(({ send }) => send))
    assertEqual(asJson(this.#history.sent), wanted, `${saga.name} sent something else`)
    return this
  }

  expectNothingSent(): this {
    return this.expectSent()
  }

  /** Throws unless the instance has this state. The key may be left out while there is only one. */
  expectState(expected: unknown, key?: string): this {
    const { name } = this.#scene.saga
    const id = this.#keyOf(key)
    const { state } = this.#instance(id)
    assertEqual(state, expected, `${name}: the state of instance ${id} is another one`)
    return this
  }

  /** Throws unless just these timers run; each with the time that is left. */
  expectTimers(expected: Readonly<Record<string, Delay>>, key?: string): this {
    const id = this.#keyOf(key)
    const left: Record<string, number> = {}
    for (const [timer, { due }] of Object.entries(this.#instance(id).timers))
      left[timer] = due - this.#history.now
    const wanted: Record<string, number> = {}
    for (const [timer, delay] of Object.entries(expected)) wanted[timer] = delayMsOf(delay, timer)
    const { name } = this.#scene.saga
    assertEqual(left, wanted, `${name}: other timers of instance ${id} run (ms left)`)
    return this
  }

  expectEnded(key?: string): this {
    return this.#expectStatus('ended', key)
  }

  expectRunning(key?: string): this {
    return this.#expectStatus('running', key)
  }

  /** Throws unless no event has begun an instance of this key. */
  expectNotBegun(key: string): this {
    return this.#expectStatus('absent', key)
  }

  /** Throws unless so many events came after the end of their instance. */
  expectIgnored(count: number): this {
    const { name } = this.#scene.saga
    assertEqual(this.#history.ignored, count, `${name} ignored another number of events`)
    return this
  }

  #expectStatus(expected: SagaInstance['status'], key: string | undefined): this {
    const id = this.#keyOf(key)
    const { status } = this.#instance(id)
    assertEqual(status, expected, `${this.#scene.saga.name}: instance ${id} is ${status}`)
    return this
  }

  #happened(before: History, given: GivenEvent): History {
    const time = given.time ?? before.now
    if (time < before.now)
      throw failure('an event is older than what has happened already', time, before.now)
    const history = this.#firedUntil(before, time)
    const event = this.#recorded(history, given, time)
    const streams = new Map(history.streams).set(sourceOf(event), event.version)
    const id = this.#scene.saga.key(eventForHandler(event) as never)
    let outcome = ''
    const taken = this.#decided({ ...history, streams }, id, decision => {
      outcome = decision.take(event, time)
    })
    this.#checkRedelivery(taken, id, event, outcome)
    return { ...taken, ignored: taken.ignored + (outcome === 'ended' ? 1 : 0) }
  }

  /** What was delivered once more must have been known. */
  #checkRedelivery(history: History, id: string, event: RecordedEvent, outcome: string): void {
    if (outcome !== 'taken') return
    const again = this.#decision(history, id)
    again.take(event, history.now)
    assertEqual(again.events, [], `${event.type} delivered twice counted twice`)
  }

  #recorded(history: History, given: GivenEvent, time: number): RecordedEvent {
    const dot = given.type.indexOf('.')
    const [category, type] = [given.type.slice(0, dot), given.type.slice(dot + 1)]
    const aggregate = this.#scene.saga.from.find(({ name }) => name === category)
    const schema = aggregate?.events[type]
    if (schema === undefined)
      throw failure(`${this.#scene.saga.name} does not follow ${given.type}`, given.type, undefined)
    const data = validated(schema, given.data, given.type, 'INVALID_EVENT')
    assertJson(data, `data of ${given.type}`)
    const tenant = given.tenant ?? this.#scene.tenant
    const name = `${category}/${given.stream}`
    const version = (history.streams.get(name) ?? 0) + 1
    const id = `${name}@${version}`
    return {
      ...{ type, data, id, tenant, category, stream: given.stream, version, time },
      ...{ schemaVersion: 1, tags: [], metadata: given.metadata ?? {}, appendId: id },
      ...{ bucket: 0, offset: [...history.streams.values()].reduce((sum, each) => sum + each, 0) },
    }
  }

  /** Fires the timers of all instances up to a time, in the order of their time. */
  #firedUntil(before: History, until: number): History {
    let history = before
    for (;;) {
      const next = earliest(history, until)
      if (next === null) return { ...history, now: until }
      const now = Math.max(history.now, next.due)
      history = this.#decided({ ...history, now }, next.id, decision => decision.fireDue(next.due))
    }
  }

  #decision(history: History, id: string): SagaDecision {
    const { saga, tenant } = this.#scene
    const { instance, version } = history.instances.get(id) ?? NEW
    return new SagaDecision(saga, { id, tenant }, instance, version, LIMITS)
  }

  #decided(history: History, id: string, decide: (decision: SagaDecision) => void): History {
    const decision = this.#decision(history, id)
    decide(decision)
    const parked = decision.events.find(({ type }) => type === 'Parked')
    if (parked?.type === 'Parked')
      throw failure(
        `${this.#scene.saga.name} threw: ${parked.data.reason}`,
        parked.data.input,
        undefined,
      )
    if (decision.events.length === 0) return history
    const before = history.instances.get(id) ?? NEW
    // As the runtime finds it: folded from the events as JSON.
    const events = asJson(decision.events)
    let { instance } = before
    events.forEach((event, at) => {
      instance = evolveInstance(instance, event, before.version + at + 1)
    })
    const version = before.version + events.length
    const instances = new Map(history.instances).set(id, { instance, version })
    return { ...history, instances, sent: [...history.sent, ...events.flatMap(sendOf)] }
  }

  #keyOf(key: string | undefined): string {
    if (key !== undefined) return key
    const [only, ...others] = this.#history.instances.keys()
    if (only !== undefined && others.length === 0) return only
    throw failure('name the key of the instance', this.#history.instances.size, 1)
  }

  #instance(id: string): SagaInstance {
    return (this.#history.instances.get(id) ?? NEW).instance
  }

  #pending(id: string) {
    const { sends } = this.#instance(id)
    return Object.entries(sends).flatMap(([version, send]) => {
      if (send.kind !== 'command') return []
      const { aggregate, command } = send.command
      return [{ ...send.command, name: `${aggregate}.${command}`, version: Number(version) }]
    })
  }
}

const NEW: Instance = { instance: ABSENT_INSTANCE, version: 0 }

const sourceOf = ({ category, stream }: RecordedEvent): string => `${category}/${stream}`

/** The timer of all instances that is due first, up to a time. */
function earliest(history: History, until: number): { id: string; due: number } | null {
  let first: { id: string; due: number } | null = null
  for (const [id, { instance }] of history.instances)
    for (const { due } of Object.values(instance.timers))
      if (due <= until && (first === null || due < first.due)) first = { id, due }
  return first
}

/** What an event sends, as `send` and `tell` give it. */
function sendOf(event: NewSagaEvent): Send['send'][] {
  if (event.type === 'EffectSent') return [{ effect: event.data.effect, data: event.data.data }]
  if (event.type !== 'CommandSent') return []
  const { aggregate, id, command, data } = event.data
  return [{ aggregate, id, command, data }]
}

const failure = (message: string, actual: unknown, expected: unknown): AssertionError =>
  new AssertionError({ message, actual, expected, operator: 'deepStrictEqual' })
