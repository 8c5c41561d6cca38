/**
 * Writes the indexes of all buckets: after a number of bytes or a time, one bucket after the other.
 * Who brings records waits while twice that number of bytes is in memory.
 */
import type { Outside, Timer } from '@millrace/base'
import { ChangeSignal } from '@millrace/base'
import type { Bucket } from './bucket.ts'

/** Bounds of a flusher. */
export type FlushLimits = { readonly bytes: number; readonly ms: number }

/** See the head of the file. */
export class Flusher {
  readonly #buckets: readonly Bucket[]
  readonly #limits: FlushLimits
  readonly #outside: Outside
  readonly #failed: (error: unknown) => void
  readonly #done = new ChangeSignal()
  #timer: Timer | null = null
  #run: Promise<void> | null = null
  #closed = false

  constructor(
    buckets: readonly Bucket[],
    limits: FlushLimits,
    outside: Outside,
    failed: (error: unknown) => void,
  ) {
    this.#buckets = buckets
    this.#limits = limits
    this.#outside = outside
    this.#failed = failed
  }

  /** Bytes that wait in memory. */
  get bytes(): number {
    let bytes = 0
    for (const bucket of this.#buckets) bytes += bucket.index.bytes
    return bytes
  }

  /** To be called after records were folded. Resolves at once unless too much is in memory. */
  noted(): Promise<void> | undefined {
    if (this.#closed) return undefined
    const { bytes } = this
    if (bytes >= this.#limits.bytes) this.#start()
    else this.#timer ??= this.#outside.timers.after(this.#limits.ms, () => this.#start())
    return bytes >= 2 * this.#limits.bytes ? this.#room() : undefined
  }

  /** Writes everything that is in memory now. */
  async flush(): Promise<void> {
    await this.#run
    this.#start()
    await this.#run
  }

  /** Writes what is left, and stops. */
  async close(): Promise<void> {
    await this.flush()
    this.#closed = true
    this.#timer?.cancel()
  }

  async #room(): Promise<void> {
    while (!this.#closed && this.bytes >= 2 * this.#limits.bytes) {
      // What came in during a write is not in it, and those who bring more all wait here.
      this.#start()
      await this.#done.wait()
    }
  }

  #start(): void {
    this.#timer?.cancel()
    this.#timer = null
    if (this.#run !== null || this.#closed) return
    this.#run = this.#writeAll().finally(() => {
      this.#run = null
      this.#done.changed()
    })
  }

  async #writeAll(): Promise<void> {
    try {
      for (const bucket of this.#buckets) await bucket.flush()
    } catch (error) {
      this.#closed = true
      this.#failed(error)
    }
  }
}
