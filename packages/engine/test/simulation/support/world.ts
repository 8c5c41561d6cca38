// One machine over all its lives: a disk, an outside, an engine. It boots, crashes and boots again;
// what it tells the outside is kept by the oracle.
import type { Engine } from '../../../src/engine.ts'
import { type EngineEvent, type EngineOptions, openEngine } from '../../../src/open-engine.ts'
import {
  type CrashMoment,
  type Prng,
  SimDisk,
  type SimDiskOptions,
  seededChoose,
  VirtualOutside,
} from '../../../src/simulation.ts'

/** Virtual time within which an engine has opened, whatever the disk does. */
const OPEN_MAX_MS = 600_000

export type CrashKind = 'kill' | 'power'

/** An engine that is running on one disk; dead after the disk's crash. */
export type Life = {
  readonly engine: Engine
  readonly disk: SimDisk
  readonly outside: VirtualOutside
}

export class World {
  readonly prng: Prng
  readonly events: EngineEvent[] = []
  readonly #options: Omit<EngineOptions, 'folder' | 'disk' | 'outside' | 'onEvent'>
  readonly #latencyMs: number
  disk: SimDisk
  outside: VirtualOutside
  life: Life | undefined
  crashes = 0

  constructor(
    prng: Prng,
    options: Omit<EngineOptions, 'folder' | 'disk' | 'outside' | 'onEvent'> = {},
    parts: { latencyMs?: number; disk?: (options: SimDiskOptions) => SimDisk } = {},
  ) {
    this.prng = prng
    this.#options = options
    this.#latencyMs = parts.latencyMs ?? 0
    this.outside = new VirtualOutside(prng.fork())
    const make = parts.disk ?? ((diskOptions: SimDiskOptions) => new SimDisk(diskOptions))
    const latency = prng.fork()
    this.disk = make({
      timers: this.outside.timers,
      latencyMs: () => this.#latencyMs * latency.fraction(),
      seed: prng.uint32(),
    })
  }

  /** Opens the engine; undefined when the disk has crashed meanwhile. Throws what opening throws. */
  async boot(options: { readonly acceptLoss?: boolean } = {}): Promise<Life | undefined> {
    const { disk, outside } = this
    const opening = openEngine({
      ...this.#options,
      ...options,
      folder: '',
      disk,
      outside,
      onEvent: event => void this.events.push(event),
    })
    let engine: Engine | undefined
    try {
      engine = await outside.drive(opening, { maxMs: OPEN_MAX_MS, until: () => disk.crashed })
    } catch (cause) {
      if (!disk.crashed) throw cause
    }
    if (disk.crashed || engine === undefined) return undefined
    this.life = { engine, disk, outside }
    return this.life
  }

  /** What is left after a crash, for the next boot. */
  crash(kind: CrashKind, downMs = 0): void {
    this.life = undefined
    this.crashes += 1
    this.outside = this.outside.reboot(downMs)
    const { timers } = this.outside
    this.disk = this.disk.crash(
      kind === 'kill' ? { kind, timers } : { kind, timers, choose: seededChoose(this.prng.fork()) },
    )
  }

  /** Crashes at one of the next operations, drawn so that small numbers are as likely as large. */
  armCrash(): void {
    const n = Math.ceil(2 ** (this.prng.fraction() * 10))
    this.disk.crashAt(n, this.prng.pick<CrashMoment>(['before', 'during', 'after']))
  }

  /** Closes the engine in good order; false when it cannot (a hung disk). */
  async close(maxMs = 120_000): Promise<void> {
    const { life } = this
    if (life === undefined) return
    this.life = undefined
    await life.outside.drive(life.engine.close(), { maxMs, until: () => life.disk.crashed })
  }
}
