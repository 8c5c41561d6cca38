/**
 * What a projection knows of itself, in tables beside its own, so that one transaction moves both:
 *
 *     millrace_projections   name -> the build that readers see
 *     millrace_builds        one set of tables each: version, names, number of parts
 *     millrace_progress      build and part -> checkpoint, revision
 *     millrace_parked        streams that are passed over, and why
 *     millrace_outbox        changes that are not yet published
 *
 * A build is one run of a version over the history into tables of its own. A part is one group of
 * buckets. The revision of a part rises with whatever moves it (a page, a redrive); everybody moves
 * it from the revision that he has read, so two who think that they own it cannot both succeed.
 */
import type { Generated, Kysely } from 'kysely'
import type { SqlDatabase } from '../sql/port.ts'

/** The tables of bookkeeping, for Kysely. */
export type LedgerTables = {
  millrace_projections: { name: string; live: number | null }
  millrace_builds: {
    projection: string
    build: number
    version: number
    tables: string
    shape: string
    parts: number
    created_at: number
  }
  millrace_progress: {
    projection: string
    build: number
    part: number
    checkpoint: string | null
    revision: number
  }
  millrace_parked: {
    projection: string
    build: number
    part: number
    tenant: string
    category: string
    stream: string
    first_version: number
    last_version: number
    reason: string
    attempts: number
    parked_at: number
  }
  millrace_outbox: {
    id: Generated<number>
    projection: string
    build: number
    topic: string
    key: string
    value: string
  }
}

/** Creates what is not there yet. */
export async function createLedgerTables(
  db: Kysely<LedgerTables>,
  dialect: SqlDatabase['dialect'],
): Promise<void> {
  const { schema } = db
  await schema
    .createTable('millrace_projections')
    .ifNotExists()
    .addColumn('name', 'text', column => column.primaryKey())
    .addColumn('live', 'integer')
    .execute()
  await schema
    .createTable('millrace_builds')
    .ifNotExists()
    .addColumn('projection', 'text', column => column.notNull())
    .addColumn('build', 'integer', column => column.notNull())
    .addColumn('version', 'integer', column => column.notNull())
    .addColumn('tables', 'text', column => column.notNull())
    .addColumn('shape', 'text', column => column.notNull())
    .addColumn('parts', 'integer', column => column.notNull())
    .addColumn('created_at', 'bigint', column => column.notNull())
    .addPrimaryKeyConstraint('millrace_builds_key', ['projection', 'build'])
    .execute()
  await schema
    .createTable('millrace_progress')
    .ifNotExists()
    .addColumn('projection', 'text', column => column.notNull())
    .addColumn('build', 'integer', column => column.notNull())
    .addColumn('part', 'integer', column => column.notNull())
    .addColumn('checkpoint', 'text')
    .addColumn('revision', 'bigint', column => column.notNull())
    .addPrimaryKeyConstraint('millrace_progress_key', ['projection', 'build', 'part'])
    .execute()
  await createParked(db)
  await createOutbox(db, dialect === 'sqlite')
}

function createParked(db: Kysely<LedgerTables>): Promise<void> {
  return db.schema
    .createTable('millrace_parked')
    .ifNotExists()
    .addColumn('projection', 'text', column => column.notNull())
    .addColumn('build', 'integer', column => column.notNull())
    .addColumn('part', 'integer', column => column.notNull())
    .addColumn('tenant', 'text', column => column.notNull())
    .addColumn('category', 'text', column => column.notNull())
    .addColumn('stream', 'text', column => column.notNull())
    .addColumn('first_version', 'bigint', column => column.notNull())
    .addColumn('last_version', 'bigint', column => column.notNull())
    .addColumn('reason', 'text', column => column.notNull())
    .addColumn('attempts', 'integer', column => column.notNull())
    .addColumn('parked_at', 'bigint', column => column.notNull())
    .addPrimaryKeyConstraint('millrace_parked_key', [
      'projection',
      'build',
      'tenant',
      'category',
      'stream',
    ])
    .execute()
}

function createOutbox(db: Kysely<LedgerTables>, isSqlite: boolean): Promise<void> {
  return db.schema
    .createTable('millrace_outbox')
    .ifNotExists()
    .addColumn('id', isSqlite ? 'integer' : 'bigserial', column =>
      isSqlite ? column.primaryKey().autoIncrement() : column.primaryKey(),
    )
    .addColumn('projection', 'text', column => column.notNull())
    .addColumn('build', 'integer', column => column.notNull())
    .addColumn('topic', 'text', column => column.notNull())
    .addColumn('key', 'text', column => column.notNull())
    .addColumn('value', 'text', column => column.notNull())
    .execute()
}
