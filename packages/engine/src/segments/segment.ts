/**
 * A segment: a file of record batches, one after another, and its sparse index.
 *
 * As batches are appended they follow each other without a gap. Compaction writes a segment anew, with
 * gaps, under a name of its own: revision 1, 2, and so on. Nothing is appended to such a one.
 *
 * Bytes written by this run are trusted. Bytes that were there when the engine opened are checked on
 * the first read: by the block checksums of the index file where there is one (sealed segments, and
 * all after a clean stop), else by walking all batches once, which builds the index as well.
 */
import { BATCH_HEADER_BYTES, batchBytesOf, lastOffsetOf, maxTimestampOf } from '@millrace/log'
import type { Disk, DiskFile } from '../disk/disk.ts'
import { BlockChecksums } from './block-checksums.ts'
import { DamageError } from './damage.ts'
import type { FileCache } from './file-cache.ts'
import { HeaderSums, type HeaderSumsRecord, NO_HEADERS } from './header-sums.ts'
import { checkedBatches } from './segment-check.ts'
import { CHECKSUM_BLOCK_BYTES, SegmentIndex, type SegmentSummary } from './segment-index.ts'
import { type ScannedBatch, scanBatches } from './segment-scan.ts'

const WALK_BYTES = 32 * 1024
const walkPiece = Buffer.allocUnsafeSlow(WALK_BYTES)

/** What a checkpoint keeps of a segment. */
export type SegmentRecord = SegmentSummary & {
  readonly baseOffset: number
  /** When its first batch was appended, ms since the epoch. */
  readonly createdAt: number
  /** How often compaction has written it anew. Default 0. */
  readonly revision?: number
  /** Absent where an earlier version began the segment. */
  readonly headers?: HeaderSumsRecord
}

/** A run of whole batches: where they lie and which offset follows. */
export type SegmentRange = { readonly position: number; readonly bytes: number }

/** Name of a segment's file without its ending: base offset, and the revision if there is one. */
export function segmentName(segment: Pick<SegmentRecord, 'baseOffset' | 'revision'>): string {
  const { baseOffset, revision = 0 } = segment
  const offset = String(baseOffset).padStart(20, '0')
  return revision === 0 ? offset : `${offset}-${revision}`
}

/** Whether offsets may be missing between the segment's batches. */
export const isSparse = ({ revision = 0 }: Pick<SegmentRecord, 'revision'>): boolean => revision > 0

/** A file of record batches. */
export class Segment {
  readonly baseOffset: number
  readonly createdAt: number
  readonly revision: number
  readonly path: string
  readonly indexPath: string
  readonly #partitionId: number
  readonly #disk: Disk
  readonly #cache: FileCache
  readonly #knowsEpoch: (epoch: number) => boolean
  /** What a checkpoint knows the bytes by that were there when the engine opened. */
  readonly #expected: HeaderSumsRecord | undefined
  readonly #headers: HeaderSums
  /** Bytes from here on were written by this run. */
  readonly #trustedFrom: number
  #bytes: number
  #nextOffset: number
  #index = new SegmentIndex()
  /** Whether the index, and the checksums, reach back to the segment's start. */
  #loaded: boolean
  #blocks: BlockChecksums | undefined
  /** Checksums that came from the index file, and which blocks have been compared with them. */
  #savedBlocks: BlockChecksums | undefined
  #verified: Uint8Array | undefined
  #dirty = false
  /** Bytes that the index file covers; -1 where it has not been looked at. */
  #indexedBytes: number

