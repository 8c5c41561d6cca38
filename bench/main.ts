// `npm run bench`: Millrace and a real Apache Kafka on the same machine in one run, turn by turn, so
// that noise hits both. Prints progress, then tables in Markdown; writes every single measurement to
// a JSON file under the results folder. What each part does stands at the top of its file.
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fetchApacheKafka } from '../scripts/peers/apache-kafka.ts'
import { measureEmbedded } from './embedded.ts'
import { measureLatency } from './latency.ts'
import { measureMemory, measureRestart, measureStart } from './lifecycle.ts'
import type { Measurement, Recorder } from './measurements.ts'
import { type BenchOptions, type Part, readOptions } from './options.ts'
import { report } from './report.ts'
import { beginRun } from './run.ts'
import { syncDelayEnv } from './sync-delay.ts'
import { type Kind, kindsOf, newPlace, pickSystems, type Server, startServer } from './systems.ts'
import { measureThroughput, warmUp } from './throughput.ts'

type Env = Readonly<Record<string, string>>

/** Runs `work` with one server of each kind that the systems need, and stops them. */
async function withServers(
  options: BenchOptions,
  env: Env,
  work: (servers: ReadonlyMap<Kind, Server>) => Promise<void>,
): Promise<void> {
  const servers = new Map<Kind, Server>()
  try {
    for (const kind of kindsOf(pickSystems(options.systems))) {
      servers.set(kind, await startServer(kind, await newPlace(kind, options.folder, env)))
    }
    await work(servers)
  } finally {
    for (const server of servers.values()) await server.stop()
  }
}

async function measure(options: BenchOptions, env: Env, recorder: Recorder): Promise<void> {
  const systems = pickSystems(options.systems)
  const has = (...parts: Part[]): boolean => parts.some(part => options.only.has(part))
  if (has('start')) await measureStart(systems, options, recorder, env)
  if (has('memory')) await measureMemory(systems, options, recorder, env)
  if (has('produce', 'consume')) {
    await withServers(options, env, async servers => {
      await warmUp(servers)
      await measureThroughput(systems, servers, options, recorder)
    })
  }
  if (has('latency')) {
    await withServers(options, env, servers => measureLatency(systems, servers, options, recorder))
  }
  if (has('restart')) await measureRestart(systems, options, recorder, env)
  if (has('embedded') && options.systems.includes('millrace')) {
    await measureEmbedded(options, recorder, env)
  }
}

// What was started is stopped when the process exits, and a signal alone is no exit.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
const options = readOptions(process.argv.slice(2))
if (options.render !== undefined) {
  const saved = JSON.parse(await readFile(options.render, 'utf8')) as {
    readonly machine: string
    readonly measurements: readonly Measurement[]
  }
  console.log(`${saved.machine}\n\n${report(saved.measurements)}`)
  process.exit(0)
}
const kafka = await fetchApacheKafka()
if (!kafka.available && options.systems.some(name => name.startsWith('kafka'))) {
  console.error(`no Apache Kafka to compare with: ${kafka.reason}`)
  process.exit(1)
}
const run = await beginRun(options.folder, kafka.available ? [`Apache Kafka ${kafka.version}`] : [])
console.log(run.machine)
try {
  for (const syncDelayMs of options.syncDelays) {
    if (syncDelayMs > 0) console.log(`with ${syncDelayMs} ms added to every sync`)
    await measure(options, await syncDelayEnv(syncDelayMs), {
      add: measurement => {
        run.measurements.push({ ...measurement, syncDelayMs })
      },
    })
  }
} finally {
  const tables = `${run.machine}; ${run.took()}\n\n${report(run.measurements)}`
  console.log(`\n${tables}`)
  console.log(`raw figures: ${await run.save(tables)}`)
  await rm(join(options.folder, 'data'), { recursive: true, force: true })
}
