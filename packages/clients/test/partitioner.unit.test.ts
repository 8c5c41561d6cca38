import { describe, expect, test } from 'vitest'
import { murmur2, partitionOfKey, StickyPartitioner } from '../src/partitioner.ts'

const random = { bytes: (length: number) => Buffer.alloc(length, 7) }

describe('murmur2', () => {
  // The vectors of Apache Kafka's UtilsTest.testMurmur2, and the empty key.
  test.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
    ['', 275646681],
  ])('hashes %j as the Java client does', (key, hash) => {
    expect(murmur2(Buffer.from(key))).toBe(hash)
  })

  test('hashes bytes above 127 as unsigned ones', () => {
    expect(murmur2(Buffer.from([12, 42, 56, 24, 109, 111]))).toBe(274204207)
  })

  test('puts a key into the partition where the Java client puts it', () => {
    expect(partitionOfKey(Buffer.from('foobar'), 10)).toBe(6)
  })
})

describe('the sticky partitioner', () => {
  test('stays with one partition for its bytes, then takes another', () => {
    const sticky = new StickyPartitioner(random, 100)
    const first = sticky.next(60, 4)
    expect(sticky.next(60, 4)).toBe(first)
    expect(sticky.next(60, 4)).not.toBe(first)
  })

  test('knows nothing but partition 0 of a topic with one', () => {
    const sticky = new StickyPartitioner(random, 1)
    expect([sticky.next(5, 1), sticky.next(5, 1)]).toEqual([0, 0])
  })
})
