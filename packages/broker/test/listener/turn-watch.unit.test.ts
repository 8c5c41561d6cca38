// The watchdog of the loop: what it tells, and what it leaves alone.
import { expect, test } from 'vitest'
import type { LogFields } from '../../src/listener/logger.ts'
import { type Asking, TICK_MS, TurnWatch } from '../../src/listener/turn-watch.ts'

function scene(warnMs = 100) {
  const lines: { readonly fields: LogFields; readonly message: string }[] = []
  const clock = { now: 1000 }
  const note = (fields: LogFields, message: string): void => void lines.push({ fields, message })
  const logger = { info: note, warn: note, error: note }
  const watch = new TurnWatch(() => clock.now, warnMs, logger)
  const asking = (clientId = 'me'): Asking => ({
    ...{ peer: '127.0.0.1:5', api: 'Fetch', version: 12, clientId },
  })
  const run = (ms: number, clientId?: string): unknown =>
    watch.run(
      () => asking(clientId),
      () => {
        clock.now += ms
      },
    )
  return { lines, clock, watch, run }
}

test('a request that holds the loop is named, with its API, client and connection', () => {
  const { lines, run, watch } = scene()
  run(99)
  expect(lines).toEqual([])
  run(130)
  expect(lines).toEqual([
    {
      fields: { peer: '127.0.0.1:5', request: 'Fetch version 12 of client me', ms: 130 },
      message: 'a request held the event loop',
    },
  ])
  expect(watch.metrics()).toMatchObject({
    request_turn_longest_ms: 130,
    request_turns_slow_total: 1,
  })
})

test('nothing of a client id but plain characters, and not many, reaches the line', () => {
  const { lines, run } = scene()
  run(200, `\u001b[2J\nroot ${'x'.repeat(300)}`)
  const told = String(lines[0]?.fields['request'])
  expect(told).toMatch(/^Fetch version 12 of client [\w?]+$/)
  expect(told.length).toBeLessThan(100)
})

test('a request is named also when it fails', () => {
  const { lines, clock, watch } = scene()
  const asking = { peer: 'p', api: 'Produce', version: 9, clientId: '' }
  const fail = (): never => {
    clock.now += 150
    throw new Error('as the test asked')
  }
  expect(() => watch.run(() => asking, fail)).toThrow('as the test asked')
  expect(lines[0]?.fields['request']).toBe('Produce version 9 of client (no id)')
})

test('a loop that stands still is noticed by a late tick, with the longest piece since the last', () => {
  const { lines, clock, watch, run } = scene()
  watch.tick()
  clock.now += TICK_MS + 20
  watch.tick()
  expect(lines).toEqual([])
  run(40)
  run(10)
  clock.now += TICK_MS + 500
  watch.tick()
  expect(lines).toEqual([
    {
      fields: { ms: 550, request: 'Fetch version 12 of client me', requestMs: 40 },
      message: 'the event loop stood still',
    },
  ])
  expect(watch.metrics()['loop_standstill_longest_ms']).toBe(550)
})

test('the client that a late tick names is the one of the piece that it tells', () => {
  const { lines, clock, watch, run } = scene()
  watch.tick()
  run(300, 'long')
  run(150, 'short')
  clock.now += TICK_MS
  watch.tick()
  expect(lines.at(-1)?.fields).toMatchObject({
    request: 'Fetch version 12 of client long',
    requestMs: 300,
  })
})

test('the longest turn is one of the last minutes, not of all time', () => {
  const { clock, watch, run } = scene(10_000)
  run(70)
  for (let i = 0; i < 3; i += 1) {
    clock.now += 60_000
    watch.tick()
  }
  expect(watch.metrics()['request_turn_longest_ms']).toBe(0)
})
