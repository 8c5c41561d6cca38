/**
 * The one judgement of a segment's bytes, for whoever has no checksums of its blocks: the first read,
 * verification, and repair. Each batch against its own checksum, its offset and its leader epoch, and
 * all of them against what the checkpoint knows the segment by.
 */
import { leaderEpochOf } from '@millrace/log'
import type { DiskFile } from '../disk/disk.ts'
import { DamageError } from './damage.ts'
import { HeaderSums, type HeaderSumsRecord, NO_HEADERS } from './header-sums.ts'
import type { SegmentRecord } from './segment-record.ts'
import { type ScannedBatch, scanBatches } from './segment-scan.ts'

/** What a segment should be. */
export type ExpectedSegment = Pick<SegmentRecord, 'baseOffset' | 'bytes' | 'revision'> & {
  readonly path: string
  readonly headers?: HeaderSumsRecord | undefined
  /** Whether the partition has had this leader epoch. */
  readonly knowsEpoch: (epoch: number) => boolean
}

/** The batches of a segment, each valid until the next step. Throws DamageError at the first damage. */
export function* checkedBatches(
  file: Pick<DiskFile, 'read'>,
  segment: ExpectedSegment,
): Generator<ScannedBatch, void> {
  const { path, baseOffset, bytes, revision = 0, headers, knowsEpoch } = segment
  const rules = { nextOffset: baseOffset, gaps: revision > 0, checksums: true }
  const sums = new HeaderSums(NO_HEADERS)
  const scan = scanBatches(file, 0, bytes, rules)
  let step = scan.next()
  while (step.done !== true) {
    const { buffer, at, position } = step.value
    const epoch = leaderEpochOf(buffer, at)
    if (!knowsEpoch(epoch)) {
      const what = `the batch at offset ${step.value.baseOffset} has leader epoch ${epoch}, which there never was`
      throw new DamageError(path, position, what)
    }
    sums.add(buffer, at)
    yield step.value
    step = scan.next()
  }
  const { position, damage } = step.value
  if (damage !== null) throw new DamageError(path, position, damage)
  if (headers === undefined || headers[0] === sums.record?.[0]) return
  throw new DamageError(path, 0, 'these are not the batches that were written here')
}
