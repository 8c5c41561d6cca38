// A state that is a union, schemas that change what they take, two aggregates in one saga, and
// rejections that are objects. It must compile without an error.
import { z } from 'zod'
import {
  after,
  aggregate,
  become,
  cancel,
  end,
  projection,
  reject,
  saga,
  startApplication,
  tell,
  type,
} from '../../../src/index.ts'
import type { Parts } from './parts.ts'

type Order =
  | { at: 'none' }
  | { at: 'placed'; total: number }
  | { at: 'paid'; total: number; method: string }

const order = aggregate('order', {
  events: {
    Placed: z.object({ total: z.number(), note: z.string().default('') }),
    Paid: type<{ method: string }>(),
    Shipped: z.object({}),
  },
  initial: (): Order => ({ at: 'none' }),
  evolve: {
    Placed: (_, { total }) => ({ at: 'placed', total }),
    Paid: (state, { method }, event) =>
      state.at === 'placed' && event.time > 0 ? { at: 'paid', total: state.total, method } : state,
    Shipped: state => state,
  },
  commands: {
    place: z.object({ total: z.coerce.number() }),
    pay: type<{ method: string }>(),
    nothing: type<void>(),
  },
  decide: {
    place: ({ total }, state, { Placed }) =>
      state.at === 'none' ? [Placed({ total })] : reject({ code: 'exists', total }),
    pay: ({ method }, state, { Paid, Shipped }, { now }) =>
      state.at === 'placed' && now > 0 ? [Paid({ method }), Shipped({})] : reject('not placed'),
    nothing: () => [],
  },
})

const stock = aggregate('stock', {
  events: {
    Reserved: z.object({ order: z.string(), n: z.number() }),
    Refused: z.object({ order: z.string() }),
  },
  initial: () => ({ left: 0 }),
  evolve: { Reserved: (state, { n }) => ({ left: state.left - n }), Refused: state => state },
  commands: { reserve: z.object({ order: z.string(), n: z.number() }) },
  decide: {
    reserve: ({ order, n }, state, on) =>
      state.left >= n ? on.Reserved({ order, n }) : on.Refused({ order }),
  },
})

const ship = saga('ship', {
  from: [order, stock],
  starts: ['order.Placed'],
  key: event =>
    event.type === 'stock.Reserved' || event.type === 'stock.Refused'
      ? event.data.order
      : event.stream,
  initial: () => ({ tries: 0 }),
  on: {
    'order.Placed': (state, event) => [
      become({ tries: state.tries + 1 }),
      tell(stock, 'sku', 'reserve', { order: event.stream, n: 1 }),
      after('late', { hours: 1 }),
    ],
    'stock.Refused': (state, event) => [
      tell(order, event.data.order, 'pay', { method: `${state.tries}` }),
      cancel('late'),
    ],
  },
  timers: {
    late: (state, { id }) => (state.tries > 3 ? [end()] : [tell(order, id, 'nothing', undefined)]),
  },
})

const view = projection('view', {
  version: 2,
  from: [order, stock],
  tables: type<{ t: { id: string; n: number } }>(),
  create: db => db.schema.createTable('t'),
  on: {
    'stock.Reserved': (db, event) =>
      db
        .updateTable('t')
        .set(x => ({ n: x('n', '+', event.data.n) }))
        .where('id', '=', event.stream),
    'order.Placed': async (db, event) => {
      await db.insertInto('t').values({ id: event.stream, n: event.data.total }).execute()
      event.data.note satisfies string
    },
  },
})

export async function program(parts: Parts): Promise<void> {
  const app = await startApplication({
    ...parts,
    aggregates: { order, stock },
    projections: { view },
    sagas: { ship },
  })
  const placed = await app.order('1').place({ total: '3' })
  if (!placed.ok) placed.reason satisfies { readonly code: 'exists'; readonly total: number }
  const paid = await app.order('1').pay({ method: 'x' })
  if (!paid.ok) paid.reason satisfies 'not placed'
  const nothing = await app.order('1').nothing()
  if (!nothing.ok) nothing.reason satisfies never
}
