/**
 * The keys of the index. One ordered map serves all categories; each kind of entry has its letter.
 *
 * | key | value |
 * | --- | --- |
 * | `c` category | number and topic id of the category |
 * | `M` place | the bucket: position of the fold, open appends, tags, counts |
 * | `T` place stream 00 | the stream's state, and where its last page begins |
 * | `E` place stream 00 version | a page of events, from this version on |
 * | `V` place offset | a record that has an append id and is no event |
 * | `G` place tenant 00 tag 00 offset | stream and version of an event with the tag |
 * | `R` place tenant 00 correlation 00 offset | the same, by correlation |
 * | `Z` place offset | times and types of the events from this offset on, up to the next entry |
 *
 * `place` is category and bucket, 2 bytes each. Letters `S` and `P` belong to snapshots and to
 * personal data, `#` and `$` to the map itself. Numbers are big-endian, so that bytes sort as they do.
 */

/** Category and bucket as the start of keys. */
export type IndexPlace = { readonly category: number; readonly bucket: number }

const PLACE_BYTES = 5
const NUMBER_BYTES = 6

/** Letters of the kinds of entries. */
export const KIND = {
  category: 0x63,
  bucket: 0x4d,
  stream: 0x54,
  events: 0x45,
  void: 0x56,
  tag: 0x47,
  correlation: 0x52,
  zone: 0x5a,
} as const

/** A letter of {@link KIND}. */
export type Kind = (typeof KIND)[keyof typeof KIND]

function begin(kind: Kind, place: IndexPlace, bytes: number): Buffer {
  const key = Buffer.allocUnsafe(PLACE_BYTES + bytes)
  key[0] = kind
  key.writeUInt16BE(place.category, 1)
  key.writeUInt16BE(place.bucket, 3)
  return key
}

/** The start of all keys of a kind in a bucket. */
export function placeKey(kind: Kind, place: IndexPlace): Buffer {
  return begin(kind, place, 0)
}

/** A key that ends in text. */
export function textKey(kind: Kind, place: IndexPlace, text: string): Buffer {
  const length = Buffer.byteLength(text)
  const key = begin(kind, place, length + 1)
  key.write(text, PLACE_BYTES)
  key[PLACE_BYTES + length] = 0
  return key
}

/** A key that ends in a number. */
export function numberKey(kind: Kind, place: IndexPlace, value: number): Buffer {
  const key = begin(kind, place, NUMBER_BYTES)
  key.writeUIntBE(value, PLACE_BYTES, NUMBER_BYTES)
  return key
}

/** A key that ends in text and a number. */
export function textNumberKey(kind: Kind, place: IndexPlace, text: string, value: number): Buffer {
  const length = Buffer.byteLength(text)
  const key = begin(kind, place, length + 1 + NUMBER_BYTES)
  key.write(text, PLACE_BYTES)
  key[PLACE_BYTES + length] = 0
  key.writeUIntBE(value, PLACE_BYTES + length + 1, NUMBER_BYTES)
  return key
}

/** The number at the end of a key. */
export function numberOf(key: Buffer): number {
  return key.readUIntBE(key.length - NUMBER_BYTES, NUMBER_BYTES)
}

/** The text of a {@link textKey}. */
export function textOf(key: Buffer): string {
  return key.toString('utf8', PLACE_BYTES, key.length - 1)
}

/** Largest number that a key holds: 2^48 - 1. */
export const NUMBER_MAX: number = 2 ** 48 - 1
