import type { Figures } from 'millrace'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { LiveFigures } from '../../src/application/live-figures.ts'
import { KeptOutput } from '../support/command-run.ts'

const processor = {
  ...{ name: 'applications', kind: 'projection' as const, state: 'running' as const },
  ...{ restarts: 0, checkpoint: null, handled: 10, rate: 12_345, lag: 7, timeLeftMs: 3_200 },
  parked: 0,
  reason: 'a reason that is longer than any terminal is wide, so that it has to be cut somewhere',
}

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

function shown(figures: () => Promise<Figures>, isTerminal = true) {
  const output = new KeptOutput(isTerminal)
  const live = new LiveFigures({
    ...{ name: 'loans', output, figures, now: () => Date.now() },
    application: { processors: () => [processor] },
  })
  return { output, live }
}

const ESC = '\u001b'
const printed = (text: string): string[] =>
  text.split('\n').map(line => line.replaceAll(new RegExp(`\\r|${ESC}\\[\\d*[A-Z]`, 'g'), ''))

describe('live figures', () => {
  test('fit a terminal of 80 columns and 24 lines, and say how to stop', async () => {
    const many = Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`figure ${n}`, n]))
    const { output, live } = shown(async () => many)
    await vi.advanceTimersByTimeAsync(0)
    live.end()
    const lines = printed(output.text)
    expect(lines.length).toBeLessThan(24)
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThan(80)
    expect(output.text).toContain('Ctrl-C stops it')
  })

  test('are written over, in one piece, so that nothing flickers', async () => {
    let events = 0
    const { output, live } = shown(async () => {
      events += 100
      return { events }
    })
    await vi.advanceTimersByTimeAsync(0)
    const first = output.text
    await vi.advanceTimersByTimeAsync(1_000)
    live.end()
    const second = output.text.slice(first.length)
    const drawn = first.split('\n').length - 1
    expect(second.startsWith(`\r${ESC}[${drawn}A`)).toBe(true)
    expect(second.split('\n').length - 1).toBe(drawn)
    // 100 more within a second.
    expect(second).toContain('6,000')
  })

  test('are a line every ten seconds where nobody looks at a screen', async () => {
    const { output, live } = shown(async () => ({ events: 1_234, state: 'open' }), false)
    await vi.advanceTimersByTimeAsync(10_000)
    live.end()
    expect(output.lines).toEqual(['events 1,234  state open', 'events 1,234  state open'])
  })

  test('that fail are told, and asked for again', async () => {
    let asked = 0
    const { output, live } = shown(async () => {
      asked += 1
      throw new Error('the database is away')
    })
    await vi.advanceTimersByTimeAsync(2_000)
    live.end()
    expect(asked).toBe(3)
    expect(output.text).toContain('figures: the database is away')
  })

  test('are not asked for while an answer is out, and show nothing after the end', async () => {
    let asked = 0
    const answer = Promise.withResolvers<Figures>()
    const { output, live } = shown(() => {
      asked += 1
      return answer.promise
    })
    await vi.advanceTimersByTimeAsync(5_000)
    expect(asked).toBe(1)
    live.end()
    answer.resolve({ events: 1 })
    await vi.advanceTimersByTimeAsync(5_000)
    expect(output.text).toBe('')
  })
})
