/**
 * A checksum of each 64 KiB of a segment, kept up to date while the segment grows and compared on
 * the first read of a block that lay on the disk while nobody watched.
 */
import { crc32cBehind, crc32cJoined, wholeBatchCrc } from '@millrace/log'
import { crc32c } from '@node-rs/crc32'
import { CHECKSUM_BLOCK_BYTES } from './segment-index.ts'
import type { ReadableFile } from './small-segments.ts'

/** Checksums of batches from this size on are joined; smaller ones are summed as fast. Bytes. */
export const JOINED_BYTES_MIN = 4096

const scratch = Buffer.allocUnsafeSlow(CHECKSUM_BLOCK_BYTES)

/** The checksums of a segment's blocks; the last block may be partial. */
export class BlockChecksums {
  readonly #sums: number[]
  #bytes: number

  constructor(sums: readonly number[] = [], bytes = 0) {
    this.#sums = [...sums]
    this.#bytes = bytes
  }

  /** Bytes covered. */
  get bytes(): number {
    return this.#bytes
  }

  get sums(): readonly number[] {
    return this.#sums
  }

  /** Adds a batch at the end, by the checksum that it carries, which must be right. */
  extendByBatch(batch: Buffer): void {
    const left = CHECKSUM_BLOCK_BYTES - (this.#bytes % CHECKSUM_BLOCK_BYTES)
    const behind = batch.length - left
    if (batch.length < JOINED_BYTES_MIN || behind > CHECKSUM_BLOCK_BYTES) {
      this.extend(batch)
      return
    }
    const whole = wholeBatchCrc(batch, 0, batch.length)
    if (behind <= 0) {
      this.#add(whole, batch.length)
      return
    }
    const first = crc32c(batch.subarray(0, left))
    this.#add(first, left)
    this.#add(crc32cBehind(whole, first, behind), behind)
  }

  /** Adds what does not reach beyond the block, by its checksum. */
  #add(sum: number, bytes: number): void {
    const isNew = this.#bytes % CHECKSUM_BLOCK_BYTES === 0
    this.#sums.push(isNew ? sum : crc32cJoined(this.#sums.pop() ?? 0, sum, bytes))
    this.#bytes += bytes
  }

  /** Adds bytes at the end. */
  extend(bytes: Buffer): void {
    let at = 0
    while (at < bytes.length) {
      const within = this.#bytes % CHECKSUM_BLOCK_BYTES
      const take = Math.min(CHECKSUM_BLOCK_BYTES - within, bytes.length - at)
      const part = bytes.subarray(at, at + take)
      if (within === 0) this.#sums.push(crc32c(part))
      else this.#sums.push(crc32c(part, this.#sums.pop() ?? 0))
      this.#bytes += take
      at += take
    }
  }

  /** Computes the checksums of the first `bytes` bytes of a file. */
  static of(file: ReadableFile, bytes: number): BlockChecksums {
    const sums = new BlockChecksums()
    sums.extendFrom(file, bytes)
    return sums
  }

  /** Adds what the file holds up to byte `bytes`. */
  extendFrom(file: ReadableFile, bytes: number): void {
    while (this.#bytes < bytes) {
      const length = Math.min(scratch.length, bytes - this.#bytes)
      const read = file.read(this.#bytes, scratch.subarray(0, length))
      if (read === 0) return
      this.extend(scratch.subarray(0, read))
    }
  }

  /** Whether block `block` of the file is what it was. */
  blockIsWhole(file: ReadableFile, block: number): boolean {
    const from = block * CHECKSUM_BLOCK_BYTES
    const length = Math.min(CHECKSUM_BLOCK_BYTES, this.#bytes - from)
    const read = file.read(from, scratch.subarray(0, length))
    return read === length && crc32c(scratch.subarray(0, length)) === this.#sums[block]
  }
}
