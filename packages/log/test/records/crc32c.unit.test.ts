// The checksum of parts, short ones and long ones, by one function.
import { crc32c } from '@node-rs/crc32'
import { describe, expect, test } from 'vitest'
import { crc32cBehind, crc32cJoined, crc32cOf } from '../../src/records/crc32c.ts'

const bytes = Buffer.from(Array.from({ length: 2000 }, (_, i) => (i * 7919 + (i >>> 3)) & 0xff))

const large = Buffer.from(Array.from({ length: 80_000 }, (_, i) => (i * 7919 + (i >>> 5)) & 0xff))

describe('the checksum of a part', () => {
  test('is what the native function says, whatever its length, place and start', () => {
    for (let length = 0; length < 700; length += 1) {
      const from = (length * 31) % 1200
      const part = bytes.subarray(from, from + length)
      for (const before of [0, 1, 0x8000_0000, 0xffff_ffff]) {
        expect(crc32cOf(bytes, from, from + length, before)).toBe(crc32c(part, before))
      }
    }
  })

  test('is the published one', () => {
    expect(crc32cOf(Buffer.from('123456789'), 0, 9)).toBe(0xe306_9283)
  })

  test('goes on behind another part', () => {
    expect(crc32cOf(bytes, 5, 1500, crc32cOf(bytes, 0, 5))).toBe(crc32c(bytes.subarray(0, 1500)))
    expect(crc32cOf(bytes, 1400, 1405, crc32cOf(bytes, 0, 1400))).toBe(
      crc32c(bytes.subarray(0, 1405)),
    )
  })

  test('is joined from those of its halves, and taken apart into them', () => {
    const sizes = [0, 1, 7, 255, 256, 257, 1000, 16_384, 65_535, 65_536, 70_001]
    for (const first of sizes) {
      for (const second of sizes) {
        const both = Buffer.concat([large.subarray(0, first), large.subarray(5, 5 + second)])
        const whole = crc32c(both)
        const [a, b] = [crc32cOf(both, 0, first), crc32cOf(both, first, both.length)]
        expect(crc32cJoined(a, b, second)).toBe(whole)
        expect(crc32cBehind(whole, a, second)).toBe(b)
      }
    }
  })

  test('of parts of 16 MiB and more is not guessed', () => {
    expect(() => crc32cJoined(1, 2, 2 ** 24)).toThrow(RangeError)
    expect(() => crc32cJoined(1, 2, -1)).toThrow(RangeError)
    expect(crc32cJoined(0, 0, 2 ** 24 - 1)).toBe(0)
  })

  test('is not made up for bytes that are not there', () => {
    expect(() => crc32cOf(bytes, 1990, 2001)).toThrow(RangeError)
    expect(() => crc32cOf(bytes, -1, 5)).toThrow(RangeError)
  })
})
