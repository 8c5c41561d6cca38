// `npm run bench:store`: event stores on the same disk in one run, turn by turn, so that noise hits
// all of them. Each measurement is a process of its own with an empty folder and, for those that
// want one, a new PostgreSQL server, whose data lie on the same disk. Everybody syncs before an
// append is acknowledged. Prints progress, then tables in Markdown; every single measurement goes
// to a JSON file, the tables beside it.
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { runWell } from '../../scripts/peers/command.ts'
import { fetchPostgres, startPostgres } from '../../scripts/peers/postgresql.ts'
import { report } from '../report.ts'
import { beginRun, type Run } from '../run.ts'
import { show } from '../stats.ts'
import { syncDelayEnv } from '../sync-delay.ts'
import { turn } from '../throughput.ts'
import {
  type Contender,
  type Figures,
  type Shapes,
  type StorePart,
  storeParts,
} from './contenders.ts'
import { readStoreOptions, type StoreOptions } from './options.ts'
import { contenders } from './roster.ts'
import { howMeasured, shapeNames, storeTables } from './tables.ts'
import type { Job } from './worker.ts'

type Env = Readonly<Record<string, string>>

const measurementTimeoutMs = 1_200_000
const worker = join(import.meta.dirname, 'worker.ts')

// Durable as the package ships it; the memory and the distance of checkpoints are kinder than that,
// so that neither a small cache nor a checkpoint falls into a measurement.
const serverSettings = { shared_buffers: '1GB', max_wal_size: '4GB' }
const spareConnections = 20

/** Runs one job in a process of its own, with a server if its contender wants one. */
async function runJob(
  contender: Contender,
  job: Omit<Job, 'folder' | 'postgres'>,
  options: StoreOptions,
  env: Env,
): Promise<Figures> {
  const { connections } = options
  const folder = join(options.folder, 'data', 'store')
  await rm(folder, { recursive: true, force: true })
  const place = join(folder, 'place')
  await mkdir(place, { recursive: true })
  const settings = { ...serverSettings, max_connections: connections + spareConnections }
  const server = contender.postgres
    ? await startPostgres({ folder: join(folder, 'postgres'), settings, env })
    : undefined
  try {
    await runWell('sync', [])
    const whole: Job = {
      ...job,
      folder: place,
      ...(server === undefined ? {} : { postgres: { url: server.url, connections } }),
    }
    const command = { env, timeoutMs: measurementTimeoutMs }
    const { stdout } = await runWell(process.execPath, [worker, JSON.stringify(whole)], command)
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Figures
  } finally {
    await server?.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

/** One part in one round: each shape by every contender before the next shape. */
async function runPart<P extends StorePart>(
  part: P,
  round: number,
  options: StoreOptions,
  syncDelayMs: number,
  run: Run,
): Promise<void> {
  const env = await syncDelayEnv(syncDelayMs)
  const able = contenders.filter(
    each => options.contenders.has(each.name) && each.measures[part] !== undefined,
  )
  for (const value of options.shapes[part] as readonly Shapes[P][]) {
    const shape = shapeNames[part](value)
    for (const contender of turn(able, round)) {
      const system = contender.name
      const figures = await runJob(
        contender,
        { contender: system, part, shape: value },
        options,
        env,
      )
      const [name = '', figure = Number.NaN] = Object.entries(figures)[0] ?? []
      console.log(`${part} ${shape}, ${system}: ${show(figure)} (${name})`)
      run.measurements.push({ part, shape, system, round, figures, syncDelayMs })
    }
  }
}

// What was started is stopped when the process exits, and a signal alone is no exit.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
const names = contenders.map(each => each.name)
const options = readStoreOptions(process.argv.slice(2), names)
const peers: string[] = []
const chosen = contenders.filter(each => options.contenders.has(each.name))
if (chosen.some(each => each.postgres)) {
  const server = await fetchPostgres()
  if (!server.available) throw new Error(`no PostgreSQL to compare with: ${server.reason}`)
  peers.push(`PostgreSQL ${server.version}`)
}
for (const contender of chosen) {
  const version = await contender.version()
  if (version !== undefined && !peers.includes(version)) peers.push(version)
}
const run = await beginRun(options.folder, peers)
console.log(run.machine)
try {
  for (const syncDelayMs of options.syncDelays) {
    if (syncDelayMs > 0) console.log(`with ${syncDelayMs} ms added to every sync`)
    for (let round = 0; round < options.rounds; round++) {
      for (const part of storeParts) {
        if (options.only.has(part)) await runPart(part, round, options, syncDelayMs, run)
      }
    }
  }
} finally {
  const head = `${run.machine}; ${run.took()}\n\n${howMeasured(options)}`
  const tables = `${head}\n\n${report(run.measurements, storeTables)}`
  console.log(`\n${tables}`)
  console.log(`raw figures: ${await run.save(tables)}`)
}
