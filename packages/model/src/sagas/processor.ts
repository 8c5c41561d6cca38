/**
 * The processor of a saga: the inbox that takes the events of its sources, the outbox that sends and
 * fires, and the agenda between them, for the buckets of this node.
 *
 *   sources ──page──► inbox ──append──► saga's streams ──► agenda ──due──► outbox ──► commands,
 *                                          ▲                                  │        effects
 *                                          └────── outcomes, timers that fired ┘
 *
 * Positions of the sources say up to where events were taken; that of the saga's own category from
 * where the agenda is folded anew. Neither needs to be exact: the streams know what was taken and
 * sent. A node that wakes up after its buckets went to another does no harm either, because each of
 * its appends names the version that it read.
 */
import { resolveSettings } from '@millrace/base'
import type { CategoryOptions, Checkpoint, EventPage, RecordedEvent } from '@millrace/store'
import type { Processor, ProcessorStatus, RuntimeContext } from '../context.ts'
import type { Saga } from '../define/saga.ts'
import { createEffectRunner, type EffectRunner, type RetrySettings } from '../effects/index.ts'
import { ModelError, reasonOf } from '../errors.ts'
import {
  type Epoch,
  FOLLOWER_SETTINGS,
  Follower,
  type FollowerSettings,
  groupOwnership,
  NO_POSITIONS,
  type Ownership,
  offsetIn,
  type ParkedStream,
  type ParkedStreams,
  type Positions,
  parkedCategoryOf,
  type Redriven,
  storedParkedStreams,
} from '../subscriptions/index.ts'
import {
  Agenda,
  COMMANDS,
  Dispatcher,
  EFFECTS,
  type InstanceRef,
  PARKED,
  TIMERS,
} from '../timers/index.ts'
import { AgendaFold } from './agenda-fold.ts'
import { typesOf } from './decide.ts'
import type { SagaInstance } from './events.ts'
import { Inbox } from './inbox.ts'
import { SagaOutbox } from './outbox.ts'
import { SAGA_SETTINGS, type SagaSettings } from './settings.ts'
import { SagaStreams } from './streams.ts'

/** How a saga is run. */
export type SagaProcessorOptions = {
  /** Runs its effects. Default: it has none. */
  readonly effects?: EffectRunner
  readonly settings?: Partial<SagaSettings>
  readonly follower?: Partial<FollowerSettings>
  /** How its commands are tried again. */
  readonly retry?: RetrySettings
  /** Who works on which buckets. Default: a consumer group `<application>.<saga>`. */
  readonly ownership?: Ownership
}

/** What of a saga is parked: an instance, or something that it sent. */
export type ParkedSaga = InstanceRef & {
  /** `stream`: a source stream, whose next event belongs to no instance; `id` is the stream's. */
  readonly kind: 'instance' | 'command' | 'effect' | 'stream'
  /** Of a source stream. */
  readonly category?: string
  /** Version of the send in the saga's stream; of an instance, of the event that parked it. */
  readonly version: number
  readonly reason: string
  readonly attempts: number
}

/** How a saga is doing, beyond what every processor says. */
export type SagaStatus = ProcessorStatus & {
  readonly timers: number
  readonly commands: number
  readonly effects: number
  /** Events that came after the end of their instance, since the start. */
  readonly ignored: number
}

/** A saga at work. */
export interface SagaProcessor extends Processor {
  status(): SagaStatus
  instance(ref: { readonly id: string; readonly tenant?: string }): Promise<SagaInstance>
  /** What is parked in the buckets of this node, a page at a time, in the order of ids. */
  parked(options?: { readonly after?: InstanceRef; readonly limit?: number }): readonly ParkedSaga[]
  /**
   * Handles what failed and what was deferred since, in order, up to what fails again. Returns how
   * many inputs were handled, and what still waits.
   */
  redrive(ref: {
    readonly id: string
    readonly tenant?: string
  }): Promise<{ readonly handled: number; readonly left: number; readonly reason: string | null }>
  /**
   * Takes what waits of a parked source stream, in order; then it goes on with the others. Only on
   * the node that has its bucket.
   */
  redriveStream(stream: {
    readonly tenant?: string
    readonly category: string
    readonly stream: string
  }): Promise<Redriven>
  /** Lets a parked command or effect be tried again. */
  redriveSend(ref: {
    readonly id: string
    readonly tenant?: string
    readonly version: number
  }): Promise<void>
}

