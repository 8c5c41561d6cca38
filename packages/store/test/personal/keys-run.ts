/**
 * One seed: two nodes that share an engine under virtual time make, open, forget and rotate keys at
 * the same time, while the topic is compacted, nodes restart with old derived data, and the machine
 * crashes; at the end everything is asked of every node.
 */
import { type Engine, openEngine } from '@millrace/engine'
import {
  type CrashMoment,
  Prng,
  SimDisk,
  seededChoose,
  VirtualOutside,
} from '@millrace/engine/simulation'
import type { FetchRequest, Log } from '@millrace/log'
import { memoryKeys } from '../../src/personal/providers.ts'
import { SubjectKeys } from '../../src/personal/subject-keys.ts'
import { KeysOracle, KeysViolation, type Viewer } from './keys-oracle.ts'
import { LossyKeyValue } from './lossy-key-value.ts'
import { KEYS_TOPIC, MASTER_A, MASTER_B } from './support.ts'

const SMALL = {
  'journal.file.bytes': 65_536,
  'journal.max.bytes': 131_072,
  'journal.group.max.bytes': 16_384,
  'checkpoint.interval.ms': 1000,
  'disk.reserve.bytes': 0,
}
const SUBJECTS = 5
const NODES = 2
const BURST_MAX = 12

type Node = { keys: SubjectKeys; kv: LossyKeyValue; readonly viewer: Viewer }
export type KeysReport = {
  readonly opened: number
  readonly erased: number
  readonly crashes: number
  readonly rewrapped: number
}

/** Runs one seed; throws what it finds. */
export async function runKeysSeed(seed: number): Promise<KeysReport> {
  const unhandled: unknown[] = []
  const note = (cause: unknown): void => void unhandled.push(cause)
  process.on('unhandledRejection', note)
  try {
    const report = await new KeysRun(seed).run()
    await new Promise(resolve => setImmediate(resolve))
    if (unhandled.length > 0) throw new KeysViolation(`a rejection is not handled: ${unhandled[0]}`)
    return report
  } finally {
    process.off('unhandledRejection', note)
  }
}

class KeysRun {
  readonly #prng: Prng
  readonly #oracle = new KeysOracle()
  readonly #nodes: Node[] = []
  /** Derived data of nodes that have crashed. */
  readonly #left: LossyKeyValue[] = []
  #outside: VirtualOutside
  #disk: SimDisk
  #engine: Engine | undefined
  #crashes = 0
  #rewrapped = 0

  constructor(seed: number) {
    this.#prng = new Prng(seed)
    this.#outside = new VirtualOutside(this.#prng.fork())
    const latency = this.#prng.fork()
    const timers = this.#outside.timers
    this.#disk = new SimDisk({ timers, latencyMs: () => latency.fraction(), seed })
  }

  async run(): Promise<KeysReport> {
    const rounds = this.#prng.between(4, 10)
    for (let round = 0; round < rounds; round++) {
      if (this.#prng.chance(0.4)) this.#armCrash()
      await this.#round()
      if (this.#disk.crashed) await this.#crash()
    }
    this.#disk.crashAt(Number.MAX_SAFE_INTEGER) // calm from here on
    await this.#up()
    await this.#askEverything()
    const { opened, erased } = this.#oracle
    return { opened, erased, crashes: this.#crashes, rewrapped: this.#rewrapped }
  }

  async #round(): Promise<void> {
    await this.#up()
    const burst = Array.from({ length: this.#prng.between(1, BURST_MAX) }, () => this.#oneOf())
    await this.#drive(Promise.all(burst))
    if (this.#disk.crashed) return
    if (this.#prng.chance(0.3)) await this.#restart(this.#prng.pick(this.#nodes))
    if (!this.#disk.crashed && this.#prng.chance(0.5)) {
      await this.#drive(this.#outside.sleep(this.#prng.below(40_000)))
    }
  }

  /** Starts what is not running, as often as it takes. */
  async #up(): Promise<void> {
    while (this.#engine === undefined || this.#nodes.length < NODES) {
      this.#engine ??= await this.#boot()
      if (this.#engine === undefined) {
        await this.#crash()
        continue
      }
      // At the same time: they may find an empty topic, and each make what the other makes.
      const missing = Array.from({ length: NODES - this.#nodes.length }, () =>
        this.#open(this.#left.shift() ?? new LossyKeyValue()),
      )
      const nodes = await this.#drive(Promise.all(missing))
      if (nodes === undefined) await this.#crash()
      else this.#nodes.push(...nodes)
    }
  }

  #boot(): Promise<Engine | undefined> {
    const disk = this.#disk
    const outside = this.#outside
    return this.#drive(openEngine({ folder: '', disk, outside, settings: SMALL }))
  }

  async #open(kv: LossyKeyValue): Promise<Node> {
    const first = this.#prng.chance(0.5)
    const masters = first ? { a: MASTER_A, b: MASTER_B } : { b: MASTER_B, a: MASTER_A }
    const openedAt = this.#oracle.tick()
    const keys = await SubjectKeys.open({
      log: this.#far(this.#engine as Engine),
      topic: KEYS_TOPIC,
      kv,
      provider: memoryKeys(masters),
      outside: this.#outside,
      cached: this.#prng.pick([1, 2, 100]),
      goneMs: 3_600_000,
      timeoutMs: 60_000,
      tailWaitMs: 500,
      tailFetchBytes: this.#prng.pick([1000, 1 << 20]),
    })
    return { keys, kv, viewer: { openedAt, gone: new Set() } }
  }

  /** The log as a node far away has it: what it fetches is old when it arrives. */
  #far(engine: Engine): Log {
    const outside = this.#outside
    const lateMs = this.#prng.pick([0, 10, 100])
    return new Proxy<Log>(engine, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name)
        if (typeof value !== 'function') return value
        if (name !== 'fetch') return value.bind(target)
        return async (request: FetchRequest) => {
          const answer = await target.fetch(request)
          await outside.sleep(this.#prng.below(lateMs + 1))
          return answer
        }
      },
    })
  }

  /** A node ends in good order and comes back with its derived data, with older, or without. */
  async #restart(node: Node): Promise<void> {
    await this.#drive(node.keys.close())
    if (this.#disk.crashed) return
    const again = await this.#drive(this.#open(await node.kv.afterCrash(this.#share())))
    if (again === undefined) return
    node.viewer.openedAt = again.viewer.openedAt
    Object.assign(node, { keys: again.keys, kv: again.kv })
  }

  async #crash(): Promise<void> {
    this.#crashes += 1
    this.#engine = undefined
    const old = this.#nodes.splice(0)
    this.#outside = this.#outside.reboot(this.#prng.below(1000))
    const { timers } = this.#outside
    this.#disk = this.#disk.crash(
      this.#prng.chance(0.5)
        ? { kind: 'kill', timers }
        : { kind: 'power', timers, choose: seededChoose(this.#prng.fork()) },
    )
    for (const { kv } of old) this.#left.push(await kv.afterCrash(this.#share()))
  }

  #share(): number {
    return this.#prng.pick([0, 1, 1, this.#prng.fraction()])
  }

