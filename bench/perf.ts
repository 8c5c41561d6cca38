// Kafka's own load generators, and the figures that they print.
// Bound: ten minutes for one run.
import { runTool } from '../scripts/peers/apache-kafka.ts'
import type { Finished } from '../scripts/peers/command.ts'

const timeoutMs = 600_000
// The load generators run as their scripts start them: server JIT, and a heap that holds the buffers.
const jvm = ['-Xmx512m', '-server', '-XX:+UseG1GC', '-XX:MaxGCPauseMillis=20']

/** What ProducerPerformance prints about a run or about its steady state. */
export interface ProduceFigures {
  readonly records: number
  readonly recordsPerSecond: number
  /** Millions of bytes a second, where Kafka prints MiB. */
  readonly megabytesPerSecond: number
  readonly averageMs: number
  readonly maxMs: number
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
}

/** A load of ProducerPerformance. */
export interface ProduceLoad {
  readonly topic: string
  readonly recordBytes: number
  readonly records: number
  /** Records a second; -1 for as many as possible. */
  readonly throughput: number
  /** Records before the steady state. */
  readonly warmup: number
  readonly properties?: Readonly<Record<string, string>>
}

const line =
  /^(\d+)(?: steady state)? records sent, ([\d.]+) records\/sec \(([\d.]+) MB\/sec\), ([\d.]+) ms avg latency, ([\d.]+) ms max latency, (\d+) ms 50th, (\d+) ms 95th, (\d+) ms 99th, (\d+) ms 99\.9th\.$/

const refuse = (what: string, finished: Finished): never => {
  throw new Error(
    `${what} ended with ${finished.code}:\n${finished.stdout.slice(-1500)}\n${finished.stderr.slice(-1500)}`,
  )
}

/** Runs ProducerPerformance with acks=all. Returns the steady state's figures where there was a warm-up. */
export async function produce(bootstrap: string, load: ProduceLoad): Promise<ProduceFigures> {
  const properties = { acks: 'all', ...load.properties }
  const finished = await runTool(
    'kafka-producer-perf-test',
    [
      ...['--bootstrap-server', bootstrap, '--topic', load.topic],
      ...['--num-records', String(load.records), '--record-size', String(load.recordBytes)],
      ...['--throughput', String(load.throughput), '--reporting-interval', '600000'],
      ...(load.warmup > 0 ? ['--warmup-records', String(load.warmup)] : []),
      '--command-property',
      ...Object.entries(properties).map(([key, value]) => `${key}=${value}`),
    ],
    { jvm, timeoutMs },
  )
  const matches = finished.stdout.split('\n').flatMap(text => {
    const found = line.exec(text.trim())
    return found === null ? [] : [found]
  })
  const found = matches.at(-1)
  if (finished.code !== 0 || found === undefined) return refuse('ProducerPerformance', finished)
  const figure = (i: number): number => Number(found[i])
  const sent = Number(matches[0]?.[1])
  // The tool ends well even when records failed: those it prints, and does not count.
  if (/Exception/.test(finished.stdout + finished.stderr)) refuse('ProducerPerformance', finished)
  return {
    records: sent,
    recordsPerSecond: figure(2),
    megabytesPerSecond: figure(3) * 1.048576,
    averageMs: figure(4),
    maxMs: figure(5),
    p50Ms: figure(6),
    p95Ms: figure(7),
    p99Ms: figure(8),
    p999Ms: figure(9),
  }
}

/** What ConsumerPerformance prints. */
export interface ConsumeFigures {
  readonly records: number
  readonly recordsPerSecond: number
  /** Millions of bytes a second while fetching, without the time to join the group. */
  readonly megabytesPerSecond: number
  readonly joinMs: number
}

/** Runs ConsumerPerformance over `records` records from the start of the topic, with a new group. */
export async function consume(
  bootstrap: string,
  topic: string,
  records: number,
): Promise<ConsumeFigures> {
  const finished = await runTool(
    'kafka-consumer-perf-test',
    [
      ...['--bootstrap-server', bootstrap, '--topic', topic, '--num-records', String(records)],
      ...['--timeout', '30000', '--hide-header'],
    ],
    { jvm, timeoutMs },
  )
  const last = finished.stdout
    .split('\n')
    .filter(text => /^\d{4}-\d\d-\d\d /.test(text))
    .at(-1)
  if (finished.code !== 0 || last === undefined) return refuse('ConsumerPerformance', finished)
  // start, end, MB, MB/s, records, records/s, rebalance ms, fetch ms, fetch MB/s, fetch records/s
  const fields = last.split(', ')
  const figure = (i: number): number => Number(fields[i])
  if (figure(4) < records) refuse(`ConsumerPerformance read ${fields[4]} of ${records}`, finished)
  return {
    records: figure(4),
    recordsPerSecond: figure(9),
    megabytesPerSecond: figure(8) * 1.048576,
    joinMs: figure(6),
  }
}
