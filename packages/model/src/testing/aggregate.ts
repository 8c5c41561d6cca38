/**
 * Given-when-then for aggregates, without a store and for any test runner.
 *
 *   scenario(loan)
 *     .given([{ type: 'Submitted', data: { amount: 20_000 } }])
 *     .when('accept', { offerId: 'o-1' })
 *     .expectRejection('no such offer')
 *
 * It runs what the runtime runs: schemas, `decide`, `evolve`, upcasters. States, events and commands
 * are frozen, so a function that changes what it was given fails here; events and states must come
 * back from JSON as they went in, because logs and snapshots hold JSON.
 */
import { AssertionError } from 'node:assert'
import type { RecordedEvent } from '@millrace/store'
import { type CompiledAggregate, compileAggregate, type Made } from '../commands/compiled.ts'
import type { Aggregate, Upcast } from '../define/aggregate.ts'
import { frozen } from '../define/json.ts'
import type { In, Out } from '../define/schema.ts'
import { ModelError, type ModelErrorCode, reasonOf } from '../errors.ts'
import type { Reason } from '../runtime/handles.ts'
import { asJson, assertEqual, assertJson, difference } from './json.ts'

type Events<A> = A extends Aggregate<string, infer E> ? E : never
// biome-ignore lint/suspicious/noExplicitAny: only the commands are looked at
type Commands<A> = A extends Aggregate<string, any, any, infer C> ? C : never
// biome-ignore lint/suspicious/noExplicitAny: only the decisions are looked at
type Decisions<A> = A extends Aggregate<string, any, any, any, infer D> ? D : never
type State<A> = A extends { readonly initial: () => infer S } ? S : never
type ReasonOf<A, K> = K extends keyof Decisions<A> ? Reason<Decisions<A>[K]> : never

/** An event as a scenario writes it. */
export type ScenarioEvent<A> =
  | {
      [K in keyof Events<A>]: { type: K; data: Out<Events<A>[K]>; time?: number }
    }[keyof Events<A>]
  /** One of an earlier version of its schema: it is brought up by the upcasters. */
  | { type: keyof Events<A>; data: unknown; time?: number; schemaVersion: number }

/** What a decision comes to, as a scenario expects it. */
export type ExpectedEvent<A> = {
  [K in keyof Events<A>]: { type: K; data: Out<Events<A>[K]> }
}[keyof Events<A>]

/** What decisions of a scenario are told. */
export type ScenarioOptions = {
  /** Id of the aggregate. Default "1". */
  readonly id?: string
  /** Time of decisions and events, ms since the epoch. Default 0. */
  readonly now?: number
  /** Default: id-1, id-2, … */
  readonly newId?: () => string
}

type Scene = {
  readonly aggregate: Aggregate
  readonly compiled: CompiledAggregate
  readonly options: Required<ScenarioOptions>
}
type History = { readonly version: number; readonly state: unknown }
type Outcome =
  | { readonly kind: 'events'; readonly events: readonly Made[] }
  | { readonly kind: 'rejection'; readonly reason: unknown }
  | { readonly kind: 'error'; readonly error: unknown }

/** Begins a scenario of an aggregate without events. */
export function scenario<A extends Aggregate>(
  aggregate: A,
  options: ScenarioOptions = {},
): AggregateScenario<A> {
  let ids = 0
  const scene: Scene = {
    aggregate,
    compiled: compileAggregate(aggregate),
    options: { id: '1', now: 0, newId: () => `id-${++ids}`, ...options },
  }
  return new AggregateScenario<A>(scene, stateAfter(scene, undefined, []))
}

/** What has happened to an aggregate. Each step gives a scenario; none changes an earlier one. */
export class AggregateScenario<A extends Aggregate> {
  readonly #scene: Scene
  readonly #history: History

  constructor(scene: Scene, history: History) {
    this.#scene = scene
    this.#history = history
  }

  /** The state that the events so far come to. */
  get state(): State<A> {
    return this.#history.state as State<A>
  }

