/**
 * A Kysely that runs its queries in whatever transaction it is attached to. Handlers get one: what
 * they return is made by it, and what they run themselves (`await db.selectFrom(…).execute()`) goes
 * through the same session, in order.
 */
import {
  type Compilable,
  type CompiledQuery,
  createQueryId,
  type DatabaseConnection,
  type Driver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  type QueryResult,
  type RootOperationNode,
  SqliteAdapter,
  SqliteIntrospector,
} from 'kysely'
import { renamingCompiler } from './names.ts'
import type { BoundQueries, MadeQuery, SqlSession } from './port.ts'
import { Shapes } from './shapes.ts'

/** What a compilable query of Kysely is, besides. */
type Builder = Compilable & { toOperationNode(): RootOperationNode }

const refused = async (): Promise<never> => {
  throw new Error('a handler runs in a transaction already and cannot begin another')
}

/** The driver of a Kysely that is bound to sessions. */
class SessionDriver implements Driver, DatabaseConnection {
  session: SqlSession | undefined
  readonly beginTransaction = refused
  readonly commitTransaction = refused
  readonly rollbackTransaction = refused

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    return this
  }

  async releaseConnection(): Promise<void> {}

  async destroy(): Promise<void> {}

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    if (this.session === undefined) {
      throw new Error("a handler's database was used after the handler had ended")
    }
    const { rows, affected } = await this.session.execute(query)
    return { rows: rows as R[], numAffectedRows: BigInt(affected) }
  }

  async *streamQuery<R>(query: CompiledQuery): AsyncIterableIterator<QueryResult<R>> {
    yield await this.executeQuery<R>(query)
  }
}

/** Makes a Kysely that is bound to sessions, and that keeps the texts of so many shapes of queries. */
export function boundQueries<DB>(
  dialect: 'sqlite' | 'postgresql',
  shapesMax: number,
): BoundQueries<DB> {
  const driver = new SessionDriver()
  const compiler = renamingCompiler(dialect)
  const shapes = new Shapes(node => compiler.compileQuery(node, createQueryId()), shapesMax)
  const isSqlite = dialect === 'sqlite'
  const db = new Kysely<DB>({
    dialect: {
      // Not SQLite's own adapter alone: sessions order their queries themselves.
      createAdapter: () => (isSqlite ? new SqliteAdapter() : new PostgresAdapter()),
      createDriver: () => driver,
      createIntrospector: of =>
        isSqlite ? new SqliteIntrospector(of) : new PostgresIntrospector(of),
      createQueryCompiler: () => compiler,
    },
  })
  return {
    db,
    rename: (names, suffix) => {
      compiler.rename(names, suffix)
      shapes.clear()
    },
    compile: query => {
      const { toOperationNode } = query as Partial<Builder>
      if (toOperationNode === undefined) return query.compile() as MadeQuery
      return shapes.compile(toOperationNode.call(query))
    },
    attach: session => {
      driver.session = session
    },
  }
}
