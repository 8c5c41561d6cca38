/**
 * Bounds the wait for an answer of a log. The log has bounds of its own; this one holds when they do
 * not, and its timer keeps the process alive as long as somebody waits.
 */

import type { Timers } from '@millrace/base'
import { LogError } from '@millrace/log'

/** Beyond the time that a call itself is given, its answer gets this long to arrive. */
export const ANSWER_GRACE_MS = 1_000

/** The answer, or REQUEST_TIMED_OUT after `ms`; a later answer is dropped. */
export function answerWithin<T>(
  timers: Timers,
  ms: number,
  what: string,
  call: () => Promise<T>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = timers.after(ms, () =>
      reject(new LogError('REQUEST_TIMED_OUT', `${what}: no answer in ${ms} ms`)),
    )
    // Async, so that a call that throws at once is an answer like any other.
    const answer = (async () => await call())()
    answer.then(resolve, reject).finally(() => timer.cancel())
  })
}
