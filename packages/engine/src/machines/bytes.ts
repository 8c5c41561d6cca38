/**
 * Reading and writing of the primitive types in the coordinator's records: big-endian integers,
 * strings and bytes with a length before them, compact lengths and tagged fields where flexible.
 *
 * The reader never throws: past the end, or at a length that cannot be, it sets `failed` and gives
 * zeros, so that decoding stays total. Nothing is allocated on the word of a length.
 */

const EMPTY = Buffer.alloc(0)
const STRING_MAX_BYTES = 0x7fff

/** Collects fields; each call gives itself back. */
export class ByteWriter {
  readonly #parts: Buffer[] = []

  int16(value: number): this {
    const part = Buffer.allocUnsafe(2)
    part.writeInt16BE(value)
    this.#parts.push(part)
    return this
  }

  int32(value: number): this {
    const part = Buffer.allocUnsafe(4)
    part.writeInt32BE(value)
    this.#parts.push(part)
    return this
  }

  /** A safe integer as int64. */
  int64(value: number): this {
    const part = Buffer.allocUnsafe(8)
    part.writeBigInt64BE(BigInt(value))
    this.#parts.push(part)
    return this
  }

  /** Throws RangeError beyond 32,767 bytes. */
  text(value: string): this {
    const part = Buffer.from(value, 'utf8')
    if (part.length > STRING_MAX_BYTES) {
      throw new RangeError(`a string of ${part.length} bytes exceeds ${STRING_MAX_BYTES}`)
    }
    this.int16(part.length)
    this.#parts.push(part)
    return this
  }

  nullableText(value: string | null): this {
    return value === null ? this.int16(-1) : this.text(value)
  }

  bytes(value: Buffer): this {
    this.int32(value.length)
    this.#parts.push(value)
    return this
  }

  finish(): Buffer {
    return Buffer.concat(this.#parts)
  }
}

/** Reads fields in order; check `failed` at the end. */
export class ByteReader {
  /** Whether lengths are compact (unsigned varint of length + 1). */
  flexible = false
  failed = false
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  int16(): number {
    return this.#has(2) ? this.#bytes.readInt16BE(this.#at - 2) : 0
  }

  int32(): number {
    return this.#has(4) ? this.#bytes.readInt32BE(this.#at - 4) : 0
  }

  /** An int64 that must be a safe integer. */
  int64(): number {
    if (!this.#has(8)) return 0
    const value = Number(this.#bytes.readBigInt64BE(this.#at - 8))
    if (Number.isSafeInteger(value)) return value
    this.failed = true
    return 0
  }

  nullableText(): string | null {
    const length = this.flexible ? this.#varint() - 1 : this.int16()
    return length === -1 && !this.failed ? null : this.#slice(length).toString('utf8')
  }

  /** A string; null reads as "". */
  text(): string {
    return this.nullableText() ?? ''
  }

  /** Bytes, sliced; null reads as empty. */
  bytes(): Buffer {
    const length = this.flexible ? this.#varint() - 1 : this.int32()
    return length === -1 ? EMPTY : this.#slice(length)
  }

  /** Length of an array; null reads as 0. */
  count(): number {
    return Math.max(0, this.flexible ? this.#varint() - 1 : this.int32())
  }

  /** Passes over the tagged fields of a struct of a flexible version. */
  skipTags(): void {
    if (!this.flexible) return
    const count = this.#varint()
    for (let i = 0; i < count && !this.failed; i++) {
      this.#varint()
      this.#slice(this.#varint())
    }
  }

  #has(length: number): boolean {
    if (length < 0 || this.#at + length > this.#bytes.length) this.failed = true
    if (this.failed) return false
    this.#at += length
    return true
  }

  #slice(length: number): Buffer {
    return this.#has(length) ? this.#bytes.subarray(this.#at - length, this.#at) : EMPTY
  }

  #varint(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      if (!this.#has(1)) return 0
      const byte = this.#bytes[this.#at - 1] ?? 0
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    this.failed = true
    return 0
  }
}
