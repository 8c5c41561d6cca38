/**
 * What the parts of the runtime share: the store, the log, the outside, how commands are sent, and
 * what a processor (projection, saga, effect, subscription) is to those who watch it.
 */
import type { Outside } from '@millrace/base'
import type { Log } from '@millrace/log'
import type { Checkpoint, EventStore } from '@millrace/store'

/** A command on its way, already named; its data is validated by whoever runs it. */
export type CommandMessage = {
  readonly tenant: string
  readonly aggregate: string
  readonly id: string
  readonly command: string
  readonly data: unknown
  readonly commandId?: string
  readonly correlationId?: string
  readonly causationId?: string
  readonly actor?: string
  readonly saga?: string
  /**
   * Time of its events and of the decision, ms since the epoch, UTC: for imports and replays.
   * Default: now.
   */
  readonly time?: number
  /** Carried by its events. `traceparent` continues a trace. */
  readonly metadata?: Readonly<Record<string, string>>
}

/** Outcome of a command. */
export type Outcome<R> =
  | { ok: true; version: number; checkpoint: Checkpoint; duplicate: boolean }
  | { ok: false; reason: R }

/**
 * A layer around commands: authentication, logging, limits. Passes the command on, unchanged or as
 * another one, and may look at the outcome. What it refuses it throws. Commands that sagas send pass
 * it as well; `saga` names their sender.
 */
export type Middleware = (
  command: CommandMessage,
  next: (command: CommandMessage) => Promise<Outcome<unknown>>,
) => Promise<Outcome<unknown>>

/** Runs commands: validates, loads, decides, appends, retries lost races. */
export interface CommandBus {
  /** Throws ModelError for what is no answer: unknown command, bad data, conflicts past the bound. */
  run(message: CommandMessage): Promise<Outcome<unknown>>
}

/** Tells a program or an operator what the runtime did. */
export type ModelEvent =
  | {
      readonly kind: 'processor-restarted'
      readonly processor: string
      readonly reason: string
      readonly restarts: number
    }
  | { readonly kind: 'processor-stopped'; readonly processor: string; readonly reason: string }
  | {
      readonly kind: 'stream-parked'
      readonly processor: string
      readonly stream: string
      readonly version: number
      readonly reason: string
    }
  | {
      readonly kind: 'stream-redriven'
      readonly processor: string
      readonly stream: string
      readonly events: number
    }
  | {
      readonly kind: 'projection-switched'
      readonly projection: string
      readonly from: number
      readonly to: number
    }
  | {
      readonly kind: 'effect-parked'
      readonly effect: string
      readonly id: string
      readonly reason: string
    }
  | {
      readonly kind: 'saga-ignored'
      readonly saga: string
      readonly key: string
      readonly event: string
    }

/** What every part of the runtime is given. */
export type RuntimeContext = {
  /** Name of the application: prefix of its own topics and groups. */
  readonly name: string
  readonly store: EventStore
  readonly log: Log
  readonly outside: Outside
  readonly commands: CommandBus
  readonly onEvent: (event: ModelEvent) => void
}

/** How a processor is doing. */
export type ProcessorStatus = {
  readonly name: string
  readonly kind: 'projection' | 'saga' | 'effect' | 'subscription'
  /** `rebuilding`: its first catch-up, or a new version beside the old one. */
  readonly state: 'starting' | 'rebuilding' | 'running' | 'restarting' | 'stopped'
  /** Why it restarts or stopped. */
  readonly reason?: string
  readonly restarts: number
  readonly checkpoint: Checkpoint | null
  /** Events handled since the start, and a second over the last 10 s. */
  readonly handled: number
  readonly rate: number
  /** Records of the log between its position and the decided end. */
  readonly lag: number
  /** `lag / rate`, in ms; null while that is not known. */
  readonly timeLeftMs: number | null
  readonly parked: number
}

/** Follows events and keeps a checkpoint. */
export interface Processor {
  readonly name: string
  /** Resolves when it follows; from then on it restarts itself. */
  start(): Promise<void>
  stop(): Promise<void>
  status(): ProcessorStatus
  /** Resolves when everything below the checkpoint is handled (or parked). */
  reached(checkpoint: Checkpoint, options?: { readonly signal?: AbortSignal }): Promise<void>
}
