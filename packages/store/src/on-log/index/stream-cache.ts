/**
 * The streams that are kept in memory: two generations. What is used moves to the young one; when
 * that is half full the old one is dropped. So a look costs one or two map reads and no list.
 */
import type { StreamFold } from '../../rule/fold-state.ts'
import type { Entry } from './entry.ts'
import type { TailPage } from './state-codec.ts'

/** A stream in memory: its state, and its events that are not in the index yet. */
export type StreamSlot = {
  readonly stream: string
  state: StreamFold
  tail: TailPage
  /** Not written yet; the first has version `freshFirst`. */
  fresh: Entry[]
  freshFirst: number
  /** Being written. */
  flushing: readonly Entry[]
  flushingFirst: number
  dirty: boolean
}

/** Keeps at most about `limit` slots. */
export class StreamCache {
  readonly #limit: number
  #young = new Map<string, StreamSlot>()
  #old = new Map<string, StreamSlot>()

  constructor(limit: number) {
    this.#limit = limit
  }

  get size(): number {
    return this.#young.size + this.#old.size
  }

  get(stream: string): StreamSlot | undefined {
    const young = this.#young.get(stream)
    if (young !== undefined) return young
    const old = this.#old.get(stream)
    if (old !== undefined) {
      this.#old.delete(stream)
      this.add(old)
    }
    return old
  }

  add(slot: StreamSlot): void {
    this.#young.set(slot.stream, slot)
    if (this.#young.size * 2 <= this.#limit) return
    this.#old = this.#young
    this.#young = new Map()
  }

  clear(): void {
    this.#young.clear()
    this.#old.clear()
  }
}
