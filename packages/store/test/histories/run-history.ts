// One seed: machine, weather, store instances that die, writers, and at the end, when everything is
// well again, the judgement over what everybody was told.

import { linearizabilityProblems } from '@millrace/conformance/store'
import type { Engine } from '@millrace/engine'
import { Prng } from '@millrace/engine/simulation'
import { type EventStore, openStore, type RecordedEvent } from '../../src/index.ts'
import type { KeyValueChange } from '../../src/kv/key-value.ts'
import { openStoreOver } from '../../src/open-store.ts'
import { conditionProblems } from './conditions.ts'
import { KeptIndex } from './kept-index.ts'
import { FAIR, Link, Machine, type Weather } from './machine.ts'
import { CATEGORY, nameOf, streamOf } from './names.ts'
import { type Following, HistoryReader } from './reader.ts'
import { Histories, HistoryWriter, type Instance } from './writers.ts'

/** What is drawn for a seed. */
export type HistoryPlan = {
  readonly writers: number
  readonly streams: number
  readonly buckets: number
  readonly instances: number
  readonly calls: number
  readonly readers: number
  readonly crashes: number
  readonly weather: Weather
}

export type HistoryReport = {
  readonly appended: number
  readonly unknown: number
  readonly conflicts: number
  readonly events: number
  readonly crashes: number
  readonly deaths: number
}

/** Thrown with what is wrong. */
export class HistoryViolation extends Error {
  override readonly name = 'Violation'
}

export type HistoryOptions = {
  readonly plan?: (plan: HistoryPlan) => HistoryPlan
  /** Puts something broken in place of a store's log, or of what is left of its index. */
  readonly harm?: (link: Link) => Link['log']
  readonly keeps?: (change: KeyValueChange) => boolean
}

/** After the last call: late copies have come by then, and stores have settled what stood open. */
const CALM_DOWN_MS = 30_000

function drawPlan(prng: Prng): HistoryPlan {
  const rough = prng.pick([0, 0.02, 0.08])
  const weather: Weather = {
    lost: rough * prng.fraction(),
    answerLost: rough * prng.fraction(),
    late: rough * prng.fraction(),
    twice: 2 * rough * prng.fraction(),
    torn: rough * prng.fraction(),
    fetchFails: rough * prng.fraction(),
    latencyMs: prng.pick([0, 2, 40]),
    lateMs: prng.pick([5, 200, 5000]),
  }
  return {
    writers: 64,
    streams: 10,
    buckets: prng.pick([1, 3]),
    instances: prng.between(1, 3),
    calls: prng.between(3, 8),
    readers: 3,
    crashes: prng.pick([0, 0, 1, 2]),
    weather,
  }
}

/** Runs one seed; throws what it finds. */
export async function runHistory(
  seed: number,
  options: HistoryOptions = {},
): Promise<HistoryReport> {
  return new HistoryRun(seed, options).run()
}

class HistoryRun {
  readonly #prng: Prng
  readonly #plan: HistoryPlan
  readonly #machine: Machine
  readonly #histories = new Histories()
  readonly #writers: readonly HistoryWriter[]
  readonly #readers: readonly HistoryReader[]
  readonly #streams: readonly string[]
  readonly #indexes: readonly KeptIndex[]
  readonly #harm: HistoryOptions['harm']
  #instances: Instance[] = []
  #opened = 0
  #deaths = 0
  #crashes = 0

