/**
 * Runs commands over an event store.
 *
 *   middleware → validate → [turn of the stream] → known command id? → load → decide → append
 *                                                        ▲                       │ lost the race
 *                                                        └── evolve by what came ┘
 *
 * A decision rests on one version of the stream, and that version is what the append expects: either
 * all its events follow directly on what it saw, or none is recorded. After a lost race the state is
 * evolved by the events that came in between (the conflict brings them) and the command decided
 * again, up to a bound. A repeated command id is answered with its first result; rejections and
 * empty decisions are not recorded, so they are decided again.
 *
 * What the store throws passes through (`NEWER_SCHEMA`, `APPEND_TIMED_OUT`, …). Only where waiting
 * helps and nothing can have been recorded is it tried again here, within the bounds of a policy.
 */

import {
  backoffMs,
  type Outside,
  resolveSettings,
  type SettingValues,
  sleep,
  systemOutside,
} from '@millrace/base'
import {
  type Appended,
  type AppendOptions,
  type Checkpoint,
  type Conflict,
  type EventStore,
  type NewEvent,
  StoreError,
  type StreamRef,
} from '@millrace/store'
import type { Attributes, Span } from '@opentelemetry/api'
import type { CommandBus, CommandMessage, Middleware, Outcome } from '../context.ts'
import type { Aggregate, DecideContext } from '../define/aggregate.ts'
import { ModelError } from '../errors.ts'
import { Policy, type PolicyState } from '../policy/policy.ts'
import type { POLICY_SETTINGS } from '../policy/settings.ts'
import { carrierOf, traced } from '../tracing/tracing.ts'
import {
  type CompiledAggregate,
  type CompiledCommand,
  compileAggregate,
  type Made,
} from './compiled.ts'
import { Ids } from './ids.ts'
import { Lanes } from './lanes.ts'
import { type Loaded, Loader, nameOf, stateAfter } from './loader.ts'
import { COMMAND_SETTINGS } from './settings.ts'

/** What commands are run with. */
export type CommandRunnerOptions = {
  readonly store: EventStore
  readonly aggregates: readonly Aggregate[]
  /** In this order around each command: the first is outermost. */
  readonly middleware?: readonly Middleware[]
  readonly settings?: Partial<SettingValues<typeof COMMAND_SETTINGS>>
  /** For what the store reports as passing: an overload, keys that cannot be reached. */
  readonly policy?: Partial<SettingValues<typeof POLICY_SETTINGS>>
  readonly outside?: Outside
}

/** How commands are doing. Counts are since the start. */
export type CommandStatus = {
  readonly running: number
  /** Waiting for other commands of their stream. */
  readonly waiting: number
  readonly accepted: number
  readonly rejected: number
  readonly duplicates: number
  readonly conflicts: number
  readonly policy: PolicyState
}

/** A command on its way through the runtime. */
type Run = {
  readonly message: CommandMessage & { readonly commandId: string }
  readonly aggregate: CompiledAggregate
  readonly command: CompiledCommand
  readonly data: unknown
  readonly stream: StreamRef
  /** Names the stream within this process. */
  readonly key: string
  /** The id was made just now, so it is in no stream. */
  readonly isFresh: boolean
  readonly span: Span | undefined
}

export class CommandRunner implements CommandBus {
  readonly #store: EventStore
  readonly #aggregates: ReadonlyMap<string, CompiledAggregate>
  readonly #middleware: readonly Middleware[]
  readonly #settings: SettingValues<typeof COMMAND_SETTINGS>
  readonly #outside: Outside
  readonly #policy: Policy
  readonly #lanes: Lanes
  readonly #loader: Loader
  readonly #ids: Ids
  #accepted = 0
  #rejected = 0
  #duplicates = 0
  #conflicts = 0

