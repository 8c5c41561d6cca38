/**
 * Delivers pages to a subscription's handler. What fails is tried again by the policy; then the batch
 * is delivered stream by stream, so that one bad stream is found, and that one is parked: durably,
 * before the position passes it, while the others go on.
 */
import type { Outside } from '@millrace/base'
import type { EventStore, RecordedEvent } from '@millrace/store'
import { ModelError, reasonOf } from '../errors.ts'
import type { Policy } from '../policy/policy.ts'
import { withTimeout } from '../policy/time-out.ts'
import type { Delivery, DeliveryContext, Subscription } from './define.ts'
import { Finished } from './finished.ts'
import type { ParkedStream, ParkedStreams } from './parked.ts'
import type { FollowerSettings } from './settings.ts'

/** What a deliverer is made of. */
export type DelivererOptions = {
  readonly definition: Subscription
  readonly store: EventStore
  readonly policy: Policy
  readonly attempts: number
  readonly parked: ParkedStreams
  readonly settings: FollowerSettings
  readonly timers: Outside['timers']
  readonly onParked: (stream: ParkedStream) => void
}

type Run = (context: DeliveryContext) => void | Promise<void>

/** See the head of the file. */
export class Deliverer {
  readonly #options: DelivererOptions
  readonly #types: ReadonlySet<string> | null
  readonly #finished: Finished | null

  constructor(options: DelivererOptions) {
    this.#options = options
    const { definition, store, settings } = options
    const { types, until } = definition
    this.#types = types === undefined ? null : new Set(types)
    this.#finished =
      until === undefined
        ? null
        : new Finished(
            store,
            event => this.#isWanted(event) && until(forHandler(event) as never),
            settings['subscription.finished.cache'],
          )
  }

  /** The buckets have changed: others may have gone on meanwhile. */
  forget(): void {
    this.#finished?.clear()
  }

