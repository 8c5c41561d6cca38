/**
 * Loads states of aggregates for commands, and keeps the hot ones: a load then reads only the events
 * that came since, however long ago the last snapshot was.
 *
 * A kept state is never trusted by itself. Each load asks the store for the stream's version, and the
 * events in between are read from it, so a load sees what a load from the beginning would see. What
 * the cache must not outlive is not kept: states with personal fields in them (a subject may be
 * forgotten), states that are no plain data, streams that were truncated since. Kept states are
 * frozen: `decide` or `evolve` that changes one in place fails at once.
 */
import {
  type Checkpoint,
  type EventStore,
  type RecordedEvent,
  StoreError,
  type StreamRef,
} from '@millrace/store'
import { frozen } from '../define/json.ts'
import type { CompiledAggregate } from './compiled.ts'

/** A state with the version that it is of. */
export type Loaded = {
  readonly state: unknown
  readonly version: number
  readonly checkpoint: Checkpoint
}

type Kept = { readonly state: unknown; readonly version: number; readonly firstVersion: number }

/** Events after which a state is folded by the store again, from its snapshot. */
const BEHIND_MAX = 200

export class Loader {
  readonly #store: EventStore
  readonly #keptMax: number
  /** Least recently used first. */
  readonly #kept = new Map<string, Kept>()

  /** @param keptMax states kept; 0: none */
  constructor(store: EventStore, keptMax: number) {
    this.#store = store
    this.#keptMax = keptMax
  }

  get kept(): number {
    return this.#kept.size
  }

  /** The state now. One load of a stream at a time. Throws STREAM_ARCHIVED, STREAM_TOMBSTONED. */
  async load(key: string, stream: StreamRef, aggregate: CompiledAggregate): Promise<Loaded> {
    const now = await this.#store.state(stream)
    if (now.tombstoned) throw new StoreError('STREAM_TOMBSTONED', `${nameOf(stream)} was deleted`)
    if (now.archived) throw new StoreError('STREAM_ARCHIVED', `${nameOf(stream)} is archived`)
    const kept = this.#take(key)
    if (kept !== undefined && kept.firstVersion === now.firstVersion) {
      const behind = now.version - kept.version
      if (behind === 0) return this.#keep(key, aggregate, { ...kept, checkpoint: now.checkpoint })
      if (behind > 0 && behind <= BEHIND_MAX) {
        const since = await this.#store.read(stream, { from: kept.version + 1 }).all()
        const state = stateAfter(aggregate, kept, since.events, since.version)
        const { firstVersion } = kept
        if (state !== undefined) {
          return this.#keep(key, aggregate, { ...since, state: state.state, firstVersion })
        }
      }
    }
    const loaded = await this.#store.aggregate(stream, aggregate.fold)
    return this.#keep(key, aggregate, { ...loaded, firstVersion: now.firstVersion })
  }

  /** Taken out while it is worked on: a fold that throws half way leaves nothing behind. */
  #take(key: string): Kept | undefined {
    const kept = this.#kept.get(key)
    if (kept !== undefined) this.#kept.delete(key)
    return kept
  }

  #keep(
    key: string,
    aggregate: CompiledAggregate,
    { state, version, checkpoint, firstVersion }: Loaded & { readonly firstVersion: number },
  ): Loaded {
    if (!aggregate.isKept || this.#keptMax === 0) return { state, version, checkpoint }
    this.#kept.set(key, { state: frozen(state), version, firstVersion })
    if (this.#kept.size > this.#keptMax) {
      for (const oldest of this.#kept.keys()) {
        this.#kept.delete(oldest)
        break
      }
    }
    return { state, version, checkpoint }
  }
}

/** The state after the events that follow on it up to `version`; undefined where some are missing. */
export function stateAfter(
  { fold }: CompiledAggregate,
  before: { readonly state: unknown; readonly version: number },
  events: readonly RecordedEvent[],
  version: number,
): { readonly state: unknown } | undefined {
  let { state, version: reached } = before
  for (const event of events) {
    if (event.version !== reached + 1) return undefined
    state = fold.evolve(state, event)
    reached = event.version
  }
  return reached === version ? { state } : undefined
}

export const nameOf = ({ category, id }: StreamRef): string => `${category} ${id}`
