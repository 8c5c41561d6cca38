/**
 * What is left of a damaged partition, once an operator has decided to go on without the rest: which
 * segments stand as they are, which are put right, which are written anew, and which offsets are
 * given up. A segment that lies under another's name is found there. Only reads; the plan is carried
 * out by recovery, and told by verification.
 */
import { BATCH_HEADER_BYTES, maxTimestampOf, type Offset } from '@millrace/log'
import { type Disk, DiskError, type DiskFile } from '../disk/disk.ts'
import { BlockChecksums } from '../segments/block-checksums.ts'
import { DamageError } from '../segments/damage.ts'
import { HeaderSums, headerSum, NO_HEADERS } from '../segments/header-sums.ts'
import { mendBytes } from '../segments/mend-segment.ts'
import { checkedBatches } from '../segments/segment-check.ts'
import { SegmentIndex } from '../segments/segment-index.ts'
import { type SegmentRecord, segmentName } from '../segments/segment-record.ts'
import type { EpochStart } from './leader-epochs.ts'
import { PARTITIONS_FOLDER, type PartitionRecord } from './partition-log.ts'

/** Offsets that are given up; both ends belong to them. */
export type OffsetRange = { readonly from: Offset; readonly to: Offset }

/** What to do with a partition. */
export type MendingPlan = {
  readonly segments: readonly SegmentRecord[]
  readonly lost: readonly OffsetRange[]
  /** Files to be written, whole, and synced. */
  readonly writes: readonly { readonly path: string; readonly bytes: readonly Buffer[] }[]
  /** Files that nobody needs once the plan is durable. */
  readonly obsolete: readonly string[]
}

/** The partition to be mended. */
export type MendedPartition = {
  readonly id: number
  readonly folder: string
  readonly logStart: Offset
}

/** Plans the mending of a partition. Throws DiskError. */
export function planMending(
  disk: Disk,
  partition: MendedPartition,
  record: PartitionRecord,
): MendingPlan {
  return new Mending(disk, partition, record).plan()
}

class Mending {
  readonly #disk: Disk
  readonly #partition: MendedPartition
  readonly #record: PartitionRecord
  readonly #epochs: readonly EpochStart[]
  readonly #writes: { path: string; bytes: readonly Buffer[] }[] = []
  readonly #obsolete: string[] = []

  constructor(disk: Disk, partition: MendedPartition, record: PartitionRecord) {
    this.#disk = disk
    this.#partition = partition
    this.#record = record
    this.#epochs = record.epochs.length === 0 ? [[0, 0]] : record.epochs
  }

