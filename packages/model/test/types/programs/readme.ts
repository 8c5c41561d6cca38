import type { Log } from '@millrace/log'
import { aggregate, projection, reject, startApplication, type } from '@millrace/model'
import { z } from 'zod'

type Loan = { status: 'new' | 'open'; amount: number }

const loan = aggregate('loan', {
  events: { Submitted: z.object({ amount: z.number().positive() }) },
  initial: (): Loan => ({ status: 'new', amount: 0 }),
  evolve: { Submitted: (_, { amount }) => ({ status: 'open', amount }) },
  commands: { submit: z.object({ amount: z.number() }) },
  decide: {
    submit: ({ amount }, state, { Submitted }) =>
      state.status === 'new' ? Submitted({ amount }) : reject('already submitted'),
  },
})

const openLoans = projection('open-loans', {
  version: 1,
  from: [loan],
  tables: type<{ open: { id: string; amount: number } }>(),
  create: db =>
    db.schema
      .createTable('open')
      .addColumn('id', 'text', column => column.primaryKey())
      .addColumn('amount', 'real'),
  on: {
    'loan.Submitted': (db, { stream, data }) =>
      db.insertInto('open').values({ id: stream, amount: data.amount }),
  },
})

export async function example(log: Log, folder: string | null): Promise<unknown> {
  await using bank = await startApplication({
    name: 'bank',
    log,
    folder,
    aggregates: { loan },
    projections: { openLoans },
  })
  const done = await bank.loan('185548').submit({ amount: 20_000 }, { commandId: 'c-1' })
  if (!done.ok) return done.reason // "already submitted": typed
  await bank.projections.openLoans.reached(done.checkpoint)
  return await bank.projections.openLoans.db.selectFrom('open').selectAll().execute()
}
