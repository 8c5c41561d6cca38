// The loops that all contenders are timed with. Closed loops: every writer awaits one append before
// it makes the next, so that a slow store is asked less, and never more than `writers` at a time.
// Bound: a warm-up of 1 s, at least 10 loads.
import { median, sleep } from '../stats.ts'
import type { Figures } from './contenders.ts'

const warmupMs = 1_000
const minLoads = 10

/** Runs `append` in a closed loop of each writer for `seconds` after the warm-up. */
export async function closedLoop(
  writers: number,
  seconds: number,
  append: (writer: number) => Promise<unknown>,
): Promise<Figures> {
  let appends = 0
  let running = true
  const loop = async (writer: number): Promise<void> => {
    while (running) {
      await append(writer)
      appends++
    }
  }
  const done = Promise.all(Array.from({ length: writers }, (_, writer) => loop(writer)))
  try {
    await Promise.race([sleep(warmupMs), done])
    const before = appends
    const begin = performance.now()
    await Promise.race([sleep(seconds * 1000), done])
    return { appendsPerSecond: ((appends - before) * 1000) / (performance.now() - begin) }
  } finally {
    running = false
    await done
  }
}

/** Repeats `load` after a warm-up; the median of its durations in ms. */
export async function repeatLoads(seconds: number, load: () => Promise<unknown>): Promise<Figures> {
  const times: number[] = []
  const begin = performance.now()
  let warm = false
  while (times.length < minLoads || performance.now() - begin < warmupMs + seconds * 1000) {
    const at = performance.now()
    await load()
    if (warm) times.push(performance.now() - at)
    warm ||= performance.now() - begin > warmupMs
  }
  return { ms: median(times), loads: times.length }
}

/** The events a second that `work` gets through. */
export async function rate(events: number, work: () => Promise<unknown>): Promise<Figures> {
  const begin = performance.now()
  await work()
  return { eventsPerSecond: (events * 1000) / (performance.now() - begin) }
}
