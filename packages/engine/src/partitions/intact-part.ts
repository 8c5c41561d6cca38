/**
 * What is left of damaged segments, once an operator has decided to go on without the rest: of each
 * one the whole batches up to its first damage.
 */
import type { Disk, DiskFile } from '../disk/disk.ts'
import { isSparse, type SegmentRecord, segmentName } from '../segments/segment.ts'
import { scanBatches } from '../segments/segment-scan.ts'
import type { PartitionRecord } from './partition-log.ts'

/** Cuts a partition's segments to what is whole; `lost` where readable records are given up. */
export function cutToIntact(
  disk: Disk,
  partition: { readonly folder: string; readonly logStart: number },
  record: PartitionRecord,
): { readonly segments: readonly SegmentRecord[]; readonly lost: boolean } {
  let lost = false
  const segments = record.segments.flatMap(segment => {
    const path = `${partition.folder}/${segmentName(segment)}.log`
    if (!disk.exists(path)) {
      lost ||= segment.nextOffset > partition.logStart
      return []
    }
    const file = disk.open(path, 'write')
    try {
      const intact = intactPart(file, segment)
      file.truncate(intact.bytes)
      lost ||= intact.bytes < segment.bytes
      return intact.bytes === 0 ? [] : [intact]
    } finally {
      file.close()
    }
  })
  return { segments, lost }
}

/** The whole batches at a segment's start. */
function intactPart(file: DiskFile, segment: SegmentRecord): SegmentRecord {
  const end = Math.min(file.size(), segment.bytes)
  const rules = { nextOffset: segment.baseOffset, gaps: isSparse(segment), checksums: true }
  const scan = scanBatches(file, 0, end, rules)
  let nextOffset = segment.baseOffset
  let step = scan.next()
  while (step.done !== true) {
    nextOffset = step.value.lastOffset + 1
    step = scan.next()
  }
  const bytes = step.value.position
  return bytes === segment.bytes ? segment : { ...segment, bytes, nextOffset }
}
