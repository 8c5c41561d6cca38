/**
 * Looks at the records of a batch one after the other, as a broker does before it stores them,
 * without keeping them: the bytes come in chunks of any size, and nothing is allocated for a record.
 *
 * Two ways lead through a record. One that lies whole in the chunk is read straight through; of one
 * that is cut, each field is collected byte by byte and what it holds is passed over. Both end in the
 * same check of the fields. The layout that is asked for is the one that `RecordCursor` reads, and
 * stricter: offsets run from 0 without a gap, as in Kafka's own batches.
 */
import { LogError } from '../errors.ts'
import type { Timestamp } from '../vocabulary.ts'
import { VARINT_BYTES_MAX, VARLONG_BYTES_MAX } from './varint.ts'

/** Most records of one batch that are named one by one in a refusal; the others stay unnamed. */
export const RECORD_ERRORS_MAX = 100

/** What is wrong with one record of a batch that was refused for it (KIP-467). */
export type RecordError = {
  /** Place of the record in its batch, from 0. */
  readonly batchIndex: number
  readonly message: string
}

/** What a topic asks of each record. */
export type RecordRules = {
  /** Whether the log sets the time of append, so that the times of records do not count. */
  readonly stamped?: boolean
  /** Whether every record needs a key: compacted topics. */
  readonly requireKeys?: boolean
  /** Records before this time are refused; those without a time (-1) are not. */
  readonly timestampMin?: Timestamp
  /** Records after this time are refused. */
  readonly timestampMax?: Timestamp
}

/** Bytes of the smallest record without its length: attributes, two deltas, two lengths, a count. */
const RECORD_BODY_BYTES_MIN = 6
/** Bytes of the smallest header: two lengths. */
const HEADER_BYTES_MIN = 2
const NO_TIMESTAMP = -1
const TWO_28 = 2 ** 28
const TWO_53 = 2 ** 53

/** Where the scanner stands within a record that is cut. */
const IN_LENGTH = 0
const IN_ATTRIBUTES = 1
const IN_TIMESTAMP = 2
const IN_OFFSET = 3
const IN_KEY_LENGTH = 4
const IN_VALUE_LENGTH = 5
const IN_HEADER_COUNT = 6
const IN_HEADER_KEY_LENGTH = 7
const IN_HEADER_VALUE_LENGTH = 8

/** Walks the decompressed records of one batch. */
export class RecordScanner {
  /** Largest timestamp so far; -1 where no record has one, as in Kafka. */
  maxTimestamp: Timestamp = NO_TIMESTAMP
  /** Records that break a rule of the topic, the first {@link RECORD_ERRORS_MAX} of them. */
  readonly recordErrors: RecordError[] = []
  /** Whether one of them was refused for its timestamp. */
  timestampRefused = false

  readonly #count: number
  readonly #baseTimestamp: Timestamp
  readonly #requireKeys: boolean
  readonly #stamped: boolean
  readonly #timestampMin: Timestamp
  readonly #timestampMax: Timestamp
  #index = 0

  /** Where the reader stands in the chunk. */
  #at = 0

  #state = IN_LENGTH
  /** Bytes that the cut record still has. */
  #left = 0
  /** Bytes of a key, a value or a header that are passed over. */
  #skip = 0
  #headersLeft = 0
  /** The zigzag number so far, its bytes so far, and what the next ones count. */
  #number = 0
  #numberBytes = 0
  #numberUnit = 1
  #timestampDelta = 0
  #offsetDelta = 0
  #keyLength = 0

  /**
   * @param count how many records the header claims
   * @param baseTimestamp what the timestamp deltas count from
   */
  constructor(count: number, baseTimestamp: Timestamp, rules: RecordRules = {}) {
    this.#count = count
    this.#baseTimestamp = baseTimestamp
    this.#requireKeys = rules.requireKeys ?? false
    this.#stamped = rules.stamped ?? false
    this.#timestampMin = rules.timestampMin ?? Number.NEGATIVE_INFINITY
    this.#timestampMax = rules.timestampMax ?? Number.POSITIVE_INFINITY
  }

