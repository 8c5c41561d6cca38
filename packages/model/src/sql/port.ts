/**
 * The port of the read models' database: SQLite in the process, or PostgreSQL, by the same code.
 *
 * A processor works in transactions of its own (`transaction`); its handlers make and run queries
 * by a Kysely that is bound to the transaction (`queries`) and that puts the tables of one version
 * in the place of the plain names. Everybody else reads through `db`, which sees what was committed
 * and cannot write: the tables are derived, and only the processor moves them.
 *
 * Faults are told apart, because they are answered differently: a query that its database refuses
 * is the handler's fault (its stream is parked), a database that does not answer is not (the
 * processor starts again).
 */
import type { Compilable, Kysely, RootOperationNode } from 'kysely'

/** A query as a database takes it. */
export type SqlQuery = { readonly sql: string; readonly parameters: readonly unknown[] }

/** What a query gave. */
export type SqlResult = {
  readonly rows: readonly Readonly<Record<string, unknown>>[]
  /** Rows inserted, changed or deleted; 0 for reads. */
  readonly affected: number
}

/** A query that was made with a Kysely, and the tree that it was made of. */
export type MadeQuery = SqlQuery & { readonly query: RootOperationNode }

/** The inside of one transaction. Queries run in the order of the calls. */
export interface SqlSession {
  /** @throws SqlQueryError for what the database refuses, ModelError SQL_FAILED if it is away */
  execute(query: SqlQuery): Promise<SqlResult>
  /**
   * Runs a query whose result nobody needs. SQLite runs it at once and throws here; PostgreSQL is
   * sent it without waiting, and the error comes out of the next `flush` or `execute`. A promise is
   * to be awaited before more is sent: the bound of what is under way is reached.
   */
  send(query: SqlQuery): Promise<void> | undefined
  /** Resolves when all that was sent has run. */
  flush(): Promise<void>
}

/** Plain names of a projection's tables, to those of one version. */
export type TableNames = ReadonlyMap<string, string>

/** A Kysely whose queries run in the session that it is attached to. */
// biome-ignore lint/suspicious/noExplicitAny: the bookkeeping, the definitions and the tests each have their own
export type BoundQueries<DB = any> = {
  readonly db: Kysely<DB>
  /** Puts these names in the place of plain ones, and the suffix after names of indexes. */
  rename(names: TableNames, suffix: string): void
  /** The query of a builder, over the renamed tables. */
  compile(query: Compilable): MadeQuery
  /** Queries run in `session` from now on; without one they are refused. */
  attach(session: SqlSession | undefined): void
}

/** A database of read models. */
export interface SqlDatabase extends AsyncDisposable {
  readonly dialect: 'sqlite' | 'postgresql'
  /** Reads what was committed; refuses to write. */
  // biome-ignore lint/suspicious/noExplicitAny: each projection casts it to its own tables
  readonly db: Kysely<any>
  /**
   * Runs `work` and commits, or rolls back and throws what it threw. One at a time on SQLite, which
   * has one writer; side by side on PostgreSQL. Not to be nested.
   *
   * @throws ModelError SQL_FAILED when the database is away; if that happened at the commit, the
   *   transaction may have counted
   */
  transaction<T>(work: (session: SqlSession) => Promise<T>): Promise<T>
  /** Makes a Kysely for one processor's transactions; cheap. */
  queries<DB>(): BoundQueries<DB>
  /**
   * Removes what deleted and changed rows leave in files of our own: SQLite overwrites them and
   * empties its write-ahead log. False: somebody reads, and some of it stays until later. PostgreSQL
   * keeps old rows until its vacuum, and its log as it is set up to: nothing is done there (false).
   */
  scrub(): Promise<boolean>
  close(): Promise<void>
}

/** The database understood a query and refused it: a constraint, a type, a name. */
export class SqlQueryError extends Error {
  override readonly name = 'SqlQueryError'
  readonly sql: string

  constructor(sql: string, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause })
    this.sql = sql
  }
}
