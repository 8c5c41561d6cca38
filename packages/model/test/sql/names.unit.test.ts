// Plain names of tables become those of a version, wherever a query may name a table.
import { type Kysely, sql } from 'kysely'
import { describe, expect, it } from 'vitest'
import { boundQueries } from '../../src/sql/bound.ts'

type Tables = {
  open: { id: string; amount: number; state: string }
  done: { id: string; at: number }
  other: { id: string; open: number }
}

const names = new Map([
  ['open', 'open__v2_3'],
  ['done', 'done__v2_3'],
])

function renamed(dialect: 'sqlite' | 'postgresql'): Kysely<Tables> {
  const queries = boundQueries<Tables>(dialect, 10)
  queries.rename(names, '__v2_3')
  return queries.db
}

describe.each(['sqlite', 'postgresql'] as const)('on %s', dialect => {
  const db = renamed(dialect)
  const p = (at: number) => (dialect === 'sqlite' ? '?' : `$${at}`)

  it('renames the tables of inserts, updates and deletes', () => {
    const insert = db.insertInto('open').values({ id: 'a', amount: 1, state: 's' })
    expect(insert.compile().sql).toBe(
      `insert into "open__v2_3" ("id", "amount", "state") values (${p(1)}, ${p(2)}, ${p(3)})`,
    )
    expect(db.updateTable('open').set({ amount: 2 }).where('open.id', '=', 'a').compile().sql).toBe(
      `update "open__v2_3" set "amount" = ${p(1)} where "open__v2_3"."id" = ${p(2)}`,
    )
    expect(db.deleteFrom('done').where('id', '=', 'a').compile().sql).toBe(
      `delete from "done__v2_3" where "id" = ${p(1)}`,
    )
  })

  it('renames what an upsert refers to', () => {
    const query = db
      .insertInto('open')
      .values({ id: 'a', amount: 1, state: 's' })
      .onConflict(conflict =>
        conflict.column('id').doUpdateSet(of => ({ amount: of('open.amount', '+', 1) })),
      )
    expect(query.compile().sql).toContain(`set "amount" = "open__v2_3"."amount" + ${p(4)}`)
  })

  it('renames joins, subqueries and references alike', () => {
    const query = db
      .selectFrom('open')
      .innerJoin('done', 'done.id', 'open.id')
      .select(of => [
        'open.id',
        of.selectFrom('done').select('at').whereRef('done.id', '=', 'open.id').as('at'),
      ])
    expect(query.compile().sql).toBe(
      'select "open__v2_3"."id", (select "at" from "done__v2_3" where "done__v2_3"."id" = ' +
        '"open__v2_3"."id") as "at" from "open__v2_3" inner join "done__v2_3" on ' +
        '"done__v2_3"."id" = "open__v2_3"."id"',
    )
  })

  it('keeps aliases and common table expressions together with what refers to them', () => {
    const alias = db.selectFrom('done as open').select('open.at')
    expect(alias.compile().sql).toBe('select "open__v2_3"."at" from "done__v2_3" as "open__v2_3"')
    const expression = db
      .with('done', of => of.selectFrom('open').select('id'))
      .selectFrom('done')
      .select('done.id')
    expect(expression.compile().sql).toBe(
      'with "done__v2_3" as (select "id" from "open__v2_3") select "done__v2_3"."id" from "done__v2_3"',
    )
  })

  it('leaves columns, their aliases and other tables', () => {
    const query = db.selectFrom('other').select(['other.open', 'id as done'])
    expect(query.compile().sql).toBe('select "other"."open", "id" as "done" from "other"')
  })

  it('renames tables in fragments of SQL that say they are', () => {
    const query = sql`select count(*) from ${sql.table('open')} where ${sql.ref('open.id')} = ${'a'}`
    expect(query.compile(db).sql).toBe(
      `select count(*) from "open__v2_3" where "open__v2_3"."id" = ${p(1)}`,
    )
  })

  it('gives tables, indexes and constraints of a version their own names', () => {
    const table = db.schema
      .createTable('open')
      .addColumn('id', 'text')
      .addPrimaryKeyConstraint('open_key', ['id'])
      .addUniqueConstraint('open_once', ['id'])
    expect(table.compile().sql).toContain('create table "open__v2_3" ("id" text')
    expect(table.compile().sql).toContain('constraint "open_key__v2_3" primary key')
    expect(table.compile().sql).toContain('constraint "open_once__v2_3" unique')
    expect(db.schema.createIndex('open_by_state').on('open').column('state').compile().sql).toBe(
      'create index "open_by_state__v2_3" on "open__v2_3" ("state")',
    )
  })

  it('refuses to run outside of a handler', async () => {
    const query = db.selectFrom('open').selectAll().execute()
    await expect(query).rejects.toThrow(/after the handler had ended/)
    await expect(db.transaction().execute(async () => 1)).rejects.toThrow(/transaction/)
  })
})
