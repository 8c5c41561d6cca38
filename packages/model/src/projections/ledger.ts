/**
 * A projection's bookkeeping: its builds, which of them readers see, and how far each part is. What
 * the tables hold is said in `tables.ts`. All calls run in the session that is attached.
 */
import type { Kysely } from 'kysely'
import { ModelError } from '../errors.ts'
import type { BoundQueries, SqlDatabase, SqlSession } from '../sql/port.ts'
import { ChangeOutbox } from './outbox.ts'
import { Parking } from './parking.ts'
import { createLedgerTables, type LedgerTables } from './tables.ts'

/** One set of tables of a projection. */
export type Build = {
  readonly projection: string
  /** Counts the builds of a projection, from 1. */
  readonly build: number
  readonly version: number
  /** Plain names of tables, to those of the build. */
  readonly tables: readonly (readonly [plain: string, physical: string])[]
  /** Tables and columns as text: another one under the same version is a mistake. */
  readonly shape: string
  readonly parts: number
  /** Ms since the epoch. */
  readonly createdAt: number
}

/** How far one part of a build is. */
export type Progress = {
  readonly checkpoint: string | null
  readonly revision: number
}

/** Serializes those who prepare tables at once on PostgreSQL: any number that nobody else uses. */
const PREPARE_LOCK = 5_837_202_611

/** The tables of bookkeeping, in one session at a time. */
export class Ledger {
  readonly #queries: BoundQueries<LedgerTables>
  readonly #dialect: SqlDatabase['dialect']
  readonly parking: Parking
  readonly outbox: ChangeOutbox

  constructor(sql: SqlDatabase) {
    this.#queries = sql.queries<LedgerTables>()
    this.#dialect = sql.dialect
    this.parking = new Parking(this.#queries.db)
    this.outbox = new ChangeOutbox(this.#queries.db)
  }

  /** Queries over the bookkeeping, in the attached session. */
  get #db(): Kysely<LedgerTables> {
    return this.#queries.db
  }

  /** The session that all other calls run in. */
  attach(session: SqlSession | undefined): void {
    this.#queries.attach(session)
  }

  /** Keeps others from preparing at the same time, until the transaction ends. */
  async lock(session: SqlSession): Promise<void> {
    if (this.#dialect === 'sqlite') return // its transactions are alone anyway
    await session.execute({
      sql: 'select pg_advisory_xact_lock($1)',
      parameters: [PREPARE_LOCK],
    })
  }

  createTables(): Promise<void> {
    return createLedgerTables(this.#db, this.#dialect)
  }

  /** The build that readers see; undefined before the first. */
  async live(projection: string): Promise<number | undefined> {
    const row = await this.#db
      .selectFrom('millrace_projections')
      .select('live')
      .where('name', '=', projection)
      .executeTakeFirst()
    return row?.live ?? undefined
  }

  /** Moves the readers from one build to another. False: somebody else has moved them. */
  async setLive(projection: string, from: number | undefined, to: number): Promise<boolean> {
    if (from === undefined) {
      const row = { name: projection, live: to }
      await this.#db.insertInto('millrace_projections').values(row).execute()
      return true
    }
    const { numUpdatedRows } = await this.#db
      .updateTable('millrace_projections')
      .set({ live: to })
      .where('name', '=', projection)
      .where('live', '=', from)
      .executeTakeFirstOrThrow()
    return numUpdatedRows === 1n
  }

  /** Builds of one projection, or of all, the oldest first. */
  async builds(projection?: string): Promise<readonly Build[]> {
    let query = this.#db.selectFrom('millrace_builds').selectAll().orderBy('build')
    if (projection !== undefined) query = query.where('projection', '=', projection)
    return (await query.execute()).map(({ tables, created_at, ...row }) => ({
      ...row,
      tables: JSON.parse(tables),
      createdAt: created_at,
    }))
  }

  async addBuild(build: Build): Promise<void> {
    const { tables, createdAt, ...row } = build
    await this.#db
      .insertInto('millrace_builds')
      .values({ ...row, tables: JSON.stringify(tables), created_at: createdAt })
      .execute()
    const { projection, parts } = build
    for (let part = 0; part < parts; part += 1) {
      const progress = { projection, build: build.build, part, revision: 0 }
      await this.#db
        .insertInto('millrace_progress')
        .values({ ...progress, checkpoint: null })
        .execute()
    }
  }

  /**
   * Ends a build: whoever runs it cannot move it any more. Its tables are dropped later. Gives the
   * checkpoints it had, by part.
   */
  async fence({ projection, build }: Build): Promise<readonly (string | null)[]> {
    const rows = await this.#db
      .deleteFrom('millrace_progress')
      .where('projection', '=', projection)
      .where('build', '=', build)
      .returning(['part', 'checkpoint'])
      .execute()
    await this.#db
      .deleteFrom('millrace_parked')
      .where('projection', '=', projection)
      .where('build', '=', build)
      .execute()
    return rows.sort((a, b) => a.part - b.part).map(row => row.checkpoint)
  }

  async removeBuild(of: Build): Promise<void> {
    await this.fence(of)
    await this.#db
      .deleteFrom('millrace_builds')
      .where('projection', '=', of.projection)
      .where('build', '=', of.build)
      .execute()
  }

  /** Progress by part. */
  async progress({ projection, build }: Build): Promise<readonly Progress[]> {
    return await this.#db
      .selectFrom('millrace_progress')
      .select(['checkpoint', 'revision'])
      .where('projection', '=', projection)
      .where('build', '=', build)
      .orderBy('part')
      .execute()
  }

  /**
   * Moves a part from the revision that the caller knows to the next one: the compare-and-set.
   *
   * @throws ModelError CHECKPOINT_MOVED when it is at another revision, or gone with its build
   */
  async advance(
    { projection, build }: Build,
    part: number,
    revision: number,
    checkpoint: string,
  ): Promise<void> {
    const { numUpdatedRows } = await this.#db
      .updateTable('millrace_progress')
      .set({ revision: revision + 1, checkpoint })
      .where('projection', '=', projection)
      .where('build', '=', build)
      .where('part', '=', part)
      .where('revision', '=', revision)
      .executeTakeFirstOrThrow()
    if (numUpdatedRows === 1n) return
    throw new ModelError(
      'CHECKPOINT_MOVED',
      `projection ${projection}, build ${build}, part ${part}: revision ${revision} is not the last one`,
    )
  }

  /** Moves a part whatever its revision is; gives the new one, undefined if the build is gone. */
  async touch({ projection, build }: Build, part: number): Promise<number | undefined> {
    const row = await this.#db
      .updateTable('millrace_progress')
      .set(of => ({ revision: of('revision', '+', 1) }))
      .where('projection', '=', projection)
      .where('build', '=', build)
      .where('part', '=', part)
      .returning('revision')
      .executeTakeFirst()
    return row?.revision
  }
}
