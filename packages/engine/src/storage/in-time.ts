/** A disk that does not answer counts as failed: nobody waits for a call for ever. */
import type { Timers } from '../outside.ts'

/** Nothing has been heard of a disk call; it may still come to an end. */
export class NoAnswer extends Error {
  override readonly name: string = 'NoAnswer'
}

/** Resolves or rejects as `work` does, and rejects with {@link NoAnswer} after `ms`. */
export async function inTime(
  timers: Pick<Timers, 'after'>,
  ms: number,
  work: Promise<unknown>,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const timer = timers.after(ms, () => reject(new NoAnswer(`no answer for ${ms} ms`)))
    work.then(() => resolve(), reject).finally(() => timer.cancel())
  })
}
