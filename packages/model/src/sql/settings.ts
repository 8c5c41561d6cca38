/** The bounds of the read models' databases. */
import { type IntegerSetting, integer } from '@millrace/base'

/** Settings by dotted key. */
export const SQL_SETTINGS: {
  readonly 'sql.statements.max': IntegerSetting
  readonly 'sql.busy.ms': IntegerSetting
  readonly 'sql.cache.bytes': IntegerSetting
  readonly 'sql.connections.max': IntegerSetting
  readonly 'sql.pipeline.max': IntegerSetting
  readonly 'sql.connect.ms': IntegerSetting
} = {
  'sql.statements.max': integer(
    256,
    1,
    100_000,
    'Prepared statements kept by their text, a connection; shapes of queries, a projection.',
  ),
  'sql.busy.ms': integer(
    5000,
    0,
    600_000,
    'SQLite: how long another process may hold the write lock. The thread waits meanwhile.',
  ),
  'sql.cache.bytes': integer(
    16 * 1024 * 1024,
    64 * 1024,
    2 ** 31 - 1,
    'SQLite: page cache, a connection.',
  ),
  'sql.connections.max': integer(
    8,
    1,
    1000,
    'PostgreSQL: connections of the processors, and as many for reads.',
  ),
  'sql.pipeline.max': integer(
    512,
    1,
    100_000,
    'PostgreSQL: queries of one transaction that are sent without waiting for their results.',
  ),
  'sql.connect.ms': integer(
    10_000,
    1,
    600_000,
    'PostgreSQL: how long a connection may take to open or to become free.',
  ),
}
