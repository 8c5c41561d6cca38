/**
 * Awaits user code that may never end: no longer than its time, and no longer than a while after it
 * was told to stop. What is given up goes on by itself, with its signal fired; its outcome counts no
 * more.
 */
import type { Outside } from '@millrace/base'

/** How long user code is awaited. */
export type Patience = {
  readonly timers: Outside['timers']
  readonly timeoutMs: number
  /** After `signal` has fired. */
  readonly endMs: number
  readonly signal: AbortSignal
  /** What is thrown when its time is over. */
  readonly late: () => Error
}

/** See the head of the file. The signal that `run` is given fires with `late()` as well. */
export async function withTimeout<T>(
  { timers, timeoutMs, endMs, signal, late }: Patience,
  run: (signal: AbortSignal) => T | Promise<T>,
): Promise<T> {
  const over = new AbortController()
  const givenUp = Promise.withResolvers<never>()
  const giveUp = (error: unknown): void => {
    over.abort(error)
    givenUp.reject(error)
  }
  const whole = timers.after(timeoutMs, () => giveUp(late()))
  let rest: { cancel(): void } | null = null
  const told = (): void => {
    rest = timers.after(endMs, () => giveUp(signal.reason))
  }
  if (signal.aborted) told()
  else signal.addEventListener('abort', told, { once: true })
  try {
    return await Promise.race([run(AbortSignal.any([signal, over.signal])), givenUp.promise])
  } finally {
    whole.cancel()
    // Assigned in a callback, which the compiler does not follow.
    ;(rest as { cancel(): void } | null)?.cancel()
    signal.removeEventListener('abort', told)
  }
}
