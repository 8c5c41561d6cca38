/**
 * What a checkpoint knows a segment by: checksums of its batches' headers. A header names offset,
 * leader epoch, and the checksum of all that follows, so a few bytes a batch cover everything, and
 * another file under the segment's name, a whole and valid one too, is found out.
 *
 * - `all`: of all headers, one after another.
 * - `first`, `last`: of one header each. Where a part is damaged they tell whose file it is.
 */
import { BATCH_HEADER_BYTES, crc32cOf } from '@millrace/log'
import { nextBatchAt } from './batch-run.ts'

/** The checksums, as a checkpoint keeps them. */
export type HeaderSumsRecord = readonly [all: number, first: number, last: number]

/** Checksums that grow with a segment. */
export class HeaderSums {
  readonly #isKnown: boolean
  #all: number
  #first: number
  #last: number

  /** @param known of the batches so far; undefined where nobody has noted them */
  constructor(known: HeaderSumsRecord | undefined) {
    this.#isKnown = known !== undefined
    ;[this.#all, this.#first, this.#last] = known ?? NO_HEADERS
  }

  /** Adds the batch at `at`. */
  add(buffer: Buffer, at = 0): void {
    if (!this.#isKnown) return
    this.#pass(buffer, at)
    this.#last = sumAt(buffer, at)
  }

  /** Adds the batches of a run. */
  addRun(run: Buffer): void {
    if (!this.#isKnown) return
    let last = 0
    for (let at = 0; at < run.length; at = nextBatchAt(run, at)) {
      this.#pass(run, at)
      last = at
    }
    this.#last = sumAt(run, last)
  }

  #pass(buffer: Buffer, at: number): void {
    this.#all = sumAt(buffer, at, this.#all)
    if (this.#first === 0) this.#first = sumAt(buffer, at)
  }

  /** Undefined where they do not reach back to the segment's start. */
  get record(): HeaderSumsRecord | undefined {
    return this.#isKnown ? [this.#all, this.#first, this.#last] : undefined
  }
}

/** The checksums of no batches. */
export const NO_HEADERS: HeaderSumsRecord = [0, 0, 0]

/** The checksum of one header. */
export const headerSum = (header: Buffer): number => crc32cOf(header, 0, header.length)

const sumAt = (buffer: Buffer, at: number, before = 0): number =>
  crc32cOf(buffer, at, at + BATCH_HEADER_BYTES, before)