  /**
   * Takes the next bytes: those of the chunk in [from, end).
   *
   * @throws LogError INVALID_RECORD as soon as they cannot be records
   */
  feed(chunk: Buffer, from = 0, end: number = chunk.length): void {
    this.#at = from
    while (this.#at < end) {
      if (this.#state === IN_LENGTH && this.#numberBytes === 0) {
        this.#wholeRecords(chunk, end)
        if (this.#at === end) return
        if (this.#index === this.#count) {
          throw invalid(`bytes follow the last of the ${this.#count} records of the header`)
        }
      }
      this.#piece(chunk, end)
    }
  }

  /** Says that no bytes follow. Throws LogError INVALID_RECORD where some are missing. */
  end(): void {
    if (this.#state !== IN_LENGTH || this.#numberBytes > 0) throw this.#broken('it is cut')
    if (this.#index < this.#count) {
      throw invalid(`${this.#index} records, and the header counts ${this.#count}`)
    }
  }

  /** The refusal of the whole batch for what single records break; null if none does. */
  refusal(): LogError | null {
    const [first] = this.recordErrors
    if (first === undefined) return null
    const detail = `record ${first.batchIndex}: ${first.message}`
    return new LogError(this.timestampRefused ? 'INVALID_TIMESTAMP' : 'INVALID_RECORD', detail)
  }

  /**
   * Reads the records that lie whole in the chunk, up to the first that does not. Numbers of one byte,
   * which most are, are decoded in place: a call for each takes twice the time of all the rest.
   */
  #wholeRecords(b: Buffer, end: number): void {
    let at = this.#at
    while (this.#index < this.#count && end - at > RECORD_BODY_BYTES_MIN) {
      const start = at
      let length = b[at++] ?? 0
      if (length < 0x80) length = (length >>> 1) ^ -(length & 1)
      else {
        length = this.#longVarint(b, at - 1)
        at = this.#at
      }
      if (length < RECORD_BODY_BYTES_MIN) throw this.#broken(`it claims ${length} bytes`)
      const recordEnd = at + length
      if (recordEnd > end) {
        this.#at = start
        return
      }
      at += 1
      let timestampDelta = b[at++] ?? 0
      if (timestampDelta < 0x80) timestampDelta = (timestampDelta >>> 1) ^ -(timestampDelta & 1)
      else {
        timestampDelta = this.#longVarlong(b, at - 1)
        at = this.#at
      }
      let offsetDelta = b[at++] ?? 0
      if (offsetDelta < 0x80) offsetDelta = (offsetDelta >>> 1) ^ -(offsetDelta & 1)
      else {
        offsetDelta = this.#longVarint(b, at - 1)
        at = this.#at
      }
      let keyLength = b[at++] ?? 0
      if (keyLength < 0x80) keyLength = (keyLength >>> 1) ^ -(keyLength & 1)
      else {
        keyLength = this.#longVarint(b, at - 1)
        at = this.#at
      }
      if (keyLength > 0) at += keyLength
      else if (keyLength < -1) throw this.#broken(`its key has a length of ${keyLength}`)
      let valueLength = b[at++] ?? 0
      if (valueLength < 0x80) valueLength = (valueLength >>> 1) ^ -(valueLength & 1)
      else {
        valueLength = this.#longVarint(b, at - 1)
        at = this.#at
      }
      if (valueLength > 0) at += valueLength
      else if (valueLength < -1) throw this.#broken(`its value has a length of ${valueLength}`)
      if (b[at] === 0) at += 1
      else at = this.#headers(b, at, recordEnd)
      // Reading only ever goes forward, so a field that reaches past the record shows here.
      if (at !== recordEnd) {
        throw this.#broken(`its fields end ${at - recordEnd} bytes after its length does`)
      }
      this.#record(offsetDelta, timestampDelta, keyLength)
    }
    this.#at = at
  }

  /** Reads the headers that begin at `from`; answers where they end. */
  #headers(b: Buffer, from: number, recordEnd: number): number {
    const count = this.#longVarint(b, from)
    let at = this.#at
    this.#checkHeaderCount(count, recordEnd - at)
    for (let i = 0; i < count; i++) {
      if (at >= recordEnd) throw this.#broken(`it ends before header ${i} of ${count}`)
      let keyLength = b[at++] ?? 0
      if (keyLength < 0x80) keyLength = (keyLength >>> 1) ^ -(keyLength & 1)
      else {
        keyLength = this.#longVarint(b, at - 1)
        at = this.#at
      }
      if (keyLength < 0) throw this.#broken(`header ${i} has no key`)
      at += keyLength
      let valueLength = b[at++] ?? 0
      if (valueLength < 0x80) valueLength = (valueLength >>> 1) ^ -(valueLength & 1)
      else {
        valueLength = this.#longVarint(b, at - 1)
        at = this.#at
      }
      if (valueLength > 0) at += valueLength
      else if (valueLength < -1) throw this.#broken(`header ${i} has a length of ${valueLength}`)
    }
    return at
  }

