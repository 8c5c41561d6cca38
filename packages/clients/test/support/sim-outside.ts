/**
 * Virtual time and seeded randomness for tests of producers and consumers. Nothing happens unless
 * `until` drives it: it lets all ready promises run, then jumps to the next timer.
 */
import type { ClientOutside, ClientTimer } from '@millrace/base'

type SimTimer = ClientTimer & { readonly at: number; readonly order: number; run: () => void }

const STEPS_MAX = 2_000_000

/** A generator of numbers from 0 to 1, the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

export class SimOutside implements ClientOutside {
  readonly next: () => number
  #now = 0
  #order = 0
  #timers: SimTimer[] = []
  #soon: (() => void)[] = []
  readonly clock = {
    now: () => 1_700_000_000_000 + Math.floor(this.#now),
    monotonic: () => this.#now,
  }
  readonly timers = {
    after: (ms: number, run: () => void): ClientTimer => {
      const timer: SimTimer = {
        at: this.#now + Math.max(0, ms),
        order: this.#order++,
        run,
        cancel: () => {
          this.#timers = this.#timers.filter(other => other !== timer)
        },
      }
      this.#timers.push(timer)
      return timer
    },
    soon: (run: () => void): void => void this.#soon.push(run),
  }
  readonly random = {
    bytes: (length: number): Buffer => {
      const bytes = Buffer.alloc(length)
      for (let i = 0; i < length; i += 1) bytes[i] = Math.floor(this.next() * 256)
      return bytes
    },
  }

  constructor(seed = 1) {
    this.next = seeded(seed)
  }

  get pendingTimers(): number {
    return this.#timers.length
  }

  sleep(ms: number): Promise<void> {
    return new Promise(resolve => void this.timers.after(ms, resolve))
  }

  /** Drives time until the promise settles. */
  async until<T>(promise: Promise<T>, withinMs = 3_600_000): Promise<T> {
    let settled = false
    promise.then(
      () => (settled = true),
      () => (settled = true),
    )
    const deadline = this.#now + withinMs
    for (let steps = 0; ; steps += 1) {
      await new Promise(resolve => setImmediate(resolve))
      if (settled) return await promise
      if (steps > STEPS_MAX) throw new Error('no end in sight')
      if (!this.#step(deadline)) throw new Error(`nothing settled within ${withinMs} virtual ms`)
    }
  }

  /** Lets virtual time pass. */
  async pass(ms: number): Promise<void> {
    await this.until(this.sleep(ms))
  }

  #step(deadline: number): boolean {
    const soon = this.#soon.splice(0)
    if (soon.length > 0) {
      for (const run of soon) run()
      return true
    }
    let first: SimTimer | undefined
    for (const timer of this.#timers)
      if (!first || timer.at < first.at || (timer.at === first.at && timer.order < first.order))
        first = timer
    if (first === undefined || first.at > deadline) return false
    first.cancel()
    this.#now = Math.max(this.#now, first.at)
    first.run()
    return true
  }
}
