// One seed: draw the climate, run the workload, crash, recover, audit, and at the end ask for life.
import { LogError } from '@millrace/log'
import {
  CALM,
  climatePlan,
  Prng,
  type SimDisk,
  type SimDiskOptions,
} from '../../../src/simulation.ts'
import { audit } from './audit.ts'
import { Clients } from './clients.ts'
import { drawPlan, holdsJumps, type Plan, RETENTION_MS, START_JUMP_MS } from './climate.ts'
import { Oracle, Violation } from './oracle.ts'
import { type CrashKind, type Life, World } from './world.ts'

/** Boots that may fail in a row while the disk fails. */
const FAULTY_BOOTS_MAX = 3
const PLENTY_BYTES = 2 ** 40

export type SeedReport = {
  readonly operations: number
  readonly acknowledged: number
  readonly crashes: number
  readonly crashesInRecovery: number
  /** Starts that a full disk has refused. */
  readonly refusedFull: number
}

export type SeedOptions = {
  /** Makes the disk; for a broken one. */
  readonly disk?: (options: SimDiskOptions) => SimDisk
  readonly plan?: (plan: Plan) => Plan
}

/** Runs one seed; throws what it finds. */
export async function runSeed(seed: number, options: SeedOptions = {}): Promise<SeedReport> {
  // A rejection that nobody handles ends a real process.
  const unhandled: unknown[] = []
  const note = (cause: unknown): void => void unhandled.push(cause)
  process.on('unhandledRejection', note)
  try {
    const report = await new SeedRun(seed, options).run()
    await new Promise(resolve => setImmediate(resolve))
    if (unhandled.length > 0) throw new Violation(`a rejection is not handled: ${unhandled[0]}`)
    return report
  } finally {
    process.off('unhandledRejection', note)
  }
}

class SeedRun {
  readonly #prng: Prng
  readonly #plan: Plan
  readonly #oracle = new Oracle()
  readonly #clients: Clients
  readonly #world: World
  readonly #faults: Prng
  #crashesInRecovery = 0
  #refusedFull = 0
  #openedShort = false
  #lastCrash: CrashKind | undefined

