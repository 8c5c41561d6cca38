/**
 * Commands about an application of a file: `import` and `replay`. They work on a node that runs, over
 * the Kafka protocol, or with `--data` on a data folder that nobody has open.
 */
import { resolve } from 'node:path'
import { makeFolders, systemOutside } from '@millrace/base'
import { categoriesOf, createProjectionProcessor, openSqlite } from '@millrace/model'
import { openStore } from '@millrace/store'
import type { Kysely } from 'kysely'
import type { ApplicationDefinition, Figures } from 'millrace'
import { CommandError, EXIT, type ExitCode } from 'millrace/errors'
import { asOf } from '../application/as-of.ts'
import { Importer, type ImportProgress } from '../application/importer.ts'
import { loadApplication } from '../application/load-application.ts'
import { applicationFolder, indexFolder, runApplication } from '../application/run-application.ts'
import { withTemporaryFolder } from '../application/temporary-folder.ts'
import { type LogContext, printAnswer, printRows } from '../terminal/context.ts'
import { openInput } from '../terminal/input.ts'
import { LineSplitter } from '../text/line-splitter.ts'
import { count, span } from '../text/quantity.ts'
import { unzipped } from '../text/unzipped.ts'
import { ProduceProgress } from './produce-progress.ts'

type DataFlag = { readonly data?: string }
/** Flags of `import`. */
export type ImportOptions = DataFlag & { readonly concurrency: number; readonly quiet?: boolean }
/** Flags of `replay`. */
export type ReplayOptions = DataFlag & { readonly at?: string }

const LINE_BYTES_MAX = 1024 * 1024

/** `import APPLICATION [FILE]` */
export async function importFile(
  context: LogContext,
  named: string,
  path: string | undefined,
  options: ImportOptions,
): Promise<ExitCode> {
  const definition = await loadApplication(named, process.cwd())
  const { importLine } = definition
  if (importLine === undefined) {
    throw new CommandError(
      `application ${definition.name} takes no imports`,
      EXIT.usage,
      'Give its definition an importLine.',
    )
  }
  const input = await openInput(path, context.stdin, context.signal)
  return withFolder(definition, options, async folder => {
    await using application = await runApplication(definition, {
      log: context.log,
      folder,
      parts: 'commands',
    })
    const importer = new Importer(application, importLine, options.concurrency)
    const { progress } = importer
    const shown =
      context.stderr.isTerminal && options.quiet !== true
        ? new ProduceProgress(context.stderr, input.totalBytes, () => ({
            records: progress.lines,
            bytes: input.bytesRead(),
          }))
        : undefined
    const from = performance.now()
    try {
      await feed(importer, unzipped(input.chunks, context.signal))
    } finally {
      shown?.end()
    }
    if (options.quiet !== true) tellImport(context, progress, performance.now() - from)
    return context.signal.aborted ? EXIT.interrupted : EXIT.ok
  })
}

async function feed(importer: Importer, chunks: AsyncIterable<Buffer>): Promise<void> {
  const lines = new LineSplitter(LINE_BYTES_MAX)
  const take = async (line: Buffer): Promise<void> => {
    const text = line.toString('utf8').trim()
    if (text !== '') await importer.line(text)
  }
  for await (const chunk of chunks) for (const line of lines.push(chunk)) await take(line)
  const last = lines.end()
  if (last !== null) await take(last)
  await importer.end()
}

function tellImport(context: LogContext, progress: ImportProgress, ms: number): void {
  const { lines, imported, known } = progress
  const rate = count((lines / ms) * 1000)
  const sentence = `${count(lines)} lines in ${span(ms)} (${rate}/s): ${count(imported)} imported, ${count(known)} known already`
  printAnswer(context, sentence, { ...progress, ms: Math.round(ms) })
}

/** `replay APPLICATION --at TIME` */
export async function replay(
  context: LogContext,
  named: string,
  options: ReplayOptions,
): Promise<ExitCode> {
  const definition = await loadApplication(named, process.cwd())
  const time = options.at === undefined ? context.now() : Date.parse(options.at)
  if (!Number.isFinite(time)) {
    throw new CommandError(
      `--at wants a time such as 2012-01-01T00:00:00Z, not "${options.at}"`,
      EXIT.usage,
    )
  }
  return withFolder(definition, options, async folder => {
    const figures = await stateAt(context, definition, folder, time)
    const at = new Date(time).toISOString()
    if (context.json) {
      printAnswer(context, '', { application: definition.name, at, figures })
      return EXIT.ok
    }
    context.stdout.write(`${definition.name} at ${at}\n\n`)
    printRows(context, Object.entries({ ...figures }), {
      figure: ([name]) => name,
      value: ([, value]) => value,
    })
    return EXIT.ok
  })
}

/** The read models as they were at a time, made anew in memory. */
async function stateAt(
  context: LogContext,
  definition: ApplicationDefinition,
  folder: string,
  time: number,
): Promise<Figures> {
  const projections = Object.entries(definition.projections ?? {})
  makeFolders(folder)
  await using store = await openStore({
    log: context.log,
    folder: indexFolder(folder),
    categories: categoriesOf(Object.values(definition.aggregates)),
    ...(definition.keys === undefined ? {} : { keys: definition.keys }),
    ...(definition.audit === undefined ? {} : { audit: definition.audit }),
  })
  const sql = await openSqlite({ file: ':memory:' })
  const past = asOf(store, time)
  const processors = projections.map(([key, projection]) => {
    const runtime = {
      store: past,
      log: context.log,
      outside: systemOutside(),
      onEvent: () => {},
    }
    return [key, createProjectionProcessor(projection, runtime, sql, {})] as const
  })
  try {
    const views: Record<string, { readonly db: Kysely<never> }> = {}
    for (const [key, processor] of processors) {
      await processor.start()
      const categories = definition.projections?.[key]?.from.map(({ name }) => name) ?? []
      await processor.reached(await store.now(categories), { signal: context.signal })
      views[key] = { db: processor.db as Kysely<never> }
    }
    return (await definition.figures?.(views as never)) ?? {}
  } finally {
    await Promise.all(processors.map(([, processor]) => processor.stop()))
    await sql.close()
  }
}

/** Where the index is: that of the data folder, or one that is not kept. */
async function withFolder<T>(
  definition: ApplicationDefinition,
  { data }: DataFlag,
  body: (folder: string) => Promise<T>,
): Promise<T> {
  if (data !== undefined) return body(applicationFolder(resolve(data), definition.name))
  return withTemporaryFolder(body)
}
