/**
 * Bounds the wait for an answer of a log. The log has bounds of its own; this one holds when they do
 * not.
 */
import { type Timers, within } from '@millrace/base'
import { LogError } from '@millrace/log'

/** Beyond the time that a call itself is given, its answer gets this long to arrive. */
export const ANSWER_GRACE_MS = 1_000

/** The answer, or REQUEST_TIMED_OUT after `ms`; a later answer is dropped. */
export const answerWithin = <T>(
  timers: Timers,
  ms: number,
  what: string,
  call: () => Promise<T>,
): Promise<T> =>
  within(
    timers,
    ms,
    call,
    () => new LogError('REQUEST_TIMED_OUT', `${what}: no answer in ${ms} ms`),
  )
