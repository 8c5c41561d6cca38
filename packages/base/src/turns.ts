/**
 * Expensive work in slices, so that nobody holds the event loop.
 *
 * All work of one kind shares a budget for each turn: it asks `spent` between its steps, and when that
 * is so waits for `next`, in the order in which it asked. What else happens in a turn has the rest.
 */
import type { Clock, Timers } from './outside.ts'

/** The budget of the current turn, and who waits for the next one. */
export class Turns {
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #timers: Pick<Timers, 'soon'>
  readonly #budgetMs: number
  /** When work began in this turn; undefined while none has. */
  #begunAt: number | undefined
  #waiting: (() => void)[] = []

  /** @param budgetMs what one turn may take of this kind of work */
  constructor(
    outside: { readonly clock: Pick<Clock, 'monotonic'>; readonly timers: Pick<Timers, 'soon'> },
    budgetMs: number,
  ) {
    this.#clock = outside.clock
    this.#timers = outside.timers
    this.#budgetMs = budgetMs
  }

  /** Whether the work of this turn has used its budget up: wait for {@link next} before going on. */
  spent(): boolean {
    const now = this.#clock.monotonic()
    if (this.#begunAt === undefined) {
      this.#begunAt = now
      this.#timers.soon(() => this.#turn())
      return false
    }
    return now - this.#begunAt >= this.#budgetMs
  }

  /** Resolves in a later turn, when it has room. */
  next(): Promise<void> {
    return new Promise(resolve => {
      this.#waiting.push(resolve)
      if (this.#begunAt !== undefined) return
      this.#begunAt = this.#clock.monotonic()
      this.#timers.soon(() => this.#turn())
    })
  }

  #turn(): void {
    this.#begunAt = undefined
    this.#goOn()
  }

  /** One after the other: whoever goes on may use the budget up. */
  #goOn(): void {
    const first = this.#waiting.shift()
    if (first === undefined) return
    if (this.spent()) {
      this.#waiting.unshift(first)
      return
    }
    first()
    // Behind what goes on now, which runs in microtasks up to its own next wait.
    if (this.#waiting.length > 0) queueMicrotask(() => queueMicrotask(() => this.#goOn()))
  }
}
