// The tables of the event-store benchmark, and the names of their rows.
import type { Column, Table } from '../report.ts'
import type { Shapes, StorePart } from './contenders.ts'
import type { StoreOptions } from './options.ts'

const millrace: Column = { system: 'millrace', title: 'Millrace' }
const emmett: Column = { system: 'emmett', title: 'Emmett on PostgreSQL' }
const raw: Column = { system: 'raw-postgres', title: 'raw INSERT, no version check' }

/** One table a part. */
export const storeTables: readonly Table[] = [
  {
    part: 'disk',
    title: 'The disk: synced 4-KiB writes (writes/s)',
    columns: [{ system: 'disk', title: 'write + fdatasync' }],
    figures: [{ name: 'writesPerSecond', label: '' }],
  },
  {
    part: 'appends',
    title: 'Conditional, durable appends (appends/s)',
    columns: [millrace, emmett, raw],
    figures: [{ name: 'appendsPerSecond', label: '' }],
    ratio: ['millrace', 'emmett'],
  },
  {
    part: 'loading',
    title: 'Loading an aggregate (ms)',
    columns: [millrace, emmett],
    figures: [{ name: 'ms', label: '' }],
    ratio: ['emmett', 'millrace'],
  },
  {
    part: 'projection',
    title: 'Projection into SQL, an upsert an event (events/s)',
    columns: [millrace, emmett],
    figures: [{ name: 'eventsPerSecond', label: '' }],
    ratio: ['millrace', 'emmett'],
  },
  {
    part: 'projection-batch',
    title: 'Projection into SQL by batches, an upsert an account (events/s)',
    columns: [millrace],
    figures: [{ name: 'eventsPerSecond', label: '' }],
  },
  {
    part: 'rebuild',
    title: 'Rebuild of the projection with an upsert an event (events/s)',
    columns: [millrace, emmett],
    figures: [{ name: 'eventsPerSecond', label: '' }],
    ratio: ['millrace', 'emmett'],
  },
]

/** What the figures are of, for the reader of the tables. */
export const howMeasured = ({ connections, rounds }: StoreOptions): string => `\
Events are about 200 bytes of JSON. Every append is durable before it is answered, and with Millrace
and Emmett conditional on the version of its stream; each writer has a stream of its own and awaits
an append before the next. Each measurement is a new process with empty data; figures are medians
of ${count(rounds, 'round')}. Millrace runs embedded, in the process of the application. Its snapshot is in memory when it is
loaded again, with 100 events after it. It projects into SQLite, whose commits are not synced one by
one: what a power cut takes of a read model is made again from the log. PostgreSQL syncs every
commit (fsync and synchronous_commit on) and has 1 GB of shared buffers; its clients have a pool of
${connections} connections. Raw inserts check no version. Emmett has no snapshots, so it loads the whole stream
in both rows. Its projection is a consumer that pulls 1,000 events at a time without a pause (its
default, 100 with 50 ms between them, would be slower) and handles one after the other.`

const count = (n: number, noun: string): string =>
  `${n.toLocaleString('en')} ${noun}${n === 1 ? '' : 's'}`

/** The name of a shape's row. */
export const shapeNames: { readonly [P in StorePart]: (shape: Shapes[P]) => string } = {
  disk: () => '1 writer',
  appends: shape => `${count(shape.writers, 'writer')}, ${count(shape.eventsPerAppend, 'event')}`,
  loading: shape => `${count(shape.events, 'event')}${shape.snapshot ? ', with a snapshot' : ''}`,
  projection: shape => count(shape.events, 'event'),
  'projection-batch': shape => count(shape.events, 'event'),
  rebuild: shape => count(shape.events, 'event'),
}
