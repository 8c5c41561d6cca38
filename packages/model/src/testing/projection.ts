/**
 * Given-when-then for projections, on SQLite in memory and for any test runner.
 *
 *   await projectionScenario(openLoans)
 *     .given([{ type: 'loan.Submitted', stream: '1', data: { amount: 20_000 } }])
 *     .expectRows('open', [{ id: '1', amount: 20_000 }])
 *
 * It runs what the runtime runs, and runs it more than once: all events at once; each in a
 * transaction of its own with a restart after it; each transaction given up `times - 1` times before
 * it counts, as when connections break; and a rebuild. All of them must come to the same rows, so a
 * handler that keeps something outside of its database, or looks at a clock, is found out here.
 */
import { AssertionError } from 'node:assert'
import { systemOutside } from '@millrace/base'
import type { Projection } from '../define/projection.ts'
import { ModelError } from '../errors.ts'
import { createProjectionProcessor, type ProjectionProcessor } from '../projections/index.ts'
import type { BoundQueries, SqlDatabase, SqlSession } from '../sql/port.ts'
import { openSqlite } from '../sql/sqlite.ts'
import { type GivenEvent, MemoryEvents } from './events.ts'
import { assertEqual } from './json.ts'

/** How a scenario is run. */
export type ProjectionScenarioOptions = {
  /** How often each transaction is run before it counts. Default 3. */
  readonly times?: number
}

/** Rows by table, in the order of their JSON. */
export type ProjectedRows<DB> = { readonly [T in keyof DB]: readonly DB[T][] }

/** A parked stream, as a scenario expects it. */
export type ExpectedParked = { readonly stream: string; readonly version: number }

type Projected = {
  readonly rows: Readonly<Record<string, readonly Row[]>>
  readonly parked: readonly ExpectedParked[]
}
type Row = Readonly<Record<string, unknown>>

const TIMES = 3
/** Waits of a scenario: none, and one attempt an event, since nothing mends itself here. */
const SETTINGS = {
  'projection.attempts.max': 1,
  'projection.restart.first.ms': 0,
  'projection.restart.longest.ms': 0,
} as const

/** Begins a scenario of a projection without events. */
export function projectionScenario<DB>(
  definition: Projection<DB>,
  options: ProjectionScenarioOptions = {},
): ProjectionScenario<DB> {
  const { times = TIMES } = options
  if (!Number.isSafeInteger(times) || times < 1) {
    throw new ModelError('BAD_ARGUMENT', `times must be 1 or more, not ${times}`)
  }
  return new ProjectionScenario(definition, times, [])
}

/** Events, and the rows that a projection makes of them. None of its steps changes an earlier one. */
export class ProjectionScenario<DB> {
  readonly #definition: Projection<DB>
  readonly #times: number
  readonly #events: readonly GivenEvent[]

  constructor(definition: Projection<DB>, times: number, events: readonly GivenEvent[]) {
    // What is published is another matter than what is in the tables.
    const { publish: _, ...options } = definition.options
    this.#definition = { ...definition, options }
    this.#times = times
    this.#events = events
  }

  /** Events that have happened, after those of before. */
  given(events: readonly GivenEvent[]): ProjectionScenario<DB> {
    return new ProjectionScenario(this.#definition, this.#times, [...this.#events, ...events])
  }

  /** All rows. Throws when the runs come to different ones. */
  async rows(): Promise<ProjectedRows<DB>> {
    return (await this.#project()).rows as unknown as ProjectedRows<DB>
  }

  /** Throws unless a table has just these rows, in any order, and no stream is parked. */
  async expectRows<T extends keyof DB & string>(
    table: T,
    expected: readonly DB[T][],
  ): Promise<void> {
    const { rows, parked } = await this.#project()
    const { name } = this.#definition
    assertEqual(parked, [], `${name}: streams are parked`)
    const found = rows[table]
    if (found === undefined) throw new ModelError('BAD_ARGUMENT', `${name} has no table ${table}`)
    assertEqual(found, sorted(expected as readonly Row[]), `${name}: table ${table} has other rows`)
  }

  /** Throws unless just these streams are parked, at these events. */
  async expectParked(expected: readonly ExpectedParked[]): Promise<void> {
    const { parked } = await this.#project()
    const message = `${this.#definition.name}: other streams are parked`
    assertEqual(parked, sorted(expected), message)
  }

  async #project(): Promise<Projected> {
    const once = await this.#run(1, async (store, processor) => {
      const end = store.append(...this.#events)
      await processor.reached(end)
    })
    const runs: Record<string, () => Promise<Projected>> = {
      'a restart after each event': () => this.#run(1, this.#restarting),
      [`each transaction ${this.#times} times`]: () => this.#run(this.#times, this.#oneByOne),
      'a rebuild': () => this.#run(1, this.#rebuilding),
    }
    for (const [what, run] of Object.entries(runs)) {
      assertEqual(await run(), once, `${this.#definition.name}: ${what} comes to other rows`)
    }
    return once
  }

