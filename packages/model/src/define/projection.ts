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
  readonly options: ProjectionSettings
}

/** What a projection may be given beside its handlers. */
export type ProjectionSettings = {
  /** Publishes each change as a record of this topic, keyed by stream. */
  readonly publish?: string
  /** How many buckets' groups are worked on side by side. Default 1. */
  readonly parallel?: number
}

/**
 * Defines a projection: `on` handles one event each, `batch` a page at once (events in order); a
 * projection has one of the two.
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
    options: is.options ?? {},
  })
}
