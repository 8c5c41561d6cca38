/** The command as users run it: the built one, in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const BIN = fileURLToPath(new URL('../../../millrace/bin/millrace.js', import.meta.url))
const END_MS_MAX = 20_000

export type Ended = {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export type RunOptions = {
  readonly cwd?: string
  readonly stdin?: string
  readonly env?: Readonly<Record<string, string>>
}

/** A started command; killed when it is disposed of. */
export class CommandProcess implements AsyncDisposable {
  readonly process: ChildProcess
  readonly ended: Promise<Ended>
  #stdout = ''
  #stderr = ''

  constructor(args: readonly string[], options: RunOptions = {}) {
    // Nothing of the surroundings may decide a test, except what the project's own tools need.
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('MILLRACE_'))
    this.process = spawn(process.execPath, [BIN, ...args], {
      cwd: options.cwd,
      env: { ...Object.fromEntries(inherited), ...options.env },
    })
    this.process.stdin?.on('error', () => {})
    this.process.stdin?.end(options.stdin ?? '')
    this.process.stdout?.on('data', chunk => {
      this.#stdout += String(chunk)
    })
    this.process.stderr?.on('data', chunk => {
      this.#stderr += String(chunk)
    })
    const { promise, resolve } = Promise.withResolvers<Ended>()
    this.process.on('close', code => {
      resolve({ code, stdout: this.#stdout, stderr: this.#stderr })
    })
    this.ended = promise
  }

  /** Resolves with the first line of standard output; rejects when the command ends before. */
  async firstLine(): Promise<string> {
    const ended = this.ended.then(({ code, stderr }) => {
      throw new Error(`ended with ${code} before it said anything: ${stderr}`)
    })
    ended.catch(() => {})
    while (!this.#stdout.includes('\n')) {
      await Promise.race([ended, new Promise(resolve => setTimeout(resolve, 5))])
    }
    return this.#stdout.slice(0, this.#stdout.indexOf('\n'))
  }

  signal(name: NodeJS.Signals): void {
    this.process.kill(name)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      this.process.kill('SIGKILL')
    }
    await this.ended
  }
}

/** Runs a command to its end. */
export async function runCommand(args: readonly string[], options?: RunOptions): Promise<Ended> {
  await using command = new CommandProcess(args, options)
  const timer = setTimeout(() => command.signal('SIGKILL'), END_MS_MAX)
  const ended = await command.ended
  clearTimeout(timer)
  return ended
}

/** A started node: where it listens, and its process. */
export async function startedNode(data: string, args: readonly string[] = []) {
  const command = new CommandProcess([
    'start',
    ...['--data', data, '--kafka', '127.0.0.1:0', '--http', '127.0.0.1:0', '--json'],
    ...args,
  ])
  const line = JSON.parse(await command.firstLine()) as {
    readonly event: string
    readonly kafka: string
    readonly http: string
    readonly data: string
  }
  return {
    ...line,
    command,
    async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended> {
      command.signal(signal)
      return command.ended
    },
    [Symbol.asyncDispose]: () => command[Symbol.asyncDispose](),
  }
}
