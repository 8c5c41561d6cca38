/**
 * An aggregate: plain data and pure functions. `evolve` makes the state of the events, `decide`
 * makes events (or a rejection) of a command and the state; loading, appending, conflicts,
 * idempotency and tracing are the runtime's.
 *
 * The types infer `V` and `D` before they are compared (`V & Only<…> & Whole<…>`): compared at once,
 * a literal such as "open" would widen to string, and its misspelling pass. For the same reason each
 * function of `evolve` has a parameter, looked at or not (`_ => …`): one without is inferred before
 * the state is known.
 */

import type { Timestamp } from '@millrace/log'
import type { Boundary, StreamVersion } from '@millrace/store'
import type { In, Out, Schema, Schemas } from './schema.ts'

type IsJson<T> = T extends string | number | boolean | null | undefined
  ? true
  : T extends
        | Date
        | bigint
        | symbol
        // biome-ignore lint/suspicious/noExplicitAny: any map, set or function is refused
        | ReadonlyMap<any, any>
        // biome-ignore lint/suspicious/noExplicitAny: any map, set or function is refused
        | ReadonlySet<any>
        | ((...a: never) => unknown)
    ? false
    : T extends readonly (infer U)[]
      ? IsJson<U>
      : false extends { [K in keyof T]: IsJson<T[K]> }[keyof T]
        ? false
        : true
type JsonOnly<E> = {
  [K in keyof E]: false extends IsJson<Out<E[K]>>
    ? 'an event must be JSON: no Date, Map, Set, bigint, function'
    : unknown
}
/** An error at each name of `T` that is not one of `K`. */
type Only<T, K> = { [X in Exclude<keyof T, K>]: never }
type Keys<S> = S extends unknown ? keyof S : never
type Whole<V, S> = {
  [F in keyof V]: V[F] extends (...a: never) => infer R
    ? [Exclude<Keys<R>, Keys<S>>] extends [never]
      ? unknown
      : { 'the state has no': Exclude<Keys<R>, Keys<S>> }
    : unknown
}

/** An event that was decided and is not recorded yet. */
export type New<K, D> = { type: K; data: D }
/** An event as handlers get it. */
export type Recorded<K, D> = New<K, D> & {
  id: string
  /** Id of the aggregate. */
  stream: string
  version: StreamVersion
  /** Ms since the epoch, UTC. */
  time: Timestamp
  metadata: Readonly<Record<string, string>>
  tenant: string
  /** Fields whose subject was forgotten; they read as `ERASED`. Absent: all readable. */
  erased?: readonly string[]
}
/** A command that was refused, as a value. */
export type Rejection<R> = { rejected: R }
/** Makes events of a type. */
export type Emit<E> = { [K in keyof E]: (data: In<E[K]>) => New<K, Out<E[K]>> }
type NewOf<E> = { [K in keyof E]: New<K, Out<E[K]>> }[keyof E]
/** What a decision may know beside command and state. */
export type DecideContext = {
  /** Id of the aggregate. */
  id: string
  /** Ms since the epoch, UTC. */
  now: number
  newId: () => string
}
/** One function a type of event. */
export type Evolve<E, S> = {
  [K in keyof E]: (state: S, data: Out<E[K]>, event: Recorded<K, Out<E[K]>>) => S
}
/** One function a command. */
export type Decide<C, S, E> = {
  [K in keyof C]: (
    command: Out<C[K]>,
    state: S,
    emit: Emit<E>,
    context: DecideContext,
  ) => NewOf<E> | NewOf<E>[] | Rejection<unknown>
}

/** Brings the data of an event from one version of its schema to the next. */
export type Upcast = (data: never) => unknown

type Field<D> = [D] extends [never] ? string : keyof D & string

/** What a type of event is declared with, beside its schema; `D` is its data. */
export type EventOptions<D = never> = {
  /**
   * Steps from schema version 1 to 2, 2 to 3, …; the present version is their number + 1. Used by
   * commands, projections and rebuilds alike.
   */
  readonly upcast?: readonly Upcast[]
  /** Fields of the data that are personal, and whose they are. */
  readonly personal?: {
    readonly fields: readonly Field<D>[]
    /** Name of the field that holds the subject's id; default: the stream's id. */
    readonly subject?: Field<D>
  }
  /** Words that conditions and searches find the event by. */
  readonly tags?: (data: D) => readonly string[]
}
type OnEvents<E> = { readonly [K in keyof E]?: EventOptions<Out<E[K]>> }

/** An aggregate's definition. */
// biome-ignore lint/suspicious/noExplicitAny: defaults of inference; unknown would refuse every aggregate
export type Aggregate<N = string, E = any, S = any, C = any, D = any> = {
  readonly name: N
  readonly events: E
  readonly initial: () => S
  readonly commands: C
  readonly decide: D
  /** By type of event, untyped: for the runtime. */
  readonly evolve: Readonly<Record<string, (state: never, data: never, event: never) => unknown>>
  readonly options: AggregateSettings
}

/** What an aggregate may be given beside its functions. */
export type AggregateSettings = {
  /** Events between snapshots; 0: none. Default 200. */
  readonly snapshotEvery?: number
  /**
   * Snapshots of another number are ignored and made again. The sources of `initial`, `evolve` and
   * the upcasters are compared anyway; raise it when something that they call has changed.
   */
  readonly snapshotVersion?: number
  /** Declarations by type of event. */
  readonly on?: Readonly<Record<string, EventOptions>>
  /** Streams with an equal boundary lie in one bucket. Default: the id. */
  readonly boundary?: Boundary
  /** Buckets of the category, fixed once it is there. Default: the store's `category.buckets`. */
  readonly buckets?: number
}

/** A rejection: the command is refused for a reason that its caller can read by type. */
export function reject<const R>(reason: R): Rejection<R> {
  return { rejected: reason }
}

/** Defines an aggregate. Every type of event has one `evolve`, every command one `decide`. */
export function aggregate<
  const N extends string,
  E extends Schemas,
  S,
  C extends Schemas,
  V extends Evolve<E, S>,
  D extends Decide<C, S, E>,
>(
  name: N,
  is: {
    events: E & JsonOnly<E>
    initial: () => S
    commands: C & { readonly then?: never }
    evolve: V & Only<V, keyof E> & Whole<V, S>
    decide: D & Only<D, keyof C>
    options?: Omit<AggregateSettings, 'on'> & { readonly on?: OnEvents<NoInfer<E>> }
  },
): Aggregate<N, E, S, C, D> {
  return Object.freeze({
    name,
    events: is.events,
    initial: is.initial,
    commands: is.commands,
    evolve: is.evolve as Aggregate['evolve'],
    decide: is.decide,
    options: (is.options ?? {}) as AggregateSettings,
  })
}

/** The events of an aggregate, by full name: `loan.Submitted`. */
export type EventOf<A> =
  A extends Aggregate<infer N extends string, infer E>
    ? { [K in keyof E & string]: Recorded<`${N}.${K}`, Out<E[K]>> }[keyof E & string]
    : never
type Named<A, K> = K extends `${infer N}.${infer X}`
  ? A extends Aggregate<N, infer E>
    ? X extends keyof E
      ? Recorded<K, Out<E[X]>>
      : never
    : never
  : never
/** Handlers by full name of the event. Without an `as` clause or Extract: inference and speed. */
export type On<A, T, R> = { [K in EventOf<A>['type']]?: (target: T, event: Named<A, K>) => R }

/** The kind of schema that an aggregate's state has none of: re-exported for the runtime. */
export type AnySchema = Schema<unknown, unknown>
