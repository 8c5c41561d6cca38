// `npm run bench:profile -- [options]`: a node under a given load with Node's CPU profiler on. Leaves
// a .cpuprofile (for Chrome's or VS Code's viewer) and prints the functions that took most of the
// main thread's time, by their own time.
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { fetchApacheKafka, untilAnswers } from '../scripts/peers/apache-kafka.ts'
import { freePort, start } from '../scripts/peers/command.ts'
import { createTopic } from './admin.ts'
import { resultsFolder } from './options.ts'
import { consume, produce } from './perf.ts'
import { millraceArgs } from './systems.ts'
import { withPeakMemory } from './throughput.ts'

const shownFunctions = 35

const { values } = parseArgs({
  options: {
    load: { type: 'string', default: 'produce' },
    size: { type: 'string', default: '1024' },
    partitions: { type: 'string', default: '12' },
    mib: { type: 'string', default: '512' },
    rate: { type: 'string', default: '-1' },
  },
})

interface Profile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: {
      readonly functionName: string
      readonly url: string
      readonly lineNumber: number
    }
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

/** The functions of a profile by their own time, in percent of the whole. */
function hottest(profile: Profile): string[] {
  const names = new Map(
    profile.nodes.map(({ id, callFrame }) => {
      const file = callFrame.url.split('/').slice(-3).join('/')
      return [id, `${callFrame.functionName || '(anonymous)'} ${file}:${callFrame.lineNumber + 1}`]
    }),
  )
  const own = new Map<string, number>()
  let all = 0
  profile.samples.forEach((id, i) => {
    const name = names.get(id) ?? '?'
    const took = profile.timeDeltas[i] ?? 0
    all += took
    own.set(name, (own.get(name) ?? 0) + took)
  })
  return [...own]
    .sort((a, b) => b[1] - a[1])
    .slice(0, shownFunctions)
    .map(([name, took]) => `${((100 * took) / all).toFixed(1).padStart(5)} %  ${name}`)
}

// What was started is stopped when the process exits, and a signal alone is no exit.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
const peer = await fetchApacheKafka()
if (!peer.available) throw new Error(`no load generator: ${peer.reason}`)
const folder = join(resultsFolder, 'profile')
await rm(folder, { recursive: true, force: true })
await mkdir(folder, { recursive: true })
const place = { folder, ports: { broker: await freePort(), controller: 0 }, env: {} }
const node = start(process.execPath, [
  '--cpu-prof',
  `--cpu-prof-dir=${folder}`,
  ...millraceArgs(place),
])
const bootstrap = `127.0.0.1:${place.ports.broker}`
try {
  await untilAnswers(bootstrap, 30_000, () => node.child.exitCode === null)
  const topic = 'profile'
  const recordBytes = Number(values.size)
  const records = Math.floor((Number(values.mib) * 1024 * 1024) / recordBytes)
  await createTopic(bootstrap, topic, Number(values.partitions))
  const { result, peakMb } = await withPeakMemory(node.child.pid ?? 0, async () => {
    const load = { topic, recordBytes, records, throughput: Number(values.rate), warmup: 0 }
    const produced = await produce(bootstrap, load)
    return values.load === 'consume' ? await consume(bootstrap, topic, records) : produced
  })
  console.log({ ...result, peakMb: Math.round(peakMb) })
} finally {
  await node.stop('SIGTERM', 30_000)
  await rm(join(folder, 'data'), { recursive: true, force: true })
}
for (const name of await readdir(folder)) {
  if (!name.endsWith('.cpuprofile')) continue
  const file = join(folder, name)
  console.log(`\n${file}`)
  const profile = JSON.parse(await readFile(file, 'utf8')) as Profile
  console.log(hottest(profile).join('\n'))
}
