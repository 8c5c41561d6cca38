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
import {
  type Outside,
  resolveSettings,
  type SettingValues,
  sleep,
  systemOutside,
} from '@millrace/base'
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
/** How long the thread may wait for another process while the file is opened. */
const OPEN_WAIT_MS = 1000
/** And afterwards: waits for a lock are by timers, so that everybody else goes on. */
const LOCKED_WAIT_MS = 0
const LOCK_AGAIN_MS = 10
const SQLITE_BUSY = 5

// The primary result codes (sqlite.org/rescode.html) that blame the query or its values; all others
// (BUSY, FULL, IOERR, CORRUPT …) blame the database.
const QUERY_FAULTS: ReadonlySet<number> = new Set([
  1, // SQLITE_ERROR: no such table, syntax
  18, // SQLITE_TOOBIG
  19, // SQLITE_CONSTRAINT
  20, // SQLITE_MISMATCH
  25, // SQLITE_RANGE
])

const isBusy = (error: unknown): boolean => {
  const cause = (error as { cause?: { errcode?: unknown } } | null)?.cause
  return typeof cause?.errcode === 'number' && (cause.errcode & 0xff) === SQLITE_BUSY
}

function failure(sql: string, error: unknown, isOpen = true): Error {
  const errcode = (error as { errcode?: unknown } | null)?.errcode
  if (typeof errcode === 'number' && !QUERY_FAULTS.has(errcode & 0xff)) {
    return new ModelError('SQL_FAILED', `SQLite: ${(error as Error).message}`, { cause: error })
  }
  if (!isOpen) {
    return new ModelError('SQL_FAILED', 'the SQLite database is closed', { cause: error })
  }
  return new SqlQueryError(sql, error)
}

const INTEGER_MAX = 2n ** 63n - 1n

/** SQLite has no booleans: they are kept as 0 and 1. What it cannot keep as it is, is refused by name. */
function bound(value: unknown, index: number): SQLInputValue {
  if (typeof value === 'string' || value === null || value instanceof Uint8Array) return value
  if (typeof value === 'boolean') return Number(value)
  if (typeof value === 'number' && !Number.isNaN(value)) return value
  if (typeof value === 'bigint' && value <= INTEGER_MAX && value >= -INTEGER_MAX - 1n) return value
  const of = typeof value === 'object' ? (value?.constructor?.name ?? 'object') : typeof value
  const what =
    typeof value === 'number'
      ? 'NaN'
      : typeof value === 'bigint'
        ? `${value}`
        : `a value of type ${of}`
  throw new TypeError(
    `parameter ${index + 1} is ${what}: SQLite keeps text, numbers, integers of 64 bits, bytes and null; make text of it (JSON.stringify)`,
  )
}

const isPlain = (value: unknown): boolean =>
  typeof value === 'string' || value === null || (typeof value === 'number' && !Number.isNaN(value))

// Copied only where something is to be changed or looked at closely.
const bindable = (values: readonly unknown[]): readonly SQLInputValue[] =>
  (values.every(isPlain) ? values : values.map(bound)) as readonly SQLInputValue[]

type Row = Record<string, unknown>

/**
 * The rows of a statement. An integer that a number cannot hold is a bigint, in its rows only: by
 * itself the driver would refuse the whole answer.
 */
function rowsOf(statement: StatementSync, parameters: readonly unknown[]): Row[] {
  const values = bindable(parameters)
  try {
    return statement.all(...values)
  } catch (error) {
    if ((error as { code?: unknown } | null)?.code !== 'ERR_OUT_OF_RANGE') throw error
  }
  statement.setReadBigInts(true)
  try {
    return statement.all(...values).map(withNumbers)
  } finally {
    statement.setReadBigInts(false)
  }
}

function withNumbers(row: Row): Row {
  for (const [column, value] of Object.entries(row)) {
    if (typeof value === 'bigint' && Number.isSafeInteger(Number(value)))
      row[column] = Number(value)
  }
  return row
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
      if (isReader) {
        const rows = rowsOf(statement, parameters)
        return { rows, affected: rows.length }
      }
      return { rows: [], affected: Number(statement.run(...bindable(parameters)).changes) }
    } catch (error) {
      throw failure(sql, error, this.database.isOpen)
    }
  }

  /** Runs a query whose result nobody needs: nothing is made of it. */
  send({ sql, parameters }: SqlQuery): void {
    try {
      // Rows of a "returning" clause are stepped over.
      this.#statements.get(sql).statement.run(...bindable(parameters))
    } catch (error) {
      throw failure(sql, error, this.database.isOpen)
    }
  }

  /** What Kysely's SQLite dialect asks of a database. */
  prepare(sql: string) {
    const { statement, isReader } = this.#statements.get(sql)
    return {
      reader: isReader,
      all: (parameters: readonly unknown[]) => rowsOf(statement, parameters),
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
    database = new DatabaseSync(file, { timeout: OPEN_WAIT_MS })
    if (file !== MEMORY) database.exec('pragma journal_mode = wal')
    database.exec('pragma synchronous = normal')
    database.exec(`pragma cache_size = -${Math.ceil(values['sql.cache.bytes'] / 1024)}`)
    // What a forgotten subject's rows held is overwritten, not only let go of.
    database.exec('pragma secure_delete = on')
    database.exec(`pragma busy_timeout = ${LOCKED_WAIT_MS}`)
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
  readonly #outside: Pick<Outside, 'clock' | 'timers'> = systemOutside()
  readonly #busyMs: number
  readonly #closing = new AbortController()

  constructor(
    kysely: Kysely,
    bind: () => BoundQueries,
    writer: SqliteConnection,
    reader: SqliteConnection,
    busyMs: number,
  ) {
    this.#busyMs = busyMs
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
      await this.#begin()
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

  /** Begins; while another process holds the lock of writers, waits without holding the thread. */
  async #begin(): Promise<void> {
    const { clock, timers } = this.#outside
    const until = clock.monotonic() + this.#busyMs
    for (;;) {
      try {
        this.#writer.run({ sql: 'begin immediate', parameters: [] })
        return
      } catch (error) {
        const isOver = clock.monotonic() >= until || this.#closing.signal.aborted
        if (!isBusy(error) || isOver) throw error
      }
      await sleep(timers, LOCK_AGAIN_MS, this.#closing.signal)
    }
  }

  queries<DB>(): BoundQueries<DB> {
    return this.#bind()
  }

  async scrub(): Promise<boolean> {
    await this.#mutex.acquire()
    try {
      const { rows } = this.#writer.run({ sql: 'pragma wal_checkpoint(truncate)', parameters: [] })
      return rows[0]?.['busy'] !== 1
    } catch (error) {
      if (isBusy(error)) return false
      throw error
    } finally {
      this.#mutex.release()
    }
  }

  /** Waits for the transaction under way. */
  async close(): Promise<void> {
    this.#closing.abort()
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
    values['sql.busy.ms'],
  )
}
