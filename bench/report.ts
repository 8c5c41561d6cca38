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
}

const brokerTables: readonly Table[] = [
  {
    part: 'start',
    title: 'Start (ms)',
    columns: brokers.slice(0, 2),
    figures: [{ name: 'ms', label: '' }],
    ratio: ['millrace', 'kafka'],
  },
  {
    part: 'memory',
    title: 'Resident memory (MB)',
    columns: brokers.slice(0, 2),
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
    ratio: ['millrace', 'kafka'],
  },
  {
    part: 'consume',
    title: 'Consume (MB/s)',
    columns: brokers,
    figures: [{ name: 'megabytesPerSecond', label: '' }],
    ratio: ['millrace', 'kafka'],
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
    columns: brokers.slice(0, 2),
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

function showRatio(value: (system: string) => number, [first, second]: readonly [string, string]) {
  const ratio = value(first) / value(second)
  return Number.isFinite(ratio) ? ratio.toFixed(2) : '-'
}

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`

function tableOf(table: Table, rows: readonly Measurement[]): string[] {
  const present = table.columns.filter(column => rows.some(each => each.system === column.system))
  const shapes = [...new Set(rows.map(each => each.shape))]
  const lines: string[] = []
  for (const shape of shapes) {
    for (const figure of table.figures) {
      const value = (system: string): number =>
        median(
          rows
            .filter(each => each.shape === shape && each.system === system)
            .map(each => each.figures[figure.name] ?? Number.NaN),
        )
      lines.push(
        row([
          figure.label === '' ? shape : `${shape}, ${figure.label}`,
          ...present.map(column => show(value(column.system))),
          ...(table.ratio === undefined ? [] : [showRatio(value, table.ratio)]),
        ]),
      )
    }
  }
  const compared = table.ratio === undefined ? [] : [table.ratio.join(' / ')]
  const heads = ['', ...present.map(column => column.title), ...compared]
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
