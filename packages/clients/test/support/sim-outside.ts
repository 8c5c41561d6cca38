/** Virtual time for tests of producers and consumers, by short words. */
import { Prng, VirtualOutside } from '@millrace/base/simulation'

const WITHIN_MS_MAX = 3_600_000

/** A generator of numbers from 0 to 1, the same for the same seed. */
export function seeded(seed: number): () => number {
  const prng = new Prng(seed)
  return () => prng.fraction()
}

export class SimOutside extends VirtualOutside {
  constructor(seed = 1) {
    super(seed)
  }

  readonly next = (): number => this.prng.fraction()

  get pendingTimers(): number {
    return this.waiting
  }

  /** Drives time until the promise settles. */
  async until<T>(promise: Promise<T>, withinMs = WITHIN_MS_MAX): Promise<T> {
    return (await this.drive(promise, { maxMs: withinMs })) as T
  }

  /** Lets virtual time pass. */
  pass(ms: number): Promise<void> {
    return this.until(this.sleep(ms))
  }
}
