/**
 * `millrace start`: a node in this process until SIGTERM or SIGINT.
 *
 * It prints where it listens and two lines to paste, or with `--json` one object. The first signal
 * stops cleanly: no new connections, answers in flight are sent, everything is synced. A second one,
 * or `stop.timeout.ms` without an end, ends the process as it is; the next start recovers.
 */
import { relative } from 'node:path'
import { CommandError, EXIT, type ExitCode } from 'millrace/errors'
import type { Config } from 'millrace/node'
import { loadConfig, NodeLogger, type RunningNode, startNode } from 'millrace/node'
import type { HostedApplication, HostedOptions } from '../application/hosted.ts'
import { parseStartArguments } from '../start-options.ts'
import type { CommandContext } from '../terminal/context.ts'

/** `start` */
export async function startCommand(
  args: readonly string[],
  context: CommandContext,
): Promise<ExitCode> {
  const { flags, configFile, application, demo } = parseStartArguments(args)
  if (demo && application === undefined) {
    throw new CommandError('--demo needs an application: --app NAME', EXIT.usage)
  }
  const config = await loadConfig({
    flags,
    configFile,
    environment: process.env,
    folder: process.cwd(),
  })
  const level = String(config.get('logging.level')?.value ?? 'info')
  const logger = new NodeLogger(
    level === 'info' || level === 'warn' || level === 'error' ? level : 'silent',
    { isTTY: context.stderr.isTerminal, write: text => context.stderr.write(text) },
    context.now,
  )
  try {
    const node = await startNode(config, logger)
    const hosted = application === undefined ? undefined : { application, demo }
    return await run(node, { config, context, logger, hosted })
  } finally {
    await logger.flush()
  }
}

type Surroundings = {
  readonly config: Config
  readonly context: CommandContext
  readonly logger: NodeLogger
  readonly hosted: HostedOptions | undefined
}

async function run(node: RunningNode, around: Surroundings): Promise<ExitCode> {
  const { config, context } = around
  const isAlone = around.hosted === undefined
  context.stdout.write(
    context.json ? jsonLine(node) : greeting(node, context.stdout.isTerminal, isAlone),
  )
  const application = await hosting(node, around)
  await aborted(context.signal)
  if (!context.json) context.stdout.write(context.stdout.isTerminal ? '\nstopping\n' : 'stopping\n')
  await application?.close()
  return stop(node, Number(config.get('stop.timeout.ms')?.value), context)
}

/** The application, where one is wanted. A node whose application cannot start stops again. */
async function hosting(
  node: RunningNode,
  { context, logger, hosted }: Surroundings,
): Promise<HostedApplication | undefined> {
  if (hosted === undefined) return undefined
  const { hostApplication } = await import('../application/hosted.ts')
  try {
    return await hostApplication(node, hosted, context, logger)
  } catch (error) {
    await node.stop()
    throw error
  }
}

async function stop(
  node: RunningNode,
  timeoutMs: number,
  context: CommandContext,
): Promise<ExitCode> {
  const { promise: late, resolve } = Promise.withResolvers<'late'>()
  const timer = setTimeout(() => resolve('late'), timeoutMs)
  const outcome = await Promise.race([node.stop(), late])
  clearTimeout(timer)
  if (outcome === 'late') {
    context.stderr.write(`not stopped after ${timeoutMs} ms; the next start recovers\n`)
    process.exit(EXIT.failed)
  }
  return EXIT.ok
}

function jsonLine(node: RunningNode): string {
  const { kafka, http, data } = node
  return `${JSON.stringify({ event: 'listening', kafka, http, data })}\n`
}

/** Where the node listens; and, where it is alone, two lines to paste. */
function greeting(node: RunningNode, colours: boolean, isAlone: boolean): string {
  const bold = (text: string): string => (colours ? `\u001b[1m${text}\u001b[22m` : text)
  const bootstrap = node.kafka === '127.0.0.1:9092' ? '' : ` --bootstrap ${node.kafka}`
  const folder = relative(process.cwd(), node.data)
  const hints = [
    '  Write and read:',
    `    echo '{"id":"1","text":"hello"}' | npx millrace produce greetings --key id${bootstrap}`,
    `    npx millrace consume greetings --from earliest${bootstrap}`,
    '',
  ]
  return `${[
    '',
    `  Kafka   ${bold(node.kafka)}`,
    `  HTTP    ${node.http === null ? 'off' : bold(`http://${node.http}`)}  /healthz /readyz /metrics /applications`,
    `  data    ${folder === '' || folder.startsWith('..') ? node.data : `./${folder}`}`,
    '',
    ...(isAlone ? hints : []),
  ].join('\n')}\n`
}

function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  if (signal.aborted) resolve()
  else signal.addEventListener('abort', () => resolve(), { once: true })
  return promise
}
