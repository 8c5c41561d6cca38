/**
 * Parked streams: those whose events a subscription could not handle. One record each, not one per
 * event: from which version on it waits, and why. Later events of the stream are read from the store
 * when it is redriven.
 *
 * They are events of one stream per subscription (category `<application>.parked`), written before
 * the position passes what failed, and followed by every node that runs the subscription.
 */
import type { EventStore, RecordedEvent, StreamRef } from '@millrace/store'

/** A stream that waits. */
export type ParkedStream = {
  readonly tenant: string
  readonly category: string
  readonly stream: string
  readonly bucket: number
  /** The first version that is not handled. */
  readonly version: number
  readonly reason: string
  readonly attempts: number
}

type Name = Pick<ParkedStream, 'tenant' | 'category' | 'stream'>

/** Remembers parked streams. */
export interface ParkedStreams {
  readonly size: number
  /** Reads what is parked and follows it until the signal fires; resolves when it has been read. */
  open(signal: AbortSignal, fail: (error: unknown) => void): Promise<void>
  get(name: Name): ParkedStream | undefined
  all(): readonly ParkedStream[]
  park(stream: ParkedStream): Promise<void>
  /** Its events are delivered again from now on. */
  release(name: Name): Promise<void>
}

/** Category of parked streams; the store has to be opened with it. */
export const parkedCategoryOf = (application: string): string => `${application}.parked`

const keyOf = ({ tenant, category, stream }: Name): string => `${tenant}/${category}/${stream}`

/** In the store. */
export function storedParkedStreams(store: EventStore, ref: StreamRef): ParkedStreams {
  const streams = new Map<string, ParkedStream>()
  const apply = ({ type, data }: Pick<RecordedEvent, 'type' | 'data'>): void => {
    const parked = data as ParkedStream
    if (type === 'Parked') streams.set(keyOf(parked), parked)
    if (type === 'Released') streams.delete(keyOf(parked))
  }
  const append = async (type: string, data: ParkedStream | Name): Promise<void> => {
    await store.append(ref, [{ type, data }])
    apply({ type, data })
  }
  return {
    get size() {
      return streams.size
    },
    open: async (signal, fail) => {
      streams.clear()
      const { events, version } = await store.read(ref, { signal }).all()
      for (const event of events) apply(event)
      followed(store, ref, version + 1, signal, apply).catch(error => {
        if (!signal.aborted) fail(error)
      })
    },
    get: name => streams.get(keyOf(name)),
    all: () => [...streams.values()],
    park: stream => append('Parked', stream),
    release: ({ tenant, category, stream }) => append('Released', { tenant, category, stream }),
  }
}

/** In memory: of a broadcast, whose positions are not kept either. */
export function memoryParkedStreams(): ParkedStreams {
  const streams = new Map<string, ParkedStream>()
  return {
    get size() {
      return streams.size
    },
    open: () => Promise.resolve(),
    get: name => streams.get(keyOf(name)),
    all: () => [...streams.values()],
    park: async stream => void streams.set(keyOf(stream), stream),
    release: async name => void streams.delete(keyOf(name)),
  }
}

async function followed(
  store: EventStore,
  ref: StreamRef,
  from: number,
  signal: AbortSignal,
  apply: (event: RecordedEvent) => void,
): Promise<void> {
  for await (const event of store.follow(ref, { from, signal })) apply(event)
}
