/**
 * The leader epochs of a partition and where each began (KIP-101). One node leads, so an epoch begins where
 * the visible end may have moved back: readers learn from it that what they read behind is gone.
 */
import type { Offset } from '@millrace/log'

/** A leader epoch and the offset with which it began. */
export type EpochStart = readonly [epoch: number, startOffset: Offset]

/** Where an epoch ended; -1 and -1 where nobody knows. */
export type EpochEnd = { readonly leaderEpoch: number; readonly endOffset: Offset }

const NOWHERE: EpochEnd = { leaderEpoch: -1, endOffset: -1 }

/** Leader epochs in order. */
export class LeaderEpochs {
  readonly #starts: EpochStart[]

  /** @param starts as a checkpoint keeps them; a new partition has none */
  constructor(starts: readonly EpochStart[] = []) {
    this.#starts = starts.length > 0 ? [...starts] : [[0, 0]]
  }

  get starts(): readonly EpochStart[] {
    return this.#starts
  }

  get latest(): number {
    return this.#starts.at(-1)?.[0] ?? 0
  }

  /** Begins another epoch at an offset. */
  begin(at: Offset): void {
    this.#starts.push([this.latest + 1, at])
  }

  /** The epoch under which a record at `offset` was written. */
  at(offset: Offset): number {
    let found = 0
    for (const [epoch, start] of this.#starts) if (start <= offset) found = epoch
    return found
  }

  /** Whether there has been this epoch. */
  has(epoch: number): boolean {
    return this.#starts.some(([known]) => known === epoch)
  }

  /** Where `epoch` ended: the start of the next larger one, or the end of a log with these ends (KIP-320). */
  endOf(epoch: number, logStart: Offset, logEnd: Offset): EpochEnd {
    if (epoch < 0) return NOWHERE // no epoch, which ended nowhere
    let found = -1
    for (const [known, start] of this.#starts) {
      if (known > epoch) {
        return found < 0
          ? { leaderEpoch: epoch, endOffset: logStart }
          : { leaderEpoch: found, endOffset: start }
      }
      found = known
    }
    return epoch > found ? NOWHERE : { leaderEpoch: found, endOffset: logEnd }
  }
}
