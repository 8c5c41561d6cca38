// An event store in memory, as far as commands need one: a stand-in that tests can interfere with.
import {
  type Aggregated,
  type AppendOptions,
  type AppendResult,
  type EventStore,
  type Fold,
  type NewEvent,
  type ReadOptions,
  type RecordedEvent,
  StoreError,
  type StreamReader,
  type StreamRef,
  type StreamState,
} from '@millrace/store'

type Stream = {
  events: RecordedEvent[]
  firstVersion: number
  commands: Map<string, AppendResult>
  archived: boolean
  tombstoned: boolean
}

const asPromised = async <T>(work: () => T): Promise<T> => work()

export class MemoryStore {
  readonly streams: Map<string, Stream> = new Map()
  /** Runs before each append of events; may append itself, or throw. */
  beforeAppend: (stream: StreamRef, events: readonly NewEvent[]) => Promise<void> | void = () => {}
  conflictEventsMax = 100
  /** Calls of `aggregate`, and events that went through it and `read`. */
  loads = 0
  eventsRead = 0
  appends = 0
  #appendIds = 0

  get port(): EventStore {
    return this as unknown as EventStore
  }

  stream({ tenant = '', category, id }: StreamRef): Stream {
    const key = `${tenant}/${category}/${id}`
    const known = this.streams.get(key)
    if (known !== undefined) return known
    const fresh = {
      events: [],
      firstVersion: 1,
      commands: new Map(),
      archived: false,
      tombstoned: false,
    }
    this.streams.set(key, fresh)
    return fresh
  }

  /** The events, reduced to what most tests look at. */
  eventsOf(category: string, id: string, tenant = ''): [string, unknown][] {
    return this.stream({ tenant, category, id }).events.map(event => [event.type, event.data])
  }

  async append(
    ref: StreamRef,
    events: readonly NewEvent[],
    options: AppendOptions = {},
  ): Promise<AppendResult> {
    if (events.length > 0) await this.beforeAppend(ref, events)
    return this.appendNow(ref, events, options)
  }

  appendNow(
    ref: StreamRef,
    events: readonly NewEvent[],
    options: AppendOptions = {},
  ): AppendResult {
    const stream = this.stream(ref)
    const first = stream.commands.get(options.commandId ?? '')
    if (first !== undefined) return { ...first, duplicate: true } as AppendResult
    const version = stream.events.length
    const { expectedVersion = 'any' } = options
    if (typeof expectedVersion === 'number' && expectedVersion !== version) {
      const missed = stream.events.slice(expectedVersion)
      return {
        ok: false,
        conflict: 'version',
        version,
        events: missed.slice(0, this.conflictEventsMax),
        complete: missed.length <= this.conflictEventsMax,
        checkpoint: `at ${version}`,
      }
    }
    if (events.length > 0) this.appends += 1
    const appendId = options.appendId ?? `append-${this.#appendIds++}`
    for (const event of events)
      stream.events.push(this.#record(ref, stream, event, options, appendId))
    const result: AppendResult = {
      ok: true,
      version: stream.events.length,
      firstVersion: version + 1,
      appendId,
      duplicate: false,
      bucket: 0,
      firstOffset: events.length === 0 ? -1 : version,
      lastOffset: events.length === 0 ? -1 : stream.events.length - 1,
      checkpoint: `at ${stream.events.length}`,
    }
    if (events.length > 0 && options.commandId !== undefined) {
      stream.commands.set(options.commandId, result)
    }
    return result
  }

  aggregate<State>(ref: StreamRef, fold: Fold<State>): Promise<Aggregated<State>> {
    this.loads += 1
    return asPromised(() => {
      const { events, firstVersion, archived, tombstoned } = this.stream(ref)
      const version = events.length
      const readable = events.slice(firstVersion - 1)
      this.eventsRead += readable.length
      return {
        state: readable.reduce(fold.evolve, fold.initial()),
        version,
        stateVersion: version,
        snapshotVersion: 0,
        checkpoint: `at ${version}`,
        archived,
        tombstoned,
      }
    })
  }

  state(ref: StreamRef): Promise<StreamState> {
    return asPromised(() => {
      const { events, firstVersion, archived, tombstoned } = this.stream(ref)
      return {
        stream: ref,
        version: events.length,
        firstVersion,
        createdAt: events[0]?.time ?? -1,
        updatedAt: events.at(-1)?.time ?? -1,
        archived,
        tombstoned,
        bucket: 0,
        checkpoint: `at ${events.length}`,
      }
    })
  }

  read(ref: StreamRef, { from = 1 }: ReadOptions = {}): Pick<StreamReader, 'all'> {
    return {
      all: () =>
        asPromised(() => {
          const { events } = this.stream(ref)
          this.eventsRead += events.length - from + 1
          const version = events.length
          return { events: events.slice(from - 1), version, checkpoint: `at ${version}` }
        }),
    }
  }

  #record(
    ref: StreamRef,
    stream: Stream,
    event: NewEvent,
    options: AppendOptions,
    appendId: string,
  ): RecordedEvent {
    const { expectedVersion: _, condition: __, check: ___, timeoutMs: ____, ...ids } = options
    if (event.type === 'Unstorable') throw new StoreError('INVALID_EVENT', 'no')
    return {
      tags: [],
      schemaVersion: 1,
      time: 1000 + stream.events.length,
      id: `${appendId}:${stream.events.length}`,
      ...event,
      ...ids,
      metadata: { ...options.metadata, ...event.metadata },
      tenant: ref.tenant ?? '',
      category: ref.category,
      stream: ref.id,
      version: stream.events.length + 1,
      appendId,
      bucket: 0,
      offset: stream.events.length,
    }
  }
}
