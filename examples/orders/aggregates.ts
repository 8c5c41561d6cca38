/** What an order is made of: the order, the stock of an article, the payment, the shipment. */
import { aggregate, reject } from 'millrace'
import { z } from 'zod'

/** An order, as the customer sees it. */
export type Order =
  | { readonly at: 'none' }
  | {
      readonly at: 'placed'
      readonly article: string
      readonly pieces: number
      readonly cents: number
    }
  | { readonly at: 'confirmed'; readonly shipment: string }
  | { readonly at: 'refused'; readonly because: string }

const placement = z.object({
  article: z.string(),
  pieces: z.number().int().positive(),
  cents: z.number().int().positive(),
})

export const order = aggregate('order', {
  events: {
    Placed: placement,
    Confirmed: z.object({ shipment: z.string() }),
    Refused: z.object({ because: z.string() }),
  },
  initial: (): Order => ({ at: 'none' }),
  evolve: {
    Placed: (_, data) => ({ at: 'placed', ...data }),
    Confirmed: (_, { shipment }) => ({ at: 'confirmed', shipment }),
    Refused: (_, { because }) => ({ at: 'refused', because }),
  },
  commands: {
    place: placement,
    confirm: z.object({ shipment: z.string() }),
    refuse: z.object({ because: z.string() }),
  },
  decide: {
    place: (data, order, { Placed }) =>
      order.at === 'none' ? Placed(data) : reject('already placed'),
    confirm: (data, order, { Confirmed }) =>
      order.at === 'placed' ? Confirmed(data) : reject('not waiting'),
    refuse: (data, order, { Refused }) =>
      order.at === 'placed' ? Refused(data) : reject('not waiting'),
  },
})

/** The pieces of an article, and who they are kept for. */
export type Stock = { readonly pieces: number; readonly reserved: Readonly<Record<string, number>> }

const free = (stock: Stock): number =>
  stock.pieces - Object.values(stock.reserved).reduce((sum, pieces) => sum + pieces, 0)

const without = (stock: Stock, order: string): Stock['reserved'] =>
  Object.fromEntries(Object.entries(stock.reserved).filter(([other]) => other !== order))

const forOrder = z.object({ order: z.string() })
const reservation = z.object({ order: z.string(), pieces: z.number().int().positive() })

export const stock = aggregate('stock', {
  events: {
    Received: z.object({ pieces: z.number().int().positive() }),
    Reserved: reservation,
    Short: z.object({ order: z.string(), missing: z.number().int() }),
    Released: forOrder,
    Taken: forOrder,
  },
  initial: (): Stock => ({ pieces: 0, reserved: {} }),
  evolve: {
    Received: (stock, { pieces }) => ({ ...stock, pieces: stock.pieces + pieces }),
    Reserved: (stock, { order, pieces }) => ({
      ...stock,
      reserved: { ...stock.reserved, [order]: pieces },
    }),
    Short: stock => stock,
    Released: (stock, { order }) => ({ ...stock, reserved: without(stock, order) }),
    Taken: (stock, { order }) => ({
      pieces: stock.pieces - (stock.reserved[order] ?? 0),
      reserved: without(stock, order),
    }),
  },
  commands: {
    receive: z.object({ pieces: z.number().int().positive() }),
    reserve: reservation,
    release: forOrder,
    take: forOrder,
  },
  decide: {
    receive: (data, _, { Received }) => Received(data),
    reserve: ({ order, pieces }, stock, { Reserved, Short }) => {
      if (stock.reserved[order] !== undefined) return reject('already reserved')
      const missing = pieces - free(stock)
      return missing > 0 ? Short({ order, missing }) : Reserved({ order, pieces })
    },
    release: (data, stock, { Released }) =>
      stock.reserved[data.order] === undefined ? reject('not reserved') : Released(data),
    take: (data, stock, { Taken }) =>
      stock.reserved[data.order] === undefined ? reject('not reserved') : Taken(data),
  },
})

/** Money for an order. The bank says yes or no; here up to a limit it says yes. */
export type Payment = { readonly at: 'none' | 'charged' | 'declined' | 'refunded' }

export const LIMIT_CENTS = 1_000_000

export const payment = aggregate('payment', {
  events: {
    Charged: z.object({ cents: z.number().int() }),
    Declined: z.object({ because: z.string() }),
    Refunded: z.object({ cents: z.number().int() }),
  },
  initial: (): Payment => ({ at: 'none' }),
  evolve: {
    // Each takes its state, though it needs it not: TypeScript reads a function without parameters
    // before it knows the state, and would take 'charged' for any string.
    Charged: _ => ({ at: 'charged' }),
    Declined: _ => ({ at: 'declined' }),
    Refunded: _ => ({ at: 'refunded' }),
  },
  commands: {
    charge: z.object({ cents: z.number().int().positive() }),
    refund: z.object({ cents: z.number().int().positive() }),
  },
  decide: {
    charge: ({ cents }, payment, { Charged, Declined }) => {
      if (payment.at !== 'none') return reject('already decided')
      return cents <= LIMIT_CENTS ? Charged({ cents }) : Declined({ because: 'over the limit' })
    },
    refund: ({ cents }, payment, { Refunded }) =>
      payment.at === 'charged' ? Refunded({ cents }) : reject('nothing to refund'),
  },
})

/** A parcel. Nobody sends to the moon. */
export type Shipment = { readonly at: 'none' | 'sent' | 'impossible' }

export const shipment = aggregate('shipment', {
  events: {
    Sent: z.object({ article: z.string() }),
    Impossible: z.object({ because: z.string() }),
  },
  initial: (): Shipment => ({ at: 'none' }),
  evolve: { Sent: _ => ({ at: 'sent' }), Impossible: _ => ({ at: 'impossible' }) },
  commands: { send: z.object({ article: z.string() }) },
  decide: {
    send: ({ article }, shipment, { Sent, Impossible }) => {
      if (shipment.at !== 'none') return reject('already decided')
      return article.startsWith('moon')
        ? Impossible({ because: 'no carrier goes there' })
        : Sent({ article })
    },
  },
})