/** How the store has to open the saga's category. */
export function sagaCategory(definition: Saga): CategoryOptions {
  return definition.boundary === undefined ? {} : { boundary: definition.boundary }
}

/** Makes the processor of a saga. Throws ModelError BAD_DEFINITION. */
export function createSagaProcessor(
  definition: Saga,
  context: RuntimeContext,
  options: SagaProcessorOptions = {},
): SagaProcessor {
  const settings = resolveSettings(SAGA_SETTINGS, options.settings)
  const follower = resolveSettings(FOLLOWER_SETTINGS, {
    'follower.page.events': settings['saga.page.events'],
    ...options.follower,
  })
  const sources = definition.from.map(({ name }) => name)
  const categories = [definition.name, ...sources]
  const ownership =
    options.ownership ??
    groupOwnership(context, `${context.name}.${definition.name}`, categories, follower)
  const effects = options.effects ?? createEffectRunner({}, context)
  return new RunningSaga({
    definition,
    context,
    settings,
    follower,
    sources,
    ownership,
    effects,
    retry: options.retry ?? {},
  })
}

type Parts = {
  readonly definition: Saga
  readonly context: RuntimeContext
  readonly settings: SagaSettings
  readonly follower: FollowerSettings
  readonly sources: readonly string[]
  readonly ownership: Ownership
  readonly effects: EffectRunner
  readonly retry: RetrySettings
}

const PARKED_PAGE = 100
/** Before any time: the inbox fires timers by the replay clock itself. */
const NO_TIMERS = -1

class RunningSaga implements SagaProcessor {
  readonly name: string
  readonly #parts: Parts
  readonly #agenda: Agenda
  readonly #streams: SagaStreams
  readonly #inbox: Inbox
  /** Source streams that wait. */
  readonly #sources: ParkedStreams
  /** Whether the store has a place for them. */
  #canPark = false
  #epoch: Epoch | null = null
  /** Pages and redrives of source streams come one after the other. */
  #turn: Promise<unknown> = Promise.resolve()
  readonly #fold: AgendaFold
  readonly #dispatcher: Dispatcher
  readonly #follower: Follower
  #isCaughtUp = false
  #following: Promise<void> = Promise.resolve()

