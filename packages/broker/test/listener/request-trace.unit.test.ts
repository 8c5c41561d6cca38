import { expect, test } from 'vitest'
import { RequestTrace } from '../../src/listener/request-trace.ts'

test('each step takes the time between its moment and the one before, and all of them the whole', () => {
  const trace = new RequestTrace(() => 0)
  for (let request = 0; request < 100; request += 1) {
    const slow = request === 99 ? 1000 : 0
    trace.note({
      firstByte: 10,
      lastByte: 11,
      parsed: 11,
      entered: 11.5,
      sealed: 12,
      written: 14 + slow,
      applied: 15 + slow,
      answered: 15 + slow,
      drained: 16 + slow,
    })
  }
  const metrics = trace.metrics()
  expect(metrics).toMatchObject({
    trace_requests_total: 100,
    trace_last_byte_us_total: 100_000,
    trace_entered_us_total: 50_000,
    trace_written_us_total: 1_200_000,
    trace_whole_us_total: 1_600_000,
  })
  expect(metrics['trace_written_p50_us']).toBeGreaterThanOrEqual(2000)
  expect(metrics['trace_written_p50_us']).toBeLessThan(2900)
})

test('a request that waited for no group of its own has no negative steps', () => {
  const trace = new RequestTrace(() => 0)
  trace.note({
    firstByte: 10,
    lastByte: 10,
    parsed: 10,
    entered: 11,
    sealed: 3,
    written: 4,
    applied: 5,
    answered: 12,
    drained: 13,
  })
  expect(trace.metrics()).toMatchObject({
    trace_sealed_us_total: 0,
    trace_answered_us_total: 1000,
    trace_whole_us_total: 3000,
  })
})
