/**
 * Gzip by node:zlib. Several members in a row are one stream, as java.util.zip reads them. The
 * output is bounded by `maxOutputLength`, which zlib holds while it inflates.
 */
import { chunkBytes, zlib } from './libraries.ts'

export function gzip(data: Buffer, level?: number): Buffer {
  const chunkSize = chunkBytes(data.length)
  return zlib().gzipSync(data, level === undefined ? { chunkSize } : { chunkSize, level })
}

export function gunzip(data: Buffer, bytesMax: number): Buffer {
  return zlib().gunzipSync(data, {
    chunkSize: chunkBytes(data.length * 4),
    maxOutputLength: Math.max(1, bytesMax),
  })
}
