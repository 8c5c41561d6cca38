// What tests of projections share: an aggregate, a projection of it, a processor over events in
// memory, and the sum of all that its tables hold.
import { createHash } from 'node:crypto'
import { systemOutside } from '@millrace/base'
import type { Kysely } from 'kysely'
import type { ModelEvent } from '../../../src/context.ts'
import { aggregate } from '../../../src/define/aggregate.ts'
import { type Projection, projection } from '../../../src/define/projection.ts'
import { type } from '../../../src/define/schema.ts'
import {
  createProjectionProcessor,
  type ProjectionContext,
  type ProjectionOptions,
  type ProjectionProcessor,
} from '../../../src/projections/index.ts'
import type { SqlDatabase } from '../../../src/sql/port.ts'
import { type GivenEvent, MemoryEvents } from '../../../src/testing/events.ts'

type State = { open: boolean }

export const account = aggregate('account', {
  events: {
    Opened: type<{ owner: string }>(),
    Deposited: type<{ amount: number }>(),
    Closed: type<Record<string, never>>(),
  },
  initial: (): State => ({ open: false }),
  commands: {},
  evolve: {
    Opened: () => ({ open: true }),
    Deposited: state => state,
    Closed: () => ({ open: false }),
  },
  decide: {},
})

export type AccountTables = {
  balance: { id: string; owner: string; amount: number }
  movement: { id: string; version: number; amount: number }
}

/** What a test may have go wrong: throws for events that it does not want handled. */
export type Trap = (event: { type: string; stream: string; version: number }) => void

type Options = { version?: number; trap?: Trap; publish?: string; parallel?: number; name?: string }

/** Balances and movements: upserts, updates with expressions, deletes, inserts that cannot repeat. */
export function balances(options: Options = {}): Projection<AccountTables> {
  const { version = 1, trap = () => undefined, name = 'balances', publish, parallel } = options
  return projection(name, {
    version,
    from: [account],
    tables: type<AccountTables>(),
    create: db => [
      db.schema
        .createTable('balance')
        .addColumn('id', 'text', column => column.primaryKey())
        .addColumn('owner', 'text', column => column.notNull())
        .addColumn('amount', 'integer', column => column.notNull()),
      db.schema
        .createTable('movement')
        .addColumn('id', 'text', column => column.notNull())
        .addColumn('version', 'integer', column => column.notNull())
        .addColumn('amount', 'integer', column => column.notNull())
        .addPrimaryKeyConstraint('movement_key', ['id', 'version']),
      db.schema.createIndex('movement_by_amount').on('movement').column('amount'),
    ],
    on: {
      'account.Opened': (db, event) => {
        trap(event)
        return db
          .insertInto('balance')
          .values({ id: event.stream, owner: event.data.owner, amount: 0 })
      },
      'account.Deposited': (db, event) => {
        trap(event)
        const { amount } = event.data
        return [
          db.insertInto('movement').values({ id: event.stream, version: event.version, amount }),
          db
            .updateTable('balance')
            .set(of => ({ amount: of('amount', '+', amount) }))
            .where('id', '=', event.stream),
        ]
      },
      'account.Closed': (db, event) => {
        trap(event)
        return db.deleteFrom('balance').where('id', '=', event.stream)
      },
    },
    options: {
      ...(publish === undefined ? {} : { publish }),
      ...(parallel === undefined ? {} : { parallel }),
    },
  })
}

/** Events of `accounts` accounts, `deposits` each; every third one is closed. */
export function accountEvents(accounts: number, deposits: number): GivenEvent[] {
  const events: GivenEvent[] = []
  const ids = Array.from({ length: accounts }, (_, at) => `a-${at}`)
  for (const stream of ids) events.push({ type: 'account.Opened', stream, data: { owner: stream } })
  for (let round = 1; round <= deposits; round += 1) {
    for (const [at, stream] of ids.entries()) {
      events.push({ type: 'account.Deposited', stream, data: { amount: round * 100 + at } })
    }
  }
  for (const [at, stream] of ids.entries()) {
    if (at % 3 === 0) events.push({ type: 'account.Closed', stream, data: {} })
  }
  return events
}

/** Waits that are short, so that tests are. */
export const QUICK = {
  'projection.retry.first.ms': 1,
  'projection.retry.longest.ms': 2,
  'projection.restart.first.ms': 1,
  'projection.restart.longest.ms': 5,
  'projection.attempts.max': 3,
  'projection.lag.ms': 20,
} as const

export type Run<DB> = {
  readonly processor: ProjectionProcessor<DB>
  readonly told: ModelEvent[]
  readonly context: ProjectionContext
}

/** A processor that is not started. */
export function processorOf<DB>(
  definition: Projection<DB>,
  store: ProjectionContext['store'],
  sql: SqlDatabase,
  settings: NonNullable<ProjectionOptions['settings']> = {},
  log?: ProjectionContext['log'],
): Run<DB> {
  const told: ModelEvent[] = []
  const context: ProjectionContext = {
    outside: systemOutside(),
    onEvent: event => told.push(event),
    store,
    ...(log === undefined ? {} : { log }),
  }
  const options = { settings: { ...QUICK, ...settings } }
  return { processor: createProjectionProcessor(definition, context, sql, options), told, context }
}

/** Waits until something is so; fails after ten seconds. */
export async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000
  while (!(await what())) {
    if (Date.now() > deadline) throw new Error(`not so within 10 s: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 2))
  }
}

/** All rows of the tables, in order, as one text. */
export async function rowsOf(db: Kysely<AccountTables>): Promise<string> {
  const balance = await db.selectFrom('balance').selectAll().orderBy('id').execute()
  const movement = await db
    .selectFrom('movement')
    .selectAll()
    .orderBy('id')
    .orderBy('version')
    .execute()
  return JSON.stringify({ balance, movement })
}

export const digestOf = async (db: Kysely<AccountTables>): Promise<string> =>
  createHash('sha256')
    .update(await rowsOf(db))
    .digest('hex')

/** What the rows of `balances` are to be, by the simplest possible code. */
export function expectedRows(events: readonly GivenEvent[], without: readonly string[] = []) {
  const balance = new Map<string, { id: string; owner: string; amount: number }>()
  const movement: AccountTables['movement'][] = []
  const versions = new Map<string, number>()
  for (const { type: kind, stream: id, data } of events) {
    const version = (versions.get(id) ?? 0) + 1
    versions.set(id, version)
    if (without.includes(id)) continue
    if (kind === 'account.Opened') {
      balance.set(id, { id, owner: (data as { owner: string }).owner, amount: 0 })
    } else if (kind === 'account.Deposited') {
      const { amount } = data as { amount: number }
      movement.push({ id, version, amount })
      const row = balance.get(id)
      if (row !== undefined) row.amount += amount
    } else balance.delete(id)
  }
  const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)
  return JSON.stringify({
    balance: [...balance.values()].sort(byId),
    movement: movement.sort((a, b) => byId(a, b) || a.version - b.version),
  })
}

export { MemoryEvents }