  /** Events that have happened, after those of before. */
  given(events: readonly ScenarioEvent<A>[]): AggregateScenario<A> {
    return new AggregateScenario(this.#scene, stateAfter(this.#scene, this.#history, events))
  }

  /** Decides a command on what has happened. */
  when<K extends keyof Commands<A> & string>(
    command: K,
    ...data: undefined extends In<Commands<A>[K]>
      ? [data?: In<Commands<A>[K]>]
      : [In<Commands<A>[K]>]
  ): AggregateDecision<A, K> {
    const { compiled, options } = this.#scene
    const outcome = decided(compiled, command, data[0], this.#history.state, options)
    const title = `${compiled.name}.${command} at version ${this.#history.version}`
    return new AggregateDecision<A, K>(this.#scene, this.#history, outcome, title)
  }

  /** Throws unless the state is this one. */
  expectState(expected: State<A>): this {
    const { name } = this.#scene.compiled
    assertEqual(this.#history.state, expected, `${name}: the state is another one`)
    return this
  }
}

/** What a command came to. As a scenario, it goes on after the events that were decided. */
export class AggregateDecision<A extends Aggregate, K> extends AggregateScenario<A> {
  readonly #outcome: Outcome
  readonly #title: string

  constructor(scene: Scene, history: History, outcome: Outcome, title: string) {
    const events = outcome.kind === 'events' ? outcome.events : []
    super(scene, stateAfter(scene, history, events))
    this.#outcome = outcome
    this.#title = title
  }

  /** Throws unless just these events were decided, in this order. */
  expectEvents(expected: readonly ExpectedEvent<A>[]): this {
    const outcome = this.#outcome
    if (outcome.kind !== 'events') throw this.#otherwise(asJson(expected))
    assertEqual(asJson(outcome.events), asJson(expected), `${this.#title} decided other events`)
    return this
  }

  /** Throws unless the command was accepted and nothing happened. */
  expectNothing(): this {
    return this.expectEvents([])
  }

  /** Throws unless the command was rejected for this reason. */
  expectRejection(expected: ReasonOf<A, K>): this {
    const outcome = this.#outcome
    if (outcome.kind !== 'rejection') throw this.#otherwise({ rejected: expected })
    assertEqual(outcome.reason, expected, `${this.#title} was rejected for another reason`)
    return this
  }

  /** Throws unless the command failed: `INVALID_COMMAND`, `INVALID_EVENT`, `DECIDE_FAILED`. */
  expectError(code: ModelErrorCode): this {
    const outcome = this.#outcome
    const isThat =
      outcome.kind === 'error' && outcome.error instanceof ModelError && outcome.error.code === code
    if (!isThat) throw this.#otherwise({ error: code })
    return this
  }

  #otherwise(expected: unknown): Error {
    const outcome = this.#outcome
    switch (outcome.kind) {
      case 'events':
        return difference(asJson(outcome.events), expected, `${this.#title} decided events`)
      case 'rejection':
        return difference({ rejected: outcome.reason }, expected, `${this.#title} was rejected`)
      case 'error':
        return new AssertionError({
          message: `${this.#title} failed: ${reasonOf(outcome.error)}`,
          actual: outcome.error,
          expected,
        })
    }
  }
}

function decided(
  { commands }: CompiledAggregate,
  name: string,
  data: unknown,
  state: unknown,
  context: Required<ScenarioOptions>,
): Outcome {
  try {
    const command = commands.get(name)
    if (command === undefined) throw new ModelError('UNKNOWN_COMMAND', `no command ${name}`)
    const valid = frozen(command.validate(data))
    const { events, rejected } = command.decide(valid, state, context)
    if (rejected !== undefined) return { kind: 'rejection', reason: rejected.reason }
    for (const event of events) assertJson(event.data, `data of ${event.type}`)
    return { kind: 'events', events }
  } catch (error) {
    if (error instanceof AssertionError) throw error
    return { kind: 'error', error }
  }
}

type Written = {
  readonly type: PropertyKey
  readonly data: unknown
  readonly time?: number
  readonly schemaVersion?: number
}

function stateAfter(
  scene: Scene,
  before: History | undefined,
  events: readonly Written[],
): History {
  const { aggregate, compiled } = scene
  const keepsStates = aggregate.options.snapshotEvery !== 0
  let state = before?.state ?? frozen(compiled.fold.initial())
  let version = before?.version ?? 0
  const check = (after: string): void => {
    if (keepsStates) assertJson(state, `${compiled.name}: the state ${after}`)
  }
  for (const event of events) {
    version += 1
    state = frozen(compiled.fold.evolve(state, recorded(scene, event, version)))
    check(`after ${String(event.type)}`)
  }
  return { state, version }
}

function recorded({ aggregate, options }: Scene, event: Written, version: number): RecordedEvent {
  const type = String(event.type)
  const steps: readonly Upcast[] = aggregate.options.on?.[type]?.upcast ?? []
  const present = steps.length + 1
  let data: unknown = asJson(event.data)
  for (let at = event.schemaVersion ?? present; at < present; at += 1) {
    data = (steps[at - 1] as (data: unknown) => unknown)(data)
  }
  return {
    type,
    data: frozen(data),
    id: `${options.id}:${version}`,
    tenant: '',
    category: aggregate.name,
    stream: options.id,
    version,
    time: event.time ?? options.now,
    schemaVersion: present,
    tags: [],
    metadata: {},
    appendId: `append-${version}`,
    bucket: 0,
    offset: version - 1,
  }
}
