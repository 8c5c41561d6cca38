/**
 * What a checkpoint knows a segment by: checksums of its batches' headers. A header names offset,
 * leader epoch, and the checksum of all that follows, so a few bytes a batch cover everything, and
 * another file under the segment's name, a whole and valid one too, is found out.
 *
 * - `all`: of all headers, one after another.
 * - `first`, `last`: of one header each. Where a part is damaged they tell whose file it is.
 */
import { BATCH_HEADER_BYTES } from '@millrace/log'
import { crc32c } from '@node-rs/crc32'

/** The checksums, as a checkpoint keeps them. */
export type HeaderSumsRecord = readonly [all: number, first: number, last: number]

/** Checksums that grow with a segment. */
export class HeaderSums {
  #sums: HeaderSumsRecord | undefined

  /** @param known of the batches so far; undefined where nobody has noted them */
  constructor(known: HeaderSumsRecord | undefined) {
    this.#sums = known
  }

  /** Adds the batch at `at`. */
  add(buffer: Buffer, at = 0): void {
    if (this.#sums === undefined) return
    const [all, first] = this.#sums
    const header = buffer.subarray(at, at + BATCH_HEADER_BYTES)
    const sum = headerSum(header)
    this.#sums = [crc32c(header, all), first === 0 ? sum : first, sum]
  }

  /** Undefined where they do not reach back to the segment's start. */
  get record(): HeaderSumsRecord | undefined {
    return this.#sums
  }
}

/** The checksums of no batches. */
export const NO_HEADERS: HeaderSumsRecord = [0, 0, 0]

/** The checksum of one header. */
export const headerSum = (header: Buffer): number => crc32c(header)
