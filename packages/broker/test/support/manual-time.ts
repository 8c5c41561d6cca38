/** Time that passes when the test says so. */
import { type Outside, systemOutside } from '@millrace/base'

export class ManualTime implements Outside {
  readonly random: Outside['random'] = systemOutside({ keepAlive: false }).random
  #nowMs = 0
  #timers: { at: number; run: () => void }[] = []

  readonly clock: Outside['clock'] = { now: () => this.#nowMs, monotonic: () => this.#nowMs }

  readonly timers: Outside['timers'] = {
    after: (ms: number, run: () => void) => {
      const timer = { at: this.#nowMs + ms, run }
      this.#timers.push(timer)
      return {
        cancel: () => {
          this.#timers = this.#timers.filter(other => other !== timer)
        },
      }
    },
    soon: (run: () => void) => void setImmediate(run),
  }

  pass(ms: number): void {
    const end = this.#nowMs + ms
    for (;;) {
      const next = this.#timers.sort((a, b) => a.at - b.at)[0]
      if (next === undefined || next.at > end) break
      this.#timers.shift()
      this.#nowMs = next.at
      next.run()
    }
    this.#nowMs = end
  }
}
