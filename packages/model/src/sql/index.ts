export type {
  BoundQueries,
  SqlDatabase,
  SqlQuery,
  SqlResult,
  SqlSession,
  TableNames,
} from './port.ts'
export { SqlQueryError } from './port.ts'
export { openPostgres, type PostgresOptions } from './postgres.ts'
export { SQL_SETTINGS } from './settings.ts'
export { openSqlite, type SqliteOptions } from './sqlite.ts'
