// Reading the events by programs that print one event a line: one program to its end, or a group of
// three of which one is killed on the way.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { LoanTally, loanEvents } from './data.ts'

const timeoutMs = 120_000
/** The member is killed when this many different events have been read by all. */
const killAfter = 60_000

/** A program and its arguments. */
export type CommandLine = readonly [command: string, ...args: string[]]

interface Reader {
  readonly child: ChildProcess
  readonly ended: Promise<unknown>
  errors(): string
}

function read(line: CommandLine, take: (text: string) => void): Reader {
  const [command, ...args] = line
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-4000)
  })
  createInterface({ input: child.stdout }).on('line', text => {
    // A killed program's last line may be cut, and then is no event.
    if (text.endsWith('}')) take(text)
  })
  return { child, ended: once(child, 'close'), errors: () => errors }
}

/** Runs a program that prints everything in order and ends by itself. */
export async function readAlone(line: CommandLine): Promise<LoanTally> {
  const tally = new LoanTally({ ordered: true })
  const reader = read(line, text => tally.take(text))
  const timer = setTimeout(() => reader.child.kill('SIGKILL'), timeoutMs)
  await reader.ended
  clearTimeout(timer)
  if (reader.child.exitCode !== 0) {
    throw new Error(
      `${line.join(' ')} ended with ${reader.child.exitCode} after ${tally.unique} events: ${reader.errors()}`,
    )
  }
  return tally
}

/** Runs three members of a group until all events have been read; the first to read is killed midway. */
export async function readInGroup(line: CommandLine): Promise<{
  readonly tally: LoanTally
  /** Events that each member read; the first is the one that was killed. */
  readonly byMember: readonly number[]
}> {
  const tally = new LoanTally({ ordered: false })
  const counts = [0, 0, 0]
  let killed = -1
  let done: () => void = () => undefined
  const complete = new Promise<void>(resolve => {
    done = resolve
  })
  const members = counts.map((_, i) =>
    read(line, text => {
      counts[i] = (counts[i] ?? 0) + 1
      tally.take(text)
      if (killed === -1 && tally.unique >= killAfter) {
        killed = i
        members[i]?.child.kill('SIGKILL')
      }
      if (tally.unique >= loanEvents) done()
    }),
  )
  const timer = setTimeout(done, timeoutMs)
  await complete
  clearTimeout(timer)
  for (const member of members) member.child.kill('SIGTERM')
  const grace = setTimeout(() => {
    for (const member of members) member.child.kill('SIGKILL')
  }, 10_000)
  await Promise.all(members.map(member => member.ended))
  clearTimeout(grace)
  if (tally.unique < loanEvents) {
    const why = members.map(
      (member, i) =>
        `member ${i}: ${counts[i]} events, ${member.child.exitCode} ${member.errors()}`,
    )
    throw new Error(
      `${line.join(' ')}: ${tally.unique} of ${loanEvents} events in ${timeoutMs} ms\n${why.join('\n')}`,
    )
  }
  const others = counts.filter((_, i) => i !== killed)
  return { tally, byMember: [counts[killed] ?? 0, ...others] }
}
