/** Counts what is handled, and how many a second over the last ten seconds. */
const SECONDS = 10
const MS_PER_SECOND = 1000

export class Meter {
  readonly #monotonic: () => number
  /** Counts by second, a ring; and which second each place is of. */
  readonly #counts: number[] = new Array<number>(SECONDS).fill(0)
  readonly #seconds: number[] = new Array<number>(SECONDS).fill(-1)
  readonly #since: number
  #total = 0

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic
    this.#since = monotonic()
  }

  add(count: number): void {
    this.#total += count
    const second = Math.floor(this.#monotonic() / MS_PER_SECOND)
    const at = second % SECONDS
    if (this.#seconds[at] !== second) {
      this.#seconds[at] = second
      this.#counts[at] = 0
    }
    this.#counts[at] = (this.#counts[at] ?? 0) + count
  }

  get total(): number {
    return this.#total
  }

  /** A second; over the time since the start while that is shorter. */
  get rate(): number {
    const now = this.#monotonic()
    const second = Math.floor(now / MS_PER_SECOND)
    let recent = 0
    for (let at = 0; at < SECONDS; at += 1)
      if ((this.#seconds[at] ?? -1) > second - SECONDS) recent += this.#counts[at] ?? 0
    const spanMs = Math.min(SECONDS * MS_PER_SECOND, Math.max(MS_PER_SECOND, now - this.#since))
    return (recent * MS_PER_SECOND) / spanMs
  }
}
