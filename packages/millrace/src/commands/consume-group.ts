/**
 * `consume --group`: the command as a member of a consumer group, beside other members in whatever
 * language. What is printed is committed, every second and at the end, so that a run that is killed
 * prints some records again and loses none.
 */
import { type Consumer, createConsumer, type Log } from '@millrace/log'
import type { LogContext } from '../cli/context.ts'
import { CommandError, EXIT } from '../exit-codes.ts'
import type { RecordPrinter } from '../text/record-printer.ts'
import { partitionRanges, requireTopic } from './partition-ranges.ts'

const COMMIT_INTERVAL_MS = 1_000
/** How often a member looks whether all its partitions are read to their ends. */
const END_CHECK_MS = 100

/** What of `consume`'s options concerns a member. */
export type MemberOptions = {
  readonly group: string
  readonly from?: string
  readonly untilEnd?: boolean
  readonly limit?: number
}

/** Prints what the group gives this member, until the end, the limit, or the interrupt. */
export async function consumeAsMember(
  context: LogContext,
  topic: string,
  options: MemberOptions,
  printer: RecordPrinter,
): Promise<void> {
  const { log, signal } = context
  const ends = options.untilEnd === true ? await endsOf(log, topic) : null
  if (ends === null) await requireTopic(log, topic)
  const consumer = createConsumer(log, {
    groupId: options.group,
    isolation: 'read_committed',
    autoOffsetReset: resetOf(options),
    commitIntervalMs: COMMIT_INTERVAL_MS,
    onBackgroundError: error => context.stderr.write(`${error.message}\n`),
  })
  const stop = (): void => void consumer.close().catch(() => {})
  signal.addEventListener('abort', stop, { once: true })
  const endCheck =
    ends === null ? null : setInterval(() => atEnd(consumer, ends) && stop(), END_CHECK_MS)
  try {
    consumer.subscribe([topic])
    if (!signal.aborted) await print(context, consumer, options.limit, printer)
  } finally {
    if (endCheck !== null) clearInterval(endCheck)
    signal.removeEventListener('abort', stop)
    await consumer.close()
  }
}

async function print(
  context: LogContext,
  consumer: Consumer,
  limit: number | undefined,
  printer: RecordPrinter,
): Promise<void> {
  let left = limit ?? Number.POSITIVE_INFINITY
  for await (const { topic, partition, records } of consumer) {
    for (const { offset, timestamp, key, value, headers } of records) {
      printer.add({ topic, partition, offset, timestamp, key, value, headers })
      left -= 1
      if (left > 0) continue
      printer.flush()
      // The batch is left in the middle: exactly what was printed counts as done.
      await consumer.commit([{ topic, partition, offset: offset + 1 }])
      return
    }
    printer.flush()
    await context.stdout.ready()
  }
}

async function endsOf(log: Log, name: string): Promise<ReadonlyMap<number, number>> {
  const ranges = await partitionRanges(log, [await requireTopic(log, name)])
  return new Map(ranges.map(range => [range.partition, range.latest]))
}

/** Whether everything that this member has is read. One that has nothing waits for its turn. */
function atEnd(consumer: Consumer, ends: ReadonlyMap<number, number>): boolean {
  const assigned = consumer.assignment()
  return (
    assigned.length > 0 &&
    assigned.every(each => (consumer.position(each) ?? -1) >= (ends.get(each.partition) ?? 0))
  )
}

/** Where a group begins that has committed nothing. */
function resetOf(options: MemberOptions): 'earliest' | 'latest' {
  const { from, untilEnd, limit } = options
  if (from === 'earliest' || from === 'latest') return from
  if (from === undefined) return untilEnd === true || limit !== undefined ? 'earliest' : 'latest'
  throw new CommandError(
    'with --group, --from says where a group without commits begins: earliest or latest',
    EXIT.usage,
    'Move the commits of a group with "millrace groups reset".',
  )
}
