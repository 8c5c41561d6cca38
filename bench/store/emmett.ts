// Emmett on PostgreSQL with its own adapter, used as its documentation does:
// - appends by `appendToStream` with the expected version, so every append is conditional;
// - loading by `aggregateStream`; it has no snapshots and always reads the whole stream;
// - the projection by its consumer with a projector that runs one SQL upsert an event (its fastest
//   kind: its document projections read before they write), rebuilt by its own rebuild function.
// Kinder than its defaults: a pool of the size that suits it best on two cores (16 of 8, 16, 32 and
// 64 tried) instead of 10, batches of 1,000 events without a pause instead of 100 with 50 ms between
// them (which would cap it at 2,000 a second).
import { fetchEmmett, loadEmmett } from '../../scripts/peers/emmett.ts'
import { type Contender, type Measure, type Place, postgresOf } from './contenders.ts'
import {
  accountOf,
  type Balance,
  checkLoaded,
  checkTotal,
  type Deposited,
  deposits,
  eventsPerStream,
  evolve,
  nothing,
} from './events.ts'
import { closedLoop, rate, repeatLoads } from './loops.ts'
import { openPool, type Pool } from './node-postgres.ts'

const pulling = { batchSize: 1_000, pullingFrequencyInMs: 0 }
const seedBatch = 500

type Sql = string & { readonly __brand: 'sql' }

interface Execute {
  command(sql: Sql): Promise<unknown>
  batchCommand(sqls: readonly Sql[]): Promise<unknown>
}

interface Context {
  readonly execute: Execute
}

interface Projection {
  readonly name: string
  readonly version: number
  readonly canHandle: readonly string[]
  init(options: { readonly context: Context }): Promise<void>
  truncate(context: Context): Promise<void>
  handle(events: readonly Deposited[], context: Context): Promise<void>
}

interface Consumer {
  projector(options: { readonly projection: Projection; stopAfter(): boolean }): unknown
  start(): Promise<void>
  close(): Promise<void>
}

interface Store {
  readonly schema: { migrate(): Promise<unknown> }
  appendToStream(
    stream: string,
    events: readonly Deposited[],
    options: { readonly expectedStreamVersion: bigint },
  ): Promise<{ readonly nextExpectedStreamVersion: bigint }>
  aggregateStream<S>(
    stream: string,
    options: { evolve(state: S, event: Deposited): S; initialState(): S },
  ): Promise<{ readonly state: S }>
  consumer(options: { readonly pulling: typeof pulling }): Consumer
  close(): Promise<void>
}

interface Adapter {
  getPostgreSQLEventStore(
    connectionString: string,
    options: { readonly connectionOptions: { readonly pool: Pool } },
  ): Store
  postgreSQLProjection(definition: Projection): Projection
  rebuildPostgreSQLProjections(options: {
    readonly connectionString: string
    readonly pulling: typeof pulling
    readonly projections: readonly { readonly projection: Projection; stopAfter(): boolean }[]
  }): Consumer
}

interface Dumbo {
  sql(text: string, ...values: readonly unknown[]): Sql
}

const adapter = (): Adapter => loadEmmett<Adapter>('@event-driven-io/emmett-postgresql')

/** An open store with its schema made, and its pool. */
async function openStore(place: Place, writers: number): Promise<{ store: Store; pool: Pool }> {
  const server = postgresOf(place)
  const pool = openPool(server, writers)
  const store = adapter().getPostgreSQLEventStore(server.url, { connectionOptions: { pool } })
  await store.schema.migrate()
  return { store, pool }
}

const appends: Measure<'appends'> = async (place, { writers, eventsPerAppend, seconds }) => {
  const { store, pool } = await openStore(place, writers)
  const versions = new Array<bigint>(writers).fill(0n)
  const figures = await closedLoop(writers, seconds, async writer => {
    const account = accountOf(writer)
    const expectedStreamVersion = versions[writer] ?? 0n
    const events = deposits(account, Number(expectedStreamVersion), eventsPerAppend)
    const done = await store.appendToStream(`account-${account}`, events, { expectedStreamVersion })
    versions[writer] = done.nextExpectedStreamVersion
  })
  const stored = await pool.query({ text: 'select count(*)::int as events from emt_messages' })
  const wanted = Number(versions.reduce((sum, version) => sum + version, 0n))
  if (stored.rows[0]?.['events'] !== wanted) throw new Error('Emmett does not hold all events')
  await store.close()
  await pool.end()
  return figures
}

