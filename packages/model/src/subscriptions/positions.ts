/**
 * Positions: the next offset in each bucket of each category, as a follower keeps them, and as
 * checkpoints for the store. Replaced, never changed in place.
 */
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from '@millrace/store'

/** Next offset by bucket, by category. */
export type Positions = ReadonlyMap<string, ReadonlyMap<number, number>>

/** No position: the beginning of every bucket. */
export const NO_POSITIONS: Positions = new Map()

/** The positions of a checkpoint that are of these categories and buckets. */
export function positionsIn(
  checkpoint: Checkpoint,
  categories: readonly string[],
  buckets: readonly number[],
): Positions {
  const { positions } = decodeCheckpoint(checkpoint)
  const chosen = new Map<string, Map<number, number>>()
  for (const category of categories) {
    for (const bucket of buckets) {
      const offset = positions.get(category)?.get(bucket)
      if (offset === undefined) continue
      const places = chosen.get(category) ?? new Map<number, number>()
      chosen.set(category, places.set(bucket, offset))
    }
  }
  return chosen
}

/** All positions of a checkpoint that are of these categories. */
export function positionsOf(checkpoint: Checkpoint, categories: readonly string[]): Positions {
  const { positions } = decodeCheckpoint(checkpoint)
  return new Map([...positions].filter(([category]) => categories.includes(category)))
}

/** Positions of both; where both have one, the later one's. */
export function withPositions(earlier: Positions, later: Positions): Positions {
  const merged = new Map<string, Map<number, number>>()
  for (const positions of [earlier, later]) {
    for (const [category, places] of positions) {
      const known = merged.get(category) ?? new Map<number, number>()
      for (const [bucket, offset] of places) known.set(bucket, offset)
      merged.set(category, known)
    }
  }
  return merged
}

/** As a checkpoint of all tenants. */
export const checkpointOf = (log: string, positions: Positions): Checkpoint =>
  encodeCheckpoint({ log, tenant: null, positions })

/** The offset in a bucket; 0 where there is none. */
export const offsetIn = (positions: Positions, category: string, bucket: number): number =>
  positions.get(category)?.get(bucket) ?? 0

/** One position. */
export const positionAt = (category: string, bucket: number, offset: number): Positions =>
  new Map([[category, new Map([[bucket, offset]])]])

/** The positions of one bucket. */
export function onlyOf(
  positions: Positions,
  categories: readonly string[],
  bucket: number,
): Positions {
  let only: Positions = NO_POSITIONS
  for (const category of categories) {
    const offset = positions.get(category)?.get(bucket)
    if (offset !== undefined) only = withPositions(only, positionAt(category, bucket, offset))
  }
  return only
}

/** The buckets that are named. */
export const bucketsOf = (positions: Positions): number[] => [
  ...new Set([...positions.values()].flatMap(places => [...places.keys()])),
]

/** Whether the first is at or past the second everywhere. */
export function covers(known: Positions, target: Positions): boolean {
  for (const [category, places] of target)
    for (const [bucket, offset] of places)
      if (offsetIn(known, category, bucket) < offset) return false
  return true
}
