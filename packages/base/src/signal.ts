/**
 * A flag that somebody waits for: `fire` ends all waits, and the next one if nobody waits now.
 */
import type { Timers } from './outside.ts'

/** See the head of the file. */
export class Signal {
  #timers: Timers
  #fired = false
  #waiters: (() => void)[] = []

  constructor(timers: Timers) {
    this.#timers = timers
  }

  /** Ends the waits, or the next one. */
  fire(): void {
    this.#fired = true
    for (const waiter of this.#waiters.splice(0)) waiter()
  }

  /** Waits for a fire since the last wait, at most `ms`. */
  wait(ms: number = Number.POSITIVE_INFINITY): Promise<void> {
    return new Promise(resolve => {
      const end = () => {
        timer?.cancel()
        this.#fired = false
        resolve()
      }
      const timer =
        ms === Number.POSITIVE_INFINITY || this.#fired
          ? null
          : this.#timers.after(ms, () => {
              this.#waiters = this.#waiters.filter(waiter => waiter !== end)
              resolve()
            })
      if (this.#fired) end()
      else this.#waiters.push(end)
    })
  }
}
