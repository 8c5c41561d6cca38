// `npm run bench:trace -- [options]`: where a produce request waits. Runs Kafka's load generator against
// a node with `request.trace.enable`, and prints a histogram's middle for each step on the way of a
// request, with what the load generator itself saw and the node's processor seconds a GB.
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { fetchApacheKafka, untilAnswers } from '../scripts/peers/apache-kafka.ts'
import { freePort, processorSeconds, start } from '../scripts/peers/command.ts'
import { createTopic } from './admin.ts'
import { resultsFolder } from './options.ts'
import { produce } from './perf.ts'
import { millraceArgs } from './systems.ts'

const { values } = parseArgs({
  options: {
    size: { type: 'string', default: '1024' },
    partitions: { type: 'string', default: '12' },
    mib: { type: 'string', default: '192' },
    durability: { type: 'string', default: 'sync' },
    rate: { type: 'string', default: '-1' },
    untraced: { type: 'boolean', default: false },
  },
})

/** The steps of the trace, by the moment that ends each. */
const steps = [
  ['last_byte', 'first byte to last byte'],
  ['parsed', 'to parsed'],
  ['entered', 'to entered in the open group'],
  ['sealed', 'to the group sealed'],
  ['written', 'to written (and synced), and heard of'],
  ['applied', 'to applied'],
  ['answered', 'to the answer handed over'],
  ['drained', 'to the answer taken by the socket'],
  ['whole', 'altogether'],
] as const

async function figures(http: string): Promise<ReadonlyMap<string, number>> {
  const page = await (await fetch(`http://${http}/metrics`)).text()
  return new Map(
    page.split('\n').flatMap(line => {
      const found = /^millrace_(?:listener|engine)_(\w+) ([\d.e+]+)$/.exec(line)
      return found === null ? [] : [[found[1] ?? '', Number(found[2])] as const]
    }),
  )
}

// What was started is stopped when the process exits, and a signal alone is no exit.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
const peer = await fetchApacheKafka()
if (!peer.available) throw new Error(`no load generator: ${peer.reason}`)
const folder = join(resultsFolder, `trace-${process.pid}`)
await mkdir(folder, { recursive: true })
const place = { folder, ports: { broker: await freePort(), controller: 0 }, env: {} }
const http = `127.0.0.1:${await freePort()}`
const node = start(process.execPath, [
  ...millraceArgs(place).filter((arg, i, all) => arg !== '--http' && all[i - 1] !== '--http'),
  ...['--http', http, '--set', `request.trace.enable=${!values.untraced}`],
])
const pid = node.child.pid ?? 0
const bootstrap = `127.0.0.1:${place.ports.broker}`
try {
  await untilAnswers(bootstrap, 30_000, () => node.child.exitCode === null)
  const recordBytes = Number(values.size)
  const records = Math.floor((Number(values.mib) * 1024 * 1024) / recordBytes)
  const load = { topic: 'trace', recordBytes, throughput: Number(values.rate), warmup: 0 }
  await createTopic(bootstrap, 'trace', Number(values.partitions), {
    durability: values.durability,
  })
  await produce(bootstrap, { ...load, records: Math.floor(records / 4) })
  const before = await figures(http)
  const cpuBefore = await processorSeconds(pid)
  const result = await produce(bootstrap, { ...load, records })
  const cpu = (await processorSeconds(pid)) - cpuBefore
  const after = await figures(http)
  const grown = (name: string): number => (after.get(name) ?? 0) - (before.get(name) ?? 0)
  const requests = grown('trace_requests_total')
  console.log(
    `${result.megabytesPerSecond.toFixed(1)} MB/s, the generator's average ${result.averageMs} ms; ` +
      `${((cpu * 1e9) / (records * recordBytes)).toFixed(2)} s/GB; ${grown('journal_groups_total')} groups, ` +
      `${grown('requests_Produce_total') || grown('requests_produce_total')} requests`,
  )
  for (const [name, label] of requests > 0 ? steps : []) {
    const mean = grown(`trace_${name}_us_total`) / requests / 1000
    const ms = (share: string): string =>
      ((after.get(`trace_${name}_${share}_us`) ?? 0) / 1000).toFixed(2)
    console.log(
      `${mean.toFixed(2).padStart(8)} ms  p50 ${ms('p50').padStart(7)}  p99 ${ms('p99').padStart(7)}  ${label}`,
    )
  }
} finally {
  await node.stop('SIGTERM', 30_000)
  await rm(folder, { recursive: true, force: true })
}
