import { expect, test } from 'vitest'
import { HandOver, LONG_MS, SHORT_MS } from '../../src/disk/hand-over.ts'

const after = (handOver: HandOver, ms: number, times: number): boolean => {
  for (let i = 0; i < times; i += 1) handOver.note(ms)
  return handOver.waits
}

test('nobody stands still for a disk that is not known to be quick', () => {
  expect(new HandOver().waits).toBe(false)
  expect(after(new HandOver(), 5, 100)).toBe(false)
})

test('a run of short syncs is waited for, a run of long ones ends that, one alone changes nothing', () => {
  const handOver = new HandOver()
  expect(after(handOver, 0.1, 50)).toBe(true)
  expect(after(handOver, 100, 1)).toBe(true)
  expect(after(handOver, 0.1, 50)).toBe(true)
  expect(after(handOver, 5, 60)).toBe(false)
})

test('between the two thresholds the choice stays what it was', () => {
  const between = (SHORT_MS + LONG_MS) / 2
  const waiting = new HandOver()
  after(waiting, 0.1, 50)
  expect(after(waiting, between, 1000)).toBe(true)
  const called = new HandOver()
  after(called, 5, 50)
  expect(after(called, between, 1000)).toBe(false)
})
