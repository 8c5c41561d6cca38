/**
 * The command: from arguments to an exit code. `start` and `config` read their flags themselves
 * (see start-options); everything else goes through commander, which is loaded for it alone.
 */
import { existsSync, fstatSync } from 'node:fs'
import { join } from 'node:path'
import type { Log } from '@millrace/log'
import { CommandError, EXIT, type ExitCode } from 'millrace/errors'
import { exitCodeOf, failureText } from './failure.ts'
import type { CommandFlags, LogFlags, Runner } from './flags.ts'
import type { CommandContext } from './terminal/context.ts'
import { streamOutput } from './terminal/output.ts'
import { printable } from './text/printable.ts'

/** Under npm one Ctrl-C arrives twice: from the terminal, and passed on. A later one is meant. */
const SAME_INTERRUPT_MS = 500

/** Runs a command line (without node and script) and ends the process with its exit code. */
export async function main(args: readonly string[], version: string): Promise<void> {
  try {
    process.exitCode = await run(args, version)
  } catch (error) {
    process.stderr.write(printable(failureText(error, args.includes('--debug'))))
    process.exitCode = exitCodeOf(error)
  }
  // A pipe that nobody reads to its end would keep the process waiting for its writer.
  process.stdin.destroy()
}

async function run(args: readonly string[], version: string): Promise<ExitCode> {
  const [name, ...rest] = args
  const wantsHelp = rest.some(arg => arg === '--help' || arg === '-h')
  if (name === 'start' && !wantsHelp) {
    const { startCommand } = await import('./commands/start.ts')
    return startCommand(rest, processContext({ json: rest.includes('--json') }))
  }
  if (name === 'config' && !wantsHelp) {
    const { showConfig } = await import('./commands/config.ts')
    return showConfig(rest, processContext({ json: rest.includes('--json') }))
  }
  return runProgram(args, version)
}

async function runProgram(args: readonly string[], version: string): Promise<ExitCode> {
  const [{ CommanderError }, { buildProgram }] = await Promise.all([
    import('commander'),
    import('./program.ts'),
  ])
  let code: ExitCode = EXIT.ok
  const runner: Runner = {
    async withLog(flags: LogFlags, body) {
      if (flags.data !== undefined) {
        await using log = await openFolder(flags.data, flags.makesData === true)
        code = await body({ ...processContext(flags), log })
        return
      }
      const { BOOTSTRAP_DEFAULT, connect } = await import('./connect.ts')
      const bootstrap = flags.bootstrap ?? process.env['MILLRACE_BOOTSTRAP'] ?? BOOTSTRAP_DEFAULT
      await using log = await connect(bootstrap)
      code = await body({ ...processContext(flags), log })
    },
    async alone(flags, body) {
      code = await body(processContext(flags))
    },
  }
  const program = buildProgram(runner, version)
  try {
    await program.parseAsync([...args], { from: 'user' })
    return code
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    // Commander has told what is wrong; help and version that were asked for are no failure.
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage
  }
}

/** The log of a folder that no node has open; only commands that write make a new one. */
async function openFolder(data: string, makes: boolean): Promise<Log> {
  const [{ openEmbedded, openFailure }, { LOCK_FILE }] = await Promise.all([
    import('millrace/node'),
    import('./commands/locked-disk.ts'),
  ])
  if (!makes && !existsSync(join(data, LOCK_FILE))) {
    throw new CommandError(`there is no data folder ${data}`, EXIT.usage)
  }
  try {
    return await openEmbedded({ data })
  } catch (cause) {
    throw openFailure(cause, data)
  }
}

/** The surroundings of a command in this process. */
function processContext(flags: CommandFlags): CommandContext {
  const interrupt = new AbortController()
  let firstAt = 0
  const stop = (): void => {
    if (!interrupt.signal.aborted) {
      firstAt = performance.now()
      interrupt.abort()
    } else if (performance.now() - firstAt > SAME_INTERRUPT_MS) process.exit(EXIT.interrupted)
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  return {
    // A reader that has left has had what it wanted.
    stdout: streamOutput(process.stdout, () => process.exit(EXIT.ok)),
    stderr: streamOutput(process.stderr, () => {}),
    stdin: {
      get chunks() {
        return process.stdin as AsyncIterable<Buffer>
      },
      totalBytes: standardInputBytes(),
    },
    json: flags.json === true,
    now: Date.now,
    signal: interrupt.signal,
  }
}

/** The size of standard input where it is a file. */
function standardInputBytes(): number | null {
  try {
    const input = fstatSync(0)
    return input.isFile() ? input.size : null
  } catch {
    // Closed by the caller: there is nothing to read, and nothing to know about it.
    return null
  }
}
