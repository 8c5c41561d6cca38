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
import { backoffMs, sleep } from '@millrace/base'
import type { Checkpoint, EventFilter, EventPage } from '@millrace/store'
import type { Processor, ProcessorStatus, RuntimeContext } from '../context.ts'
import { ModelError, reasonOf } from '../errors.ts'
import { Meter } from './meter.ts'
import type { BucketPosition, Ownership } from './ownership.ts'
import {
  bucketsOf,
  checkpointOf,
  covers,
  NO_POSITIONS,
  offsetIn,
  onlyOf,
  type Positions,
  positionAt,
  positionsIn,
  positionsOf,
  withPositions,
} from './positions.ts'
import { type Beside, Progress } from './progress.ts'
import type { FollowerSettings } from './settings.ts'

/** Where a bucket without a position begins. `time`: ms since the epoch. */
export type StartPlace =
  | 'beginning'
  | 'now'
  | { readonly after: Checkpoint }
  | { readonly time: number }

/** What follows. Its calls never overlap. */
export type Worker = Beside & {
  /** A new epoch begins with these buckets, before any of its pages. */
  readonly begin?: (epoch: Epoch) => Promise<void>
  /** Handles a page. What it throws ends the epoch; the page comes again. */
  readonly page: (page: EventPage, epoch: Epoch) => Promise<void>
  /** The epoch is over: its signal has fired, its last positions are about to be committed. */
  readonly end?: (epoch: Epoch) => Promise<void>
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

/** One run of a follower. */
type Life = {
  readonly stopping: AbortController
  readonly started: PromiseWithResolvers<void>
  /** Resolves when nothing is followed any more. */
  over: Promise<void>
  /** Resolves when it has been stopped; null: nobody has asked for it. */
  ended: Promise<void> | null
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

const MS_PER_SECOND = 1000

/** See the head of the file. */
export class Follower implements Processor {
  readonly name: string
  readonly #options: FollowerOptions
  readonly #context: RuntimeContext
  readonly #settings: FollowerSettings
  readonly #meter: Meter
  readonly #progress: Progress
  readonly #owned = new Set<number>()
  /** From a start to the end of its stop; null: it was not started, or was stopped. */
  #life: Life | null = null
  #starting: Promise<void> | null = null
  /** What goes on now: an epoch, or the wait after one that failed. */
  #now: { readonly end: AbortController; readonly over: Promise<void> } | null = null
  /** Places to go on from, by bucket, for the next epoch. */
  #rewound: ReadonlyMap<number, Positions> = new Map()
  #state: ProcessorStatus['state'] = 'starting'
  #reason: string | undefined
  #restarts = 0
  #failures = 0

  constructor(options: FollowerOptions) {
    this.name = options.name
    this.#options = options
    this.#context = options.context
    this.#settings = options.settings
    this.#meter = new Meter(() => options.context.outside.clock.monotonic())
    this.#progress = new Progress({ ...options, beside: options.worker })
  }

  /** Resolves when it follows, or when the others of its group have left it no bucket. */
  start(): Promise<void> {
    this.#starting ??= this.#start().finally(() => {
      this.#starting = null
    })
    return this.#starting
  }

  async #start(): Promise<void> {
    if (this.#life !== null && !this.#life.stopping.signal.aborted && this.#state !== 'stopped')
      return this.#life.started.promise
    // What stopped by itself leaves its group first, and what is being stopped comes to its end.
    await this.stop()
    const life = this.#begin()
    const enough = new AbortController()
    try {
      await this.#options.ownership.start({
        assigned: buckets => {
          for (const bucket of buckets) this.#owned.add(bucket)
          this.#now?.end.abort()
        },
        revoked: async buckets => {
          for (const bucket of buckets) this.#owned.delete(bucket)
          await this.#endEpoch()
        },
        failed: error => this.#restarting(error),
      })
      const { timers } = this.#context.outside
      const wait = sleep(timers, this.#settings['follower.start.wait.ms'], enough.signal)
      await Promise.race([life.started.promise, wait])
    } catch (error) {
      await this.stop()
      throw error
    } finally {
      enough.abort()
    }
    if (this.#state === 'stopped') throw this.#stopped()
  }

  async stop(): Promise<void> {
    const life = this.#life
    if (life !== null) {
      life.ended ??= this.#end(life)
      await life.ended
    }
    this.#state = 'stopped'
    this.#progress.wake()
  }

  #begin(): Life {
    const stopping = new AbortController()
    const life: Life = {
      stopping,
      started: Promise.withResolvers(),
      over: Promise.resolve(),
      ended: null,
    }
    this.#life = life
    this.#state = 'starting'
    this.#reason = undefined
    this.#failures = 0
    life.over = this.#run(life)
    return life
  }

  async #end(life: Life): Promise<void> {
    life.stopping.abort()
    this.#now?.end.abort()
    await life.over
    await this.#options.ownership.stop()
    this.#owned.clear()
    this.#life = null
  }

  status(): ProcessorStatus {
    const { rate, total } = this.#meter
    const { lag, checkpoint } = this.#progress
    const { kind, worker } = this.#options
    return {
      name: this.name,
      kind,
      state: this.#state,
      ...(this.#reason === undefined ? {} : { reason: this.#reason }),
      restarts: this.#restarts,
      checkpoint,
      handled: total,
      rate,
      lag,
      timeLeftMs: lag === 0 ? 0 : rate > 0 ? (lag / rate) * MS_PER_SECOND : null,
      parked: worker.parked?.() ?? 0,
    }
  }

  /** Buckets of other nodes are looked up where they commit, now and then. */
  async reached(
    checkpoint: Checkpoint,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<void> {
    const { signal } = options
    const { categories, ownership } = this.#options
    const target = positionsOf(checkpoint, categories)
    const pollMs = this.#settings['follower.reached.poll.ms']
    for (;;) {
      signal?.throwIfAborted()
      if (this.#isStopping || this.#state === 'stopped') throw this.#stopped()
      const elsewhere = bucketsOf(target).filter(bucket => !this.#owned.has(bucket))
      const others = await ownership.load(elsewhere)
      let known = this.#progress.handled
      for (const { positions } of others.values()) known = withPositions(known, positions)
      if (covers(known, target)) return
      const stopping = this.#life?.stopping.signal
      const ends = [signal, stopping].filter(one => one !== undefined)
      await this.#progress.next(AbortSignal.any(ends), elsewhere.length > 0 ? pollMs : null)
    }
  }

  /**
   * Goes on from another place: the buckets of this node when it runs, all buckets when it does
   * not (and no other node runs it either). Returns the buckets that were moved.
   */
  async rewind(place: StartPlace): Promise<readonly number[]> {
    const { categories, ownership } = this.#options
    const isRunning = this.#life !== null && !this.#isStopping
    const buckets = isRunning ? [...this.#owned].sort((a, b) => a - b) : await this.#allBuckets()
    const target = await this.#placed(place, buckets)
    const moved = new Map(buckets.map(bucket => [bucket, onlyOf(target, categories, bucket)]))
    if (isRunning) {
      this.#rewound = moved
      await this.#endEpoch()
    } else {
      const positions = [...moved].map(
        ([bucket, at]) => [bucket, { positions: at, note: '' }] as const,
      )
      await ownership.commit(new Map(positions))
    }
    return buckets
  }

  get #isStopping(): boolean {
    return this.#life?.stopping.signal.aborted === true
  }

  async #run({ stopping, started }: Life): Promise<void> {
    while (!stopping.signal.aborted && this.#state !== 'stopped') {
      const failure = await this.#during(end => this.#epoch(end, stopping.signal, started.resolve))
      if (failure !== null && this.#isToRestart(failure.error))
        await this.#during(({ signal }) => this.#backOff(signal, stopping.signal))
    }
    started.resolve()
  }

  /** Does what can be ended by whoever needs the buckets; gives back what it threw. */
  async #during(
    work: (end: AbortController) => Promise<void>,
  ): Promise<{ readonly error: unknown } | null> {
    const end = new AbortController()
    const over = Promise.withResolvers<void>()
    this.#now = { end, over: over.promise }
    try {
      await work(end)
      return null
    } catch (error) {
      return { error }
    } finally {
      over.resolve()
    }
  }

  async #endEpoch(): Promise<void> {
    const now = this.#now
    now?.end.abort()
    await now?.over
  }

  /** One epoch. */
  async #epoch(end: AbortController, stopping: AbortSignal, started: () => void): Promise<void> {
    const buckets = [...this.#owned].sort((a, b) => a - b)
    if (buckets.length === 0) return untilAborted(end.signal, stopping)
    const { worker, ownership } = this.#options
    const beside: { failure?: { readonly error: unknown } } = {}
    const kept = await ownership.load(buckets)
    const epoch: Epoch = {
      buckets,
      kept,
      signal: end.signal,
      fail: error => {
        beside.failure ??= { error }
        end.abort()
      },
    }
    try {
      await this.#position(buckets, kept)
      await worker.begin?.(epoch)
      this.#state = 'rebuilding'
      started()
      await this.#read(epoch)
    } catch (error) {
      // Work that the end of the epoch cut short has not failed.
      if (!end.signal.aborted) beside.failure ??= { error }
    } finally {
      end.abort()
      await worker.end?.(epoch)
      await this.#progress.end()
    }
    if (beside.failure !== undefined) throw beside.failure.error
  }

  /** Finds where each bucket begins. */
  async #position(
    buckets: readonly number[],
    kept: ReadonlyMap<number, BucketPosition>,
  ): Promise<void> {
    const { categories, start } = this.#options
    const rewound = this.#rewound
    const fresh = buckets.filter(bucket => !kept.has(bucket) && !rewound.has(bucket))
    let positions = fresh.length === 0 ? NO_POSITIONS : await this.#placed(start, fresh)
    for (const [bucket, { positions: known }] of kept)
      positions = withPositions(positions, onlyOf(known, categories, bucket))
    const moved = buckets.filter(bucket => rewound.has(bucket))
    for (const bucket of moved) {
      for (const category of categories) {
        const offset = offsetIn(rewound.get(bucket) ?? NO_POSITIONS, category, bucket)
        positions = withPositions(positions, positionAt(category, bucket, offset))
      }
    }
    this.#progress.begin(positions, buckets, [...fresh, ...moved])
    if (moved.length > 0) await this.#progress.commit()
    this.#rewound = new Map()
  }

  async #read(epoch: Epoch): Promise<void> {
    const { buckets, signal } = epoch
    const { worker, categories, filter } = this.#options
    const { store } = this.#context
    const pages = store.readAll(categories, {
      after: checkpointOf(store.id, this.#progress.handled),
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
      await this.#handled(page, epoch)
    }
    if (!signal.aborted) throw new Error('the store ended a read that follows')
  }

  async #handled(page: EventPage, epoch: Epoch): Promise<void> {
    this.#meter.add(page.events.length)
    this.#failures = 0
    if (page.caughtUp) {
      this.#state = 'running'
      this.#reason = undefined
    }
    await this.#progress.advance(page, epoch.fail)
  }

  /** Says why; false when no waiting mends it. */
  #isToRestart(error: unknown): boolean {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (!FINAL.has(code)) {
      this.#restarting(error)
      return true
    }
    this.#state = 'stopped'
    this.#reason = reasonOf(error)
    this.#context.onEvent({ kind: 'processor-stopped', processor: this.name, reason: this.#reason })
    this.#progress.wake()
    return false
  }

  #restarting(error: unknown): void {
    if (this.#isStopping) return
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

  async #backOff(signal: AbortSignal, stopping: AbortSignal): Promise<void> {
    this.#failures += 1
    const bounds = {
      firstMs: this.#settings['follower.restart.first.ms'],
      maxMs: this.#settings['follower.restart.longest.ms'],
    }
    const { timers, random } = this.#context.outside
    const ended = AbortSignal.any([signal, stopping])
    await sleep(timers, backoffMs(bounds, this.#failures, random), ended)
  }

  async #placed(at: StartPlace, buckets: readonly number[]): Promise<Positions> {
    const { categories } = this.#options
    const { store } = this.#context
    if (at === 'beginning') return NO_POSITIONS
    if (at === 'now') return positionsIn(await store.now(categories, null), categories, buckets)
    const checkpoint = 'after' in at ? at.after : await store.at(categories, at.time, null)
    return positionsIn(checkpoint, categories, buckets)
  }

  async #allBuckets(): Promise<readonly number[]> {
    const described = await this.#context.store.describe()
    const [category] = this.#options.categories
    const found = described.find(each => each.category === category)
    return (found?.buckets ?? []).map(({ bucket }) => bucket)
  }

  #stopped(): ModelError {
    const why = this.#reason ?? 'by stop()'
    return new ModelError('PROCESSOR_STOPPED', `${this.name} is stopped: ${why}`)
  }
}

function untilAborted(...signals: readonly AbortSignal[]): Promise<void> {
  return new Promise(resolve => {
    for (const signal of signals) {
      if (signal.aborted) return resolve()
      signal.addEventListener('abort', () => resolve(), { once: true })
    }
  })
}
