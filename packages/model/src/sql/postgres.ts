/**
 * Read models in PostgreSQL, through `pg` (an optional peer dependency, loaded when it is used).
 *
 * Processors write by connections of their own, a transaction each, with queries pipelined: up to
 * `sql.pipeline.max` are sent before their results are awaited, which saves a round trip an event.
 * Statements are prepared by name, the first `sql.statements.max` texts of a connection; later
 * texts are sent unprepared. Reads use other connections, whose transactions are read-only.
 *
 * 64-bit integers (counts and sums come as such) are numbers where they are safe, else bigints.
 */
import { resolveSettings, type SettingValues } from '@millrace/base'
import type { PoolClient, Pool as PostgresPool, QueryConfig } from 'pg'
import { ModelError, reasonOf } from '../errors.ts'
import {
  type BoundQueries,
  type SqlDatabase,
  type SqlQuery,
  SqlQueryError,
  type SqlResult,
  type SqlSession,
} from './port.ts'
import { SQL_SETTINGS } from './settings.ts'

/** Where and how a PostgreSQL database is opened. */
export type PostgresOptions = {
  /** `postgres://user:password@host:port/database` */
  readonly url: string
  readonly settings?: Partial<SettingValues<typeof SQL_SETTINGS>>
}

type Values = SettingValues<typeof SQL_SETTINGS>

const INT8_OID = 20

// Classes of SQLSTATE (PostgreSQL, appendix A) that blame the database or its surroundings:
// connection, rolled back by a deadlock or a serialization failure, out of resources, operator
// intervention, system error, and a server that became read-only. All others blame the query.
const DATABASE_FAULTS = /^(08|40|53|57|58|F0|XX)|^25006$/

function failure(sql: string, error: unknown): Error {
  if (error instanceof ModelError || error instanceof SqlQueryError) return error
  const code = (error as { code?: unknown } | null)?.code
  const isAnswer =
    typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && 'severity' in Object(error)
  return isAnswer && !DATABASE_FAULTS.test(code)
    ? new SqlQueryError(sql, error)
    : new ModelError('SQL_FAILED', `PostgreSQL: ${reasonOf(error)}`, { cause: error })
}

/** Names of prepared statements of one connection, by text. */
class StatementNames {
  readonly #names = new Map<string, string>()
  readonly #max: number

  constructor(max: number) {
    this.#max = max
  }

  of(sql: string): string | undefined {
    const known = this.#names.get(sql)
    if (known !== undefined || this.#names.size >= this.#max) return known
    const name = `millrace_${this.#names.size}`
    this.#names.set(sql, name)
    return name
  }
}

class PostgresSession implements SqlSession {
  readonly #client: PoolClient
  readonly #names: StatementNames
  readonly #pipelineMax: number
  #underWay = 0
  #failure: Error | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(client: PoolClient, names: StatementNames, pipelineMax: number) {
    this.#client = client
    this.#names = names
    this.#pipelineMax = pipelineMax
  }

  async execute(query: SqlQuery): Promise<SqlResult> {
    const sent = this.#query(query)
    this.#last = sent.catch(() => undefined)
    try {
      const result = await sent
      this.#throwFailure()
      return result
    } catch (error) {
      // The first failure of a transaction says why; later ones only that there was one.
      this.#throwFailure()
      throw error
    }
  }

  send(query: SqlQuery): Promise<void> | undefined {
    this.#underWay += 1
    this.#last = this.#query(query).then(
      () => {
        this.#underWay -= 1
      },
      error => {
        this.#underWay -= 1
        this.#failure ??= error
      },
    )
    return this.#underWay >= this.#pipelineMax ? this.flush() : undefined
  }

  async flush(): Promise<void> {
    await this.#last
    this.#throwFailure()
  }

  /** Says it once: after a rollback to a savepoint the session goes on. */
  #throwFailure(): void {
    const failed = this.#failure
    this.#failure = undefined
    if (failed !== undefined) throw failed
  }

  async #query({ sql, parameters }: SqlQuery): Promise<SqlResult> {
    const config: QueryConfig = { text: sql, values: parameters as unknown[] }
    const name = parameters.length > 0 ? this.#names.of(sql) : undefined
    if (name !== undefined) config.name = name
    try {
      const result = await this.#client.query(config)
      return { rows: result.rows ?? [], affected: result.rowCount ?? 0 }
    } catch (error) {
      throw failure(sql, error)
    }
  }
}

