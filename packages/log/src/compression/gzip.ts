/**
 * Gzip by node:zlib. Several members in a row are one stream, as java.util.zip reads them. The
 * output is bounded by `maxOutputLength`, which zlib holds while it inflates.
 */
import type { Zlib } from 'node:zlib'
import { LogError } from '../errors.ts'
import { chunkBytes, zlib } from './libraries.ts'

export function gzip(data: Buffer, level?: number): Buffer {
  const chunkSize = chunkBytes(data.length)
  return zlib().gzipSync(data, level === undefined ? { chunkSize } : { chunkSize, level })
}

/** @param strict whether padding behind the last member is refused, as some readers do */
export function gunzip(data: Buffer, bytesMax: number, strict: boolean): Buffer {
  const options = {
    chunkSize: chunkBytes(data.length * 4),
    maxOutputLength: Math.max(1, bytesMax),
    info: true,
  }
  // With `info` the call answers with an object; the types of Node do not know it.
  const { buffer, engine } = zlib().gunzipSync(data, options) as unknown as {
    readonly buffer: Buffer
    readonly engine: Zlib
  }
  if (strict && engine.bytesWritten !== data.length) {
    throw new LogError('CORRUPT_MESSAGE', 'bytes follow the last gzip member')
  }
  return buffer
}
