/**
 * `consume --group`: the command as a member of a consumer group, beside other members in whatever
 * language. What is printed is committed, every second and at the end, so that a run that is killed
 * prints some records again and loses none.
 */
import { type Consumer, createConsumer } from '@millrace/clients'
import type { Log } from '@millrace/log'
import { CommandError, EXIT } from 'millrace/errors'
import type { LogContext } from '../terminal/context.ts'
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
    onBackgroundError: error => context.stderr.write(`${error.message}\n`),
  })
  const printed = new PrintedOffsets(consumer, topic)
  const stop = (): void => void consumer.close().catch(() => {})
  signal.addEventListener('abort', stop, { once: true })
  const timers = [
    setInterval(() => {
      printed.commit().catch((error: unknown) => context.stderr.write(`${String(error)}\n`))
    }, COMMIT_INTERVAL_MS),
    setInterval(() => {
      if (ends !== null && atEnd(consumer, ends)) stop()
    }, END_CHECK_MS),
  ]
  try {
    // What goes to another member is committed before it goes; closing gives everything away.
    consumer.subscribe([topic], { onRevoked: () => printed.commit() })
    if (!signal.aborted) await print(context, consumer, options.limit, printer, printed)
  } finally {
    for (const timer of timers) clearInterval(timer)
    signal.removeEventListener('abort', stop)
    await consumer.close()
  }
}

/** What was printed and is not committed yet. */
class PrintedOffsets {
  #consumer: Consumer
  #topic: string
  #next = new Map<number, number>()

  constructor(consumer: Consumer, topic: string) {
    this.#consumer = consumer
    this.#topic = topic
  }

  /** Everything below `next` is printed. */
  add(partition: number, next: number): void {
    this.#next.set(partition, next)
  }

  async commit(): Promise<void> {
    const offsets = [...this.#next].map(([partition, offset]) => ({
      topic: this.#topic,
      partition,
      offset,
    }))
    this.#next.clear()
    await this.#consumer.commit(offsets)
  }
}

async function print(
  context: LogContext,
  consumer: Consumer,
  limit: number | undefined,
  printer: RecordPrinter,
  printed: PrintedOffsets,
): Promise<void> {
  let left = limit ?? Number.POSITIVE_INFINITY
  for await (const { topic, partition, records, lastOffset } of consumer) {
    for (const { offset, timestamp, key, value, headers } of records) {
      printer.add({ topic, partition, offset, timestamp, key, value, headers })
      left -= 1
      if (left > 0) continue
      printer.flush()
      printed.add(partition, offset + 1)
      return
    }
    printer.flush()
    printed.add(partition, lastOffset + 1)
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
