/** The trading application: `npx millrace start --app trading --demo`. */
import { defineApplication, projection, type } from 'millrace'
import { tradeOrder } from './order.ts'

/** What each account holds. Cents and pieces; a sale is negative. */
export const positions = projection('positions', {
  version: 1,
  from: [tradeOrder],
  tables: type<{
    orders: { id: string; account: string; symbol: string; sign: number }
    positions: { account: string; symbol: string; pieces: number; cents: number }
  }>(),
  create: db => [
    db.schema
      .createTable('orders')
      .addColumn('id', 'text', column => column.primaryKey())
      .addColumn('account', 'text', column => column.notNull())
      .addColumn('symbol', 'text', column => column.notNull())
      .addColumn('sign', 'integer', column => column.notNull()),
    db.schema
      .createTable('positions')
      .addColumn('account', 'text', column => column.notNull())
      .addColumn('symbol', 'text', column => column.notNull())
      .addColumn('pieces', 'integer', column => column.notNull())
      .addColumn('cents', 'bigint', column => column.notNull())
      .addPrimaryKeyConstraint('position_key', ['account', 'symbol']),
  ],
  on: {
    'trade-order.Submitted': (db, { stream, data: { account, symbol, side } }) => [
      db
        .insertInto('orders')
        .values({ id: stream, account, symbol, sign: side === 'buy' ? 1 : -1 }),
      db
        .insertInto('positions')
        .values({ account, symbol, pieces: 0, cents: 0 })
        .onConflict(there => there.columns(['account', 'symbol']).doNothing()),
    ],
    'trade-order.Executed': (db, { stream, data: { quantity, price } }) => {
      const order = db.selectFrom('orders').where('id', '=', stream)
      return db
        .updateTable('positions')
        .set(row => ({
          pieces: row('pieces', '+', row(order.select('sign'), '*', quantity)),
          cents: row('cents', '-', row(order.select('sign'), '*', quantity * price)),
        }))
        .where('account', '=', order.select('account'))
        .where('symbol', '=', order.select('symbol'))
    },
  },
})

/** Who did what, when, on whose behalf: every event, as an auditor asks for it. */
export const audit = projection('audit', {
  version: 1,
  from: [tradeOrder],
  tables: type<{
    audit: {
      event: string
      order: string
      version: number
      time: number
      what: string
      data: string
    }
  }>(),
  create: db =>
    db.schema
      .createTable('audit')
      .addColumn('event', 'text', column => column.primaryKey())
      .addColumn('order', 'text', column => column.notNull())
      .addColumn('version', 'integer', column => column.notNull())
      .addColumn('time', 'bigint', column => column.notNull())
      .addColumn('what', 'text', column => column.notNull())
      .addColumn('data', 'text', column => column.notNull()),
  batch: (db, events) =>
    db.insertInto('audit').values(
      events.map(event => ({
        event: event.id,
        order: event.stream,
        version: event.version,
        time: event.time,
        what: event.type,
        data: JSON.stringify(event.data),
      })),
    ),
})

export default defineApplication({
  name: 'trading',
  aggregates: { tradeOrder },
  projections: { positions, audit },
  // Reads are recorded, too: who looked at which order, on the topic __millrace.audit.
  audit: true,
  figures: async ({ positions, audit }) => {
    const { events } = await audit.db
      .selectFrom('audit')
      .select(({ fn }) => fn.countAll<number>().as('events'))
      .executeTakeFirstOrThrow()
    const held = await positions.db
      .selectFrom('positions')
      .select(({ fn }) => ['symbol', fn.sum<number>('pieces').as('pieces')])
      .groupBy('symbol')
      .orderBy('symbol')
      .execute()
    return {
      events: Number(events),
      ...Object.fromEntries(held.map(row => [row.symbol, Number(row.pieces)])),
    }
  },
  demo: async (exchange, { signal, random, pause }) => {
    const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T
    while (!signal.aborted) {
      const order = exchange.tradeOrder(`demo-${Math.floor(random() * 2 ** 40).toString(36)}`)
      const quantity = 10 * (1 + Math.floor(random() * 10))
      const account = `account-${1 + Math.floor(random() * 5)}`
      const symbol = pick(['ACME', 'INIT', 'MILL'])
      const limit = 1000 + Math.floor(random() * 500)
      await order.submit({ account, symbol, side: pick(['buy', 'sell']), quantity, limit })
      for (let part = 0; part < 2; part++) {
        const executionId = `x${Math.floor(random() * 2 ** 40).toString(36)}`
        await order.execute({ executionId, quantity: quantity / 2, price: limit })
        await pause(50 * random())
      }
    }
  },
})
