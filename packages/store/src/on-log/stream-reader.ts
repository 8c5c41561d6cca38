/** Reads one stream from the index: lazily, in either direction, up to where it was at the start. */
import { bucketCheckpoint } from '../checkpoint.ts'
import { StoreError } from '../errors.ts'
import type { KeyValue } from '../kv/key-value.ts'
import { checkWhole } from '../names.ts'
import type { ReadEnd, ReadOptions, RecordedEvent, StreamReader, StreamVersion } from '../port.ts'
import { streamKey } from '../rule/facts.ts'
import type { Bucket } from './bucket.ts'
import type { EventSource } from './event.ts'
import type { Entry } from './index/entry.ts'
import type { StreamSlot } from './index/stream-cache.ts'
import { type Run, streamRuns } from './index/stream-entries.ts'
import type { EventOpener } from './opener.ts'

/** What a reader needs of the store. */
export type ReaderParts = {
  readonly log: string
  readonly kv: KeyValue
  readonly opener: EventOpener
}

/** A stream, found. */
export type FoundStream = {
  readonly bucket: Bucket
  readonly tenant: string
  readonly id: string
}

/** A stream as it is when a read begins. */
export type Begun = {
  readonly source: EventSource
  readonly slot: StreamSlot
  readonly version: StreamVersion
  readonly firstVersion: StreamVersion
  readonly end: ReadEnd
}

/** Looks a stream up. @throws StoreError when its bucket stopped */
export function begin(log: string, found: FoundStream): Begun {
  const { bucket, tenant, id } = found
  if (bucket.failure !== null) throw bucket.failure
  const slot = bucket.index.slot(streamKey(tenant, id))
  const { version, firstVersion } = slot.state
  const category = bucket.category.name
  return {
    source: { category, tenant, stream: id, bucket: bucket.number },
    slot,
    version,
    firstVersion,
    end: {
      version,
      checkpoint: bucketCheckpoint(log, tenant, category, bucket.number, bucket.decided),
    },
  }
}

/** Checks what a read asks for. @throws StoreError BAD_ARGUMENT */
export function checkRead(options: ReadOptions): void {
  if (options.from !== undefined) checkWhole(options.from, 1, 'from')
  if (options.to !== undefined) checkWhole(options.to, 0, 'to')
  if (options.limit !== undefined) checkWhole(options.limit, 0, 'limit')
  if (options.until !== undefined && !Number.isFinite(options.until)) {
    throw new StoreError('BAD_ARGUMENT', `until must be a time in ms, not ${options.until}`)
  }
}

/** See the head of the file. */
export class IndexStreamReader implements StreamReader {
  readonly #parts: ReaderParts
  readonly #options: ReadOptions
  readonly #find: () => FoundStream
  #found: FoundStream | undefined
  #begun: Begun | undefined

  constructor(parts: ReaderParts, options: ReadOptions, find: () => FoundStream) {
    this.#parts = parts
    this.#options = options
    this.#find = find
  }

  async end(): Promise<ReadEnd> {
    return this.#begin().end
  }

  async all(): Promise<ReadEnd & { readonly events: readonly RecordedEvent[] }> {
    const events: RecordedEvent[] = []
    for await (const page of this.#pages()) for (const event of page) events.push(event)
    return { ...this.#begin().end, events }
  }

  async *[Symbol.asyncIterator](): AsyncIterator<RecordedEvent> {
    const { signal } = this.#options
    for await (const page of this.#pages()) {
      for (const event of page) {
        signal?.throwIfAborted()
        yield event
      }
    }
  }

  #begin(): Begun {
    if (this.#begun === undefined) {
      this.#found = this.#find()
      this.#begun = begin(this.#parts.log, this.#found)
    }
    return this.#begun
  }

  async *#pages(): AsyncGenerator<readonly RecordedEvent[], void> {
    const { source, slot, version, firstVersion } = this.#begin()
    const { category, index } = (this.#found as FoundStream).bucket
    const { backwards = false, limit = Number.POSITIVE_INFINITY, until, signal } = this.#options
    const { from, to } = bounds(this.#options, firstVersion, version)
    let left = limit
    for await (const run of streamRuns(this.#parts.kv, index.place, slot, from, to, backwards)) {
      signal?.throwIfAborted()
      if (left <= 0) return
      const entries = wanted(run, backwards, left, until)
      yield await this.#parts.opener.all(category, source, entries)
      left -= entries.length
      // Times never fall within a stream: what comes later is later.
      if (!backwards && entries.length < Math.min(run.entries.length, left)) return
    }
  }
}

function bounds(
  options: ReadOptions,
  firstVersion: StreamVersion,
  version: StreamVersion,
): { readonly from: number; readonly to: number } {
  const { backwards = false } = options
  // Backwards, `from` is the later end.
  const low = backwards ? options.to : options.from
  const high = backwards ? options.from : options.to
  return { from: Math.max(low ?? 1, firstVersion), to: Math.min(high ?? version, version) }
}

function wanted(
  run: Run,
  backwards: boolean,
  left: number,
  until: number | undefined,
): readonly Entry[] {
  let entries = backwards ? run.entries.toReversed() : run.entries
  if (until !== undefined) entries = entries.filter(entry => entry.time <= until)
  return entries.length > left ? entries.slice(0, left) : entries
}
