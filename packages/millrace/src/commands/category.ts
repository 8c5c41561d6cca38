/**
 * `category rewrite`: writes a category anew in a data folder that nobody has open, so that what is
 * no event, and on demand the data of what was truncated or deleted, is physically gone. It may be
 * stopped at any moment; the next call goes on.
 */
import { type RewriteReport, rewriteCategory } from '@millrace/store'
import { type LogContext, printAnswer } from '../cli/context.ts'
import { CommandError, EXIT, type ExitCode } from '../exit-codes.ts'
import { count, counted } from '../text/quantity.ts'

/** Flags of `category rewrite`. */
export type RewriteCategoryOptions = {
  readonly dropTruncated?: boolean
  readonly dropTombstoned?: boolean
  readonly dryRun?: boolean
}

/** `category rewrite CATEGORY --data DIR` */
export async function rewrite(
  context: LogContext,
  category: string,
  options: RewriteCategoryOptions,
): Promise<ExitCode> {
  const { dropTruncated = false, dropTombstoned = false, dryRun = false } = options
  const { stderr, signal } = context
  const report = await rewriteCategory({
    log: context.log,
    category,
    drop: { truncated: dropTruncated, tombstoned: dropTombstoned },
    dryRun,
    onProgress: ({ step, done, buckets }) => {
      if (signal.aborted) {
        throw new CommandError('interrupted', EXIT.interrupted, 'Run it again: it goes on.')
      }
      if (stderr.isTerminal) stderr.write(`\r\u001b[K${step}: bucket ${done} of ${buckets}`)
    },
  })
  if (stderr.isTerminal) stderr.write('\r\u001b[K')
  printAnswer(context, sentenceOf(report, dryRun), { ...report, dryRun })
  return EXIT.ok
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
