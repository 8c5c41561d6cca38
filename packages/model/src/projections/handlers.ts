/**
 * A projection's handlers, ready to be called with events of the store: full names, one Kysely over
 * the tables of one build, answers run in the transaction they were made for.
 */
import type { RecordedEvent } from '@millrace/store'
import type { Compilable } from 'kysely'
import type { Projection, Query } from '../define/projection.ts'
import type { BoundQueries, SqlDatabase, SqlSession } from '../sql/port.ts'
import type { HandlerWatch } from './handler-watch.ts'
import type { Build } from './ledger.ts'

type Answer = Query | Promise<unknown> | undefined

/**
 * Full names by category and type, made once each: a name that is made anew for every event must
 * also be hashed anew. Bounded by the types there are: those of the definitions, and what foreign
 * programs write, of which `NAMES_MAX` are kept.
 */
const names = new Map<string, Map<string, string>>()
const NAMES_MAX = 10_000

/** The full name of an event's type: `loan.Submitted`. */
export function fullName({ category, type }: Pick<RecordedEvent, 'category' | 'type'>): string {
  const known = names.get(category)?.get(type)
  if (known !== undefined) return known
  const name = `${category}.${type}`
  const ofCategory = names.get(category) ?? new Map<string, string>()
  if (ofCategory.size < NAMES_MAX && names.size < NAMES_MAX) {
    names.set(category, ofCategory.set(type, name))
  }
  return name
}

/** An event as handlers see it: `loan.Submitted`. */
export function handlerEvent(event: RecordedEvent): object {
  const { data, id, stream, version, time, metadata, tenant, erased } = event
  const type = fullName(event)
  const seen = { type, data, id, stream, version, time, metadata, tenant }
  return erased === undefined ? seen : { ...seen, erased }
}

/** What follows the plain names of tables and indexes of a build. */
export const buildSuffix = (version: number, build: number): string => `__v${version}_${build}`

/** The handlers of one build, in one transaction at a time. */
export class Handlers {
  readonly isBatch: boolean
  /** Types without their category, for the store's filter; undefined: all. */
  readonly types: readonly string[] | undefined
  readonly #definition: Projection
  readonly #bind: () => BoundQueries
  readonly #watch: HandlerWatch
  #queries: BoundQueries
  readonly #names: ReadonlySet<string> | undefined

  constructor(definition: Projection, sql: SqlDatabase, build: Build, watch: HandlerWatch) {
    this.#definition = definition
    this.#watch = watch
    this.#bind = () => {
      const queries = sql.queries()
      queries.rename(new Map(build.tables), buildSuffix(build.version, build.build))
      return queries
    }
    this.#queries = this.#bind()
    this.isBatch = definition.batch !== undefined
    const names = this.isBatch ? definition.types : Object.keys(definition.on)
    this.#names = names === undefined ? undefined : new Set(names)
    this.types =
      names === undefined
        ? undefined
        : [...new Set(names.map(name => name.slice(name.indexOf('.') + 1)))]
  }

  /** Whether there is something to do for an event. */
  takes(event: RecordedEvent): boolean {
    return this.#names === undefined || this.#names.has(fullName(event))
  }

  /** The session of handlers that run queries themselves; undefined: they are refused. */
  attach(session: SqlSession | undefined): void {
    this.#queries.attach(session)
  }

  /** Handles one event. No promise: it is handled, or sent on its way. */
  one(session: SqlSession, event: RecordedEvent): Promise<void> | undefined {
    const seen = handlerEvent(event) as { readonly type: string }
    const handler = this.#definition.on[seen.type]
    if (handler === undefined) return undefined
    const { db } = this.#queries
    const answer: Answer = this.#watch.call(event, () => handler(db, seen as never))
    return this.#run(session, answer, event)
  }

  /** Handles events at once, by the batch handler. */
  batch(session: SqlSession, events: readonly RecordedEvent[]): Promise<void> | undefined {
    const seen = events.map(handlerEvent)
    const { db } = this.#queries
    const [first] = events
    if (first === undefined) return undefined
    const answer: Answer = this.#watch.call(first, () =>
      this.#definition.batch?.(db, seen as never),
    )
    return this.#run(session, answer, first)
  }

  #run(session: SqlSession, answer: Answer, event: RecordedEvent): Promise<void> | undefined {
    if (answer === undefined || answer === null) return undefined
    if (answer instanceof Promise) return this.#afterwards(session, answer, event)
    if (!Array.isArray(answer)) return session.send(this.#queries.compile(answer))
    return answer.length === 0 ? undefined : this.#sendAll(session, answer)
  }

  async #sendAll(session: SqlSession, queries: readonly Compilable[]): Promise<void> {
    for (const query of queries) await session.send(this.#queries.compile(query))
  }

  // A handler may also answer with queries that it had to wait for.
  async #afterwards(
    session: SqlSession,
    answer: Promise<unknown>,
    event: RecordedEvent,
  ): Promise<void> {
    const queries = await this.#watch.inTime(event, answer, () => this.#disown())
    const isQueries =
      Array.isArray(queries) || typeof (queries as Compilable)?.compile === 'function'
    if (isQueries) await this.#run(session, queries as Query, event)
  }

  // Whoever comes late has a Kysely that is attached to nothing any more: its queries are refused.
  #disown(): void {
    this.#queries.attach(undefined)
    this.#queries = this.#bind()
  }
}
