/**
 * Commands about the read models of an application: `list`, `rebuild`, `parked`, `redrive`.
 *
 * Without `--data` they ask a node that runs the application, on its HTTP side. With `--data` they
 * open a folder that no node has open and run the projections themselves: each command first brings
 * them to the end of the log. Sagas and effects do not run then, so nothing leaves the machine.
 */
import { resolve } from 'node:path'
import type { ParkedStream, ProcessorStatus, Redriven } from '@millrace/model'
import type { StreamRef } from '@millrace/store'
import { CommandError, EXIT, type ExitCode } from 'millrace/errors'
import type { RebuildState } from 'millrace/node'
import { loadApplication } from '../application/load-application.ts'
import { ProjectionsHttp } from '../application/projections-http.ts'
import {
  applicationFolder,
  type RunningApplication,
  runApplication,
} from '../application/run-application.ts'
import {
  type CommandContext,
  type LogContext,
  printAnswer,
  printRows,
} from '../terminal/context.ts'
import { printable } from '../text/printable.ts'
import { count, counted, span } from '../text/quantity.ts'

/** Flags of all of them. */
export type ProjectionFlags = { readonly data?: string; readonly http?: string }
/** Flags of `projections redrive`. */
export type RedriveOptions = ProjectionFlags & {
  readonly limit?: number
  readonly stream?: string
  readonly tenant?: string
}

/** Where a node's HTTP side is when nothing says otherwise. */
const HTTP_DEFAULT = '127.0.0.1:8080'
const REDRIVE_LIMIT = 100
const POLL_MS = 250

type Status = ProcessorStatus & {
  readonly version?: number | null
  readonly rebuild?: RebuildState
}
type What = StreamRef | { readonly limit: number }

/** Projections of one application, wherever they run. */
export type Projections = {
  list(): Promise<readonly Status[]>
  parked(name: string): Promise<readonly ParkedStream[]>
  rebuild(name: string): Promise<void>
  redrive(name: string, what: What): Promise<readonly Redriven[]>
}

/** `projections list APPLICATION` */
export async function listProjections(
  context: CommandContext,
  projections: Projections,
): Promise<ExitCode> {
  printRows(context, await projections.list(), {
    projection: row => row.name,
    version: row => row.version ?? '',
    state: row => row.state,
    handled: row => row.handled,
    rate: row => `${count(row.rate)}/s`,
    lag: row => row.lag,
    left: row => (row.timeLeftMs === null || row.lag === 0 ? '' : span(row.timeLeftMs)),
    parked: row => row.parked,
    reason: row => row.reason ?? '',
  })
  return EXIT.ok
}

/** `projections parked APPLICATION [PROJECTION]` */
export async function listParked(
  context: CommandContext,
  projections: Projections,
  name: string | undefined,
): Promise<ExitCode> {
  const all = await projections.list()
  const names = name === undefined ? all.map(each => each.name) : [known(all, name).name]
  const rows: (ParkedStream & { readonly projection: string })[] = []
  for (const projection of names) {
    for (const row of await projections.parked(projection)) rows.push({ projection, ...row })
  }
  printRows(context, rows, {
    projection: row => row.projection,
    stream: row => `${row.stream.category}/${row.stream.id}`,
    tenant: row => row.stream.tenant,
    events: row => `${row.firstVersion} to ${row.lastVersion}`,
    attempts: row => row.attempts,
    parked: row => new Date(row.parkedAt).toISOString(),
    reason: row => row.reason,
  })
  return EXIT.ok
}

/** `projections rebuild APPLICATION PROJECTION`: returns when the new tables have taken over. */
export async function rebuildProjection(
  context: CommandContext,
  projections: Projections,
  name: string,
): Promise<ExitCode> {
  known(await projections.list(), name)
  const from = performance.now()
  await projections.rebuild(name)
  await settled(
    context,
    projections,
    one => one.name === name && one.rebuild?.state === 'under way' && !isHeldUp(one),
  )
  if (context.signal.aborted) return EXIT.interrupted
  const now = known(await projections.list(), name)
  if (now.rebuild?.state !== 'done') {
    throw new CommandError(
      `projection ${name} is not rebuilt: ${now.rebuild?.reason ?? now.reason}`,
      EXIT.failed,
      now.parked === 0 ? undefined : `${counted(now.parked, 'parked stream')}: redrive them.`,
    )
  }
  const ms = performance.now() - from
  printAnswer(context, `${name} is rebuilt, in ${span(ms)}`, { projection: name, ms })
  return EXIT.ok
}

