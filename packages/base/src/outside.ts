/**
 * The outside of producers and consumers: clock, timers, randomness.
 *
 * They never ask the platform themselves, so that a simulation can run them under virtual time and
 * from one seed. The shape is that of the engine's own outside, so one object serves both.
 */
import { randomBytes } from 'node:crypto'

/** Wall clock and monotonic clock, apart: deadlines use the second, timestamps the first. */
export interface ClientClock {
  /** Milliseconds since the epoch, UTC; may jump. */
  now(): number
  /** Milliseconds since some start; never falls. */
  monotonic(): number
}

/** A started timer. */
export interface ClientTimer {
  cancel(): void
}

/** Timers. Callbacks run outside of the caller's stack, never early. */
export interface ClientTimers {
  after(ms: number, callback: () => void): ClientTimer
  /** Runs soon, after what is ready now: the end of this turn of the event loop. */
  soon(callback: () => void): void
}

/** Where unpredictable bytes come from (jitter, the choice of a partition). */
export interface ClientRandom {
  bytes(length: number): Buffer
}

/** Clock, timers and randomness as one parameter. */
export type ClientOutside = {
  readonly clock: ClientClock
  readonly timers: ClientTimers
  readonly random: ClientRandom
}

/** The platform's own. Timers keep the process alive: a producer that retries is at work. */
export function systemClientOutside(): ClientOutside {
  return {
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
    timers: {
      after: (ms, callback) => {
        const handle = setTimeout(callback, ms)
        return { cancel: () => clearTimeout(handle) }
      },
      soon: callback => void setImmediate(callback),
    },
    random: { bytes: length => randomBytes(length) },
  }
}

/** A whole number from 0 to `bound` - 1. */
export const randomBelow = (random: ClientRandom, bound: number): number =>
  random.bytes(4).readUInt32BE(0) % bound

/** Waits `ms`; ends early, without an error, when `signal` fires. */
export function sleep(timers: ClientTimers, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal?.aborted) return resolve()
    const end = () => {
      timer.cancel()
      signal?.removeEventListener('abort', end)
      resolve()
    }
    const timer = timers.after(ms, end)
    signal?.addEventListener('abort', end, { once: true })
  })
}
