/**
 * Changes that wait to be published. They are written in the transaction that made them, sent in
 * the order of their ids, and removed when the log has them: a crash in between sends some again
 * (with their ids), and loses none.
 *
 * Rows of a build that is not live yet are held back until it takes over; what a build that was
 * replaced left is still sent.
 */
import type { Kysely } from 'kysely'
import type { LedgerTables } from './tables.ts'

/** A change on its way to the outbox. */
export type OutboxEntry = { readonly key: string; readonly value: string }

/** A change that waits. */
export type OutboxRow = OutboxEntry & { readonly id: number; readonly topic: string }

type BuildId = { readonly projection: string; readonly build: number }

/** Rows of one insert: databases bound the parameters of a statement. */
const INSERT_ROWS = 100

/** The rows of the outbox. */
export class ChangeOutbox {
  readonly #db: Kysely<LedgerTables>

  constructor(db: Kysely<LedgerTables>) {
    this.#db = db
  }

  async add(
    { projection, build }: BuildId,
    topic: string,
    entries: readonly OutboxEntry[],
  ): Promise<void> {
    for (let from = 0; from < entries.length; from += INSERT_ROWS) {
      const rows = entries
        .slice(from, from + INSERT_ROWS)
        .map(({ key, value }) => ({ projection, build, topic, key, value }))
      await this.#db.insertInto('millrace_outbox').values(rows).execute()
    }
  }

  /** The oldest rows of a projection's builds up to `live`. */
  async oldest(projection: string, live: number, limit: number): Promise<readonly OutboxRow[]> {
    return await this.#db
      .selectFrom('millrace_outbox')
      .select(['id', 'topic', 'key', 'value'])
      .where('projection', '=', projection)
      .where('build', '<=', live)
      .orderBy('id')
      .limit(limit)
      .execute()
  }

  async remove(ids: readonly number[]): Promise<void> {
    for (let from = 0; from < ids.length; from += INSERT_ROWS) {
      const some = ids.slice(from, from + INSERT_ROWS)
      await this.#db.deleteFrom('millrace_outbox').where('id', 'in', some).execute()
    }
  }

  /** Removes what a build wrote. */
  async discard({ projection, build }: BuildId): Promise<void> {
    await this.#db
      .deleteFrom('millrace_outbox')
      .where('projection', '=', projection)
      .where('build', '=', build)
      .execute()
  }

  /** Rows that wait, held back or not. */
  async count(projection: string): Promise<number> {
    const row = await this.#db
      .selectFrom('millrace_outbox')
      .select(of => of.fn.countAll<number>().as('count'))
      .where('projection', '=', projection)
      .executeTakeFirstOrThrow()
    return Number(row.count)
  }
}
