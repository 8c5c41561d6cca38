/**
 * The inbox: takes a page of events of the sources. Events are sorted by instance, instances are
 * worked on side by side, and each takes its events in their order; several events of one instance
 * may share an append, which takes all of them or none.
 *
 * What a saga's streams hold does not depend on how the events were cut into pages. Under the replay
 * clock, each event comes with the clock of its place (the highest time in its bucket up to it);
 * before it is taken, the instance's timers that are due by then fire; and at the end of a page the
 * timers of all instances of the bucket fire by the clock that it has reached.
 */
import { inParallel } from '@millrace/base'
import { checkStreamId, type EventPage, type RecordedEvent } from '@millrace/store'
import type { RuntimeContext } from '../context.ts'
import type { Saga } from '../define/saga.ts'
import { ModelError, reasonOf } from '../errors.ts'
import { type Agenda, type InstanceRef, TIMERS } from '../timers/index.ts'
import { eventForHandler, fullNameOf, type SagaDecision, typesOf } from './decide.ts'
import type { SagaSettings } from './settings.ts'
import type { SagaStreams } from './streams.ts'

type Arrival = {
  readonly event: RecordedEvent
  /** Timers due by then fire before it is taken. */
  readonly limit: number
}
type Instance = { readonly ref: InstanceRef; readonly bucket: number; readonly arrivals: Arrival[] }

/** An event that no instance can be found for, and why. */
type Unplaced = { readonly event: RecordedEvent; readonly error: unknown }

const DUE_PAGE = 256

/** See the head of the file. */
export class Inbox {
  readonly #definition: Saga
  readonly #context: RuntimeContext
  readonly #settings: SagaSettings
  readonly #streams: SagaStreams
  readonly #agenda: Agenda
  readonly #types: ReadonlySet<string>
  /** The highest time of the events of each bucket, ms since the epoch; absent: no event yet. */
  readonly #clocks = new Map<number, number>()
  readonly #onUnplaced: (event: RecordedEvent, error: unknown) => Promise<void>
  readonly #isParked: (event: RecordedEvent) => boolean
  #ignored = 0

  constructor(
    definition: Saga,
    context: RuntimeContext,
    settings: SagaSettings,
    streams: SagaStreams,
    agenda: Agenda,
    parked: {
      /** Whether the event waits in its source stream. */
      readonly has: (event: RecordedEvent) => boolean
      /** Parks the stream of an event that no instance can be found for. */
      readonly add: (event: RecordedEvent, error: unknown) => Promise<void>
    },
  ) {
    this.#isParked = parked.has
    this.#onUnplaced = parked.add
    this.#definition = definition
    this.#context = context
    this.#settings = settings
    this.#streams = streams
    this.#agenda = agenda
    this.#types = typesOf(definition)
  }

  /** Events that came after the end of their instance. */
  get ignored(): number {
    return this.#ignored
  }

  /** The highest time of the events of a bucket, kept with its position; undefined: none yet. */
  clockOf(bucket: number): number | undefined {
    return this.#clocks.get(bucket)
  }

  setClock(bucket: number, time: number | undefined): void {
    if (time === undefined) this.#clocks.delete(bucket)
    else this.#clocks.set(bucket, time)
  }