  constructor(seed: number, options: SeedOptions) {
    this.#prng = new Prng(seed)
    const plan = drawPlan(this.#prng.fork())
    this.#plan = options.plan?.(plan) ?? plan
    this.#clients = new Clients(this.#plan, this.#oracle, this.#prng.fork())
    this.#faults = this.#prng.fork()
    this.#world = new World(
      this.#prng.fork(),
      { settings: this.#plan.settings },
      {
        latencyMs: this.#plan.latencyMs,
        ...(options.disk === undefined ? {} : { disk: options.disk }),
      },
    )
  }

  async run(): Promise<SeedReport> {
    const { crashes } = this.#plan
    for (let i = 0; i < crashes; i += 1) {
      if (!(await this.#live(true))) i += this.#world.crashes > crashes ? crashes : 0
    }
    await this.#live(false)
    await this.#liveness()
    return {
      operations: this.#plan.operations - this.#clients.left,
      acknowledged: this.#oracle.acknowledged,
      crashes: this.#world.crashes,
      crashesInRecovery: this.#crashesInRecovery,
      refusedFull: this.#refusedFull,
    }
  }

  /** One life: boot, audit, work, end. Answers whether it ended by a crash after opening. */
  async #live(crashes: boolean): Promise<boolean> {
    if (crashes) this.#world.armCrash()
    const life = await this.#boot()
    if (life === undefined) {
      this.#crashesInRecovery += 1
      this.#crash()
      return false
    }
    if (this.#oracle.topics.size === 0) {
      for (const topic of this.#plan.topics) {
        await life.outside.drive(this.#clients.createTopic(life, topic), {
          until: () => life.disk.crashed,
        })
      }
    }
    life.disk.descriptorsMax = this.#plan.descriptorsMax
    const left = this.#clients.left
    const share = crashes ? Math.ceil(left / (this.#plan.crashes + 1)) * 2 : left
    this.#setFaults(life)
    this.#fill(life)
    await this.#clients.run(life, Math.min(left, share))
    this.#clearFaults(life)
    if (life.disk.crashed || crashes) {
      this.#crash()
      return true
    }
    return false
  }

  /** Opens; faults of the disk may stand in the way at first, but not for ever. */
  async #boot(): Promise<Life | undefined> {
    const world = this.#world
    for (let tries = 0; ; tries += 1) {
      const faulty = tries < FAULTY_BOOTS_MAX && this.#faults.chance(0.3)
      const plan = climatePlan(this.#plan.climate, this.#faults)
      // A hung disk call hangs the opening: an operator sees that, and kills the process.
      world.disk.faults = faulty
        ? call => {
            const fault = plan(call)
            return fault !== undefined && 'hang' in fault ? undefined : fault
          }
        : undefined
      const isFull = world.disk.capacityBytes < PLENTY_BYTES
      // What has run out meanwhile keeps appends out for a while behind it.
      this.#openedShort = isFull || (faulty && this.#plan.climate !== CALM)
      let life: Life | undefined
      try {
        life = await world.boot()
      } catch (cause) {
        if (!(faulty || isFull) || !(cause instanceof LogError)) throw cause
        // What it needs does not fit: somebody makes room.
        world.disk.capacityBytes = PLENTY_BYTES
        this.#refusedFull += isFull && !faulty ? 1 : 0
        if (this.#prng.chance(0.5)) this.#crash()
        continue
      }
      if (life === undefined) return undefined
      world.disk.faults = undefined
      await this.#audit(life)
      if (!life.disk.crashed && this.#prng.chance(0.1)) {
        // What recovery has shown, no power cut may take away.
        this.#crash('power')
        continue
      }
      return life.disk.crashed ? undefined : life
    }
  }

  async #audit(life: Life): Promise<void> {
    await audit(life, this.#oracle, this.#lastCrash, this.#ageMin())
    this.#lastCrash = undefined
  }

  /** Each start may take for time what it cannot tell from an absence. */
  #ageMin(): number | undefined {
    if (!holdsJumps(this.#plan) || this.#plan.climate !== CALM) return undefined
    return RETENTION_MS - START_JUMP_MS * (this.#world.crashes + 3)
  }

  #crash(kind: CrashKind = this.#prng.pick(['kill', 'power', 'power'])): void {
    // Two crashes without a look in between: the harder one counts.
    if (this.#lastCrash !== 'power') this.#lastCrash = kind
    this.#world.crash(kind, this.#prng.pick([0, 10, 10_000]))
  }

  #setFaults(life: Life): void {
    const { climate } = this.#plan
    life.disk.faults = climatePlan(climate, this.#faults)
    const { slowSyncs: _, slowestMs, ...rates } = climate
    // A slow disk may look like a hung one.
    const slow = slowestMs > (this.#plan.settings['journal.stall.max.ms'] ?? 0) / 4
    this.#clients.faulty = slow || Object.values(rates).some(rate => rate > 0)
  }

  #clearFaults(life: Life): void {
    life.disk.faults = undefined
  }

  /** Nothing more fits, for the whole life, and the next ones until one is drawn that has room. */
  #fill(life: Life): void {
    const { disk } = life
    if (disk.crashed) return
    const full = this.#faults.chance(this.#plan.fullLives)
    disk.capacityBytes = full ? disk.capacityBytes - disk.space().free : PLENTY_BYTES
    if (full || this.#openedShort) this.#clients.faulty = true
  }

  /** The disk is good again: after a restart everything takes records, and nothing is missing. */
  async #liveness(): Promise<void> {
    const world = this.#world
    if (this.#clients.faulty) this.#crash('kill')
    else await world.close()
    this.#clients.faulty = false
    world.disk.capacityBytes = PLENTY_BYTES
    for (const round of [1, 2]) {
      world.disk.faults = undefined
      const life = await world.boot()
      if (life === undefined) throw new Violation('no crash was asked for')
      const { state, reason, partitions } = life.engine.health()
      if (state !== 'ready' || partitions.length > 0) {
        throw new Violation(`${state}: ${reason} ${JSON.stringify(partitions)}`)
      }
      await this.#audit(life)
      await this.#clients.finish(life)
      if (round === 1) this.#lastCrash = undefined
      await audit(life, this.#oracle, undefined, this.#ageMin())
      await world.close()
      // What was under way in the background ends by itself.
      await life.outside.advance(1000)
      if (life.disk.misuse.length > 0) throw new Violation(life.disk.misuse.join('; '))
      if (life.disk.openFiles > 0)
        throw new Violation(`${life.disk.openFiles} files were left open`)
    }
  }
}