  constructor(seed: number, options: HistoryOptions) {
    this.#prng = new Prng(seed)
    const plan = drawPlan(this.#prng.fork())
    this.#plan = options.plan?.(plan) ?? plan
    this.#harm = options.harm
    this.#machine = new Machine(this.#prng.fork())
    this.#streams = Array.from({ length: this.#plan.streams }, (_, i) => `s${i}`)
    this.#writers = Array.from({ length: this.#plan.writers }, (_, i) => {
      const { calls } = this.#plan
      return new HistoryWriter(`w${i}`, this.#prng.fork(), this.#histories, this.#streams, calls)
    })
    this.#indexes = Array.from(
      { length: this.#plan.instances },
      () => new KeptIndex(this.#prng.fork(), options.keeps),
    )
    this.#readers = Array.from(
      { length: this.#plan.readers },
      () => new HistoryReader(this.#prng.fork()),
    )
  }

  async run(): Promise<HistoryReport> {
    for (let crash = 0; crash < this.#plan.crashes; crash += 1) await this.#live(true)
    await this.#live(false)
    return await this.#judge()
  }

  /** One life of the machine; in its end a crash, or all that was to be done is done. */
  async #live(crash: boolean): Promise<void> {
    const machine = this.#machine
    const engine = await machine.boot()
    const { disk, outside } = machine
    if (crash) {
      const operations = Math.ceil(2 ** this.#prng.between(2, 9))
      disk.crashAt(operations, this.#prng.pick(['before', 'during', 'after']))
    }
    let over = false
    const life = async (): Promise<void> => {
      for (let i = 0; i < this.#plan.instances; i += 1) await this.#open(engine, i)
      const instances = (): readonly Instance[] => this.#instances
      const pause = (): Promise<void> => outside.sleep(this.#prng.below(20))
      const reading = Promise.all(
        this.#readers.map(reader => reader.work(instances, pause, () => over)),
      )
      // A reader that fails is looked at when the writers have ended.
      reading.catch(() => undefined)
      const dying = this.#dying(engine, () => over)
      await Promise.all(this.#writers.map(writer => writer.work(instances, pause)))
      over = true
      await Promise.all([reading, dying])
    }
    await outside.drive(life(), { until: () => disk.crashed })
    over = true
    if (!crash) return
    this.#crashes += 1
    for (const { link } of this.#instances) link.kill()
    this.#instances = []
    machine.crash(this.#prng.pick(['kill', 'power']))
  }

  /** Opens an instance on one of the places, with what is left of the index there. */
  async #open(engine: Engine, place: number): Promise<void> {
    const name = `store ${this.#opened}`
    this.#opened += 1
    const prng = this.#prng.fork()
    const link = new Link(name, this.#machine, engine, prng.fork(), this.#plan.weather)
    const index = this.#indexes[place] as KeptIndex
    const store = openStoreOver(
      {
        log: this.#harm?.(link) ?? link.log,
        folder: null,
        categories: { [CATEGORY]: { buckets: this.#plan.buckets } },
        outside: link.outside,
        settings: {
          'append.attempts.max': prng.pick([2, 16]),
          'append.rounds.max': prng.pick([1, 2, 8]),
          'index.flush.ms': prng.pick([1, 20, 250]),
          'index.page.bytes': 1024,
          'streams.cache': 100,
        },
      },
      () => index.open(link),
    )
    this.#instances[place] = { link, store: await store }
  }

  /** Instances die now and then, and others open in their place. */
  async #dying(engine: Engine, over: () => boolean): Promise<void> {
    while (!over()) {
      await this.#machine.outside.sleep(this.#prng.between(5, 200))
      if (over() || !this.#prng.chance(0.5)) continue
      const place = this.#prng.below(this.#plan.instances)
      this.#instances[place]?.link.kill()
      this.#deaths += 1
      await this.#open(engine, place)
    }
  }

  async #judge(): Promise<HistoryReport> {
    const { outside, engine } = this.#machine
    if (engine === undefined) throw new HistoryViolation('the machine is down')
    await outside.advance(CALM_DOWN_MS)
    for (const { link } of this.#instances) link.weather = FAIR
    const log = new Link('the judge', this.#machine, engine, this.#prng.fork(), FAIR)
    const work = async (): Promise<ReadonlyMap<string, readonly string[]>> => {
      const store = await openStore({
        log: log.log,
        folder: null,
        categories: { [CATEGORY]: { buckets: this.#plan.buckets } },
        outside: log.outside,
      })
      const contents = new Map<string, readonly string[]>()
      for (const stream of this.#streams) {
        const { events } = await store.read(streamOf(stream)).all()
        contents.set(stream, events.map(nameOf))
      }
      await this.#judgeConditions(store)
      const judge: Instance = { link: log, store }
      await this.#judgeReaders([judge, ...this.#instances])
      return contents
    }
    const contents = (await outside.drive(work())) as ReadonlyMap<string, readonly string[]>
    log.kill()
    for (const { link } of this.#instances) link.kill()
    return this.#judgeStreams(contents)
  }

  async #judgeConditions(store: EventStore): Promise<void> {
    const events: RecordedEvent[] = []
    for await (const page of store.readAll([CATEGORY])) events.push(...page.events)
    const buckets = new Map<string, number>()
    for (const stream of this.#streams) {
      buckets.set(stream, (await store.state(streamOf(stream))).bucket)
    }
    const problems = conditionProblems(this.#histories.conditional, events, buckets)
    if (problems.length > 0) throw new HistoryViolation(problems.join('\n'))
  }

  /** Whoever followed, however slowly and often interrupted, has been given the same. */
  async #judgeReaders(instances: readonly Instance[]): Promise<void> {
    const fresh = new HistoryReader(this.#prng.fork())
    const wanted = await fresh.finish(instances[0] as Instance)
    for (const reader of this.#readers) {
      const got = await reader.finish(this.#prng.pick(instances))
      sameFollowing(got, wanted)
    }
  }

  #judgeStreams(contents: ReadonlyMap<string, readonly string[]>): HistoryReport {
    let [appended, unknown, conflicts, events] = [0, 0, 0, 0]
    for (const [stream, content] of contents) {
      const operations = this.#histories.operations.get(stream) ?? []
      // An instance may lag behind what others have written; a new one has read it all.
      const reads = this.#plan.instances === 1 ? 'all' : 'own'
      const problems = linearizabilityProblems({ operations, content }, { reads })
      if (problems.length > 0)
        throw new HistoryViolation(`stream ${stream}: ${problems.join('\n')}`)
      events += content.length
      for (const operation of operations) {
        if (operation.kind === 'read') continue
        if (operation.outcome.kind === 'appended') appended += 1
        if (operation.outcome.kind === 'unknown') unknown += 1
        if (operation.outcome.kind === 'conflict') conflicts += 1
      }
    }
    const crashes = this.#crashes
    return { appended, unknown, conflicts, events, crashes, deaths: this.#deaths }
  }
}

function sameFollowing(got: Following, wanted: Following): void {
  for (const bucket of new Set([...got.keys(), ...wanted.keys()])) {
    const a = got.get(bucket)
    const b = wanted.get(bucket)
    if (a?.digest === b?.digest && a?.events === b?.events) continue
    throw new HistoryViolation(
      `bucket ${bucket}: a reader was given ${a?.events} events, digest ${a?.digest}; ` +
        `from the beginning they are ${b?.events}, digest ${b?.digest}`,
    )
  }
}
