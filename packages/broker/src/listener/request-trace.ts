/**
 * Where produce requests spend their time: a histogram for each step on the way, while
 * `request.trace.enable` is on. Without it nothing looks at a clock.
 *
 *     first byte ─ last byte ─ parsed ─ entered ─ sealed ─ written ─ applied ─ answered ─ drained
 *
 * Each step is named by the moment that ends it; `total` is from the first byte to the last.
 */

/** The moments of a request, in their order. Milliseconds of the monotonic clock. */
export type Moments = {
  firstByte: number
  lastByte: number
  parsed: number
  entered: number
  sealed: number
  written: number
  applied: number
  answered: number
  drained: number
}

type Moment = keyof Moments

const ORDER: readonly Moment[] = [
  'firstByte',
  'lastByte',
  'parsed',
  'entered',
  'sealed',
  'written',
  'applied',
  'answered',
  'drained',
]

/** Buckets grow by the square root of two, from one microsecond to about a minute. */
const BUCKETS_PER_DOUBLING = 2
const BUCKETS = 52

/** Durations of one step. */
class Histogram {
  readonly #counts = new Uint32Array(BUCKETS)
  #sumUs = 0
  #count = 0

  note(us: number): void {
    const bucket = us <= 1 ? 0 : Math.floor(Math.log2(us) * BUCKETS_PER_DOUBLING)
    const at = Math.min(bucket, BUCKETS - 1)
    this.#counts[at] = (this.#counts[at] ?? 0) + 1
    this.#sumUs += us
    this.#count += 1
  }

  /** Upper bound of the bucket in which this share of all durations ends. */
  quantile(share: number): number {
    let seen = 0
    for (let at = 0; at < BUCKETS; at += 1) {
      seen += this.#counts[at] ?? 0
      if (seen >= share * this.#count) return 2 ** ((at + 1) / BUCKETS_PER_DOUBLING)
    }
    return 0
  }

  metrics(name: string): Record<string, number> {
    return {
      [`trace_${name}_us_total`]: Math.round(this.#sumUs),
      [`trace_${name}_p50_us`]: Math.round(this.quantile(0.5)),
      [`trace_${name}_p99_us`]: Math.round(this.quantile(0.99)),
    }
  }
}

/** The histograms of a listener. */
export class RequestTrace {
  readonly #now: () => number
  readonly #steps = ORDER.slice(1).map(() => new Histogram())
  readonly #total = new Histogram()
  #count = 0

  /** @param now monotonic, in milliseconds */
  constructor(now: () => number) {
    this.#now = now
  }

  now(): number {
    return this.#now()
  }

  /** A request whose answer the peer has taken. */
  note(moments: Moments): void {
    let before = moments.firstByte
    for (const [i, step] of this.#steps.entries()) {
      // A duplicate waits for no group of its own: the moments of the last one may lie before.
      const at = Math.max(before, moments[ORDER[i + 1] as Moment])
      step.note((at - before) * 1000)
      before = at
    }
    this.#total.note((before - moments.firstByte) * 1000)
    this.#count += 1
  }

  metrics(): Record<string, number> {
    const metrics: Record<string, number> = { trace_requests_total: this.#count }
    for (const [i, step] of this.#steps.entries()) {
      Object.assign(metrics, step.metrics(snake(ORDER[i + 1] as Moment)))
    }
    return Object.assign(metrics, this.#total.metrics('whole'))
  }
}

const snake = (name: string): string => name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
