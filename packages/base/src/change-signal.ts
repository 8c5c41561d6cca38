/** Wakes those who wait for something to change. Waiting costs nothing but the promise. */
export class ChangeSignal {
  #waiting: (() => void)[] = []

  /** Wakes all who wait now. */
  changed(): void {
    if (this.#waiting.length === 0) return
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }

  /** Resolves at the next change, or when the signal fires. */
  wait(signal?: AbortSignal): Promise<void> {
    return new Promise(resolve => {
      if (signal?.aborted) {
        resolve()
        return
      }
      const wake = (): void => {
        signal?.removeEventListener('abort', wake)
        resolve()
      }
      this.#waiting.push(wake)
      signal?.addEventListener('abort', wake, { once: true })
    })
  }
}
