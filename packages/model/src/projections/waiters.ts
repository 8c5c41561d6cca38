/** Callers of `reached`: each waits for a position. */
import { ModelError } from '../errors.ts'
import type { Positions } from './positions.ts'

type Waiter = {
  readonly want: Positions
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export class Waiters {
  readonly #waiting = new Set<Waiter>()
  readonly #max: number

  constructor(max: number) {
    this.#max = max
  }

  /** Waits until `check` is called with a position that is enough. Rejects with the signal's reason. */
  wait(want: Positions, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted()
    if (this.#waiting.size >= this.#max) {
      const message = `${this.#max} calls of reached() wait already (projection.waiters.max)`
      throw new ModelError('OVERLOADED', message)
    }
    return new Promise((resolve, reject) => {
      const end = (settle: () => void): void => {
        this.#waiting.delete(waiter)
        signal?.removeEventListener('abort', aborted)
        settle()
      }
      const waiter: Waiter = {
        want,
        resolve: () => end(resolve),
        reject: error => end(() => reject(error)),
      }
      const aborted = (): void => waiter.reject(signal?.reason)
      signal?.addEventListener('abort', aborted, { once: true })
      this.#waiting.add(waiter)
    })
  }

  /** Lets those go on for whom it is enough. */
  check(isEnough: (want: Positions) => boolean): void {
    for (const waiter of [...this.#waiting]) if (isEnough(waiter.want)) waiter.resolve()
  }

  rejectAll(error: unknown): void {
    for (const waiter of [...this.#waiting]) waiter.reject(error)
  }
}
