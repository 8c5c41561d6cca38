/** Turns: what runs long without waiting lets others of its process go on in between. */
import type { Outside } from './outside.ts'

/**
 * Lets others of this process have their turn once the time is up: handlers on SQLite never wait
 * for anything, and a page of a thousand events would hold commands up for as long as it takes.
 */
export function turnsOf(
  outside: Pick<Outside, 'clock' | 'timers'>,
  turnMs: number,
): () => Promise<void> | undefined {
  const { clock, timers } = outside
  let beganAt = clock.monotonic()
  return (): Promise<void> | undefined => {
    if (clock.monotonic() - beganAt < turnMs) return undefined
    return new Promise(resolve => {
      timers.soon(() => {
        beganAt = clock.monotonic()
        resolve()
      })
    })
  }
}
