/**
 * Commands about streams: `list`, `show`, `diff`. They read through an event store of their own, on a
 * node that runs or with `--data` on a folder that nobody has open. With `--app` events are as the
 * application reads them: brought to their present schema, personal fields opened.
 */
import { categoriesOf } from '@millrace/model'
import { type EventStore, openStore, type RecordedEvent, type StreamListing } from '@millrace/store'
import { CommandError, EXIT, type ExitCode } from 'millrace/errors'
import { loadApplication } from '../application/load-application.ts'
import { runApplication } from '../application/run-application.ts'
import { withTemporaryFolder } from '../application/temporary-folder.ts'
import { type LogContext, printAnswer, printRows } from '../terminal/context.ts'
import { jsonDifferences } from '../text/json-differences.ts'

type StreamFlags = { readonly app?: string; readonly tenant?: string }
/** Flags of `streams list`. */
export type ListStreamsOptions = StreamFlags & {
  readonly prefix?: string
  readonly after?: string
  readonly limit?: number
}
/** Flags of `streams show`. */
export type ShowStreamOptions = StreamFlags & {
  readonly from?: number
  readonly to?: number
  readonly limit?: number
  readonly backwards?: boolean
}
/** Flags of `streams diff`. */
export type DiffStreamOptions = StreamFlags & { readonly from?: number; readonly to?: number }

const LIST_LIMIT = 100

/** `streams list CATEGORY` */
export async function listStreams(
  context: LogContext,
  category: string,
  options: ListStreamsOptions,
): Promise<ExitCode> {
  return withStore(context, category, options, async store => {
    const rows: StreamListing[] = []
    const { tenant = '', prefix, after, limit = LIST_LIMIT } = options
    const wanted = {
      tenant,
      limit,
      ...(prefix === undefined ? {} : { prefix }),
      ...(after === undefined ? {} : { after }),
    }
    for await (const row of store.streams(category, wanted)) {
      if (context.signal.aborted) return EXIT.interrupted
      rows.push(row)
    }
    printRows(context, rows, {
      stream: row => row.stream.id,
      version: row => row.version,
      created: row => timeText(row.createdAt),
      updated: row => timeText(row.updatedAt),
      bucket: row => row.bucket,
      state: row => (row.tombstoned ? 'deleted' : row.archived ? 'archived' : ''),
    })
    if (rows.length === limit && !context.json) {
      context.stderr.write(`the first ${limit}; go on with --after ${rows.at(-1)?.stream.id}\n`)
    }
    return EXIT.ok
  })
}

/** `streams show CATEGORY ID` */
export async function showStream(
  context: LogContext,
  category: string,
  id: string,
  options: ShowStreamOptions,
): Promise<ExitCode> {
  return withStore(context, category, options, async store => {
    const { tenant = '', from, to, limit, backwards } = options
    const state = await store.state({ tenant, category, id })
    if (state.version === 0) throw noStream(category, id)
    const { events } = await store
      .read(
        { tenant, category, id },
        {
          ...(from === undefined ? {} : { from }),
          ...(to === undefined ? {} : { to }),
          ...(limit === undefined ? {} : { limit }),
          ...(backwards === undefined ? {} : { backwards }),
        },
      )
      .all()
    printRows<RecordedEvent>(context, events, {
      version: event => event.version,
      time: event => timeText(event.time),
      type: event => event.type,
      data: event => JSON.stringify(event.data),
    })
    return EXIT.ok
  })
}

/** `streams diff CATEGORY ID`: what the events between two versions changed in the state. */
export async function diffStream(
  context: LogContext,
  category: string,
  id: string,
  options: DiffStreamOptions,
): Promise<ExitCode> {
  const { app, tenant = '' } = options
  if (app === undefined) {
    throw new CommandError(
      'diff needs the application that knows the state',
      EXIT.usage,
      'Name it with --app NAME.',
    )
  }
  const definition = await loadApplication(app, process.cwd())
  const aggregate = Object.values(definition.aggregates).find(({ name }) => name === category)
  if (aggregate === undefined) {
    throw new CommandError(`${definition.name} has no aggregate ${category}`, EXIT.usage)
  }
  return withTemporaryFolder(async folder => {
    await using application = await runApplication(definition, {
      log: context.log,
      folder,
      parts: 'commands',
    })
    const { version } = await application.store.state({ tenant, category, id })
    if (version === 0) throw noStream(category, id)
    const { to = version, from = Math.max(0, to - 1) } = options
    const view = application.tenant(tenant)
    const before = await view.state(aggregate, id, { version: from })
    const after = await view.state(aggregate, id, { version: to })
    const differences = jsonDifferences(before.state, after.state)
    if (!context.json) context.stdout.write(`${category} ${id}: version ${from} to ${to}\n\n`)
    printRows(context, differences, {
      path: row => row.path,
      before: row => shown(row.before),
      after: row => shown(row.after),
    })
    if (differences.length === 0) printAnswer(context, 'the state is the same', { same: true })
    return EXIT.ok
  })
}

const shown = (value: unknown): string => (value === undefined ? '-' : JSON.stringify(value))

const timeText = (time: number): string => (time < 0 ? '' : new Date(time).toISOString())

const noStream = (category: string, id: string): CommandError =>
  new CommandError(`there is no stream ${id} in ${category}`, EXIT.failed)

async function withStore(
  context: LogContext,
  category: string,
  { app }: StreamFlags,
  body: (store: EventStore) => Promise<ExitCode>,
): Promise<ExitCode> {
  const [topic] = await context.log.describeTopics([category])
  if (topic === undefined) {
    throw new CommandError(`there is no category ${category}: no topic has this name`, EXIT.failed)
  }
  const definition = app === undefined ? undefined : await loadApplication(app, process.cwd())
  const known = definition === undefined ? {} : categoriesOf(Object.values(definition.aggregates))
  return withTemporaryFolder(async folder => {
    await using store = await openStore({
      log: context.log,
      folder,
      categories: { [category]: known[category] ?? {} },
      ...(definition?.keys === undefined ? {} : { keys: definition.keys }),
      ...(definition?.audit === undefined ? {} : { audit: definition.audit }),
    })
    return await body(store)
  })
}
