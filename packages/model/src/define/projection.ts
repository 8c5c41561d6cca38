/**
 * A projection: a read model in SQL, made of events. Its handlers return queries, and the runtime
 * runs them in the transaction that moves the checkpoint; so each event counts once.
 */
import type { Compilable, Kysely } from 'kysely'
import type { Aggregate, EventOf, On } from './aggregate.ts'
import type { Schema } from './schema.ts'

/** What a handler returns: queries for the runtime to run, in order. */
export type Query = Compilable | Compilable[]

/** A projection's definition. */
// biome-ignore lint/suspicious/noExplicitAny: a default of inference
export type Projection<DB = any> = {
  readonly name: string
  /** Type of the tables. */
  readonly tables: Schema<DB>
  /** Another version is built beside the old one and takes over when it has caught up. */
  readonly version: number
  readonly from: readonly Aggregate[]
  readonly create: (db: Kysely<DB>) => Query
  /** By full name of the event, untyped: for the runtime. */
  readonly on: Readonly<
    Record<string, (db: Kysely<DB>, event: never) => Query | Promise<void> | undefined>
  >
  readonly batch: ((db: Kysely<DB>, events: never) => Query | Promise<void>) | undefined
  /** Full names of the events that `batch` is given; undefined: all of its aggregates. */
  readonly types: readonly string[] | undefined
  readonly options: ProjectionSettings
}

/** What a projection may be given beside its handlers. */
export type ProjectionSettings = {
  /**
   * Publishes each change of a row as a record of this topic, keyed by stream: at least once, with an
   * id that stays the same. Not with `batch`, whose changes are of many streams.
   */
  readonly publish?: string
  /**
   * How many groups of buckets are worked on side by side, each in transactions of its own: 1 to 64.
   * It counts from the next rebuild on. Gains nothing on SQLite, which has one writer; and handlers
   * that change one row for events of several streams must then do so in single statements. Default 1.
   */
  readonly parallel?: number
}

/**
 * Defines a projection: `on` handles one event each, `batch` a page at once (events of a stream in
 * order); a projection has one of the two. `create` and the handlers name tables plainly; the runtime
 * puts those of the version in their place.
 *
 * Handlers are pure but for their queries: a page may be handled several times before it counts
 * (connections break, another node was faster), and then counts once.
 */
export function projection<const A extends Aggregate[], DB>(
  name: string,
  is: {
    version: number
    from: A
    tables: Schema<DB>
    create: (db: Kysely<DB>) => Query
    on?: On<A[number], Kysely<DB>, Query | Promise<void>>
    batch?: (db: Kysely<DB>, events: readonly EventOf<A[number]>[]) => Query | Promise<void>
    /** Only with `batch`. */
    types?: readonly EventOf<A[number]>['type'][]
    options?: ProjectionSettings
  },
): Projection<DB> {
  return Object.freeze({
    name,
    tables: is.tables,
    version: is.version,
    from: is.from,
    create: is.create,
    on: (is.on ?? {}) as Projection<DB>['on'],
    batch: is.batch as Projection<DB>['batch'],
    types: is.types,
    options: is.options ?? {},
  })
}
