/**
 * Reads the protocol's primitives from one frame, from front to back.
 *
 * Nothing is read past the end and nothing is allocated on the word of the peer: a count is
 * compared with the bytes that are left before the first element is made, and one message may hold
 * so many elements over all its arrays, so many bytes of text ({@link MessageLimits}), and
 * {@link UNKNOWN_TAGS_MAX} unknown tagged fields. Every fault is a `ProtocolError`. Bytes are returned
 * as views into the frame.
 */
import { ProtocolError } from '../errors.ts'
import { ZERO_UUID } from './types.ts'

/** What one message may hold. */
export type MessageLimits = {
  /** Array elements, over all its arrays. */
  readonly elements: number
  /** Bytes of all its strings together. */
  readonly textBytes: number
}

/**
 * What a request may hold, unless a server says otherwise: so much is read within a turn of the event
 * loop that nobody notices, and is enough to speak of 20,000 partitions in as many topics.
 */
export const REQUEST_LIMITS: MessageLimits = { elements: 50_000, textBytes: 4 * 1024 * 1024 }

/** What a response may hold: a client asks for it, and reads one at a time. */
export const RESPONSE_LIMITS: MessageLimits = {
  elements: 1_000_000,
  textBytes: Number.POSITIVE_INFINITY,
}

/** Bytes of one string, in every encoding of its length, as in Apache Kafka. */
export const STRING_BYTES_MAX = 0x7fff

/** Unknown tagged fields in one message; also the most fields in one tag section. */
export const UNKNOWN_TAGS_MAX = 10_000

const TWO_TO_32 = 4_294_967_296
const UUID_BYTES = 16
/** Below this length a loop over ASCII bytes beats the call into the string decoder. */
const SHORT_STRING_BYTES = 8

/** A position in a frame and what of the message's limits is used up. */
export class Reader {
  readonly #buffer: Buffer
  readonly #end: number
  #at: number
  readonly #limits: MessageLimits
  #elementsLeft: number
  #textBytesLeft: number
  #unknownTagsLeft = UNKNOWN_TAGS_MAX

  /** @param at where in `buffer` to begin */
  constructor(buffer: Buffer, at = 0, limits: MessageLimits = RESPONSE_LIMITS) {
    this.#limits = limits
    this.#elementsLeft = limits.elements
    this.#textBytesLeft = limits.textBytes
    this.#buffer = buffer
    this.#end = buffer.length
    this.#at = at
    if (at > this.#end) throw new ProtocolError('TRUNCATED', `at byte ${at} of ${this.#end}`)
  }

  /** The position of the next byte. */
  get at(): number {
    return this.#at
  }

  /** Bytes that are left. */
  get remaining(): number {
    return this.#end - this.#at
  }

  /** Moves over `count` bytes and returns where they begin. */
  #take(count: number): number {
    const at = this.#at
    if (count > this.#end - at) {
      throw new ProtocolError('TRUNCATED', `${count} bytes wanted at byte ${at} of ${this.#end}`)
    }
    this.#at = at + count
    return at
  }

  bool(): boolean {
    return this.i8() !== 0
  }

