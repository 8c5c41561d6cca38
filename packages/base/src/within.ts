/** Waits that end: nobody waits for an answer for ever. */
import type { Timers } from './outside.ts'

/**
 * Resolves or rejects as the call does, or rejects with `late` after `ms`; what the call comes to later
 * is dropped. Its timer keeps the process alive as long as somebody waits.
 */
export function within<T>(
  timers: Pick<Timers, 'after'>,
  ms: number,
  call: () => Promise<T>,
  late: () => Error,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = timers.after(ms, () => reject(late()))
    // Async, so that a call that throws at once is an answer like any other.
    const answer = (async () => await call())()
    answer.then(resolve, reject).finally(() => timer.cancel())
  })
}
