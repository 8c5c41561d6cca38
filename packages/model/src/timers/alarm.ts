/**
 * One timer of the platform for whatever is due first. It is set for the next time at which there
 * is something to do, however many things wait; and because the wall clock may jump, it never
 * sleeps longer than `longestMs` while something waits.
 */
import type { Outside } from '@millrace/base'
import { NEVER } from './agenda.ts'

/** See the head of the file. */
export class Alarm {
  readonly #outside: Outside
  readonly #longestMs: number
  readonly #ring: () => void
  #timer: { cancel(): void } | null = null
  #at: number = NEVER

  constructor(outside: Outside, longestMs: number, ring: () => void) {
    this.#outside = outside
    this.#longestMs = longestMs
    this.#ring = ring
  }

  /** Rings at this time (ms since the epoch, wall clock) at the latest; {@link NEVER}: not at all. */
  set(at: number): void {
    if (this.#timer !== null && at === this.#at) return
    this.clear()
    if (at === NEVER) return
    this.#at = at
    const wait = Math.min(Math.max(0, at - this.#outside.clock.now()), this.#longestMs)
    this.#timer = this.#outside.timers.after(wait, () => {
      this.#timer = null
      this.#at = NEVER
      this.#ring()
    })
  }

  clear(): void {
    this.#timer?.cancel()
    this.#timer = null
    this.#at = NEVER
  }
}
