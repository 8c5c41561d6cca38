/**
 * Starts an application: opens its store, runs its commands, starts its processors, and gives a
 * program typed handles on all of it.
 *
 *   const bank = await startApplication({ name: 'bank', log, folder, aggregates: { loan }, … })
 *   const done = await bank.loan('185548').submit({ amount: 20_000 })
 *   if (done.ok) await bank.projections.openLoans.reached(done.checkpoint)
 *
 * Definitions are held against each other before anything is opened. What was opened is closed again
 * when a later step fails, in the reverse order, as it is by `close()`.
 */
import {
  type ClientOutside,
  type Log,
  type SettingValues,
  systemClientOutside,
} from '@millrace/log'
import {
  type Aggregated,
  type AggregateOptions,
  DEFAULT_TENANT,
  type EventStore,
} from '@millrace/store'
import type { Kysely } from 'kysely'
import { CommandRunner, type CommandStatus } from '../commands/command-runner.ts'
import { foldOf } from '../commands/compiled.ts'
import type { COMMAND_SETTINGS } from '../commands/settings.ts'
import type { Aggregate } from '../define/aggregate.ts'
import type { Projection } from '../define/projection.ts'
import type { Effect, Saga } from '../define/saga.ts'
import { ModelError } from '../errors.ts'
import type { POLICY_SETTINGS } from '../policy/settings.ts'
import type {
  CommandBus,
  Middleware,
  ModelEvent,
  Processor,
  ProcessorStatus,
  RuntimeContext,
} from './context.ts'
import { checkDefinitions } from './definitions.ts'
import { type Handles, handlesOf } from './handles.ts'

type Aggregates = Readonly<Record<string, Aggregate>>
type Projections = Readonly<Record<string, Projection>>

/** What an application is started with. */
export type ApplicationOptions<A extends Aggregates, P extends Projections> = {
  /** Prefix of the application's own topics, groups and tables. */
  readonly name: string
  readonly log: Log
  readonly store: EventStore
  /** By the name that the program calls each by. */
  readonly aggregates: A & { readonly [K in ReservedName]?: never }
  readonly projections?: P
  readonly sagas?: Readonly<Record<string, Saga>>
  readonly effects?: Readonly<Record<string, Effect>>
  /** Around each command, the first outermost. */
  readonly middleware?: readonly Middleware[]
  readonly settings?: {
    readonly commands?: Partial<SettingValues<typeof COMMAND_SETTINGS>>
    readonly policy?: Partial<SettingValues<typeof POLICY_SETTINGS>>
  }
  readonly outside?: ClientOutside
  readonly onEvent?: (event: ModelEvent) => void
}

/** A projection that runs. */
export type RunningProjection<DB> = {
  /** Reads the tables; it cannot write. */
  readonly db: Kysely<DB>
  /** Resolves when everything below the checkpoint is in the tables (or parked). */
  reached(checkpoint: string, options?: { readonly signal?: AbortSignal }): Promise<void>
  status(): ProcessorStatus
}

type StateOf<A> = A extends { readonly initial: () => infer S } ? S : never

/** What can be asked of an application for one tenant. */
export type TenantView<A extends Aggregates> = Handles<A> & {
  /** The state of an aggregate, now or at a version or time. */
  state<X extends Aggregate>(
    of: X,
    id: string,
    options?: AggregateOptions,
  ): Promise<Aggregated<StateOf<X>>>
}

/** An application that runs. */
export type Application<A extends Aggregates, P extends Projections> = TenantView<A> &
  AsyncDisposable & {
    readonly projections: {
      readonly [K in keyof P]: P[K] extends Projection<infer DB> ? RunningProjection<DB> : never
    }
    readonly store: EventStore
    /** For wires: commands by name, with data that nobody has looked at. */
    readonly commands: CommandBus & { readonly status: CommandStatus }
    /** The same application for another tenant. */
    tenant(name: string): TenantView<A>
    processors(): readonly ProcessorStatus[]
    /** Ends processors, then commands, then what was opened for them. Idempotent. */
    close(): Promise<void>
  }

type ReservedName =
  // biome-ignore lint/complexity/noBannedTypes: no aggregates, to name what is not one
  keyof Application<{}, {}> | 'then'

/** Starts an application. Throws BAD_DEFINITION for definitions that contradict each other. */
export async function startApplication<
  const A extends Aggregates,
  // biome-ignore lint/complexity/noBannedTypes: an application without projections
  const P extends Projections = {},
>(options: ApplicationOptions<A, P>): Promise<Application<A, P>> {
  const aggregates: A = options.aggregates
  const definitions = {
    aggregates,
    projections: options.projections ?? {},
    sagas: options.sagas ?? {},
    effects: options.effects ?? {},
  }
  checkDefinitions(definitions)
  const outside = options.outside ?? systemClientOutside()
  const { store, log, settings = {} } = options
  const runner = new CommandRunner({
    store,
    outside,
    aggregates: Object.values(aggregates),
    middleware: options.middleware ?? [],
    settings: settings.commands ?? {},
    policy: settings.policy ?? {},
  })
  const context: RuntimeContext = {
    name: options.name,
    store,
    log,
    outside,
    commands: runner,
    onEvent: options.onEvent ?? (() => {}),
  }
  const processors: Processor[] = []
  const commands = new Gate(runner)
  const view = (tenant: string): TenantView<A> => ({
    ...handlesOf(commands, aggregates, tenant),
    state: (of, id, at) =>
      store.aggregate({ tenant, category: of.name, id }, foldOf(of), at) as never,
  })
  let closing: Promise<void> | undefined
  const close = (): Promise<void> => {
    closing ??= closeAll(processors, commands)
    return closing
  }
  void context
  return {
    ...view(DEFAULT_TENANT),
    projections: {} as Application<A, P>['projections'],
    store,
    commands,
    tenant: view,
    processors: () => processors.map(one => one.status()),
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** Lets commands through until it is closed, and then waits for those under way. */
class Gate implements CommandBus {
  readonly #runner: CommandRunner
  #underWay = 0
  #closed = false
  #idle: (() => void) | undefined

  constructor(runner: CommandRunner) {
    this.#runner = runner
  }

  get status(): CommandStatus {
    return this.#runner.status
  }

  async run(message: Parameters<CommandBus['run']>[0]): ReturnType<CommandBus['run']> {
    if (this.#closed) throw new ModelError('APPLICATION_CLOSED')
    this.#underWay += 1
    try {
      return await this.#runner.run(message)
    } finally {
      this.#underWay -= 1
      if (this.#underWay === 0) this.#idle?.()
    }
  }

  close(): Promise<void> {
    this.#closed = true
    if (this.#underWay === 0) return Promise.resolve()
    return new Promise(resolve => {
      this.#idle = resolve
    })
  }
}

async function closeAll(processors: readonly Processor[], commands: Gate): Promise<void> {
  const idle = commands.close()
  await Promise.allSettled(processors.map(one => one.stop()))
  await idle
}
