/**
 * Answers have a limit: who asks for something that waits for a disk is told after a time that it has
 * not happened yet. The work itself goes on, and may still end well.
 */
import type { Timers } from '@millrace/base'
import { LogError } from '@millrace/log'

/** A limit of answers. */
export type AnswerLimit = {
  readonly timers: Pick<Timers, 'after'>
  readonly ms: number
  /** The setting that says so. */
  readonly setting: string
}

/** Resolves or rejects as `work` does, or rejects with REQUEST_TIMED_OUT. */
export function answerWithin<T>(limit: AnswerLimit, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const { ms, setting } = limit
    const late = (): void =>
      reject(new LogError('REQUEST_TIMED_OUT', `${setting}=${ms}: it may still happen`))
    const timer = limit.timers.after(ms, late)
    work.then(resolve, reject).finally(() => timer.cancel())
  })
}
