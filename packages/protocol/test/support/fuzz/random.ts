/**
 * Seeded randomness for tests: the same seed gives the same numbers on every machine.
 *
 * The generator is Mulberry32: 32 bits of state, enough to tell test cases apart and nothing more.
 */

/** A seeded source of small decisions. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** 32 random bits, as an unsigned integer. */
  bits(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }

  /** An integer from 0 to `bound` - 1. */
  below(bound: number): number {
    return Math.floor((this.bits() / 0x1_0000_0000) * bound)
  }

  /** True in one of `count` cases. */
  oneIn(count: number): boolean {
    return this.below(count) === 0
  }

  /** One of the values. */
  pick<Value>(values: readonly [Value, ...Value[]]): Value {
    return values[this.below(values.length)] ?? values[0]
  }

  /** Random bytes. */
  bytes(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length)
    for (let index = 0; index < length; index += 1) bytes[index] = this.bits()
    return bytes
  }
}
