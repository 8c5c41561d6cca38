/** Events a second over the last ten seconds, in slots of one second. */
const SLOTS = 10
const SLOT_MS = 1000

export class Rate {
  readonly #counts: number[] = new Array(SLOTS).fill(0)
  readonly #startedAt: number
  #slot: number

  /** @param now monotonic ms */
  constructor(now: number) {
    this.#startedAt = now
    this.#slot = Math.floor(now / SLOT_MS)
  }

  add(count: number, now: number): void {
    this.#move(now)
    this.#counts[this.#slot % SLOTS] = (this.#counts[this.#slot % SLOTS] ?? 0) + count
  }

  /** A second; over the time since the start where that is shorter than ten seconds. */
  perSecond(now: number): number {
    this.#move(now)
    const sum = this.#counts.reduce((a, b) => a + b, 0)
    const sinceStart = (now - this.#startedAt) / SLOT_MS
    const whole = SLOTS - 1 + (now / SLOT_MS - this.#slot)
    const seconds = Math.min(Math.max(sinceStart, 0.001), whole)
    return sum / seconds
  }

  #move(now: number): void {
    const slot = Math.floor(now / SLOT_MS)
    for (let at = Math.max(this.#slot + 1, slot - SLOTS + 1); at <= slot; at += 1) {
      this.#counts[at % SLOTS] = 0
    }
    this.#slot = Math.max(this.#slot, slot)
  }
}
