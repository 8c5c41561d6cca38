/** Waiting by timers that are passed in. */
import type { ClientOutside } from '@millrace/base'

/** Resolves after `ms`, or early and without an error when the signal fires. */
export function waitMs(
  timers: ClientOutside['timers'],
  ms: number,
  signal?: AbortSignal,
): Promise<void> {
  return new Promise(resolve => {
    if (signal?.aborted) return resolve()
    const end = (): void => {
      timer.cancel()
      signal?.removeEventListener('abort', end)
      resolve()
    }
    const timer = timers.after(ms, end)
    signal?.addEventListener('abort', end, { once: true })
  })
}
