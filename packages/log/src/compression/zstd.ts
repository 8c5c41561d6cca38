/**
 * Zstandard by node:zlib (RFC 8878). Node decodes the first frame and silently drops what follows,
 * so the frames are walked by their headers first (a few bytes for each block of at most 128 KiB)
 * and decoded one by one. The output is bounded by `maxOutputLength`.
 */
import { LogError } from '../errors.ts'
import { chunkBytes, zlib } from './libraries.ts'

const FRAME_MAGIC = 0xfd2fb528
const SKIPPABLE_MAGIC = 0x184d2a50
const SKIPPABLE_MASK = 0xfffffff0
const SINGLE_SEGMENT_BIT = 0x20
const CHECKSUM_BIT = 0x04
const DICTIONARY_ID_BYTES = [0, 1, 2, 4] as const
const CONTENT_SIZE_BYTES = [0, 2, 4, 8] as const
const BLOCK_HEADER_BYTES = 3
const CHECKSUM_BYTES = 4

/** Block types: raw 0, one byte repeated 1, compressed 2, reserved 3. */
const BLOCK_RLE = 1
const BLOCK_RESERVED = 3

export function compressZstd(data: Buffer, level?: number): Buffer {
  const { constants, zstdCompressSync } = zlib()
  const chunkSize = chunkBytes(data.length)
  if (level === undefined) return zstdCompressSync(data, { chunkSize })
  const params = { [constants.ZSTD_c_compressionLevel]: level }
  return zstdCompressSync(data, { chunkSize, params })
}

export function decompressZstd(data: Buffer, bytesMax: number): Buffer {
  const parts: Buffer[] = []
  let bytesLeft = bytesMax
  for (const frame of zstdFrames(data)) {
    const part = inflate(frame, bytesLeft)
    bytesLeft -= part.length
    parts.push(part)
  }
  const [only] = parts
  return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts)
}

/** The frames of the data that hold something, each found only when it is asked for. */
export function* zstdFrames(data: Buffer): Generator<Buffer, void> {
  for (let at = 0; at < data.length || at === 0; ) {
    const end = frameEnd(data, at)
    if (!isSkippable(data, at)) yield data.subarray(at, end)
    at = end
  }
}

function inflate(frame: Buffer, bytesMax: number): Buffer {
  const part = zlib().zstdDecompressSync(frame, {
    chunkSize: chunkBytes(frame.length * 4),
    maxOutputLength: Math.max(1, bytesMax),
  })
  // The bound cannot be stated as 0, so an empty rest is held here.
  if (part.length > bytesMax) {
    throw new LogError('MESSAGE_TOO_LARGE', 'the zstd frames decompress to more than their bound')
  }
  return part
}

/** The size that a frame states in its header; 0 where it does not. */
export function zstdBytes(frame: Buffer): number {
  const descriptor = frame.readUInt8(4)
  const single = (descriptor & SINGLE_SEGMENT_BIT) !== 0
  const at = 4 + frameHeaderBytes(descriptor)
  switch (descriptor >> 6) {
    case 0:
      return single ? frame.readUInt8(at - 1) : 0
    case 1:
      return frame.readUInt16LE(at - 2) + 256
    case 2:
      return frame.readUInt32LE(at - 4)
    default:
      return frame.readUInt32LE(at - 8) + frame.readUInt32LE(at - 4) * 0x1_0000_0000
  }
}

const isSkippable = (data: Buffer, at: number): boolean =>
  (data.readUInt32LE(at) & SKIPPABLE_MASK) >>> 0 === SKIPPABLE_MAGIC

/** Where the frame at `at` ends; a number past the data is an error. */
function frameEnd(data: Buffer, at: number): number {
  need(data, at + 8)
  if (isSkippable(data, at)) {
    const end = at + 8 + data.readUInt32LE(at + 4)
    need(data, end)
    return end
  }
  if (data.readUInt32LE(at) !== FRAME_MAGIC) throw corrupt('it does not begin like a frame')
  let next = blocksEnd(data, at + 4 + frameHeaderBytes(data.readUInt8(at + 4)))
  if ((data.readUInt8(at + 4) & CHECKSUM_BIT) !== 0) next += CHECKSUM_BYTES
  need(data, next)
  return next
}

/** Bytes of the frame header behind the magic, as its first byte tells. */
function frameHeaderBytes(descriptor: number): number {
  const single = (descriptor & SINGLE_SEGMENT_BIT) !== 0
  const sizeFlag = (descriptor >> 6) as 0 | 1 | 2 | 3
  const contentSizeBytes = sizeFlag === 0 && single ? 1 : CONTENT_SIZE_BYTES[sizeFlag]
  const dictionaryIdBytes = DICTIONARY_ID_BYTES[(descriptor & 0x03) as 0 | 1 | 2 | 3]
  return 1 + (single ? 0 : 1) + dictionaryIdBytes + contentSizeBytes
}

function blocksEnd(data: Buffer, start: number): number {
  let at = start
  let last = false
  while (!last) {
    need(data, at + BLOCK_HEADER_BYTES)
    const header = data.readUIntLE(at, BLOCK_HEADER_BYTES)
    const type = (header >> 1) & 0x03
    if (type === BLOCK_RESERVED) throw corrupt('it has a block of a reserved type')
    last = (header & 1) !== 0
    at += BLOCK_HEADER_BYTES + (type === BLOCK_RLE ? 1 : header >> 3)
  }
  return at
}

function need(data: Buffer, end: number): void {
  if (end > data.length) throw corrupt(`it ends at byte ${data.length}, before byte ${end}`)
}

const corrupt = (detail: string): LogError =>
  new LogError('CORRUPT_MESSAGE', `not zstd data: ${detail}`)
