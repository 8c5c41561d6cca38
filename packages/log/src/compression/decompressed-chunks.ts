/**
 * What a batch decompresses to, piece by piece, for those who look at it and keep nothing: gzip and
 * zstd through the platform's streams, LZ4 and snappy block by block. The work is done by the
 * platform's threads, and only one piece at a time is there; a raw snappy block, which has no smaller
 * parts, is one piece.
 *
 * Stricter than `decompress`: what some reader of another make cannot read is CORRUPT_MESSAGE. More
 * output than the bound is MESSAGE_TOO_LARGE, before memory is taken for it.
 */
import type { Transform } from 'node:stream'
import type { Gunzip, ZlibOptions, ZstdOptions } from 'node:zlib'
import { LogError } from '../errors.ts'
import { type Compression, decompressionError, outputBound } from './compression.ts'
import { lz4, snappy, zlib } from './libraries.ts'
import { lz4Blocks, lz4Frame, refuseLinked } from './lz4.ts'
import { snappyBlocks } from './snappy.ts'
import { XxHash32, xxHash32 } from './xxhash32.ts'
import { zstdBytes, zstdFrames } from './zstd.ts'

const CHUNK_BYTES = 256 * 1024
const SIZE_BYTES = 4

/**
 * The pieces of `data`, decompressed.
 *
 * @throws LogError CORRUPT_MESSAGE, MESSAGE_TOO_LARGE, while iterating
 */
export async function* decompressedChunks(
  codec: Compression,
  data: Buffer,
  bytesMax: number,
): AsyncGenerator<Buffer, void> {
  let bytes = 0
  try {
    for await (const chunk of chunksOf(codec, data, bytesMax)) {
      bytes += chunk.length
      if (bytes > bytesMax) throw outputBound(bytesMax)
      yield chunk
    }
  } catch (error) {
    throw decompressionError(codec, bytesMax, error)
  }
}

function chunksOf(
  codec: Compression,
  data: Buffer,
  bytesMax: number,
): AsyncIterable<Buffer> | Iterable<Buffer> {
  switch (codec) {
    case 'none':
      return [data]
    case 'gzip':
      return gzipChunks(data)
    case 'zstd':
      return zstdChunks(data, bytesMax)
    case 'lz4':
      return lz4Chunks(data, bytesMax)
    case 'snappy':
      return snappyChunks(data, bytesMax)
  }
}

const OPTIONS: ZlibOptions & ZstdOptions = { chunkSize: CHUNK_BYTES }

async function* gzipChunks(data: Buffer): AsyncGenerator<Buffer, void> {
  const stream: Gunzip = zlib().createGunzip(OPTIONS)
  yield* piped(stream, data)
  if (stream.bytesWritten !== data.length) {
    throw new LogError('CORRUPT_MESSAGE', 'bytes follow the last gzip member')
  }
}

async function* zstdChunks(data: Buffer, bytesMax: number): AsyncGenerator<Buffer, void> {
  for (const frame of zstdFrames(data)) {
    if (zstdBytes(frame) > bytesMax) throw outputBound(bytesMax)
    yield* piped(zlib().createZstdDecompress(OPTIONS), frame)
  }
}

async function* piped(stream: Transform, data: Buffer): AsyncGenerator<Buffer, void> {
  stream.end(data)
  yield* stream as AsyncIterable<Buffer>
}

async function* lz4Chunks(data: Buffer, bytesMax: number): AsyncGenerator<Buffer, void> {
  const frame = lz4Frame(data, bytesMax)
  refuseLinked(frame)
  if (((xxHash32(frame.descriptor) >>> 8) & 0xff) !== frame.descriptorChecksum) {
    throw corrupt('the checksum of its header is wrong')
  }
  const content = frame.contentChecksum ? new XxHash32() : undefined
  for (const { at, bytes, stored } of lz4Blocks(data, frame)) {
    const block = data.subarray(at, at + bytes)
    if (frame.blockChecksums && xxHash32(block) !== data.readUInt32LE(at + bytes)) {
      throw corrupt('the checksum of a block is wrong')
    }
    const output = stored ? block : await lz4Block(block, frame.blockBytesMax)
    content?.update(output)
    yield output
  }
  if (content !== undefined && content.digest() !== data.readUInt32LE(data.length - 4)) {
    throw corrupt('the checksum of its content is wrong')
  }
}

/** Decompresses one block, which does not say how much it holds: at most `bytesMax`. */
async function lz4Block(block: Buffer, bytesMax: number): Promise<Buffer> {
  const sized = Buffer.allocUnsafe(SIZE_BYTES + block.length)
  sized.writeUInt32LE(bytesMax)
  block.copy(sized, SIZE_BYTES)
  return lz4().uncompress(sized)
}

async function* snappyChunks(data: Buffer, bytesMax: number): AsyncGenerator<Buffer, void> {
  for (const block of snappyBlocks(data, bytesMax)) yield await snappy().uncompress(block)
}

const corrupt = (detail: string): LogError =>
  new LogError('CORRUPT_MESSAGE', `not an LZ4 frame: ${detail}`)
