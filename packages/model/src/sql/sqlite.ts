/**
 * Read models in SQLite, in the process: `node:sqlite`, a file or memory.
 *
 * Two connections to the file: one writes, for the processors, a transaction at a time; the other
 * one reads, for everybody else, and is refused to write. In WAL mode they do not wait for each
 * other. Several processors on one file take turns; running them in parallel gains nothing.
 *
 * `synchronous=NORMAL`: a commit is not synced, the write-ahead log is when it is moved into the
 * file. After a power cut the file is whole, and the last transactions may be missing: rows, their
 * checkpoint, parked streams and outbox together. The log is the truth, so they are made again from
 * there; a sync for each commit would buy nothing.
 *
 * In memory (`:memory:`, for tests) there is one connection only, and reads wait for the transaction
 * that is under way.
 */
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import { resolveSettings, type SettingValues } from '@millrace/base'
import { ModelError } from '../errors.ts'
import { Mutex } from './mutex.ts'
import {
  type BoundQueries,
  type SqlDatabase,
  type SqlQuery,
  SqlQueryError,
  type SqlResult,
  type SqlSession,
} from './port.ts'
import { SQL_SETTINGS } from './settings.ts'
import { StatementCache } from './statement-cache.ts'

/** Where and how a SQLite database is opened. */
export type SqliteOptions = {
  /** A file, or `:memory:`. */
  readonly file: string
  readonly settings?: Partial<SettingValues<typeof SQL_SETTINGS>>
}

type Prepared = { readonly statement: StatementSync; readonly isReader: boolean }
type Values = SettingValues<typeof SQL_SETTINGS>

const MEMORY = ':memory:'

// The primary result codes (sqlite.org/rescode.html) that blame the query or its values; all others
// (BUSY, FULL, IOERR, CORRUPT …) blame the database.
const QUERY_FAULTS: ReadonlySet<number> = new Set([
  1, // SQLITE_ERROR: no such table, syntax
  18, // SQLITE_TOOBIG
  19, // SQLITE_CONSTRAINT
  20, // SQLITE_MISMATCH
  25, // SQLITE_RANGE
])

function failure(sql: string, error: unknown): Error {
  const errcode = (error as { errcode?: unknown } | null)?.errcode
  if (typeof errcode === 'number' && !QUERY_FAULTS.has(errcode & 0xff)) {
    return new ModelError('SQL_FAILED', `SQLite: ${(error as Error).message}`, { cause: error })
  }
  if ((error as { code?: unknown } | null)?.code === 'ERR_INVALID_STATE') {
    return new ModelError('SQL_FAILED', 'the SQLite database is closed', { cause: error })
  }
  return new SqlQueryError(sql, error)
}

// SQLite has no booleans; it keeps them as 0 and 1. Copied only where there are any.
function bindable(values: readonly unknown[]): readonly SQLInputValue[] {
  for (const value of values) {
    if (typeof value !== 'boolean') continue
    return values.map(one => (typeof one === 'boolean' ? Number(one) : one)) as SQLInputValue[]
  }
  return values as readonly SQLInputValue[]
}

/** One connection with its prepared statements. */
class SqliteConnection {
  readonly database: DatabaseSync
  readonly #statements: StatementCache<Prepared>

  constructor(database: DatabaseSync, statementsMax: number) {
    this.database = database
    this.#statements = new StatementCache(statementsMax, sql => {
      const statement = database.prepare(sql)
      return { statement, isReader: statement.columns().length > 0 }
    })
  }

  run({ sql, parameters }: SqlQuery): SqlResult {
    try {
      const { statement, isReader } = this.#statements.get(sql)
      const values = bindable(parameters)
      if (isReader) {
        const rows = statement.all(...values)
        return { rows, affected: rows.length }
      }
      return { rows: [], affected: Number(statement.run(...values).changes) }
    } catch (error) {
      throw failure(sql, error)
    }
  }

  /** Runs a query whose result nobody needs: nothing is made of it. */
  send({ sql, parameters }: SqlQuery): void {
    try {
      // Rows of a "returning" clause are stepped over.
      this.#statements.get(sql).statement.run(...bindable(parameters))
    } catch (error) {
      throw failure(sql, error)
    }
  }

  /** What Kysely's SQLite dialect asks of a database. */
  prepare(sql: string) {
    const { statement, isReader } = this.#statements.get(sql)
    return {
      reader: isReader,
      all: (parameters: readonly unknown[]) => statement.all(...bindable(parameters)),
      run: (parameters: readonly unknown[]) => statement.run(...bindable(parameters)),
      iterate: (parameters: readonly unknown[]) => statement.iterate(...bindable(parameters)),
    }
  }

  close(): void {
    if (this.database.isOpen) this.database.close()
  }
}

