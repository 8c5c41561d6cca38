/** Where records of a partition lie that a reader gets: in a segment's file, or still in memory. */
import type { Segment } from '../segments/segment.ts'

/** A run of whole batches: in one segment, or waiting in memory for theirs. */
export type LocatedRange = SegmentRun | MemoryRun

/** A run of whole batches in one segment. */
export type SegmentRun = {
  readonly segment: Segment
  readonly position: number
  readonly bytes: number
}

/** A run of whole batches in memory. */
export type MemoryRun = { readonly batches: readonly Buffer[]; readonly bytes: number }
