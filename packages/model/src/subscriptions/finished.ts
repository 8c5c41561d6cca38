/**
 * Knows which streams have had their final event, and at which version: from memory for the latest,
 * from the stream itself for the others. Nothing is buffered; a stream that is looked at again
 * after it was forgotten costs one read.
 */
import type { EventStore, RecordedEvent } from '@millrace/store'

/** Version of the final event; 0: none up to what was looked at. */
export type FinishedAt = number

/** See the head of the file. */
export class Finished {
  readonly #store: EventStore
  readonly #isFinal: (event: RecordedEvent) => boolean
  readonly #most: number
  readonly #known = new Map<string, FinishedAt>()

  constructor(store: EventStore, isFinal: (event: RecordedEvent) => boolean, most: number) {
    this.#store = store
    this.#isFinal = isFinal
    this.#most = most
  }

  /**
   * Where the stream of these events (in order, without a gap between what was looked at before and
   * them) has finished, they included.
   */
  async at(events: readonly RecordedEvent[]): Promise<FinishedAt> {
    const [first] = events
    if (first === undefined) return 0
    const key = `${first.tenant}/${first.category}/${first.stream}`
    const before = this.#known.get(key) ?? (await this.#read(first))
    const found = before > 0 ? before : (events.find(this.#isFinal)?.version ?? 0)
    this.#known.delete(key)
    this.#known.set(key, found)
    if (this.#known.size > this.#most) {
      const [oldest] = this.#known.keys()
      if (oldest !== undefined) this.#known.delete(oldest)
    }
    return found
  }

  clear(): void {
    this.#known.clear()
  }

  /** Looks at what came before an event. */
  async #read({ tenant, category, stream, version }: RecordedEvent): Promise<FinishedAt> {
    if (version === 1) return 0
    for await (const event of this.#store.read(
      { tenant, category, id: stream },
      { to: version - 1 },
    ))
      if (this.#isFinal(event)) return event.version
    return 0
  }
}
