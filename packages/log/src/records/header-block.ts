/**
 * Headers as the bytes that they are within a record: for those who write or read very many.
 *
 * A writer keeps one `HeaderWriter`, puts prepared parts and single headers into it, and hands it to
 * the batch builder; a reader walks the block with one `HeaderReader`. Nothing is allocated for a
 * header. Layout of each: varint length, name, varint length (-1: null), value.
 */
import { VARINT_BYTES_MAX, writeVarint } from './varint.ts'

const BYTES_INITIAL = 1024
const UTF8_BYTES_PER_UNIT = 3
/** Up to this length text is written by a loop, which then beats the call into native code. */
const TEXT_LOOP_LENGTH = 40

/** Encoded headers: the bytes and how many there are. */
export type HeaderBlock = { readonly bytes: Buffer; readonly count: number }

/** A header's name, encoded once. */
export function headerName(name: string): Buffer {
  const text = Buffer.from(name)
  const encoded = Buffer.alloc(VARINT_BYTES_MAX + text.length)
  const at = writeVarint(encoded, 0, text.length)
  text.copy(encoded, at)
  return encoded.subarray(0, at + text.length)
}

/** Collects the headers of one record after the other, always in the same buffer. */
export class HeaderWriter implements HeaderBlock {
  #buffer: Buffer = Buffer.allocUnsafeSlow(BYTES_INITIAL)
  #end = 0
  #count = 0

  /** A view of the headers so far, good until the next change. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#end)
  }

  get count(): number {
    return this.#count
  }

  /** Forgets the headers so far. */
  reset(): void {
    this.#end = 0
    this.#count = 0
  }

  /** Adds headers that were encoded before. */
  block(block: HeaderBlock): void {
    this.#room(block.bytes.length)
    this.#buffer.set(block.bytes, this.#end)
    this.#end += block.bytes.length
    this.#count += block.count
  }

  /** Adds one header. @param name of {@link headerName} */
  text(name: Buffer, value: string): void {
    const { length } = value
    this.#room(name.length + VARINT_BYTES_MAX + length * UTF8_BYTES_PER_UNIT)
    const b = this.#buffer
    b.set(name, this.#end)
    const at = this.#end + name.length
    this.#count += 1
    if (length <= TEXT_LOOP_LENGTH) {
      let i = 0
      for (; i < length; i++) {
        const unit = value.charCodeAt(i)
        if (unit >= 0x80) break
        b[at + 1 + i] = unit
      }
      if (i === length) {
        b[at] = length << 1
        this.#end = at + 1 + length
        return
      }
    }
    const begin = writeVarint(b, at, Buffer.byteLength(value))
    this.#end = begin + b.write(value, begin)
  }

  /** A copy that stands for itself. */
  copy(): HeaderBlock {
    return { bytes: Buffer.from(this.bytes), count: this.#count }
  }

  #room(bytes: number): void {
    if (this.#end + bytes <= this.#buffer.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#end + bytes, this.#buffer.length * 2))
    this.#buffer.copy(grown, 0, 0, this.#end)
    this.#buffer = grown
  }
}

/** Walks headers that lie whole in a buffer: those that a record cursor has walked over. */
export class HeaderReader {
  nameAt = 0
  nameLength = 0
  valueAt = 0
  /** -1: null. */
  valueLength = -1
  bytes: Buffer
  #at: number
  #left: number

  constructor(bytes: Buffer, at: number, count: number) {
    this.bytes = bytes
    this.#at = at
    this.#left = count
  }

  /** Where the next header begins, or the block ends. */
  get position(): number {
    return this.#at
  }

  /** Begins anew, elsewhere. */
  reset(bytes: Buffer, at: number, count: number): void {
    this.bytes = bytes
    this.#at = at
    this.#left = count
  }

  /** Goes to the next header; false behind the last. */
  advance(): boolean {
    if (this.#left <= 0) return false
    this.#left -= 1
    this.nameLength = this.#length()
    this.nameAt = this.#at
    this.#at += this.nameLength
    this.valueLength = this.#length()
    this.valueAt = this.#at
    if (this.valueLength > 0) this.#at += this.valueLength
    return true
  }

  get name(): string {
    return this.bytes.toString('latin1', this.nameAt, this.nameAt + this.nameLength)
  }

  /** The value as text; empty where it is null. */
  get text(): string {
    if (this.valueLength <= 0) return ''
    return this.bytes.toString('utf8', this.valueAt, this.valueAt + this.valueLength)
  }

  #length(): number {
    let zigzag = 0
    for (let shift = 0; ; shift += 7) {
      const byte = this.bytes[this.#at++] ?? 0
      zigzag |= (byte & 0x7f) << shift
      if (byte < 0x80) return (zigzag >>> 1) ^ -(zigzag & 1)
    }
  }
}
