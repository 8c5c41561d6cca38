/**
 * Zigzag variable-length integers, as records use them: base 128, least significant group first,
 * the high bit says that another byte follows. Varints hold 32 bits in at most 5 bytes, varlongs 64
 * bits in at most 10. Numbers beyond 31 bits take a slower path by BigInt, since shifts would cut.
 */

/** Most bytes of a varint. */
export const VARINT_BYTES_MAX = 5
/** Most bytes of a varlong. */
export const VARLONG_BYTES_MAX = 10

const INT32_MAX = 0x7fffffff
const INT32_MIN = -0x80000000

/** Bytes of the varint of an int32. */
export function varintBytes(value: number): number {
  const zigzag = ((value << 1) ^ (value >> 31)) >>> 0
  if (zigzag < 0x80) return 1
  if (zigzag < 0x4000) return 2
  if (zigzag < 0x200000) return 3
  return zigzag < 0x10000000 ? 4 : 5
}

/** Writes an int32 as varint; returns where it ends. */
export function writeVarint(b: Buffer, start: number, value: number): number {
  let at = start
  let zigzag = ((value << 1) ^ (value >> 31)) >>> 0
  while (zigzag >= 0x80) {
    b[at++] = (zigzag & 0x7f) | 0x80
    zigzag >>>= 7
  }
  b[at++] = zigzag
  return at
}

/** Bytes of the varlong of a safe integer. */
export function varlongBytes(value: number): number {
  if (value >= INT32_MIN && value <= INT32_MAX) return varintBytes(value)
  let zigzag = zigzag64(value)
  let bytes = 1
  while (zigzag >= 0x80n) {
    zigzag >>= 7n
    bytes++
  }
  return bytes
}

/** Writes a safe integer as varlong; returns where it ends. */
export function writeVarlong(b: Buffer, start: number, value: number): number {
  if (value >= INT32_MIN && value <= INT32_MAX) return writeVarint(b, start, value)
  let at = start
  let zigzag = zigzag64(value)
  while (zigzag >= 0x80n) {
    b[at++] = Number(zigzag & 0x7fn) | 0x80
    zigzag >>= 7n
  }
  b[at++] = Number(zigzag)
  return at
}

const zigzag64 = (value: number): bigint =>
  value >= 0 ? BigInt(value) * 2n : BigInt(value) * -2n - 1n

/** The number behind a zigzag of up to 64 bits; NaN where it is not a safe integer. */
export function unzigzag64(zigzag: bigint): number {
  const value = Number((zigzag & 1n) === 0n ? zigzag >> 1n : -((zigzag + 1n) >> 1n))
  return Number.isSafeInteger(value) ? value : Number.NaN
}
