/**
 * The agenda as a fold of the saga's streams: what runs, what waits to be sent, what is parked. Read
 * from the category itself, in its order, so that it is the same on whichever node has the bucket.
 *
 * It reads on while the saga runs, also what other nodes append. `lowWater` says from where a
 * restart has to read: below it nothing is left to be done.
 */
import type { RecordedEvent } from '@millrace/store'
import type { RuntimeContext } from '../context.ts'
import {
  checkpointOf,
  NO_POSITIONS,
  offsetIn,
  type Positions,
  positionsIn,
} from '../subscriptions/index.ts'
import {
  type Agenda,
  COMMANDS,
  EFFECTS,
  type InstanceRef,
  NEVER,
  PARKED,
  TIMERS,
} from '../timers/index.ts'
import { type NewSagaEvent, sagaEventOf } from './events.ts'

/** Before any time: whatever the clocks say. */
const AT_ONCE = 0

/** See the head of the file. */
export class AgendaFold {
  readonly #category: string
  readonly #context: RuntimeContext
  readonly #agenda: Agenda
  readonly #laneOf: (effect: string) => number
  readonly #changed: () => void
  readonly #pageEvents: number
  #buckets: readonly number[] = []
  #position: Positions = NO_POSITIONS
  #waiting: { readonly target: Positions; readonly resolve: () => void }[] = []

  /** @param changed told after each page */
  constructor(options: {
    readonly category: string
    readonly context: RuntimeContext
    readonly agenda: Agenda
    readonly laneOf: (effect: string) => number
    readonly changed: () => void
    readonly pageEvents: number
  }) {
    this.#category = options.category
    this.#context = options.context
    this.#agenda = options.agenda
    this.#laneOf = options.laneOf
    this.#changed = options.changed
    this.#pageEvents = options.pageEvents
  }

