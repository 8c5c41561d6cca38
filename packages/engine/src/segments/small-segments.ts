/**
 * Small segments live in memory: as long as a segment has few bytes, and all such together too, it has
 * no file. What it holds is durable in the journal, and from the next checkpoint on in the checkpoint
 * itself. So a partition with a few records costs no folder, no file, no descriptor and no sync.
 */
import type { DiskFile } from '../disk/disk.ts'

/** What of a file reading needs. */
export type ReadableFile = Pick<DiskFile, 'read'>

/** Bounds what small segments hold, each and together. */
export class SmallSegments {
  readonly #segmentBytesMax: number
  readonly #bytesMax: number
  #bytes = 0

  constructor(limits: { readonly segmentBytesMax: number; readonly bytesMax: number }) {
    this.#segmentBytesMax = limits.segmentBytesMax
    this.#bytesMax = limits.bytesMax
  }

  /** Bytes in memory now. */
  get bytes(): number {
    return this.#bytes
  }

  /** Takes room for a segment that grows to `bytes` by `more`; false where it needs a file. */
  take(bytes: number, more: number): boolean {
    if (bytes > this.#segmentBytesMax || this.#bytes + more > this.#bytesMax) return false
    this.#bytes += more
    return true
  }

  /** What a checkpoint holds is in memory, whatever the bounds are now. */
  mustTake(bytes: number): void {
    this.#bytes += bytes
  }

  give(bytes: number): void {
    this.#bytes -= bytes
  }
}

/** The bytes of a small segment. Bytes that are there never change. */
export class MemoryFile implements ReadableFile {
  #bytes: Buffer
  #size: number

  constructor(content: Buffer = Buffer.alloc(0)) {
    this.#bytes = content
    this.#size = content.length
  }

  get content(): Buffer {
    return this.#bytes.subarray(0, this.#size)
  }

  append(buffers: readonly Uint8Array[]): void {
    const more = buffers.reduce((sum, { length }) => sum + length, 0)
    if (this.#size + more > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#size + more, this.#size * 2))
      this.#bytes.copy(larger, 0, 0, this.#size)
      this.#bytes = larger
    }
    for (const buffer of buffers) {
      this.#bytes.set(buffer, this.#size)
      this.#size += buffer.length
    }
  }

  read(position: number, target: Uint8Array): number {
    const end = Math.min(this.#size, position + target.length)
    if (end <= position) return 0
    target.set(this.#bytes.subarray(position, end))
    return end - position
  }
}
