/**
 * Clock, timers and randomness from one seed, under virtual time.
 *
 * Nothing here waits: `advance` and `drive` take the timers in the order of their time, let all
 * promises that can go on do so in between, and set the clock. A thirty-second stall takes as long
 * as the code that it wakes. Node's tick queue is empty of promise jobs when a `nextTick` callback
 * runs, so one callback is one settled state; the real event loop gets a turn now and then.
 */
import type { Clock, Outside, Random, Timer, Timers } from '../outside.ts'
import { Prng } from './choose.ts'

/** Events after which the real event loop gets a turn. */
const EVENTS_PER_TURN = 256
/** Events of one `advance` or `drive` after which something must be running in a circle. */
const EVENTS_MAX = 5_000_000
/** Where virtual time begins. Milliseconds since the epoch. */
const EPOCH_MS = 1_750_000_000_000

type Due = { readonly at: number; readonly order: number; callback: (() => void) | undefined }

/** What a drive waits for, and how long. */
export type DriveOptions = {
  /** Virtual time after which it throws. Default 10 minutes. */
  readonly maxMs?: number
  /** Ends the drive as well, checked after each event: the answer is then undefined. */
  readonly until?: () => boolean
}

/** A simulated outside of the engine. */
export class VirtualOutside implements Outside {
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly prng: Prng
  #monotonic: number
  #wallOffset: number
  #order = 0
  #due: Due[] = []
  #events = 0
  #halted = false

  constructor(seed: number | Prng, startMs = 0, wallOffsetMs: number = EPOCH_MS) {
    this.prng = typeof seed === 'number' ? new Prng(seed) : seed
    this.#monotonic = startMs
    this.#wallOffset = wallOffsetMs
    this.clock = {
      now: () => Math.floor(this.#wallOffset + this.#monotonic),
      monotonic: () => this.#monotonic,
    }
    this.timers = {
      after: (ms, callback) => this.#after(ms, callback),
      soon: callback => void this.#after(0, callback),
    }
    this.random = { bytes: length => this.prng.bytes(length) }
  }

  /** Timers that wait. */
  get waiting(): number {
    return this.#due.reduce((count, due) => count + (due.callback === undefined ? 0 : 1), 0)
  }

  /** Moves the wall clock alone, as an administrator or NTP does. */
  jumpWallClock(ms: number): void {
    this.#wallOffset += ms
  }

  /**
   * The process stands still for so long, the world does not: what has become due meanwhile runs
   * afterwards, in its order, at the time that it is then.
   */
  pause(ms: number): void {
    this.#monotonic += ms
  }

  sleep(ms: number): Promise<void> {
    return new Promise(resolve => void this.#after(ms, resolve))
  }

  /** Runs all that is due within `ms`, then sets the clock there. */
  async advance(ms: number): Promise<void> {
    const end = this.#monotonic + ms
    await settle()
    for (let events = 0; (this.#next()?.at ?? Number.POSITIVE_INFINITY) <= end; events += 1) {
      if (events > EVENTS_MAX) throw new Error(`more than ${EVENTS_MAX} events: is it a circle?`)
      await this.#step()
    }
    if (!this.#halted) this.#monotonic = Math.max(this.#monotonic, end)
  }

  /**
   * Runs until the promise is settled and answers with its value or error. Throws when nothing is
   * left that could settle it, or the time is over: what hangs in a simulation is a finding.
   */
  async drive<T>(work: Promise<T>, options: DriveOptions = {}): Promise<T | undefined> {
    const maxMs = options.maxMs ?? 600_000
    const end = this.#monotonic + maxMs
    let outcome: { readonly value: T } | { readonly error: unknown } | undefined
    work.then(
      value => {
        outcome = { value }
      },
      (error: unknown) => {
        outcome = { error }
      },
    )
    await settle()
    for (let events = 0; ; events += 1) {
      const settled = outcome as { readonly value: T } | { readonly error: unknown } | undefined
      if (settled !== undefined) {
        if ('error' in settled) throw settled.error
        return settled.value
      }
      if (options.until?.() === true) return undefined
      const next = this.#next()
      if (next === undefined) throw new Error('nothing is due any more, and the work is not done')
      if (next.at > end) throw new Error(`the work is not done after ${maxMs} ms`)
      if (events > EVENTS_MAX) throw new Error(`more than ${EVENTS_MAX} events: is it a circle?`)
      await this.#step()
    }
  }

  /**
   * The process dies: its timers never fire, new ones are ignored. Answers with the outside of the
   * next boot, where time and random numbers go on.
   */
  reboot(downMs = 0): VirtualOutside {
    this.#halted = true
    this.#due = []
    return new VirtualOutside(this.prng, this.#monotonic + downMs, this.#wallOffset)
  }

  /** The first timer that has not been cancelled. */
  #next(): Due | undefined {
    while (this.#due[0] !== undefined && this.#due[0].callback === undefined) this.#pop()
    return this.#due[0]
  }

  async #step(): Promise<void> {
    const due = this.#pop()
    const callback = due?.callback
    if (due === undefined || callback === undefined) return
    this.#monotonic = Math.max(this.#monotonic, due.at)
    due.callback = undefined
    callback()
    this.#events += 1
    if (this.#events % EVENTS_PER_TURN === 0) await turn()
    else await settle()
  }

  #after(ms: number, callback: () => void): Timer {
    const at = this.#monotonic + Math.max(0, ms)
    const due: Due = { at, order: this.#order, callback }
    this.#order += 1
    if (!this.#halted) this.#push(due)
    return {
      cancel: () => {
        due.callback = undefined
      },
    }
  }

  // A binary heap by time, then by order of arrival.
  #push(due: Due): void {
    const heap = this.#due
    let at = heap.length
    heap.push(due)
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = heap[parent]
      if (above === undefined || !isBefore(due, above)) break
      heap[at] = above
      at = parent
    }
    heap[at] = due
  }

  #pop(): Due | undefined {
    const heap = this.#due
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      const left = heap[child]
      if (left === undefined) break
      const right = heap[child + 1]
      let least = left
      if (right !== undefined && isBefore(right, left)) {
        child += 1
        least = right
      }
      if (!isBefore(least, last)) break
      heap[at] = least
      at = child
    }
    heap[at] = last
    return first
  }
}

function isBefore(a: Due, b: Due): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}

/** Resolves when all promises that could go on have done so. */
function settle(): Promise<void> {
  return new Promise(resolve => process.nextTick(resolve))
}

/** Lets the real event loop run once. */
function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
