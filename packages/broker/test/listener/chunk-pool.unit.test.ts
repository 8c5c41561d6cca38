/** The shared chunks: their limit, what is beyond it, what is kept. */
import { expect, test } from 'vitest'
import { CHUNK_BYTES_LARGE, CHUNK_BYTES_SMALL, ChunkPool } from '../../src/listener/chunk-pool.ts'

test('chunks are lent up to the limit; beyond it only a small one, to who has none', () => {
  const pool = new ChunkPool(2 * CHUNK_BYTES_LARGE)
  const lent = [pool.take(CHUNK_BYTES_LARGE, false), pool.take(CHUNK_BYTES_LARGE, false)]
  expect(lent.map(chunk => chunk?.length)).toEqual([CHUNK_BYTES_LARGE, CHUNK_BYTES_LARGE])
  expect(pool.take(CHUNK_BYTES_LARGE, false)).toBeUndefined()
  expect(pool.take(1, false)).toBeUndefined()
  expect(pool.take(CHUNK_BYTES_LARGE, true)?.length).toBe(CHUNK_BYTES_SMALL)
})

test('a large wish is met with a small chunk where no large one fits', () => {
  const pool = new ChunkPool(CHUNK_BYTES_LARGE + CHUNK_BYTES_SMALL)
  pool.take(CHUNK_BYTES_LARGE, false)
  expect(pool.take(CHUNK_BYTES_LARGE, false)?.length).toBe(CHUNK_BYTES_SMALL)
})

test('what comes back is lent again, and what is kept and lent together stays below the limit', () => {
  const pool = new ChunkPool(2 * CHUNK_BYTES_LARGE)
  const chunk = pool.take(CHUNK_BYTES_LARGE, false) ?? Buffer.alloc(0)
  pool.give(chunk)
  expect(pool.take(CHUNK_BYTES_LARGE, false)).toBe(chunk)
  pool.give(chunk)
  const small = Array.from({ length: 32 }, () => pool.take(1, false) ?? Buffer.alloc(0))
  expect(pool.used + pool.free).toBeLessThanOrEqual(2 * CHUNK_BYTES_LARGE)
  for (const one of small) pool.give(one)
  expect(pool.used).toBe(0)
  expect(pool.free).toBeLessThanOrEqual(2 * CHUNK_BYTES_LARGE)
  for (let round = 0; round < 10; round += 1) pool.trim()
  expect(pool.free).toBe(0)
})
