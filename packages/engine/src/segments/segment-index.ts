/**
 * The sparse index of a segment: for every 32 KiB or so one batch's offset, position, and the largest
 * timestamp in front of it. In memory while the segment grows; in a file beside it once it is
 * sealed or the engine has stopped cleanly, together with a checksum of each 64 KiB of the segment.
 *
 *     file   magic u32 | version u16 | 0 u16 | partition id u32 | base offset u64 | bytes u64
 *            next offset u64 | max timestamp f64 | its offset f64 | entries u32 | blocks u32
 *            checksum of all batch headers u32, 0 where it is not known
 *            { offset delta u32 | position u32 | max timestamp before f64 } ... | block crc u32 ... | crc u32
 *
 * Derived data: a file that is missing or wrong is built again from the segment. The block checksums
 * also name partition and base offset, so that a swapped file is noticed (engine rule 12).
 */
import type { Offset, Timestamp } from '@millrace/log'
import { crc32c } from '@node-rs/crc32'
import type { HeaderSumsRecord } from './header-sums.ts'

/** Distance between two index entries in bytes of the segment. */
export const INDEX_INTERVAL_BYTES: number = 32 * 1024
/** Bytes of the segment that one checksum covers. */
export const CHECKSUM_BLOCK_BYTES: number = 64 * 1024

const MAGIC = 0x4d52_5831 // "MRX1"
const VERSION = 1
const HEADER_BYTES = 64
const ENTRY_BYTES = 16
const TWO_32 = 0x1_0000_0000

/** A batch's place as the index tells it: start walking here. */
export type IndexedPlace = { readonly position: number; readonly offset: Offset }

/** What the index knows of a segment as a whole. */
export type SegmentSummary = {
  readonly bytes: number
  readonly nextOffset: Offset
  /** -1 if the segment is empty or holds no timestamps. */
  readonly maxTimestamp: Timestamp
  /** Base offset of the first batch that has the largest timestamp. */
  readonly maxTimestampOffset: Offset
}

/** Offsets, positions and timestamps of some batches of a segment, in order. */
export class SegmentIndex {
  readonly #offsets: number[] = []
  readonly #positions: number[] = []
  readonly #timestampsBefore: number[] = []
  #maxTimestamp = -1
  #maxTimestampOffset = -1

  get maxTimestamp(): Timestamp {
    return this.#maxTimestamp
  }

  get maxTimestampOffset(): Offset {
    return this.#maxTimestampOffset
  }

  /** Notes a batch at the end of the segment. */
  note(offset: Offset, position: number, maxTimestamp: Timestamp): void {
    const last = this.#positions.at(-1)
    if (last === undefined || position - last >= INDEX_INTERVAL_BYTES) {
      this.#offsets.push(offset)
      this.#positions.push(position)
      this.#timestampsBefore.push(this.#maxTimestamp)
    }
    if (maxTimestamp > this.#maxTimestamp) {
      this.#maxTimestamp = maxTimestamp
      this.#maxTimestampOffset = offset
    }
  }

  /** Takes over what a checkpoint knows of the batches before the first noted one. */
  assumeTimestamps(maxTimestamp: Timestamp, maxTimestampOffset: Offset): void {
    this.#maxTimestamp = maxTimestamp
    this.#maxTimestampOffset = maxTimestampOffset
  }

  /** The last indexed batch at or before `offset`; undefined if all lie behind it. */
  placeOf(offset: Offset): IndexedPlace | undefined {
    return this.#at(lastAtMost(this.#offsets, offset))
  }

  /** The last indexed batch in front of which all timestamps are below `timestamp`. */
  placeBefore(timestamp: Timestamp): IndexedPlace | undefined {
    return this.#at(lastAtMost(this.#timestampsBefore, timestamp - 1))
  }

  /** All indexed places, in order. */
  *places(): Generator<IndexedPlace> {
    for (let i = 0; i < this.#offsets.length; i += 1) {
      const place = this.#at(i)
      if (place !== undefined) yield place
    }
  }

  /** The largest indexed position in (from, limit]; undefined if there is none. */
  boundaryUpTo(from: number, limit: number): number | undefined {
    const position = this.#positions[lastAtMost(this.#positions, limit)]
    return position !== undefined && position > from ? position : undefined
  }

  /** Takes over the entries of a later part of the same segment. */
  append(later: SegmentIndex): void {
    for (let i = 0; i < later.#offsets.length; i += 1) {
      this.#offsets.push(later.#offsets[i] ?? 0)
      this.#positions.push(later.#positions[i] ?? 0)
      this.#timestampsBefore.push(Math.max(this.#maxTimestamp, later.#timestampsBefore[i] ?? -1))
    }
    if (later.#maxTimestamp > this.#maxTimestamp) {
      this.#maxTimestamp = later.#maxTimestamp
      this.#maxTimestampOffset = later.#maxTimestampOffset
    }
  }

