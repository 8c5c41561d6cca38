/**
 * Batches of a partition that are durable in the journal and in no segment yet: the disk, or the
 * process, has run out of something, or the partition's files have failed. They were acknowledged, so
 * they are read from here. What may come meanwhile is bounded: appends of clients wait, or are refused.
 */
import { lastOffsetOf, type Offset } from '@millrace/log'
import type { DiskError } from '../disk/disk.ts'
import { batchesIn } from '../segments/batch-run.ts'

/** Batches in order of their offsets. */
export class WaitingBatches {
  #batches: readonly Buffer[] = []
  /** What ran out; undefined for a partition whose files have failed. */
  lacks: DiskError | undefined

  get all(): readonly Buffer[] {
    return this.#batches
  }

  get isEmpty(): boolean {
    return this.#batches.length === 0
  }

  get bytes(): number {
    return this.#batches.reduce((sum, batch) => sum + batch.length, 0)
  }

  /** Copies the batches of runs: the memory in which they come is about to be used again. */
  add(runs: readonly Buffer[]): void {
    const batches = runs.flatMap(batchesIn)
    this.#batches = [...this.#batches, ...batches.map(batch => Buffer.from(batch))]
  }

  /** The first `count` have reached their segment. */
  drop(count: number): void {
    this.#batches = this.#batches.slice(count)
    if (this.isEmpty) this.lacks = undefined
  }

  /** Whole batches from the one that holds `offset` on, about `maxBytes`, at least one. */
  from(offset: Offset, maxBytes: number): readonly Buffer[] {
    const found: Buffer[] = []
    let bytes = 0
    for (const batch of this.#batches) {
      if (lastOffsetOf(batch) < offset) continue
      if (found.length > 0 && bytes + batch.length > maxBytes) break
      found.push(batch)
      bytes += batch.length
    }
    return found
  }
}
