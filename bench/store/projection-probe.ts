// Where the time of a projection into SQLite goes: reading alone, then handlers of several kinds
// over the same events. One process, figures of one run; `main.ts` compares with others. `turn` is how long others
// of the process wait for the event loop meanwhile, beyond the millisecond that the measuring timer takes.
//
//   node --conditions=millrace:source bench/store/projection-probe.ts [events] [folder] [kinds]
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { systemOutside } from '@millrace/base'
import { aggregate, type Projection, projection, type } from '@millrace/model'
import type { EventStore } from '@millrace/store'
import type { Kysely } from 'kysely'
import { createProjectionProcessor } from '../../packages/model/src/projections/index.ts'
import { openSqlite } from '../../packages/model/src/sql/index.ts'
import { accountOf, type Deposited, eventsPerStream } from './events.ts'
import { category, open, seed } from './millrace-store.ts'

const events = Number(process.argv[2] ?? 200_000)
const parent = process.argv[3] ?? tmpdir()
const wanted = process.argv[4]?.split(',')

type Tables = { balance: { account: string; deposits: number; sum: number } }

const account = aggregate(category, {
  events: { Deposited: type<Deposited['data']>(), Closed: type<Record<string, never>>() },
  initial: () => ({}),
  commands: {},
  evolve: { Deposited: state => state, Closed: state => state },
  decide: {},
})

const create = (db: Kysely<Tables>) =>
  db.schema
    .createTable('balance')
    .addColumn('account', 'text')
    .addColumn('deposits', 'integer')
    .addColumn('sum', 'integer')
const keyed = (db: Kysely<Tables>) => [
  create(db),
  db.schema.createIndex('by_account').unique().on('balance').column('account'),
]
const shared = { version: 1, from: [account], tables: type<Tables>() }

const kinds: Record<string, Projection<Tables>> = {
  rare: projection('rare', { ...shared, create, on: { 'account.Closed': () => [] } }),
  nothing: projection('nothing', { ...shared, create, on: { 'account.Deposited': () => [] } }),
  insert: projection('inserts', {
    ...shared,
    create,
    on: {
      'account.Deposited': (db, { stream, version, data }) =>
        db.insertInto('balance').values({ account: stream, deposits: version, sum: data.amount }),
    },
  }),
  upsert: projection('upserts', {
    ...shared,
    create: keyed,
    on: {
      'account.Deposited': (db, { stream, data }) =>
        db
          .insertInto('balance')
          .values({ account: stream, deposits: 1, sum: data.amount })
          .onConflict(conflict =>
            conflict.column('account').doUpdateSet(of => ({
              deposits: of('balance.deposits', '+', 1),
              sum: of('balance.sum', '+', data.amount),
            })),
          ),
    },
  }),
  batch: projection('batches', {
    ...shared,
    create: keyed,
    batch: (db, page) => {
      const sums = new Map<string, { account: string; deposits: number; sum: number }>()
      for (const { stream, data } of page) {
        const row = sums.get(stream) ?? { account: stream, deposits: 0, sum: 0 }
        row.deposits += 1
        row.sum += data.amount
        sums.set(stream, row)
      }
      return db
        .insertInto('balance')
        .values([...sums.values()])
        .onConflict(conflict =>
          conflict.column('account').doUpdateSet(of => ({
            deposits: of('balance.deposits', '+', of.ref('excluded.deposits')),
            sum: of('balance.sum', '+', of.ref('excluded.sum')),
          })),
        )
    },
  }),
}

// Time by the clock says how fast it was here; time of the processor says it on a busy machine too.
function measure(what: string): () => void {
  const startedAt = performance.now()
  const before = process.cpuUsage()
  const turns = monitorEventLoopDelay({ resolution: 1 })
  turns.enable()
  return () => {
    turns.disable()
    const seconds = (performance.now() - startedAt) / 1000
    const { user, system } = process.cpuUsage(before)
    const cpu = ((user + system) / events).toFixed(1)
    const rss = Math.round(process.memoryUsage.rss() / 2 ** 20)
    const perSecond = Math.round(events / seconds)
    const [p50, p99, longest] = [turns.percentile(50), turns.percentile(99), turns.max].map(ns =>
      Math.max(0, ns / 1e6 - 1).toFixed(1),
    )
    console.log(
      `${what.padEnd(8)} ${perSecond} events/s, ${cpu} us CPU an event, ${rss} MiB, turn ${p50} ms, p99 ${p99}, longest ${longest}`,
    )
  }
}

async function read(store: EventStore): Promise<void> {
  const report = measure('read')
  let count = 0
  for await (const page of store.readAll([category], { tenant: null })) count += page.events.length
  if (count !== events) throw new Error(`read ${count} events of ${events}`)
  report()
}

async function project(kind: string, store: EventStore, folder: string): Promise<void> {
  const definition = kinds[kind] as Projection<Tables>
  await using sql = await openSqlite({ file: join(folder, `${kind}.db`) })
  const end = await store.now([category], null)
  const context = { store, outside: systemOutside(), onEvent: console.log }
  const processor = createProjectionProcessor(definition, context, sql)
  const report = measure(kind)
  await processor.start()
  await processor.reached(end)
  report()
  await processor.stop()
}

const folder = await mkdtemp(join(parent, 'millrace-projection-probe-'))
try {
  await using opened = await open({ folder } as never)
  for (let n = 0; n < events / eventsPerStream; n += 1) {
    await seed(opened.store, accountOf(n), 0, eventsPerStream)
  }
  for (let round = 1; round <= 2; round += 1) {
    await read(opened.store)
    for (const kind of wanted ?? Object.keys(kinds)) {
      await project(kind, opened.store, await mkdtemp(join(folder, 'read-models-')))
    }
  }
} finally {
  await rm(folder, { recursive: true, force: true })
}