  /**
   * Reads what there is of these buckets; afterwards `follow` goes on. What is known of the same
   * buckets from before is still true, and only read on: a restart of the saga does not fold anew.
   */
  async catchUp(buckets: readonly number[], from: Positions, signal: AbortSignal): Promise<void> {
    const isSame = buckets.length === this.#buckets.length && buckets.every(this.#has)
    if (!isSame) {
      this.#agenda.clear()
      this.#buckets = buckets
      this.#position = from
    }
    const pages = this.#context.store.readAll([this.#category], {
      ...this.#readOptions(buckets, signal),
      follow: false,
    })
    for await (const page of pages) this.#take(page, buckets)
  }

  /** What it knows is gone: the next catch-up folds anew. */
  forget(): void {
    this.#buckets = []
    this.#position = NO_POSITIONS
  }

  /** Reads on until the signal fires. */
  async follow(buckets: readonly number[], signal: AbortSignal): Promise<void> {
    const pages = this.#context.store.readAll([this.#category], {
      ...this.#readOptions(buckets, signal),
      follow: true,
    })
    for await (const page of pages) {
      if (signal.aborted) return
      this.#take(page, buckets)
    }
  }

  /** Resolves when everything of these buckets that stands in the category now is in the agenda. */
  async reachEnd(buckets: readonly number[], signal: AbortSignal): Promise<void> {
    const now = await this.#context.store.now([this.#category], null)
    const target = positionsIn(now, [this.#category], buckets)
    if (this.#covers(target) || signal.aborted) return
    await new Promise<void>(resolve => {
      this.#waiting.push({ target, resolve })
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
    signal.throwIfAborted()
  }

  /** From where a restart has to read a bucket. */
  lowWater(bucket: number): Positions {
    const position = offsetIn(this.#position, this.#category, bucket)
    return new Map([[this.#category, new Map([[bucket, this.#agenda.lowWater(bucket, position)]])]])
  }

  #has = (bucket: number): boolean => this.#buckets.includes(bucket)

  #readOptions(buckets: readonly number[], signal: AbortSignal) {
    return {
      after: checkpointOf(this.#context.store.id, this.#position),
      buckets,
      tenant: null,
      pageSize: this.#pageEvents,
      signal,
    }
  }

  #take(
    page: { readonly events: readonly RecordedEvent[]; readonly checkpoint: string },
    buckets: readonly number[],
  ): void {
    for (const event of page.events) this.#apply(event)
    this.#position = positionsIn(page.checkpoint, [this.#category], buckets)
    const reached = this.#waiting.filter(({ target }) => this.#covers(target))
    this.#waiting = this.#waiting.filter(each => !reached.includes(each))
    for (const { resolve } of reached) resolve()
    if (page.events.length > 0) this.#changed()
  }

  #covers(target: Positions): boolean {
    for (const [bucket, offset] of target.get(this.#category) ?? [])
      if (offsetIn(this.#position, this.#category, bucket) < offset) return false
    return true
  }

  #apply(recorded: RecordedEvent): void {
    const event = sagaEventOf(recorded)
    if (event === undefined) return
    const ref = { tenant: recorded.tenant, id: recorded.stream }
    switch (event.type) {
      case 'TimerSet':
        this.#putTimer(recorded, event.data.timer, event.data.due, recorded.version)
        break
      case 'TimerCancelled':
      case 'Fired':
        this.#agenda.remove({ ...ref, lane: TIMERS, name: event.data.timer }, recorded.version)
        break
      case 'CommandSent':
      case 'EffectSent':
        this.#putSend(recorded, event)
        break
      case 'Delivered':
      case 'Rejected':
        this.#removeSend(ref, event.data.sent)
        break
      case 'SendParked':
        this.#parkSend(ref, event.data)
        break
      case 'SendRedriven':
        this.#redriveSend(ref, event.data.sent)
        break
      case 'Parked':
        this.#park(recorded, event.data.reason)
        if (event.data.input.kind === 'rejection') this.#removeSend(ref, event.data.input.sent)
        break
      case 'Deferred':
        if (event.data.input.kind === 'rejection') this.#removeSend(ref, event.data.input.sent)
        break
      case 'Resumed':
        this.#agenda.removeAll(ref, PARKED)
        for (const { timer, due, version } of event.data.timers)
          this.#putTimer(recorded, timer, due, version)
        break
      case 'Ended':
        this.#agenda.removeAll(ref, TIMERS)
        this.#agenda.removeAll(ref, PARKED)
        break
      default:
        // Inputs and states: nothing to be done follows from them.
        break
    }
  }

  #putTimer(
    { tenant, stream, bucket, offset }: RecordedEvent,
    name: string,
    due: number,
    version: number,
  ): void {
    this.#agenda.put({ lane: TIMERS, bucket, due, tenant, id: stream, name, version, offset })
  }

  /** Commands of an instance go out one after the other: only the first has a time. */
  #putSend(
    { tenant, stream: id, version, bucket, offset }: RecordedEvent,
    event: Extract<NewSagaEvent, { type: 'CommandSent' | 'EffectSent' }>,
  ): void {
    const lane = event.type === 'CommandSent' ? COMMANDS : this.#laneOf(event.data.effect)
    const isBehind = lane === COMMANDS && this.#agenda.first({ tenant, id }, COMMANDS) !== undefined
    const due = isBehind ? NEVER : AT_ONCE
    this.#agenda.put({ lane, bucket, due, tenant, id, name: String(version), version, offset })
  }

  #removeSend(ref: InstanceRef, sent: number): void {
    for (const lane of this.#sendLanes(ref, sent)) {
      this.#agenda.remove({ ...ref, lane, name: String(sent) })
      if (lane === COMMANDS) this.releaseNext(ref)
    }
  }

  /** Gives the next command of an instance its turn. */
  releaseNext(ref: InstanceRef): void {
    const next = this.#agenda.first(ref, COMMANDS)
    if (next === undefined || next.due !== NEVER || next.reason !== null) return
    this.#agenda.postpone(next, AT_ONCE, 0, null)
  }

  #parkSend(ref: InstanceRef, data: { sent: number; reason: string; attempts: number }): void {
    for (const lane of this.#sendLanes(ref, data.sent)) {
      const key = { ...ref, lane, name: String(data.sent) }
      this.#agenda.postpone(key, NEVER, data.attempts, data.reason)
    }
  }

  #redriveSend(ref: InstanceRef, sent: number): void {
    for (const lane of this.#sendLanes(ref, sent))
      this.#agenda.postpone({ ...ref, lane, name: String(sent) }, AT_ONCE, 0, null)
  }

  #park({ tenant, stream, bucket, offset, version }: RecordedEvent, reason: string): void {
    const item = { lane: PARKED, bucket, due: NEVER, tenant, id: stream, name: '' }
    this.#agenda.put({ ...item, version, offset, reason })
  }

  /** The lane that a send stands in: its event is not at hand. */
  #sendLanes(ref: InstanceRef, sent: number): number[] {
    return this.#agenda
      .lanesOf(ref, String(sent))
      .filter(lane => lane === COMMANDS || lane >= EFFECTS)
  }
}
