// Queries that are looked up by their shape are those that would have been compiled.
import { type Compilable, createQueryId, type Kysely, type RootOperationNode, sql } from 'kysely'
import { describe, expect, it } from 'vitest'
import { boundQueries } from '../../src/sql/bound.ts'
import { renamingCompiler } from '../../src/sql/names.ts'
import { Shapes } from '../../src/sql/shapes.ts'

type Tables = {
  open: { id: string; amount: number; state: string | null; at: number }
  done: { id: string; at: number }
}
type Db = Kysely<Tables>
type Value = string | number

const { db } = boundQueries<Tables>('sqlite', 10)

/** Queries as handlers make them, of values that a test chooses. */
const builders: Record<string, (db: Db, next: () => Value) => Compilable> = {
  insert: (of, next) =>
    of.insertInto('open').values({ id: `${next()}`, amount: Number(next()), state: null, at: 1 }),
  'insert of several rows': (of, next) =>
    of.insertInto('done').values([
      { id: `${next()}`, at: 1 },
      { id: `${next()}`, at: 2 },
    ]),
  upsert: (of, next) =>
    of
      .insertInto('done')
      .values({ id: `${next()}`, at: Number(next()) })
      .onConflict(conflict =>
        conflict.column('id').doUpdateSet(x => ({ at: x('done.at', '+', Number(next())) })),
      ),
  'update, condition first': (of, next) =>
    of
      .updateTable('open')
      .where('id', '=', `${next()}`)
      .set({ amount: Number(next()) })
      .set({ state: `${next()}` }),
  'update by an expression': (of, next) =>
    of
      .updateTable('open')
      .set(x => ({ amount: x('amount', '+', Number(next())) }))
      .where('id', '=', `${next()}`),
  delete: (of, next) =>
    of.deleteFrom('open').where('id', '=', `${next()}`).where('amount', '<', Number(next())),
  'delete by a list': (of, next) =>
    of.deleteFrom('open').where('id', 'in', [`${next()}`, `${next()}`, `${next()}`]),
  'select with parts that change places': (of, next) =>
    of
      .selectFrom('open')
      .limit(Number(next()) || 1)
      .where('id', '>', `${next()}`)
      .select(x => ['id', x.val(next()).as('mine')])
      .offset(Number(next()) || 1),
  'a fragment': (of, next) =>
    of.selectFrom('open').select(sql<number>`max(${next()}, amount)`.as('most')),
  'a value that is written out': (of, next) =>
    of.selectFrom('open').select(x => x.lit(Number(next()) || 7).as('written')),
}

function compiled(query: Compilable) {
  const node = (query as unknown as { toOperationNode(): RootOperationNode }).toOperationNode()
  const { sql: text, parameters } = renamingCompiler('sqlite').compileQuery(node, createQueryId())
  return { sql: text, parameters, node }
}

const shapes = (max: number) => {
  const compiler = renamingCompiler('sqlite')
  let compilations = 0
  const all = new Shapes(node => {
    compilations += 1
    return compiler.compileQuery(node, createQueryId())
  }, max)
  return { all, compilations: () => compilations }
}

describe.each(Object.entries(builders))('%s', (_name, build) => {
  it('is the query that is compiled, with its values in their places', () => {
    const { all } = shapes(100)
    let n = 0
    for (let round = 0; round < 20; round += 1) {
      // Different values, then equal ones, which could hide a wrong order.
      const next = round < 15 ? () => (n++ % 3 === 0 ? `text ${n}` : n) : () => 5
      const { sql: text, parameters, node } = compiled(build(db, next))
      expect(all.compile(node)).toEqual({ sql: text, parameters, query: node })
    }
  })
})

it('compiles a shape once', () => {
  const { all, compilations } = shapes(100)
  for (let n = 0; n < 50; n += 1) {
    all.compile(compiled(db.insertInto('done').values({ id: `${n}`, at: n })).node)
  }
  // Once for the query and once to see where its values go.
  expect(compilations()).toBe(2)
  expect(all.size).toBe(1)
})

it('tells shapes apart that differ in one word, one key or one length', () => {
  const { all } = shapes(100)
  const queries = [
    db.selectFrom('open').select('id').where('id', '=', 'x'),
    db.selectFrom('open').select('id').where('id', '>', 'x'),
    db.selectFrom('open').select('at').where('id', '=', 'x'),
    db.selectFrom('done').select('id').where('id', '=', 'x'),
    db.selectFrom('open').select('id').where('id', '=', 'x').distinct(),
    db.selectFrom('open').select('id').where('id', 'in', ['x']),
    db.selectFrom('open').select('id').where('id', 'in', ['x', 'y']),
    db.selectFrom('open').select('id').where('id', 'is', null),
  ]
  for (let round = 0; round < 2; round += 1) {
    for (const query of queries) {
      const { sql: text, parameters, node } = compiled(query)
      expect(all.compile(node)).toMatchObject({ sql: text, parameters })
    }
  }
  expect(all.size).toBe(queries.length)
})

it('never keeps a text with a date that is written out', () => {
  const { all } = shapes(100)
  for (const day of ['2012-01-01', '2012-01-02']) {
    const written = db.selectFrom('open').select(sql`${sql.lit(new Date(day))}`.as('day'))
    expect(all.compile(compiled(written).node).sql).toContain(day)
  }
})

it('keeps at most its bound, also of texts that never come again', () => {
  const { all } = shapes(8)
  for (let n = 0; n < 100; n += 1) {
    const query = db.selectFrom('open').select(x => x.lit(n).as('written'))
    expect(all.compile(compiled(query).node).sql).toContain(` ${n} `)
    expect(all.size).toBeLessThanOrEqual(8)
  }
})

it('learns anew when tables are renamed', () => {
  const queries = boundQueries<Tables>('sqlite', 10)
  const query = () => queries.db.selectFrom('open').select('id')
  expect(queries.compile(query()).sql).toBe('select "id" from "open"')
  queries.rename(new Map([['open', 'open__v1_1']]), '__v1_1')
  expect(queries.compile(query()).sql).toBe('select "id" from "open__v1_1"')
})
