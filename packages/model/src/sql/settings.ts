/** Settings by dotted key. */
export const SQL_SETTINGS = {
  'sql.statements.max': {
    type: 'integer',
    default: 256,
    min: 1,
    max: 100_000,
    doc: 'Prepared statements kept by their text, a connection; shapes of queries, a projection.',
  },
  'sql.busy.ms': {
    type: 'integer',
    default: 5000,
    min: 0,
    max: 600_000,
    doc: 'SQLite: how long another process may hold the write lock. Nobody else waits meanwhile.',
  },
  'sql.cache.bytes': {
    type: 'integer',
    default: 16_777_216,
    min: 65_536,
    max: 2_147_483_647,
    doc: 'SQLite: page cache, a connection.',
  },
  'sql.connections.max': {
    type: 'integer',
    default: 8,
    min: 1,
    max: 1000,
    doc: 'PostgreSQL: connections of the processors, and as many for reads.',
  },
  'sql.pipeline.max': {
    type: 'integer',
    default: 512,
    min: 1,
    max: 100_000,
    doc: 'PostgreSQL: queries of one transaction that are sent without waiting for their results.',
  },
  'sql.connect.ms': {
    type: 'integer',
    default: 10_000,
    min: 1,
    max: 600_000,
    doc: 'PostgreSQL: how long a connection may take to open or to become free.',
  },
} as const
