/**
 * Whether the engine's thread waits on the spot for the journal's thread, or goes on and is called.
 *
 * Being called takes two passes through the scheduler and one through the event loop, which is as long
 * as a short sync, and longer where processors are busy. Standing still is as long as the sync. So it
 * waits while syncs are short, by what the writer measured of the last ones, and no longer at once
 * than {@link WAIT_MAX_MS}: a sync that hangs holds up the event loop for that long and is then watched
 * like any other. Two thresholds, so that it does not change its mind with every sync.
 */

/** Waits begin when syncs usually take less, in ms. */
export const SHORT_MS = 0.4
/** Waits end when they usually take more, in ms. */
export const LONG_MS = 0.8
/** Longest wait, in ms. */
export const WAIT_MAX_MS = 1
/** By how much one sync moves what is usual: up or down, so that half of them take longer. */
const STEP = 1.06
/** What is usual lies within these, in ms. */
const [USUAL_MIN_MS, USUAL_MAX_MS] = [0.05, 8] as const

/** The choice for one writer. */
export class HandOver {
  #usualMs = LONG_MS
  #waits = false

  /** Whether to wait for the next one. */
  get waits(): boolean {
    return this.#waits
  }

  /** How long the writer was at one. */
  note(ms: number): void {
    const moved = ms > this.#usualMs ? this.#usualMs * STEP : this.#usualMs / STEP
    this.#usualMs = Math.min(USUAL_MAX_MS, Math.max(USUAL_MIN_MS, moved))
    if (this.#usualMs < SHORT_MS) this.#waits = true
    else if (this.#usualMs > LONG_MS) this.#waits = false
  }
}
