/**
 * Latencies in fixed room: buckets that grow by GROWTH, so that a percentile is right to within
 * that factor, from FLOOR_MS to hours, however many values there are. The largest is kept exactly.
 */
const FLOOR_MS = 0.01
const GROWTH = 1.02
const BUCKETS = 1_000

export class LatencyHistogram {
  #counts = new Float64Array(BUCKETS)
  #total = 0
  #largest = 0

  /** @param ms what was measured; below zero counts as zero */
  add(ms: number): void {
    const bucket = ms <= FLOOR_MS ? 0 : Math.ceil(Math.log(ms / FLOOR_MS) / Math.log(GROWTH))
    const index = Math.min(BUCKETS - 1, bucket)
    this.#counts[index] = (this.#counts[index] ?? 0) + 1
    this.#total += 1
    this.#largest = Math.max(this.#largest, ms)
  }

  /** The value that `share` (0 to 1) of all values are at most; 0 when there are none. In ms. */
  percentile(share: number): number {
    const wanted = Math.max(1, Math.ceil(this.#total * share))
    let seen = 0
    for (let index = 0; index < BUCKETS; index += 1) {
      seen += this.#counts[index] ?? 0
      if (seen >= wanted) return Math.min(this.#largest, FLOOR_MS * GROWTH ** index)
    }
    return this.#largest
  }
}