  constructor(options: CommandRunnerOptions) {
    this.#store = options.store
    this.#aggregates = new Map(options.aggregates.map(one => [one.name, compileAggregate(one)]))
    this.#middleware = options.middleware ?? []
    this.#settings = resolveSettings(COMMAND_SETTINGS, options.settings)
    this.#outside = options.outside ?? systemOutside()
    this.#policy = new Policy({
      name: 'commands',
      settings: options.policy ?? {},
      outside: this.#outside,
      retryIf: isPassing,
    })
    this.#lanes = new Lanes(this.#settings['command.waiting.max'])
    this.#loader = new Loader(options.store, this.#settings['command.states.max'])
    this.#ids = new Ids(this.#outside.random)
  }

  get status(): CommandStatus {
    return {
      running: this.#lanes.running,
      waiting: this.#lanes.waiting,
      accepted: this.#accepted,
      rejected: this.#rejected,
      duplicates: this.#duplicates,
      conflicts: this.#conflicts,
      policy: this.#policy.state,
    }
  }

  async run(message: CommandMessage): Promise<Outcome<unknown>> {
    const freshId = message.commandId === undefined ? this.#ids.next() : undefined
    const named = freshId === undefined ? message : { ...message, commandId: freshId }
    return await traced(
      {
        name: `${message.aggregate}.${message.command}`,
        from: message.metadata,
        attributes: () => attributesOf(named),
      },
      span => this.#through(named, 0, last => this.#dispatch(last, freshId, span)),
    )
  }

  #through(
    message: CommandMessage,
    at: number,
    last: (message: CommandMessage) => Promise<Outcome<unknown>>,
  ): Promise<Outcome<unknown>> {
    const layer = this.#middleware[at]
    if (layer === undefined) return last(message)
    return layer(message, next => this.#through(next, at + 1, last))
  }

  async #dispatch(
    message: CommandMessage,
    freshId: string | undefined,
    span: Span | undefined,
  ): Promise<Outcome<unknown>> {
    const aggregate = this.#aggregates.get(message.aggregate)
    if (aggregate === undefined) {
      throw new ModelError('UNKNOWN_AGGREGATE', `no aggregate ${message.aggregate}`)
    }
    const command = aggregate.commands.get(message.command)
    if (command === undefined) {
      throw new ModelError('UNKNOWN_COMMAND', `${aggregate.name} has no command ${message.command}`)
    }
    const { tenant, id, commandId = this.#ids.next() } = message
    const run: Run = {
      message: { ...message, commandId },
      aggregate,
      command,
      data: command.validate(message.data),
      stream: { tenant, category: aggregate.name, id },
      key: `${tenant}\0${aggregate.name}\0${id}`,
      isFresh: commandId === freshId,
      span,
    }
    const turn = (): Promise<Outcome<unknown>> => this.#lanes.run(run.key, () => this.#execute(run))
    const outcome = await this.#policy.run(turn)
    this.#count(outcome, span)
    return outcome
  }

  async #execute(run: Run): Promise<Outcome<unknown>> {
    if (!run.isFresh) {
      const first = await this.#firstResult(run)
      if (first !== undefined) return first
    }
    const context = this.#contextOf(run)
    let loaded = await this.#load(run)
    for (let attempt = 1; ; attempt += 1) {
      const { events, rejected } = run.command.decide(run.data, loaded.state, context)
      if (rejected !== undefined || events.length === 0) {
        // It may be refused for what it did itself, at another node, since it was looked up.
        const first = run.isFresh ? undefined : await this.#firstResult(run)
        if (first !== undefined) return first
        if (rejected !== undefined) return { ok: false, reason: rejected.reason }
        return outcomeOf({ ...loaded, duplicate: false })
      }
      const result = await this.#append(run, events, loaded.version)
      if (result.ok) return outcomeOf(result)
      this.#conflicts += 1
      loaded = await this.#afterConflict(run, loaded, result, attempt)
    }
  }

  /** What a command with this id came to before, if the stream remembers it. Appends nothing. */
  async #firstResult({ stream, message }: Run): Promise<Outcome<unknown> | undefined> {
    const { commandId } = message
    const result = await this.#store.append(stream, [], { commandId, expectedVersion: 'any' })
    return result.ok && result.duplicate ? outcomeOf(result) : undefined
  }

  #contextOf({ message }: Run): DecideContext {
    return {
      id: message.id,
      now: message.time ?? this.#outside.clock.now(),
      newId: () => this.#ids.uuid(),
    }
  }

  #load({ key, stream, aggregate }: Run): Promise<Loaded> {
    return this.#loader.load(key, stream, aggregate)
  }

  #append(
    { stream, message, span }: Run,
    events: readonly Made[],
    expectedVersion: number,
  ): Promise<Appended | Conflict> {
    const { commandId, causationId, actor, saga, time } = message
    const carrier = carrierOf(span)
    const metadata = carrier === undefined ? message.metadata : { ...message.metadata, ...carrier }
    const options: AppendOptions = {
      expectedVersion,
      commandId,
      correlationId: message.correlationId ?? commandId,
      ...(causationId === undefined ? {} : { causationId }),
      ...(actor === undefined ? {} : { actor }),
      ...(saga === undefined ? {} : { saga }),
      ...(metadata === undefined ? {} : { metadata }),
    }
    const timed: readonly NewEvent[] =
      time === undefined ? events : events.map(event => ({ ...event, time }))
    return this.#store.append(stream, timed, options)
  }

  /** The state to decide on again. The first lost race costs no wait; later ones wait longer. */
  async #afterConflict(
    run: Run,
    before: Loaded,
    conflict: Conflict,
    attempt: number,
  ): Promise<Loaded> {
    if (attempt >= this.#settings['command.conflicts.max']) {
      throw new ModelError(
        'CONFLICTS_EXCEEDED',
        `${nameOf(run.stream)}: ${run.command.name} lost ${attempt} races (command.conflicts.max)`,
      )
    }
    if (attempt > 1) {
      const bounds = {
        firstMs: this.#settings['command.conflict.first.ms'],
        maxMs: this.#settings['command.conflict.longest.ms'],
      }
      await sleep(this.#outside.timers, backoffMs(bounds, attempt - 1, this.#outside.random))
      // What came during the wait would only be lost to again.
      return await this.#load(run)
    }
    return evolvedBy(run.aggregate, before, conflict) ?? (await this.#load(run))
  }

  #count(outcome: Outcome<unknown>, span: Span | undefined): void {
    if (!outcome.ok) this.#rejected += 1
    else if (outcome.duplicate) this.#duplicates += 1
    else this.#accepted += 1
    if (span === undefined) return
    span.setAttribute('millrace.outcome', outcome.ok ? 'accepted' : 'rejected')
    if (!outcome.ok) return
    span.setAttribute('millrace.stream.version', outcome.version)
    span.setAttribute('millrace.duplicate', outcome.duplicate)
  }
}

