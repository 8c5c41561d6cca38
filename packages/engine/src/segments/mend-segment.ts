/**
 * What a damaged segment still proves, once an operator has decided to go on without the rest.
 *
 * A batch whose own checksum is right is whole. What lies outside of that checksum (offset, leader
 * epoch, format, length) is put right where the batches around it, or the checkpoint's checksum of all
 * headers, say what it was. Behind a batch that is lost the next whole one is looked for. Batches count
 * only where the file is shown to be this segment's: by that checksum, by its first or last header, or
 * by the checksums of its blocks. Nothing is written here.
 */
import {
  BATCH_HEADER_BYTES,
  BATCH_MAGIC,
  baseOffsetOf,
  batchBytesOf,
  computeBatchCrc,
  crcOf,
  lastOffsetDeltaOf,
  lastOffsetOf,
  leaderEpochOf,
  magicOf,
  type Offset,
  setBatchPosition,
} from '@millrace/log'
import { HeaderSums, headerSum, NO_HEADERS } from './header-sums.ts'
import { isSparse, type SegmentRecord } from './segment-record.ts'

const LENGTH_AT = 8
const MAGIC_AT = 16
const CRC_AT = 17
/** Bits of the length that may be tried. */
const LENGTH_BITS = 31

/** What is known of a segment beside its bytes. */
export type MendingRules = {
  readonly segment: SegmentRecord
  /** The leader epoch of a record at an offset. */
  readonly epochAt: (offset: Offset) => number
  readonly knowsEpoch: (epoch: number) => boolean
  /** Whether the index beside it, which names it, vouches for one of the blocks at least. */
  readonly indexVouches: boolean
}

/** The result: the segment as it was, or what is left of it. */
export type MendedBytes =
  | { readonly kind: 'healed'; readonly bytes: Buffer }
  | { readonly kind: 'partial'; readonly batches: readonly KeptBatch[] }

/** A batch that is kept, and the offsets of which it shows that nothing else was there. */
export type KeptBatch = { readonly batch: Buffer; readonly from: Offset; readonly to: Offset }

type Part = {
  readonly at: number
  readonly batch: Buffer
  /** Its checksum was wrong: only the checkpoint's checksum of all headers can prove it. */
  readonly isGuess: boolean
}

/** Mends the bytes of a segment; they are changed. */
export function mendBytes(bytes: Buffer, rules: MendingRules): MendedBytes {
  const { segment } = rules
  const { parts, hasGap } = walk(bytes, rules)
  const end = parts.at(-1)
  const isComplete =
    !hasGap && bytes.length === segment.bytes && end !== undefined && isEnd(end, segment)
  if (isComplete && isProven(parts, segment)) return { kind: 'healed', bytes }
  const sure = parts.filter(part => !part.isGuess)
  return { kind: 'partial', batches: isOurs(sure, rules) ? kept(sure, segment) : [] }
}

/** Of a compacted segment, offsets between batches that stand next to each other are not lost. */
function kept(parts: readonly Part[], segment: SegmentRecord): readonly KeptBatch[] {
  let end = 0
  let next = segment.baseOffset
  return parts.map(({ at, batch }) => {
    const from = isSparse(segment) && at === end ? next : baseOffsetOf(batch)
    end = at + batch.length
    next = lastOffsetOf(batch) + 1
    const isLast = isSparse(segment) && end === segment.bytes
    return { batch, from, to: isLast ? segment.nextOffset - 1 : next - 1 }
  })
}

function walk(
  bytes: Buffer,
  rules: MendingRules,
): { readonly parts: readonly Part[]; readonly hasGap: boolean } {
  const { segment, epochAt } = rules
  const parts: Part[] = []
  let expected = segment.baseOffset
  let at = 0
  let hasGap = false
  let isBehindGap = false
  while (at < bytes.length) {
    const size = sizeAt(bytes, at)
    const part = size === undefined ? undefined : partAt(bytes, at, size)
    const follows = isSparse(segment) || isBehindGap
    // Not a number where more bits are set than an offset has.
    const offset = part === undefined ? Number.NaN : baseOffsetOf(part.batch)
    const span = part === undefined ? -1 : lastOffsetDeltaOf(part.batch)
    const isRight = follows
      ? offset >= expected && offset + span < segment.nextOffset
      : part !== undefined &&
        isOneBit(part.batch.readBigInt64BE(0), BigInt(expected)) &&
        expected + span < segment.nextOffset
    if (part === undefined || !isRight || span < 0) {
      hasGap = true
      isBehindGap = true
      at = nextWhole(bytes, at + 1, expected, rules)
      continue
    }
    const base = follows ? offset : expected
    setBatchPosition(bytes, at, base, epochAt(base))
    parts.push(part)
    expected = base + span + 1
    at += part.batch.length
    isBehindGap = false
  }
  return { parts, hasGap }
}

