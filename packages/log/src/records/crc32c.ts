/**
 * CRC-32C of a part of a buffer. Short parts are summed here: for them the call of native code,
 * and the view that it must be given, take longer than the bytes do. Checksums of parts that follow each
 * other make the checksum of both without a look at the bytes: a checksum is the remainder of a division
 * of polynomials, and n bytes behind a part multiply its polynomial by x^(8n).
 *
 * The algorithm is the usual one with eight tables (Kounavis and Berry, "A Systematic Approach to
 * Building High Performance Software-Based CRC Generators", 2005).
 */
import { crc32c } from '@node-rs/crc32'

/** Parts below this are summed here. Bytes. */
const SHORT_BYTES = 320

/** Castagnoli's polynomial, bits reversed. */
const POLYNOMIAL = 0x82f6_3b78

const TABLES = ((): Int32Array => {
  const tables = new Int32Array(8 * 256)
  for (let byte = 0; byte < 256; byte += 1) {
    let sum = byte
    for (let bit = 0; bit < 8; bit += 1)
      sum = (sum & 1) === 0 ? sum >>> 1 : (sum >>> 1) ^ POLYNOMIAL
    tables[byte] = sum
  }
  for (let at = 256; at < tables.length; at += 1) {
    const before = tables[at - 256] ?? 0
    tables[at] = (before >>> 8) ^ (tables[before & 0xff] ?? 0)
  }
  return tables
})()

/**
 * The checksum of the bytes in [from, to).
 *
 * @param before the checksum of what stands in front of them
 */
export function crc32cOf(b: Buffer, from: number, to: number, before = 0): number {
  if (to - from >= SHORT_BYTES) return crc32c(b.subarray(from, to), before)
  if (from < 0 || to > b.length) throw new RangeError(`[${from}, ${to}) of ${b.length} bytes`)
  const t = TABLES
  let sum = ~before
  let at = from
  for (; at + 8 <= to; at += 8) {
    const first = (b[at] ?? 0) | ((b[at + 1] ?? 0) << 8)
    sum ^= first | ((b[at + 2] ?? 0) << 16) | ((b[at + 3] ?? 0) << 24)
    const near = (t[0x700 | (sum & 0xff)] ?? 0) ^ (t[0x600 | ((sum >>> 8) & 0xff)] ?? 0)
    const far = (t[0x500 | ((sum >>> 16) & 0xff)] ?? 0) ^ (t[0x400 | (sum >>> 24)] ?? 0)
    const late = (t[0x300 | (b[at + 4] ?? 0)] ?? 0) ^ (t[0x200 | (b[at + 5] ?? 0)] ?? 0)
    const last = (t[0x100 | (b[at + 6] ?? 0)] ?? 0) ^ (t[b[at + 7] ?? 0] ?? 0)
    sum = near ^ far ^ late ^ last
  }
  for (; at < to; at += 1) sum = (sum >>> 8) ^ (t[(sum ^ (b[at] ?? 0)) & 0xff] ?? 0)
  return ~sum >>> 0
}

/** x^0, bits reversed. */
const ONE = 0x8000_0000
/** What bytes behind a part do to its checksum, for 1 to 255 times 1, 256 and 65,536 of them: x^(8n). */
const SHIFTS = ((): readonly Uint32Array[] => {
  const tables: Uint32Array[] = []
  let unit = ONE >>> 8
  for (let place = 0; place < 3; place += 1) {
    const table = new Uint32Array(256).fill(ONE)
    for (let times = 1; times < 256; times += 1)
      table[times] = multiplied(table[times - 1] ?? 0, unit)
    unit = multiplied(table[255] ?? 0, unit)
    tables.push(table)
  }
  return tables
})()
/** Longest part that can stand behind another. Bytes. */
const JOINED_BYTES_MAX = 2 ** 24 - 1

/** The checksum of a part with another one behind it, from the checksums of both. */
export const crc32cJoined = (first: number, second: number, secondBytes: number): number =>
  (shifted(first, secondBytes) ^ second) >>> 0

/** The checksum of the second of two parts, from that of both together and that of the first. */
export const crc32cBehind = (both: number, first: number, secondBytes: number): number =>
  (shifted(first, secondBytes) ^ both) >>> 0

function shifted(sum: number, bytes: number): number {
  if (!(bytes >= 0 && bytes <= JOINED_BYTES_MAX)) throw new RangeError(`${bytes} bytes`)
  let result = sum
  for (let place = 0, rest = bytes; rest > 0; place += 1, rest >>>= 8) {
    const times = rest & 0xff
    if (times > 0) result = multiplied(SHIFTS[place]?.[times] ?? 0, result)
  }
  return result
}

/** The product of two polynomials modulo Castagnoli's. */
function multiplied(a: number, b: number): number {
  let product = 0
  let factor = b
  for (let rest = a | 0; rest !== 0; rest <<= 1) {
    product ^= factor & (rest >> 31)
    factor = (factor >>> 1) ^ (POLYNOMIAL & -(factor & 1))
  }
  return product >>> 0
}