/** The state after what came in between; undefined where the conflict does not bring all of it. */
function evolvedBy(
  aggregate: CompiledAggregate,
  before: Loaded,
  { conflict, events, version, checkpoint }: Conflict,
): Loaded | undefined {
  if (conflict !== 'version') return undefined
  const after = stateAfter(aggregate, before, events, version)
  return after && { state: after.state, version, checkpoint }
}

const outcomeOf = ({
  version,
  checkpoint,
  duplicate,
}: {
  readonly version: number
  readonly checkpoint: Checkpoint
  readonly duplicate: boolean
}): Outcome<unknown> => ({ ok: true, version, checkpoint, duplicate })

/** Failures after which nothing was recorded, and which pass by themselves within moments. */
const PASSING: ReadonlySet<string> = new Set(['OVERLOADED', 'STALE_CONDITION', 'KEY_UNAVAILABLE'])

const isPassing = (error: unknown): boolean =>
  error instanceof StoreError && PASSING.has(error.code)

const attributesOf = (message: CommandMessage): Attributes => ({
  'millrace.aggregate': message.aggregate,
  'millrace.command': message.command,
  'millrace.stream': message.id,
  'millrace.tenant': message.tenant,
  'millrace.command.id': message.commandId,
  'millrace.correlation.id': message.correlationId ?? message.commandId,
  'millrace.causation.id': message.causationId,
})
