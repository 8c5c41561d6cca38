/** Folds a stream into a state, from its latest fitting snapshot on. */
import type { Maybe } from '../personal/maybe.ts'
import type { Aggregated, AggregateOptions, Fold, RecordedEvent, StreamVersion } from '../port.ts'
import type { EventSource } from './event.ts'
import { streamRuns } from './index/stream-entries.ts'
import { type Begun, begin, type FoundStream, type ReaderParts } from './stream-reader.ts'

/** A state that was kept. */
export type KeptState = {
  readonly version: StreamVersion
  readonly state: unknown
  /** Ids of the subjects' keys that opened fields which went into it. */
  readonly keys: readonly string[]
}

/** Where states are kept. */
export interface StateKeeper {
  load(source: EventSource, name: string, hash: string): Maybe<KeptState | undefined>
  /**
   * Best effort; never fails a read.
   *
   * @param keys ids of the subjects' keys that opened fields of the stream: the state is sealed too
   */
  save(
    source: EventSource,
    name: string,
    hash: string,
    kept: Pick<KeptState, 'version' | 'state'>,
    keys: ReadonlySet<string>,
  ): void
  /** Removes all of some streams, durably; resolves to how many there were. */
  remove(sources: Iterable<Pick<EventSource, 'category' | 'tenant' | 'stream'>>): Promise<number>
}

const SNAPSHOT_EVERY = 200

/** See the head of the file. */
export async function aggregateStream<State>(
  parts: ReaderParts & { readonly states: StateKeeper },
  found: FoundStream,
  fold: Fold<State>,
  options: AggregateOptions,
): Promise<Aggregated<State>> {
  const { bucket } = found
  const begun = begin(parts.log, found)
  const { source, slot, version, firstVersion } = begun
  const to = Math.min(options.version ?? version, version)
  const until = options.time ?? Number.POSITIVE_INFINITY
  const { snapshot } = fold
  const { types, topicId } = bucket.category
  // With the topic's id: one that was made anew has other events under the same names.
  const hash = snapshot === undefined ? '' : `${snapshot.hash}/${types.hash()}/${topicId}`
  const kept = await keptState(parts.states, begun, fold, hash, to, options.time !== undefined)
  let state = kept === undefined ? fold.initial() : (kept.state as State)
  let stateVersion = kept?.version ?? 0
  const from = Math.max(stateVersion + 1, firstVersion)
  const keys = new Set(kept?.keys)
  let ended = false
  for await (const run of streamRuns(parts.kv, bucket.index.place, slot, from, to, false)) {
    let next = run.first
    for (const entry of run.entries) {
      if (entry.time > until) {
        ended = true
        break
      }
      const opened = parts.opener.folded(bucket.category, source, next, entry, keys)
      const event: RecordedEvent = opened instanceof Promise ? await opened : opened
      state = fold.evolve(state, event)
      stateVersion = next
      next += 1
    }
    if (ended) break
  }
  const { archived, tombstoned } = slot.state
  if (snapshot !== undefined && stateVersion === version && !tombstoned) {
    const every = snapshot.every ?? SNAPSHOT_EVERY
    if (every > 0 && stateVersion - (kept?.version ?? 0) >= every) {
      parts.states.save(source, snapshot.name, hash, { version: stateVersion, state }, keys)
    }
  }
  return {
    state,
    stateVersion: Math.min(stateVersion, to),
    snapshotVersion: kept?.version ?? 0,
    version,
    checkpoint: begun.end.checkpoint,
    archived,
    tombstoned,
  }
}

/** A snapshot that fits: of this code, not ahead of what is wanted, of a stream that is readable. */
async function keptState<State>(
  states: StateKeeper,
  { source, version, firstVersion }: Begun,
  fold: Fold<State>,
  hash: string,
  to: number,
  byTime: boolean,
): Promise<KeptState | undefined> {
  // A state by time may lie anywhere before; a truncated stream is folded from what can be read.
  if (fold.snapshot === undefined || byTime || to < version || firstVersion > 1) return undefined
  const kept = await states.load(source, fold.snapshot.name, hash)
  return kept !== undefined && kept.version <= to ? kept : undefined
}
