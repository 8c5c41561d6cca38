/**
 * `millrace bench`: writes records to a log as fast as it takes them, or at a rate, reads them back,
 * and prints rate and latency. A look at one machine, not a comparison: see BENCHMARKS.md for that.
 *
 * Latency is from the moment a record was due (with `--rate`) or offered to its acknowledgement, so
 * that a stall is counted for every record that it delayed.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { createProducer } from '@millrace/clients'
import type { Compression, LogError } from '@millrace/log'
import { EXIT, type ExitCode } from 'millrace/errors'
import { type LogContext, printRows } from '../terminal/context.ts'
import { LatencyHistogram } from '../text/latency-histogram.ts'
import { bytes, count, span } from '../text/quantity.ts'
import { partitionRanges, requireTopic } from './partition-ranges.ts'
import { readPartitions } from './partition-reader.ts'

const KEYS = 1_000
/** With a rate, records are due in steps of this length. */
const STEP_MS = 1
const RECORD_BYTES_MAX = 1024 * 1024

/** Options of `bench`. */
export type BenchOptions = {
  readonly topic?: string
  readonly records: number
  readonly recordBytes: number
  readonly partitions: number
  readonly rate?: number
  /** False with --no-consume. */
  readonly consume?: boolean
  readonly compression?: Compression
}

type Figures = {
  readonly phase: 'produce' | 'consume'
  readonly records: number
  readonly bytes: number
  readonly ms: number
  readonly latency: LatencyHistogram | null
}

/** `bench` */
export async function bench(context: LogContext, options: BenchOptions): Promise<ExitCode> {
  if (options.recordBytes > RECORD_BYTES_MAX) {
    throw new RangeError(`--record-bytes must be at most ${RECORD_BYTES_MAX}`)
  }
  const { log } = context
  const topic = options.topic ?? `bench-${randomBytes(4).toString('hex')}`
  const known = (await log.describeTopics([topic])).some(each => each.name === topic)
  if (!known) {
    const [outcome] = await log.createTopics([{ name: topic, partitions: options.partitions }])
    if (outcome?.error !== undefined) throw outcome.error
  }
  try {
    const before = await partitionRanges(log, [await requireTopic(log, topic)])
    const figures = [await writeRecords(context, topic, options)]
    if (options.consume !== false && !context.signal.aborted) {
      figures.push(await readRecords(context, topic, before))
    }
    printFigures(context, figures)
  } finally {
    if (!known && options.topic === undefined) await log.deleteTopics([topic])
  }
  return context.signal.aborted ? EXIT.interrupted : EXIT.ok
}

async function writeRecords(
  context: LogContext,
  topic: string,
  options: BenchOptions,
): Promise<Figures> {
  const latency = new LatencyHistogram()
  let failure: LogError | null = null
  const producer = createProducer(context.log, {
    compression: options.compression ?? 'none',
    recordBytesMax: RECORD_BYTES_MAX + 64,
  })
  const value = randomBytes(options.recordBytes)
  const startedAt = performance.now()
  let sent = 0
  while (sent < options.records && failure === null && !context.signal.aborted) {
    const dueAt =
      options.rate === undefined ? performance.now() : startedAt + (sent * 1000) / options.rate
    if (dueAt > performance.now()) {
      await sleep(STEP_MS)
      continue
    }
    const taken = producer.offer(topic, { key: `key-${sent % KEYS}`, value }, error => {
      if (error === null) latency.add(performance.now() - dueAt)
      else failure ??= error
    })
    if (taken) sent += 1
    else await producer.ready(topic)
  }
  await producer.close()
  if (failure !== null) throw failure
  return {
    phase: 'produce',
    records: sent,
    bytes: sent * options.recordBytes,
    ms: performance.now() - startedAt,
    latency,
  }
}

async function readRecords(
  context: LogContext,
  topic: string,
  before: readonly { readonly partition: number; readonly latest: number }[],
): Promise<Figures> {
  const after = await partitionRanges(context.log, [await requireTopic(context.log, topic)])
  const ranges = after.map(({ partition, latest }) => ({
    topic,
    partition,
    from: before.find(each => each.partition === partition)?.latest ?? 0,
    until: latest,
  }))
  const startedAt = performance.now()
  let records = 0
  let read = 0
  for await (const batches of readPartitions(context.log, ranges, context.signal)) {
    for (const { batch } of batches) {
      for (const record of batch.records()) {
        records += 1
        read += record.value?.length ?? 0
      }
    }
  }
  return {
    phase: 'consume',
    records,
    bytes: read,
    ms: performance.now() - startedAt,
    latency: null,
  }
}

function printFigures(context: LogContext, figures: readonly Figures[]): void {
  const latencyText = (each: Figures, share: number): string =>
    each.latency === null ? '-' : span(each.latency.percentile(share))
  printRows(
    context,
    figures,
    {
      phase: each => each.phase,
      records: each => each.records,
      time: each => span(each.ms),
      'records/s': each => count((each.records * 1000) / each.ms),
      'bytes/s': each => bytes(Math.round((each.bytes * 1000) / each.ms)),
      p50: each => latencyText(each, 0.5),
      p95: each => latencyText(each, 0.95),
      p99: each => latencyText(each, 0.99),
      'p99.9': each => latencyText(each, 0.999),
      max: each => latencyText(each, 1),
    },
    ({ phase, records, bytes: size, ms, latency }) => ({
      phase,
      records,
      bytes: size,
      ms,
      ...(latency === null
        ? {}
        : {
            latencyMs: {
              p50: latency.percentile(0.5),
              p95: latency.percentile(0.95),
              p99: latency.percentile(0.99),
              p999: latency.percentile(0.999),
              max: latency.percentile(1),
            },
          }),
    }),
  )
}
