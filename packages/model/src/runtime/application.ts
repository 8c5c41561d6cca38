/** An application as a program starts and uses it: the types. */
import type { Outside, SettingValues } from '@millrace/base'
import type { Log } from '@millrace/log'
import type {
  Aggregated,
  AggregateOptions,
  EventStore,
  KeyProvider,
  STORE_SETTINGS,
  StoreEvent,
} from '@millrace/store'
import type { CommandStatus } from '../commands/command-runner.ts'
import type { COMMAND_SETTINGS } from '../commands/settings.ts'
import type { CommandBus, Middleware, ModelEvent, ProcessorStatus } from '../context.ts'
import type { Aggregate } from '../define/aggregate.ts'
import type { Projection } from '../define/projection.ts'
import type { Effect, Saga } from '../define/saga.ts'
import type { EffectSettings, RetrySettings } from '../effects/index.ts'
import type { PolicyState } from '../policy/policy.ts'
import type { POLICY_SETTINGS } from '../policy/settings.ts'
import type { PROJECTION_SETTINGS, ProjectionProcessor } from '../projections/index.ts'
import type { SagaProcessor, SagaSettings } from '../sagas/index.ts'
import type { SqlDatabase } from '../sql/port.ts'
import type { SQL_SETTINGS } from '../sql/settings.ts'
import type {
  FollowerSettings,
  Subscription,
  SubscriptionProcessor,
} from '../subscriptions/index.ts'
import type { LiveView, LiveViewProcessor, VIEW_SETTINGS } from '../views/index.ts'
import type { Handles } from './handles.ts'

export type Aggregates = Readonly<Record<string, Aggregate>>
export type Projections = Readonly<Record<string, Projection>>
export type Sagas = Readonly<Record<string, Saga>>
export type Subscriptions = Readonly<Record<string, Subscription>>
// biome-ignore lint/suspicious/noExplicitAny: a bound for inference; unknown would refuse every view
export type Views = Readonly<Record<string, LiveView<any>>>

/** Settings by their dotted keys, for each part. */
export type ApplicationSettings = {
  readonly commands?: Partial<SettingValues<typeof COMMAND_SETTINGS>>
  /** Of commands, for what the store reports as passing. */
  readonly policy?: Partial<SettingValues<typeof POLICY_SETTINGS>>
  readonly projections?: Partial<SettingValues<typeof PROJECTION_SETTINGS>>
  readonly views?: Partial<SettingValues<typeof VIEW_SETTINGS>>
  readonly sagas?: Partial<SagaSettings>
  /** Of subscriptions, and of how sagas follow their sources. */
  readonly followers?: Partial<FollowerSettings>
  readonly effects?: Partial<EffectSettings>
  /** How effects are tried again; by name of the effect over those of all. */
  readonly retry?: {
    readonly effects?: RetrySettings
    readonly of?: Readonly<Record<string, RetrySettings>>
  }
  readonly store?: Partial<SettingValues<typeof STORE_SETTINGS>>
  readonly sql?: Partial<SettingValues<typeof SQL_SETTINGS>>
}

/** What an application is started with. */
export type ApplicationOptions<
  A extends Aggregates,
  P extends Projections,
  G extends Sagas,
  U extends Subscriptions,
  V extends Views,
> = {
  /** Prefix of the application's own topics and groups. */
  readonly name: string
  readonly log: Log
  /**
   * Folder of what is derived from the log: the store's index, the read models. `null`: in memory,
   * for tests. Needed unless `store` (and, with projections, `sql`) is given.
   */
  readonly folder?: string | null
  /** A store that was opened before; it stays open. Default: one over `log`, opened and closed here. */
  readonly store?: EventStore
  /** Database of the read models; it stays open. Default: SQLite in `folder`. */
  readonly sql?: SqlDatabase
  /** By the name that the program calls each by. */
  readonly aggregates: A & { readonly [K in ReservedName]?: never }
  readonly projections?: P
  readonly sagas?: G
  /** What sagas may send. */
  readonly effects?: Readonly<Record<string, Effect>>
  readonly subscriptions?: U
  /** Live views: states in memory. */
  readonly views?: V
  /** Around each command, the first outermost. */
  readonly middleware?: readonly Middleware[]
  /** Master keys; needed once an aggregate has personal fields. */
  readonly keys?: KeyProvider
  /** Records who read or wrote what. Default false. */
  readonly audit?: boolean
  readonly settings?: ApplicationSettings
  readonly outside?: Outside
  readonly onEvent?: (event: ModelEvent | StoreEvent) => void
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

// biome-ignore-start lint/complexity/noBannedTypes: an application without any of a kind
/** An application that runs. */
export type Application<
  A extends Aggregates,
  P extends Projections = {},
  G extends Sagas = {},
  U extends Subscriptions = {},
  V extends Views = {},
> = TenantView<A> &
  AsyncDisposable & {
    readonly projections: {
      readonly [K in keyof P]: P[K] extends Projection<infer DB> ? ProjectionProcessor<DB> : never
    }
    readonly sagas: { readonly [K in keyof G]: SagaProcessor }
    readonly subscriptions: { readonly [K in keyof U]: SubscriptionProcessor }
    readonly views: {
      readonly [K in keyof V]: V[K] extends LiveView<infer S> ? LiveViewProcessor<S> : never
    }
    readonly store: EventStore
    /** For wires: commands by name, with data that nobody has looked at. */
    readonly commands: CommandBus & { readonly status: CommandStatus }
    /** The same application for another tenant. */
    tenant(name: string): TenantView<A>
    /** How projections, sagas, effects and subscriptions are doing. */
    processors(): readonly ProcessorStatus[]
    /** How each effect is doing: attempts, failures, its circuit. */
    effects(): readonly PolicyState[]
    /** Ends commands and processors, then what was opened for them. Idempotent. */
    close(): Promise<void>
  }

// biome-ignore-end lint/complexity/noBannedTypes: as above

/** Names that an aggregate cannot have: they are the application's, or would make it thenable. */
export type ReservedName =
  // biome-ignore lint/complexity/noBannedTypes: an application of nothing has its own names alone
  keyof Application<{}> | 'then'
