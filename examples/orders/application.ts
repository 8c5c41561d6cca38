/** The orders application: `npx millrace start --app orders --demo`. */
import { defineApplication, projection, type } from 'millrace'
import { order, payment, shipment, stock } from './aggregates.ts'
import { fulfilment } from './fulfilment.ts'

/** What customer service looks at. */
export const overview = projection('orders', {
  version: 1,
  from: [order],
  tables: type<{ orders: { id: string; article: string; cents: number; state: string } }>(),
  create: db =>
    db.schema
      .createTable('orders')
      .addColumn('id', 'text', column => column.primaryKey())
      .addColumn('article', 'text', column => column.notNull())
      .addColumn('cents', 'integer', column => column.notNull())
      .addColumn('state', 'text', column => column.notNull()),
  on: {
    'order.Placed': (db, { stream, data }) =>
      db
        .insertInto('orders')
        .values({ id: stream, article: data.article, cents: data.cents, state: 'placed' }),
    'order.Confirmed': (db, { stream }) =>
      db.updateTable('orders').set({ state: 'confirmed' }).where('id', '=', stream),
    'order.Refused': (db, { stream, data }) =>
      db
        .updateTable('orders')
        .set({ state: `refused: ${data.because}` })
        .where('id', '=', stream),
  },
})

export default defineApplication({
  name: 'orders',
  aggregates: { order, stock, payment, shipment },
  projections: { overview },
  sagas: { fulfilment },
  figures: async ({ overview: { db } }) => {
    const rows = await db
      .selectFrom('orders')
      .select(({ fn }) => ['state', fn.countAll<number>().as('count')])
      .groupBy('state')
      .execute()
    return Object.fromEntries(rows.map(row => [row.state, Number(row.count)]))
  },
  demo: async (shop, { signal, random, pause }) => {
    for (let number = 1; !signal.aborted; number++) {
      const article = ['chair', 'table', 'lamp', 'moon rock'][Math.floor(random() * 4)] as string
      if (number % 5 === 1) await shop.stock(article).receive({ pieces: 10 })
      const id = `demo-${Math.floor(random() * 2 ** 40).toString(36)}`
      const pieces = 1 + Math.floor(random() * 3)
      await shop.order(id).place({ article, pieces, cents: 100 * Math.ceil(random() * 12_000) })
      await pause(200 * random())
    }
  },
})
