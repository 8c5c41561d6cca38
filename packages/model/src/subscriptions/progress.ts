/**
 * How far a follower is in each of its buckets: what is handled, what of it is committed, how far
 * behind it is, and who waits for it.
 */
import type { Checkpoint, EventPage } from '@millrace/store'
import type { RuntimeContext } from '../context.ts'
import type { BucketPosition, Ownership } from './ownership.ts'
import {
  checkpointOf,
  NO_POSITIONS,
  offsetIn,
  onlyOf,
  type Positions,
  positionsIn,
  withPositions,
} from './positions.ts'
import type { FollowerSettings } from './settings.ts'

/** What is kept beside the positions of the categories that are followed. */
export type Beside = {
  readonly note?: (bucket: number) => string
  readonly position?: (bucket: number) => Positions
}

/** What progress is made of. */
export type ProgressOptions = {
  readonly context: RuntimeContext
  readonly categories: readonly string[]
  readonly ownership: Ownership
  readonly settings: FollowerSettings
  readonly beside: Beside
}

/** See the head of the file. */
export class Progress {
  readonly #options: ProgressOptions
  #handled: Positions = NO_POSITIONS
  #buckets: readonly number[] = []
  #uncommitted = new Set<number>()
  /** Commits come one after the other, so that an older one never overtakes a newer one. */
  #committing: Promise<void> = Promise.resolve()
  #timer: { cancel(): void } | null = null
  /** Wake those that wait. */
  readonly #waiters = new Set<() => void>()
  #lag = 0
  #lagAt = Number.NEGATIVE_INFINITY

  constructor(options: ProgressOptions) {
    this.#options = options
  }

  /** Up to where everything is handled. */
  get handled(): Positions {
    return this.#handled
  }

  /** Null before the first position is known. */
  get checkpoint(): Checkpoint | null {
    const { store } = this.#options.context
    return this.#handled.size === 0 ? null : checkpointOf(store.id, this.#handled)
  }

  /** Records of the log between the position and the decided end, when it was last measured. */
  get lag(): number {
    return this.#lag
  }

  /** Begins with these buckets there. `changed`: those whose position is not the committed one. */
  begin(positions: Positions, buckets: readonly number[], changed: Iterable<number>): void {
    this.#handled = positions
    this.#buckets = buckets
    this.#uncommitted = new Set(changed)
  }

  /** A page is handled. `failed` is told when it cannot be committed. */
  async advance(page: EventPage, failed: (error: unknown) => void): Promise<void> {
    const { categories, context, settings } = this.#options
    const reached = positionsIn(page.checkpoint, categories, this.#buckets)
    this.#handled = withPositions(this.#handled, reached)
    for (const bucket of this.#buckets) this.#uncommitted.add(bucket)
    this.wake()
    const interval = settings['follower.commit.interval.ms']
    if (interval === 0) await this.commit()
    else
      this.#timer ??= context.outside.timers.after(interval, () => {
        this.#timer = null
        this.commit().catch(failed)
      })
    if (page.caughtUp) this.#lag = 0
    else await this.#measureLag()
  }

  /** Commits what is handled and is not committed yet. */
  commit(): Promise<void> {
    const turn = this.#committing.then(async () => {
      const { ownership, categories, beside } = this.#options
      const positions = new Map<number, BucketPosition>()
      for (const bucket of this.#uncommitted) {
        const own = onlyOf(this.#handled, categories, bucket)
        const more = beside.position?.(bucket) ?? NO_POSITIONS
        const note = beside.note?.(bucket) ?? ''
        positions.set(bucket, { positions: withPositions(own, more), note })
      }
      if (positions.size === 0) return
      this.#uncommitted.clear()
      await ownership.commit(positions)
    })
    this.#committing = turn.catch(() => {})
    return turn
  }

  /** The last commit of an epoch. */
  async end(): Promise<void> {
    this.#timer?.cancel()
    this.#timer = null
    await this.commit().catch(() => {
      // Refused when the buckets have gone, or not possible: then the pages come again, here or there.
    })
  }

  /** Lets those that wait look again. */
  wake(): void {
    for (const wake of this.#waiters) wake()
  }

  /** Resolves when a page was handled, a signal fired, or (if asked for) a while has passed. */
  async next(signal: AbortSignal, pollMs: number | null): Promise<void> {
    if (signal.aborted) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const { timers } = this.#options.context.outside
    const timer = pollMs === null ? null : timers.after(pollMs, resolve)
    const wake = (): void => resolve()
    this.#waiters.add(wake)
    signal.addEventListener('abort', wake, { once: true })
    await promise
    signal.removeEventListener('abort', wake)
    this.#waiters.delete(wake)
    timer?.cancel()
  }

  async #measureLag(): Promise<void> {
    const { context, settings, categories } = this.#options
    const now = context.outside.clock.monotonic()
    if (now - this.#lagAt < settings['follower.lag.interval.ms']) return
    this.#lagAt = now
    let lag = 0
    for (const { category, buckets } of await context.store.describe()) {
      if (!categories.includes(category)) continue
      for (const { bucket, decided } of buckets)
        if (this.#buckets.includes(bucket))
          lag += Math.max(0, decided - offsetIn(this.#handled, category, bucket))
    }
    this.#lag = lag
  }
}
