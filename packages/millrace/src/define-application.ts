/**
 * An application as a file: what `millrace start --app`, `import`, `replay` and `projections` run.
 *
 *   export default defineApplication({ name: 'bank', aggregates: { loan }, projections: { … } })
 */
import type {
  Aggregate,
  Application,
  ApplicationSettings,
  CommandMessage,
  Effect,
  LiveView,
  Middleware,
  Projection,
  Saga,
  Subscription,
} from '@millrace/model'
import type { KeyProvider } from '@millrace/store'
import type { Kysely } from 'kysely'

type Aggregates = Readonly<Record<string, Aggregate>>
type Projections = Readonly<Record<string, Projection>>

/** A line of an import, as a command. */
export type ImportedCommand = Omit<CommandMessage, 'tenant'> & {
  readonly tenant?: string
  /**
   * The stream's version before it, where each line makes exactly one event: a line whose event is
   * there already is passed over, however long ago it came. Without it a repeated line is known by
   * its `commandId`, as far as the stream remembers: the last 64.
   */
  readonly version?: number
}

/** Read models by name, to look at. */
export type Views<P extends Projections> = {
  readonly [K in keyof P]: {
    readonly db: P[K] extends Projection<infer DB> ? Kysely<DB> : never
  }
}

/** Numbers and words by what they are called. */
export type Figures = Readonly<Record<string, number | string>>

/** What `--demo` is given. */
export type DemoTools = {
  /** Fires when the node stops. */
  readonly signal: AbortSignal
  /** From 0 (included) to 1. */
  readonly random: () => number
  /** Resolves after `ms`, or when the signal fires. */
  readonly pause: (ms: number) => Promise<void>
}

/** What an application file exports as its default. */
export type ApplicationDefinition<
  A extends Aggregates = Aggregates,
  P extends Projections = Projections,
> = {
  /** Names its topics, groups and folder: 1 to 100 characters of a-z A-Z 0-9 . _ - */
  readonly name: string
  readonly aggregates: A
  readonly projections?: P
  readonly sagas?: Readonly<Record<string, Saga>>
  readonly effects?: Readonly<Record<string, Effect>>
  readonly subscriptions?: Readonly<Record<string, Subscription>>
  /** Live views in memory, on every node. */
  // biome-ignore lint/suspicious/noExplicitAny: whatever each one folds into
  readonly views?: Readonly<Record<string, LiveView<any>>>
  readonly middleware?: readonly Middleware[]
  /** Records who read or wrote what. Default false. */
  readonly audit?: boolean
  /** Needed where events have personal fields. */
  readonly keys?: KeyProvider
  readonly settings?: ApplicationSettings
  /** For `millrace import`: one JSON value of the file as a command; throws for what is none. */
  readonly importLine?: (line: unknown) => ImportedCommand
  /** What the terminal shows while it runs, and `replay` of a time. */
  readonly figures?: (views: Views<P>) => Promise<Figures>
  /** For `millrace start --demo`: makes traffic until the signal fires. */
  readonly demo?: (application: Application<A, P>, tools: DemoTools) => Promise<void>
}

/** Gives its argument back, with the types of its parts known to each other. */
export function defineApplication<
  const A extends Aggregates,
  // biome-ignore lint/complexity/noBannedTypes: an application without projections
  const P extends Projections = {},
>(definition: ApplicationDefinition<A, P>): ApplicationDefinition<A, P> {
  return definition
}
