/**
 * `millrace consume TOPIC`: prints records, following until interrupted, or to an end.
 *
 * Without a group the partitions are read by hand and nothing is left behind; with one, see
 * consume-group. Nothing more is read until the reader of standard output has taken what is there.
 */

import { CommandError, EXIT, type ExitCode } from 'millrace/errors'
import type { LogContext } from '../terminal/context.ts'
import { parsePlace } from '../text/place.ts'
import { RecordPrinter } from '../text/record-printer.ts'
import { consumeAsMember } from './consume-group.ts'
import { offsetsAt, rangesOf, requireTopic, targetsOf } from './partition-ranges.ts'
import { type ReadRange, readPartitions } from './partition-reader.ts'

/** Options of `consume`. */
export type ConsumeOptions = {
  readonly from?: string
  readonly untilEnd?: boolean
  readonly limit?: number
  readonly partition?: readonly number[]
  readonly group?: string
  readonly format?: string
}

/** `consume TOPIC` */
export async function consume(
  context: LogContext,
  topic: string,
  options: ConsumeOptions,
): Promise<ExitCode> {
  const { stdout } = context
  const format = options.format ?? (stdout.isTerminal && !context.json ? 'value' : 'json')
  const printer = new RecordPrinter(format, bytes => stdout.write(bytes))
  if (options.limit === 0) return EXIT.ok
  if (options.group === undefined) await consumeByHand(context, topic, options, printer)
  else {
    if (options.partition !== undefined) {
      throw new CommandError('--partition and --group exclude each other', EXIT.usage)
    }
    await consumeAsMember(context, topic, { ...options, group: options.group }, printer)
  }
  return EXIT.ok
}

async function consumeByHand(
  context: LogContext,
  topic: string,
  options: ConsumeOptions,
  printer: RecordPrinter,
): Promise<void> {
  const ranges = await rangesToRead(context, topic, options)
  let left = options.limit ?? Number.POSITIVE_INFINITY
  for await (const batches of readPartitions(context.log, ranges, context.signal)) {
    for (const { partition, batch, from, until } of batches) {
      for (const record of batch.records()) {
        if (record.offset < from || record.offset >= until) continue
        const { offset, timestamp, key, value, headers } = record
        printer.add({ topic, partition, offset, timestamp, key, value, headers })
        left -= 1
        if (left <= 0) return printer.flush()
      }
      await context.stdout.ready()
    }
    printer.flush()
  }
}

/** Whether a run that names no place begins with the first record: it does when it has an end. */
function beginsEarliest(options: ConsumeOptions): boolean {
  return options.untilEnd === true || options.limit !== undefined
}

async function rangesToRead(
  context: LogContext,
  name: string,
  options: ConsumeOptions,
): Promise<readonly ReadRange[]> {
  const { log } = context
  const targets = targetsOf([await requireTopic(log, name)], options.partition)
  const bounds = await rangesOf(log, targets)
  const text = options.from ?? (beginsEarliest(options) ? 'earliest' : 'latest')
  const place = parsePlace(text, context.now())
  const byTime = place.kind === 'time' ? await offsetsAt(log, targets, place.timestamp) : []
  return bounds.map(({ topic, partition, earliest, latest }, index) => {
    const wanted =
      place.kind === 'earliest'
        ? earliest
        : place.kind === 'offset'
          ? place.offset
          : place.kind === 'time'
            ? (byTime[index] ?? -1)
            : latest
    // No record at or after the time asked for: what comes next is.
    const from = wanted === -1 ? latest : Math.min(Math.max(wanted, earliest), latest)
    return { topic, partition, from, ...(options.untilEnd === true ? { until: latest } : {}) }
  })
}
