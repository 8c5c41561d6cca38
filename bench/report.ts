// Tables for BENCHMARKS.md: one row a shape, one column a system, medians over the rounds.
import type { Measurement } from './measurements.ts'
import { median, show } from './stats.ts'

/** A system's column. */
export interface Column {
  readonly system: string
  readonly title: string
}

const brokers: readonly Column[] = [
  { system: 'millrace', title: 'Millrace, synced' },
  { system: 'millrace-os', title: 'Millrace, durability os' },
  { system: 'kafka', title: 'Kafka, default (unsynced)' },
  { system: 'kafka-flush', title: 'Kafka, flush.messages=1' },
]

const inProcess: readonly Column[] = [
  { system: 'embedded', title: 'Millrace, in process' },
  { system: 'raw', title: 'raw write + fdatasync' },
]

/** The table of one part. */
export interface Table {
  readonly part: Measurement['part']
  readonly title: string
  readonly columns: readonly Column[]
  /** Rows of the table, one set for each figure. */
  readonly figures: readonly { readonly name: string; readonly label: string }[]
  /** The columns to compare, first divided by second. */
  readonly ratio?: readonly [string, string]
  /** More of them; then their mean and their least over all rows are told as well. */
  readonly ratios?: readonly (readonly [string, string])[]
}

/** One system: kinds of servers, where the settings of topics make no difference. */
const servers = brokers.filter(({ system }) => system === 'millrace' || system === 'kafka')

const throughputRatios = [
  ['millrace', 'kafka'],
  ['millrace-os', 'kafka'],
  ['millrace', 'kafka-flush'],
] as const

const brokerTables: readonly Table[] = [
  {
    part: 'start',
    title: 'Start (ms)',
    columns: servers,
    figures: [{ name: 'ms', label: '' }],
    ratio: ['millrace', 'kafka'],
  },
  {
    part: 'memory',
    title: 'Resident memory (MB)',
    columns: servers,
    figures: [
      { name: 'idleMb', label: 'idle' },
      { name: 'loadMb', label: 'peak under load' },
      { name: 'afterMb', label: 'after load' },
    ],
    ratio: ['millrace', 'kafka'],
  },
  {
    part: 'produce',
    title: 'Produce, acks=all (MB/s)',
    columns: brokers,
    figures: [{ name: 'megabytesPerSecond', label: '' }],
    ratios: throughputRatios,
  },
  {
    part: 'produce',
    title: 'Processor seconds of the server for a gigabyte: produce',
    columns: brokers,
    figures: [{ name: 'processorSecondsPerGb', label: '' }],
    ratios: throughputRatios.slice(0, 2),
  },
  {
    part: 'consume',
    title: 'Consume (MB/s)',
    columns: brokers,
    figures: [{ name: 'megabytesPerSecond', label: '' }],
    ratios: throughputRatios,
  },
  {
    part: 'consume',
    title: 'Processor seconds of the server for a gigabyte: consume',
    columns: brokers,
    figures: [{ name: 'processorSecondsPerGb', label: '' }],
    ratios: throughputRatios.slice(0, 2),
  },
  {
    part: 'latency',
    title: 'Latency until acknowledged, 1-KiB records, 12 partitions (ms)',
    columns: brokers,
    figures: [
      { name: 'p50Ms', label: 'p50' },
      { name: 'p95Ms', label: 'p95' },
      { name: 'p99Ms', label: 'p99' },
      { name: 'p999Ms', label: 'p99.9' },
    ],
    ratio: ['millrace', 'kafka'],
  },
  {
    part: 'restart',
    title: 'Start after kill -9 under load (ms)',
    columns: servers,
    figures: [{ name: 'ms', label: '' }],
    ratio: ['millrace', 'kafka'],
  },
  {
    part: 'embedded',
    title: 'Durable appends in process (appends/s)',
    columns: inProcess,
    figures: [{ name: 'appendsPerSecond', label: '' }],
    ratio: ['embedded', 'raw'],
  },
]

const showRatio = (ratio: number): string => (Number.isFinite(ratio) ? ratio.toFixed(2) : '-')

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`

function tableOf(table: Table, rows: readonly Measurement[]): string[] {
  const present = table.columns.filter(column => rows.some(each => each.system === column.system))
  const has = (system: string): boolean => present.some(column => column.system === system)
  const ratios = [
    ...(table.ratio === undefined ? [] : [table.ratio]),
    ...(table.ratios ?? []),
  ].filter(pair => pair === table.ratio || pair.every(has))
  const shapes = [...new Set(rows.map(each => each.shape))]
  const lines: string[] = []
  const compared: number[][] = ratios.map(() => [])
  for (const shape of shapes) {
    for (const figure of table.figures) {
      const value = (system: string): number =>
        median(
          rows
            .filter(each => each.shape === shape && each.system === system)
            .map(each => each.figures[figure.name] ?? Number.NaN),
        )
      const quotients = ratios.map(([first, second]) => value(first) / value(second))
      for (const [i, quotient] of quotients.entries()) compared[i]?.push(quotient)
      lines.push(
        row([
          figure.label === '' ? shape : `${shape}, ${figure.label}`,
          ...present.map(column => show(value(column.system))),
          ...quotients.map(showRatio),
        ]),
      )
    }
  }
  if (table.ratios !== undefined && lines.length > 1) {
    const blank = present.map(() => '')
    const mean = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0) / list.length
    lines.push(row(['mean', ...blank, ...compared.map(list => showRatio(mean(list)))]))
    lines.push(row(['least', ...blank, ...compared.map(list => showRatio(Math.min(...list)))]))
    lines.push(row(['most', ...blank, ...compared.map(list => showRatio(Math.max(...list)))]))
  }
  const heads = [
    '',
    ...present.map(column => column.title),
    ...ratios.map(pair => pair.join(' / ')),
  ]
  return [row(heads), row(heads.map((_, i) => (i === 0 ? '---' : '---:'))), ...lines]
}

/** The tables of a run in Markdown, for each added sync latency. */
export function report(
  measurements: readonly Measurement[],
  tables: readonly Table[] = brokerTables,
): string {
  const out: string[] = []
  for (const delay of [...new Set(measurements.map(each => each.syncDelayMs))]) {
    out.push(delay === 0 ? '## As the disk is' : `## With ${delay} ms added to every sync`, '')
    for (const table of tables) {
      const rows = measurements.filter(
        each => each.part === table.part && each.syncDelayMs === delay,
      )
      if (rows.length > 0) out.push(`### ${table.title}`, '', ...tableOf(table, rows), '')
    }
  }
  return out.join('\n')
}