  plan(): MendingPlan {
    const { logStart } = this.#partition
    const live = this.#record.segments.filter(
      segment => segment.nextOffset > logStart || this.#disk.exists(this.#pathOf(segment)),
    )
    const covered: OffsetRange[] = []
    const segments = live.flatMap(segment => {
      const mended = this.#segment(segment)
      if (mended === null) return []
      covered.push(...mended.covers)
      return [mended.record]
    })
    const wanted = live.map(({ baseOffset, nextOffset }) => ({
      from: Math.max(baseOffset, logStart),
      to: nextOffset - 1,
    }))
    return {
      segments,
      lost: wanted.flatMap(range => without(range, covered)),
      writes: this.#writes,
      obsolete: this.#obsolete,
    }
  }

  #segment(
    segment: SegmentRecord,
  ): { readonly record: SegmentRecord; readonly covers: readonly OffsetRange[] } | null {
    const whole = { from: segment.baseOffset, to: segment.nextOffset - 1 }
    // Held, and checked, by the checkpoint.
    if (segment.content !== undefined) return { record: segment, covers: [whole] }
    const path = this.#pathOf(segment)
    const own = this.#read(path, segment.bytes)
    if (own !== null && this.#isWhole(own, segment)) return { record: segment, covers: [whole] }
    const mended =
      own === null
        ? null
        : mendBytes(own, {
            segment,
            epochAt: offset => this.#epochAt(offset),
            knowsEpoch: epoch => this.#knowsEpoch(epoch),
            indexVouches: this.#indexVouches(segment),
          })
    if (mended?.kind === 'healed') {
      this.#writes.push({ path, bytes: [mended.bytes] })
      this.#obsolete.push(path.replace(/log$/, 'index'))
      return { record: withSums(segment, mended.bytes), covers: [whole] }
    }
    this.#obsolete.push(path, path.replace(/log$/, 'index'))
    const elsewhere = this.#elsewhere(segment)
    if (elsewhere !== null) return { record: this.#anew(segment, [elsewhere]), covers: [whole] }
    const batches = mended?.batches ?? []
    if (batches.length === 0) return null
    const record = this.#anew(
      segment,
      batches.map(({ batch }) => batch),
    )
    return { record, covers: batches }
  }

  /** Writes batches under a new name: the old file stays until the new one is listed durably. */
  #anew(segment: SegmentRecord, batches: readonly Buffer[]): SegmentRecord {
    const bytes = Buffer.concat(batches)
    const revision = this.#freeRevision(segment)
    const record = withSums({ ...segment, revision, bytes: bytes.length }, bytes)
    this.#writes.push({ path: this.#pathOf(record), bytes: [bytes] })
    return record
  }

  #freeRevision({ baseOffset, revision = 0 }: SegmentRecord): number {
    let next = revision + 1
    while (this.#disk.exists(this.#pathOf({ baseOffset, revision: next }))) next += 1
    return next
  }

  /** The segment's bytes under another segment's name, as after files were swapped. */
  #elsewhere(segment: SegmentRecord): Buffer | null {
    const { headers } = segment
    if (headers === undefined) return null
    const head = Buffer.allocUnsafe(BATCH_HEADER_BYTES)
    for (const folder of this.#disk.list(PARTITIONS_FOLDER)) {
      for (const name of this.#disk.list(`${PARTITIONS_FOLDER}/${folder}`)) {
        if (!name.endsWith('.log')) continue
        const path = `${PARTITIONS_FOLDER}/${folder}/${name}`
        const file = this.#disk.open(path, 'read')
        try {
          if (file.size() < segment.bytes || file.read(0, head) < head.length) continue
          if (headerSum(head) !== headers[1]) continue
        } finally {
          file.close()
        }
        const bytes = this.#read(path, segment.bytes)
        if (bytes !== null && this.#isWhole(bytes, segment)) return bytes
      }
    }
    return null
  }

  #isWhole(bytes: Buffer, segment: SegmentRecord): boolean {
    if (bytes.length < segment.bytes) return false
    const expected = {
      ...segment,
      path: '',
      knowsEpoch: (epoch: number) => this.#knowsEpoch(epoch),
    }
    try {
      for (const _ of checkedBatches(inMemory(bytes), expected));
      return segment.headers !== undefined || !this.#blocksDiffer(bytes, segment)
    } catch (cause) {
      if (cause instanceof DamageError) return false
      throw cause
    }
  }

  /** Whether the index says that the bytes have changed, where nothing else knows them. */
  #blocksDiffer(bytes: Buffer, segment: SegmentRecord): boolean {
    const blocks = this.#savedBlocks(segment)
    if (blocks === null) return false
    const sums = new BlockChecksums()
    sums.extend(bytes)
    return blocks.some((sum, i) => sum !== sums.sums[i])
  }

  #indexVouches(segment: SegmentRecord): boolean {
    const blocks = this.#savedBlocks(segment)
    const bytes = blocks === null ? null : this.#read(this.#pathOf(segment), segment.bytes)
    if (blocks === null || bytes === null) return false
    const sums = new BlockChecksums()
    sums.extend(bytes)
    return blocks.some((sum, i) => sum === sums.sums[i])
  }

  /** The checksums of the segment's blocks, where its index is whole, and this segment's. */
  #savedBlocks(segment: SegmentRecord): readonly number[] | null {
    const bytes = this.#read(this.#pathOf(segment).replace(/log$/, 'index'), Number.MAX_VALUE)
    if (bytes === null) return null
    const known = SegmentIndex.decode(bytes, this.#partition.id, segment.baseOffset)
    if (known === null || known.summary.bytes !== segment.bytes) return null
    const isOther = segment.headers !== undefined && known.headers !== segment.headers[0]
    return isOther ? null : known.blocks
  }

  /** Up to `max` bytes of a file; null if it is missing, or cannot be read. */
  #read(path: string, max: number): Buffer | null {
    let file: DiskFile
    try {
      if (!this.#disk.exists(path)) return null
      file = this.#disk.open(path, 'read')
    } catch (cause) {
      if (cause instanceof DiskError && cause.code === 'ENOENT') return null
      throw cause
    }
    try {
      const bytes = Buffer.allocUnsafe(Math.min(file.size(), max))
      return bytes.subarray(0, file.read(0, bytes))
    } finally {
      file.close()
    }
  }

  #pathOf(segment: Pick<SegmentRecord, 'baseOffset' | 'revision'>): string {
    return `${this.#partition.folder}/${segmentName(segment)}.log`
  }

  #epochAt(offset: Offset): number {
    let found = 0
    for (const [epoch, start] of this.#epochs) if (start <= offset) found = epoch
    return found
  }

  #knowsEpoch(epoch: number): boolean {
    return this.#epochs.some(([known]) => known === epoch)
  }
}

const inMemory = (bytes: Buffer): Pick<DiskFile, 'read'> => ({
  read: (position, target) => bytes.copy(target, 0, position),
})

/** The record, with checksums and times of these batches. */
function withSums(segment: SegmentRecord, bytes: Buffer): SegmentRecord {
  const sums = new HeaderSums(NO_HEADERS)
  const index = new SegmentIndex()
  const expected = { ...segment, headers: undefined, path: '', knowsEpoch: () => true }
  for (const { buffer, at, baseOffset, position } of checkedBatches(inMemory(bytes), expected)) {
    sums.add(buffer, at)
    index.note(baseOffset, position, maxTimestampOf(buffer, at))
  }
  const { maxTimestamp, maxTimestampOffset } = index
  return { ...segment, maxTimestamp, maxTimestampOffset, headers: sums.record ?? NO_HEADERS }
}

/** The parts of a range that none of the others covers. */
function without(range: OffsetRange, covered: readonly OffsetRange[]): readonly OffsetRange[] {
  const left: OffsetRange[] = []
  let from = range.from
  for (const { from: begin, to } of covered) {
    if (to < from || begin > range.to) continue
    if (begin > from) left.push({ from, to: begin - 1 })
    from = Math.max(from, to + 1)
  }
  return from <= range.to ? [...left, { from, to: range.to }] : left
}