/** Appends deposits 0 to `events - 1` to one account. */
async function seed(store: Store, account: string, events: number): Promise<void> {
  for (let n = 0; n < events; n += seedBatch) {
    const batch = deposits(account, n, Math.min(seedBatch, events - n))
    await store.appendToStream(`account-${account}`, batch, { expectedStreamVersion: BigInt(n) })
  }
}

const loading: Measure<'loading'> = async (place, { events, seconds }) => {
  const { store, pool } = await openStore(place, 1)
  const account = accountOf(1)
  await seed(store, account, events)
  await pool.query({ text: 'vacuum analyze' })
  const figures = await repeatLoads(seconds, async () => {
    const { state } = await store.aggregateStream<Balance>(`account-${account}`, {
      evolve,
      initialState: () => nothing,
    })
    checkLoaded('Emmett', events, state)
  })
  await store.close()
  await pool.end()
  return figures
}

/** The table of balances as a projection: a version has its own table. */
function balances(version: number): Projection {
  const { sql } = loadEmmett<Dumbo>('@event-driven-io/dumbo')
  const table = `balances_v${version}`
  return adapter().postgreSQLProjection({
    name: table,
    version,
    canHandle: ['Deposited'],
    init: async ({ context }) => {
      await context.execute.command(
        sql(
          `create table if not exists ${table} (account text primary key, deposits bigint not null, sum bigint not null)`,
        ),
      )
    },
    truncate: async ({ execute }) => {
      await execute.command(sql(`truncate ${table}`))
    },
    handle: async (events, { execute }) => {
      await execute.batchCommand(
        events.map(({ data }) =>
          sql(
            `insert into ${table} values (%L, 1, %s) on conflict (account) do update set deposits = ${table}.deposits + 1, sum = ${table}.sum + excluded.sum`,
            data.account,
            data.amount,
          ),
        ),
      )
    },
  })
}

/** True at the last of `events` calls: the processor asks after each event. */
function afterAll(events: number): () => boolean {
  let seen = 0
  return () => ++seen === events
}

async function checkTable(pool: Pool, version: number, events: number): Promise<void> {
  const total = await pool.query({
    text: `select sum(deposits)::int as deposits, sum(sum)::int as sum from balances_v${version}`,
  })
  checkTotal('Emmett', events, total.rows[0] as unknown as Balance)
}

async function seedAll(store: Store, pool: Pool, events: number): Promise<void> {
  for (let n = 0; n < events / eventsPerStream; n++) {
    await seed(store, accountOf(n), eventsPerStream)
  }
  await pool.query({ text: 'vacuum analyze' })
}

async function project(store: Store, events: number): Promise<void> {
  const consumer = store.consumer({ pulling })
  consumer.projector({ projection: balances(1), stopAfter: afterAll(events) })
  await consumer.start()
}

const projection: Measure<'projection'> = async (place, { events }) => {
  const { store, pool } = await openStore(place, 8)
  await seedAll(store, pool, events)
  const figures = await rate(events, () => project(store, events))
  await checkTable(pool, 1, events)
  await store.close()
  await pool.end()
  return figures
}

const rebuild: Measure<'rebuild'> = async (place, { events }) => {
  const { store, pool } = await openStore(place, 8)
  await seedAll(store, pool, events)
  await project(store, events)
  const rebuilding = adapter().rebuildPostgreSQLProjections({
    connectionString: postgresOf(place).url,
    pulling,
    projections: [{ projection: balances(2), stopAfter: afterAll(events) }],
  })
  const figures = await rate(events, () => rebuilding.start())
  await checkTable(pool, 2, events)
  await rebuilding.close()
  await store.close()
  await pool.end()
  return figures
}

/** Emmett with its PostgreSQL adapter. */
export const emmett: Contender = {
  name: 'emmett',
  postgres: true,
  version: async () => {
    const peer = await fetchEmmett()
    if (!peer.available) throw new Error(`no Emmett: ${peer.reason}`)
    return `Emmett ${peer.version}`
  },
  measures: { appends, loading, projection, rebuild },
}
