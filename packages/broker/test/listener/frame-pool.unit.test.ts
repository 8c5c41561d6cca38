import { expect, test } from 'vitest'
import { FramePool } from '../../src/listener/frame-pool.ts'

test('memory that is given back serves the next frame, and only once', () => {
  const pool = new FramePool(1 << 20)
  const first = pool.take(20_000).subarray(0, 20_000)
  pool.give(first)
  pool.give(first)
  expect(pool.keptBytes).toBe(64 * 1024)
  const second = pool.take(60_000)
  const third = pool.take(60_000)
  expect(second.buffer).toBe(first.buffer)
  expect(third.buffer).not.toBe(first.buffer)
  expect(pool.keptBytes).toBe(0)
})

test('what is not its own is not taken back', () => {
  const pool = new FramePool(1 << 20)
  pool.give(Buffer.allocUnsafeSlow(64 * 1024))
  pool.give(pool.take(100))
  pool.give(pool.take(2 << 20))
  expect(pool.keptBytes).toBe(0)
})

test('frames.kept.max.bytes bounds what is kept, and trimming gives it back', () => {
  const pool = new FramePool(128 * 1024)
  const frames = [1, 2, 3].map(() => pool.take(64 * 1024))
  for (const frame of frames) pool.give(frame)
  expect(pool.keptBytes).toBe(128 * 1024)
  pool.trim()
  expect(pool.keptBytes).toBe(64 * 1024)
})