  #armCrash(): void {
    const n = Math.ceil(2 ** (this.#prng.fraction() * 9))
    this.#disk.crashAt(n, this.#prng.pick<CrashMoment>(['before', 'during', 'after']))
  }

  async #oneOf(): Promise<void> {
    const { keys, viewer } = this.#prng.pick(this.#nodes)
    const subject = `subject ${this.#prng.below(SUBJECTS)}`
    const what = this.#prng.fraction()
    const known = this.#oracle.keyIds
    const id = known.length === 0 ? undefined : this.#prng.pick(known)
    const wait = this.#prng.chance(0.5) ? this.#prng.below(20) : 0
    const compact = this.#prng.chance(0.3)
    await this.#outside.sleep(wait)
    if (what < 0.4) await this.#use(keys, subject)
    else if (what < 0.7 && id !== undefined) await this.#ask(keys, viewer, id)
    else if (what < 0.85) await this.#forget(keys, viewer, subject)
    else if (compact) await this.#compact()
    else this.#rewrapped += (await keys.rotate()).rewrapped
  }

  /** Whether it succeeds is not of interest here, what it takes away is. */
  async #compact(): Promise<void> {
    await this.#engine?.compactNow(KEYS_TOPIC).catch(() => undefined)
  }

  async #use(keys: SubjectKeys, subject: string): Promise<void> {
    const from = this.#oracle.asking(subject)
    const { id, bytes } = await keys.sealing(await keys.hash('', subject))
    this.#oracle.handedOut(subject, from, id, bytes)
  }

  async #ask(keys: SubjectKeys, viewer: Viewer, id: string): Promise<void> {
    const from = this.#oracle.tick()
    const key = await keys.opening(id)
    this.#oracle.answered(viewer, id, from, key?.bytes ?? null)
  }

  async #forget(keys: SubjectKeys, viewer: Viewer, subject: string): Promise<void> {
    const forgetting = this.#oracle.forgetting(viewer, subject)
    await keys.forget('', subject)
    forgetting.answered()
  }

  async #askEverything(): Promise<void> {
    await this.#drive(this.#outside.sleep(300_000))
    for (const share of [0, 1]) {
      const fresh = await this.#drive(
        this.#open(await (this.#nodes[0] as Node).kv.afterCrash(share)),
      )
      if (fresh === undefined) throw new KeysViolation('it does not open in calm weather')
      // Minutes have passed: all that was said has reached everybody.
      for (const { keys, viewer } of [...this.#nodes, fresh]) {
        viewer.openedAt = this.#oracle.tick()
        for (const id of this.#oracle.keyIds) await this.#drive(this.#ask(keys, viewer, id))
      }
      await this.#drive(this.#compact())
    }
  }

  /** Undefined when the machine crashes before there is an answer. */
  async #drive<T>(work: Promise<T>): Promise<T | undefined> {
    try {
      const answer = await this.#outside.drive(work, { until: () => this.#disk.crashed })
      return this.#disk.crashed ? undefined : answer
    } catch (cause) {
      if (this.#disk.crashed && !(cause instanceof KeysViolation)) return undefined
      throw cause
    }
  }
}
