// Millrace's projections into SQLite: one upsert an event, as Emmett's is here, in transactions that
// move the checkpoint with the rows. A rebuild makes the tables anew from all events beside those
// that readers see, and then takes over.
import { join } from 'node:path'
import {
  aggregate,
  categoriesOf,
  type ProjectionProcessor,
  projection,
  startApplication,
  type,
} from '@millrace/model'
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

const balances = projection('balances', {
  version: 1,
  from: [account],
  tables: type<Tables>(),
  create: db =>
    db.schema
      .createTable('balance')
      .addColumn('account', 'text', column => column.primaryKey())
      .addColumn('deposits', 'integer', column => column.notNull())
      .addColumn('sum', 'integer', column => column.notNull()),
  on: {
    'account.Deposited': (db, { data }) =>
      db
        .insertInto('balance')
        .values({ account: data.account, deposits: 1, sum: data.amount })
        .onConflict(conflict =>
          conflict.column('account').doUpdateSet(of => ({
            deposits: of('balance.deposits', '+', 1),
            sum: of('balance.sum', '+', data.amount),
          })),
        ),
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
async function follow({ log, store }: Opened, place: Place) {
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
export const projectionIntoSqlite: Measure<'projection'> = async (place, { events }) => {
  await using opened = await seeded(place, events)
  const began = performance.now()
  await using application = await follow(opened, place)
  const eventsPerSecond = (events * 1000) / (performance.now() - began)
  await checkTable(application.projections.balances, events)
  return { eventsPerSecond }
}

/** Builds the table anew. */
export const rebuildIntoSqlite: Measure<'rebuild'> = async (place, { events }) => {
  await using opened = await seeded(place, events)
  await using application = await follow(opened, place)
  const { balances: processor } = application.projections
  const figures = await rate(events, () => processor.rebuild())
  await checkTable(processor, events)
  return figures
}
