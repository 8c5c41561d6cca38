/**
 * An order on an exchange: submitted, executed in parts, completed or cancelled. Nothing is ever
 * changed: who did what and when is the stream itself.
 */
import { aggregate, reject } from 'millrace'
import { z } from 'zod'

export type Side = 'buy' | 'sell'

/** An order as it stands. */
export type TradeOrder = {
  readonly state: 'none' | 'open' | 'completed' | 'cancelled'
  readonly side: Side
  readonly quantity: number
  readonly executed: number
  /** Executions by their id on the exchange: each counts once. */
  readonly executions: readonly string[]
}

const submission = z.object({
  account: z.string(),
  symbol: z.string().regex(/^[A-Z]{1,6}$/),
  side: z.enum(['buy', 'sell']),
  quantity: z.number().int().positive(),
  /** Highest price of a purchase, lowest of a sale, in cents. */
  limit: z.number().int().positive(),
})
const execution = z.object({
  executionId: z.string(),
  quantity: z.number().int().positive(),
  /** In cents. */
  price: z.number().int().positive(),
})
const reason = z.object({ because: z.string() })

const left = (order: TradeOrder): number => order.quantity - order.executed

export const tradeOrder = aggregate('trade-order', {
  events: {
    Submitted: submission,
    Executed: execution,
    Completed: z.object({}),
    Cancelled: reason,
  },
  initial: (): TradeOrder => ({
    state: 'none',
    side: 'buy',
    quantity: 0,
    executed: 0,
    executions: [],
  }),
  evolve: {
    Submitted: (order, { side, quantity }) => ({ ...order, state: 'open', side, quantity }),
    Executed: (order, { executionId, quantity }) => ({
      ...order,
      executed: order.executed + quantity,
      executions: [...order.executions, executionId],
    }),
    Completed: order => ({ ...order, state: 'completed' }),
    Cancelled: order => ({ ...order, state: 'cancelled' }),
  },
  commands: { submit: submission, execute: execution, cancel: reason },
  decide: {
    submit: (data, order, { Submitted }) =>
      order.state === 'none' ? Submitted(data) : reject('already submitted'),
    execute: (data, order, { Executed, Completed }) => {
      if (order.executions.includes(data.executionId)) return []
      if (order.state !== 'open') return reject({ code: 'not open', state: order.state })
      if (data.quantity > left(order)) return reject({ code: 'too many', left: left(order) })
      return data.quantity === left(order) ? [Executed(data), Completed({})] : [Executed(data)]
    },
    cancel: (data, order, { Cancelled }) =>
      order.state === 'open' ? Cancelled(data) : reject({ code: 'not open', state: order.state }),
  },
})
