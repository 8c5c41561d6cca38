// What a contender of the event-store benchmark is: a name and one function for each part that it
// takes part in. Each measurement runs in a process of its own (worker.ts) with an empty place, so
// that neither data nor a warm heap carries over. Figures are checked against known sums: a wrong
// result is an error, not a figure.

/** Parts of a run with what is varied in each, in their order. */
export interface Shapes {
  /** Synced 4-KiB writes of one writer: what the disk gives in this run. */
  readonly disk: { readonly seconds: number }
  /** Conditional appends: each writer has its own stream and awaits one append before the next. */
  readonly appends: {
    readonly writers: number
    readonly eventsPerAppend: number
    readonly seconds: number
  }
  /** Loading one aggregate of `events` events, again and again; with its snapshot if it can have one. */
  readonly loading: {
    readonly events: number
    readonly snapshot: boolean
    readonly seconds: number
  }
  /** Bringing a new SQL table of balances up to date with `events` stored events, one upsert each. */
  readonly projection: { readonly events: number }
  /** The same by a handler that is given many events at once: an upsert an account. */
  readonly 'projection-batch': { readonly events: number }
  /** Building the table of `projection` anew beside the one in use, with the contender's own rebuild. */
  readonly rebuild: { readonly events: number }
}

/** One part of a run. */
export type StorePart = keyof Shapes

/** The parts, in their order. */
export const storeParts: readonly StorePart[] = [
  'disk',
  'appends',
  'loading',
  'projection',
  'projection-batch',
  'rebuild',
]

/** Figures by name; the unit is part of the name. */
export type Figures = Readonly<Record<string, number>>

/** Where a measurement takes place. */
export interface Place {
  /** An empty folder on the measured disk. */
  readonly folder: string
  /** A new, empty PostgreSQL server; only for those that ask for one. */
  readonly postgres: Postgres | undefined
}

/** A server, and how many connections a client keeps to it at most. */
export interface Postgres {
  readonly url: string
  readonly connections: number
}

/** Measures one shape of a part. */
export type Measure<P extends StorePart> = (place: Place, shape: Shapes[P]) => Promise<Figures>

/** One store, and what of it is measured. */
export interface Contender {
  /** As in tables, JSON and `--contenders`. */
  readonly name: string
  /** Whether each measurement gets a PostgreSQL server. */
  readonly postgres: boolean
  /** Its version, as far as it has one apart from this checkout's. */
  version(): Promise<string | undefined>
  readonly measures: { readonly [P in StorePart]?: Measure<P> }
}

/** The server of a place. Throws when it has none. */
export function postgresOf(place: Place): Postgres {
  if (place.postgres === undefined) throw new Error('this measurement needs a PostgreSQL server')
  return place.postgres
}
