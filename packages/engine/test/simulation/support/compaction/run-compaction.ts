// One seed of the compaction's simulation: produce, clean, crash, recover, audit; at the end the disk
// is good, time passes, and what was overwritten has to be gone from it.
import { LogError, RecordBatch } from '@millrace/log'
import {
  type Climate,
  climatePlan,
  Prng,
  type SimDisk,
  type SimDiskOptions,
} from '../../../../src/simulation.ts'
import { verifyFolder } from '../../../../src/verify-folder.ts'
import { batchesOf, Violation } from '../oracle.ts'
import { type Life, World } from '../world.ts'
import { markOf, readRecords, type TopicRules } from './model.ts'
import { BACKOFF_MS, CHECKPOINT_MS, type CompactionPlan, drawCompactionPlan } from './plan.ts'
import { CompactionClients } from './workload.ts'

const FAULTY_BOOTS_MAX = 3
/** Longer than any cleaning of so little takes, even at the slowest pace. */
const CLEANING_MS = 60_000

export type CompactionReport = {
  readonly acknowledged: number
  readonly crashes: number
  readonly cleanings: number
}

export type CompactionOptions = {
  readonly disk?: (options: SimDiskOptions) => SimDisk
  readonly plan?: (plan: CompactionPlan) => CompactionPlan
}

/** Runs one seed; throws what it finds. */
export async function runCompaction(
  seed: number,
  options: CompactionOptions = {},
): Promise<CompactionReport> {
  const unhandled: unknown[] = []
  const note = (cause: unknown): void => void unhandled.push(cause)
  process.on('unhandledRejection', note)
  try {
    const report = await new CompactionRun(seed, options).run()
    await new Promise(resolve => setImmediate(resolve))
    if (unhandled.length > 0) throw new Violation(`a rejection is not handled: ${unhandled[0]}`)
    return report
  } finally {
    process.off('unhandledRejection', note)
  }
}

class CompactionRun {
  readonly #prng: Prng
  readonly #plan: CompactionPlan
  readonly #clients: CompactionClients
  readonly #world: World
  readonly #faults: Prng
  #cleanings = 0

