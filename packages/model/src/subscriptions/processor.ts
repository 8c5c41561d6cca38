/** A subscription at work: follows its buckets, delivers, parks, redrives. */
import { resolveSettings, type SettingValues } from '@millrace/base'
import type { CategoryOptions, Checkpoint, RecordedEvent } from '@millrace/store'
import type { Processor, ProcessorStatus, RuntimeContext } from '../context.ts'
import { ModelError, reasonOf } from '../errors.ts'
import { Policy } from '../policy/policy.ts'
import { POLICY_SETTINGS } from '../policy/settings.ts'
import type { Subscription } from './define.ts'
import { Deliverer } from './deliverer.ts'
import { Follower, type StartPlace } from './follower.ts'
import { broadcastOwnership, groupOwnership, type Ownership } from './ownership.ts'
import {
  memoryParkedStreams,
  type ParkedStream,
  type ParkedStreams,
  parkedCategoryOf,
  storedParkedStreams,
} from './parked.ts'
import { FOLLOWER_SETTINGS, type FollowerSettings } from './settings.ts'

/** How a subscription is run. */
export type SubscriptionOptions = {
  readonly settings?: Partial<FollowerSettings>
  /** How a handler is tried again before its stream is parked. */
  readonly policy?: Partial<SettingValues<typeof POLICY_SETTINGS>>
  /** Who works on which buckets. Default: a consumer group `<application>.<subscription>`. */
  readonly ownership?: Ownership
}

/** What became of a redrive. */
export type Redriven = {
  readonly events: number
  /** Why the stream is parked again; null: it is not. */
  readonly reason: string | null
}

/** A subscription at work. */
export interface SubscriptionProcessor extends Processor {
  /** What is parked, on all nodes. */
  parked(): readonly ParkedStream[]
  /**
   * Delivers what waits of a parked stream, in order, at most `subscription.redrive.events`; then
   * the stream goes on with the others. Only on the node that has its bucket.
   */
  redrive(stream: {
    readonly tenant?: string
    readonly category: string
    readonly stream: string
  }): Promise<Redriven>
  /**
   * Goes on from another place: in the buckets of this node when it runs, in all when it is stopped
   * everywhere. Returns the buckets.
   */
  rewind(place: StartPlace): Promise<readonly number[]>
}

/** The category of parked streams: name, and how the store has to open it. */
export function parkedCategory(application: string): {
  readonly name: string
  readonly options: CategoryOptions
} {
  return { name: parkedCategoryOf(application), options: { closed: false } }
}

/** How a handler is tried again where nothing else is said. One bad stream opens no circuit. */
const POLICY_DEFAULTS: Partial<SettingValues<typeof POLICY_SETTINGS>> = {
  'retry.attempts.max': 5,
  'retry.first.ms': 100,
  'circuit.failures': 0,
}

/** Makes the processor of a subscription. */
export function createSubscription(
  definition: Subscription,
  context: RuntimeContext,
  options: SubscriptionOptions = {},
): SubscriptionProcessor {
  return new RunningSubscription(definition, context, options)
}

class RunningSubscription implements SubscriptionProcessor {
  readonly name: string
  readonly #context: RuntimeContext
  readonly #settings: FollowerSettings
  readonly #parked: ParkedStreams
  readonly #deliverer: Deliverer
  readonly #follower: Follower
  /** Pages and the last step of a redrive come one after the other. */
  #turn: Promise<unknown> = Promise.resolve()
  #epoch: { readonly buckets: readonly number[]; readonly signal: AbortSignal } | null = null
  #redriving = new Set<string>()

