/**
 * The outside: clock, timers, randomness.
 *
 * Nothing here asks the platform itself, so that a simulation can run all of it under virtual time and
 * from one seed (`@millrace/base/simulation`). The real ones are `systemOutside()`.
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
  /** @param keepAlive whether the process stays alive for it; default as these timers were made */
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

/** The platform takes no longer ones: it would fire them at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/**
 * The platform's own.
 *
 * @param options.keepAlive whether the process stays alive for a timer that does not say. Default yes:
 *   who retries is at work. An engine or a listener that only waits for others says no.
 */
export function systemOutside(options: { readonly keepAlive?: boolean } = {}): Outside {
  const { keepAlive: byDefault = true } = options
  return {
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
    timers: {
      after: (ms, callback, keepAlive = byDefault) => {
        let handle: NodeJS.Timeout
        const arm = (leftMs: number): void => {
          const partMs = Math.min(Math.max(leftMs, 0), LONGEST_TIMER_MS)
          const end = leftMs > partMs ? () => arm(leftMs - partMs) : callback
          handle = setTimeout(end, partMs)
          if (!keepAlive) handle.unref()
        }
        arm(ms)
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

/** A whole number from 0 to `bound` - 1. */
export const randomBelow = (random: Random, bound: number): number =>
  random.bytes(4).readUInt32BE(0) % bound

/** Waits `ms`; ends early, without an error, when `signal` fires. */
export function sleep(
  timers: Pick<Timers, 'after'>,
  ms: number,
  signal?: AbortSignal,
): Promise<void> {
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
