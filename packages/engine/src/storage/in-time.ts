/**
 * A disk that does not answer counts as failed: nobody waits for a call for ever.
 *
 * The wait goes by steps, each a turn of the event loop of its own. A process that was stopped, or
 * whose loop stood still, takes one step for all that time, and hears of an answer that is there
 * before it takes the next.
 */
import type { Timer, Timers } from '@millrace/base'

/** Longest step of a wait, in ms. */
const STEP_MAX_MS = 250

/** Nothing has been heard of a disk call; it may still come to an end. */
export class NoAnswer extends Error {
  override readonly name: string = 'NoAnswer'
}

/**
 * Resolves or rejects as `work` does, and rejects with {@link NoAnswer} after `ms` in which this
 * process was awake.
 */
export async function inTime(
  timers: Pick<Timers, 'after'>,
  ms: number,
  work: Promise<unknown>,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const stepMs = Math.min(ms / 2, STEP_MAX_MS)
    let leftMs = ms
    const step = (): Timer =>
      timers.after(stepMs, () => {
        leftMs -= stepMs
        if (leftMs <= 0) reject(new NoAnswer(`no answer for ${ms} ms`))
        else timer = step()
      })
    let timer = step()
    work.then(() => resolve(), reject).finally(() => timer.cancel())
  })
}
