/**
 * Walks the record batches of a file, one after another, checking each.
 *
 * Used to build the index of a segment that has none, to check what lay on the disk while nobody
 * ran, and by `verify`. Reads in pieces of 1 MiB; a larger batch makes one larger piece.
 */
import {
  BATCH_HEADER_BYTES,
  BATCH_LENGTH_MIN,
  BATCH_LENGTH_OVERHEAD,
  BATCH_MAGIC,
  baseOffsetOf,
  batchBytesOf,
  computeBatchCrc,
  crcOf,
  lastOffsetDeltaOf,
  magicOf,
  type Offset,
} from '@millrace/log'
import type { ReadableFile } from './small-segments.ts'

const PIECE_BYTES = 1 << 20

/** A batch in the scanner's buffer; valid until the next step. */
export type ScannedBatch = {
  readonly position: number
  readonly bytes: number
  readonly baseOffset: Offset
  readonly lastOffset: Offset
  readonly buffer: Buffer
  /** Where the batch starts in `buffer`. */
  readonly at: number
}

/** Where a scan ended: at the limit, or at the first bytes that cannot be right. */
export type ScanEnd = { readonly position: number; readonly damage: string | null }

/** What a scan takes for right. */
export type ScanRules = {
  /** The first batch must have at least this base offset. */
  readonly nextOffset: Offset
  /** Whether offsets may be missing, as compaction leaves them. */
  readonly gaps: boolean
  /** Whether to compute each checksum. */
  readonly checksums: boolean
}

/** Yields the batches in [from, to). */
export function* scanBatches(
  file: ReadableFile,
  from: number,
  to: number,
  rules: ScanRules,
): Generator<ScannedBatch, ScanEnd> {
  let piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, Math.max(to - from, 1)))
  let pieceStart = from
  let pieceEnd = from
  let position = from
  let nextOffset = rules.nextOffset

  const load = (needed: number): boolean => {
    if (position + needed <= pieceEnd) return true
    if (position + needed > to) return false
    if (needed > piece.length) piece = Buffer.allocUnsafe(needed)
    pieceStart = position
    const length = Math.min(piece.length, to - position)
    pieceEnd = position + file.read(position, piece.subarray(0, length))
    return position + needed <= pieceEnd
  }

  while (position < to) {
    if (!load(BATCH_HEADER_BYTES)) return { position, damage: 'a batch header is cut off' }
    let at = position - pieceStart
    const bytes = batchBytesOf(piece, at)
    if (bytes < BATCH_LENGTH_MIN + BATCH_LENGTH_OVERHEAD || position + bytes > to) {
      return { position, damage: `a batch claims ${bytes} bytes` }
    }
    if (!load(bytes)) return { position, damage: 'a batch is cut off' }
    at = position - pieceStart
    const damage = batchDamage(piece, at, bytes, nextOffset, rules)
    if (damage !== null) return { position, damage }
    const baseOffset = baseOffsetOf(piece, at)
    const lastOffset = baseOffset + lastOffsetDeltaOf(piece, at)
    yield { position, bytes, baseOffset, lastOffset, buffer: piece, at }
    position += bytes
    nextOffset = lastOffset + 1
  }
  return { position, damage: null }
}

function batchDamage(
  buffer: Buffer,
  at: number,
  bytes: number,
  nextOffset: Offset,
  rules: ScanRules,
): string | null {
  if (magicOf(buffer, at) !== BATCH_MAGIC) return `a batch has format ${magicOf(buffer, at)}`
  const baseOffset = baseOffsetOf(buffer, at)
  const right = rules.gaps ? baseOffset >= nextOffset : baseOffset === nextOffset
  if (!right) return `a batch has offset ${baseOffset} where ${nextOffset} was due`
  if (lastOffsetDeltaOf(buffer, at) < 0) return 'a batch has a negative last offset'
  if (rules.checksums && computeBatchCrc(buffer, at, bytes) !== crcOf(buffer, at)) {
    return `the batch at offset ${baseOffset} fails its checksum`
  }
  return null
}
