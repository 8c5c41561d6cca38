/**
 * Snappy as Kafka uses it: the block framing of snappy-java ("xerial") around raw blocks of 32 KiB
 * of input. Raw data without framing, as some clients write it, is read too.
 *
 * Layout: magic 82 "SNAPPY" 00, int32 version 1, int32 lowest compatible version 1, then for each
 * block int32 length and a raw snappy block; big endian. A raw block begins with its decompressed
 * length, so the output is measured, and allocated, before anything is decompressed.
 */
import { LogError } from '../errors.ts'
import { snappy } from './libraries.ts'

const MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const MAGIC_FIRST_WORD = 0x82534e41
const FRAMING_VERSION = 1
const FRAMING_HEADER_BYTES = 16
const BLOCK_INPUT_BYTES = 32 * 1024
const LENGTH_VARINT_BYTES_MAX = 5

/** A copy of 3 bytes yields at most 64: a block that claims more than this is lying. */
const EXPANSION_MAX = 64

export function compressSnappy(data: Buffer): Buffer {
  const header = Buffer.alloc(FRAMING_HEADER_BYTES)
  MAGIC.copy(header)
  header.writeInt32BE(FRAMING_VERSION, 8)
  header.writeInt32BE(FRAMING_VERSION, 12)
  const parts: Buffer[] = [header]
  for (let at = 0; at < data.length; at += BLOCK_INPUT_BYTES) {
    const block = snappy().compressSync(data.subarray(at, at + BLOCK_INPUT_BYTES))
    const length = Buffer.allocUnsafe(4)
    length.writeInt32BE(block.length)
    parts.push(length, block)
  }
  return Buffer.concat(parts)
}

export function decompressSnappy(data: Buffer, bytesMax: number): Buffer {
  const blocks = snappyBlocks(data, bytesMax)
  const [only] = blocks
  if (blocks.length === 1 && only !== undefined) return snappy().uncompressSync(only)
  return Buffer.concat(blocks.map(block => snappy().uncompressSync(block)))
}

/** The raw blocks of framed data, or the one that raw data is; together within the bound. */
export function snappyBlocks(data: Buffer, bytesMax: number): readonly Buffer[] {
  const framed = data.length >= FRAMING_HEADER_BYTES && MAGIC.equals(data.subarray(0, MAGIC.length))
  const blocks = framed ? framedBlocks(data) : [data]
  let bytes = 0
  for (const block of blocks) bytes += claimedBytes(block)
  checkBound(bytes, bytesMax)
  return blocks
}

function framedBlocks(data: Buffer): Buffer[] {
  const blocks: Buffer[] = []
  let at = 0
  while (at < data.length) {
    if (at + 4 > data.length) throw corrupt('a block has no length')
    // Streams may be concatenated, each with its header; no block length looks like the magic.
    if (data.readUInt32BE(at) === MAGIC_FIRST_WORD) {
      at += FRAMING_HEADER_BYTES
      if (at > data.length) throw corrupt('the framing header is cut')
      const compatible = data.readInt32BE(at - 4)
      if (compatible > FRAMING_VERSION) throw corrupt(`framing of version ${compatible}`)
      if (data.readInt32BE(at - 8) < FRAMING_VERSION) throw corrupt('framing of version 0')
      continue
    }
    const length = data.readInt32BE(at)
    const end = at + 4 + length
    if (length <= 0 || end > data.length) throw corrupt(`a block claims ${length} bytes`)
    blocks.push(data.subarray(at + 4, end))
    at = end
  }
  return blocks
}

/** The decompressed length that a raw block states in front. */
function claimedBytes(block: Buffer): number {
  let bytes = 0
  for (let i = 0; i < LENGTH_VARINT_BYTES_MAX; i++) {
    const byte = block[i]
    if (byte === undefined) break
    bytes += (byte & 0x7f) * 2 ** (7 * i)
    if (byte >= 0x80) continue
    if (bytes > block.length * EXPANSION_MAX) throw corrupt(`a block claims to hold ${bytes} bytes`)
    return bytes
  }
  throw corrupt('a block does not state its length')
}

function checkBound(bytes: number, bytesMax: number): void {
  if (bytes <= bytesMax) return
  throw new LogError('MESSAGE_TOO_LARGE', `snappy data of ${bytes} bytes, at most ${bytesMax}`)
}

const corrupt = (detail: string): LogError =>
  new LogError('CORRUPT_MESSAGE', `not snappy data: ${detail}`)
