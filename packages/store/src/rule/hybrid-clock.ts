/**
 * A hybrid logical clock (Kulkarni et al., OPODIS 2014): stamps of appends in microseconds of the wall
 * clock, raised above every stamp that this store has met. So what was caused by something that the
 * store had seen has a higher stamp, whatever the clocks of the nodes say; and what reads several
 * buckets merges them by it.
 */
import type { Outside } from '@millrace/base'

/** Highest stamp that a record may have; one that claims more is no record of a store. The year 2223. */
export const STAMP_MAX = 8e15

const MICROSECONDS = 1000

/** See the head of the file. At {@link STAMP_MAX} it stands still: order across buckets ends there. */
export class HybridClock {
  readonly #clock: Pick<Outside['clock'], 'now'>
  readonly #aheadMaxMs: number
  readonly #onAhead: (ms: number) => void
  #last = 0
  /** How far a stamp was ahead when it was last told. */
  #toldMs: number

  /**
   * @param aheadMaxMs a stamp that is further ahead of the wall clock is told
   * @param onAhead told by how many ms, again when it has doubled
   */
  constructor(
    clock: Pick<Outside['clock'], 'now'>,
    aheadMaxMs: number,
    onAhead: (ms: number) => void,
  ) {
    this.#clock = clock
    this.#aheadMaxMs = aheadMaxMs
    this.#onAhead = onAhead
    this.#toldMs = aheadMaxMs / 2
  }

  /** A stamp above all that were given or met. */
  next(): number {
    const wall = Math.trunc(this.#clock.now() * MICROSECONDS)
    this.#last = Math.min(Math.max(wall, this.#last + 1), STAMP_MAX)
    return this.#last
  }

  /** A stamp that was met in the log. */
  met(stamp: number): void {
    if (stamp <= this.#last) return
    this.#last = stamp
    const aheadMs = stamp / MICROSECONDS - this.#clock.now()
    if (aheadMs <= this.#aheadMaxMs || aheadMs < 2 * this.#toldMs) return
    this.#toldMs = aheadMs
    this.#onAhead(Math.round(aheadMs))
  }
}

/** The stamp of an append that was written without one: by its time. */
export const stampOfTime = (timeMs: number): number =>
  Math.min(Math.max(0, timeMs * MICROSECONDS), STAMP_MAX)
