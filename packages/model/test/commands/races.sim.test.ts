// Several nodes run commands on few streams while the store is slow, loses answers and refuses work.
// Whatever happens, each stream must be what the accepted commands, one after another, come to.
import { openEngine } from '@millrace/engine'
import { Prng, SimDisk, VirtualOutside } from '@millrace/engine/simulation'
import {
  type Aggregated,
  type AppendOptions,
  type EventStore,
  type Fold,
  type NewEvent,
  openStore,
  StoreError,
  type StreamRef,
  type StreamState,
} from '@millrace/store'
import { describe, expect, test } from 'vitest'
import { CommandRunner } from '../../src/commands/command-runner.ts'
import { categoriesOf } from '../../src/runtime/definitions.ts'
import { bus, judge, type Sold, STREAMS, type Tally, traffic } from './bus.ts'
import { MemoryStore } from './memory-store.ts'

const NODES = 4

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

async function overRoughStore(seed: number): Promise<Tally> {
  const outside = new VirtualOutside(seed)
  const prng = new Prng(seed + 1)
  const store = new RoughStore(outside, prng)
  const nodes = Array.from(
    { length: NODES },
    () => new CommandRunner({ store: store.port, aggregates: [bus], outside }),
  )
  const answers = await outside.drive(traffic(nodes, prng))
  const soldOf = (id: number): Sold[] =>
    store.eventsOf('bus', `${id}`).map(([, data]) => data as Sold)
  return judge(
    Array.from({ length: STREAMS }, (_, id) => soldOf(id)),
    answers ?? [],
  )
}

/** Nodes with a store each, over one log. */
async function overStores(seed: number): Promise<Tally> {
  const outside = new VirtualOutside(seed)
  const prng = new Prng(seed + 1)
  const latencyMs = () => prng.below(4)
  const disk = new SimDisk({ timers: outside.timers, latencyMs })
  const work = async (): Promise<Tally> => {
    const log = await openEngine({ folder: '', disk, outside })
    const categories = categoriesOf([{ ...bus, options: { buckets: 2 } }])
    const open = () => openStore({ log, folder: null, categories, outside })
    const stores = [await open(), await open(), await open()]
    const nodes = stores.map(store => new CommandRunner({ store, aggregates: [bus], outside }))
    const answers = await traffic(nodes, prng)
    const reader = stores[prng.below(stores.length)] as EventStore
    await reader.catchUp()
    const buses: Sold[][] = []
    for (let id = 0; id < STREAMS; id += 1) {
      const { events } = await reader.read({ category: 'bus', id: `${id}` }).all()
      buses.push(events.map(({ data }) => data as Sold))
    }
    for (const store of stores) await store.close()
    await log.close()
    return judge(buses, answers)
  }
  return (await outside.drive(work())) as Tally
}

/** Runs all seeds, or the one of the environment; the climate must be rough enough to say something. */
async function sweep(seeds: number, name: string, run: (seed: number) => Promise<Tally>) {
  const seen: Tally = { accepted: 0, duplicates: 0, full: 0 }
  const only = process.env['SEED']
  const all = only === undefined ? Array.from({ length: seeds }, (_, i) => i + 1) : [Number(only)]
  for (const seed of all) {
    try {
      const { accepted, duplicates, full } = await run(seed)
      seen.accepted += accepted
      seen.duplicates += duplicates
      seen.full += full
    } catch (cause) {
      const file = 'packages/model/test/commands/races'
      const replay = `SEED=${seed} npx vitest run --project sim ${file} -t '${name}'`
      throw new Error(`seed ${seed}; replay: ${replay}`, { cause })
    }
  }
  if (only === undefined) expect(Math.min(...Object.values(seen))).toBeGreaterThan(seeds)
}

describe('nodes that race and are asked again never sell a seat twice', () => {
  test('over a store that is slow, refuses, and loses answers', () =>
    sweep(300, 'refuses', overRoughStore))

  test('over stores of their own on one log', () => sweep(12, 'on one log', overStores))
})
