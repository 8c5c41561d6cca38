// A program as a user writes it: an aggregate, a projection, an effect, a saga with a timer, and the
// command that a user calls. It must compile without an error.
import { z } from 'zod'
import {
  after,
  aggregate,
  effect,
  end,
  liveView,
  projection,
  reject,
  saga,
  send,
  startApplication,
  subscription,
  type,
} from '../../../src/index.ts'
import type { Parts } from './parts.ts'

declare const post: (to: string, key: string) => Promise<void>

type Loan = { status: 'new' | 'open' | 'closed'; offers: string[] }

const loan = aggregate('loan', {
  events: {
    Submitted: z.object({ amount: z.number().positive() }),
    OfferMade: z.object({ offerId: z.string(), rate: z.number() }),
    Accepted: type<{ offerId: string }>(),
  },
  initial: (): Loan => ({ status: 'new', offers: [] }),
  evolve: {
    Submitted: state => ({ ...state, status: 'open' }),
    OfferMade: (state, { offerId }) => ({ ...state, offers: [...state.offers, offerId] }),
    Accepted: state => ({ ...state, status: 'closed' }),
  },
  commands: {
    submit: z.object({ amount: z.number() }),
    accept: z.object({ offerId: z.string() }),
  },
  decide: {
    submit: ({ amount }, state, { Submitted }) =>
      state.status === 'new' ? Submitted({ amount }) : reject('already submitted'),
    accept: ({ offerId }, state, { Accepted }) =>
      state.offers.includes(offerId) ? Accepted({ offerId }) : reject('no such offer'),
  },
  options: {
    snapshotEvery: 100,
    on: {
      Submitted: { tags: ({ amount }) => [`amount:${amount}`] },
      OfferMade: { upcast: [(old: { id: string; rate: number }) => ({ ...old, offerId: old.id })] },
    },
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
    'loan.Submitted': (db, event) =>
      db.insertInto('open').values({ id: event.stream, amount: event.data.amount }),
    'loan.Accepted': (db, event) => db.deleteFrom('open').where('id', '=', event.stream),
  },
})

const mail = effect('mail', z.object({ loan: z.string() }), ({ loan }, { id }) => post(loan, id))

const reminder = saga('reminder', {
  from: [loan],
  starts: ['loan.OfferMade'],
  key: event => event.stream,
  initial: () => ({}),
  on: {
    'loan.OfferMade': () => [after('remind', { days: 7 })],
    'loan.Accepted': () => [end()],
  },
  timers: { remind: (_, { id }) => [send(mail, { loan: id }), end()] },
})

const amounts = liveView('amounts', {
  from: [loan],
  initial: () => ({ sum: 0 }),
  on: { 'loan.Submitted': (state, { data }) => ({ sum: state.sum + data.amount }) },
})

const audit = subscription('audit', { from: [loan], batch: events => void events.length })

export async function program(parts: Parts): Promise<void> {
  const bank = await startApplication({
    ...parts,
    aggregates: { loan },
    projections: { openLoans },
    sagas: { reminder },
    effects: { mail },
    subscriptions: { audit },
    views: { amounts },
  })
  bank.views.amounts.state satisfies { sum: number }
  bank.subscriptions.audit.parked()
  await bank.sagas.reminder.redrive({ id: '185548' })
  const done = await bank.loan('185548').submit({ amount: 20_000 }, { commandId: 'c-1' })
  if (done.ok) await bank.projections.openLoans.reached(done.checkpoint)
  else done.reason satisfies 'already submitted'
  const rows = await bank.projections.openLoans.db.selectFrom('open').select('amount').execute()
  rows satisfies { amount: number }[]
  const { state } = await bank.tenant('north').state(loan, '185548', { version: 3 })
  state satisfies Loan
  state.status satisfies 'new' | 'open' | 'closed'
  await bank.close()
}
