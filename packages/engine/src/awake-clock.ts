/**
 * Time in which this process was awake.
 *
 * A process that is stopped (SIGSTOP, a paused container or machine), or whose event loop stands
 * still, hears nobody meanwhile: what others did in that time is no less done, and what they did not
 * do is no evidence against them. So a wait for somebody else counts only time in which this process
 * looked: of each gap between two looks at most `gapMaxMs` pass here, and whoever waits with this
 * clock looks more often than that.
 */
import type { Clock } from '@millrace/base'

/** A clock that stands still while the process does. */
export class AwakeClock implements Clock {
  readonly #clock: Clock
  readonly #gapMaxMs: number
  #lookedAt: number
  /** What did not pass. */
  #sleptMs = 0

  /** @param gapMaxMs most of a gap between two looks that counts */
  constructor(clock: Clock, gapMaxMs: number) {
    this.#clock = clock
    this.#gapMaxMs = gapMaxMs
    this.#lookedAt = clock.monotonic()
  }

  now(): number {
    return this.#clock.now()
  }

  monotonic(): number {
    const now = this.#clock.monotonic()
    this.#sleptMs += Math.max(0, now - this.#lookedAt - this.#gapMaxMs)
    this.#lookedAt = now
    return now - this.#sleptMs
  }
}