  readonly #oneByOne = async (store: MemoryEvents, processor: ProjectionProcessor<DB>) => {
    for (const event of this.#events) await processor.reached(store.append(event))
  }

  readonly #restarting = async (store: MemoryEvents, processor: ProjectionProcessor<DB>) => {
    for (const event of this.#events) {
      const end = store.append(event)
      await processor.reached(end)
      await processor.stop()
      await processor.start()
    }
  }

  readonly #rebuilding = async (store: MemoryEvents, processor: ProjectionProcessor<DB>) => {
    await processor.reached(store.append(...this.#events))
    // A rebuild waits for parked streams; there is nothing to compare then.
    if ((await processor.parked()).length === 0) await processor.rebuild()
  }

  async #run(
    times: number,
    work: (store: MemoryEvents, processor: ProjectionProcessor<DB>) => Promise<void>,
  ): Promise<Projected> {
    await using memory = await openSqlite({ file: ':memory:' })
    const sql = new RepeatingSql(memory)
    const store = new MemoryEvents()
    const context = { store, outside: systemOutside(), onEvent: () => undefined }
    const settings = { ...SETTINGS, 'projection.parked.max': this.#events.length }
    const processor = createProjectionProcessor(this.#definition, context, sql, { settings })
    await processor.start()
    sql.times = times
    try {
      await work(store, processor)
    } catch (error) {
      throw failureOf(this.#definition.name, processor, error)
    } finally {
      sql.times = 1
      await processor.stop()
    }
    const parked = (await processor.parked()).map(({ stream, firstVersion }) => ({
      stream: stream.id,
      version: firstVersion,
    }))
    return { rows: await allRows(memory), parked: sorted(parked) }
  }
}

/** A database on which each transaction is given up before its commit, `times - 1` times. */
class RepeatingSql implements SqlDatabase {
  readonly dialect = 'sqlite'
  readonly db: SqlDatabase['db']
  times = 1
  readonly #inner: SqlDatabase

  constructor(inner: SqlDatabase) {
    this.#inner = inner
    this.db = inner.db
  }

  async transaction<T>(work: (session: SqlSession) => Promise<T>): Promise<T> {
    for (let run = 1; run < this.times; run += 1) {
      const givenUp = new Error('given up by the scenario')
      const attempt = this.#inner.transaction(async session => {
        await work(session)
        throw givenUp
      })
      await attempt.catch(error => {
        if (error !== givenUp) throw error
      })
    }
    return this.#inner.transaction(work)
  }

  queries<DB>(): BoundQueries<DB> {
    return this.#inner.queries<DB>()
  }

  scrub(): Promise<boolean> {
    return this.#inner.scrub()
  }

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}
}

function failureOf<DB>(name: string, processor: ProjectionProcessor<DB>, error: unknown): Error {
  const { reason } = processor.status()
  const message = `${name} stopped: ${reason ?? (error as Error).message}`
  return new AssertionError({ message, actual: error })
}

/** Rows of all tables that readers see. */
async function allRows(sql: SqlDatabase): Promise<Projected['rows']> {
  const tables: Record<string, readonly Row[]> = {}
  for (const { name, isView } of await sql.db.introspection.getTables()) {
    if (!isView) continue
    const found = await sql.db.selectFrom(name).selectAll().execute()
    // Rows of SQLite have no prototype; those of a test do.
    tables[name] = sorted(found.map((row): Row => ({ ...row })))
  }
  return tables
}

const sorted = <R>(rows: readonly R[]): readonly R[] =>
  rows
    .map(row => [JSON.stringify(Object.entries(row as object).sort()), row] as const)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([, row]) => row)
