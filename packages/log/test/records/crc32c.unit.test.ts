// The checksum of parts, short ones and long ones, by one function.
import { crc32c } from '@node-rs/crc32'
import { describe, expect, test } from 'vitest'
import { crc32cOf } from '../../src/records/crc32c.ts'

const bytes = Buffer.from(Array.from({ length: 2000 }, (_, i) => (i * 7919 + (i >>> 3)) & 0xff))

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

  test('is not made up for bytes that are not there', () => {
    expect(() => crc32cOf(bytes, 1990, 2001)).toThrow(RangeError)
    expect(() => crc32cOf(bytes, -1, 5)).toThrow(RangeError)
  })
})