  /** Takes a page; `indexed` resolves when the agenda knows what earlier pages have started. */
  async take(page: EventPage, indexed: () => Promise<void>): Promise<void> {
    const { instances: sorted, unplaced } = this.#sorted(page)
    for (const { event, error } of unplaced.values()) await this.#onUnplaced(event, error)
    const instances = [...sorted.values()]
    if (this.#definition.clock === 'replay') await indexed()
    await inParallel(instances, this.#settings['saga.parallel'], each => this.#takeAll(each))
    if (this.#definition.clock === 'replay') await this.#fireAll()
  }

  /** Takes an event of a stream that was parked; throws where it still belongs to no instance. */
  async again(event: RecordedEvent): Promise<void> {
    if (!this.#types.has(fullNameOf(event))) return
    const ref = { tenant: event.tenant, id: this.#keyOf(event) }
    await this.#takeAll({ ref, bucket: event.bucket, arrivals: [{ event, limit: event.time }] })
  }

  /** By instance, in the order of their first event, and what belongs to none. Moves the clocks. */
  #sorted(page: EventPage): { instances: Map<string, Instance>; unplaced: Map<string, Unplaced> } {
    const instances = new Map<string, Instance>()
    const unplaced = new Map<string, Unplaced>()
    const isReplay = this.#definition.clock === 'replay'
    for (const event of page.events) {
      const { bucket, tenant, time } = event
      const clock = Math.max(this.#clocks.get(bucket) ?? time, time)
      this.#clocks.set(bucket, clock)
      if (!this.#types.has(fullNameOf(event))) continue
      const stream = `${tenant}/${event.category}/${event.stream}`
      // What comes later in a stream waits behind what could not be taken.
      if (unplaced.has(stream) || this.#isParked(event)) continue
      let ref: InstanceRef
      try {
        ref = { tenant, id: this.#keyOf(event) }
      } catch (error) {
        unplaced.set(stream, { event, error })
        continue
      }
      const name = `${tenant}/${ref.id}`
      const instance = instances.get(name) ?? { ref, bucket, arrivals: [] }
      instance.arrivals.push({ event, limit: isReplay ? clock : time })
      instances.set(name, instance)
    }
    return { instances, unplaced }
  }

  #keyOf(event: RecordedEvent): string {
    const where = `${fullNameOf(event)} of ${event.stream}, version ${event.version}`
    let key: unknown
    try {
      key = this.#definition.key(eventForHandler(event) as never)
    } catch (cause) {
      if (event.unreadable !== undefined) throw event.unreadable
      const detail = `saga ${this.#definition.name}: key() threw at ${where}: ${reasonOf(cause)}`
      throw new ModelError('HANDLER_FAILED', detail, { cause })
    }
    if (typeof key !== 'string' || key === '')
      throw new ModelError(
        'HANDLER_FAILED',
        `saga ${this.#definition.name}: key() of ${where} must be a text that is not empty`,
      )
    try {
      checkStreamId(key)
    } catch (cause) {
      const detail = `saga ${this.#definition.name}: key() of ${where}: ${reasonOf(cause)}`
      throw new ModelError('HANDLER_FAILED', detail, { cause })
    }
    return key
  }

  async #takeAll({ ref, bucket, arrivals }: Instance): Promise<void> {
    const [first] = arrivals
    for (let at = 0; at < arrivals.length; ) {
      let next = at
      let ended: RecordedEvent[] = []
      const changed = await this.#streams.change(
        ref,
        decision => {
          next = at
          ended = []
          next = this.#takeSome(decision, arrivals, at, bucket, ended)
        },
        originOf(arrivals, first?.event),
      )
      at = next
      this.#checkBucket(bucket, changed.bucket, ref)
      for (const event of ended) this.#tellIgnored(event, ref)
    }
  }

  /** Takes arrivals until the append is full; returns the next one. */
  #takeSome(
    decision: SagaDecision,
    arrivals: readonly Arrival[],
    from: number,
    bucket: number,
    ended: RecordedEvent[],
  ): number {
    let at = from
    while (at < arrivals.length && decision.events.length < this.#settings['saga.append.events']) {
      const { event, limit } = arrivals[at] as Arrival
      const taken = decision.take(event, limit)
      if (taken === 'full') return at
      at += 1
      if (taken === 'ended') ended.push(event)
    }
    const clock = this.#clocks.get(bucket)
    const isLast = at === arrivals.length
    if (isLast && this.#definition.clock === 'replay' && clock !== undefined)
      decision.fireDue(clock)
    return at
  }

  /** Fires what is due by the clocks of the buckets, of all instances. */
  async #fireAll(): Promise<void> {
    for (const [bucket, clock] of this.#clocks) {
      for (;;) {
        const items = this.#agenda.due(TIMERS, bucket, clock, DUE_PAGE)
        if (items.length === 0) break
        await inParallel(items, this.#settings['saga.timers.parallel'], async item => {
          await this.#streams.change(item, decision => decision.fireDue(clock))
          this.#agenda.removeItem(item)
        })
      }
    }
  }

  #checkBucket(source: number, own: number, ref: InstanceRef): void {
    if (this.#definition.clock !== 'replay' || own === -1 || own === source) return
    throw new ModelError(
      'BAD_DEFINITION',
      `saga ${this.#definition.name}: clock "replay" needs instance ${ref.id} in the bucket of its source (${source}), not in ${own}: give both an equal boundary`,
    )
  }

  #tellIgnored(event: RecordedEvent, ref: InstanceRef): void {
    this.#ignored += 1
    this.#context.onEvent({
      kind: 'saga-ignored',
      saga: this.#definition.name,
      key: ref.id,
      event: fullNameOf(event),
    })
  }
}

/** What the append of these events came from: one correlation only if all have it. */
function originOf(
  arrivals: readonly Arrival[],
  first: RecordedEvent | undefined,
): { correlationId?: string; causationId?: string } {
  const correlationId = first?.correlationId
  const isShared = arrivals.every(({ event }) => event.correlationId === correlationId)
  return {
    ...(correlationId === undefined || !isShared ? {} : { correlationId }),
    ...(first === undefined ? {} : { causationId: first.id }),
  }
}