  constructor(seed: number, options: CompactionOptions) {
    this.#prng = new Prng(seed)
    const plan = drawCompactionPlan(this.#prng.fork())
    this.#plan = options.plan?.(plan) ?? plan
    this.#clients = new CompactionClients(this.#plan, this.#prng.fork())
    this.#faults = this.#prng.fork()
    const { settings, latencyMs } = this.#plan
    const disk = options.disk === undefined ? {} : { disk: options.disk }
    this.#world = new World(this.#prng.fork(), { settings }, { latencyMs, ...disk })
  }

  async run(): Promise<CompactionReport> {
    const { crashes } = this.#plan
    for (let i = 0; i < crashes && this.#world.crashes < 4 * crashes; i += 1) await this.#live(true)
    await this.#live(false)
    await this.#calm()
    const models = [...this.#clients.models.values()]
    return {
      acknowledged: models.reduce((sum, model) => sum + model.acknowledged, 0),
      crashes: this.#world.crashes,
      cleanings: this.#cleanings,
    }
  }

  async #live(crashes: boolean): Promise<void> {
    const world = this.#world
    if (crashes) world.armCrash()
    const life = await this.#boot()
    if (life === undefined) return this.#crash()
    const clients = this.#clients
    this.#setFaults(life, this.#plan.climate)
    await life.outside.drive(clients.createTopics(life), { until: () => life.disk.crashed })
    const share = crashes ? Math.ceil(clients.left / 3) : clients.left
    await clients.run(life, share)
    life.disk.faults = undefined
    this.#note(life)
    if (life.disk.crashed || crashes || clients.faulty) this.#crash()
    else await world.close()
  }

  async #boot(): Promise<Life | undefined> {
    const world = this.#world
    for (let tries = 0; ; tries += 1) {
      const faulty = tries < FAULTY_BOOTS_MAX && this.#faults.chance(0.3)
      const plan = climatePlan(this.#plan.climate, this.#faults)
      world.disk.faults = faulty
        ? call => {
            const fault = plan(call)
            return fault !== undefined && 'hang' in fault ? undefined : fault
          }
        : undefined
      try {
        const life = await world.boot()
        if (life === undefined) return undefined
        world.disk.faults = undefined
        await this.#audit(life)
        return life.disk.crashed ? undefined : life
      } catch (cause) {
        if (!faulty || !(cause instanceof LogError)) throw cause
        if (this.#prng.chance(0.5)) this.#crash()
      }
    }
  }

  /** The disk is good: everything is answered, cleaned in time, and whole. */
  async #calm(): Promise<void> {
    const world = this.#world
    const clients = this.#clients
    clients.faulty = false
    world.disk.faults = undefined
    for (const round of [1, 2]) {
      const life = await world.boot()
      if (life === undefined) throw new Violation('no crash was asked for')
      const { state, reason, partitions } = life.engine.health()
      if (state !== 'ready' || partitions.length > 0) {
        throw new Violation(`${state}: ${reason} ${JSON.stringify(partitions)}`)
      }
      await life.outside.drive(clients.createTopics(life))
      await life.outside.drive(clients.finish(life))
      await this.#audit(life)
      if (round === 1) await this.#waitForCleaning(life)
      this.#note(life)
      await world.close()
      await life.outside.advance(1000)
      if (life.disk.misuse.length > 0) throw new Violation(life.disk.misuse.join('; '))
      if (life.disk.openFiles > 0)
        throw new Violation(`${life.disk.openFiles} files were left open`)
      const damage = verifyFolder(life.disk).findings.filter(({ severity }) => severity !== 'note')
      if (damage.length > 0) throw new Violation(`verify: ${JSON.stringify(damage)}`)
    }
  }

  /** Where there is a maximal lag, nothing that was replaced outlives it; tombstones go in the end. */
  async #waitForCleaning(life: Life): Promise<void> {
    const bounded = this.#plan.topics.filter(({ rules }) => rules.maxLagMs !== null)
    const lagMs = Math.max(0, ...bounded.map(({ rules }) => rules.maxLagMs ?? 0))
    const retentionMs = Math.max(...this.#plan.topics.map(topic => topic.rules.deleteRetentionMs))
    const passMs = 2 * (BACKOFF_MS + CHECKPOINT_MS) + CLEANING_MS
    await life.outside.advance(lagMs + passMs)
    await this.#audit(life)
    const overwritten = this.#overwritten(({ maxLagMs }) => maxLagMs !== null)
    for (const mark of this.#marksOnDisk(life)) {
      const left = overwritten.get(mark)
      if (left !== undefined) throw new Violation(`${left} is overwritten and still on the disk`)
    }
    await life.outside.advance(retentionMs + passMs)
    await this.#audit(life)
    for (const { name, partitions } of bounded) {
      for (let i = 0; i < partitions; i += 1) await this.#auditLast(life, name, i)
    }
    await this.#auditErasure(life)
  }

  /** Whoever asks for a cleaning finds no copy of what was overwritten, in the journal neither. */
  async #auditErasure(life: Life): Promise<void> {
    for (const { name } of this.#plan.topics) {
      await life.outside.drive(life.engine.compactNow(name))
    }
    // With a minimal lag what has just been closed is too young.
    const overwritten = this.#overwritten(({ minLagMs }) => minLagMs === 0)
    for (const mark of [...this.#marksOnDisk(life), ...marksIn(life, 'journal')]) {
      const left = overwritten.get(mark)
      if (left !== undefined) throw new Violation(`${left} was cleaned and is still on the disk`)
    }
    await this.#audit(life)
  }

  /** Reads hold the last value of each key and nothing else. */
  async #auditLast(life: Life, topic: string, partition: number): Promise<void> {
    const model = this.#clients.models.get(`${topic}-${partition}`)
    if (model === undefined) return
    const superfluous = new Set(model.superfluous().map(({ id }) => id))
    const [result] = await life.engine.fetch({
      positions: [{ topic, partition, offset: model.logStart, maxBytes: 1 << 22 }],
      ...{ minBytes: 0, maxBytes: 1 << 22, maxWaitMs: 0 },
      isolation: 'read_uncommitted',
    })
    for (const bytes of batchesOf(result?.records ?? Buffer.alloc(0))) {
      for (const { offset, id } of readRecords(new RecordBatch(bytes))) {
        if (offset < model.logStart || !superfluous.has(id)) continue
        throw new Violation(`${model.name} offset ${offset}: record ${id} is still read`)
      }
    }
  }

  /** Values that a later record of their key has replaced, by the text that stands on the disk. */
  #overwritten(of: (rules: TopicRules) => boolean): Map<string, string> {
    const overwritten = new Map<string, string>()
    for (const model of this.#clients.models.values()) {
      if (!of(model.rules)) continue
      for (const { id, value, compressed } of model.superfluous()) {
        if (value !== null && !compressed) overwritten.set(markOf(id), `${model.name} record ${id}`)
      }
    }
    return overwritten
  }

  /** Marks of all values in all segments' files, listed or not. */
  *#marksOnDisk(life: Life): Generator<string> {
    for (const folder of life.disk.list('partitions')) yield* marksIn(life, `partitions/${folder}`)
  }

  async #audit(life: Life): Promise<void> {
    await life.outside.drive(this.#clients.audit(life), { until: () => life.disk.crashed })
  }

  #note(life: Life): void {
    this.#cleanings += life.engine.metrics()['cleanings_total'] ?? 0
  }

  #crash(): void {
    this.#world.crash(this.#prng.pick(['kill', 'power', 'power']), this.#prng.pick([0, 10, 10_000]))
  }

  #setFaults(life: Life, climate: Climate): void {
    life.disk.faults = climatePlan(climate, this.#faults)
    const { slowSyncs: _, slowestMs, ...rates } = climate
    const slow = slowestMs > (this.#plan.settings['journal.stall.max.ms'] ?? 0) / 4
    this.#clients.faulty = slow || Object.values(rates).some(rate => rate > 0)
  }
}

function* marksIn({ disk }: Life, folder: string): Generator<string> {
  for (const name of disk.list(folder)) {
    if (!name.endsWith('.log') && !name.endsWith('.journal')) continue
    const file = disk.open(`${folder}/${name}`, 'read')
    const bytes = Buffer.alloc(file.size())
    file.read(0, bytes)
    file.close()
    for (const [mark] of bytes.toString('latin1').matchAll(/<\d{8}>/g)) yield mark
  }
}