  constructor(
    place: {
      disk: Disk
      cache: FileCache
      folder: string
      partitionId: number
      /** Whether the partition has had this leader epoch. Default: any. */
      knowsEpoch?: (epoch: number) => boolean
    },
    record: SegmentRecord,
  ) {
    this.#disk = place.disk
    this.#cache = place.cache
    this.#partitionId = place.partitionId
    this.#knowsEpoch = place.knowsEpoch ?? (() => true)
    this.#expected = record.headers
    this.#headers = new HeaderSums(record.bytes === 0 ? NO_HEADERS : record.headers)
    this.baseOffset = record.baseOffset
    this.createdAt = record.createdAt
    this.revision = record.revision ?? 0
    this.path = `${place.folder}/${segmentName(record)}.log`
    this.indexPath = `${place.folder}/${segmentName(record)}.index`
    this.#bytes = record.bytes
    this.#nextOffset = record.nextOffset
    this.#trustedFrom = record.bytes
    this.#loaded = record.bytes === 0
    this.#indexedBytes = this.#loaded ? 0 : -1
    if (this.#loaded) this.#blocks = new BlockChecksums()
    this.#index.assumeTimestamps(record.maxTimestamp, record.maxTimestampOffset)
  }

  get bytes(): number {
    return this.#bytes
  }

  get nextOffset(): number {
    return this.#nextOffset
  }

  get maxTimestamp(): number {
    return this.#index.maxTimestamp
  }

  /** Base offset of the first batch that has the largest timestamp. */
  get maxTimestampOffset(): number {
    return this.#index.maxTimestampOffset
  }

  /** Whether bytes were written that no sync has covered. */
  get dirty(): boolean {
    return this.#dirty
  }

  /** What a checkpoint keeps. */
  record(): SegmentRecord {
    return {
      baseOffset: this.baseOffset,
      createdAt: this.createdAt,
      bytes: this.#bytes,
      nextOffset: this.#nextOffset,
      maxTimestamp: this.#index.maxTimestamp,
      maxTimestampOffset: this.#index.maxTimestampOffset,
      ...(this.revision === 0 ? {} : { revision: this.revision }),
      ...(this.#headers.record === undefined ? {} : { headers: this.#headers.record }),
    }
  }

  /** Writes whole batches at the end, to the page cache. Throws DiskError. */
  append(batches: readonly Buffer[]): void {
    if (!this.#dirty) {
      this.#cache.hold(this.path, 'create', 'writer')
      this.#dirty = true
    }
    this.#cache.use(this.path, 'create').write(this.#bytes, batches)
    for (const batch of batches) {
      const lastOffset = lastOffsetOf(batch)
      this.#index.note(this.#nextOffset, this.#bytes, maxTimestampOf(batch))
      this.#blocks?.extend(batch)
      this.#headers.add(batch)
      this.#bytes += batch.length
      this.#nextOffset = lastOffset + 1
    }
  }

  /** Makes all written bytes survive a power cut. Rejects with DiskError; then never call again. */
  async sync(): Promise<void> {
    if (!this.#dirty) return
    const file = this.#cache.use(this.path, 'write')
    this.#dirty = false
    // Whatever is written while the sync runs holds the file again.
    try {
      await file.sync()
    } finally {
      this.#cache.release(this.path, 'writer')
    }
  }

  /**
   * The batches from the one that holds `offset` on, up to about `maxBytes`, at least one; where
   * compaction has taken that one away, from the next on. Empty if there is none.
   */
  range(offset: number, maxBytes: number): SegmentRange {
    if (offset >= this.#nextOffset) return { position: this.#bytes, bytes: 0 }
    this.#load()
    const position = this.#positionOf(offset)
    if (position >= this.#bytes) return { position, bytes: 0 }
    const end = this.#endOfRange(position, maxBytes)
    this.#verify(position, end)
    return { position, bytes: end - position }
  }

  /** Reads bytes of the segment. */
  read(position: number, target: Buffer): void {
    const read = this.#cache.use(this.path, 'write').read(position, target)
    if (read !== target.length) {
      throw new DamageError(this.path, position + read, 'the file ends too early')
    }
  }

  /**
   * Keeps the file open, also when unlinked; as many `letGo` calls must follow. Throws EMFILE where
   * too many are read at once.
   */
  hold(): void {
    this.#cache.hold(this.path, 'write', 'reader')
  }

  letGo(): void {
    this.#cache.release(this.path, 'reader')
  }

  /**
   * The batches, from `fromOffset` on, whose largest timestamp reaches `timestamp`. Each is valid
   * until the next step. For those between it yields undefined, so that whoever goes on in a later turn
   * can; he holds the segment meanwhile. Throws DamageError.
   */
  *batchesReaching(timestamp: number, fromOffset: number): Generator<Buffer | undefined> {
    this.#load()
    const start = this.#index.placeBefore(timestamp) ?? { position: 0, offset: this.baseOffset }
    const file = this.#cache.use(this.path, 'write')
    const rules = { nextOffset: start.offset, gaps: true, checksums: true }
    const scan = scanBatches(file, start.position, this.#bytes, rules)
    let step = scan.next()
    while (step.done !== true) {
      const { buffer, at, bytes, lastOffset } = step.value
      if (lastOffset >= fromOffset && maxTimestampOf(buffer, at) >= timestamp) {
        yield buffer.subarray(at, at + bytes)
      } else yield undefined
      step = scan.next()
    }
    const { position, damage } = step.value
    if (damage !== null) throw new DamageError(this.path, position, damage)
  }

  /**
   * All batches, from one at or before `fromOffset` on, each checked and valid until the next step.
   * Whoever goes on in a later turn holds the segment meanwhile. Throws DamageError.
   */
  *batches(fromOffset: number): Generator<ScannedBatch, void> {
    this.#load()
    const start = this.#index.placeOf(fromOffset) ?? { position: 0, offset: this.baseOffset }
    const file = this.#cache.use(this.path, 'write')
    const rules = { nextOffset: start.offset, gaps: isSparse(this), checksums: true }
    const scan = scanBatches(file, start.position, this.#bytes, rules)
    let step = scan.next()
    while (step.done !== true) {
      const { position, bytes } = step.value
      this.#verify(position, position + bytes)
      yield step.value
      step = scan.next()
    }
    const { position, damage } = step.value
    if (damage !== null) throw new DamageError(this.path, position, damage)
  }

  /** Writes the index file. Called once the segment is synced; the file itself needs no sync. */
  saveIndex(): void {
    if (this.#bytes === 0) return
    this.#load()
    const sums = this.#blocks?.sums ?? []
    const bytes = this.#index.encode(this.#partitionId, this.baseOffset, this.record(), sums)
    const file = this.#disk.open(this.indexPath, 'create')
    try {
      file.truncate(0)
      file.write(0, [bytes])
    } finally {
      file.close()
    }
    this.#indexedBytes = this.#bytes
  }

  /** Whether the index file covers the whole segment. */
  get indexIsSaved(): boolean {
    if (this.#indexedBytes < 0) this.#indexedBytes = this.#readIndexFile()?.bytes ?? 0
    return this.#indexedBytes === this.#bytes
  }

  /** Takes the files away; whoever holds the segment can still read it. */
  unlink(): void {
    if (this.#dirty) {
      this.#dirty = false
      this.#cache.release(this.path, 'writer')
    }
    this.#cache.forget(this.path)
    this.#disk.unlink(this.path)
    this.#disk.unlink(this.indexPath)
  }

  /** Makes index and checksums reach back to the segment's start. */
  #load(): void {
    if (this.#loaded) return
    const saved = this.#readIndexFile()
    const known = saved ?? this.#scan()
    const later = this.#index
    this.#index = known.index
    this.#index.append(later)
    this.#blocks = new BlockChecksums(known.blocks, this.#trustedFrom)
    if (saved !== undefined) this.#verified = new Uint8Array(known.blocks.length)
    this.#blocks.extendFrom(this.#cache.use(this.path, 'write'), this.#bytes) // grown since
    if (saved !== undefined) this.#savedBlocks = new BlockChecksums(known.blocks, this.#trustedFrom)
    this.#loaded = true
  }

  #readIndexFile(): { index: SegmentIndex; blocks: readonly number[]; bytes: number } | undefined {
    if (!this.#disk.exists(this.indexPath)) return undefined
    const file = this.#disk.open(this.indexPath, 'read')
    try {
      const bytes = Buffer.allocUnsafe(file.size())
      file.read(0, bytes)
      const known = SegmentIndex.decode(bytes, this.#partitionId, this.baseOffset)
      if (known === null || known.summary.bytes !== this.#trustedFrom) return undefined
      // An index of other batches, as of another log, tells nothing about these.
      if (this.#expected !== undefined && known.headers !== this.#expected[0]) return undefined
      if (known.blocks.length !== Math.ceil(this.#trustedFrom / CHECKSUM_BLOCK_BYTES))
        return undefined
      return { index: known.index, blocks: known.blocks, bytes: known.summary.bytes }
    } finally {
      file.close()
    }
  }

  #scan(): { index: SegmentIndex; blocks: readonly number[] } {
    const index = new SegmentIndex()
    const blocks = new BlockChecksums()
    const file = this.#cache.use(this.path, 'write')
    const { path, baseOffset, revision } = this
    const expected = { path, baseOffset, revision, bytes: this.#trustedFrom }
    const known = { ...expected, headers: this.#expected, knowsEpoch: this.#knowsEpoch }
    for (const { buffer, at, bytes, baseOffset: offset, position } of checkedBatches(file, known)) {
      index.note(offset, position, maxTimestampOf(buffer, at))
      blocks.extend(buffer.subarray(at, at + bytes))
    }
    return { index, blocks: blocks.sums }
  }

  #verify(from: number, to: number): void {
    const verified = this.#verified
    const saved = this.#savedBlocks
    if (verified === undefined || saved === undefined || from >= this.#trustedFrom) return
    const file = this.#cache.use(this.path, 'write')
    const last = Math.floor((Math.min(to, this.#trustedFrom) - 1) / CHECKSUM_BLOCK_BYTES)
    for (let block = Math.floor(from / CHECKSUM_BLOCK_BYTES); block <= last; block += 1) {
      if (verified[block] === 1) continue
      if (!saved.blockIsWhole(file, block)) {
        const at = block * CHECKSUM_BLOCK_BYTES
        throw new DamageError(this.path, at, 'a block of 64 KiB fails its checksum')
      }
      verified[block] = 1
    }
  }

  #positionOf(offset: number): number {
    let position = this.#index.placeOf(offset)?.position ?? 0
    const file = this.#cache.use(this.path, 'write')
    for (;;) {
      // Behind the last batch that compaction has left there may be offsets without one.
      if (position >= this.#bytes && isSparse(this)) return this.#bytes
      const read = file.read(position, walkPiece)
      let at = 0
      while (at + BATCH_HEADER_BYTES <= read) {
        if (lastOffsetOf(walkPiece, at) >= offset) return position + at
        const bytes = batchBytesOf(walkPiece, at)
        if (bytes < BATCH_HEADER_BYTES) {
          throw new DamageError(this.path, position + at, `a batch claims ${bytes} bytes`)
        }
        at += bytes
      }
      if (at === 0) throw new DamageError(this.path, position, 'a batch header is cut off')
      position += at
    }
  }

  #endOfRange(position: number, maxBytes: number): number {
    if (this.#bytes - position <= maxBytes) return this.#bytes
    const boundary = this.#index.boundaryUpTo(position, position + maxBytes)
    if (boundary !== undefined) return boundary
    const header = walkPiece.subarray(0, BATCH_HEADER_BYTES)
    let end = position
    for (;;) {
      this.read(end, header)
      const bytes = batchBytesOf(header)
      if (bytes < BATCH_HEADER_BYTES) {
        throw new DamageError(this.path, end, `a batch claims ${bytes} bytes`)
      }
      if (end > position && end + bytes - position > maxBytes) return end
      end += bytes
      if (end >= this.#bytes) return this.#bytes
    }
  }
}

/** Opens a file that must exist and be at least this long; cuts what lies behind. */
export function cutToSize(file: DiskFile, bytes: number): void {
  const size = file.size()
  if (size < bytes) throw new DamageError(file.path, size, `the file ends before byte ${bytes}`)
  if (size > bytes) file.truncate(bytes)
}