  constructor(parts: Parts) {
    const { definition, context, settings, effects, retry } = parts
    this.name = definition.name
    this.#parts = parts
    this.#agenda = new Agenda(settings['saga.agenda.cache.bytes'])
    const agenda = this.#agenda
    const streams = new SagaStreams(definition, context, settings)
    this.#streams = streams
    this.#sources = storedParkedStreams(context.store, {
      category: parkedCategoryOf(context.name),
      id: definition.name,
    })
    this.#inbox = new Inbox(definition, context, settings, streams, agenda, {
      has: event => {
        if (this.#sources.size === 0) return false
        return event.version >= (this.#sources.get(event)?.version ?? Number.POSITIVE_INFINITY)
      },
      add: (event, error) => this.#parkSource(event, error),
    })
    const firesUntil = (bucket: number, now: number): number => this.#firesUntil(bucket, now)
    const outbox = new SagaOutbox({
      definition,
      context,
      settings,
      streams,
      agenda,
      effects,
      retry,
      firesUntil,
    })
    this.#dispatcher = new Dispatcher(agenda, outbox.lanes(), {
      outside: context.outside,
      longestMs: settings['saga.alarm.longest.ms'],
    })
    this.#fold = new AgendaFold({
      category: definition.name,
      context,
      agenda,
      laneOf: effect => outbox.laneOf(effect),
      changed: () => this.#dispatcher.poke(),
      pageEvents: settings['saga.page.events'],
    })
    outbox.connect(this.#fold, this.#dispatcher)
    this.#follower = this.#newFollower()
  }

  start(): Promise<void> {
    return this.#follower.start()
  }

  async stop(): Promise<void> {
    await this.#follower.stop()
    this.#fold.forget()
    this.#agenda.close()
  }

  status(): SagaStatus {
    const agenda = this.#agenda
    let effects = 0
    for (let at = 0; at <= this.#parts.effects.names.length; at += 1)
      effects += agenda.count(EFFECTS + at)
    return {
      ...this.#follower.status(),
      timers: agenda.count(TIMERS),
      commands: agenda.count(COMMANDS),
      effects,
      ignored: this.#inbox.ignored,
    }
  }

  reached(checkpoint: Checkpoint, options?: { readonly signal?: AbortSignal }): Promise<void> {
    return this.#follower.reached(checkpoint, options)
  }

  instance(ref: { readonly id: string; readonly tenant?: string }): Promise<SagaInstance> {
    return this.#streams.load({ tenant: '', ...ref })
  }

  parked(
    options: { readonly after?: InstanceRef; readonly limit?: number } = {},
  ): readonly ParkedSaga[] {
    const { after = { tenant: '', id: '' }, limit = PARKED_PAGE } = options
    const ofAgenda = this.#agenda.withReason(after, limit).map(
      (item): ParkedSaga => ({
        tenant: item.tenant,
        id: item.id,
        kind: item.lane === PARKED ? 'instance' : item.lane === COMMANDS ? 'command' : 'effect',
        version: item.version,
        reason: item.reason ?? '',
        attempts: item.attempts,
      }),
    )
    const isLater = ({ id, tenant }: InstanceRef): boolean =>
      id > after.id || (id === after.id && tenant > after.tenant)
    const ofSources = this.#sources
      .all()
      .map(({ tenant, category, stream: id, version, reason, attempts }): ParkedSaga => {
        return { tenant, id, kind: 'stream', category, version, reason, attempts }
      })
      .filter(isLater)
    if (ofSources.length === 0) return ofAgenda
    const order = (a: InstanceRef, b: InstanceRef): number =>
      a.id < b.id ? -1 : a.id > b.id ? 1 : a.tenant < b.tenant ? -1 : a.tenant > b.tenant ? 1 : 0
    return [...ofAgenda, ...ofSources].sort(order).slice(0, limit)
  }

  async redriveStream(ref: {
    readonly tenant?: string
    readonly category: string
    readonly stream: string
  }): Promise<Redriven> {
    const parked = this.#sources.get({ tenant: '', ...ref })
    if (parked === undefined) return { events: 0, reason: null }
    const epoch = this.#epoch
    if (epoch === null || !epoch.buckets.includes(parked.bucket))
      throw new ModelError(
        'BAD_ARGUMENT',
        `${this.name}: bucket ${parked.bucket} of stream ${parked.stream} is not on this node`,
      )
    return this.#inTurn(() => this.#redriveSource(parked, epoch.signal))
  }

  async #redriveSource(parked: ParkedStream, signal: AbortSignal): Promise<Redriven> {
    const { store, onEvent } = this.#parts.context
    const { tenant, category, stream } = parked
    let { version } = parked
    let events = 0
    try {
      for await (const event of store.read(
        { tenant, category, id: stream },
        { from: version, signal },
      )) {
        await this.#inbox.again(event)
        version = event.version + 1
        events += 1
      }
      await this.#sources.release(parked)
    } catch (error) {
      signal.throwIfAborted()
      const reason = reasonOf(error)
      await this.#sources.park({ ...parked, version, reason })
      return { events, reason }
    }
    onEvent({ kind: 'stream-redriven', processor: this.name, stream, events })
    return { events, reason: null }
  }

  async #parkSource(event: RecordedEvent, error: unknown): Promise<void> {
    // A store that was opened without the category: the saga stands until it is corrected.
    if (!this.#canPark) throw error
    const { tenant, category, stream, bucket, version } = event
    const reason = reasonOf(error)
    await this.#sources.park({ tenant, category, stream, bucket, version, reason, attempts: 1 })
    const { onEvent } = this.#parts.context
    onEvent({ kind: 'stream-parked', processor: this.name, stream, version, reason })
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => {})
    return turn
  }

  async redrive(ref: {
    readonly id: string
    readonly tenant?: string
  }): Promise<{ handled: number; left: number; reason: string | null }> {
    const { store, onEvent } = this.#parts.context
    const tenant = ref.tenant ?? ''
    const most = this.#parts.settings['saga.redrive.inputs']
    let handled = 0
    for (;;) {
      let some = { handled: 0, isOver: true }
      const { instance } = await this.#streams.change({ tenant, id: ref.id }, async decision => {
        some = await decision.redrive(
          ({ category, stream, version }) => store.event({ tenant, category, id: stream }, version),
          most,
        )
      })
      handled += some.handled
      if (!some.isOver && instance.status === 'parked') continue
      if (instance.status !== 'parked')
        onEvent({ kind: 'stream-redriven', processor: this.name, stream: ref.id, events: handled })
      return { handled, left: instance.deferred.length, reason: instance.reason }
    }
  }

  async redriveSend(ref: {
    readonly id: string
    readonly tenant?: string
    readonly version: number
  }): Promise<void> {
    const { id, tenant = '', version } = ref
    await this.#streams.change({ tenant, id }, decision => decision.redriveSend(version))
  }

  #newFollower(): Follower {
    const { definition, context, sources, ownership, follower } = this.#parts
    // Under the replay clock every event moves the clock, also those that are not handled.
    const types = [...typesOf(definition)].map(localName)
    return new Follower({
      name: definition.name,
      kind: 'saga',
      context,
      categories: sources,
      ...(definition.clock === 'replay' ? {} : { filter: { types } }),
      ownership,
      start: 'beginning',
      settings: follower,
      worker: {
        begin: epoch => this.#begin(epoch),
        page: (page, epoch) => this.#inTurn(() => this.#page(page, epoch)),
        end: () => this.#end(),
        note: bucket => this.#inbox.clockOf(bucket)?.toString() ?? '',
        position: bucket => this.#fold.lowWater(bucket),
        parked: () => this.#agenda.parked + this.#sources.size,
      },
    })
  }

  async #begin(epoch: Epoch): Promise<void> {
    const { buckets, kept, signal, fail } = epoch
    const { definition, context } = this.#parts
    this.#isCaughtUp = false
    const described = await context.store.describe()
    this.#canPark = described.some(each => each.category === parkedCategoryOf(context.name))
    if (this.#canPark) await this.#sources.open(signal, fail)
    this.#epoch = epoch
    for (const bucket of buckets) this.#inbox.setClock(bucket, clockIn(kept.get(bucket)?.note))
    await this.#fold.catchUp(buckets, ownPositions(kept, definition.name), signal)
    this.#following = this.#fold.follow(buckets, signal).catch(error => {
      if (!signal.aborted) fail(error)
    })
    this.#dispatcher.start(buckets, signal, fail)
  }

  async #page(page: EventPage, { buckets, signal }: Epoch): Promise<void> {
    await this.#inbox.take(page, () => this.#fold.reachEnd(buckets, signal))
    this.#isCaughtUp = page.caughtUp
    this.#dispatcher.poke()
    const most = this.#parts.settings['saga.parked.max']
    if (this.#agenda.count(PARKED) + this.#sources.size > most)
      throw new ModelError(
        'PARKED_EXCEEDED',
        `saga ${this.name} has more than ${most} parked instances and streams (saga.parked.max)`,
      )
  }

  /**
   * Under the wall clock a timer fires when it is due; but while events wait to be taken, only as far
   * as they have been: one of them may be older than the timer and stop it.
   */
  #firesUntil(bucket: number, now: number): number {
    if (this.#parts.definition.clock === 'replay') return NO_TIMERS
    return this.#isCaughtUp ? now : Math.min(now, this.#inbox.clockOf(bucket) ?? NO_TIMERS)
  }

  async #end(): Promise<void> {
    this.#epoch = null
    await this.#dispatcher.stop()
    await this.#following
  }
}

/** The positions of the saga's own category. */
function ownPositions(
  kept: ReadonlyMap<number, { readonly positions: Positions }>,
  category: string,
): Positions {
  const places = new Map<number, number>()
  for (const [bucket, { positions }] of kept)
    places.set(bucket, offsetIn(positions, category, bucket))
  return places.size === 0 ? NO_POSITIONS : new Map([[category, places]])
}

const clockIn = (note: string | undefined): number | undefined =>
  note === undefined || note === '' ? undefined : Number(note)

/** `loan.Submitted` is `Submitted` in its category. */
const localName = (fullName: string): string => fullName.slice(fullName.indexOf('.') + 1)
