// Ages where the wall clock jumps: what is fresh by the monotonic clock stays fresh.
import { describe, expect, test } from 'vitest'
import { SimDisk } from '../../src/simulation.ts'
import { CLOCK_FILE, readClock, writeClock } from '../../src/storage/clock-file.ts'
import { type ClockMemory, ExpiryClock, JUMPS_MAX } from '../../src/storage/expiry-clock.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const START = 1_700_000_000_000

function clocks(memory?: ClockMemory, wall = START) {
  const now = { wall, monotonic: 0 }
  const events: string[] = []
  const ages = new ExpiryClock({
    clock: { now: () => now.wall, monotonic: () => now.monotonic },
    limits: { jumpMaxMs: 60_000, startJumpMaxMs: DAY, holdMs: 7 * DAY },
    memory,
    onEvent: event => void events.push(event.message),
  })
  const pass = (ms: number): void => {
    for (let left = ms; left > 0; left -= HOUR) {
      now.wall += Math.min(left, HOUR)
      now.monotonic += Math.min(left, HOUR)
      ages.look()
    }
  }
  const jump = (ms: number): void => {
    now.wall += ms
    ages.look()
  }
  return { ages, now, events, pass, jump }
}

describe('an age', () => {
  test('is by the wall clock as long as both clocks go on alike', () => {
    const { ages, pass, events } = clocks()
    pass(30 * DAY)
    expect(ages.ageOf(START)).toBe(30 * DAY)
    expect(ages.ageOf(START + 31 * DAY)).toBe(-DAY)
    expect(events).toEqual([])
  })

  test('does not grow by a jump ahead, for what was there before it; what comes after ages at once', () => {
    const { ages, now, pass, jump, events } = clocks()
    pass(DAY)
    jump(8 * DAY)
    expect(ages.ageOf(START)).toBe(DAY)
    const written = now.wall
    pass(2 * HOUR)
    expect(ages.ageOf(START)).toBe(DAY + 2 * HOUR)
    expect(ages.ageOf(written)).toBe(2 * HOUR)
    // Clients whose clocks are right go on writing the old time.
    expect(ages.ageOf(START + DAY + HOUR)).toBe(HOUR)
    expect(ages.heldBackMs).toBe(8 * DAY)
    expect(events).toEqual([expect.stringContaining('ahead by 8 days while the log was open')])
  })

  test('takes small steps as they are', () => {
    const { ages, pass, jump, events } = clocks()
    for (let i = 0; i < 10; i += 1) {
      pass(HOUR)
      jump(i % 2 === 0 ? 59_000 : -59_000)
    }
    expect(ages.ageOf(START)).toBe(10 * HOUR)
    expect(events).toEqual([])
  })

  test('counts a jump once it has been held for its time, and says so', () => {
    const { ages, pass, jump, events } = clocks()
    jump(8 * DAY)
    pass(7 * DAY - HOUR)
    expect(ages.ageOf(START)).toBe(7 * DAY - HOUR)
    pass(HOUR)
    expect(ages.ageOf(START)).toBe(15 * DAY)
    expect([ages.heldBackMs, ages.jumpsTotal, events.length]).toEqual([0, 1, 2])
  })

  test('a jump back undoes those ahead, in part or whole, and tells what is left', () => {
    const { ages, pass, jump, events } = clocks()
    jump(8 * DAY)
    pass(HOUR)
    jump(-3 * DAY)
    expect([ages.heldBackMs, ages.ageOf(START)]).toEqual([5 * DAY, HOUR])
    jump(-5 * DAY)
    expect([ages.heldBackMs, ages.ageOf(START)]).toEqual([0, HOUR])
    jump(-DAY)
    expect(ages.ageOf(START)).toBe(HOUR - DAY)
    expect(events.at(-1)).toContain('stays for 24 hours longer')
  })

  test.each([1, 2, JUMPS_MAX, JUMPS_MAX + 1, 50])('%i jumps never make anything older', count => {
    const { ages, now, pass, jump } = clocks()
    const written: { at: number; monotonic: number }[] = []
    for (let i = 0; i < count; i += 1) {
      written.push({ at: now.wall, monotonic: now.monotonic })
      pass(HOUR)
      jump((i + 1) * DAY)
      pass(HOUR)
    }
    for (const { at, monotonic } of written) {
      expect(ages.ageOf(at)).toBeLessThanOrEqual(now.monotonic - monotonic)
    }
    expect(ages.memory.jumps.length).toBeLessThanOrEqual(JUMPS_MAX)
  })
})

describe('over a restart', () => {
  test('jumps are still held, for the rest of their time', () => {
    const before = clocks()
    before.jump(8 * DAY)
    before.pass(DAY)
    const { ages, pass } = clocks(before.ages.memory, before.now.wall + HOUR)
    expect([ages.heldBackMs, ages.ageOf(START)]).toEqual([8 * DAY, DAY + HOUR])
    pass(6 * DAY)
    expect(ages.heldBackMs).toBe(0)
  })

  test('a short absence is time, a long one a jump, and one back is told', () => {
    const memory = { seenAt: START, jumps: [] }
    expect(clocks(memory, START + DAY).ages.ageOf(START)).toBe(DAY)
    const years = clocks(memory, START + 3000 * DAY)
    expect(years.ages.ageOf(START - HOUR)).toBe(HOUR)
    expect(years.events).toEqual([expect.stringContaining('while the log was closed')])
    expect(clocks(memory, START - DAY).events).toEqual([
      expect.stringContaining('back by 24 hours'),
    ])
  })

  test('what is written down is read, and what is torn or foreign is nothing', async () => {
    const disk = new SimDisk()
    expect(readClock(disk)).toBeUndefined()
    const jumps = Array.from({ length: JUMPS_MAX }, (_, i) => ({
      after: START + i,
      by: i + 1,
      heldMs: 0.5,
    }))
    for (const memory of [
      { seenAt: START, jumps },
      { seenAt: START + 1, jumps: [] },
    ]) {
      await writeClock(disk, memory)
      expect(readClock(disk)).toEqual(memory)
    }
    const bytes = disk.bytesOf(CLOCK_FILE) ?? Buffer.alloc(0)
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ 1
      disk.put(CLOCK_FILE, changed)
      expect(readClock(disk)).toBeUndefined()
      disk.put(CLOCK_FILE, bytes.subarray(0, at))
      expect(readClock(disk)).toBeUndefined()
    }
  })
})
