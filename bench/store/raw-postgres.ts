// PostgreSQL with nothing above it: one INSERT of all rows of an append into a plain table of
// events, a transaction each, prepared once a connection, no version checked. It is what an event
// store on PostgreSQL could reach at most this way.
import { fetchPostgres } from '../../scripts/peers/postgresql.ts'
import { type Contender, type Measure, postgresOf } from './contenders.ts'
import { accountOf, type Deposited, deposits } from './events.ts'
import { closedLoop } from './loops.ts'
import { openPool } from './node-postgres.ts'

const table = `create table events (
  position bigserial primary key,
  stream text not null,
  version bigint not null,
  type text not null,
  data jsonb not null,
  appended timestamptz not null default now()
)`

const columnsPerRow = 4

/** `insert into events … values ($1, $2, $3, $4), …` for a number of rows. */
function insertOf(rows: number): string {
  const row = (i: number): string => {
    const first = i * columnsPerRow
    return `($${first + 1}, $${first + 2}, $${first + 3}, $${first + 4})`
  }
  const values = Array.from({ length: rows }, (_, i) => row(i)).join(', ')
  return `insert into events (stream, version, type, data) values ${values}`
}

const valuesOf = (account: string, version: number, events: readonly Deposited[]): unknown[] =>
  events.flatMap((event, i) => [
    `account-${account}`,
    version + i,
    event.type,
    JSON.stringify(event.data),
  ])

const appends: Measure<'appends'> = async (place, { writers, eventsPerAppend, seconds }) => {
  const pool = openPool(postgresOf(place), writers)
  await pool.query({ text: table })
  const text = insertOf(eventsPerAppend)
  const versions = new Array<number>(writers).fill(0)
  const figures = await closedLoop(writers, seconds, async writer => {
    const account = accountOf(writer)
    const version = versions[writer] ?? 0
    const values = valuesOf(account, version, deposits(account, version, eventsPerAppend))
    await pool.query({ name: 'append', text, values })
    versions[writer] = version + eventsPerAppend
  })
  const stored = await pool.query({ text: 'select count(*)::int as events from events' })
  const wanted = versions.reduce((sum, version) => sum + version, 0)
  if (stored.rows[0]?.['events'] !== wanted) throw new Error('PostgreSQL does not hold all rows')
  await pool.end()
  return figures
}

/** Raw inserts. */
export const rawPostgres: Contender = {
  name: 'raw-postgres',
  postgres: true,
  version: async () => {
    const peer = await fetchPostgres()
    if (!peer.available) throw new Error(`no PostgreSQL: ${peer.reason}`)
    return `PostgreSQL ${peer.version}`
  },
  measures: { appends },
}
