/**
 * The outside of the engine apart from the disk: clock, timers, randomness.
 *
 * The engine never asks the platform itself, so that a simulation can run it under virtual time and
 * from one seed. The real ones are `systemOutside()`.
 */
import { randomBytes } from 'node:crypto'

/** Wall clock and monotonic clock, apart: deadlines use the second, timestamps the first. */
export interface Clock {
  /** Milliseconds since the epoch, UTC; may jump. */
  now(): number
  /** Milliseconds since some start; never falls. */
  monotonic(): number
}

/** A started timer. */
export interface Timer {
  cancel(): void
}

/** Timers. Callbacks run outside of the caller's stack, never early. */
export interface Timers {
  /** @param keepAlive whether the process stays alive for it; default no */
  after(ms: number, callback: () => void, keepAlive?: boolean): Timer
  /** Runs soon, after what is ready now: the end of this turn of the event loop. */
  soon(callback: () => void): void
  /** Keeps the process alive until it is cancelled. Absent where there is no process to keep. */
  awake?(): Timer
}

/** Where unpredictable bytes come from (ids, salts, jitter). */
export interface Random {
  bytes(length: number): Buffer
}

/** Clock, timers and randomness as one parameter. */
export type Outside = { readonly clock: Clock; readonly timers: Timers; readonly random: Random }

/** The platform takes no longer ones. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** The platform's own. */
export function systemOutside(): Outside {
  return {
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
    timers: {
      after: (ms, callback, keepAlive = false) => {
        const handle = setTimeout(callback, ms)
        if (!keepAlive) handle.unref()
        return { cancel: () => clearTimeout(handle) }
      },
      soon: callback => void setImmediate(callback),
      awake: () => {
        const handle = setInterval(() => undefined, LONGEST_TIMER_MS)
        return { cancel: () => clearInterval(handle) }
      },
    },
    random: { bytes: length => randomBytes(length) },
  }
}