  i8(): number {
    const at = this.#take(1)
    return ((this.#buffer[at] ?? 0) << 24) >> 24
  }

  i16(): number {
    const at = this.#take(2)
    const buffer = this.#buffer
    return (((buffer[at] ?? 0) << 24) >> 16) | (buffer[at + 1] ?? 0)
  }

  u16(): number {
    return this.i16() & 0xffff
  }

  i32(): number {
    const at = this.#take(4)
    const buffer = this.#buffer
    return (
      ((buffer[at] ?? 0) << 24) |
      ((buffer[at + 1] ?? 0) << 16) |
      ((buffer[at + 2] ?? 0) << 8) |
      (buffer[at + 3] ?? 0)
    )
  }

  /**
   * A 64-bit integer as a number. What lies beyond 2^53 - 1 becomes the nearest number that a double
   * holds exactly: as an offset it is as far out of range as what was sent, as a time as far away, as
   * an id as unknown. So it gets an answer like any other value, and is never rounded to a neighbour
   * that means something.
   */
  i64(): number {
    const high = this.i32()
    const value = high * TWO_TO_32 + (this.i32() >>> 0)
    if (value > Number.MAX_SAFE_INTEGER) return Number.MAX_SAFE_INTEGER
    return value < Number.MIN_SAFE_INTEGER ? Number.MIN_SAFE_INTEGER : value
  }

  /** An unsigned variable-length integer of at most 32 bits. */
  uvarint(): number {
    const buffer = this.#buffer
    const first = buffer[this.#take(1)] ?? 0
    if (first < 0x80) return first
    let value = first & 0x7f
    for (let shift = 7; shift < 28; shift += 7) {
      const byte = buffer[this.#take(1)] ?? 0
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    const last = buffer[this.#take(1)] ?? 0
    if (last > 0x0f) throw new ProtocolError('BAD_VARINT', `at byte ${this.#at - 5}`)
    return value + last * 0x1000_0000
  }

  uuid(): string {
    const at = this.#take(UUID_BYTES)
    const text = this.#buffer.toString('base64url', at, at + UUID_BYTES)
    return text === ZERO_UUID ? ZERO_UUID : text
  }

  /** Length of a string, bytes or array in front of it: null is -1. */
  length16(): number {
    return this.#checkedLength(this.i16())
  }

  /** Length of bytes or an array in front of it: null is -1. */
  length32(): number {
    return this.#checkedLength(this.i32())
  }

  /** Length of a compact string, bytes or array in front of it: null is -1. */
  compactLength(): number {
    return this.uvarint() - 1
  }

  #checkedLength(length: number): number {
    if (length < -1) throw new ProtocolError('BAD_LENGTH', `${length} before byte ${this.#at}`)
    return length
  }

  /** UTF-8 text of `length` bytes; ill-formed sequences become U+FFFD. */
  text(length: number): string {
    if (length === 0) return ''
    if (length > STRING_BYTES_MAX) {
      throw new ProtocolError('BAD_LENGTH', `a string of ${length} bytes before byte ${this.#at}`)
    }
    const at = this.#take(length)
    this.#textBytesLeft -= length
    if (this.#textBytesLeft < 0) {
      const { textBytes } = this.#limits
      throw new ProtocolError('COUNT_EXCEEDS_LIMIT', `more than ${textBytes} bytes of text`)
    }
    const buffer = this.#buffer
    if (length > SHORT_STRING_BYTES) return buffer.toString('utf8', at, at + length)
    let text = ''
    for (let index = at; index < at + length; index += 1) {
      const byte = buffer[index] ?? 0
      if (byte > 0x7f) return buffer.toString('utf8', at, at + length)
      text += String.fromCharCode(byte)
    }
    return text
  }

  /** A view of the next `length` bytes. */
  view(length: number): Buffer {
    const at = this.#take(length)
    return this.#buffer.subarray(at, at + length)
  }

  /**
   * Accounts for an array about to be read.
   *
   * @param elementBytesMin the least that one element can take, so that a lie is found before
   *   anything is allocated
   */
  claimElements(count: number, elementBytesMin: number): void {
    if (count * elementBytesMin > this.#end - this.#at) {
      throw new ProtocolError(
        'COUNT_EXCEEDS_FRAME',
        `${count} elements, ${this.#end - this.#at} bytes left`,
      )
    }
    this.#elementsLeft -= count
    if (this.#elementsLeft < 0) {
      throw new ProtocolError('COUNT_EXCEEDS_LIMIT', `more than ${this.#limits.elements} elements`)
    }
  }

  /** The count in front of a tag section. */
  tagCount(): number {
    const count = this.uvarint()
    if (count === 0) return 0
    // A tagged field takes at least a byte for its tag and one for its size.
    if (count * 2 > this.#end - this.#at) {
      throw new ProtocolError('COUNT_EXCEEDS_FRAME', `${count} tagged fields`)
    }
    if (count > UNKNOWN_TAGS_MAX) {
      throw new ProtocolError('COUNT_EXCEEDS_LIMIT', `more than ${UNKNOWN_TAGS_MAX} tagged fields`)
    }
    return count
  }

  /** The data of a tagged field that nobody here knows. */
  unknownTag(size: number): Buffer {
    this.#unknownTagsLeft -= 1
    if (this.#unknownTagsLeft < 0) {
      throw new ProtocolError('COUNT_EXCEEDS_LIMIT', `more than ${UNKNOWN_TAGS_MAX} tagged fields`)
    }
    return this.view(size)
  }

  /** Throws TRAILING_BYTES unless everything has been read. */
  end(): void {
    if (this.#at !== this.#end) {
      throw new ProtocolError('TRAILING_BYTES', `${this.#end - this.#at} of ${this.#end}`)
    }
  }
}