/** Whether two offsets are the same but for one bit at most. */
function isOneBit(a: bigint, b: bigint): boolean {
  const difference = BigInt.asUintN(64, a ^ b)
  return (difference & (difference - 1n)) === 0n
}

/** The length of the batch at `at`, put right where one bit of it is wrong; undefined for none. */
function sizeAt(bytes: Buffer, at: number): number | undefined {
  if (at + BATCH_HEADER_BYTES > bytes.length) return undefined
  const size = batchBytesOf(bytes, at)
  const fits = (length: number): boolean =>
    length >= BATCH_HEADER_BYTES && at + length <= bytes.length
  if (fits(size) && computeBatchCrc(bytes, at, size) === crcOf(bytes, at)) return size
  const stored = bytes.readUInt32BE(at + LENGTH_AT)
  for (let bit = 0; bit < LENGTH_BITS; bit += 1) {
    const length = (stored ^ (1 << bit)) >>> 0
    const other = size - (stored | 0) + (length | 0)
    if (!fits(other) || computeBatchCrc(bytes, at, other) !== crcOf(bytes, at)) continue
    bytes.writeUInt32BE(length, at + LENGTH_AT)
    return other
  }
  // The content, or the checksum itself: the next batch tells whether the length is right.
  const behind = at + size
  if (!fits(size)) return undefined
  const isFollowed =
    behind === bytes.length ||
    (behind + BATCH_HEADER_BYTES <= bytes.length && magicOf(bytes, behind) === BATCH_MAGIC)
  return isFollowed ? size : undefined
}

function partAt(bytes: Buffer, at: number, size: number): Part {
  if (magicOf(bytes, at) !== BATCH_MAGIC) bytes.writeInt8(BATCH_MAGIC, at + MAGIC_AT)
  const sum = computeBatchCrc(bytes, at, size)
  const isGuess = sum !== crcOf(bytes, at)
  if (isGuess) bytes.writeUInt32BE(sum, at + CRC_AT)
  return { at, batch: bytes.subarray(at, at + size), isGuess }
}

/** Where the next whole batch stands that fits; the end if there is none. */
function nextWhole(bytes: Buffer, from: number, expected: number, rules: MendingRules): number {
  const { segment, knowsEpoch } = rules
  for (let at = from; at + BATCH_HEADER_BYTES <= bytes.length; at += 1) {
    if (magicOf(bytes, at) !== BATCH_MAGIC) continue
    const size = batchBytesOf(bytes, at)
    if (size < BATCH_HEADER_BYTES || at + size > bytes.length) continue
    const offset = baseOffsetOf(bytes, at)
    if (offset < expected || lastOffsetOf(bytes, at) >= segment.nextOffset) continue
    if (!knowsEpoch(leaderEpochOf(bytes, at))) continue
    if (computeBatchCrc(bytes, at, size) === crcOf(bytes, at)) return at
  }
  return bytes.length
}

const isEnd = ({ batch }: Part, segment: SegmentRecord): boolean =>
  isSparse(segment) || lastOffsetOf(batch) + 1 === segment.nextOffset

/** Whether the parts are exactly what was written. */
function isProven(parts: readonly Part[], { headers }: SegmentRecord): boolean {
  if (headers === undefined) return !parts.some(({ isGuess }) => isGuess)
  const sums = new HeaderSums(NO_HEADERS)
  for (const { batch } of parts) sums.add(batch)
  return sums.record?.[0] === headers[0]
}

/** Whether the file is the segment's at all. */
function isOurs(parts: readonly Part[], { segment, indexVouches }: MendingRules): boolean {
  const { headers } = segment
  if (headers === undefined || indexVouches) return true
  const [, first, last] = headers
  const begin = parts[0]
  const end = parts.at(-1)
  const sumOf = ({ batch }: Part): number => headerSum(batch.subarray(0, BATCH_HEADER_BYTES))
  if (begin !== undefined && begin.at === 0 && sumOf(begin) === first) return true
  return end !== undefined && sumOf(end) === last
}
