/**
 * The pace of work in the background: slices of some KiB, each followed by a pause in which others
 * have their turn, as long as the rate allows for; and the end of it when the engine closes.
 */
import { sleep, type Timers } from '@millrace/base'

/** Bytes of a slice: the longest that appends and reads wait for it, about a millisecond. */
const SLICE_BYTES = 64 * 1024

/** The engine closes: work in the background leaves everything as it is. */
export class Stopped extends Error {
  override readonly name: string = 'Stopped'
}

/** Spends bytes at a rate. */
export class Pace {
  readonly #timers: Pick<Timers, 'after'>
  readonly #bytesPerSecond: number
  #spent = 0
  #stopped = false

  constructor(timers: Pick<Timers, 'after'>, bytesPerSecond: number) {
    this.#timers = timers
    this.#bytesPerSecond = bytesPerSecond
  }

  get stopped(): boolean {
    return this.#stopped
  }

  /** Everybody who spends is told at the end of the slice. */
  stop(): void {
    this.#stopped = true
  }

  /** Bytes have been read or written; true if there was a pause. Rejects with {@link Stopped}. */
  async spend(bytes: number): Promise<boolean> {
    this.#spent += bytes
    if (this.#spent < SLICE_BYTES) return false
    const ms = (this.#spent / this.#bytesPerSecond) * 1000
    this.#spent = 0
    await sleep(this.#timers, ms)
    if (this.#stopped) throw new Stopped('the engine closes')
    return true
  }
}
