/**
 * Walks the records of a decompressed batch that comes in chunks of any size, for who only wants to
 * know where and when each is: keys and values are passed over, nothing is kept but the head of a
 * record that a chunk has cut. Offsets may be missing, as compaction leaves them.
 */
import { LogError } from '../errors.ts'
import { VARINT_BYTES_MAX, VARLONG_BYTES_MAX } from './varint.ts'

/** Most bytes of the head of a record: length, attributes, two deltas. */
const HEAD_BYTES_MAX = VARINT_BYTES_MAX + 1 + VARLONG_BYTES_MAX + VARINT_BYTES_MAX
const NO_BYTES = Buffer.alloc(0)

/** Told of each record; true ends the walk. */
export type OnPlace = (offsetDelta: number, timestampDelta: number) => boolean

/** The walk over one batch. */
export class PlaceWalker {
  readonly #onPlace: OnPlace
  /** The head of a record as far as it has come. */
  #head: Buffer = NO_BYTES
  /** Bytes of the record before that are still to be passed over. */
  #skip = 0
  #at = 0

  constructor(onPlace: OnPlace) {
    this.#onPlace = onPlace
  }

  /** Takes the next bytes; true once `onPlace` has ended the walk. Throws CORRUPT_MESSAGE. */
  feed(chunk: Buffer): boolean {
    const passed = Math.min(this.#skip, chunk.length)
    this.#skip -= passed
    let bytes = passed === 0 ? chunk : chunk.subarray(passed)
    if (this.#head.length > 0) bytes = Buffer.concat([this.#head, bytes])
    this.#head = NO_BYTES
    for (let at = 0; at < bytes.length; ) {
      // A head that may be cut waits for more; what follows the last record is less than one.
      const whole = bytes.length - at >= HEAD_BYTES_MAX || this.#isWhole(bytes, at)
      if (!whole) {
        this.#head = Buffer.from(bytes.subarray(at))
        return false
      }
      this.#at = at
      const length = this.#number(bytes)
      const begin = this.#at
      this.#at += 1
      const timestampDelta = this.#number(bytes)
      const offsetDelta = this.#number(bytes)
      const end = begin + length
      if (end < this.#at) throw corrupt(`a record claims ${length} bytes`)
      if (this.#onPlace(offsetDelta, timestampDelta)) return true
      this.#skip = Math.max(0, end - bytes.length)
      at = end
    }
    return false
  }

  /** Whether the head that begins here ends within the bytes. */
  #isWhole(bytes: Buffer, from: number): boolean {
    let numbers = 0
    for (let at = from; at < bytes.length; at += 1) {
      if (numbers === 1) {
        // The attributes.
        numbers = 2
        continue
      }
      if ((bytes[at] ?? 0) < 0x80) numbers += 1
      if (numbers === 4) return true
    }
    return false
  }

  /** A zigzag number of any width; what a number cannot hold is no record's. */
  #number(bytes: Buffer): number {
    let value = 0
    let unit = 1
    for (let count = 0; count < VARLONG_BYTES_MAX; count += 1) {
      const byte = bytes[this.#at] ?? 0
      this.#at += 1
      value += (byte & 0x7f) * unit
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) break
        return value % 2 === 0 ? value / 2 : -(value + 1) / 2
      }
      unit *= 0x80
    }
    throw corrupt('a number is too large')
  }
}

const corrupt = (detail: string): LogError =>
  new LogError('CORRUPT_MESSAGE', `the records of the batch: ${detail}`)
