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
  return new StoredParkedStreams(store, ref)
}

/**
 * What is parked is what the stream says, in its order; also of what this node wrote itself. A park
 * that was followed by a release would otherwise come back for a moment, and events be passed over.
 */
class StoredParkedStreams implements ParkedStreams {
  readonly #store: EventStore
  readonly #ref: StreamRef
  readonly #streams = new Map<string, ParkedStream>()
  #version = 0
  #signal: AbortSignal = AbortSignal.abort()
  /** Wake those that wait for a version. */
  readonly #waiting = new Set<() => void>()

  constructor(store: EventStore, ref: StreamRef) {
    this.#store = store
    this.#ref = ref
  }

  get size(): number {
    return this.#streams.size
  }

  async open(signal: AbortSignal, fail: (error: unknown) => void): Promise<void> {
    this.#streams.clear()
    this.#signal = signal
    const { events, version } = await this.#store.read(this.#ref, { signal }).all()
    for (const event of events) this.#apply(event)
    this.#version = version
    this.#follow(signal).catch(error => {
      if (!signal.aborted) fail(error)
    })
  }

  get(name: Name): ParkedStream | undefined {
    return this.#streams.get(keyOf(name))
  }

  all(): readonly ParkedStream[] {
    return [...this.#streams.values()]
  }

  park(stream: ParkedStream): Promise<void> {
    return this.#append('Parked', stream)
  }

  release({ tenant, category, stream }: Name): Promise<void> {
    return this.#append('Released', { tenant, category, stream })
  }

  async #append(type: string, data: ParkedStream | Name): Promise<void> {
    const signal = this.#signal
    const result = await this.#store.append(this.#ref, [{ type, data }])
    while (this.#version < result.version) {
      signal.throwIfAborted()
      await this.#next(signal)
    }
  }

  async #next(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const wake = (): void => resolve()
    this.#waiting.add(wake)
    signal.addEventListener('abort', wake, { once: true })
    await promise
    signal.removeEventListener('abort', wake)
    this.#waiting.delete(wake)
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const from = this.#version + 1
    for await (const event of this.#store.follow(this.#ref, { from, signal })) {
      if (signal.aborted) return
      this.#apply(event)
      this.#version = event.version
      for (const wake of this.#waiting) wake()
    }
  }

  #apply({ type, data }: RecordedEvent): void {
    const parked = data as ParkedStream
    if (type === 'Parked') this.#streams.set(keyOf(parked), parked)
    if (type === 'Released') this.#streams.delete(keyOf(parked))
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
