/**
 * The frame of the suites: what a case is, the time that it lives in, and how it is run.
 *
 * A case is given a scene of its own, keeps one promise, and cleans up. One that has not ended after
 * `CASE_MS_MAX` fails.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'

/** The longest that one case may take. */
export const CASE_MS_MAX = 60_000
/** How often something that comes about later is looked at. */
const POLL_MS = 10
/** How long something that comes about later is waited for. */
const EVENTUALLY_MS_MAX = 15_000

/** The time that cases live in; real time where absent. */
export type ConformanceTime = {
  now(): number
  sleep(ms: number): Promise<void>
}

/** One promise of a port, and the way to see that it is kept. */
export type ConformanceCase = {
  /** The promise. */
  readonly name: string
  /** Resolves if it is kept, rejects with an AssertionError or the port's own error if not. */
  run(): Promise<void>
}

/** What every factory may say beside how its port is opened. */
export type Surroundings = {
  readonly time?: ConformanceTime
  /** A word that no other run uses; random where absent. */
  readonly unique?: () => string
}

/** A case as the files of a suite write it. */
export type CaseOf<S> = {
  readonly name: string
  readonly run: (scene: S) => Promise<void>
}

const REAL_TIME: ConformanceTime = {
  now: () => Date.now(),
  sleep: async ms => {
    await delay(ms)
  },
}

/** What the scenes of all suites have: time, words that nobody else has, and patience. */
export abstract class SceneFrame {
  readonly #time: ConformanceTime
  readonly #unique: () => string

  constructor({ time = REAL_TIME, unique = () => randomUUID().slice(0, 13) }: Surroundings) {
    this.#time = time
    this.#unique = unique
  }

  now(): number {
    return this.#time.now()
  }

  sleep(ms: number): Promise<void> {
    return this.#time.sleep(ms)
  }

  /** A word that no other run and no other call uses. */
  word(): string {
    return this.#unique()
  }

  /** Runs an assertion again until it holds, for a bounded time. */
  async eventually<T>(assertion: () => Promise<T>): Promise<T> {
    const end = this.now() + EVENTUALLY_MS_MAX
    for (;;) {
      try {
        return await assertion()
      } catch (error) {
        if (this.now() >= end) throw error
      }
      await this.sleep(POLL_MS)
    }
  }

  /** Takes away what the case made. What the case found is not hidden by it. */
  abstract end(): Promise<void>
}

/** Turns a spec into a case that opens its scene, runs within its time, and cleans up. */
export function caseOf<S extends SceneFrame>(
  spec: CaseOf<S>,
  open: () => Promise<S>,
): ConformanceCase {
  return {
    name: spec.name,
    run: async () => {
      const scene = await open()
      try {
        await inTime(spec.name, spec.run(scene))
      } finally {
        await scene.end()
      }
    },
  }
}

async function inTime(name: string, work: Promise<void>): Promise<void> {
  const timer = new AbortController()
  const late = delay(CASE_MS_MAX, 'late', { signal: timer.signal }).catch(() => 'stopped')
  try {
    const first = await Promise.race([work.then(() => 'done'), late])
    assert.equal(first, 'done', `not done after ${CASE_MS_MAX} ms: ${name}`)
  } finally {
    timer.abort()
  }
}

/** The element at a place that must be there. */
export function nth<T>(list: readonly T[], index: number): T {
  const element = list[index]
  assert.ok(element !== undefined, `element ${index} of ${list.length}`)
  return element
}

/**
 * What a call fails with; fails itself where the call succeeds (`instead` says what was wanted), and
 * throws on what is no error of the port. Errors are known by name and not by class: what is tested
 * may carry its own copy of the class.
 */
export async function failureOf<E extends Error>(
  call: () => unknown,
  name: E['name'],
  instead: string,
): Promise<E> {
  let caught: unknown
  try {
    await call()
  } catch (error) {
    caught = error
  }
  assert.ok(caught !== undefined, `it succeeded and did not fail with ${instead}`)
  if (!(caught instanceof Error && caught.name === name)) throw caught
  return caught as E
}
