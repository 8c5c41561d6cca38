/**
 * The events of a saga's stream, and the instance that they fold into.
 *
 * The stream is the instance's inbox (`Took`, `Fired`, `Rejected`) and its outbox (`CommandSent`,
 * `EffectSent`, timers). What one input moves stands in one append, so an input is taken exactly
 * once: the last version taken from each source stream is part of the instance, and whatever comes
 * again is known.
 *
 *   absent ──Started──► running ──Ended──► ended (for good)
 *                        │    ▲
 *                     Parked Resumed
 *                        ▼    │
 *                       parked: what comes is Deferred, in order; timers wait
 *
 * An instance grows with the source streams that it took from, its timers, and what it sent and
 * does not know the outcome of. State and data go through JSON.
 */
import type { Offset, Timestamp } from '@millrace/log'
import type { Fold, Json, RecordedEvent, StreamVersion } from '@millrace/store'
import { type TakenVersions, versionTaken, withVersionTaken } from './taken.ts'

/** An event of a source stream: which, and where it stood. */
export type EventInput = {
  readonly kind: 'event'
  readonly category: string
  readonly stream: string
  readonly version: StreamVersion
  /** Full name. */
  readonly type: string
  readonly bucket: number
  readonly offset: Offset
}

/** A timer that is due. */
export type TimerInput = { readonly kind: 'timer'; readonly timer: string; readonly due: number }

/** The refusal of a command that stands at a version of the saga's stream. */
export type RejectionInput = {
  readonly kind: 'rejection'
  readonly sent: number
  readonly aggregate: string
  readonly id: string
  readonly command: string
  readonly reason: Json
}

/** What moves an instance. */
export type SagaInput = EventInput | TimerInput | RejectionInput

/** A timer that runs: when it is due (ms since the epoch), and the version that started it. */
export type RunningTimer = { readonly due: number; readonly version: StreamVersion }

/** Data by type of event. */
export type SagaEvents = {
  Started: { state: Json }
  Took: EventInput
  Fired: TimerInput
  Became: { state: Json }
  TimerSet: { timer: string; due: number }
  TimerCancelled: { timer: string }
  CommandSent: {
    aggregate: string
    id: string
    command: string
    data?: Json
    correlationId?: string
  }
  EffectSent: { effect: string; data?: Json; correlationId?: string }
  /** The command at version `sent` was accepted, or the effect ran. */
  Delivered: { sent: number }
  Rejected: RejectionInput
  /** It is not tried again until it is redriven. */
  SendParked: { sent: number; reason: string; attempts: number }
  SendRedriven: { sent: number }
  Ended: Record<string, never>
  /** A handler threw at this input. */
  Parked: { input: SagaInput; reason: string }
  /** Came while the instance was parked. */
  Deferred: { input: SagaInput }
  /** All that was deferred is handled. The timers that run, for those who index them. */
  Resumed: { timers: { timer: string; due: number; version: StreamVersion }[] }
}

/** A type of event of a saga's stream. */
export type SagaEventType = keyof SagaEvents

/** An event to be appended to a saga's stream. */
export type NewSagaEvent = {
  [K in SagaEventType]: { readonly type: K; readonly data: SagaEvents[K] }
}[SagaEventType]

/** What was sent and has no outcome yet. */
export type PendingSend =
  | {
      readonly kind: 'command'
      readonly parked: boolean
      readonly command: {
        readonly aggregate: string
        readonly id: string
        readonly command: string
      }
    }
  | { readonly kind: 'effect'; readonly parked: boolean }

/** An instance of a saga. */
export type SagaInstance = {
  readonly status: 'absent' | 'running' | 'parked' | 'ended'
  readonly state: Json
  /** Last version taken, by source stream (`category/id`). */
  readonly taken: TakenVersions
  /** Where the event stood that began it. */
  readonly start: EventInput | null
  readonly timers: Readonly<Record<string, RunningTimer>>
  /** By version in the saga's stream. */
  readonly sends: Readonly<Record<number, PendingSend>>
  /** What waits for a redrive, in order; the first is the one that failed. */
  readonly deferred: readonly SagaInput[]
  /** Why it is parked. */
  readonly reason: string | null
  /** Highest time of its events, ms since the epoch; -1 at first. */
  readonly time: Timestamp
}

/** An instance before its first event. */
export const ABSENT_INSTANCE: SagaInstance = Object.freeze({
  status: 'absent',
  state: null,
  taken: Object.freeze({}),
  start: null,
  timers: Object.freeze({}),
  sends: Object.freeze({}),
  deferred: Object.freeze([]),
  reason: null,
  time: -1,
})

/** One text for one source stream. */
export const sourceOf = (input: EventInput): string => `${input.category}/${input.stream}`

/** Whether two inputs are the same one. */
export function isSameInput(a: SagaInput, b: SagaInput): boolean {
  if (a.kind === 'event')
    return b.kind === 'event' && sourceOf(a) === sourceOf(b) && a.version === b.version
  if (a.kind === 'timer') return b.kind === 'timer' && a.timer === b.timer && a.due === b.due
  return b.kind === 'rejection' && a.sent === b.sent
}

