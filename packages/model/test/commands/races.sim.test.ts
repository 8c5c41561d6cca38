// Several nodes run commands on few streams while the store is slow, loses answers and refuses work.
// Whatever happens, each stream must be what the accepted commands, one after another, come to.
import { Prng, VirtualOutside } from '@millrace/engine/simulation'
import {
  type Aggregated,
  type AppendOptions,
  type Fold,
  type NewEvent,
  StoreError,
  type StreamRef,
  type StreamState,
} from '@millrace/store'
import { expect, test } from 'vitest'
import { CommandRunner } from '../../src/commands/command-runner.ts'
import { aggregate, reject } from '../../src/define/aggregate.ts'
import { type } from '../../src/define/schema.ts'
import type { Outcome } from '../../src/runtime/context.ts'
import { MemoryStore } from './memory-store.ts'

const SEEDS = 300
const NODES = 4
const STREAMS = 3
const SEATS = 12

/** A bus with few seats: a decision on an old state would sell one twice. */
const bus = aggregate('bus', {
  events: { Sold: type<{ seat: number; to: string }>() },
  initial: () => ({ sold: [] as string[] }),
  evolve: { Sold: (state, { to }) => ({ sold: [...state.sold, to] }) },
  commands: { buy: type<{ to: string; seats: number }>() },
  decide: {
    buy: ({ to, seats }, { sold }, { Sold }) =>
      sold.length + seats > SEATS
        ? reject('full')
        : Array.from({ length: seats }, (_, i) => Sold({ seat: sold.length + i, to })),
  },
})

/** Slow, and unreliable in each way that a store may be. */
class RoughStore extends MemoryStore {
  readonly #outside: VirtualOutside
  readonly #prng: Prng

  constructor(outside: VirtualOutside, prng: Prng) {
    super()
    this.#outside = outside
    this.#prng = prng
    this.conflictEventsMax = prng.below(4)
  }

  override async append(ref: StreamRef, events: readonly NewEvent[], options: AppendOptions = {}) {
    await this.#outside.sleep(this.#prng.below(5))
    const fate = this.#prng.below(20)
    if (fate === 0) throw new StoreError('OVERLOADED')
    const result = this.appendNow(ref, events, options)
    await this.#outside.sleep(this.#prng.below(5))
    if (fate === 1) throw new StoreError('APPEND_TIMED_OUT')
    return result
  }

  override async aggregate<State>(ref: StreamRef, fold: Fold<State>): Promise<Aggregated<State>> {
    await this.#outside.sleep(this.#prng.below(5))
    const loaded = await super.aggregate(ref, fold)
    await this.#outside.sleep(this.#prng.below(5))
    return loaded
  }

  override async state(ref: StreamRef): Promise<StreamState> {
    const state = await super.state(ref)
    await this.#outside.sleep(this.#prng.below(5))
    return state
  }
}

async function run(seed: number): Promise<{ accepted: number; duplicates: number; full: number }> {
  const outside = new VirtualOutside(seed)
  const prng = new Prng(seed + 1)
  const store = new RoughStore(outside, prng)
  const nodes = Array.from(
    { length: NODES },
    () => new CommandRunner({ store: store.port, aggregates: [bus], outside }),
  )
  const outcomes: { id: string; commandId: string; seats: number; outcome: Outcome<unknown> }[] = []
  // Clients repeat a command, at any node, until it is answered; sometimes once more after that.
  const client = async (name: number): Promise<void> => {
    for (let n = 0; n < 4; n += 1) {
      const id = `${prng.below(STREAMS)}`
      const commandId = `${name}-${n}`
      const seats = 1 + prng.below(3)
      for (let answers = 0; answers < 1 + Math.floor(prng.below(4) / 3); ) {
        const data = { to: commandId, seats }
        const ask = (): Promise<Outcome<unknown>> => {
          const node = nodes[prng.below(NODES)] as CommandRunner
          return node.run({ tenant: '', aggregate: 'bus', id, command: 'buy', data, commandId })
        }
        // An impatient client asks two nodes at once.
        const asked = prng.below(3) === 0 ? [ask(), ask()] : [ask()]
        for (const one of await Promise.allSettled(asked)) {
          if (one.status === 'fulfilled') {
            outcomes.push({ id, commandId, seats, outcome: one.value })
            answers += 1
          } else if (one.reason?.retriable !== true) throw one.reason
        }
      }
    }
  }
  await outside.drive(Promise.all(Array.from({ length: 8 }, (_, name) => client(name))))
  return judge(store, outcomes)
}

function judge(
  store: MemoryStore,
  outcomes: readonly {
    id: string
    commandId: string
    seats: number
    outcome: Outcome<unknown>
  }[],
): { accepted: number; duplicates: number; full: number } {
  for (let id = 0; id < STREAMS; id += 1) {
    const sold = store
      .eventsOf('bus', `${id}`)
      .map(([, data]) => data as { seat: number; to: string })
    expect(sold.length).toBeLessThanOrEqual(SEATS)
    expect(sold.map(({ seat }) => seat)).toEqual(sold.map((_, i) => i))
    // What was answered is what is recorded: whole, once, at the version that was told.
    const answered = outcomes.filter(one => one.id === `${id}` && one.outcome.ok)
    for (const { commandId, seats, outcome } of answered) {
      const places = sold.flatMap(({ to }, i) => (to === commandId ? [i + 1] : []))
      expect(places).toHaveLength(seats)
      expect(outcome.ok && outcome.version).toBe(places.at(-1))
      expect((places[0] ?? 0) + seats - 1).toBe(places.at(-1))
    }
    // A command that is answered more than once is answered the same each time.
    const refused = outcomes.filter(one => one.id === `${id}` && !one.outcome.ok)
    for (const { commandId } of refused) {
      expect(answered.map(one => one.commandId)).not.toContain(commandId)
    }
    const buyers = new Set(sold.map(({ to }) => to))
    expect(new Set(answered.map(({ commandId }) => commandId))).toEqual(buyers)
  }
  return {
    accepted: outcomes.filter(({ outcome }) => outcome.ok && !outcome.duplicate).length,
    duplicates: outcomes.filter(({ outcome }) => outcome.ok && outcome.duplicate).length,
    full: outcomes.filter(({ outcome }) => !outcome.ok).length,
  }
}

test('nodes that race, lose answers and are asked again never sell a seat twice', async () => {
  const seen = { accepted: 0, duplicates: 0, full: 0 }
  const only = process.env['SEED']
  const seeds = only === undefined ? Array.from({ length: SEEDS }, (_, i) => i + 1) : [Number(only)]
  for (const seed of seeds) {
    try {
      const { accepted, duplicates, full } = await run(seed)
      seen.accepted += accepted
      seen.duplicates += duplicates
      seen.full += full
    } catch (cause) {
      const replay = `SEED=${seed} npx vitest run --project sim packages/model/test/commands/races`
      throw new Error(`seed ${seed}; replay: ${replay}`, { cause })
    }
  }
  if (only !== undefined) return
  // The climate is rough enough to say something.
  expect(Math.min(seen.accepted, seen.duplicates, seen.full)).toBeGreaterThan(SEEDS)
})
