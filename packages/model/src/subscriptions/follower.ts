/**
 * A follower: reads the events of its buckets from the store, a page at a time, hands each page to
 * its worker, and commits how far it is. Sagas and subscriptions are followers.
 *
 *   starting ──► rebuilding ──caught up──► running
 *                   ▲  │                     │
 *                   │  └─────── failure ─────┤
 *                   └──── wait ◄─ restarting ┘        a final failure: stopped
 *
 * Buckets come and go while it runs. At each change the page in hand is finished, its positions are
 * committed, and reading begins anew with the buckets that are left or have come (an *epoch*). A
 * page is committed after it was handled, at the latest `follower.commit.interval.ms` later; so
 * after a crash some pages are handled again, in the same order. What a worker throws ends the
 * epoch; the follower says why, waits, doubling, and goes on from what was committed.
 */
import { backoffMs } from '@millrace/log'
import type { Checkpoint, EventFilter, EventPage } from '@millrace/store'
import { ModelError, reasonOf } from '../errors.ts'
import { waitMs } from '../policy/wait.ts'
import type { Processor, ProcessorStatus, RuntimeContext } from '../runtime/context.ts'
import { Meter } from './meter.ts'
import type { BucketPosition, Ownership } from './ownership.ts'
import {
  checkpointOf,
  NO_POSITIONS,
  offsetIn,
  type Positions,
  positionsIn,
  positionsOf,
  withPositions,
} from './positions.ts'
import type { FollowerSettings } from './settings.ts'

/** Where a bucket without a position begins. `time`: ms since the epoch. */
export type StartPlace =
  | 'beginning'
  | 'now'
  | { readonly after: Checkpoint }
  | { readonly time: number }

/** What follows. Its calls never overlap. */
export type Worker = {
  /** A new epoch begins with these buckets, before any of its pages. */
  readonly begin?: (epoch: Epoch) => Promise<void>
  /** Handles a page. What it throws ends the epoch; the page comes again. */
  readonly page: (page: EventPage, epoch: Epoch) => Promise<void>
  /** The epoch is over: its signal has fired, its last positions are about to be committed. */
  readonly end?: (epoch: Epoch) => Promise<void>
  /** They are committed. */
  readonly leave?: (epoch: Epoch) => void
  /** Kept with the position of a bucket. */
  readonly note?: (bucket: number) => string
  /** Position of a category that the worker reads by itself, kept with the others. */
  readonly position?: (bucket: number) => Positions
  readonly parked?: () => number
}

/** A time in which the buckets stay the same. */
export type Epoch = {
  readonly buckets: readonly number[]
  /** What was kept with each bucket; missing: nothing yet. */
  readonly kept: ReadonlyMap<number, BucketPosition>
  /** Fires when the epoch must end. */
  readonly signal: AbortSignal
  /** Ends the epoch with a failure that happened beside the pages. */
  readonly fail: (error: unknown) => void
}

/** What a follower is made of. */
export type FollowerOptions = {
  readonly name: string
  readonly kind: 'saga' | 'subscription'
  readonly context: RuntimeContext
  /** Categories that are read. */
  readonly categories: readonly string[]
  readonly filter?: EventFilter
  readonly ownership: Ownership
  readonly start: StartPlace
  readonly settings: FollowerSettings
  readonly worker: Worker
}

/** Codes that no waiting mends: what failed is gone or wrong for good. */
const FINAL: ReadonlySet<string> = new Set([
  'PARKED_EXCEEDED',
  'BAD_DEFINITION',
  'STORE_CLOSED',
  'STORE_FAILED',
  'LOG_CLOSED',
  'UNKNOWN_CATEGORY',
  'RULE_TOO_NEW',
  'APPLICATION_CLOSED',
])

/** See the head of the file. */
export class Follower implements Processor {
  readonly name: string
  readonly #options: FollowerOptions
  readonly #context: RuntimeContext
  readonly #settings: FollowerSettings
  readonly #meter: Meter
  readonly #owned = new Set<number>()
  readonly #stopping = new AbortController()
  readonly #started = Promise.withResolvers<void>()
  /** Handled, and committed, of the buckets of this epoch. */
  #handled: Positions = NO_POSITIONS
  #uncommitted = new Set<number>()
  #committing: Promise<void> = Promise.resolve()
  #commitTimer: { cancel(): void } | null = null
  #epoch: { readonly end: AbortController; readonly over: Promise<void> } | null = null
  #rewound: ReadonlyMap<number, Positions> = new Map()
  /** Wake those that wait for progress. */
  #waiters = new Set<() => void>()
  #state: ProcessorStatus['state'] = 'starting'
  #reason: string | undefined
  #restarts = 0
  #failures = 0
  #lag = 0
  #lagAt = Number.NEGATIVE_INFINITY
  #running: Promise<void> | null = null

