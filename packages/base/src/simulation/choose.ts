/**
 * Where a simulation's choices come from: a seeded generator for random runs, an odometer for
 * exhaustive ones. Both are a {@link Choose}, so that one model serves both.
 */

/** Picks one of `outcomes` outcomes: an integer from 0 to `outcomes - 1`. */
export type Choose = (outcomes: number) => number

/** A seeded generator of 32-bit numbers (sfc32): the same seed, the same run. Not for secrets. */
export class Prng {
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seed: number) {
    this.#a = seed | 0
    this.#b = Math.floor(seed / 0x1_0000_0000) | 0
    this.#c = 0x9e3779b9 | 0
    for (let i = 0; i < 12; i += 1) this.uint32()
  }

  uint32(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  /** From 0 to just below 1. */
  fraction(): number {
    return this.uint32() / 0x1_0000_0000
  }

  /** An integer from 0 to `limit - 1`. */
  below(limit: number): number {
    return Math.floor(this.fraction() * limit)
  }

  /** An integer from `min` to `max`, both included. */
  between(min: number, max: number): number {
    return min + this.below(max - min + 1)
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.fraction() < probability
  }

  /** One of a list that is not empty. */
  pick<T>(list: readonly T[]): T {
    if (list.length === 0) throw new RangeError('nothing to pick from')
    return list[this.below(list.length)] as T
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length)
    for (let i = 0; i < length; i += 1) bytes[i] = this.uint32() & 0xff
    return bytes
  }

  /** A generator of its own, so that one part's draws do not move another's. */
  fork(): Prng {
    return new Prng(this.uint32() * 0x20_0000 + (this.uint32() >>> 11))
  }
}

/** Choices from a seed. */
export function seededChoose(seed: number | Prng): Choose {
  const prng = typeof seed === 'number' ? new Prng(seed) : seed
  return outcomes => prng.below(outcomes)
}

/** Bound of {@link everyOutcome}. */
export type EveryOutcomeOptions = {
  /** Throws RangeError when more runs would be needed. Default 1,000,000. */
  readonly runsMax?: number
}

/**
 * Runs `body` once for every sequence of choices that it can make; returns the number of runs.
 * Throws if the body is not deterministic, that is asks differently after the same choices. An
 * error of the body carries the choices that led to it.
 */
export async function everyOutcome(
  body: (choose: Choose) => Promise<void> | void,
  options: EveryOutcomeOptions = {},
): Promise<number> {
  const runsMax = options.runsMax ?? 1_000_000
  const digits: { value: number; readonly outcomes: number }[] = []
  for (let runs = 1; ; runs += 1) {
    if (runs > runsMax) throw new RangeError(`more than ${runsMax} outcomes`)
    let index = 0
    const choose: Choose = outcomes => {
      const digit = digits[index] ?? { value: 0, outcomes }
      digits[index] = digit
      if (digit.outcomes !== outcomes) throw new Error('the body is not deterministic')
      index += 1
      return digit.value
    }
    try {
      await body(choose)
    } catch (cause) {
      const path = digits.map(({ value, outcomes }) => `${value}/${outcomes}`).join(' ')
      throw new Error(`run ${runs}, choices ${path}: ${String(cause)}`, { cause })
    }
    while (digits.length > 0) {
      const last = digits[digits.length - 1]
      if (last === undefined || last.value + 1 < last.outcomes) break
      digits.pop()
    }
    const last = digits[digits.length - 1]
    if (last === undefined) return runs
    last.value += 1
  }
}

/** Choices recorded before, for a replay of one outcome; 0 when they are used up. */
export function scriptedChoose(script: readonly number[]): Choose {
  let index = 0
  return outcomes => {
    const value = script[index] ?? 0
    index += 1
    return Math.min(value, outcomes - 1)
  }
}
