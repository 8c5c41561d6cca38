/**
 * Handles: an aggregate as a program calls it, `app.loan("185548").submit({ … })`.
 *
 * Their types come from the definitions: the data that each command's schema takes, the reasons that
 * its decision can reject with.
 */

import type { CommandBus, CommandMessage, Outcome } from '../context.ts'
import type { Aggregate, Rejection } from '../define/aggregate.ts'
import type { In, Schemas } from '../define/schema.ts'

/** What a call may say beside the command's data. */
export type CommandOptions = {
  /** A repeated id is answered with its first result. Default: a random one. */
  readonly commandId?: string
  /** What belongs together over streams. Default: the command's id. */
  readonly correlationId?: string
  /** Id of the event or the command that caused this one. */
  readonly causationId?: string
  /** Who asks. Kept with the events; not checked here. */
  readonly actor?: string
  /** Time of the decision and its events, ms since the epoch, UTC: for imports. Default: now. */
  readonly time?: number
  /** Kept with the events. */
  readonly metadata?: Readonly<Record<string, string>>
}

/** What a decision rejects with. */
export type Reason<F> = F extends (...a: never) => infer R
  ? R extends Rejection<infer X>
    ? X
    : never
  : never

/** The commands of one aggregate, as functions. */
export type Handle<A> =
  // biome-ignore lint/suspicious/noExplicitAny: only commands and decisions are looked at
  A extends Aggregate<string, any, any, infer C, infer D>
    ? {
        readonly [K in keyof C]: (
          command: In<C[K]>,
          options?: CommandOptions,
        ) => Promise<Outcome<K extends keyof D ? Reason<D[K]> : never>>
      }
    : never

/** Handles by the names that a program gives its aggregates. */
export type Handles<A extends Readonly<Record<string, Aggregate>>> = {
  readonly [K in keyof A]: (id: string) => Handle<A[K]>
}

type AnyHandle = Record<string, (data: unknown, options?: CommandOptions) => Promise<unknown>>

/** Makes the handles of a tenant. Functions without `this`: they may be passed on. */
export function handlesOf<A extends Readonly<Record<string, Aggregate>>>(
  bus: CommandBus,
  aggregates: A,
  tenant: string,
): Handles<A> {
  const handles: Record<string, (id: string) => AnyHandle> = {}
  for (const [key, aggregate] of Object.entries(aggregates)) {
    const commands = Object.keys(aggregate.commands as Schemas)
    handles[key] = id => {
      const handle: AnyHandle = {}
      for (const command of commands) {
        handle[command] = (data, options) =>
          bus.run(messageOf({ tenant, aggregate: aggregate.name, id, command, data }, options))
      }
      return handle
    }
  }
  return handles as Handles<A>
}

type Addressed = Pick<CommandMessage, 'tenant' | 'aggregate' | 'id' | 'command' | 'data'>

// Field by field: what a caller without types puts beside them does not get in.
function messageOf(to: Addressed, options: CommandOptions | undefined): CommandMessage {
  if (options === undefined) return to
  const { commandId, correlationId, causationId, actor, time, metadata } = options
  return {
    ...to,
    ...(commandId === undefined ? {} : { commandId }),
    ...(correlationId === undefined ? {} : { correlationId }),
    ...(causationId === undefined ? {} : { causationId }),
    ...(actor === undefined ? {} : { actor }),
    ...(time === undefined ? {} : { time }),
    ...(metadata === undefined ? {} : { metadata }),
  }
}