  constructor(definition: Subscription, context: RuntimeContext, options: SubscriptionOptions) {
    this.name = definition.name
    this.#context = context
    this.#settings = resolveSettings(FOLLOWER_SETTINGS, options.settings)
    const policy = resolveSettings(POLICY_SETTINGS, { ...POLICY_DEFAULTS, ...options.policy })
    this.#parked = definition.broadcast
      ? memoryParkedStreams()
      : storedParkedStreams(context.store, {
          category: parkedCategoryOf(context.name),
          id: definition.name,
        })
    this.#deliverer = new Deliverer({
      definition,
      store: context.store,
      policy: new Policy({ name: definition.name, settings: policy, outside: context.outside }),
      attempts: policy['retry.attempts.max'],
      parked: this.#parked,
      settings: this.#settings,
      timers: context.outside.timers,
      onParked: ({ stream, version, reason }) =>
        context.onEvent({ kind: 'stream-parked', processor: this.name, stream, version, reason }),
    })
    this.#follower = this.#newFollower(definition, options.ownership)
  }

  start(): Promise<void> {
    return this.#follower.start()
  }

  stop(): Promise<void> {
    return this.#follower.stop()
  }

  status(): ProcessorStatus {
    return this.#follower.status()
  }

  reached(checkpoint: Checkpoint, options?: { readonly signal?: AbortSignal }): Promise<void> {
    return this.#follower.reached(checkpoint, options)
  }

  parked(): readonly ParkedStream[] {
    return this.#parked.all()
  }

  rewind(place: StartPlace): Promise<readonly number[]> {
    return this.#follower.rewind(place)
  }

  async redrive(ref: {
    readonly tenant?: string
    readonly category: string
    readonly stream: string
  }): Promise<Redriven> {
    const name = { tenant: '', ...ref }
    const parked = this.#parked.get(name)
    const epoch = this.#epoch
    if (parked === undefined) return { events: 0, reason: null }
    if (epoch === null || !epoch.buckets.includes(parked.bucket))
      throw new ModelError(
        'BAD_ARGUMENT',
        `${this.name}: bucket ${parked.bucket} of stream ${parked.stream} is not on this node`,
      )
    const key = `${parked.tenant}/${parked.category}/${parked.stream}`
    if (this.#redriving.has(key))
      throw new ModelError('BAD_ARGUMENT', `stream ${parked.stream} is being redriven already`)
    this.#redriving.add(key)
    try {
      return await this.#redrive(parked, epoch.signal)
    } finally {
      this.#redriving.delete(key)
    }
  }

  async #redrive(parked: ParkedStream, signal: AbortSignal): Promise<Redriven> {
    const most = this.#settings['subscription.redrive.events']
    let { version } = parked
    let events = 0
    const some = async (limit: number): Promise<boolean> => {
      const read = await this.#waiting(parked, version, limit, signal)
      await this.#deliverer.stream(read, signal)
      version = (read.at(-1)?.version ?? version - 1) + 1
      events += read.length
      return read.length === limit
    }
    try {
      const page = this.#settings['subscription.batch.events']
      while (events < most && (await some(Math.min(page, most - events)))) signal.throwIfAborted()
      if (events >= most) {
        await this.#parked.park({ ...parked, version })
        return { events, reason: parked.reason }
      }
      await this.#inTurn(async () => {
        // What pages passed over meanwhile; from the next page on it is delivered by them.
        while (await some(page)) signal.throwIfAborted()
        await this.#parked.release(parked)
      })
    } catch (error) {
      const cause = error instanceof ModelError && error.cause !== undefined ? error.cause : error
      const reason = reasonOf(cause)
      await this.#parked.park({ ...parked, version, reason })
      return { events, reason }
    }
    const { stream } = parked
    this.#context.onEvent({ kind: 'stream-redriven', processor: this.name, stream, events })
    return { events, reason: null }
  }

  async #waiting(
    { tenant, category, stream }: ParkedStream,
    from: number,
    limit: number,
    signal: AbortSignal,
  ): Promise<readonly RecordedEvent[]> {
    const ref = { tenant, category, id: stream }
    const { events } = await this.#context.store.read(ref, { from, limit, signal }).all()
    return events
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => {})
    return turn
  }

  #newFollower(definition: Subscription, given: Ownership | undefined): Follower {
    const context = this.#context
    const categories = definition.from.map(({ name }) => name)
    const group = `${context.name}.${definition.name}`
    const ownership =
      given ??
      (definition.broadcast
        ? broadcastOwnership(context.store, categories)
        : groupOwnership(context, group, categories, this.#settings))
    return new Follower({
      name: definition.name,
      kind: 'subscription',
      context,
      categories,
      ...(definition.types === undefined || definition.until !== undefined
        ? {}
        : { filter: { types: definition.types.map(localName) } }),
      ownership,
      start: definition.start,
      settings: this.#settings,
      worker: {
        begin: async ({ buckets, signal, fail }) => {
          this.#deliverer.forget()
          await this.#parked.open(signal, fail)
          this.#epoch = { buckets, signal }
        },
        page: ({ events }, { signal }) => this.#inTurn(() => this.#deliverer.page(events, signal)),
        end: async () => {
          this.#epoch = null
        },
        parked: () => this.#parked.size,
      },
    })
  }
}

/** `loan.Submitted` is `Submitted` in its category. */
const localName = (fullName: string): string => fullName.slice(fullName.indexOf('.') + 1)