/** Folds one event. Total: types that it does not know change nothing. */
export function evolveInstance(
  instance: SagaInstance,
  event: NewSagaEvent,
  version: StreamVersion,
): SagaInstance {
  switch (event.type) {
    case 'Started': {
      // A second one is of a redrive: the first event had failed, and the instance stays parked.
      const status = instance.status === 'absent' ? 'running' : instance.status
      return { ...instance, status, state: event.data.state }
    }
    case 'Took':
      return done(took(instance, event.data), event.data)
    case 'Fired':
      return done(withoutTimer(instance, event.data.timer), event.data)
    case 'Became':
      return { ...instance, state: event.data.state }
    case 'TimerSet': {
      const { timer, due } = event.data
      return { ...instance, timers: { ...instance.timers, [timer]: { due, version } } }
    }
    case 'TimerCancelled':
      return withoutTimer(instance, event.data.timer)
    case 'CommandSent': {
      const { aggregate, id, command } = event.data
      const sent = { kind: 'command', parked: false, command: { aggregate, id, command } } as const
      return withSend(instance, version, sent)
    }
    case 'EffectSent':
      return withSend(instance, version, { kind: 'effect', parked: false })
    case 'Delivered':
      return withSend(instance, event.data.sent, null)
    case 'Rejected':
      return done(withSend(instance, event.data.sent, null), event.data)
    case 'SendParked':
      return parkedSend(instance, event.data.sent, true)
    case 'SendRedriven':
      return parkedSend(instance, event.data.sent, false)
    case 'Ended':
      return { ...instance, status: 'ended', timers: {} }
    case 'Parked':
      return parked(instance, event.data)
    case 'Deferred': {
      const known = noted(instance, event.data.input)
      return { ...known, deferred: [...known.deferred, event.data.input] }
    }
    case 'Resumed':
      return { ...instance, status: 'running', reason: null }
    default:
      event satisfies never
      return instance
  }
}

/** The fold that the store runs, with snapshots: long-lived instances are not read from the start. */
export const SAGA_FOLD: Fold<SagaInstance> = {
  initial: () => ABSENT_INSTANCE,
  evolve: (instance, event) => {
    const next = evolveInstance(instance, event as unknown as NewSagaEvent, event.version)
    return event.time > next.time ? { ...next, time: event.time } : next
  },
  // The hash is of the shape above: another one makes the snapshots anew.
  snapshot: { name: 'saga', hash: 'saga-instance-2' },
}

/** An event of a saga's stream as it was read, or undefined for one that is none. */
export function sagaEventOf(event: RecordedEvent): NewSagaEvent | undefined {
  return Object.hasOwn(SAGA_EVENT_TYPES, event.type)
    ? (event as unknown as NewSagaEvent)
    : undefined
}

const SAGA_EVENT_TYPES: Readonly<Record<SagaEventType, true>> = {
  Started: true,
  Took: true,
  Fired: true,
  Became: true,
  TimerSet: true,
  TimerCancelled: true,
  CommandSent: true,
  EffectSent: true,
  Delivered: true,
  Rejected: true,
  SendParked: true,
  SendRedriven: true,
  Ended: true,
  Parked: true,
  Deferred: true,
  Resumed: true,
}

function took(instance: SagaInstance, input: EventInput): SagaInstance {
  const source = sourceOf(input)
  const version = Math.max(versionTaken(instance.taken, source), input.version)
  const taken = withVersionTaken(instance.taken, source, version)
  return { ...instance, taken, start: instance.start ?? input }
}

/** An input that is not handled yet will not be taken from elsewhere again. */
function noted(instance: SagaInstance, input: SagaInput): SagaInstance {
  if (input.kind === 'event') return took(instance, input)
  return input.kind === 'rejection' ? withSend(instance, input.sent, null) : instance
}

/** An input that was handled is no longer deferred. */
function done(instance: SagaInstance, input: SagaInput): SagaInstance {
  const [first, ...rest] = instance.deferred
  return first !== undefined && isSameInput(first, input)
    ? { ...instance, deferred: rest }
    : instance
}

function parked(instance: SagaInstance, data: SagaEvents['Parked']): SagaInstance {
  const { input, reason } = data
  const known = noted(instance, input)
  const [first] = known.deferred
  const deferred =
    first !== undefined && isSameInput(first, input) ? known.deferred : [input, ...known.deferred]
  return { ...known, status: 'parked', reason, deferred }
}

function withoutTimer(instance: SagaInstance, timer: string): SagaInstance {
  const { [timer]: _, ...timers } = instance.timers
  return { ...instance, timers }
}

function withSend(
  instance: SagaInstance,
  version: StreamVersion,
  send: PendingSend | null,
): SagaInstance {
  const { [version]: _, ...sends } = instance.sends
  return { ...instance, sends: send === null ? sends : { ...sends, [version]: send } }
}

function parkedSend(
  instance: SagaInstance,
  version: StreamVersion,
  isParked: boolean,
): SagaInstance {
  const send = instance.sends[version]
  return send === undefined ? instance : withSend(instance, version, { ...send, parked: isParked })
}