  constructor(options: FollowerOptions) {
    this.name = options.name
    this.#options = options
    this.#context = options.context
    this.#settings = options.settings
    this.#meter = new Meter(() => options.context.outside.clock.monotonic())
  }

  /** Resolves when it follows, or when the others of its group have left it no bucket. */
  async start(): Promise<void> {
    if (this.#running !== null) return this.#started.promise
    this.#running = this.#run()
    const { ownership, context } = this.#options
    await ownership.start({
      assigned: buckets => {
        for (const bucket of buckets) this.#owned.add(bucket)
        this.#epoch?.end.abort()
      },
      revoked: async buckets => {
        for (const bucket of buckets) this.#owned.delete(bucket)
        const epoch = this.#epoch
        epoch?.end.abort()
        await epoch?.over
      },
      failed: error => this.#restarting(error),
    })
    const enough = new AbortController()
    const wait = waitMs(
      context.outside.timers,
      this.#settings['follower.start.wait.ms'],
      enough.signal,
    )
    await Promise.race([this.#started.promise, wait])
    enough.abort()
    if (this.#state === 'stopped') throw this.#stopped()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#epoch?.end.abort()
    await this.#running
    await this.#options.ownership.stop()
    if (this.#state !== 'stopped') this.#state = 'stopped'
  }

  status(): ProcessorStatus {
    const { rate } = this.#meter
    const { kind, worker, context } = this.#options
    return {
      name: this.name,
      kind,
      state: this.#state,
      ...(this.#reason === undefined ? {} : { reason: this.#reason }),
      restarts: this.#restarts,
      checkpoint: this.#handled.size === 0 ? null : checkpointOf(context.store.id, this.#handled),
      handled: this.#meter.total,
      rate,
      lag: this.#lag,
      timeLeftMs: this.#lag === 0 ? 0 : rate > 0 ? (this.#lag / rate) * 1000 : null,
      parked: worker.parked?.() ?? 0,
    }
  }

  async reached(
    checkpoint: Checkpoint,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<void> {
    const { signal } = options
    const { categories, ownership } = this.#options
    const all = positionsOf(checkpoint, categories)
    for (;;) {
      signal?.throwIfAborted()
      if (this.#stopping.signal.aborted || this.#state === 'stopped') throw this.#stopped()
      const elsewhere = bucketsOf(all).filter(bucket => !this.#owned.has(bucket))
      const others = await ownership.load(elsewhere)
      let known = this.#handled
      for (const { positions } of others.values()) known = withPositions(known, positions)
      if (covers(known, all)) return
      await this.#nextProgress(signal, elsewhere.length > 0)
    }
  }

  /**
   * Goes on from another place: the buckets of this node when it runs, all buckets when it does
   * not (and no other node runs it either). Returns the buckets that were moved.
   */
  async rewind(place: StartPlace): Promise<readonly number[]> {
    const isRunning = this.#running !== null && !this.#stopping.signal.aborted
    const buckets = isRunning ? [...this.#owned].sort((a, b) => a - b) : await this.#allBuckets()
    const moved = new Map<number, Positions>()
    const target = await this.#placed(place, buckets)
    for (const bucket of buckets)
      moved.set(bucket, onlyOf(target, this.#options.categories, bucket))
    if (isRunning) {
      this.#rewound = moved
      const epoch = this.#epoch
      epoch?.end.abort()
      await epoch?.over
    } else {
      await this.#options.ownership.commit(
        new Map([...moved].map(([bucket, positions]) => [bucket, { positions, note: '' }])),
      )
    }
    return buckets
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted && this.#state !== 'stopped') {
      const end = new AbortController()
      const over = Promise.withResolvers<void>()
      this.#epoch = { end, over: over.promise }
      try {
        await this.#one(end)
      } catch (error) {
        await this.#failed(error, end)
      } finally {
        over.resolve()
      }
    }
    this.#started.resolve()
  }

  /** One epoch. */
  async #one(end: AbortController): Promise<void> {
    const buckets = [...this.#owned].sort((a, b) => a - b)
    if (buckets.length === 0) return untilAborted(end.signal, this.#stopping.signal)
    const { worker, ownership } = this.#options
    let failure: { readonly error: unknown } | null = null
    const kept = await ownership.load(buckets)
    const epoch: Epoch = {
      buckets,
      kept,
      signal: end.signal,
      fail: error => {
        failure ??= { error }
        end.abort()
      },
    }
    try {
      await this.#position(buckets, kept)
      await worker.begin?.(epoch)
      this.#state = 'rebuilding'
      this.#started.resolve()
      await this.#read(epoch)
      failed(failure)
    } finally {
      end.abort()
      await worker.end?.(epoch)
      await this.#commitLast()
      worker.leave?.(epoch)
    }
  }

  /** Finds where each bucket begins. */
  async #position(
    buckets: readonly number[],
    kept: ReadonlyMap<number, BucketPosition>,
  ): Promise<void> {
    const { categories, start } = this.#options
    const fresh = buckets.filter(bucket => !kept.has(bucket) && !this.#rewound.has(bucket))
    let positions = fresh.length === 0 ? NO_POSITIONS : await this.#placed(start, fresh)
    for (const [bucket, { positions: known }] of kept)
      positions = withPositions(positions, onlyOf(known, categories, bucket))
    for (const bucket of buckets) {
      const rewound = this.#rewound.get(bucket)
      if (rewound === undefined) continue
      for (const category of categories)
        positions = withPositions(
          positions,
          place(category, bucket, offsetIn(rewound, category, bucket)),
        )
    }
    this.#handled = positions
    this.#uncommitted = new Set([...fresh, ...this.#rewound.keys()])
    if (this.#rewound.size > 0) await this.#commit()
    this.#rewound = new Map()
  }

  async #read(epoch: Epoch): Promise<void> {
    const { buckets, signal } = epoch
    const { worker, categories, context, filter } = this.#options
    const pages = context.store.readAll(categories, {
      after: checkpointOf(context.store.id, this.#handled),
      ...(filter === undefined ? {} : { filter }),
      buckets,
      tenant: null,
      follow: true,
      pageSize: this.#settings['follower.page.events'],
      signal,
    })
    for await (const page of pages) {
      if (signal.aborted) return
      await worker.page(page, epoch)
      this.#advance(page, buckets)
      await this.#afterPage(page)
    }
    if (!signal.aborted) throw new Error('the store ended a read that follows')
  }

  #advance(page: EventPage, buckets: readonly number[]): void {
    const { categories } = this.#options
    this.#handled = withPositions(this.#handled, positionsIn(page.checkpoint, categories, buckets))
    for (const bucket of buckets) this.#uncommitted.add(bucket)
    this.#meter.add(page.events.length)
    this.#failures = 0
    for (const wake of this.#waiters) wake()
    if (page.caughtUp) {
      this.#state = 'running'
      this.#reason = undefined
      this.#lag = 0
    }
  }

  async #afterPage(page: EventPage): Promise<void> {
    const { clock, timers } = this.#context.outside
    const interval = this.#settings['follower.commit.interval.ms']
    if (interval === 0) await this.#commit()
    else
      this.#commitTimer ??= timers.after(interval, () => {
        this.#commitTimer = null
        // A failure shows with the next commit, or as a page that comes again.
        this.#commit().catch(error => this.#restarting(error))
      })
    const isAsked = clock.monotonic() - this.#lagAt >= this.#settings['follower.lag.interval.ms']
    if (!page.caughtUp && isAsked) await this.#measureLag()
  }

  /** One commit after the other; each commits what is handled when its turn comes. */
  #commit(): Promise<void> {
    const turn = this.#committing.then(async () => {
      const { worker, categories, ownership } = this.#options
      const positions = new Map<number, BucketPosition>()
      for (const bucket of this.#uncommitted) {
        const own = onlyOf(this.#handled, categories, bucket)
        const more = worker.position?.(bucket) ?? NO_POSITIONS
        positions.set(bucket, {
          positions: withPositions(own, more),
          note: worker.note?.(bucket) ?? '',
        })
      }
      if (positions.size === 0) return
      this.#uncommitted.clear()
      await ownership.commit(positions)
    })
    this.#committing = turn.catch(() => {})
    return turn
  }

  async #commitLast(): Promise<void> {
    this.#commitTimer?.cancel()
    this.#commitTimer = null
    // The pages that are not committed come again, here or on the node that has the buckets now.
    await this.#commit().catch(error => this.#restarting(error))
  }

  async #failed(error: unknown, end: AbortController): Promise<void> {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (FINAL.has(code)) {
      this.#state = 'stopped'
      this.#reason = reasonOf(error)
      this.#context.onEvent({
        kind: 'processor-stopped',
        processor: this.name,
        reason: this.#reason,
      })
      for (const wake of this.#waiters) wake()
      return
    }
    this.#restarting(error)
    this.#failures += 1
    const bounds = {
      firstMs: this.#settings['follower.restart.first.ms'],
      maxMs: this.#settings['follower.restart.longest.ms'],
    }
    const { outside } = this.#context
    end.abort()
    await waitMs(
      outside.timers,
      backoffMs(bounds, this.#failures, outside.random),
      this.#stopping.signal,
    )
  }

  #restarting(error: unknown): void {
    if (this.#stopping.signal.aborted) return
    this.#state = 'restarting'
    this.#reason = reasonOf(error)
    this.#restarts += 1
    this.#context.onEvent({
      kind: 'processor-restarted',
      processor: this.name,
      reason: this.#reason,
      restarts: this.#restarts,
    })
  }

  async #measureLag(): Promise<void> {
    this.#lagAt = this.#context.outside.clock.monotonic()
    const described = await this.#context.store.describe()
    let lag = 0
    for (const { category, buckets } of described) {
      if (!this.#options.categories.includes(category)) continue
      for (const { bucket, decided } of buckets)
        if (this.#owned.has(bucket))
          lag += Math.max(0, decided - offsetIn(this.#handled, category, bucket))
    }
    this.#lag = lag
  }

  async #placed(at: StartPlace, buckets: readonly number[]): Promise<Positions> {
    const { categories, context } = this.#options
    if (at === 'beginning') return NO_POSITIONS
    const checkpoint =
      at === 'now'
        ? await context.store.now(categories, null)
        : 'after' in at
          ? at.after
          : await context.store.at(categories, at.time, null)
    return positionsIn(checkpoint, categories, buckets)
  }

  async #allBuckets(): Promise<readonly number[]> {
    const described = await this.#context.store.describe()
    const [category] = this.#options.categories
    const found = described.find(each => each.category === category)
    return (found?.buckets ?? []).map(({ bucket }) => bucket)
  }

  /** Resolves when a page was handled, or it is time to look at the positions of others. */
  async #nextProgress(signal: AbortSignal | undefined, poll: boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const ended = AbortSignal.any([
      this.#stopping.signal,
      ...(signal === undefined ? [] : [signal]),
    ])
    const { timers } = this.#context.outside
    const timer = poll ? timers.after(this.#settings['follower.reached.poll.ms'], resolve) : null
    const wake = (): void => resolve()
    this.#waiters.add(wake)
    ended.addEventListener('abort', wake, { once: true })
    await promise
    ended.removeEventListener('abort', wake)
    this.#waiters.delete(wake)
    timer?.cancel()
  }

  #stopped(): ModelError {
    return new ModelError(
      'PROCESSOR_STOPPED',
      `${this.name} is stopped: ${this.#reason ?? 'by stop()'}`,
    )
  }
}

const place = (category: string, bucket: number, offset: number): Positions =>
  new Map([[category, new Map([[bucket, offset]])]])

/** The positions of one bucket. */
function onlyOf(positions: Positions, categories: readonly string[], bucket: number): Positions {
  let only: Positions = NO_POSITIONS
  for (const category of categories) {
    const offset = positions.get(category)?.get(bucket)
    if (offset !== undefined) only = withPositions(only, place(category, bucket, offset))
  }
  return only
}

const bucketsOf = (positions: Positions): number[] => [
  ...new Set([...positions.values()].flatMap(places => [...places.keys()])),
]

function covers(known: Positions, target: Positions): boolean {
  for (const [category, places] of target)
    for (const [bucket, offset] of places)
      if (offsetIn(known, category, bucket) < offset) return false
  return true
}

/** Throws what happened beside the pages, if anything did. */
function failed(failure: { readonly error: unknown } | null): void {
  if (failure !== null) throw failure.error
}

function untilAborted(...signals: readonly AbortSignal[]): Promise<void> {
  return new Promise(resolve => {
    for (const signal of signals) {
      if (signal.aborted) return resolve()
      signal.addEventListener('abort', () => resolve(), { once: true })
    }
  })
}
