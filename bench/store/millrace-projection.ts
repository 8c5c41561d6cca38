// Millrace's projections into SQLite, in transactions that move the checkpoint with the rows: by one
// upsert an event, as Emmett's is here, and by a handler of a page of events. A rebuild makes the tables anew from all events beside those
// that readers see, and then takes over.
import { join } from 'node:path'
import {
  aggregate,
  categoriesOf,
  type Projection,
  type ProjectionProcessor,
  projection,
  startApplication,
  type,
} from '@millrace/model'
import type { Kysely } from 'kysely'
import type { Measure, Place } from './contenders.ts'
import { accountOf, type Balance, checkTotal, type Deposited, eventsPerStream } from './events.ts'
import { rate } from './loops.ts'
import { category, type Opened, open, seed } from './millrace-store.ts'

const account = aggregate(category, {
  events: { Deposited: type<Deposited['data']>() },
  initial: () => ({}),
  commands: {},
  evolve: { Deposited: state => state },
  decide: {},
})

type Tables = { balance: { account: string; deposits: number; sum: number } }

const table = {
  version: 1,
  from: [account],
  tables: type<Tables>(),
  create: (db: Kysely<Tables>) =>
    db.schema
      .createTable('balance')
      .addColumn('account', 'text', column => column.primaryKey())
      .addColumn('deposits', 'integer', column => column.notNull())
      .addColumn('sum', 'integer', column => column.notNull()),
}

/** Adds to the rows of accounts, which are distinct. */
const upsert = (db: Kysely<Tables>, rows: readonly Tables['balance'][]) =>
  db
    .insertInto('balance')
    .values(rows)
    .onConflict(conflict =>
      conflict.column('account').doUpdateSet(of => ({
        deposits: of('balance.deposits', '+', of.ref('excluded.deposits')),
        sum: of('balance.sum', '+', of.ref('excluded.sum')),
      })),
    )

const byEvents = projection('balances', {
  ...table,
  on: {
    'account.Deposited': (db, { data }) =>
      upsert(db, [{ account: data.account, deposits: 1, sum: data.amount }]),
  },
})

const byBatches = projection('balances', {
  ...table,
  batch: (db, events) => {
    const rows = new Map<string, Tables['balance']>()
    for (const { data } of events) {
      const row = rows.get(data.account)
      if (row === undefined) {
        rows.set(data.account, { account: data.account, deposits: 1, sum: data.amount })
      } else {
        row.deposits += 1
        row.sum += data.amount
      }
    }
    return upsert(db, [...rows.values()])
  },
})

/** A store that holds the events before anything follows it. */
async function seeded(place: Place, events: number): Promise<Opened> {
  const opened = await open(place, categoriesOf([account]))
  for (let n = 0; n < events / eventsPerStream; n++) {
    await seed(opened.store, accountOf(n), 0, eventsPerStream)
  }
  return opened
}

/** Starts the application; resolves when its projection has all events. */
async function follow({ log, store }: Opened, place: Place, balances: Projection<Tables>) {
  const end = await store.now([account.name])
  const application = await startApplication({
    name: 'bench',
    log,
    store,
    folder: join(place.folder, 'read-models'),
    aggregates: { account },
    projections: { balances },
  })
  await application.projections.balances.reached(end)
  return application
}

async function checkTable(processor: ProjectionProcessor<Tables>, events: number): Promise<void> {
  const total = await processor.db
    .selectFrom('balance')
    .select(({ fn }) => [fn.sum('deposits').as('deposits'), fn.sum('sum').as('sum')])
    .executeTakeFirst()
  checkTotal('Millrace', events, total as unknown as Balance)
}

/** Brings a new table of balances up to date, from the start of the application. */
const measureProjection =
  (balances: Projection<Tables>): Measure<'projection' | 'projection-batch'> =>
  async (place, { events }) => {
    await using opened = await seeded(place, events)
    const began = performance.now()
    await using application = await follow(opened, place, balances)
    const eventsPerSecond = (events * 1000) / (performance.now() - began)
    await checkTable(application.projections.balances, events)
    return { eventsPerSecond }
  }

/** With a handler of one event. */
export const projectionByEvents: Measure<'projection'> = measureProjection(byEvents)

/** With a handler of a page of events. */
export const projectionByBatches: Measure<'projection-batch'> = measureProjection(byBatches)

/** Builds the table anew. */
export const rebuildIntoSqlite: Measure<'rebuild'> = async (place, { events }) => {
  await using opened = await seeded(place, events)
  await using application = await follow(opened, place, byEvents)
  const { balances: processor } = application.projections
  const figures = await rate(events, () => processor.rebuild())
  await checkTable(processor, events)
  return figures
}