/** The session of the writing connection: there is only one transaction at a time. */
class SqliteSession implements SqlSession {
  readonly #connection: SqliteConnection

  constructor(connection: SqliteConnection) {
    this.#connection = connection
  }

  async execute(query: SqlQuery): Promise<SqlResult> {
    return this.#connection.run(query)
  }

  send(query: SqlQuery): undefined {
    this.#connection.send(query)
  }

  async flush(): Promise<void> {}
}

type Kysely = typeof import('kysely')

async function openConnection(file: string, values: Values): Promise<SqliteConnection> {
  const { DatabaseSync } = await import('node:sqlite')
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(file, { timeout: values['sql.busy.ms'] })
    if (file !== MEMORY) database.exec('pragma journal_mode = wal')
    database.exec('pragma synchronous = normal')
    database.exec(`pragma cache_size = -${Math.ceil(values['sql.cache.bytes'] / 1024)}`)
    return new SqliteConnection(database, values['sql.statements.max'])
  } catch (error) {
    database?.close()
    throw failure('open', error)
  }
}

/** A Kysely over a connection; `mutex` where the connection is shared with the processors. */
function readerOf(kysely: Kysely, connection: SqliteConnection, mutex: Mutex | undefined) {
  const dialect = new kysely.SqliteDialect({ database: connection })
  if (mutex === undefined) return new kysely.Kysely({ dialect })
  const createDriver = () => {
    const driver = dialect.createDriver()
    const acquire = driver.acquireConnection.bind(driver)
    driver.acquireConnection = async () => {
      await mutex.acquire()
      return acquire()
    }
    driver.releaseConnection = async () => mutex.release()
    return driver
  }
  return new kysely.Kysely({
    dialect: {
      createDriver,
      createAdapter: () => dialect.createAdapter(),
      createIntrospector: of => dialect.createIntrospector(of),
      createQueryCompiler: () => dialect.createQueryCompiler(),
    },
  })
}

class SqliteDatabase implements SqlDatabase {
  readonly dialect = 'sqlite'
  readonly db: SqlDatabase['db']
  readonly #writer: SqliteConnection
  readonly #reader: SqliteConnection
  readonly #mutex = new Mutex()
  readonly #session: SqliteSession
  readonly #bind: () => BoundQueries

  constructor(
    kysely: Kysely,
    bind: () => BoundQueries,
    writer: SqliteConnection,
    reader: SqliteConnection,
  ) {
    this.#writer = writer
    this.#reader = reader
    this.#session = new SqliteSession(writer)
    this.#bind = bind
    this.db = readerOf(kysely, reader, reader === writer ? this.#mutex : undefined)
  }

  async transaction<T>(work: (session: SqlSession) => Promise<T>): Promise<T> {
    await this.#mutex.acquire()
    try {
      // Immediate: a transaction that reads first and then finds another writer before it would
      // have to be given up.
      this.#writer.run({ sql: 'begin immediate', parameters: [] })
      const result = await work(this.#session)
      this.#writer.run({ sql: 'commit', parameters: [] })
      return result
    } finally {
      // Some failures (a full disk) have ended the transaction already.
      const { database } = this.#writer
      try {
        if (database.isOpen && database.isTransaction) database.exec('rollback')
      } finally {
        this.#mutex.release()
      }
    }
  }

  queries<DB>(): BoundQueries<DB> {
    return this.#bind()
  }

  /** Waits for the transaction under way. */
  async close(): Promise<void> {
    await this.#mutex.acquire()
    try {
      this.#reader.close()
      this.#writer.close()
    } finally {
      this.#mutex.release()
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** Opens a SQLite database, creating the file. @throws ModelError SQL_FAILED, BAD_ARGUMENT */
export async function openSqlite(options: SqliteOptions): Promise<SqlDatabase> {
  const { file } = options
  if (typeof file !== 'string' || file === '') {
    throw new ModelError('BAD_ARGUMENT', 'file must be a path or ":memory:"')
  }
  const values = resolveSettings(SQL_SETTINGS, options.settings)
  const [kysely, { boundQueries }] = await Promise.all([import('kysely'), import('./bound.ts')])
  const writer = await openConnection(file, values)
  let reader = writer
  if (file !== MEMORY) {
    reader = await openConnection(file, values)
    reader.database.exec('pragma query_only = on')
  }
  return new SqliteDatabase(
    kysely,
    () => boundQueries('sqlite', values['sql.statements.max']),
    writer,
    reader,
  )
}