  /** The file's bytes. */
  encode(
    partitionId: number,
    baseOffset: Offset,
    summary: SegmentSummary & { readonly headers?: HeaderSumsRecord },
    blocks: readonly number[],
  ): Buffer {
    // What no field holds is left out: batches of older versions could claim any number of offsets.
    const count = lastAtMost(this.#offsets, baseOffset + TWO_32 - 1) + 1
    const out = Buffer.alloc(HEADER_BYTES + count * ENTRY_BYTES + blocks.length * 4 + 4)
    out.writeUInt32BE(MAGIC, 0)
    out.writeUInt16BE(VERSION, 4)
    out.writeUInt32BE(partitionId, 8)
    writeUint64(out, 12, baseOffset)
    writeUint64(out, 20, summary.bytes)
    writeUint64(out, 28, summary.nextOffset)
    out.writeDoubleBE(summary.maxTimestamp, 36)
    out.writeDoubleBE(summary.maxTimestampOffset, 44)
    out.writeUInt32BE(count, 52)
    out.writeUInt32BE(blocks.length, 56)
    out.writeUInt32BE(summary.headers?.[0] ?? 0, 60)
    let at = HEADER_BYTES
    for (let i = 0; i < count; i += 1) {
      out.writeUInt32BE((this.#offsets[i] ?? 0) - baseOffset, at)
      out.writeUInt32BE(this.#positions[i] ?? 0, at + 4)
      out.writeDoubleBE(this.#timestampsBefore[i] ?? -1, at + 8)
      at += ENTRY_BYTES
    }
    for (const block of blocks) at = out.writeUInt32BE(block, at)
    out.writeUInt32BE(crc32c(out.subarray(0, at)), at)
    return out
  }

  #at(i: number): IndexedPlace | undefined {
    const position = this.#positions[i]
    const offset = this.#offsets[i]
    return position === undefined || offset === undefined ? undefined : { position, offset }
  }

  /** Reads a file; null if it is not a whole index of this very segment. */
  static decode(
    file: Buffer,
    partitionId: number,
    baseOffset: Offset,
  ): {
    index: SegmentIndex
    summary: SegmentSummary
    blocks: readonly number[]
    headers: number
  } | null {
    if (file.length < HEADER_BYTES + 4 || file.readUInt32BE(0) !== MAGIC) return null
    if (crc32c(file.subarray(0, file.length - 4)) !== file.readUInt32BE(file.length - 4))
      return null
    if (file.readUInt16BE(4) !== VERSION || file.readUInt32BE(8) !== partitionId) return null
    if (readUint64(file, 12) !== baseOffset) return null
    const count = file.readUInt32BE(52)
    const blockCount = file.readUInt32BE(56)
    if (file.length !== HEADER_BYTES + count * ENTRY_BYTES + blockCount * 4 + 4) return null
    const summary = {
      bytes: readUint64(file, 20),
      nextOffset: readUint64(file, 28),
      maxTimestamp: file.readDoubleBE(36),
      maxTimestampOffset: file.readDoubleBE(44),
    }
    const index = new SegmentIndex()
    let at = HEADER_BYTES
    for (let i = 0; i < count; i += 1) {
      index.#offsets.push(baseOffset + file.readUInt32BE(at))
      index.#positions.push(file.readUInt32BE(at + 4))
      index.#timestampsBefore.push(file.readDoubleBE(at + 8))
      at += ENTRY_BYTES
    }
    index.assumeTimestamps(summary.maxTimestamp, summary.maxTimestampOffset)
    const blocks: number[] = []
    for (let i = 0; i < blockCount; i += 1) blocks.push(file.readUInt32BE(at + i * 4))
    return { index, summary, blocks, headers: file.readUInt32BE(60) }
  }
}

/** Index of the last value <= limit in an ascending list; -1 if none. */
function lastAtMost(values: readonly number[], limit: number): number {
  let low = 0
  let high = values.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((values[middle] ?? 0) <= limit) low = middle + 1
    else high = middle
  }
  return low - 1
}

function writeUint64(buffer: Buffer, at: number, value: number): void {
  buffer.writeUInt32BE(Math.floor(value / TWO_32), at)
  buffer.writeUInt32BE(value >>> 0, at + 4)
}

function readUint64(buffer: Buffer, at: number): number {
  return buffer.readUInt32BE(at) * TWO_32 + buffer.readUInt32BE(at + 4)
}
