/** What the bank looks at: applications by state, each employee's work, amounts a month, counts. */
import type { Kysely } from 'kysely'
import { projection, type } from 'millrace'
import { loan } from './loan.ts'

type Applications = { applications: { id: string; amount: number; state: string } }

const to = (state: string) => (db: Kysely<Applications>, event: { stream: string }) =>
  db.updateTable('applications').set({ state }).where('id', '=', event.stream)

/** Every application with its state; the last three states are ends. */
export const applications = projection('applications', {
  version: 1,
  from: [loan],
  tables: type<Applications>(),
  create: db =>
    db.schema
      .createTable('applications')
      .addColumn('id', 'text', column => column.primaryKey())
      .addColumn('amount', 'integer', column => column.notNull())
      .addColumn('state', 'text', column => column.notNull()),
  on: {
    'loan.Submitted': (db, event) =>
      db
        .insertInto('applications')
        .values({ id: event.stream, amount: event.data.amount, state: 'submitted' }),
    'loan.PartlySubmitted': to('partly submitted'),
    'loan.PreAccepted': to('pre-accepted'),
    'loan.Accepted': to('accepted'),
    'loan.Finalized': to('finalized'),
    'loan.Approved': to('approved'),
    'loan.Declined': to('declined'),
    'loan.Cancelled': to('cancelled'),
  },
})

/** What each employee is working on. */
export const workList = projection('work-list', {
  version: 1,
  from: [loan],
  tables: type<{ work: { loan: string; item: string; employee: string; since: number } }>(),
  create: db =>
    db.schema
      .createTable('work')
      .addColumn('loan', 'text', column => column.notNull())
      .addColumn('item', 'text', column => column.notNull())
      .addColumn('employee', 'text', column => column.notNull())
      .addColumn('since', 'bigint', column => column.notNull())
      .addPrimaryKeyConstraint('work_key', ['loan', 'item']),
  on: {
    'loan.WorkStarted': (db, { stream, time, data }) =>
      db
        .insertInto('work')
        .values({ loan: stream, item: data.item, employee: data.by ?? 'nobody', since: time })
        .onConflict(there =>
          there
            .columns(['loan', 'item'])
            .doUpdateSet({ employee: data.by ?? 'nobody', since: time }),
        ),
    'loan.WorkCompleted': (db, { stream, data }) =>
      db.deleteFrom('work').where('loan', '=', stream).where('item', '=', data.item),
  },
})

/** Applications and euros by month. */
export const months = projection('months', {
  version: 1,
  from: [loan],
  tables: type<{ months: { month: string; submitted: number; amount: number } }>(),
  create: db =>
    db.schema
      .createTable('months')
      .addColumn('month', 'text', column => column.primaryKey())
      .addColumn('submitted', 'integer', column => column.notNull())
      .addColumn('amount', 'bigint', column => column.notNull()),
  on: {
    'loan.Submitted': (db, { time, data }) =>
      db
        .insertInto('months')
        .values({
          month: new Date(time).toISOString().slice(0, 7),
          submitted: 1,
          amount: data.amount,
        })
        .onConflict(there =>
          there.column('month').doUpdateSet(set => ({
            submitted: set('months.submitted', '+', 1),
            amount: set('months.amount', '+', data.amount),
          })),
        ),
  },
})

/** How many events of each type there are, and of each application. A page of events at once. */
export const counts = projection('counts', {
  version: 1,
  from: [loan],
  tables: type<{ counts: { kind: string; name: string; events: number } }>(),
  create: db =>
    db.schema
      .createTable('counts')
      .addColumn('kind', 'text', column => column.notNull())
      .addColumn('name', 'text', column => column.notNull())
      .addColumn('events', 'integer', column => column.notNull())
      .addPrimaryKeyConstraint('counts_key', ['kind', 'name']),
  batch: (db, events) => {
    const seen = new Map<string, { kind: string; name: string; events: number }>()
    const count = (kind: string, name: string): void => {
      const row = seen.get(`${kind} ${name}`) ?? { kind, name, events: 0 }
      seen.set(`${kind} ${name}`, { ...row, events: row.events + 1 })
    }
    for (const event of events) {
      count('type', event.type)
      count('loan', event.stream)
    }
    return db
      .insertInto('counts')
      .values([...seen.values()])
      .onConflict(there =>
        there.columns(['kind', 'name']).doUpdateSet(set => ({
          events: set('counts.events', '+', set.ref('excluded.events')),
        })),
      )
  },
})
