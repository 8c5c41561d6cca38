/**
 * Parked streams: those of which an event could not be handled. The processor passes over them, and
 * notes up to where; what was passed over is read from the store when the stream is redriven.
 */
import type { Kysely } from 'kysely'
import type { LedgerTables } from './tables.ts'

/** A stream, over tenants and categories. */
export type StreamKey = {
  readonly tenant: string
  readonly category: string
  readonly stream: string
}

/** A stream as one text: key of maps. */
export const streamKeyText = ({ tenant, category, stream }: StreamKey): string =>
  `${tenant}/${category}/${stream}`

type BuildId = { readonly projection: string; readonly build: number }

/** A stream that is passed over since an event of it could not be handled. */
export type ParkedRow = StreamKey & {
  readonly part: number
  /** The event that failed, and the last one that was passed over. */
  readonly firstVersion: number
  readonly lastVersion: number
  readonly reason: string
  readonly attempts: number
  /** Ms since the epoch. */
  readonly parkedAt: number
}

/** The parked streams of builds. */
export class Parking {
  readonly #db: Kysely<LedgerTables>

  constructor(db: Kysely<LedgerTables>) {
    this.#db = db
  }

  /** Parked streams of a build, in the order in which they were parked. */
  async list({ projection, build }: BuildId, limit?: number): Promise<readonly ParkedRow[]> {
    let query = this.#db
      .selectFrom('millrace_parked')
      .selectAll()
      .where('projection', '=', projection)
      .where('build', '=', build)
      .orderBy('parked_at')
      .orderBy('tenant')
      .orderBy('category')
      .orderBy('stream')
    if (limit !== undefined) query = query.limit(limit)
    return (await query.execute()).map(parkedRow)
  }

  async find(of: BuildId, key: StreamKey): Promise<ParkedRow | undefined> {
    const row = await this.#db
      .selectFrom('millrace_parked')
      .selectAll()
      .where('projection', '=', of.projection)
      .where('build', '=', of.build)
      .where('tenant', '=', key.tenant)
      .where('category', '=', key.category)
      .where('stream', '=', key.stream)
      .executeTakeFirst()
    return row === undefined ? undefined : parkedRow(row)
  }

  async count({ projection, build }: BuildId): Promise<number> {
    const row = await this.#db
      .selectFrom('millrace_parked')
      .select(of => of.fn.countAll<number>().as('count'))
      .where('projection', '=', projection)
      .where('build', '=', build)
      .executeTakeFirstOrThrow()
    return Number(row.count)
  }

  async add({ projection, build }: BuildId, row: ParkedRow): Promise<void> {
    const { tenant, category, stream, part, reason, attempts } = row
    await this.#db
      .insertInto('millrace_parked')
      .values({
        ...{ projection, build, part, tenant, category, stream, reason, attempts },
        first_version: row.firstVersion,
        last_version: row.lastVersion,
        parked_at: row.parkedAt,
      })
      .execute()
  }

  /** Changes what is known of a parked stream. */
  async change(
    of: BuildId,
    key: StreamKey,
    change: { last_version: number } | { reason: string; attempts: number },
  ): Promise<void> {
    await this.#db
      .updateTable('millrace_parked')
      .set(change)
      .where('projection', '=', of.projection)
      .where('build', '=', of.build)
      .where('tenant', '=', key.tenant)
      .where('category', '=', key.category)
      .where('stream', '=', key.stream)
      .execute()
  }

  async remove(of: BuildId, key: StreamKey): Promise<void> {
    await this.#db
      .deleteFrom('millrace_parked')
      .where('projection', '=', of.projection)
      .where('build', '=', of.build)
      .where('tenant', '=', key.tenant)
      .where('category', '=', key.category)
      .where('stream', '=', key.stream)
      .execute()
  }
}

type StoredParked = Omit<LedgerTables['millrace_parked'], 'projection' | 'build'>

const parkedRow = (row: StoredParked): ParkedRow => ({
  tenant: row.tenant,
  category: row.category,
  stream: row.stream,
  part: row.part,
  firstVersion: row.first_version,
  lastVersion: row.last_version,
  reason: row.reason,
  attempts: row.attempts,
  parkedAt: row.parked_at,
})
