/**
 * Sagas and effects. A saga's stream is its inbox and outbox: what it took, its state, its timers
 * and what it sends are events of it, so one append moves everything. What leaves the system is an
 * effect: at least once, with an id that stays the same over retries.
 */
import type { Boundary, ForgetReport } from '@millrace/store'
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
  /** Destroys the key of a subject of this tenant: nobody reads its personal fields again. */
  readonly forget: (subject: string) => Promise<ForgetReport>
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

/** A delay in ms. `what` names it in the RangeError for one that is not 0 ms or more. */
export function delayMsOf(delay: Delay, what: string): number {
  const { days = 0, hours = 0, minutes = 0, seconds = 0 } = delay
  const delayMs = days * DAY_MS + hours * HOUR_MS + minutes * MINUTE_MS + seconds * SECOND_MS
  if (!(delayMs >= 0) || !Number.isSafeInteger(Math.round(delayMs))) {
    throw new RangeError(`the delay of timer ${what} must be 0 ms or more, not ${delayMs}`)
  }
  return Math.round(delayMs)
}

/** Starts a timer, or starts it again. Measured from the time of the event that is handled. */
export function after<const T extends string>(
  timer: T,
  delay: Delay,
): { readonly after: T; readonly delayMs: number } {
  return { after: timer, delayMs: delayMsOf(delay, timer) }
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

/** Which instance a timer or a rejection is of. */
export type SagaInstanceInfo = {
  /** The key. */
  readonly id: string
  readonly tenant: string
  /** The moment that is handled, ms since the epoch: a timer's is when it was due. */
  readonly time: number
}

/** A command of the saga's that its aggregate refused. */
export type RejectedCommand = {
  readonly aggregate: string
  /** Id of the aggregate. */
  readonly id: string
  readonly command: string
  /** What the aggregate answered. */
  readonly reason: unknown
}

/**
 * By which clock timers fall due. `"wall"`: the outside's, once the saga has caught up with its
 * events, and in any case before a later event of the same key. `"replay"`: the highest time of
 * the events of the bucket alone, so that a replay of old events comes to the same streams; the
 * saga's streams must then lie in their sources' buckets (an equal boundary).
 */
export type SagaClock = 'wall' | 'replay'

/** A saga's definition, untyped: for the runtime. */
export type Saga = {
  readonly name: string
  readonly clock: SagaClock
  /** Streams of the saga with an equal boundary lie in one bucket. Default: the key. */
  readonly boundary: Boundary | undefined
  readonly from: readonly Aggregate[]
  readonly starts: readonly string[]
  readonly key: (event: never) => string
  readonly initial: () => unknown
  readonly on: Readonly<
    Record<string, (state: never, event: never) => readonly Action<string, unknown>[]>
  >
  readonly timers: Readonly<
    Record<string, (state: never, instance: SagaInstanceInfo) => readonly Action<string, unknown>[]>
  >
  /** By full name of the command: `stock.reserve`. */
  readonly rejected: Readonly<
    Record<
      string,
      (
        state: never,
        rejection: RejectedCommand,
        instance: SagaInstanceInfo,
      ) => readonly Action<string, unknown>[]
    >
  >
}

/**
 * Defines a saga. An instance is begun by the first event of `starts` for a `key`; other events of
 * a key without an instance are ignored, and so is, for good, what comes for a key whose instance
 * has ended. Handlers are pure: what they throw parks the instance, and the same event is handled
 * again when it is redriven.
 */
export function saga<const A extends Aggregate[], S, T extends string>(
  name: string,
  is: {
    from: A
    starts: EventOf<A[number]>['type'][]
    key: (event: EventOf<A[number]>) => string
    initial: () => S
    on: On<A[number], S, Action<NoInfer<T>, S>[]>
    timers: { [K in T]: (state: S, instance: SagaInstanceInfo) => Action<NoInfer<T>, S>[] }
    /**
     * What follows when an aggregate refuses a command, by the command's full name. Without a
     * handler the rejection is recorded in the saga's stream, and that is all.
     */
    rejected?: {
      readonly [command: string]: (
        state: NoInfer<S>,
        rejection: RejectedCommand,
        instance: SagaInstanceInfo,
      ) => Action<NoInfer<T>, NoInfer<S>>[]
    }
    /** Default "wall". */
    clock?: SagaClock
    boundary?: Boundary
  },
): Saga {
  return Object.freeze({
    name,
    clock: is.clock ?? 'wall',
    boundary: is.boundary,
    from: is.from,
    starts: is.starts,
    key: is.key as Saga['key'],
    initial: is.initial,
    on: is.on as Saga['on'],
    timers: is.timers as Saga['timers'],
    rejected: (is.rejected ?? {}) as Saga['rejected'],
  })
}
