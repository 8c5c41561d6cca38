// One machine over all its lives: a disk that forgets, an engine on it, virtual time. And links to
// its log: what one store instance sees of it, with a network that loses, delays, repeats and tears,
// until the instance dies.

import type { Outside } from '@millrace/base'
import { type Engine, openEngine } from '@millrace/engine'
import { type Prng, SimDisk, seededChoose, VirtualOutside } from '@millrace/engine/simulation'
import {
  type AppendEntry,
  type AppendOptions,
  type AppendResult,
  decodeBatches,
  encodeBatch,
  type FetchRequest,
  type FetchResult,
  type Log,
  LogError,
} from '@millrace/log'

/** How often what goes wrong on a link, of one call; and how long things take, in ms. */
export type Weather = {
  /** Never arrives; the caller is told after a while that it timed out. */
  readonly lost: number
  /** Is written; the answer never comes, or an error does. */
  readonly answerLost: number
  /** The caller is told of an error, and then it is written. */
  readonly late: number
  /** Is written and answered, and later written once more. */
  readonly twice: number
  /** Is written in two batches with time between them, or only its first part. */
  readonly torn: number
  readonly fetchFails: number
  readonly latencyMs: number
  /** How late copies are. */
  readonly lateMs: number
}

/** Nothing goes wrong. */
export const FAIR: Weather = {
  lost: 0,
  answerLost: 0,
  late: 0,
  twice: 0,
  torn: 0,
  fetchFails: 0,
  latencyMs: 0,
  lateMs: 0,
}

/** See the head of the file. */
export class Machine {
  readonly #prng: Prng
  outside: VirtualOutside
  disk: SimDisk
  engine: Engine | undefined

  constructor(prng: Prng) {
    this.#prng = prng
    this.outside = new VirtualOutside(prng.fork())
    const latency = prng.fork()
    const { timers } = this.outside
    this.disk = new SimDisk({ timers, latencyMs: () => 0.3 * latency.fraction(), seed: 1 })
  }

  async boot(): Promise<Engine> {
    const { disk, outside } = this
    const engine = await outside.drive(openEngine({ folder: '', disk, outside }))
    if (engine === undefined) throw new Error('no crash was asked for')
    this.engine = engine
    return engine
  }

  /** Everything on the machine is gone but what the disk kept. */
  crash(kind: 'kill' | 'power'): void {
    this.engine = undefined
    this.outside = this.outside.reboot(this.#prng.pick([0, 100, 20_000]))
    const { timers } = this.outside
    const choose = seededChoose(this.#prng.fork())
    this.disk = this.disk.crash(kind === 'kill' ? { kind, timers } : { kind, timers, choose })
  }
}

const FETCH_BYTES_MIN = 200
const nothing = <T>(): Promise<T> => new Promise<T>(() => undefined)

/** What one store instance holds of the machine: its log and its outside. */
export class Link {
  readonly name: string
  readonly log: Log
  readonly outside: Outside
  /** Resolves with undefined when the instance dies. */
  readonly died: Promise<undefined>
  weather: Weather
  readonly #machine: VirtualOutside
  readonly #engine: Log
  readonly #prng: Prng
  #dead = false
  #die: (value: undefined) => void = () => undefined

  constructor(name: string, machine: Machine, engine: Log, prng: Prng, weather: Weather) {
    this.name = name
    this.weather = weather
    this.#engine = engine
    this.#machine = machine.outside
    this.#prng = prng
    this.died = new Promise(resolve => {
      this.#die = resolve
    })
    const { clock, random, timers } = machine.outside
    const alive = (callback: () => void) => () => {
      if (!this.#dead) callback()
    }
    this.outside = {
      clock,
      random,
      timers: {
        after: (ms, callback) => timers.after(ms, alive(callback)),
        soon: callback => timers.soon(alive(callback)),
      },
    }
    this.log = this.#wrap(engine)
  }

  get dead(): boolean {
    return this.#dead
  }

  /** The instance is gone: it hears nothing any more. What is on its way to the log may arrive. */
  kill(): void {
    this.#dead = true
    this.#die(undefined)
  }

  #wrap(engine: Log): Log {
    return new Proxy(engine, {
      get: (target, name) => {
        if (name === 'append') return (...call: Parameters<Log['append']>) => this.#append(...call)
        if (name === 'fetch') return (request: FetchRequest) => this.#fetch(request)
        const value: unknown = Reflect.get(target, name)
        if (typeof value !== 'function') return value
        return async (...call: unknown[]) =>
          this.#unlessDead(await (value.apply(target, call) as Promise<unknown>))
      },
    })
  }

  #unlessDead<T>(value: T): T | Promise<T> {
    return this.#dead ? nothing<T>() : value
  }

  #pause(ms: number): Promise<void> {
    return this.#machine.sleep(this.#prng.fraction() * ms)
  }

