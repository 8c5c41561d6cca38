/**
 * A circuit breaker: stops calling what keeps failing, then probes it.
 *
 *            failures in a row                time
 *   closed ────────────────────► open ─────────────────► half-open
 *     ▲                            ▲                        │  │
 *     │                            └─────── a failure ──────┘  │
 *     └──────────────────── successes of probes ───────────────┘
 *
 * It knows no timers: an open circuit becomes half-open when it is next asked after its time. An
 * attempt that was let through under an earlier state (`generation`) does not count in a later one,
 * so slow failures of before cannot open a circuit that probes have closed.
 */

/** What a circuit is in. */
export type CircuitState = 'closed' | 'open' | 'half-open'

/** Bounds of a circuit. */
export type CircuitBounds = {
  /** Failures in a row that open it; 0: it never opens. */
  readonly failures: number
  readonly openMs: number
  readonly probes: number
}

/** Permission for one attempt: to be given back by `settle`, whatever became of it. */
export type Pass = { readonly generation: number }

export class Circuit {
  readonly #bounds: CircuitBounds
  readonly #monotonic: () => number
  #state: CircuitState = 'closed'
  #generation = 0
  #failuresInRow = 0
  #openUntil = 0
  #probesOut = 0
  #probesGood = 0

  constructor(bounds: CircuitBounds, monotonic: () => number) {
    this.#bounds = bounds
    this.#monotonic = monotonic
  }

  get state(): CircuitState {
    return this.#state === 'open' && this.#monotonic() >= this.#openUntil
      ? 'half-open'
      : this.#state
  }

  get failuresInRow(): number {
    return this.#failuresInRow
  }

  /** Ms until probes are let through; 0 when one may go now or the circuit is closed. */
  get waitMs(): number {
    return this.#state === 'open' ? Math.max(0, this.#openUntil - this.#monotonic()) : 0
  }

  /** Lets an attempt through, or not (undefined). */
  enter(): Pass | undefined {
    if (this.#state === 'open') {
      if (this.#monotonic() < this.#openUntil) return undefined
      this.#move('half-open')
    }
    if (this.#state === 'half-open') {
      if (this.#probesOut >= this.#bounds.probes) return undefined
      this.#probesOut += 1
    }
    return { generation: this.#generation }
  }

  /** What became of an attempt; `neither` is one that was ended from outside. */
  settle(pass: Pass, outcome: 'success' | 'failure' | 'neither'): void {
    if (pass.generation !== this.#generation) return
    const probing = this.#state === 'half-open'
    if (probing) this.#probesOut -= 1
    if (outcome === 'success') {
      this.#failuresInRow = 0
      if (probing && ++this.#probesGood >= this.#bounds.probes) this.#move('closed')
    } else if (outcome === 'failure') {
      this.#failuresInRow += 1
      const limit = this.#bounds.failures
      if (probing || (limit > 0 && this.#failuresInRow >= limit)) this.#open()
    }
  }

  #open(): void {
    this.#openUntil = this.#monotonic() + this.#bounds.openMs
    this.#move('open')
  }

  #move(state: CircuitState): void {
    this.#state = state
    this.#generation += 1
    this.#probesOut = 0
    this.#probesGood = 0
    if (state === 'closed') this.#failuresInRow = 0
  }
}
