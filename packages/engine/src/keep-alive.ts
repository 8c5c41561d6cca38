/**
 * Keeps the process alive while somebody waits for the engine. Its timers and threads do not, so that
 * an engine that nobody closes does not keep a program from ending; but a program that awaits a call
 * must not end in the middle of it, whatever the call waits for.
 */
import type { Timer, Timers } from '@millrace/base'

/** One handle for all calls under way. */
export class KeepAlive {
  readonly #timers: Timers
  #calls = 0
  #handle: Timer | undefined

  constructor(timers: Timers) {
    this.#timers = timers
  }

  /** The same outcome; until then the process stays. */
  async during<T>(work: Promise<T>): Promise<T> {
    this.#calls += 1
    if (this.#calls === 1) this.#handle = this.#timers.awake?.()
    try {
      return await work
    } finally {
      this.#calls -= 1
      if (this.#calls === 0) this.#handle?.cancel()
    }
  }
}
