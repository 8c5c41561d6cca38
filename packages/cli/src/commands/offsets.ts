/** `millrace offsets TOPIC`: where each partition begins and ends, and the offset of a place. */

import { EXIT, type ExitCode } from 'millrace/errors'
import { type LogContext, printRows } from '../terminal/context.ts'
import { parsePlace } from '../text/place.ts'
import { offsetsAt, partitionRanges, requireTopic } from './partition-ranges.ts'

/** `offsets TOPIC [--at PLACE]` */
export async function showOffsets(
  context: LogContext,
  name: string,
  options: { readonly at?: string },
): Promise<ExitCode> {
  const topic = await requireTopic(context.log, name)
  const ranges = await partitionRanges(context.log, [topic])
  if (options.at === undefined) {
    printRows(context, ranges, {
      partition: range => range.partition,
      earliest: range => range.earliest,
      latest: range => range.latest,
      records: range => range.latest - range.earliest,
    })
    return EXIT.ok
  }
  const place = parsePlace(options.at, context.now())
  const found =
    place.kind === 'offset'
      ? ranges.map(() => place.offset)
      : await offsetsAt(context.log, ranges, place.kind === 'time' ? place.timestamp : place.kind)
  const rows = ranges.map((range, index) => {
    const offset = found[index] ?? -1
    // A time after the last record: reading from there shows what comes next.
    return { ...range, at: offset === -1 ? range.latest : offset }
  })
  printRows(context, rows, {
    partition: row => row.partition,
    earliest: row => row.earliest,
    latest: row => row.latest,
    at: row => row.at,
    after: row => Math.max(0, row.latest - row.at),
  })
  return EXIT.ok
}