/** `projections redrive APPLICATION PROJECTION` */
export async function redriveProjection(
  context: CommandContext,
  projections: Projections,
  name: string,
  options: RedriveOptions,
): Promise<ExitCode> {
  known(await projections.list(), name)
  const { limit = REDRIVE_LIMIT, stream, tenant = '' } = options
  const redriven = await projections.redrive(
    name,
    stream === undefined ? { limit } : { tenant, ...refOf(stream) },
  )
  printRows(context, redriven, {
    stream: row => `${row.stream.category}/${row.stream.id}`,
    outcome: row => (row.ok ? `handled ${counted(row.events, 'event')}` : 'still parked'),
    reason: row => row.reason ?? '',
  })
  return redriven.every(({ ok }) => ok) ? EXIT.ok : EXIT.failed
}

/** With a node that runs the application. */
export function onNode(named: string, { http }: ProjectionFlags): Projections {
  const address = http ?? process.env['MILLRACE_HTTP'] ?? HTTP_DEFAULT
  return new ProjectionsHttp(address, named)
}

/** Runs `body` on the projections of a data folder, at the end of its log. */
export async function inFolder(
  context: LogContext,
  named: string,
  data: string,
  body: (projections: Projections) => Promise<ExitCode>,
): Promise<ExitCode> {
  const definition = await loadApplication(named, process.cwd())
  await using application = await runApplication(definition, {
    log: context.log,
    folder: applicationFolder(resolve(data), definition.name),
    parts: 'projections',
    onEvent: event => {
      if (event.kind === 'processor-restarted' || event.kind === 'processor-stopped') {
        context.stderr.write(`${event.processor}: ${event.reason}\n`)
      }
    },
  })
  const projections = new OwnProjections(application)
  await settled(context, projections, isBehind)
  if (context.signal.aborted) return EXIT.interrupted
  return await body(projections)
}

/** Projections that run in this process. */
class OwnProjections implements Projections {
  readonly #application: RunningApplication
  readonly #rebuilds = new Map<string, RebuildState>()

  constructor(application: RunningApplication) {
    this.#application = application
  }

  async list(): Promise<readonly Status[]> {
    return this.#all.map(one => {
      const rebuild = this.#rebuilds.get(one.name)
      return rebuild === undefined ? one.status() : { ...one.status(), rebuild }
    })
  }

  parked(name: string): Promise<readonly ParkedStream[]> {
    return this.#named(name).parked()
  }

  async rebuild(name: string): Promise<void> {
    this.#rebuilds.set(name, { state: 'under way' })
    this.#named(name)
      .rebuild()
      .then(
        () => this.#rebuilds.set(name, { state: 'done' }),
        (error: Error) => this.#rebuilds.set(name, { state: 'failed', reason: error.message }),
      )
  }

  redrive(name: string, what: What): Promise<readonly Redriven[]> {
    return this.#named(name).redrive(what)
  }

  get #all() {
    return Object.values(this.#application.projections)
  }

  #named(name: string) {
    return this.#all.find(one => one.name === name) ?? unknown(name, this.#all)
  }
}

/** Whether the new tables are ready and may not take over, or cannot be made. */
const isHeldUp = ({ state, reason, lag }: Status): boolean =>
  state === 'stopped' || (state === 'rebuilding' && reason !== undefined && lag === 0)
/** Whether it has not seen the end of the log yet; one that has stopped never will. */
const isBehind = (one: Status): boolean => one.state !== 'running' && one.state !== 'stopped'

/** Waits while any projection is busy, and shows how far they are. */
async function settled(
  context: CommandContext,
  projections: Projections,
  isBusy: (one: Status) => boolean,
): Promise<void> {
  let isShown = false
  while (!context.signal.aborted) {
    const busy = (await projections.list()).filter(isBusy)
    if (busy.length === 0) break
    if (context.stderr.isTerminal) {
      const text = busy.map(progressOf).join('   ')
      context.stderr.draw(`\r\u001b[K${printable(text).slice(0, context.stderr.columns - 1)}`)
      isShown = true
    }
    await new Promise(next => setTimeout(next, POLL_MS))
  }
  if (isShown) context.stderr.draw('\r\u001b[K')
}

/** `work-list 41,000 handled  12,300/s  3.2 s left` */
function progressOf(one: Status): string {
  const left = one.timeLeftMs === null ? '' : `  ${span(one.timeLeftMs)} left`
  return `${one.name} ${count(one.handled)} handled  ${count(one.rate)}/s${left}`
}

const known = (all: readonly Status[], name: string): Status =>
  all.find(one => one.name === name) ?? unknown(name, all)

function unknown(name: string, all: readonly { readonly name: string }[]): never {
  throw new CommandError(
    `the application has no projection ${name}`,
    EXIT.usage,
    `It has: ${all.map(one => one.name).join(', ')}.`,
  )
}

/** `loan/173688` */
function refOf(text: string): { readonly category: string; readonly id: string } {
  const at = text.indexOf('/')
  if (at < 1 || at === text.length - 1) {
    throw new CommandError(`--stream wants CATEGORY/ID, not "${text}"`, EXIT.usage)
  }
  return { category: text.slice(0, at), id: text.slice(at + 1) }
}
