import { describe, expect, it } from 'vitest'
import { TimerWheel } from '../src/timer-wheel.ts'
import { rng, VirtualTime } from './groups/virtual.ts'

function wheelAt(startMs: number): Promise<{ time: VirtualTime; wheel: TimerWheel }> {
  const time = new VirtualTime()
  return time
    .run(startMs)
    .then(() => ({ time, wheel: new TimerWheel({ clock: time, timers: time }) }))
}

describe('TimerWheel', () => {
  it('runs every timer once, never early, and within a millisecond, over all its levels', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = rng(seed)
      const { time, wheel } = await wheelAt(random.below(1e6) + random.next())
      const fired: number[] = []
      const expected: number[] = []
      for (let i = 0; i < 300; i++) {
        const ms = random.below(4 ** (1 + random.below(14)))
        const at = time.monotonic() + ms
        const timer = wheel.after(ms, () => {
          fired.push(i)
          expect(time.monotonic(), `seed ${seed}`).toBeGreaterThanOrEqual(at)
          expect(time.monotonic(), `seed ${seed}`).toBeLessThanOrEqual(at + 2)
        })
        if (random.chance(0.3)) timer.cancel()
        else expected.push(i)
        if (random.chance(0.1)) await time.run(random.below(5000) + random.next())
      }
      await time.run(4 ** 14 + 10)
      expect(
        fired.sort((a, b) => a - b),
        `seed ${seed}`,
      ).toEqual(expected)
      expect(wheel.size).toBe(0)
      expect(time.waiting).toBe(0)
    }
  })

  it('holds one timer of the platform for many, and none when empty', async () => {
    const { time, wheel } = await wheelAt(0)
    const timers = Array.from({ length: 100_000 }, (_, i) => wheel.after(1000 + i, () => undefined))
    expect(time.waiting).toBe(1)
    expect(time.started).toBe(1)
    for (const timer of timers) timer.cancel()
    expect(wheel.size).toBe(0)
    expect(time.waiting).toBe(0)
  })

  it('arms again for a timer that is due before the others', async () => {
    const { time, wheel } = await wheelAt(5)
    const fired: string[] = []
    wheel.after(5000, () => fired.push('late'))
    wheel.after(10, () => fired.push('early'))
    await time.run(11)
    expect(fired).toEqual(['early'])
    await time.run(5000)
    expect(fired).toEqual(['early', 'late'])
  })

  it('lets a callback start and cancel others, also those due with it', async () => {
    const { time, wheel } = await wheelAt(0)
    const fired: string[] = []
    wheel.after(10, () => {
      fired.push('a')
      second.cancel()
      wheel.after(0, () => fired.push('c'))
    })
    const second = wheel.after(10, () => fired.push('b'))
    await time.run(20)
    expect(fired).toEqual(['a', 'c'])
  })

  it('runs the other callbacks when one throws, and then reports it', async () => {
    const { time, wheel } = await wheelAt(0)
    let ran = false
    wheel.after(10, () => {
      throw new Error('broken')
    })
    wheel.after(10, () => {
      ran = true
    })
    await expect(time.run(20)).rejects.toThrow('broken')
    expect(ran).toBe(true)
    expect(wheel.size).toBe(0)
  })

  it('runs nothing after it is closed', async () => {
    const { time, wheel } = await wheelAt(0)
    let ran = false
    const timer = wheel.after(10, () => {
      ran = true
    })
    wheel.close()
    timer.cancel()
    wheel.after(5, () => {
      ran = true
    })
    await time.run(100)
    expect(ran).toBe(false)
    expect(time.waiting).toBe(0)
  })
})