  #checkHeaderCount(count: number, bytes: number): void {
    if (count < 0 || count > bytes / HEADER_BYTES_MIN) {
      throw this.#broken(`it claims ${count} headers in ${bytes} bytes`)
    }
  }

  /** Every record comes through here, however it was read. */
  #record(offsetDelta: number, timestampDelta: number, keyLength: number): void {
    const index = this.#index
    if (offsetDelta !== index) throw this.#broken(`its offset delta is ${offsetDelta}`)
    this.#index = index + 1
    if (keyLength < 0 && this.#requireKeys) {
      this.#refuse(index, 'it has no key, and the topic is compacted')
      return
    }
    if (this.#stamped) return
    const timestamp = this.#baseTimestamp + timestampDelta
    if (!Number.isSafeInteger(timestamp)) {
      this.timestampRefused = true
      this.#refuse(index, 'its timestamp lies beyond 2^53 - 1')
      return
    }
    if (timestamp > this.#timestampMax || timestamp < this.#timestampMin) {
      if (timestamp !== NO_TIMESTAMP) this.#refuseTimestamp(index, timestamp)
    }
    if (timestamp > this.maxTimestamp) this.maxTimestamp = timestamp
  }

  #refuseTimestamp(index: number, timestamp: Timestamp): void {
    this.timestampRefused = true
    const late = timestamp > this.#timestampMax
    const bound = late ? this.#timestampMax : this.#timestampMin
    const key = late ? 'message.timestamp.after.max.ms' : 'message.timestamp.before.max.ms'
    this.#refuse(index, `its timestamp ${timestamp} lies beyond ${bound}, which ${key} allows`)
  }

  #refuse(batchIndex: number, message: string): void {
    if (this.recordErrors.length < RECORD_ERRORS_MAX) {
      this.recordErrors.push({ batchIndex, message })
    }
  }

  /** A number of any length; leaves where it ends in `#at`. */
  #longVarint(b: Buffer, from: number): number {
    let at = from
    let zigzag = 0
    for (let i = 0; i < VARINT_BYTES_MAX; i++) {
      const byte = b[at++] ?? 0
      if (i === VARINT_BYTES_MAX - 1 && byte > 0x0f) break
      zigzag |= (byte & 0x7f) << (7 * i)
      if (byte < 0x80) {
        this.#at = at
        return (zigzag >>> 1) ^ -(zigzag & 1)
      }
    }
    throw this.#broken('a number has more than 32 bits')
  }

  /** A timestamp delta of any length; leaves where it ends in `#at`. */
  #longVarlong(b: Buffer, from: number): number {
    let at = from
    // 28 bits at a time: shifts would cut, and numbers hold 53.
    let low = 0
    let middle = 0
    for (let i = 0; i < VARLONG_BYTES_MAX; i++) {
      const byte = b[at++] ?? 0
      if (i < 4) low |= (byte & 0x7f) << (7 * i)
      else if (i < 8) middle |= (byte & 0x7f) << (7 * (i - 4))
      else if ((byte & 0x7f) !== 0) break
      if (byte < 0x80) {
        this.#at = at
        return this.#unzigzag(middle * TWO_28 + low)
      }
    }
    throw this.#broken('its timestamp delta is not one that can be read')
  }

  #unzigzag(zigzag: number): number {
    if (zigzag >= TWO_53) throw this.#broken('its timestamp delta lies beyond 2^52')
    return zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2
  }

  /** Takes what the chunk has of a record that is cut: what is passed over, or one byte. */
  #piece(b: Buffer, end: number): void {
    if (this.#skip > 0) {
      const bytes = Math.min(this.#skip, end - this.#at)
      this.#at += bytes
      this.#skip -= bytes
      if (this.#skip === 0) this.#maybeLast()
      return
    }
    const byte = b[this.#at++] ?? 0
    if (this.#state !== IN_LENGTH) {
      if (this.#left === 0) throw this.#broken('its fields reach past its length')
      this.#left -= 1
    }
    if (this.#state === IN_ATTRIBUTES) {
      this.#state = IN_TIMESTAMP
      return
    }
    this.#number += (byte & 0x7f) * this.#numberUnit
    this.#numberUnit *= 0x80
    this.#numberBytes += 1
    const wide = this.#state === IN_TIMESTAMP
    if (this.#number >= (wide ? TWO_53 : 2 ** 32)) {
      throw this.#broken(`a number has more than ${wide ? 53 : 32} bits`)
    }
    if (byte >= 0x80) {
      if (this.#numberBytes === (wide ? VARLONG_BYTES_MAX : VARINT_BYTES_MAX)) {
        throw this.#broken('a number does not end')
      }
      return
    }
    const value = this.#unzigzag(this.#number)
    this.#number = 0
    this.#numberBytes = 0
    this.#numberUnit = 1
    this.#field(value)
  }

  /** A number of the cut record is complete. */
  #field(value: number): void {
    switch (this.#state) {
      case IN_LENGTH:
        if (value < RECORD_BODY_BYTES_MIN) throw this.#broken(`it claims ${value} bytes`)
        this.#left = value
        this.#state = IN_ATTRIBUTES
        return
      case IN_TIMESTAMP:
        this.#timestampDelta = value
        this.#state = IN_OFFSET
        return
      case IN_OFFSET:
        this.#offsetDelta = value
        this.#state = IN_KEY_LENGTH
        return
      case IN_KEY_LENGTH:
        this.#keyLength = value
        this.#state = IN_VALUE_LENGTH
        this.#passOver(value, -1, 'its key')
        return
      case IN_VALUE_LENGTH:
        this.#state = IN_HEADER_COUNT
        this.#passOver(value, -1, 'its value')
        return
      case IN_HEADER_COUNT:
        this.#checkHeaderCount(value, this.#left)
        this.#headersLeft = value
        this.#state = IN_HEADER_KEY_LENGTH
        this.#maybeLast()
        return
      case IN_HEADER_KEY_LENGTH:
        this.#state = IN_HEADER_VALUE_LENGTH
        this.#passOver(value, 0, 'the key of a header')
        return
      default:
        this.#headersLeft -= 1
        this.#state = IN_HEADER_KEY_LENGTH
        this.#passOver(value, -1, 'a header')
        this.#maybeLast()
    }
  }

  #passOver(length: number, lengthMin: number, what: string): void {
    if (length < lengthMin) throw this.#broken(`${what} has a length of ${length}`)
    if (length > this.#left) throw this.#broken(`${what} reaches past its length`)
    this.#skip = Math.max(0, length)
    this.#left -= this.#skip
  }

  /** Ends the cut record if its last field has been taken. */
  #maybeLast(): void {
    if (this.#state !== IN_HEADER_KEY_LENGTH || this.#headersLeft > 0 || this.#skip > 0) return
    if (this.#left > 0) throw this.#broken(`its fields end ${this.#left} bytes before its length`)
    this.#state = IN_LENGTH
    this.#record(this.#offsetDelta, this.#timestampDelta, this.#keyLength)
  }

  /** A record that no reader gets past; it is the one that the refusal names. */
  #broken(detail: string): LogError {
    const index = this.#index
    this.recordErrors.length = 0
    this.recordErrors.push({ batchIndex: index, message: detail })
    return invalid(`record ${index} of ${this.#count}: ${detail}`)
  }
}

const invalid = (detail: string): LogError => new LogError('INVALID_RECORD', detail)
