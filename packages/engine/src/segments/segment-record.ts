/** What a checkpoint keeps of a segment, and the name of its file. */
import type { Offset, Timestamp } from '@millrace/log'
import type { HeaderSumsRecord } from './header-sums.ts'
import type { SegmentSummary } from './segment-index.ts'

/** What a checkpoint keeps of a segment. */
export type SegmentRecord = SegmentSummary & {
  readonly baseOffset: Offset
  /** When its first batch was appended, ms since the epoch. */
  readonly createdAt: Timestamp
  /** How often compaction has written it anew. Default 0. */
  readonly revision?: number
  /** Absent where an earlier version began the segment. */
  readonly headers?: HeaderSumsRecord
  /** All its bytes, where it has no file: see `small-segments.ts`. */
  readonly content?: Buffer
}

/** Name of a segment's file without its ending: base offset, and the revision if there is one. */
export function segmentName(segment: Pick<SegmentRecord, 'baseOffset' | 'revision'>): string {
  const { baseOffset, revision = 0 } = segment
  const offset = String(baseOffset).padStart(20, '0')
  return revision === 0 ? offset : `${offset}-${revision}`
}

/** Whether offsets may be missing between the segment's batches. */
export const isSparse = ({ revision = 0 }: Pick<SegmentRecord, 'revision'>): boolean => revision > 0
