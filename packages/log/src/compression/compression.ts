/**
 * The four compressions of record batches (gzip, snappy, lz4, zstd) behind two calls.
 *
 * Calls are synchronous: a batch is compressed or opened where it is needed. The libraries load on
 * first use. What comes out of `decompress` is bounded before memory is taken for it: gzip and zstd
 * count while they inflate, snappy and lz4 are measured from their headers first. Malformed input
 * is always CORRUPT_MESSAGE, too much output always MESSAGE_TOO_LARGE. What says nothing of the input is
 * neither: a library that cannot be loaded is UNKNOWN_SERVER_ERROR, memory that is lacking is
 * KAFKA_STORAGE_ERROR, which may pass.
 */
import { LogError } from '../errors.ts'
import { gunzip, gzip } from './gzip.ts'
import { compressLz4, decompressLz4 } from './lz4.ts'
import { compressSnappy, decompressSnappy } from './snappy.ts'
import { compressZstd, decompressZstd } from './zstd.ts'

/** The name of a compression, as in Kafka's `compression.type`. */
export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'

/** All compressions; the place in the list is the number in a batch's attributes. */
export const COMPRESSIONS: readonly Compression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

/** Most bytes that one batch may decompress to where the caller names no bound: 128 MiB. */
export const DECOMPRESSED_BYTES_MAX: number = 128 * 1024 * 1024

/** The compression of a number in a batch's attributes. Throws UNSUPPORTED_COMPRESSION_TYPE. */
export function compressionNamed(id: number): Compression {
  const name = COMPRESSIONS[id]
  if (name === undefined) {
    throw new LogError('UNSUPPORTED_COMPRESSION_TYPE', `codec ${id} is not one of 0 to 4`)
  }
  return name
}

/**
 * Compresses bytes; with "none" the same buffer comes back.
 *
 * @param level of gzip (1 to 9) or zstd (1 to 22); the others have none and ignore it
 */
export function compress(codec: Compression, data: Buffer, level?: number): Buffer {
  switch (codec) {
    case 'none':
      return data
    case 'gzip':
      return gzip(data, level)
    case 'snappy':
      return compressSnappy(data)
    case 'lz4':
      return compressLz4(data)
    case 'zstd':
      return compressZstd(data, level)
  }
}

/**
 * Decompresses bytes; with "none" the same buffer comes back.
 *
 * @param bytesMax bound of the result; one byte more throws MESSAGE_TOO_LARGE
 * @param strict whether what some reader of another make cannot read is refused: linked LZ4 blocks,
 *   padding behind gzip
 * @throws LogError CORRUPT_MESSAGE where the bytes are not what the codec writes; UNKNOWN_SERVER_ERROR
 *   and KAFKA_STORAGE_ERROR where nothing is known of them
 */
export function decompress(
  codec: Compression,
  data: Buffer,
  bytesMax: number = DECOMPRESSED_BYTES_MAX,
  strict = false,
): Buffer {
  switch (codec) {
    case 'none':
      if (data.length > bytesMax) throw outputBound(bytesMax)
      return data
    case 'gzip':
      return guarded(codec, bytesMax, () => gunzip(data, bytesMax, strict))
    case 'snappy':
      return guarded(codec, bytesMax, () => decompressSnappy(data, bytesMax))
    case 'lz4':
      return guarded(codec, bytesMax, () => decompressLz4(data, bytesMax, strict))
    case 'zstd':
      return guarded(codec, bytesMax, () => decompressZstd(data, bytesMax))
  }
}

/** Turns whatever a library throws into an error of the list, and holds the bound once more. */
function guarded(codec: Compression, bytesMax: number, run: () => Buffer): Buffer {
  let result: Buffer
  try {
    result = run()
  } catch (error) {
    throw decompressionError(codec, bytesMax, error)
  }
  if (result.length > bytesMax) throw outputBound(bytesMax)
  return result
}

/** What a library has thrown, as an error that callers know. */
export function decompressionError(codec: Compression, bytesMax: number, error: unknown): LogError {
  if (error instanceof LogError) return error
  if (isOutputBound(error)) return outputBound(bytesMax)
  if (isShortOfMemory(error)) {
    const why = `there is no memory to decompress the ${codec} data`
    return new LogError('KAFKA_STORAGE_ERROR', why, error)
  }
  return new LogError('CORRUPT_MESSAGE', `the ${codec} data cannot be decompressed`, error)
}

const isOutputBound = (error: unknown): boolean =>
  error instanceof Error && (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'

/** How V8, Node, zlib and zstd say that memory is lacking. */
const OUT_OF_MEMORY: ReadonlySet<string | undefined> = new Set([
  'ERR_MEMORY_ALLOCATION_FAILED',
  'Z_MEM_ERROR',
  'ZSTD_error_memory_allocation',
])

const isShortOfMemory = (error: unknown): boolean =>
  error instanceof Error &&
  (OUT_OF_MEMORY.has((error as NodeJS.ErrnoException).code) ||
    (error instanceof RangeError && error.message.includes('allocation failed')))

/** The refusal of what decompresses to more than a bound. */
export const outputBound = (bytesMax: number): LogError =>
  new LogError('MESSAGE_TOO_LARGE', `the records decompress to more than ${bytesMax} bytes`)