  async #fetch(request: FetchRequest): Promise<readonly FetchResult[]> {
    const { fetchFails, latencyMs } = this.weather
    await this.#pause(latencyMs)
    if (this.#dead) return nothing()
    if (this.#prng.chance(fetchFails)) throw new LogError('REQUEST_TIMED_OUT')
    const maxBytes = this.#prng.pick([FETCH_BYTES_MIN, 2000, request.maxBytes])
    return this.#unlessDead(await this.#engine.fetch({ ...request, maxBytes }))
  }

  /** Each batch goes its own way, as batches of several partitions do. */
  async #append(
    entries: readonly AppendEntry[],
    options?: AppendOptions,
  ): Promise<readonly AppendResult[]> {
    // The caller may use its buffers again once it is answered.
    const copies = entries.map(entry => ({ ...entry, batch: Buffer.from(entry.batch) }))
    const results = await Promise.all(copies.map(entry => this.#appendOne(entry, options)))
    return this.#unlessDead(results)
  }

  async #appendOne(entry: AppendEntry, options?: AppendOptions): Promise<AppendResult> {
    const { lost, answerLost, late, twice, torn, latencyMs, lateMs } = this.weather
    const fault = this.#prng.fraction()
    const write = async (batch: Buffer): Promise<AppendResult> => {
      const [result] = await this.#engine.append([{ ...entry, batch: Buffer.from(batch) }], options)
      return result as AppendResult
    }
    await this.#pause(latencyMs)
    if (fault < lost) return await this.#failed()
    if (fault < lost + answerLost) {
      await write(entry.batch)
      return await this.#failed()
    }
    if (fault < lost + answerLost + late) {
      void this.#pause(lateMs).then(() => write(entry.batch))
      return await this.#failed()
    }
    if (fault < lost + answerLost + late + torn) {
      const [first, second] = tear(entry.batch, this.#prng.between(1, recordsOf(entry.batch) - 1))
      await write(first)
      if (this.#prng.chance(0.5)) void this.#pause(lateMs).then(() => write(second))
      return await this.#failed()
    }
    const result = await write(entry.batch)
    if (this.#prng.chance(twice)) void this.#pause(lateMs).then(() => write(entry.batch))
    await this.#pause(latencyMs)
    return result
  }

  async #failed(): Promise<AppendResult> {
    await this.#pause(this.#prng.pick([0, 0, 50, 2000]))
    const code = this.#prng.pick(['REQUEST_TIMED_OUT', 'NOT_LEADER_OR_FOLLOWER'] as const)
    return { error: new LogError(code), baseOffset: -1, logAppendTime: -1, logStartOffset: -1 }
  }
}

const recordsOf = (bytes: Buffer): number => {
  const [batch] = decodeBatches(bytes)
  return Math.max(2, batch?.recordCount ?? 0)
}

/** A batch in two, the first of `size` records; twice the whole, where there is nothing to tear. */
export function tear(bytes: Buffer, size: number): [Buffer, Buffer] {
  const [batch] = decodeBatches(bytes)
  const records = [...(batch?.records() ?? [])]
  const part = (from: number, to: number) =>
    encodeBatch({
      records: records
        .slice(from, to)
        .map(({ key, value, headers, timestamp }) => ({ key, value, headers, timestamp })),
    })
  return records.length < 2 ? [bytes, bytes] : [part(0, size), part(size, records.length)]
}
