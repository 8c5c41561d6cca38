// The applications of the tests: a bank that reminds of offers, a shop that reserves stock.
import {
  after,
  aggregate,
  become,
  cancel,
  type Effect,
  effect,
  end,
  reject,
  saga,
  send,
  tell,
  type,
} from '../../../src/index.ts'

type Loan = { offers: string[] }
export const loan = aggregate('loan', {
  events: { OfferMade: type<{ offerId: string }>(), Accepted: type<{ offerId: string }>() },
  initial: (): Loan => ({ offers: [] }),
  evolve: {
    OfferMade: (state, { offerId }) => ({ offers: [...state.offers, offerId] }),
    Accepted: state => state,
  },
  commands: { offer: type<{ offerId: string }>(), accept: type<{ offerId: string }>() },
  decide: {
    offer: ({ offerId }, _state, { OfferMade }) => OfferMade({ offerId }),
    accept: ({ offerId }, state, { Accepted }) =>
      state.offers.includes(offerId) ? Accepted({ offerId }) : reject('no such offer'),
  },
})

/** What the mail effect was called with. */
export type Mail = { readonly loan: string; readonly id: string; readonly attempt: number }

export const mailTo = (
  sent: Mail[],
  deliver: (mail: Mail) => void | Promise<void> = () => {},
): Effect<{ loan: string }> =>
  effect('mail', type<{ loan: string }>(), async ({ loan }, { id, attempt }) => {
    const mail = { loan, id, attempt }
    await deliver(mail)
    sent.push(mail)
  })

export const reminderOf = (mail: Effect<{ loan: string }>, clock: 'wall' | 'replay' = 'wall') =>
  saga('reminder', {
    from: [loan],
    starts: ['loan.OfferMade'],
    key: e => e.stream,
    initial: () => ({ reminders: 0 }),
    on: {
      'loan.OfferMade': () => [after('remind', { days: 7 })],
      'loan.Accepted': () => [end()],
    },
    timers: {
      remind: (state, { id }) =>
        state.reminders === 0
          ? [become({ reminders: 1 }), send(mail, { loan: id }), after('remind', { days: 7 })]
          : [send(mail, { loan: id }), end()],
    },
    clock,
  })

export const order = aggregate('order', {
  events: { Placed: type<{ sku: string; n: number }>(), Paid: type<Record<string, never>>() },
  initial: () => ({ paid: false }),
  evolve: { Placed: state => state, Paid: () => ({ paid: true }) },
  commands: { place: type<{ sku: string; n: number }>(), pay: type<void>() },
  decide: {
    place: (command, _state, { Placed }) => Placed(command),
    pay: (_command, state, { Paid }) => (state.paid ? [] : Paid({})),
  },
})

export const stock = aggregate('stock', {
  events: { Reserved: type<{ order: string; n: number }>() },
  initial: () => ({ left: 5 }),
  evolve: { Reserved: (state, { n }) => ({ left: state.left - n }) },
  commands: { reserve: type<{ order: string; n: number }>() },
  decide: {
    reserve: (command, state, { Reserved }) =>
      state.left >= command.n ? Reserved(command) : reject({ code: 'sold out', left: state.left }),
  },
})

/** Reserves, then pays; what is sold out ends it with a mail. */
export const shipmentOf = (mail: Effect<{ loan: string }>) =>
  saga('shipment', {
    from: [order, stock],
    starts: ['order.Placed'],
    key: e => (e.type === 'stock.Reserved' ? e.data.order : e.stream),
    initial: () => ({ at: 'placed' }),
    on: {
      'order.Placed': (_state, e) => [
        tell(stock, e.data.sku, 'reserve', { order: e.stream, n: e.data.n }),
        after('late', { hours: 1 }),
      ],
      'stock.Reserved': (_state, e) => [
        become({ at: 'reserved' }),
        cancel('late'),
        tell(order, e.data.order, 'pay', undefined),
      ],
      'order.Paid': () => [end()],
    },
    timers: { late: () => [end()] },
    rejected: {
      'stock.reserve': (_state, { id }) => [send(mail, { loan: `no ${id}` }), end()],
    },
  })
