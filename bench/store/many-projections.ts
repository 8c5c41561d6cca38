// Many projections of one application: what a command waits for while all of them follow, and how long
// it takes until all have its event. One process, the engine embedded, read models in one SQLite file.
//
//   node --conditions=millrace:source bench/store/many-projections.ts [projections] [commands]
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { openEngine } from '@millrace/engine'
import { aggregate, type Projection, projection, startApplication, type } from '@millrace/model'

const projections = Number(process.argv[2] ?? 500)
const commands = Number(process.argv[3] ?? 100)

const account = aggregate('account', {
  events: { Deposited: type<{ amount: number }>() },
  initial: () => ({}),
  evolve: { Deposited: state => state },
  commands: { deposit: type<{ amount: number }>() },
  decide: { deposit: ({ amount }, _, { Deposited }) => Deposited({ amount }) },
})

type Tables = Record<string, { account: string; version: number; sum: number }>

function deposits(n: number): Projection<Tables> {
  const table = `deposits_${n}`
  return projection(`deposits-${n}`, {
    version: 1,
    from: [account],
    tables: type<Tables>(),
    create: db =>
      db.schema
        .createTable(table)
        .addColumn('account', 'text', column => column.notNull())
        .addColumn('version', 'integer', column => column.notNull())
        .addColumn('sum', 'integer', column => column.notNull()),
    on: {
      'account.Deposited': (db, { stream, version, data }) =>
        db.insertInto(table).values({ account: stream, version, sum: data.amount }),
    },
  })
}

const folder = await mkdtemp(join(tmpdir(), 'millrace-many-projections-'))
try {
  await using log = await openEngine({ folder: join(folder, 'data') })
  const startedAt = performance.now()
  await using application = await startApplication({
    name: 'bench',
    log,
    folder: join(folder, 'read-models'),
    aggregates: { account },
    projections: Object.fromEntries(
      Array.from({ length: projections }, (_, n) => [`p${n}`, deposits(n)] as const),
    ),
  })
  const startMs = performance.now() - startedAt
  const turns = monitorEventLoopDelay({ resolution: 1 })
  turns.enable()
  const cpu = process.cpuUsage()
  const began = performance.now()
  let worst = 0
  let checkpoint = ''
  for (let n = 0; n < commands; n += 1) {
    const at = performance.now()
    const done = await application.account(`a-${n % 10}`).deposit({ amount: 1 })
    if (!done.ok) throw new Error('a deposit was rejected')
    checkpoint = done.checkpoint
    worst = Math.max(worst, performance.now() - at)
  }
  const commandsMs = performance.now() - began
  await Promise.all(Object.values(application.projections).map(each => each.reached(checkpoint)))
  const allMs = performance.now() - began
  turns.disable()
  const { user, system } = process.cpuUsage(cpu)
  const ms = (value: number): string => value.toFixed(1)
  console.log(
    [
      `${projections} projections, ${commands} commands one after the other`,
      `start ${ms(startMs)} ms`,
      `commands ${ms(commandsMs)} ms in all, the slowest ${ms(worst)} ms`,
      `until all projections have them ${ms(allMs)} ms`,
      `${((user + system) / (projections * commands)).toFixed(1)} us CPU an event and projection`,
      `turn p50 ${ms(turns.percentile(50) / 1e6 - 1)} ms, p99 ${ms(turns.percentile(99) / 1e6 - 1)}, longest ${ms(turns.max / 1e6 - 1)}`,
    ].join('; '),
  )
} finally {
  await rm(folder, { recursive: true, force: true })
}
