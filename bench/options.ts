// What a benchmark run measures, from the command line. The whole run takes well over an hour on
// two cores; `--throughput` is all shapes and systems of produce and consume, three rounds with short
// loads, in about ten minutes; `--quick` has fewer shapes, one round and short loads, and takes a few.
import { join } from 'node:path'
import { parseArgs } from 'node:util'

/** The parts of a run, in their order. */
export const parts = [
  'start',
  'memory',
  'produce',
  'consume',
  'latency',
  'restart',
  'embedded',
] as const

/** One part of a run. */
export type Part = (typeof parts)[number]

/** The settings of a run. */
export interface BenchOptions {
  readonly only: ReadonlySet<Part>
  readonly quick: boolean
  readonly rounds: number
  readonly recordSizes: readonly number[]
  readonly partitions: readonly number[]
  /** Records a second of the latency part. */
  readonly rates: readonly number[]
  /** Writers of the embedded part. */
  readonly writers: readonly number[]
  /** Added sync latencies in ms; the whole run is made once for each. */
  readonly syncDelays: readonly number[]
  /** Names of the systems to run. */
  readonly systems: readonly string[]
  /** Bytes that one produce run of a fast system sends. */
  readonly produceBytes: number
  /** Seconds of load of each latency run, without its warm-up. */
  readonly latencySeconds: number
  /** Where data folders and JSON results go. */
  readonly folder: string
  /** A result of an earlier run whose tables are printed; nothing is measured then. */
  readonly render: string | undefined
}

/** Results, compiled shims and data folders of runs; git-ignored. */
export const resultsFolder: string = join(import.meta.dirname, 'results')

const usage = `npm run bench -- [options]
  --throughput            produce and consume alone: all shapes and systems, three rounds, about ten minutes
  --render FILE.json      print the tables of an earlier run
  --quick                 one round, fewer shapes, short loads
  --only LIST             of ${parts.join(',')}
  --systems LIST          of millrace,millrace-os,kafka,kafka-flush (default: all)
  --rounds N              rounds of each measurement; medians are reported (default 3)
  --sizes LIST            record sizes in bytes (default 100,1024)
  --partitions LIST       partitions of the topic (default 1,12,100)
  --rates LIST            records a second of the latency part (default 1000,5000,20000)
  --writers LIST          writers of the embedded part (default 1,64,512)
  --sync-delays LIST      added sync latencies in ms, one whole run each (default 0,5)
  --mib N                 MiB that one produce run sends (default 384)
  --folder DIR            data folders and results (default bench/results)`

const isPart = (name: string): name is Part => (parts as readonly string[]).includes(name)

/** Reads the command line. Prints the usage and ends the process on --help or a bad value. */
export function readOptions(args: readonly string[]): BenchOptions {
  try {
    return parse(args)
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error))
    console.error(usage)
    process.exit(2)
  }
}

function parse(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      throughput: { type: 'boolean', default: false },
      render: { type: 'string' },
      only: { type: 'string' },
      systems: { type: 'string' },
      rounds: { type: 'string' },
      sizes: { type: 'string' },
      partitions: { type: 'string' },
      rates: { type: 'string' },
      writers: { type: 'string' },
      'sync-delays': { type: 'string' },
      mib: { type: 'string' },
      folder: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) throw new Error('millrace against Apache Kafka, turn by turn')
  const { quick, throughput } = values
  const short = quick || throughput
  const numbers = (text: string | undefined, usual: readonly number[]): readonly number[] => {
    if (text === undefined) return usual
    const list = text.split(',').map(Number)
    if (list.some(n => !Number.isFinite(n) || n < 0)) throw new Error(`not numbers: ${text}`)
    return list
  }
  const number = (text: string | undefined, usual: number): number =>
    numbers(text, [usual])[0] ?? usual
  const all = throughput ? ['produce', 'consume'] : parts
  const only = (values.only?.split(',') ?? all).map(name => {
    if (!isPart(name)) throw new Error(`no such part: ${name}`)
    return name
  })
  return {
    quick,
    only: new Set(only),
    rounds: number(values.rounds, quick ? 1 : 3),
    recordSizes: numbers(values.sizes, [100, 1024]),
    partitions: numbers(values.partitions, quick ? [12] : [1, 12, 100]),
    rates: numbers(values.rates, quick ? [5000] : [1000, 5000, 20000]),
    writers: numbers(values.writers, [1, 64, 512]),
    syncDelays: numbers(values['sync-delays'], short ? [0] : [0, 5]),
    systems: values.systems?.split(',') ?? ['millrace', 'millrace-os', 'kafka', 'kafka-flush'],
    produceBytes: number(values.mib, quick ? 128 : throughput ? 192 : 384) * 1024 * 1024,
    latencySeconds: quick ? 5 : 15,
    folder: values.folder ?? resultsFolder,
    render: values.render,
  }
}
