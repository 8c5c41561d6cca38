// How much partitions and topics cost: creating them, the first record in each, memory, and starting
// again after a clean stop and after kill -9. Each start is a process of its own, timed from spawn.
//
//     node bench/partitions.ts [--partitions 20000] [--topics 5000] [--data FOLDER]
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { show } from './stats.ts'

const { values } = parseArgs({
  options: {
    partitions: { type: 'string', default: '20000' },
    topics: { type: 'string', default: '5000' },
    data: { type: 'string' },
  },
})
const folder = values.data ?? (await mkdtemp(join(tmpdir(), 'millrace-partitions-')))
const worker = join(import.meta.dirname, 'partitions-worker.ts')

type Told = Readonly<Record<string, number>>

/** Runs the worker until it ends, or until it has told and is killed. */
async function run(
  mode: string,
  count: number,
  options: { readonly kill?: boolean } = {},
): Promise<Told> {
  const begin = performance.now()
  const child = spawn(process.execPath, [worker, mode, join(folder, 'data'), String(count)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let out = ''
  let readyMs = Number.NaN
  let loggedEnd: (() => void) | undefined
  child.stdout.on('data', (piece: Buffer) => {
    out += piece.toString()
    if (Number.isNaN(readyMs) && out.includes('ready')) readyMs = performance.now() - begin
    if (options.kill === true && out.includes('}\n')) child.kill('SIGKILL')
    loggedEnd?.()
  })
  await new Promise<void>((resolve, reject) => {
    child.on('exit', (code, signal) =>
      code === 0 || signal === 'SIGKILL' ? resolve() : reject(new Error(`${mode}: exit ${code}`)),
    )
  })
  const line = out.split('\n').find(text => text.startsWith('{')) ?? '{}'
  return { spawnToReadyMs: readyMs, ...(JSON.parse(line) as Told) }
}

const tell = (what: string, told: Told): void => {
  const figures = Object.entries(told).map(([name, value]) => `${name} ${show(value)}`)
  console.log(`${what}: ${figures.join(', ')}`)
}

const partitions = Number(values.partitions)
try {
  tell(`${values.topics} topics, one by one`, await run('topics', Number(values.topics)))
  await rm(join(folder, 'data'), { recursive: true, force: true })
  tell(
    `${partitions} partitions, a first record in each, then killed`,
    await run('fill', partitions, { kill: true }),
  )
  tell('start after the kill', await run('start', partitions, { kill: true }))
  tell('start after a kill of a node that only read', await run('start', partitions))
  tell('start after a clean stop', await run('start', partitions))
} finally {
  await rm(folder, { recursive: true, force: true })
}
