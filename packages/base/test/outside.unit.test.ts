// Timers of the platform: never early, however long they are.
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { systemOutside } from '../src/outside.ts'

const DAY_MS = 86_400_000

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

test('a timer beyond what the platform takes fires at its time and not at once', () => {
  const fired = vi.fn()
  systemOutside().timers.after(40 * DAY_MS, fired)
  vi.advanceTimersByTime(40 * DAY_MS - 1)
  expect(fired).not.toHaveBeenCalled()
  vi.advanceTimersByTime(1)
  expect(fired).toHaveBeenCalledOnce()
})

test('a timer that is cancelled never fires, also in its later parts', () => {
  const fired = vi.fn()
  const timer = systemOutside().timers.after(40 * DAY_MS, fired)
  vi.advanceTimersByTime(30 * DAY_MS)
  timer.cancel()
  vi.advanceTimersByTime(40 * DAY_MS)
  expect(fired).not.toHaveBeenCalled()
})

test('a time that has passed is now', () => {
  const fired = vi.fn()
  systemOutside().timers.after(-5, fired)
  vi.advanceTimersByTime(1)
  expect(fired).toHaveBeenCalledOnce()
})