  /** Delivers events of several streams in their order, without those that are parked. */
  async page(events: readonly RecordedEvent[], signal: AbortSignal): Promise<void> {
    const { parked, definition, settings } = this.#options
    const isFree = (event: RecordedEvent): boolean => parked.get(event) === undefined
    if (definition.whole !== undefined) {
      for (const own of byStream(events.filter(isFree)))
        await this.#orPark(own, signal, () => this.#whole(own, signal))
      return
    }
    const wanted = events.filter(event => this.#isWanted(event))
    const most = settings['subscription.batch.events']
    // Asked anew for each batch: an earlier one of the page may have parked the stream.
    for (let at = 0; at < wanted.length; at += most) {
      const batch = wanted.slice(at, at + most).filter(isFree)
      if (batch.length > 0) await this.#batch(batch, signal)
    }
  }

  /** Delivers events of one stream; throws what the handler throws after the last attempt. */
  async stream(events: readonly RecordedEvent[], signal: AbortSignal): Promise<void> {
    if (this.#options.definition.whole !== undefined) return this.#whole(events, signal)
    const wanted = events.filter(event => this.#isWanted(event))
    if (wanted.length > 0) await this.#handle(wanted, signal)
  }

  async #batch(events: readonly RecordedEvent[], signal: AbortSignal): Promise<void> {
    const streams = byStream(events)
    if (streams.length > 1) {
      try {
        return await this.#handle(events, signal)
      } catch {
        signal.throwIfAborted()
        // Somewhere in it is what cannot be handled: each stream apart finds it.
      }
    }
    for (const own of streams) await this.#orPark(own, signal, () => this.#handle(own, signal))
  }

  #handle(events: readonly RecordedEvent[], signal: AbortSignal): Promise<void> {
    const { batch } = this.#options.definition
    const given = events.map(forHandler)
    return this.#attempt(signal, context => batch?.(given as never, context))
  }

  /** What the events of one stream finish, and what comes late. */
  async #whole(events: readonly RecordedEvent[], signal: AbortSignal): Promise<void> {
    const [first] = events
    if (this.#finished === null || first === undefined) return
    const finishedAt = await this.#finished.at(events)
    if (finishedAt === 0) return
    if (events.some(({ version }) => version === finishedAt))
      await this.#deliver(first, false, 1, finishedAt, signal)
    const late = events.filter(event => event.version > finishedAt && this.#isWanted(event))
    const [from, to] = [late[0], late.at(-1)]
    if (from !== undefined && to !== undefined)
      await this.#deliver(first, true, from.version, to.version, signal)
  }

  #deliver(
    { tenant, category, stream }: RecordedEvent,
    late: boolean,
    from: number,
    to: number,
    signal: AbortSignal,
  ): Promise<void> {
    const { definition, store } = this.#options
    const read = (): AsyncIterable<unknown> =>
      mapped(store.read({ tenant, category, id: stream }, { from, to }), forHandler)
    return this.#attempt(signal, context => {
      const delivery: Delivery<unknown> = {
        tenant,
        category,
        stream,
        late,
        from,
        to,
        events: { [Symbol.asyncIterator]: () => read()[Symbol.asyncIterator]() },
        all: () => collected(read()),
      }
      return definition.whole?.(delivery as never, context)
    })
  }

  #attempt(signal: AbortSignal, run: Run): Promise<void> {
    const { policy, settings, definition, timers } = this.#options
    const timeoutMs = settings['subscription.handler.timeout.ms']
    const patience = {
      ...{ timers, timeoutMs, endMs: settings['subscription.handler.end.ms'], signal },
      late: () =>
        new ModelError(
          'HANDLER_FAILED',
          `the handler of ${definition.name} took longer than ${timeoutMs} ms (subscription.handler.timeout.ms)`,
        ),
    }
    return policy.run(
      ({ attempt }) => withTimeout(patience, until => run({ attempt, signal: until })),
      { signal },
    )
  }

  async #orPark(
    events: readonly RecordedEvent[],
    signal: AbortSignal,
    work: () => Promise<void>,
  ): Promise<void> {
    try {
      await work()
    } catch (error) {
      signal.throwIfAborted()
      const [first] = events
      if (first === undefined) throw error
      await this.#park(first, error)
    }
  }

  async #park(first: RecordedEvent, error: unknown): Promise<void> {
    const { parked, settings, definition, attempts, onParked } = this.#options
    const most = settings['subscription.parked.max']
    const cause = error instanceof ModelError && error.cause !== undefined ? error.cause : error
    if (parked.size >= most)
      throw new ModelError(
        'PARKED_EXCEEDED',
        `subscription ${definition.name} has ${most} parked streams (subscription.parked.max); the last failure: ${reasonOf(cause)}`,
        { cause },
      )
    const { tenant, category, stream, bucket, version } = first
    const reason = reasonOf(cause)
    const entry = { tenant, category, stream, bucket, version, reason, attempts }
    await parked.park(entry)
    onParked(entry)
  }

  #isWanted(event: RecordedEvent): boolean {
    return this.#types === null || this.#types.has(`${event.category}.${event.type}`)
  }
}

/** Events by stream, streams in the order of their first event. */
function byStream(events: readonly RecordedEvent[]): RecordedEvent[][] {
  const streams = new Map<string, RecordedEvent[]>()
  for (const event of events) {
    const key = `${event.tenant}/${event.category}/${event.stream}`
    const own = streams.get(key)
    if (own === undefined) streams.set(key, [event])
    else own.push(event)
  }
  return [...streams.values()]
}

/** An event as handlers get it. */
function forHandler(event: RecordedEvent): Record<string, unknown> {
  const { data, id, stream, version, time, metadata, tenant, category, type } = event
  return { type: `${category}.${type}`, data, id, stream, version, time, metadata, tenant }
}

async function collected<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

async function* mapped<T, U>(items: AsyncIterable<T>, map: (item: T) => U): AsyncGenerator<U> {
  for await (const item of items) yield map(item)
}
