// The last offset of each key, in the memory that was given and no more.
import { expect, test } from 'vitest'
import { Prng } from '../../../src/simulation.ts'
import { OffsetMap, SLOT_BYTES } from '../../../src/storage/compaction/offset-map.ts'

const keyOf = (i: number): Buffer => Buffer.from(`key-${i}`)

test('the last offset of each key is the one that was noted last', () => {
  const prng = new Prng(1)
  const map = new OffsetMap(500, 1 << 20)
  const known = new Map<number, number>()
  for (let offset = 0; offset < 5000; offset += 1) {
    const key = prng.below(500)
    expect(map.put(keyOf(key), offset)).toBe(true)
    known.set(key, offset)
  }
  for (const [key, offset] of known) expect(map.get(keyOf(key))).toBe(offset)
  expect(map.get(keyOf(500))).toBe(-1)
  expect(map.size).toBe(known.size)
})

test('a full map takes no further key, and still takes what it knows', () => {
  const map = new OffsetMap(1_000_000, 100 * SLOT_BYTES)
  let keys = 0
  while (map.put(keyOf(keys), keys)) keys += 1
  expect(keys).toBe(75)
  expect(map.put(keyOf(3), 999)).toBe(true)
  expect([map.get(keyOf(3)), map.get(keyOf(keys)), map.size]).toEqual([999, -1, 75])
})

test('there is room for as many keys as were asked for, and for one in any case', () => {
  for (const keys of [1, 2, 3, 10, 1000]) {
    const map = new OffsetMap(keys, 1 << 20)
    for (let i = 0; i < keys; i += 1) expect(map.put(keyOf(i), i)).toBe(true)
  }
  const tiny = new OffsetMap(10, 1)
  expect(tiny.put(keyOf(0), 0)).toBe(true)
  expect(tiny.get(keyOf(1))).toBe(-1)
})

test('the empty key is a key', () => {
  const map = new OffsetMap(2, 1 << 10)
  expect(map.get(Buffer.alloc(0))).toBe(-1)
  map.put(Buffer.alloc(0), 7)
  expect(map.get(Buffer.alloc(0))).toBe(7)
})
