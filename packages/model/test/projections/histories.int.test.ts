// Random histories: events come, handlers break and are mended, connections break, nodes start and
// stop, streams are redriven, versions are rebuilt, in any order and on two nodes. At the end the
// rows are those of the simplest possible code. The choices are those of the seed; the timing is the
// machine's, so a seed that fails may need some runs to fail again:
//
//   SEED=7 npx vitest run --project int packages/model/test/projections/histories
import { expect, it } from 'vitest'
import { ModelError } from '../../src/errors.ts'
import { openSqlite } from '../../src/sql/index.ts'
import type { BoundQueries, SqlDatabase, SqlSession } from '../../src/sql/port.ts'
import type { GivenEvent } from '../../src/testing/events.ts'
import {
  balances,
  expectedRows,
  MemoryEvents,
  processorOf,
  rowsOf,
  type Trap,
  until,
} from './support/accounts.ts'

const SEEDS = 40
const STEPS = 25
const ACCOUNTS = 6

/** Numbers from a seed: mulberry32. */
function choices(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

/** A database whose connections break now and then. */
class BreakingSql implements SqlDatabase {
  readonly dialect = 'sqlite'
  readonly db: SqlDatabase['db']
  /** One step in so many breaks; 0: none. */
  breaksOneIn = 0
  readonly #inner: SqlDatabase
  readonly #choose: (below: number) => number

  constructor(inner: SqlDatabase, choose: (below: number) => number) {
    this.#inner = inner
    this.#choose = choose
    this.db = inner.db
  }

  async transaction<T>(work: (session: SqlSession) => Promise<T>): Promise<T> {
    this.#step()
    const result = await this.#inner.transaction(async session => {
      const answer = await work({
        execute: async query => {
          this.#step()
          return session.execute(query)
        },
        send: query => {
          this.#step()
          return session.send(query)
        },
        flush: () => session.flush(),
      })
      this.#step()
      return answer
    })
    this.#step()
    return result
  }

  queries<DB>(): BoundQueries<DB> {
    return this.#inner.queries<DB>()
  }

  scrub(): Promise<boolean> {
    return this.#inner.scrub()
  }

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}

  #step(): void {
    if (this.breaksOneIn > 0 && this.#choose(this.breaksOneIn) === 0) {
      throw new ModelError('SQL_FAILED', 'the connection broke')
    }
  }
}

type World = {
  readonly choose: (below: number) => number
  readonly store: MemoryEvents
  readonly sql: BreakingSql
  readonly events: GivenEvent[]
  readonly isOpen: Set<string>
  readonly poison: Set<string>
  readonly nodes: ReturnType<typeof newNode>[]
}

const SETTINGS = { 'projection.page.events': 5, 'projection.attempts.max': 2 }

const newNode = (store: MemoryEvents, sql: SqlDatabase, trap: Trap) =>
  processorOf(balances({ trap }), store, sql, SETTINGS)

function append({ choose, store, events, isOpen }: World): void {
  for (let count = 1 + choose(6); count > 0; count -= 1) {
    const stream = `a-${choose(ACCOUNTS)}`
    let event: GivenEvent = { type: 'account.Opened', stream, data: { owner: stream } }
    if (isOpen.has(stream)) {
      const closes = choose(5) === 0
      event = closes
        ? { type: 'account.Closed', stream, data: {} }
        : { type: 'account.Deposited', stream, data: { amount: choose(1000) } }
    }
    if (event.type === 'account.Opened') isOpen.add(stream)
    if (event.type === 'account.Closed') isOpen.delete(stream)
    events.push(event)
    store.append(event)
  }
}

// What is asked of a node that is away, or of a database that breaks, may fail: that is the point.
const ignoring = (work: Promise<unknown>): Promise<unknown> => work.catch(() => undefined)

async function step(world: World): Promise<void> {
  const { choose, sql, poison, nodes } = world
  const node = nodes[choose(nodes.length)]?.processor
  const stream = `a-${choose(ACCOUNTS)}`
  switch (choose(9)) {
    case 0:
    case 1:
    case 2:
      return append(world)
    case 3:
      await ignoring(node?.start() ?? Promise.resolve())
      return
    case 4:
      await node?.stop()
      return
    case 5:
      if (!poison.delete(stream)) poison.add(stream)
      return
    case 6:
      await ignoring(node?.redrive({ limit: 1 + choose(3) }) ?? Promise.resolve())
      return
    case 7:
      void ignoring(node?.rebuild() ?? Promise.resolve())
      return
    default:
      sql.breaksOneIn = choose(2) === 0 ? 0 : 40 + choose(200)
      await new Promise(resolve => setTimeout(resolve, choose(5)))
  }
}

async function history(seed: number): Promise<void> {
  const choose = choices(seed)
  await using inner = await openSqlite({ file: ':memory:' })
  const sql = new BreakingSql(inner, choose)
  const store = new MemoryEvents(3)
  const poison = new Set<string>()
  const trap: Trap = ({ stream }) => {
    if (poison.has(stream)) throw new Error(`cannot handle ${stream}`)
  }
  const nodes = [newNode(store, sql, trap), newNode(store, sql, trap)]
  const world = { choose, store, sql, events: [], isOpen: new Set<string>(), poison, nodes }
  for (let n = 0; n < STEPS; n += 1) await step(world)

  sql.breaksOneIn = 0
  poison.clear()
  for (const { processor } of nodes) await processor.stop()
  const { processor } = newNode(store, sql, trap)
  await processor.start()
  await processor.reached(store.append())
  await until(async () => {
    await processor.redrive({ limit: 100 })
    return (await processor.parked()).length === 0
  })
  await until(() => processor.status().state === 'running')
  const expected = expectedRows(world.events)
  expect(await rowsOf(processor.db), `SEED=${seed}`).toBe(expected)
  await processor.rebuild()
  expect(await rowsOf(processor.db), `SEED=${seed}, rebuilt`).toBe(expected)
  await processor.stop()
}

const given = process.env['SEED']
const seeds = given === undefined ? Array.from({ length: SEEDS }, (_, n) => n + 1) : [Number(given)]

it.each(seeds)('comes to the rows of the events: seed %i', history)
