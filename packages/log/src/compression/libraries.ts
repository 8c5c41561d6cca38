/**
 * Where the compression libraries come from: each is loaded at its first use, and synchronously, so
 * that a program that meets no snappy batch never loads snappy, and a call never becomes a promise.
 */
import { createRequire } from 'node:module'
import type * as Zlib from 'node:zlib'
import { LogError } from '../errors.ts'

/** What is used of the package snappy: raw blocks without framing. */
export type SnappyLibrary = {
  compressSync(data: Buffer): Buffer
  uncompressSync(data: Buffer): Buffer
  uncompress(data: Buffer): Promise<Buffer>
}

/** What is used of the package lz4-napi: whole LZ4 frames, and blocks behind their size (uint32). */
export type Lz4Library = {
  compressFrameSync(data: Buffer): Buffer
  decompressFrameSync(data: Buffer): Buffer
  uncompress(data: Buffer): Promise<Buffer>
}

const require = createRequire(import.meta.url)

let snappyLibrary: SnappyLibrary | undefined
let lz4Library: Lz4Library | undefined
let zlibLibrary: typeof Zlib | undefined

/**
 * Loads a library. One that is not there says nothing of the bytes that it should open, which may be
 * good: UNKNOWN_SERVER_ERROR, never CORRUPT_MESSAGE.
 *
 * @param from loads it; another one in tests
 */
export function load<Library>(name: string, from: (name: string) => unknown = require): Library {
  try {
    return from(name) as Library
  } catch (cause) {
    throw new LogError(
      'UNKNOWN_SERVER_ERROR',
      `the library ${name} cannot be loaded: install the packages for this platform`,
      cause,
    )
  }
}

export const snappy = (): SnappyLibrary => {
  snappyLibrary ??= load<SnappyLibrary>('snappy')
  return snappyLibrary
}

export const lz4 = (): Lz4Library => {
  lz4Library ??= load<Lz4Library>('lz4-napi')
  return lz4Library
}

export const zlib = (): typeof Zlib => {
  zlibLibrary ??= load<typeof Zlib>('node:zlib')
  return zlibLibrary
}

const CHUNK_BYTES_MIN = 16 * 1024
const CHUNK_BYTES_MAX = 256 * 1024

/** Size of the pieces in which zlib writes `bytes` of output: few for large, small for small. */
export const chunkBytes = (bytes: number): number =>
  Math.min(Math.max(bytes, CHUNK_BYTES_MIN), CHUNK_BYTES_MAX)
