// Virtual time runs timers in order, lets promises go on in between, and waits for nothing.

import { describe, expect, test } from 'vitest'
import { everyOutcome, Prng, scriptedChoose, VirtualOutside } from '../../src/simulation/index.ts'

describe('virtual time', () => {
  test('runs timers by their time, then by their order, never early', async () => {
    const outside = new VirtualOutside(1)
    const seen: string[] = []
    const { timers, clock } = outside
    for (const [name, ms] of [
      ['c', 30],
      ['a', 10],
      ['b', 10],
      ['d', 31],
    ] as const) {
      timers.after(ms, () => seen.push(`${name}@${clock.monotonic()}`))
    }
    timers.soon(() => seen.push('soon'))
    await outside.advance(30)
    expect(seen).toEqual(['soon', 'a@10', 'b@10', 'c@30'])
    expect(clock.monotonic()).toBe(30)
    expect(outside.waiting).toBe(1)
  })

  test('lets chains of promises end before the next timer', async () => {
    const outside = new VirtualOutside(1)
    const seen: string[] = []
    outside.timers.after(1, () => {
      void (async () => {
        for (let i = 0; i < 100; i += 1) await null
        seen.push('chain')
      })()
    })
    outside.timers.after(1, () => seen.push('timer'))
    await outside.advance(1)
    expect(seen).toEqual(['chain', 'timer'])
  })

  test('does not run what was cancelled', async () => {
    const outside = new VirtualOutside(1)
    const timer = outside.timers.after(1, () => expect.fail('cancelled'))
    timer.cancel()
    await outside.advance(5)
    expect(outside.waiting).toBe(0)
  })

  test('drives work to its value or its error, and says when it hangs', async () => {
    const outside = new VirtualOutside(1)
    const work = async (fails: boolean): Promise<string> => {
      await outside.sleep(20_000)
      if (fails) throw new Error('as asked')
      return 'done'
    }
    expect(await outside.drive(work(false))).toBe('done')
    await expect(outside.drive(work(true))).rejects.toThrow('as asked')
    await expect(outside.drive(new Promise(() => undefined))).rejects.toThrow('nothing is due')
    await expect(outside.drive(work(false), { maxMs: 10 })).rejects.toThrow('after 10 ms')
  })

  test('sorts a thousand timers', async () => {
    const prng = new Prng(5)
    const outside = new VirtualOutside(1)
    const seen: number[] = []
    for (let i = 0; i < 1000; i += 1) {
      const ms = prng.below(500)
      const timer = outside.timers.after(ms, () => seen.push(outside.clock.monotonic()))
      if (prng.chance(0.2)) timer.cancel()
    }
    await outside.advance(500)
    expect(seen.length).toBeGreaterThan(700)
    expect(seen).toEqual([...seen].sort((a, b) => a - b))
  })

  test('keeps wall clock and monotonic clock apart', async () => {
    const outside = new VirtualOutside(1)
    const { clock } = outside
    const before = clock.now()
    outside.jumpWallClock(-3_600_000)
    expect(clock.now()).toBe(before - 3_600_000)
    expect(clock.monotonic()).toBe(0)
    await outside.advance(10)
    expect(clock.now()).toBe(before - 3_600_000 + 10)
  })

  test('goes on after a reboot, without the timers of before', async () => {
    const outside = new VirtualOutside(1)
    outside.timers.after(10, () => expect.fail('the process is dead'))
    await outside.advance(5)
    const next = outside.reboot(1000)
    outside.timers.after(1, () => expect.fail('the process is dead'))
    await outside.advance(100)
    expect(next.clock.monotonic()).toBe(1005)
    await next.advance(100)
  })

  test('draws the same bytes from the same seed', () => {
    const bytes = (seed: number): string =>
      new VirtualOutside(seed).random.bytes(16).toString('hex')
    expect(bytes(7)).toBe(bytes(7))
    expect(bytes(7)).not.toBe(bytes(8))
  })
})

describe('every outcome', () => {
  test('runs once for each sequence of choices, also when later ones depend on earlier ones', async () => {
    const seen: string[] = []
    const runs = await everyOutcome(choose => {
      const first = choose(3)
      seen.push(first === 1 ? `${first}${choose(2)}${choose(2)}` : `${first}`)
    })
    expect(seen).toEqual(['0', '100', '101', '110', '111', '2'])
    expect(runs).toBe(6)
  })

  test('names the choices that led to an error', async () => {
    const body = (choose: (n: number) => number): void => {
      if (choose(2) === 1 && choose(3) === 2) throw new Error('found')
    }
    await expect(everyOutcome(body)).rejects.toThrow('run 4, choices 1/2 2/3: Error: found')
    expect(() => body(scriptedChoose([1, 2]))).toThrow('found')
  })

  test('refuses a body that is not deterministic', async () => {
    let runs = 0
    const body = (choose: (n: number) => number): void => {
      runs += 1
      choose(runs + 1)
    }
    await expect(everyOutcome(body)).rejects.toThrow('not deterministic')
  })

  test('gives up beyond its bound', async () => {
    const body = (choose: (n: number) => number): void => {
      for (let i = 0; i < 20; i += 1) choose(2)
    }
    await expect(everyOutcome(body, { runsMax: 1000 })).rejects.toThrow('more than 1000')
  })
})

test('the generator fills its ranges evenly', () => {
  const prng = new Prng(3)
  const counts = new Array<number>(10).fill(0)
  for (let i = 0; i < 100_000; i += 1) {
    const value = prng.below(10)
    counts[value] = (counts[value] ?? 0) + 1
  }
  for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(600)
  expect(new Set(Array.from({ length: 200 }, () => prng.between(3, 5)))).toEqual(new Set([3, 4, 5]))
  expect(new Prng(1).fork().uint32()).not.toBe(new Prng(2).fork().uint32())
})
