/**
 * Writes the protocol's primitives into a growing buffer.
 *
 * Bytes of at least {@link COPY_BELOW_BYTES} and everything that lies elsewhere (`External`) are not
 * copied: the buffer is cut there, and the frame becomes a list of pieces in order. A value that
 * its field cannot carry throws VALUE_OUT_OF_RANGE; nothing is wrapped or rounded.
 */
import { ProtocolError } from '../errors.ts'
import type { External, Frame } from './types.ts'

/** Bytes shorter than this are copied into the frame: one more piece costs more than the copy. */
export const COPY_BELOW_BYTES = 1024

const FRAME_BYTES_MAX = 0x7fff_ffff
const TWO_TO_32 = 4_294_967_296
const UUID_BYTES = 16
const UUID_CHARACTERS = 22
const SIZE_BYTES = 4
/** Up to this many characters a loop over ASCII beats two calls into the string encoder. */
const SHORT_STRING_CHARACTERS = 24

/** Frame size prefix, or none for the inside of a tagged field. */
export type WriterOptions = { readonly sizePrefix: boolean; readonly initialBytes: number }

/** A growing list of pieces, the last of which is being written. */
export class Writer {
  #buffer: Buffer
  /** Where in `#buffer` the piece begins that is being written. */
  #start = 0
  #at: number
  #pieces: (Buffer | External)[] = []
  #bytesBefore = 0
  #written = 0
  readonly #sizePrefix: boolean

  constructor(options: WriterOptions) {
    this.#buffer = Buffer.allocUnsafe(options.initialBytes)
    this.#sizePrefix = options.sizePrefix
    this.#at = options.sizePrefix ? SIZE_BYTES : 0
  }

  /** Makes room for `count` bytes and returns where they go. */
  #take(count: number): number {
    const at = this.#at
    if (at + count > this.#buffer.length) return this.#grow(count)
    this.#at = at + count
    return at
  }

