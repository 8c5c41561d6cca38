// `node bench/store/timers.ts [--timers 1000000] [--fire 100000] [--folder DIR]`: a saga with very
// many pending timers, on the embedded engine, in three processes one after the other:
// 1. begin: so many loans get an offer, and the saga starts a timer for each: events taken a second;
// 2. rebuild: a new process folds the timers from the saga's streams: timers a second, and what
//    memory it takes beside a process with the same log and store but without the saga;
// 3. fire: the clock is moved so that some are due: each fires as one synced append, and none of
//    the platform's timers stands for any of them but the earliest.
// Prints each phase as one line of JSON, then a table in Markdown.
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Outside, systemOutside } from '@millrace/base'
import { openEngine } from '@millrace/engine'
import { after, aggregate, end, saga, startApplication, type } from '@millrace/model'

const { values } = parseArgs({
  options: {
    timers: { type: 'string', default: '1000000' },
    fire: { type: 'string', default: '100000' },
    folder: { type: 'string' },
    phase: { type: 'string' },
    place: { type: 'string' },
  },
})
const timers = Number(values.timers)
const fire = Number(values.fire)

const loan = aggregate('loan', {
  events: { OfferMade: type<{ offer: number }>() },
  initial: () => 0,
  evolve: { OfferMade: state => state + 1 },
  commands: {},
  decide: {},
})
const reminder = saga('reminder', {
  from: [loan],
  starts: ['loan.OfferMade'],
  key: event => event.stream,
  initial: () => ({}),
  on: { 'loan.OfferMade': () => [after('remind', { days: 7 })] },
  timers: { remind: () => [end()] },
})

const dayMs = 86_400_000
const writers = 512
const pollMs = 20
const megabyte = 1_000_000

type Figures = Readonly<Record<string, number>>

const pause = (): Promise<void> => new Promise(resolve => setTimeout(resolve, pollMs))

/**
 * Memory after garbage collection, in MB: what the process holds itself (`own`: Linux' RssAnon, which
 * leaves out the pages of the index's files that are mapped), and all that is resident.
 */
function memory(): { own: number; rss: number; heap: number } {
  globalThis.gc?.()
  const { rss, heapUsed } = process.memoryUsage()
  const anonymous = /RssAnon:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
  const own = anonymous === undefined ? rss : Number(anonymous) * 1024
  return { own: own / megabyte, rss: rss / megabyte, heap: heapUsed / megabyte }
}

async function open(place: string, offset: { ms: number }, withSaga: boolean) {
  const log = await openEngine({ folder: join(place, 'log') })
  const system = systemOutside()
  const outside: Outside = {
    ...system,
    clock: { now: () => Date.now() + offset.ms, monotonic: () => performance.now() },
  }
  const application = await startApplication({
    ...{ name: 'bench', log, folder: join(place, 'derived'), aggregates: { loan }, outside },
    ...(withSaga ? { sagas: { reminder } } : {}),
    settings: { sagas: { 'saga.alarm.longest.ms': 100 } },
  })
  return {
    application,
    close: async () => {
      await application.close()
      await log.close()
    },
  }
}

async function begin(place: string): Promise<Figures> {
  const { application, close } = await open(place, { ms: 0 }, true)
  const started = performance.now()
  let next = 0
  await Promise.all(
    Array.from({ length: writers }, async () => {
      while (next < timers) {
        const number = next++
        const stream = { category: 'loan', id: `loan-${number}` }
        await application.store.append(stream, [{ type: 'OfferMade', data: { offer: number } }])
      }
    }),
  )
  const appended = performance.now()
  while ((application.sagas['reminder']?.status().timers ?? 0) < timers) await pause()
  const seconds = (performance.now() - started) / 1000
  const figures = memory()
  await close()
  return {
    appendedPerSecond: timers / ((appended - started) / 1000),
    takenPerSecond: timers / seconds,
    ...figures,
  }
}

async function without(place: string): Promise<Figures> {
  const { application, close } = await open(place, { ms: 0 }, false)
  await application.store.describe()
  const figures = memory()
  await close()
  return figures
}

async function rebuild(place: string): Promise<Figures> {
  const started = performance.now()
  const { application, close } = await open(place, { ms: 0 }, true)
  while ((application.sagas['reminder']?.status().timers ?? 0) < timers) await pause()
  const seconds = (performance.now() - started) / 1000
  const figures = memory()
  await close()
  return { seconds, perSecond: timers / seconds, ...figures }
}

async function fireSome(place: string): Promise<Figures> {
  const offset = { ms: 0 }
  const { application, close } = await open(place, offset, true)
  const left = () => application.sagas['reminder']?.status().timers ?? 0
  while (left() < timers) await pause()
  const started = performance.now()
  offset.ms = 8 * dayMs
  while (left() > timers - fire) await pause()
  const fired = timers - left()
  const seconds = (performance.now() - started) / 1000
  const figures = memory()
  await close()
  return { perSecond: fired / seconds, ...figures }
}

const phases = { begin, without, rebuild, fire: fireSome }
type Phase = keyof typeof phases

/** Runs a phase in a process of its own. */
async function inProcess(phase: Phase, place: string): Promise<Figures> {
  const args = ['--expose-gc', ...process.execArgv, import.meta.filename]
  const given = ['--phase', phase, '--place', place, '--timers', `${timers}`, '--fire', `${fire}`]
  const child = spawn(process.execPath, [...args, ...given], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.on('data', (data: Buffer) => {
    output += data.toString()
  })
  const code = await new Promise(resolve => child.on('close', resolve))
  if (code !== 0) throw new Error(`phase ${phase} ended with ${String(code)}`)
  const figures = JSON.parse(output.trim().split('\n').at(-1) ?? '') as Figures
  console.log(JSON.stringify({ phase, ...figures }))
  return figures
}

async function main(): Promise<void> {
  const parent = values.folder ?? tmpdir()
  await mkdir(parent, { recursive: true })
  const place = await mkdtemp(join(parent, 'millrace-timers-'))
  try {
    const begun = await inProcess('begin', place)
    const bare = await inProcess('without', place)
    const rebuilt = await inProcess('rebuild', place)
    const fired = await inProcess('fire', place)
    const mb = (of: Figures, less?: Figures) =>
      `${Math.round((of['own'] ?? 0) - (less?.['own'] ?? 0))} MB`
    const rate = (value: number | undefined) => Math.round(value ?? 0).toLocaleString('en')
    console.log(`
| ${timers.toLocaleString('en')} pending timers | |
| --- | --- |
| events taken a second, a timer each | ${rate(begun['takenPerSecond'])} |
| memory with them, beside the same process without the saga | ${mb(rebuilt, bare)} |
| memory while they fire, in all | ${mb(fired)} |
| JavaScript heap with them | ${Math.round(rebuilt['heap'] ?? 0)} MB |
| rebuilt from the saga's streams, a second | ${rate(rebuilt['perSecond'])} |
| fired a second, each a synced append | ${rate(fired['perSecond'])} |`)
  } finally {
    await rm(place, { recursive: true, force: true })
  }
}

const { phase, place } = values
if (phase === undefined || place === undefined) await main()
else console.log(JSON.stringify(await phases[phase as Phase](place)))
