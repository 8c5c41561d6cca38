/**
 * A subscription: a part of the application that hears of the events of aggregates, each stream's in
 * order and by one subscriber at a time, at least once.
 */
import type { Aggregate, EventOf } from '../define/aggregate.ts'
import { ModelError } from '../errors.ts'
import type { StartPlace } from './follower.ts'

/** What a handler is told about a call. */
export type DeliveryContext = {
  /** 1 for the first. */
  readonly attempt: number
  /** Fires when the buckets go to another node: what is done after that is done again there. */
  readonly signal: AbortSignal
}

/** An aggregate's events as one delivery. */
export type Delivery<E> = {
  readonly tenant: string
  readonly category: string
  readonly stream: string
  /**
   * False: all events from the first up to the finishing one. True: events that came after it,
   * which are delivered apart.
   */
  readonly late: boolean
  /** Versions of the first and the last event. */
  readonly from: number
  readonly to: number
  /** Read from the store while it is iterated. */
  readonly events: AsyncIterable<E>
  /** All of them in memory. */
  readonly all: () => Promise<readonly E[]>
}

/** A subscription's definition, untyped: for the runtime. */
export type Subscription = {
  readonly name: string
  readonly from: readonly Aggregate[]
  readonly types: readonly string[] | undefined
  readonly batch: ((events: never, context: DeliveryContext) => void | Promise<void>) | undefined
  readonly until: ((event: never) => boolean) | undefined
  readonly whole: ((delivery: never, context: DeliveryContext) => void | Promise<void>) | undefined
  readonly start: StartPlace
  readonly broadcast: boolean
}

/**
 * Defines a subscription. Either `batch` gets the events as they come, or `whole` gets all events of
 * an aggregate at once when the one has come that `until` calls final.
 *
 * What comes for an aggregate after its final event is late: it is delivered apart, marked so, as it
 * comes. An aggregate without a final event is not delivered.
 */
export function subscription<const A extends Aggregate[]>(
  name: string,
  is: {
    from: A
    /** Only these types of events, by full name. With `until`: looked at for the final one. */
    types?: EventOf<A[number]>['type'][]
    batch?: (
      events: readonly EventOf<A[number]>[],
      context: DeliveryContext,
    ) => void | Promise<void>
    until?: (event: EventOf<A[number]>) => boolean
    whole?: (
      delivery: Delivery<EventOf<A[number]>>,
      context: DeliveryContext,
    ) => void | Promise<void>
    /** Where it begins the first time. Default: the beginning; of a broadcast: now. */
    start?: StartPlace
    /** Every node gets every event; positions and parked streams are kept in memory only. */
    broadcast?: boolean
  },
): Subscription {
  const isWhole = is.until !== undefined && is.whole !== undefined && is.batch === undefined
  const isBatch = is.batch !== undefined && is.until === undefined && is.whole === undefined
  if (!isWhole && !isBatch)
    throw new ModelError(
      'BAD_DEFINITION',
      `subscription ${name} must have either batch, or until and whole`,
    )
  return Object.freeze({
    name,
    from: is.from,
    types: is.types,
    batch: is.batch as Subscription['batch'],
    until: is.until as Subscription['until'],
    whole: is.whole as Subscription['whole'],
    start: is.start ?? (is.broadcast === true ? 'now' : 'beginning'),
    broadcast: is.broadcast ?? false,
  })
}
