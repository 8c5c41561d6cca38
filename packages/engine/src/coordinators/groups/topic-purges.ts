/**
 * Offsets of deleted topics, from the deletion until the last of them is gone.
 *
 * A removal that fails (a full disk, a journal that takes nothing) is told once, and the topic is kept
 * in mind: it is tried again at each look for expired offsets, and before another topic of that name is
 * created. What a restart interrupts is found again by the coordinator's start.
 *
 * Bounds: one name for each deleted topic of which offsets are there; offsets have bounds of their own.
 */

/** Removals of the offsets of deleted topics. */
export class TopicPurges {
  readonly #remove: (topic: string) => Promise<void>
  readonly #failed: (topic: string, cause: unknown) => void
  readonly #running = new Map<string, Promise<void>>()
  readonly #left = new Set<string>()

  /**
   * @param remove removes all offsets of a topic; may be called again after it has rejected
   * @param failed is told of the first failure for a topic
   */
  constructor(
    remove: (topic: string) => Promise<void>,
    failed: (topic: string, cause: unknown) => void,
  ) {
    this.#remove = remove
    this.#failed = failed
  }

  /** Removes what is there, or joins the removal that runs. Rejects where it fails; it is tried again then. */
  begin(topic: string): Promise<void> {
    const running = this.#running.get(topic)
    if (running !== undefined) return running
    const purge = this.#attempt(topic)
    this.#running.set(topic, purge)
    return purge
  }

  /** The removal of what is still there of a topic, begun again where it has failed; undefined if nothing is. */
  unfinished(topic: string): Promise<void> | undefined {
    return this.#left.has(topic) ? this.begin(topic) : this.#running.get(topic)
  }

  /** Tries again what has failed; never rejects. */
  async again(): Promise<void> {
    for (const topic of [...this.#left]) await this.begin(topic).catch(() => undefined)
  }

  async #attempt(topic: string): Promise<void> {
    try {
      await this.#remove(topic)
      this.#left.delete(topic)
    } catch (cause) {
      if (!this.#left.has(topic)) {
        this.#left.add(topic)
        this.#failed(topic, cause)
      }
      throw cause
    } finally {
      this.#running.delete(topic)
    }
  }
}
