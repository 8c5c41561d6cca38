/**
 * `category rewrite`: writes a category anew in a data folder that nobody has open, so that what is
 * no event, and on demand the data of what was truncated or deleted, is physically gone. It may be
 * stopped at any moment; the next call goes on.
 */
import { rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import { type RewriteOptions, type RewriteReport, rewriteCategory } from '@millrace/store'
import { CommandError, EXIT, type ExitCode } from 'millrace/errors'
import { loadApplication } from '../application/load-application.ts'
import { applicationFolder } from '../application/run-application.ts'
import { type LogContext, printAnswer } from '../terminal/context.ts'
import { count, counted } from '../text/quantity.ts'

/** Flags of `category rewrite`. */
export type RewriteCategoryOptions = {
  readonly data: string
  readonly buckets?: number
  readonly app?: string
  readonly dropTruncated?: boolean
  readonly dropTombstoned?: boolean
  readonly dryRun?: boolean
}

/** More buckets than anybody has processors for. */
const BUCKETS_MAX = 1_024

/** `category rewrite CATEGORY --data DIR` */
export async function rewrite(
  context: LogContext,
  category: string,
  options: RewriteCategoryOptions,
): Promise<ExitCode> {
  const { dropTruncated = false, dropTombstoned = false, dryRun = false } = options
  const { stderr, signal } = context
  const spread = await spreadOf(options, category)
  if (spread !== undefined && !dryRun) await forgetDerived(options)
  const report = await rewriteCategory({
    log: context.log,
    category,
    drop: { truncated: dropTruncated, tombstoned: dropTombstoned },
    dryRun,
    ...(spread === undefined ? {} : { spread }),
    onProgress: ({ step, done, buckets }) => {
      if (signal.aborted) {
        throw new CommandError('interrupted', EXIT.interrupted, 'Run it again: it goes on.')
      }
      if (stderr.isTerminal) stderr.draw(`\r\u001b[K${step}: bucket ${done} of ${buckets}`)
    },
  })
  if (stderr.isTerminal) stderr.draw('\r\u001b[K')
  printAnswer(context, sentenceOf(report, dryRun), { ...report, dryRun })
  return EXIT.ok
}

/** How streams are to be spread: by the boundary that the application gives them. */
async function spreadOf(
  { buckets: count, app }: RewriteCategoryOptions,
  category: string,
): Promise<RewriteOptions['spread']> {
  if (count === undefined) return undefined
  if (count < 1 || count > BUCKETS_MAX) {
    throw new CommandError(`--buckets must be 1 to ${BUCKETS_MAX}, not ${count}`, EXIT.usage)
  }
  if (app === undefined) {
    throw new CommandError(
      '--buckets needs the application that knows which streams belong together',
      EXIT.usage,
      'Name it with --app NAME.',
    )
  }
  const { name, aggregates, sagas = {} } = await loadApplication(app, process.cwd())
  const aggregate = Object.values(aggregates).find(one => one.name === category)
  const saga = Object.values(sagas).find(one => one.name === category)
  if (aggregate === undefined && saga === undefined) {
    throw new CommandError(`${name} has no aggregate or saga ${category}`, EXIT.usage)
  }
  const boundary = aggregate === undefined ? saga?.boundary : aggregate.options.boundary
  return { count, ...(boundary === undefined ? {} : { boundary }) }
}

/** Index and read models point at offsets that are about to change: both are made anew. */
async function forgetDerived({ data, app }: RewriteCategoryOptions): Promise<void> {
  const { name } = await loadApplication(app ?? '', process.cwd())
  await rm(applicationFolder(resolve(data), name), { recursive: true, force: true })
}

function sentenceOf(report: RewriteReport, dryRun: boolean): string {
  const { category, events, streams, others, dropped, resumed } = report
  const kept = `${counted(events, 'event')} of ${counted(streams, 'stream')}`
  if (resumed) return `the rewrite of ${category} that had begun is done: ${kept}`
  const gone = [
    `${counted(others, 'record')} that ${others === 1 ? 'is' : 'are'} no event`,
    ...(dropped > 0 ? [`the data of ${count(dropped)} of the events`] : []),
  ].join(', and ')
  return dryRun
    ? `${category}: ${kept} would stay; without ${gone}`
    : `${category} is rewritten: ${kept}; without ${gone}`
}
