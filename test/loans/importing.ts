// The import command under kills: it is fed by standard input, killed at seeded moments, and started
// again from some lines before, which it must know already.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { run } from '../../scripts/peers/command.ts'
import { millraceBin } from '../support/node.ts'

/**
 * More lines than pipes and commands under way can hold: sockets and streams between the two processes
 * about half a MiB in lines of 140 bytes, and an import does not run further than 4,096 lines ahead.
 */
const overlapLines = 10_000
const chunkLines = 50
/** One kill in so many comes at a moment of the clock: in the start, say. */
const byClock = 4
const clockMs = 1_500
const idleMs = 60
const commandMs = 600_000

/** The answer of `import --json`. */
export interface ImportAnswer {
  readonly lines: number
  readonly imported: number
  readonly known: number
}

/** Runs the built command to its end and gives what it printed. */
export async function millrace(...args: readonly string[]): Promise<string> {
  const done = await run(process.execPath, [millraceBin, ...args], { timeoutMs: commandMs })
  if (done.code !== 0) throw new Error(`millrace ${args.join(' ')}: ${done.code} ${done.stderr}`)
  return done.stdout
}

/** Imports a whole file. */
export async function importWhole(file: string, where: readonly string[]): Promise<ImportAnswer> {
  return JSON.parse(await millrace('import', 'loans', file, ...where, '--json')) as ImportAnswer
}

/** Not by `once`, which also rejects with the error of a pipe that a kill has broken. */
const drained = (child: ChildProcessWithoutNullStreams): Promise<void> =>
  new Promise(resolve => child.stdin.once('drain', () => resolve()))

/** Starts an import, feeds it `lines` from `from` to `to`, and kills it. Gives how far it was fed. */
async function importAndKill(
  lines: readonly string[],
  [from, to]: readonly [number, number],
  where: readonly string[],
  random: () => number,
): Promise<number> {
  const child = spawn(process.execPath, [millraceBin, 'import', 'loans', '-', '--quiet', ...where])
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString()
  })
  child.stdin.on('error', () => {
    // Broken by the kill.
  })
  const closed = once(child, 'close')
  const kill = (): boolean => child.kill('SIGKILL')
  const timer = random() < 1 / byClock ? setTimeout(kill, random() * clockMs) : undefined
  let fed = from
  while (fed < to && child.exitCode === null && child.signalCode === null) {
    const next = Math.min(to, fed + chunkLines)
    const text = lines.slice(fed, next).map(line => `${line}\n`)
    fed = next
    if (!child.stdin.write(text.join(''))) await Promise.race([drained(child), closed])
  }
  if (timer === undefined) setTimeout(kill, random() * idleMs)
  await closed
  if (child.signalCode !== 'SIGKILL') throw new Error(`the import ended by itself: ${errors}`)
  return fed
}

/** Imports most of the lines through `kills` kills at seeded moments. */
export async function importWithKills(
  lines: readonly string[],
  kills: number,
  where: readonly string[],
  random: () => number,
): Promise<void> {
  const places = Array.from({ length: kills }, () => 1 + Math.floor(random() * (lines.length - 1)))
  let reached = 0
  for (const place of places.toSorted((a, b) => a - b)) {
    const from = Math.max(0, Math.floor(reached - overlapLines * (1 + random())))
    reached = await importAndKill(lines, [from, Math.max(place, from)], where, random)
  }
}

/** Starts a command and kills it after a seeded time, or lets it end before. */
export async function runAndKill(
  args: readonly string[],
  afterMs: number,
): Promise<'killed' | 'ended'> {
  const child = spawn(process.execPath, [millraceBin, ...args], { stdio: 'ignore' })
  const timer = setTimeout(() => child.kill('SIGKILL'), afterMs)
  await once(child, 'close')
  clearTimeout(timer)
  return child.signalCode === 'SIGKILL' ? 'killed' : 'ended'
}