  #grow(count: number): number {
    const used = this.#at - this.#start
    const grown = Buffer.allocUnsafe(Math.max(2 * used, 256) + count)
    this.#buffer.copy(grown, 0, this.#start, this.#at)
    this.#buffer = grown
    this.#start = 0
    this.#at = used + count
    return used
  }

  bool(value: boolean): void {
    const at = this.#take(1)
    this.#buffer[at] = value ? 1 : 0
  }

  i8(value: number): void {
    if ((value << 24) >> 24 !== value) outOfRange('i8', value)
    const at = this.#take(1)
    this.#buffer[at] = value
  }

  i16(value: number): void {
    if ((value << 16) >> 16 !== value) outOfRange('i16', value)
    const at = this.#take(2)
    const buffer = this.#buffer
    buffer[at] = value >> 8
    buffer[at + 1] = value
  }

  u16(value: number): void {
    if ((value & 0xffff) !== value) outOfRange('u16', value)
    this.i16((value << 16) >> 16)
  }

  i32(value: number): void {
    if ((value | 0) !== value) outOfRange('i32', value)
    this.#u32(value)
  }

  #u32(value: number): void {
    const at = this.#take(4)
    const buffer = this.#buffer
    buffer[at] = value >> 24
    buffer[at + 1] = value >> 16
    buffer[at + 2] = value >> 8
    buffer[at + 3] = value
  }

  i64(value: number): void {
    if (!Number.isSafeInteger(value)) outOfRange('i64', value)
    // Dividing by a power of two is exact, so floor gives the upper half of two's complement.
    this.#u32(Math.floor(value / TWO_TO_32) | 0)
    this.#u32(value | 0)
  }

  /** An unsigned variable-length integer of at most 32 bits. */
  uvarint(value: number): void {
    if (value < 0x80 && value >= 0) {
      const at = this.#take(1)
      this.#buffer[at] = value
      return
    }
    if (value >>> 0 !== value) outOfRange('uvarint', value)
    let rest = value
    while (rest >= 0x80) {
      const at = this.#take(1)
      this.#buffer[at] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    const at = this.#take(1)
    this.#buffer[at] = rest
  }

  uuid(value: string): void {
    if (value.length !== UUID_CHARACTERS) outOfRange('uuid', value)
    const at = this.#take(UUID_BYTES)
    const written = this.#buffer.write(value, at, UUID_BYTES, 'base64url')
    if (written !== UUID_BYTES) outOfRange('uuid', value)
  }

  /** A string behind its 16-bit length. */
  string16(value: string): void {
    const length = value.length
    if (length <= SHORT_STRING_CHARACTERS) {
      const at = this.#take(2 + length)
      if (this.#ascii(value, at + 2)) {
        this.#buffer[at] = 0
        this.#buffer[at + 1] = length
        return
      }
      this.#at = at
    }
    const bytes = Buffer.byteLength(value, 'utf8')
    if (bytes > 0x7fff) outOfRange('str', `a string of ${bytes} bytes`)
    this.i16(bytes)
    this.#utf8(value, bytes)
  }

  /** A string behind its compact length. */
  compactString(value: string): void {
    const length = value.length
    if (length <= SHORT_STRING_CHARACTERS) {
      const at = this.#take(1 + length)
      if (this.#ascii(value, at + 1)) {
        this.#buffer[at] = length + 1
        return
      }
      this.#at = at
    }
    const bytes = Buffer.byteLength(value, 'utf8')
    if (bytes > 0x7fff) outOfRange('str', `a string of ${bytes} bytes`)
    this.uvarint(bytes + 1)
    this.#utf8(value, bytes)
  }

  #ascii(value: string, at: number): boolean {
    const buffer = this.#buffer
    for (let index = 0; index < value.length; index += 1) {
      const code = value.charCodeAt(index)
      if (code > 0x7f) return false
      buffer[at + index] = code
    }
    return true
  }

  #utf8(value: string, bytes: number): void {
    const at = this.#take(bytes)
    this.#buffer.write(value, at, bytes, 'utf8')
  }

  /** Bytes without their length: copied when short, else a piece of their own. */
  bytes(value: Buffer | External): void {
    if (value.byteLength === 0) return
    if (!Number.isSafeInteger(value.byteLength) || value.byteLength < 0) {
      outOfRange('records', `${value.byteLength} bytes`)
    }
    if (Buffer.isBuffer(value) && value.length < COPY_BELOW_BYTES) {
      const at = this.#take(value.length)
      value.copy(this.#buffer, at)
      return
    }
    this.#cut()
    this.#pieces.push(value)
    this.#bytesBefore += value.byteLength
  }

  /** Ends the piece that is being written. */
  #cut(): void {
    if (this.#at === this.#start) return
    this.#pieces.push(this.#buffer.subarray(this.#start, this.#at))
    this.#bytesBefore += this.#at - this.#start
    this.#written += this.#at - this.#start
    this.#start = this.#at
  }

  /** Bytes written into buffers of this writer's own, pieces that were not copied left out. */
  get written(): number {
    return this.#written + this.#at - this.#start
  }

  /** The pieces, with the size prefix filled in. The writer is used up. */
  finish(): Frame {
    this.#cut()
    const byteLength = this.#bytesBefore
    if (byteLength - SIZE_BYTES > FRAME_BYTES_MAX) {
      throw new ProtocolError('FRAME_TOO_LARGE', `${byteLength} bytes`)
    }
    const first = this.#pieces[0]
    if (this.#sizePrefix && Buffer.isBuffer(first)) {
      first.writeInt32BE(byteLength - SIZE_BYTES, 0)
    }
    return { byteLength, pieces: this.#pieces }
  }
}

function outOfRange(type: string, value: unknown): never {
  throw new ProtocolError('VALUE_OUT_OF_RANGE', `${String(value)} as ${type}`)
}