class PostgresDatabase implements SqlDatabase {
  readonly dialect = 'postgresql'
  readonly db: SqlDatabase['db']
  readonly #writers: PostgresPool
  readonly #bind: () => BoundQueries
  readonly #values: Values
  readonly #names = new WeakMap<PoolClient, StatementNames>()
  #isClosed = false

  constructor(
    db: SqlDatabase['db'],
    writers: PostgresPool,
    bind: () => BoundQueries,
    values: Values,
  ) {
    this.db = db
    this.#writers = writers
    this.#bind = bind
    this.#values = values
  }

  async transaction<T>(work: (session: SqlSession) => Promise<T>): Promise<T> {
    const client = await this.#writers.connect().catch(error => {
      throw failure('connect', error)
    })
    // A connection that breaks while it is out of the pool says so here, too.
    const broken = (): void => undefined
    client.on('error', broken)
    let discard = false
    try {
      return await this.#inTransaction(client, work)
    } catch (error) {
      discard = error instanceof ModelError && error.code === 'SQL_FAILED'
      throw error
    } finally {
      client.off('error', broken)
      client.release(discard)
    }
  }

  async #inTransaction<T>(
    client: PoolClient,
    work: (session: SqlSession) => Promise<T>,
  ): Promise<T> {
    const names = this.#names.get(client) ?? new StatementNames(this.#values['sql.statements.max'])
    this.#names.set(client, names)
    const session = new PostgresSession(client, names, this.#values['sql.pipeline.max'])
    await session.execute({ sql: 'begin', parameters: [] })
    let result: T
    try {
      result = await work(session)
      await session.flush()
    } catch (error) {
      await session.flush().catch(() => undefined)
      await session.execute({ sql: 'rollback', parameters: [] })
      throw error
    }
    const answer = await client.query('commit').catch(error => {
      throw failure('commit', error)
    })
    // A transaction that had failed is rolled back by "commit", without an error.
    if (answer.command !== 'COMMIT') {
      throw new SqlQueryError('commit', new Error('the transaction had failed and was rolled back'))
    }
    return result
  }

  queries<DB>(): BoundQueries<DB> {
    return this.#bind()
  }

  async scrub(): Promise<boolean> {
    return false
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await Promise.all([this.db.destroy(), this.#writers.end()])
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

const integerOf = (text: string): number | bigint => {
  const number = Number(text)
  return Number.isSafeInteger(number) ? number : BigInt(text)
}

async function loadPostgres(): Promise<typeof import('pg')> {
  try {
    const { default: pg } = await import('pg')
    return pg as unknown as typeof import('pg')
  } catch (error) {
    throw new ModelError('SQL_FAILED', 'PostgreSQL needs the package pg: npm install pg', {
      cause: error,
    })
  }
}

/** Opens a PostgreSQL database. @throws ModelError SQL_FAILED, BAD_ARGUMENT */
export async function openPostgres(options: PostgresOptions): Promise<SqlDatabase> {
  const { url } = options
  if (typeof url !== 'string' || !/^postgres(ql)?:\/\//.test(url)) {
    throw new ModelError('BAD_ARGUMENT', 'url must begin with postgres://')
  }
  const values = resolveSettings(SQL_SETTINGS, options.settings)
  const [{ Kysely, PostgresDialect }, { boundQueries }, pg] = await Promise.all([
    import('kysely'),
    import('./bound.ts'),
    loadPostgres(),
  ])
  const types = {
    getTypeParser: (oid: number, format?: 'text' | 'binary') =>
      oid === INT8_OID ? integerOf : pg.types.getTypeParser(oid, format as 'text'),
  }
  const shared = {
    connectionString: url,
    max: values['sql.connections.max'],
    connectionTimeoutMillis: values['sql.connect.ms'],
    types: types as never,
  }
  const writers = new pg.Pool({ ...shared, pipeline: true })
  const readers = new pg.Pool({ ...shared, options: '-c default_transaction_read_only=on' })
  // Without listeners, a connection that breaks in a pool would end the process; the pool opens
  // another one.
  writers.on('error', () => undefined)
  readers.on('error', () => undefined)
  const db = new Kysely({ dialect: new PostgresDialect({ pool: readers }) })
  const database = new PostgresDatabase(
    db,
    writers,
    () => boundQueries('postgresql', values['sql.statements.max']),
    values,
  )
  try {
    await database.transaction(session => session.execute({ sql: 'select 1', parameters: [] }))
    return database
  } catch (error) {
    await database.close()
    throw error
  }
}
