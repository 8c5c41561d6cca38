// `node bench/store/streams.ts [--streams 10000000] [--folder DIR]`: a store with very many streams,
// on the embedded engine, in two processes one after the other:
// 1. append: one event to each stream, 512 under way at once, and one more to every thousandth;
// 2. reopen: a new process opens the store on the index that is there, and loads streams at random.
// Prints memory at every tenth as JSON lines, then a table in Markdown.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { appendTo, category, open } from './millrace-store.ts'

const { values } = parseArgs({
  options: {
    streams: { type: 'string', default: '10000000' },
    folder: { type: 'string' },
    phase: { type: 'string' },
    place: { type: 'string' },
  },
})
const streams = Number(values.streams)
const underWay = 512
const loads = 20_000
const megabyte = 1_000_000
const tenths = 10

type Figures = Readonly<Record<string, number>>

const rss = (): number => Math.round(process.memoryUsage().rss / megabyte)

/** Memory of the process's own, in MB: without the pages of files that it maps. 0 where nobody tells. */
function own(): number {
  if (!existsSync('/proc/self/status')) return 0
  const kilobytes = /RssAnon:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
  return Math.round((Number(kilobytes ?? 0) * 1024) / megabyte)
}
const name = (number: number): string => `account-${number}`
const deposit = (number: number) => [
  { type: 'Deposited', data: { cents: number % 10_000, note: 'a deposit over the counter' } },
]

async function append(folder: string): Promise<Figures> {
  await using opened = await open({ folder } as never)
  const from = performance.now()
  let next = 0
  let most = 0
  const writer = async (): Promise<void> => {
    while (next < streams) {
      const number = next++
      const version = await appendTo(opened.store, name(number), 0, deposit(number) as never)
      if (number % 1000 === 0) {
        await appendTo(opened.store, name(number), version, deposit(number) as never)
      }
      if (number % Math.ceil(streams / tenths) === 0) {
        most = Math.max(most, rss())
        tell({ streams: number, rss: rss() })
      }
    }
  }
  await Promise.all(Array.from({ length: underWay }, writer))
  const seconds = (performance.now() - from) / 1000
  return { 'appends/s': Math.round(streams / seconds), 'most MB': Math.max(most, rss()) }
}

async function reopen(folder: string): Promise<Figures> {
  const from = performance.now()
  await using opened = await open({ folder } as never)
  const openMs = performance.now() - from
  const idle = rss()
  const loadFrom = performance.now()
  for (let i = 0; i < loads; i++) {
    const number = Math.floor(Math.random() * streams)
    const { events } = await opened.store.read({ category, id: name(number) }).all()
    if (events.length !== (number % 1000 === 0 ? 2 : 1)) throw new Error(`${name(number)} is wrong`)
  }
  const loadUs = ((performance.now() - loadFrom) / loads) * 1000
  return {
    'open ms': Math.round(openMs),
    'MB after opening': idle,
    'µs a stream at random': Math.round(loadUs),
    'MB after loading': rss(),
    'of which its own': own(),
  }
}

function tell(figures: Figures): void {
  process.stdout.write(`${JSON.stringify(figures)}\n`)
}

function run(phase: string, place: string): Promise<Figures> {
  const { promise, resolve, reject } = Promise.withResolvers<Figures>()
  const args = [...process.execArgv, ...process.argv.slice(1), '--phase', phase, '--place', place]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let last = ''
  child.stdout.on('data', (chunk: Buffer) => {
    process.stdout.write(chunk)
    last = `${last}${chunk}`.split('\n').slice(-2).join('\n')
  })
  child.on('error', reject)
  child.on('exit', code => {
    if (code === 0) resolve(JSON.parse(last.trim()) as Figures)
    else reject(new Error(`${phase} ended with ${code}`))
  })
  return promise
}

const { phase, place } = values
if (phase !== undefined && place !== undefined) {
  tell(await (phase === 'append' ? append(place) : reopen(place)))
} else {
  const parent = values.folder ?? tmpdir()
  await mkdir(parent, { recursive: true })
  const folder = await mkdtemp(join(parent, 'streams-'))
  try {
    const figures = { ...(await run('append', folder)), ...(await run('reopen', folder)) }
    const rows = Object.entries(figures).map(([what, value]) => `| ${what} | ${value} |`)
    process.stdout.write(`\n| ${streams} streams | |\n| --- | --- |\n${rows.join('\n')}\n`)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
