/** The bounds of names, checked where they enter. */
import { StoreError } from './errors.ts'

const TENANT = /^[a-zA-Z0-9._-]{0,64}$/
const CATEGORY = /^[a-zA-Z0-9._-]{1,200}$/
const STREAM_BYTES_MAX = 512
const TYPE_LENGTH_MAX = 200
const WORD_LENGTH_MAX = 256
const TAGS_MAX = 16
const TAG_BYTES_MAX = 128
const METADATA_MAX = 32
const METADATA_NAME = /^[a-zA-Z0-9._-]{1,64}$/
const METADATA_BYTES_MAX = 4096
/** The end of the year 9999: the last that a timestamp of RFC 3339 can name. */
const TIME_MAX = 253_402_300_799_999

const bad = (text: string): StoreError => new StoreError('BAD_ARGUMENT', text)
const shown = (value: unknown): string => (JSON.stringify(value) ?? String(value)).slice(0, 60)

/** UTF-8 cannot hold half of a surrogate pair: two such texts would come to be one. */
const isText = (value: unknown, lengthMax: number): value is string =>
  typeof value === 'string' && value !== '' && value.length <= lengthMax && value.isWellFormed()

/** Whether a key of the log, and its text, can be a stream's id. */
export const isStreamId = (key: Buffer, id: string): boolean =>
  key.length > 0 &&
  key.length <= STREAM_BYTES_MAX &&
  !id.includes('\0') &&
  // Bytes that are no UTF-8 come out as this character: several keys would be one stream.
  (!id.includes('\ufffd') || Buffer.from(id).equals(key))

/** Whether a tenant can be one. */
export const isTenant = (tenant: string): boolean => tenant === '' || TENANT.test(tenant)

/** Whether a type of event can be one. */
export const isType = (type: string): boolean => type !== '' && type.length <= TYPE_LENGTH_MAX

/** Whether an id that callers give can be one. */
export const isWord = (word: string): boolean => word !== '' && word.length <= WORD_LENGTH_MAX

/** Whether an event can have this time: what no date holds is none. */
export const isTime = (time: number): boolean => time >= 0 && time <= TIME_MAX

/** Checks a tenant's name. */
export function checkTenant(tenant: string): void {
  if (typeof tenant !== 'string' || !TENANT.test(tenant)) {
    throw bad(`tenant must be 0 to 64 characters of a-z A-Z 0-9 . _ -, not ${shown(tenant)}`)
  }
}

/** Checks a category's name. */
export function checkCategory(category: string): void {
  if (typeof category !== 'string' || !CATEGORY.test(category)) {
    throw bad(`category must be 1 to 200 characters of a-z A-Z 0-9 . _ -, not ${shown(category)}`)
  }
}

/** Checks a stream's id. */
export function checkStreamId(id: string): void {
  if (typeof id !== 'string' || id.length === 0 || id.includes('\0') || !id.isWellFormed()) {
    throw bad(
      `stream id must be 1 to ${STREAM_BYTES_MAX} bytes of text without NUL, not ${shown(id)}`,
    )
  }
  if (id.length * 3 > STREAM_BYTES_MAX && Buffer.byteLength(id) > STREAM_BYTES_MAX) {
    throw bad(`stream id must be at most ${STREAM_BYTES_MAX} bytes, not ${Buffer.byteLength(id)}`)
  }
}

/** Checks a type of event. */
export function checkType(type: string, index: number): void {
  if (!isText(type, TYPE_LENGTH_MAX)) {
    throw bad(
      `events[${index}].type must be 1 to ${TYPE_LENGTH_MAX} characters, not ${shown(type)}`,
    )
  }
}

/** Checks an id that the caller gives: append, command, correlation, causation, actor, saga, event. */
export function checkWord(value: string | undefined, field: string): void {
  if (value === undefined) return
  if (!isText(value, WORD_LENGTH_MAX)) {
    throw bad(`${field} must be 1 to ${WORD_LENGTH_MAX} characters, not ${shown(value)}`)
  }
}

/** Checks tags. */
export function checkTags(tags: readonly string[], field: string): void {
  if (!Array.isArray(tags) || tags.length > TAGS_MAX) {
    throw bad(`${field} must be a list of at most ${TAGS_MAX}, not ${shown(tags)}`)
  }
  for (const tag of tags) {
    if (!isText(tag, TAG_BYTES_MAX) || tag.includes('\0')) {
      throw bad(
        `${field} must be texts of 1 to ${TAG_BYTES_MAX} bytes without NUL, not ${shown(tag)}`,
      )
    }
    if (Buffer.byteLength(tag) > TAG_BYTES_MAX) {
      throw bad(`${field} must be at most ${TAG_BYTES_MAX} bytes each, not ${shown(tag)}`)
    }
  }
}

/** Checks metadata. */
export function checkMetadata(metadata: Readonly<Record<string, string>>, field: string): void {
  const entries = Object.entries(metadata)
  if (entries.length > METADATA_MAX) {
    throw bad(`${field} must have at most ${METADATA_MAX} entries, not ${entries.length}`)
  }
  for (const [name, value] of entries) {
    // As a property it would be the prototype of what readers get.
    if (!METADATA_NAME.test(name) || name === '__proto__') {
      throw bad(`${field} names must be 1 to 64 of a-z A-Z 0-9 . _ -, not ${shown(name)}`)
    }
    if (
      typeof value !== 'string' ||
      !value.isWellFormed() ||
      Buffer.byteLength(value) > METADATA_BYTES_MAX
    ) {
      throw bad(`${field}.${name} must be text of at most ${METADATA_BYTES_MAX} bytes`)
    }
  }
}

/** Checks a whole number. */
export function checkWhole(value: number, min: number, field: string): void {
  if (!Number.isSafeInteger(value) || value < min) {
    throw bad(`${field} must be a whole number from ${min} on, not ${shown(value)}`)
  }
}

/** Checks a time. */
export function checkTime(time: number, field: string): void {
  if (!Number.isSafeInteger(time) || time < 0 || time > TIME_MAX) {
    throw bad(`${field} must be ms since the epoch, 0 to ${TIME_MAX}, not ${shown(time)}`)
  }
}
