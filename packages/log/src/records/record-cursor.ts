/**
 * Walks the records of a batch, after decompression, and says where the parts of each one lie.
 *
 * The fields of the cursor are overwritten by each `advance`; nothing is allocated for a record.
 * The layout is checked strictly: every declared length is consumed exactly, offsets rise and stay
 * within the batch, and after the last record nothing is left. A breach is CORRUPT_MESSAGE.
 */
import { LogError } from '../errors.ts'
import type { Header } from './record.ts'
import { unzigzag64, VARINT_BYTES_MAX, VARLONG_BYTES_MAX } from './varint.ts'

/** Bytes of the smallest header: two lengths. */
const HEADER_BYTES_MIN = 2

/** The place of the record that was last advanced to. Lengths are -1 for null. */
export class RecordCursor {
  offsetDelta = -1
  timestampDelta = 0
  keyAt = 0
  keyLength = -1
  valueAt = 0
  valueLength = -1
  headersAt = 0
  headerCount = 0

  readonly bytes: Buffer
  readonly #recordCount: number
  readonly #lastOffsetDelta: number
  #at = 0
  #read = 0

  /**
   * @param bytes the decompressed records
   * @param recordCount how many there must be
   * @param lastOffsetDelta bound of the offset deltas
   */
  constructor(bytes: Buffer, recordCount: number, lastOffsetDelta: number) {
    this.bytes = bytes
    this.#recordCount = recordCount
    this.#lastOffsetDelta = lastOffsetDelta
  }

  /** Where the record ends that was last advanced to, and the next one begins. */
  get position(): number {
    return this.#at
  }

  /** Goes to the next record; false behind the last one. */
  advance(): boolean {
    if (this.#read === this.#recordCount) {
      const left = this.bytes.length - this.#at
      if (left !== 0) throw corrupt(`${left} bytes follow the last record`)
      return false
    }
    const length = this.#varint()
    const end = this.#at + length
    if (length < 0 || end > this.bytes.length) throw corrupt(`a record claims ${length} bytes`)
    this.#at++
    this.timestampDelta = this.#varlong()
    this.#offset()
    this.keyLength = this.#varint()
    this.keyAt = this.#at
    this.#skip(this.keyLength, -1, end)
    this.valueLength = this.#varint()
    this.valueAt = this.#at
    this.#skip(this.valueLength, -1, end)
    this.headerCount = this.#varint()
    this.headersAt = this.#at
    if (this.headerCount !== 0) this.#skipHeaders(end)
    if (this.#at !== end) throw corrupt(`a record ends at byte ${this.#at} and not at ${end}`)
    this.#read++
    return true
  }

  #offset(): void {
    const delta = this.#varint()
    if (delta <= this.offsetDelta || delta > this.#lastOffsetDelta) {
      throw corrupt(`offset delta ${delta} after ${this.offsetDelta} of ${this.#lastOffsetDelta}`)
    }
    this.offsetDelta = delta
  }

  #skip(length: number, lengthMin: number, end: number): void {
    if (length < lengthMin) throw corrupt(`a length of ${length}`)
    if (length > 0) this.#at += length
    if (this.#at > end) throw corrupt('a field reaches past its record')
  }

  #skipHeaders(end: number): void {
    const { headerCount } = this
    if (headerCount < 0 || headerCount > (end - this.#at) / HEADER_BYTES_MIN) {
      throw corrupt(`${headerCount} headers in ${end - this.#at} bytes`)
    }
    for (let i = 0; i < headerCount; i++) {
      this.#skip(this.#varint(), 0, end)
      this.#skip(this.#varint(), -1, end)
    }
  }

  #varint(): number {
    const { bytes } = this
    const first = bytes[this.#at]
    if (first === undefined) throw corrupt('the records end within a record')
    if (first < 0x80) {
      this.#at++
      return (first >>> 1) ^ -(first & 1)
    }
    return this.#longVarint()
  }

  #longVarint(): number {
    let zigzag = 0
    for (let i = 0; i < VARINT_BYTES_MAX; i++) {
      const byte = this.bytes[this.#at++]
      if (byte === undefined) throw corrupt('the records end within a record')
      if (i === VARINT_BYTES_MAX - 1 && byte > 0x0f) break
      zigzag |= (byte & 0x7f) << (7 * i)
      if (byte < 0x80) return (zigzag >>> 1) ^ -(zigzag & 1)
    }
    throw corrupt('a varint has more than 32 bits')
  }

  #varlong(): number {
    const start = this.#at
    let zigzag = 0
    for (let i = 0; i < 4; i++) {
      const byte = this.bytes[this.#at++]
      if (byte === undefined) throw corrupt('the records end within a record')
      zigzag |= (byte & 0x7f) << (7 * i)
      if (byte < 0x80) return (zigzag >>> 1) ^ -(zigzag & 1)
    }
    this.#at = start
    return this.#longVarlong()
  }

  #longVarlong(): number {
    let zigzag = 0n
    for (let i = 0; i < VARLONG_BYTES_MAX; i++) {
      const byte = this.bytes[this.#at++]
      if (byte === undefined) throw corrupt('the records end within a record')
      if (i === VARLONG_BYTES_MAX - 1 && byte > 1) break
      zigzag |= BigInt(byte & 0x7f) << BigInt(7 * i)
      if (byte < 0x80) {
        const value = unzigzag64(zigzag)
        if (Number.isNaN(value)) throw corrupt('a timestamp delta beyond 2^53 - 1')
        return value
      }
    }
    throw corrupt('a varlong has more than 64 bits')
  }
}

/** Decodes headers that a cursor has walked over before, and so lie whole in the buffer. */
export function decodeHeaders(bytes: Buffer, start: number, count: number): Header[] {
  const headers: Header[] = []
  let at = start
  const length = (): number => {
    let zigzag = 0
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++] ?? 0
      zigzag |= (byte & 0x7f) << shift
      if (byte < 0x80) return (zigzag >>> 1) ^ -(zigzag & 1)
    }
  }
  for (let i = 0; i < count; i++) {
    const keyLength = length()
    const key = bytes.toString('utf8', at, at + keyLength)
    at += keyLength
    const valueLength = length()
    const value = valueLength < 0 ? null : bytes.subarray(at, at + valueLength)
    if (valueLength > 0) at += valueLength
    headers.push({ key, value })
  }
  return headers
}

const corrupt = (detail: string): LogError =>
  new LogError('CORRUPT_MESSAGE', `the records of the batch: ${detail}`)
