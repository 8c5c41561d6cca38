// Commands of other programs: run one to its end with a deadline, or keep one running by a handle.
// Nothing is ever stopped by its name: a handle ends only the process that it started.
// Bounds: output kept per command (16 MiB), a deadline for each command (2 min unless told).
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'

const maxOutputBytes = 16 * 1024 * 1024

/** What a finished command left behind. `code` is null when a signal ended it. */
export interface Finished {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** How to run a command. */
export interface CommandOptions {
  readonly cwd?: string
  /** Added to this process's environment; undefined removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Written to standard input, which is then closed. */
  readonly input?: string | Uint8Array
  /** Milliseconds after which the command is killed. 120,000 unless told. */
  readonly timeoutMs?: number
  /** Runs the command as another user; only root may. */
  readonly user?: { readonly uid: number; readonly gid: number }
}

const gather = (stream: NodeJS.ReadableStream | null): (() => string) => {
  const chunks: Buffer[] = []
  let size = 0
  stream?.on('data', (chunk: Buffer) => {
    if (size < maxOutputBytes) chunks.push(chunk)
    size += chunk.length
  })
  return () => {
    if (size > maxOutputBytes + 65_536) throw new Error(`a command wrote ${size} bytes of output`)
    return Buffer.concat(chunks).toString('utf8')
  }
}

const spawnOptions = (options: CommandOptions): SpawnOptions => ({
  env: { ...process.env, ...options.env },
  stdio: ['pipe', 'pipe', 'pipe'],
  ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  ...options.user,
})

/** Runs a command to its end, whatever its exit code. Throws when it cannot start or runs into its deadline. */
export async function run(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<Finished> {
  const timeoutMs = options.timeoutMs ?? 120_000
  const child = spawn(command, args, spawnOptions(options))
  const stdout = gather(child.stdout)
  const stderr = gather(child.stderr)
  child.stdin?.on('error', () => {
    // A command may end without reading its input: its exit code tells more than the broken pipe.
  })
  child.stdin?.end(options.input)
  let late = false
  const timer = setTimeout(() => {
    late = true
    child.kill('SIGKILL')
  }, timeoutMs)
  try {
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
    const finished = { code, signal, stdout: stdout(), stderr: stderr() }
    if (!late) return finished
    throw new Error(
      `${command} ${args.join(' ')} did not end within ${timeoutMs} ms\n${finished.stdout.slice(-2000)}\n${finished.stderr.slice(-2000)}`,
    )
  } finally {
    clearTimeout(timer)
  }
}

/** As {@link run}, and throws with the output's end when the exit code is not 0. */
export async function runWell(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<Finished> {
  const finished = await run(command, args, options)
  if (finished.code === 0) return finished
  throw new Error(
    `${command} ${args.join(' ')} ended with ${finished.code ?? finished.signal}\n${finished.stdout.slice(-4000)}\n${finished.stderr.slice(-4000)}`,
  )
}

/** A program that keeps running until it is stopped. */
export interface Running {
  readonly child: ChildProcess
  /** The output so far, both streams, in order of arrival. */
  output(): string
  /** Resolves with the first line of standard output for which `match` is true; rejects when the program ends first. */
  line(match: (line: string) => boolean, timeoutMs: number): Promise<string>
  /** Sends the signal and waits for the end; after `graceMs` (10 s) SIGKILL follows. */
  stop(signal?: NodeJS.Signals, graceMs?: number): Promise<void>
  /** Resolves when the program has ended. */
  readonly ended: Promise<void>
}

const alive = new Set<ChildProcess>()
process.on('exit', () => {
  // The last resort for a run that is torn down before its hooks: nothing outlives its starter.
  for (const child of alive) child.kill('SIGKILL')
})

/** Starts a program and returns its handle. */
export function start(
  command: string,
  args: readonly string[],
  options: Omit<CommandOptions, 'timeoutMs'> = {},
): Running {
  const child = spawn(command, args, spawnOptions(options))
  alive.add(child)
  let text = ''
  let rest = ''
  const lines: string[] = []
  const watchers = new Set<() => void>()
  const append = (chunk: Buffer): void => {
    text = (text + chunk.toString('utf8')).slice(-maxOutputBytes)
  }
  child.stdout?.on('data', (chunk: Buffer) => {
    append(chunk)
    const parts = (rest + chunk.toString('utf8')).split('\n')
    rest = parts.pop() ?? ''
    lines.push(...parts)
    for (const watcher of watchers) watcher()
  })
  child.stderr?.on('data', append)
  child.stdin?.on('error', () => {
    // See run(): the exit says more.
  })
  if (options.input !== undefined) child.stdin?.end(options.input)
  const ended = new Promise<void>(resolve => {
    const done = (): void => {
      alive.delete(child)
      resolve()
      for (const watcher of watchers) watcher()
    }
    child.once('close', done)
    child.once('error', error => {
      text += `\n${error.message}`
      done()
    })
  })
  return {
    child,
    ended,
    output: () => text,
    line: (match, timeoutMs) =>
      new Promise((resolve, reject) => {
        let seen = 0
        const settle = (): void => {
          clearTimeout(timer)
          watchers.delete(look)
        }
        const fail = (why: string): void => {
          settle()
          reject(new Error(`${command}: ${why}\n${text.slice(-4000)}`))
        }
        const look = (): void => {
          for (; seen < lines.length; seen++) {
            const line = lines[seen]
            if (line !== undefined && match(line)) {
              settle()
              resolve(line)
              return
            }
          }
          if (!alive.has(child)) fail('ended before the awaited line')
        }
        const timer = setTimeout(() => fail(`no awaited line in ${timeoutMs} ms`), timeoutMs)
        watchers.add(look)
        look()
      }),
    stop: async (signal = 'SIGTERM', graceMs = 10_000) => {
      if (!alive.has(child)) return
      child.kill(signal)
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
      await ended
      clearTimeout(timer)
    },
  }
}

/** A TCP port on 127.0.0.1 that was free a moment ago, for programs that cannot choose one themselves. */
export async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no free port')
  return address.port
}

/** The path of a program on PATH, or undefined. */
export async function which(program: string): Promise<string | undefined> {
  const found = await run('sh', ['-c', `command -v ${program}`])
  return found.code === 0 ? found.stdout.trim() : undefined
}

/** Resident memory of a process in bytes (Linux), or undefined when it has ended. */
export async function residentBytes(pid: number): Promise<number | undefined> {
  const { readFile } = await import('node:fs/promises')
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]
  return kib === undefined ? undefined : Number(kib) * 1024
}

/** Ticks of a second in which Linux tells programs of processor time, whatever the kernel's own. */
const TICKS_PER_SECOND = 100

/** Processor time that a process has used so far, in seconds (Linux); 0 when it has ended. */
export async function processorSeconds(pid: number): Promise<number> {
  const { readFile } = await import('node:fs/promises')
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // Behind the name, which may hold anything: state is field 3, user time 14, system time 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / TICKS_PER_SECOND
}
