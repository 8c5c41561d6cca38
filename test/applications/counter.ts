// An application whose read model fails for one stream until the file MENDED is there: to be parked,
// seen and redriven.
import { existsSync } from 'node:fs'
import { aggregate, defineApplication, projection, type } from 'millrace'

export const counter = aggregate('counter', {
  events: { Counted: type<{ by: number }>() },
  initial: () => ({ count: 0 }),
  evolve: { Counted: ({ count }, { by }) => ({ count: count + by }) },
  commands: { count: type<{ by: number }>() },
  decide: { count: (data, _, { Counted }) => Counted(data) },
})

export const totals = projection('totals', {
  version: 1,
  from: [counter],
  tables: type<{ totals: { id: string; total: number } }>(),
  create: db =>
    db.schema
      .createTable('totals')
      .addColumn('id', 'text', column => column.primaryKey())
      .addColumn('total', 'integer', column => column.notNull()),
  on: {
    'counter.Counted': (db, { stream, data }) => {
      if (stream === 'bad' && !existsSync(process.env['MENDED'] ?? ''))
        throw new Error('not mended')
      return db
        .insertInto('totals')
        .values({ id: stream, total: data.by })
        .onConflict(there =>
          there.column('id').doUpdateSet(set => ({ total: set('totals.total', '+', data.by) })),
        )
    },
  },
})

type Line = { readonly id: string; readonly by: number; readonly command: string }

export default defineApplication({
  name: 'counting',
  aggregates: { counter },
  projections: { totals },
  settings: { projections: { 'projection.attempts.max': 1 } },
  importLine: line => {
    const { id, by, command } = line as Line
    return { aggregate: 'counter', id, command: 'count', data: { by }, commandId: command }
  },
  figures: async ({ totals: { db } }) => {
    const rows = await db.selectFrom('totals').selectAll().orderBy('id').execute()
    return Object.fromEntries(rows.map(({ id, total }) => [id, total]))
  },
})
