/**
 * LZ4 frames (version 1.6 of the format; magic 0x184D2204, independent blocks, right header
 * checksum, as Kafka asks for since message format 1).
 *
 * The library decompresses without a bound and takes a cut frame for a whole one, so the frame is
 * walked first: its blocks must lead exactly to its end, and what they can hold is counted. A block
 * holds at most its frame's block size and at most 255 times its bytes; only where that exceeds the
 * bound are the block's sequences counted one by one.
 */
import { LogError } from '../errors.ts'
import { lz4 } from './libraries.ts'

const MAGIC = 0x184d2204
const VERSION_MASK = 0xc0
const VERSION_1 = 0x40
const INDEPENDENT_BIT = 0x20
const BLOCK_CHECKSUM_BIT = 0x10
const CONTENT_SIZE_BIT = 0x08
const CONTENT_CHECKSUM_BIT = 0x04
const RESERVED_BIT = 0x02
const DICTIONARY_BIT = 0x01
const STORED_BIT = 0x80000000
const CHECKSUM_BYTES = 4
const EXPANSION_MAX = 255
const MATCH_BYTES_MIN = 4

export const compressLz4 = (data: Buffer): Buffer => lz4().compressFrameSync(data)

/** @param strict whether linked blocks are refused: Kafka and its Java clients do not read them */
export function decompressLz4(data: Buffer, bytesMax: number, strict: boolean): Buffer {
  const frame = lz4Frame(data, bytesMax)
  if (strict) refuseLinked(frame)
  let held = 0
  for (const block of lz4Blocks(data, frame)) {
    held += blockOutput(data, block, frame.blockBytesMax, bytesMax - held)
    if (held > bytesMax) throw tooLarge(held, bytesMax)
  }
  return lz4().decompressFrameSync(data)
}

/** What the header of a frame says. */
export type Lz4Frame = {
  /** The bytes that the header's checksum covers, and the checksum. */
  readonly descriptor: Buffer
  readonly descriptorChecksum: number
  readonly linked: boolean
  readonly blockBytesMax: number
  readonly blockChecksums: boolean
  readonly contentChecksum: boolean
  readonly blocksAt: number
}

/** One block of a frame, by its place in the data. */
export type Lz4Block = {
  readonly at: number
  readonly bytes: number
  /** Whether it is stored as it is. */
  readonly stored: boolean
}

/** Reads the header of a frame. Throws where it is none, or says that it holds too much. */
export function lz4Frame(data: Buffer, bytesMax: number): Lz4Frame {
  need(data, 7)
  if (data.readUInt32LE(0) !== MAGIC) throw corrupt('it does not begin like a frame')
  const flags = data.readUInt8(4)
  if ((flags & VERSION_MASK) !== VERSION_1) throw corrupt('its version is unknown')
  if ((flags & (RESERVED_BIT | DICTIONARY_BIT)) !== 0) throw corrupt('it needs a dictionary')
  const blockBytesMax = blockSize(data.readUInt8(5))
  const blocksAt = 7 + ((flags & CONTENT_SIZE_BIT) !== 0 ? checkContentSize(data, bytesMax) : 0)
  return {
    descriptor: data.subarray(4, blocksAt - 1),
    descriptorChecksum: data.readUInt8(blocksAt - 1),
    linked: (flags & INDEPENDENT_BIT) === 0,
    blockBytesMax,
    blockChecksums: (flags & BLOCK_CHECKSUM_BIT) !== 0,
    contentChecksum: (flags & CONTENT_CHECKSUM_BIT) !== 0,
    blocksAt,
  }
}

/** The blocks of a frame, which must lead exactly to the end of the data. */
export function* lz4Blocks(data: Buffer, frame: Lz4Frame): Generator<Lz4Block, void> {
  const trailer = frame.blockChecksums ? CHECKSUM_BYTES : 0
  let at = frame.blocksAt
  for (;;) {
    need(data, at + 4)
    const word = data.readUInt32LE(at)
    at += 4
    if (word === 0) break
    const stored = word >= STORED_BIT
    const bytes = stored ? word - STORED_BIT : word
    if (bytes > frame.blockBytesMax) throw corrupt(`a block of ${bytes} bytes`)
    need(data, at + bytes + trailer)
    yield { at, bytes, stored }
    at += bytes + trailer
  }
  if (frame.contentChecksum) at += CHECKSUM_BYTES
  if (at !== data.length) throw corrupt(`the frame has ${at} bytes, the data ${data.length}`)
}

/** Throws where a block needs the ones before it. */
export function refuseLinked({ linked }: Lz4Frame): void {
  if (linked) throw corrupt('its blocks are linked, which Kafka and its Java clients do not read')
}

/** Largest decompressed block, from the block descriptor byte. */
function blockSize(descriptor: number): number {
  const code = (descriptor >> 4) & 0x07
  if ((descriptor & 0x8f) !== 0 || code < 4) throw corrupt('its block size is unknown')
  return 2 ** (8 + 2 * code)
}

function checkContentSize(data: Buffer, bytesMax: number): number {
  need(data, 15)
  const bytes = data.readUInt32LE(6) + data.readUInt32LE(10) * 0x1_0000_0000
  if (bytes > bytesMax) throw tooLarge(bytes, bytesMax)
  return 8
}

/** What a block can hold at most; exactly, where the rough bound would be too much. */
function blockOutput(
  data: Buffer,
  { at, bytes, stored }: Lz4Block,
  blockBytesMax: number,
  bytesLeft: number,
): number {
  if (stored) return bytes
  const roughly = Math.min(blockBytesMax, bytes * EXPANSION_MAX)
  return roughly <= bytesLeft ? roughly : Math.min(roughly, countSequences(data, at, at + bytes))
}

/** Counts the output of a block: a token, literals, an offset and a match, again and again. */
function countSequences(data: Buffer, start: number, end: number): number {
  let at = start
  let output = 0
  const more = (nibble: number): number => {
    if (nibble < 15) return nibble
    let length = nibble
    let byte = 255
    while (byte === 255 && at < end) {
      byte = data[at++] ?? 0
      length += byte
    }
    return length
  }
  while (at < end) {
    const token = data[at++] ?? 0
    const literals = more(token >> 4)
    at += literals
    output += literals
    if (at >= end) break
    at += 2
    output += more(token & 0x0f) + MATCH_BYTES_MIN
  }
  return output
}

function need(data: Buffer, end: number): void {
  if (end > data.length) throw corrupt(`it ends at byte ${data.length}, before byte ${end}`)
}

const corrupt = (detail: string): LogError =>
  new LogError('CORRUPT_MESSAGE', `not an LZ4 frame: ${detail}`)

const tooLarge = (bytes: number, bytesMax: number): LogError =>
  new LogError('MESSAGE_TOO_LARGE', `LZ4 data of ${bytes} bytes, at most ${bytesMax}`)
