/** Positions of checkpoints: what a projection has passed, and whether that is enough. */
import {
  type CategoryDescription,
  type Checkpoint,
  decodeCheckpoint,
  type RecordedEvent,
} from '@millrace/store'

/** Offsets by bucket, by category; below them all is passed. */
export type Positions = ReadonlyMap<string, ReadonlyMap<number, number>>

const NOWHERE: Positions = new Map()

/** Where a checkpoint stands; null: before the first event. */
export const positionsOf = (checkpoint: Checkpoint | null): Positions =>
  checkpoint === null ? NOWHERE : decodeCheckpoint(checkpoint).positions

/** The group that a bucket belongs to. */
export const partOf = (bucket: number, parts: number): number => bucket % parts

/** One position out of those of the parts, each of which counts for its own buckets. */
export function mergePositions(parts: readonly Positions[]): Positions {
  if (parts.length === 1 && parts[0] !== undefined) return parts[0]
  const merged = new Map<string, Map<number, number>>()
  parts.forEach((positions, part) => {
    for (const [category, buckets] of positions) {
      const into = merged.get(category) ?? new Map<number, number>()
      merged.set(category, into)
      for (const [bucket, offset] of buckets) {
        if (partOf(bucket, parts.length) === part) into.set(bucket, offset)
      }
    }
  })
  return merged
}

/** Whether `have` is at or past `want` in all buckets of these categories. */
export function covers(have: Positions, want: Positions, categories: ReadonlySet<string>): boolean {
  for (const [category, buckets] of want) {
    if (!categories.has(category)) continue
    const reached = have.get(category)
    for (const [bucket, offset] of buckets) {
      if ((reached?.get(bucket) ?? 0) < offset) return false
    }
  }
  return true
}

/** Whether an event lies below the positions. */
export const isPassed = (positions: Positions, event: RecordedEvent): boolean =>
  event.offset < (positions.get(event.category)?.get(event.bucket) ?? 0)

/** Records between positions and the decided end. */
export function lagOf(
  described: readonly CategoryDescription[],
  at: Positions,
  categories: ReadonlySet<string>,
): number {
  let lag = 0
  for (const { category, buckets } of described) {
    if (!categories.has(category)) continue
    const passed = at.get(category)
    for (const { bucket, decided } of buckets)
      lag += Math.max(0, decided - (passed?.get(bucket) ?? 0))
  }
  return lag
}
