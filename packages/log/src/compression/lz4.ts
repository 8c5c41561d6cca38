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

export function decompressLz4(data: Buffer, bytesMax: number): Buffer {
  measureFrame(data, bytesMax)
  return lz4().decompressFrameSync(data)
}

/** Throws unless `data` is one whole frame whose output stays within the bound. */
function measureFrame(data: Buffer, bytesMax: number): void {
  need(data, 7)
  if (data.readUInt32LE(0) !== MAGIC) throw corrupt('it does not begin like a frame')
  const flags = data.readUInt8(4)
  if ((flags & VERSION_MASK) !== VERSION_1) throw corrupt('its version is unknown')
  if ((flags & (RESERVED_BIT | DICTIONARY_BIT)) !== 0) throw corrupt('it needs a dictionary')
  const blockBytesMax = blockSize(data.readUInt8(5))
  let at = 7
  if ((flags & CONTENT_SIZE_BIT) !== 0) at += checkContentSize(data, bytesMax)
  const trailer = (flags & BLOCK_CHECKSUM_BIT) !== 0 ? CHECKSUM_BYTES : 0
  let held = 0
  for (;;) {
    need(data, at + 4)
    const word = data.readUInt32LE(at)
    at += 4
    if (word === 0) break
    const bytes = word & ~STORED_BIT
    need(data, at + bytes + trailer)
    held += blockOutput(data, at, bytes, word >= STORED_BIT, blockBytesMax, bytesMax - held)
    if (held > bytesMax) throw tooLarge(held, bytesMax)
    at += bytes + trailer
  }
  if ((flags & CONTENT_CHECKSUM_BIT) !== 0) at += CHECKSUM_BYTES
  if (at !== data.length) throw corrupt(`the frame has ${at} bytes, the data ${data.length}`)
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
  at: number,
  bytes: number,
  stored: boolean,
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
