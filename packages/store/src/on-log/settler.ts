/**
 * Settles what stands still: an append that began and never ended (its writer died) keeps the decided
 * offset where it is, so whoever sees it stand for `settle.after.ms` cancels it.
 */
import type { Outside, Timer } from '@millrace/base'
import type { Bucket } from './bucket.ts'
import type { ControlWriter, SettleTarget } from './control-writer.ts'

/** Looks this many times in the time that an append may stand. */
const LOOKS = 4

/** See the head of the file. */
export class Settler {
  readonly #buckets: readonly Bucket[]
  readonly #afterMs: number
  readonly #outside: Outside
  readonly #controls: ControlWriter
  readonly #settled: (bucket: Bucket, stream: string, appendId: string) => void
  /** When each open append was first seen, on the monotonic clock. */
  #seen = new Map<string, number>()
  readonly #settling = new Set<Bucket>()
  #timer: Timer | null = null
  #stopped = false

  constructor(
    buckets: readonly Bucket[],
    afterMs: number,
    outside: Outside,
    controls: ControlWriter,
    settled: (bucket: Bucket, stream: string, appendId: string) => void,
  ) {
    this.#buckets = buckets
    this.#afterMs = afterMs
    this.#outside = outside
    this.#controls = controls
    this.#settled = settled
  }

  start(): void {
    this.#timer = this.#outside.timers.after(this.#afterMs / LOOKS, () => {
      this.#look()
      if (!this.#stopped) this.start()
    })
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  async #settle(bucket: Bucket, targets: readonly SettleTarget[]): Promise<void> {
    this.#settling.add(bucket)
    try {
      await this.#controls.settle(bucket, targets)
    } catch {
      // Tried again at a later look; a bucket or log that stopped tells its callers itself.
      return
    } finally {
      this.#settling.delete(bucket)
    }
    for (const { stream, appendId } of targets) this.#settled(bucket, stream, appendId)
  }

  #look(): void {
    const now = this.#outside.clock.monotonic()
    const seen = new Map<string, number>()
    for (const bucket of this.#buckets) {
      if (bucket.fold.open.size === 0 || bucket.failure !== null) continue
      const late = [...bucket.fold.open.values()].filter(({ appendId }) => {
        const since = this.#seen.get(appendId) ?? now
        seen.set(appendId, since)
        return now - since >= this.#afterMs
      })
      if (late.length === 0 || this.#settling.has(bucket)) continue
      const targets = late.map(({ stream, appendId, first }) => ({
        stream,
        appendId,
        version: first.version,
      }))
      // One that cannot be written to holds up no other.
      void this.#settle(bucket, targets)
    }
    this.#seen = seen
  }
}
