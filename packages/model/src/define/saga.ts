/**
 * Sagas and effects. A saga's stream is its inbox and outbox: what it took, its state, its timers
 * and what it sends are events of it, so one append moves everything. What leaves the system is an
 * effect: at least once, with an id that stays the same over retries.
 */
import type { Aggregate, EventOf, On } from './aggregate.ts'
import type { In, Out, Schema } from './schema.ts'

/** Something outside that is called: mail, HTTP. */
// biome-ignore lint/suspicious/noExplicitAny: a default of inference
export type Effect<T = any> = {
  readonly name: string
  readonly input: Schema<T>
  readonly run: (data: never, context: EffectContext) => Promise<void>
}

/** What an effect's function is told. */
export type EffectContext = {
  /** The same over all attempts: the other side's key for idempotency. */
  readonly id: string
  /** 1 for the first. */
  readonly attempt: number
  readonly tenant: string
  readonly signal: AbortSignal
}

/** Defines an effect. */
// biome-ignore lint/suspicious/noExplicitAny: a bound of inference
export function effect<T extends Schema<any, any>>(
  name: string,
  input: T,
  run: (data: Out<T>, context: EffectContext) => Promise<void>,
): Effect<In<T>> {
  return Object.freeze({ name, input, run: run as Effect['run'] })
}

/** An effect or a command to be sent. */
export type Send = {
  readonly send:
    | { readonly effect: string; readonly data: unknown }
    | {
        readonly aggregate: string
        readonly id: string
        readonly command: string
        readonly data: unknown
      }
}
/** A timer's delay; the parts add up. */
export type Delay = {
  readonly days?: number
  readonly hours?: number
  readonly minutes?: number
  readonly seconds?: number
}
/** What a saga answers to an event or a timer. Carried out in order, all in one append. */
export type Action<T, S> =
  | Send
  | { readonly after: T; readonly delayMs: number }
  | { readonly cancel: T }
  | { readonly become: S }
  | { readonly end: true }

/** Calls an effect. */
export function send<T>(to: Effect<T>, data: NoInfer<T>): Send {
  return { send: { effect: to.name, data } }
}

/** Sends a command. Its id is the saga's stream and version: it counts once. */
export function tell<C, K extends keyof C>(
  // biome-ignore lint/suspicious/noExplicitAny: only the commands are looked at
  to: Aggregate<string, any, any, C>,
  id: string,
  command: K,
  data: In<C[K]>,
): Send {
  return { send: { aggregate: to.name, id, command: String(command), data } }
}

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000
const SECOND_MS = 1000

/** Starts a timer, or starts it again. Measured from the time of the event that is handled. */
export function after<const T extends string>(
  timer: T,
  delay: Delay,
): { readonly after: T; readonly delayMs: number } {
  const { days = 0, hours = 0, minutes = 0, seconds = 0 } = delay
  const delayMs = days * DAY_MS + hours * HOUR_MS + minutes * MINUTE_MS + seconds * SECOND_MS
  if (!(delayMs >= 0) || !Number.isSafeInteger(Math.round(delayMs))) {
    throw new RangeError(`the delay of timer ${timer} must be 0 ms or more, not ${delayMs}`)
  }
  return { after: timer, delayMs: Math.round(delayMs) }
}

/** Stops a timer; nothing happens if it is not running. */
export function cancel<const T extends string>(timer: T): { readonly cancel: T } {
  return { cancel: timer }
}

/** The saga's state from now on. */
export function become<S>(state: S): { readonly become: S } {
  return { become: state }
}

/** The saga has ended: its timers stop, and what comes later for its key is ignored and counted. */
export function end(): { readonly end: true } {
  return { end: true }
}

/** A saga's definition, untyped: for the runtime. */
export type Saga = {
  readonly name: string
  readonly from: readonly Aggregate[]
  readonly starts: readonly string[]
  readonly key: (event: never) => string
  readonly initial: () => unknown
  readonly on: Readonly<
    Record<string, (state: never, event: never) => readonly Action<string, unknown>[]>
  >
  readonly timers: Readonly<
    Record<
      string,
      (state: never, instance: { readonly id: string }) => readonly Action<string, unknown>[]
    >
  >
}

/**
 * Defines a saga. An instance is begun by the first event of `starts` for a `key`; other events of
 * a key without an instance are ignored.
 */
export function saga<const A extends Aggregate[], S, T extends string>(
  name: string,
  is: {
    from: A
    starts: EventOf<A[number]>['type'][]
    key: (event: EventOf<A[number]>) => string
    initial: () => S
    on: On<A[number], S, Action<NoInfer<T>, S>[]>
    timers: { [K in T]: (state: S, instance: { id: string }) => Action<NoInfer<T>, S>[] }
  },
): Saga {
  return Object.freeze({
    name,
    from: is.from,
    starts: is.starts,
    key: is.key as Saga['key'],
    initial: is.initial,
    on: is.on as Saga['on'],
    timers: is.timers as Saga['timers'],
  })
}
