/**
 * Fulfils an order: reserve, charge, ship. What cannot go on is undone in the reverse order: money
 * goes back, pieces are released, the order is refused. Each step is a command whose id is the
 * saga's own place, so it counts once however often a node stops in between.
 */
import { after, become, cancel, end, saga, tell } from 'millrace'
import { order, payment, shipment, stock } from './aggregates.ts'

/** What the saga knows of its order. */
type Fulfilment = {
  readonly article: string
  readonly pieces: number
  readonly cents: number
  readonly reserved: boolean
  readonly charged: boolean
}

const NOTHING: Fulfilment = { article: '', pieces: 0, cents: 0, reserved: false, charged: false }
/** An order that is not decided by then is refused. */
const HOURS = 24

/** Undoes what was done, last step first. */
const undo = (id: string, state: Fulfilment, because: string) => [
  ...(state.charged ? [tell(payment, id, 'refund', { cents: state.cents })] : []),
  ...(state.reserved ? [tell(stock, state.article, 'release', { order: id })] : []),
  tell(order, id, 'refuse', { because }),
  cancel('too-late'),
  end(),
]

export const fulfilment = saga('fulfilment', {
  from: [order, stock, payment, shipment],
  starts: ['order.Placed'],
  // Everything about an order has its id, but what an article's stock says names the order.
  key: event =>
    event.type === 'stock.Reserved' || event.type === 'stock.Short'
      ? event.data.order
      : event.stream,
  initial: () => NOTHING,
  on: {
    'order.Placed': (_, { stream, data: { article, pieces, cents } }) => [
      become({ article, pieces, cents, reserved: false, charged: false }),
      tell(stock, article, 'reserve', { order: stream, pieces }),
      after('too-late', { hours: HOURS }),
    ],
    'stock.Reserved': (state, { data }) => [
      become({ ...state, reserved: true }),
      tell(payment, data.order, 'charge', { cents: state.cents }),
    ],
    'stock.Short': (state, { data }) =>
      undo(data.order, state, `${data.missing} pieces are missing`),
    'payment.Charged': (state, { stream }) => [
      become({ ...state, charged: true }),
      tell(shipment, stream, 'send', { article: state.article }),
    ],
    'payment.Declined': (state, { stream, data }) => undo(stream, state, data.because),
    'shipment.Sent': (state, { stream }) => [
      tell(stock, state.article, 'take', { order: stream }),
      tell(order, stream, 'confirm', { shipment: stream }),
      cancel('too-late'),
      end(),
    ],
    'shipment.Impossible': (state, { stream, data }) => undo(stream, state, data.because),
  },
  timers: { 'too-late': (state, { id }) => undo(id, state, `not decided in ${HOURS} hours`) },
})
