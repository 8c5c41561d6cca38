/**
 * The port of the event store: everything a program may ask of one, whichever implementation runs.
 *
 * A stream is all events of one thing, under one id in one category of one tenant. Its version is
 * the number of its events: 0 before the first. Streams of one category whose boundary is equal lie
 * in one bucket, and only within a bucket can one append be judged by more than its own stream.
 * Lost races are answers (`ok: false`, with what came in between); failures are `StoreError`s.
 */
import type { NumberOf, Offset, Timestamp } from '@millrace/log'
import type { StoreError } from './errors.ts'

/** JSON: what an event's data may be. */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json | undefined }

/** The tenant where none is named. */
export const DEFAULT_TENANT = ''

/** Names one stream. */
export type StreamRef = {
  /** Default {@link DEFAULT_TENANT}. 0 to 64 characters of a-z A-Z 0-9 . _ - */
  readonly tenant?: string
  readonly category: string
  /** 1 to 512 bytes of UTF-8. Not personal data: it stays readable for ever. */
  readonly id: string
}

/** Number of events in a stream; of an event, its place in it, from 1. 0: there is no stream. */
export type StreamVersion = NumberOf<'stream version'>

/**
 * What a writer takes the stream's version for: a version, `"any"` (not looked at), `"exists"`
 * (at least one event), `"absent"` (none yet).
 */
export type ExpectedVersion = StreamVersion | 'any' | 'exists' | 'absent'

/**
 * A position across buckets: opaque. Pass it on unchanged.
 *
 * It is of one log, and of one tenant or all, and names only the buckets that it is about: that of
 * an append names the one bucket that was written. A read begins the buckets that it does not name
 * at their beginning, and refuses one that names a category which is not read.
 */
export type Checkpoint = string

/** An event to be appended. */
export type NewEvent = {
  /** 1 to 200 characters. */
  readonly type: string
  readonly data: Json
  /** 1 to 256 characters. Default: the append's id and the event's index. */
  readonly id?: string
  /**
   * Ms since the epoch, UTC, to the end of the year 9999; the future too. Default: now, but never
   * below the stream's last.
   */
  readonly time?: Timestamp
  /** Version of the data's schema. Default: the category's present one of the type, else 1. */
  readonly schemaVersion?: number
  /** Words that conditions and searches find it by, such as "course:42". At most 16 of 128 bytes. */
  readonly tags?: readonly string[]
  /**
   * The application's own, as text. Event over append. At most 32 names of 1 to 64 characters of
   * a-z A-Z 0-9 . _ -, values of at most 4096 bytes.
   */
  readonly metadata?: Readonly<Record<string, string>>
}

/** An event as it stands in the log. */
export type RecordedEvent<Type extends string = string, Data = unknown> = {
  readonly type: Type
  readonly data: Data
  readonly id: string
  readonly tenant: string
  readonly category: string
  /** Id of the stream. */
  readonly stream: string
  /** 1 for a stream's first event. */
  readonly version: StreamVersion
  /** Ms since the epoch, UTC. Never falls within a stream. */
  readonly time: Timestamp
  /** Of the data as it is given: an old event that was brought up has the present one. */
  readonly schemaVersion: number
  readonly tags: readonly string[]
  readonly metadata: Readonly<Record<string, string>>
  readonly appendId: string
  /** On the first event of its append. */
  readonly commandId?: string
  readonly correlationId?: string
  readonly causationId?: string
  readonly actor?: string
  /** Stream id of the saga that caused it. */
  readonly saga?: string
  readonly bucket: number
  /** Position in the bucket. Not to be compared across buckets. */
  readonly offset: Offset
  /**
   * Names of fields whose subject was forgotten; they read as {@link ERASED}. Absent: all readable.
   */
  readonly erased?: readonly string[]
  /**
   * Why its data cannot be given: no upcaster brings it to the present, its seal is broken, it is no
   * JSON, its type or schema is newer than this program. Only reads of all streams give such events;
   * a read of one stream fails. Looking at `data` throws it, so that nobody takes it for null.
   */
  readonly unreadable?: StoreError
}

/** What a personal field reads as when its subject's key is gone. */
export const ERASED = '[erased]'

/** Selects events. All that is given must match; empty lists match nothing. */
export type EventQuery = {
  /** Any of these types. */
  readonly types?: readonly string[]
  /** All of these tags. */
  readonly tags?: readonly string[]
}

/** A decision rests on what was read: it counts only if nothing relevant came since (DCB). */
export type AppendCondition = {
  /** Any of them matches. At least one; each names at least one tag. */
  readonly failIfMatch: readonly EventQuery[]
  /** What had been read. Absent: nothing may ever have matched. */
  readonly after?: Checkpoint
}

/** A stream that is not written, but was read for the decision. */
export type StreamCheck = { readonly stream: StreamRef; readonly expectedVersion: ExpectedVersion }

/** How an append is made. Ids have 1 to 256 characters. */
export type AppendOptions = {
  /** Default "any". */
  readonly expectedVersion?: ExpectedVersion
  /**
   * Identity of this attempt; event ids are derived from it. Default: random. Without a
   * `commandId` it also serves as that.
   */
  readonly appendId?: string
  /**
   * A stream remembers its last 64 accepted command ids; a repeated one is answered with the first
   * result and appends nothing, whatever is expected of the stream now. What lost, or had no events,
   * is not remembered.
   */
  readonly commandId?: string
  readonly correlationId?: string
  readonly causationId?: string
  readonly actor?: string
  readonly saga?: string
  readonly metadata?: Readonly<Record<string, string>>
  readonly condition?: AppendCondition
  /** At most 16, in the bucket of the stream. */
  readonly check?: readonly StreamCheck[]
  /** Until when the outcome must be known, in ms. Default: `append.timeout.ms`. */
  readonly timeoutMs?: number
}

/** An append that counts. */
export type Appended = {
  readonly ok: true
  /** The stream's version after it. */
  readonly version: StreamVersion
  /** Version of its first event; `version + 1` if it had none. */
  readonly firstVersion: StreamVersion
  readonly appendId: string
  /** A repeated command id: this is the first result, and nothing was appended. */
  readonly duplicate: boolean
  readonly bucket: number
  /** Offsets of the first and last event; -1 without events. */
  readonly firstOffset: Offset
  readonly lastOffset: Offset
  /** A reader that has reached it has seen this append. */
  readonly checkpoint: Checkpoint
}

/** An append that lost: something of what it expected was not so. Nothing was appended. */
export type Conflict = {
  readonly ok: false
  /** What did not hold: the stream's version, the condition, or a stream that was only checked. */
  readonly conflict: 'version' | 'condition' | 'check'
  /** The stream's version now; of the checked stream if that was it. */
  readonly version: StreamVersion
  /**
   * What came in between: of the stream after the expected version, or what matched the condition.
   * At most `conflict.events.max`; `complete` says whether that is all.
   */
  readonly events: readonly RecordedEvent[]
  readonly complete: boolean
  readonly checkpoint: Checkpoint
}

/** Outcome of an append. */
export type AppendResult = Appended | Conflict

/** What is known of a stream. */
export type StreamState = {
  readonly stream: StreamRef
  /** 0: it does not exist. Never falls, not by truncation or deletion either. */
  readonly version: StreamVersion
  /** First version that can be read; 1 where nothing was truncated. */
  readonly firstVersion: StreamVersion
  /** Time of the first and last event; -1 without events. */
  readonly createdAt: Timestamp
  readonly updatedAt: Timestamp
  readonly archived: boolean
  readonly tombstoned: boolean
  readonly bucket: number
  readonly checkpoint: Checkpoint
}

/** Which part of a stream is read, and in which direction. */
export type ReadOptions = {
  /** Version of the event that comes first, from 1. Default: the first; backwards: the last. */
  readonly from?: number
  /** Version of the event that comes last, included; backwards it lies below `from`. */
  readonly to?: number
  readonly backwards?: boolean
  /** Most events. */
  readonly limit?: number
  /** Only events up to this time, ms since the epoch, included. */
  readonly until?: number
  /** The read fails with the signal's reason: half of a stream is not taken for the whole. */
  readonly signal?: AbortSignal
}

/** How a read of one stream ended. */
export type ReadEnd = {
  /** The stream's version when the read began. */
  readonly version: StreamVersion
  readonly checkpoint: Checkpoint
}

/** A lazy read of one stream; it begins when it is first asked for an event. */
export interface StreamReader extends AsyncIterable<RecordedEvent> {
  /** Reads all that is left into memory. */
  all(): Promise<ReadEnd & { readonly events: readonly RecordedEvent[] }>
  /** Known once the read has begun; also of an empty stream. */
  end(): Promise<ReadEnd>
}

/** How a stream's events become a state. */
export type Fold<State> = {
  readonly initial: () => State
  /** Gives another state and leaves the one that it is given as it is: that may be kept and shared. */
  readonly evolve: (state: State, event: RecordedEvent) => State
  /** Keeps states, so that a load folds only what came since. Absent: no snapshots. */
  readonly snapshot?: {
    /** Names the state among those of the category. */
    readonly name: string
    /** Of the shape and of the code: another one is ignored and made again. */
    readonly hash: string
    /** A new snapshot after this many events. Default 200. */
    readonly every?: number
  }
}

/** Up to where a fold goes. */
export type AggregateOptions = {
  /** The state at a version. */
  readonly version?: StreamVersion
  /** The state at a time, ms since the epoch, included. */
  readonly time?: Timestamp
}

/** A folded stream. */
export type Aggregated<State> = ReadEnd & {
  readonly state: State
  /** Version of the state; below the stream's where an earlier one was asked for. */
  readonly stateVersion: number
  /** Version of the snapshot that it was folded from; 0 without one. */
  readonly snapshotVersion: number
  readonly archived: boolean
  readonly tombstoned: boolean
}

/** Which events of all are delivered. Each that is given must match. */
export type EventFilter = {
  readonly types?: readonly string[]
  /** All of them. */
  readonly tags?: readonly string[]
  readonly correlationId?: string
  readonly streams?: readonly string[]
  /** From (included) and until (excluded), ms since the epoch. */
  readonly since?: number
  readonly before?: number
}

/** How all events of categories are read. */
export type ReadAllOptions = {
  /** Where an earlier read ended. Default: the beginning. */
  readonly after?: Checkpoint
  readonly filter?: EventFilter
  /** One tenant's events; default: {@link DEFAULT_TENANT}. `null`: those of all tenants. */
  readonly tenant?: string | null
  /** Only these buckets. Default: all. */
  readonly buckets?: readonly number[]
  /** Goes on with what is appended later, until the signal ends it. Default false. */
  readonly follow?: boolean
  /** Most events of a page. Default and bound: `read.page.events`. */
  readonly pageSize?: number
  /** Ends the read without an error. */
  readonly signal?: AbortSignal
}

/**
 * Events of all streams, a page at a time. Within a bucket in offset order, within a stream in
 * version order. A read that ends has at least one page, and the last has caught up; one that
 * follows says each time when it has caught up, by an empty page if need be.
 */
export type EventPage = {
  readonly events: readonly RecordedEvent[]
  /** Where the next read goes on. */
  readonly checkpoint: Checkpoint
  /** All that was decided when the page was read has been delivered. */
  readonly caughtUp: boolean
}

/** What happened to records of a category's topic that are not events. */
export type CategoryDescription = {
  readonly category: string
  readonly topic: string
  readonly topicId: string
  readonly buckets: readonly BucketDescription[]
}

/** One bucket as the fold sees it. Counts are since its beginning. */
export type BucketDescription = {
  readonly bucket: number
  /** Up to where the fold has read. */
  readonly position: number
  /** Below it everything is decided. */
  readonly decided: number
  readonly endOffset: Offset
  readonly events: number
  /** Records that lost a race or were cancelled. */
  readonly voided: number
  /** Records that are no events: written by others, transactional, without an append id. */
  readonly foreign: number
  /** Records of streams that belong into other buckets: void, those that are events also counted there. */
  readonly misplaced: number
  readonly openAppends: number
  /** Highest time of an event: the replay clock, ms since the epoch; -1 without events. */
  readonly clock: number
}

/** A stream as it is listed. */
export type StreamListing = Omit<StreamState, 'checkpoint'>

/** What forgetting a subject did. */
export type ForgetReport = {
  readonly subject: string
  /** False: there was no key, so nothing could have been read before either. */
  readonly known: boolean
  /**
   * Streams that have fields of the subject: unreadable from now on by this store, and by others as
   * soon as they have read that the key is gone.
   */
  readonly streams: readonly StreamRef[]
  /** Events whose fields cannot be read any more. */
  readonly events: number
  /** Snapshots that were removed. */
  readonly snapshots: number
  /**
   * When the key, which is kept wrapped by the master key, is gone from the segments of the log at
   * the latest, ms since the epoch. A copy may lie in the engine's journal until it is overwritten
   * (`compactNow` of the keys topic takes it at once), and in blocks that a disk has not reused or
   * in backups: those are worthless once the master key was rotated and the old one destroyed.
   */
  readonly keyGoneBy: number
}

/** An event store. */
export interface EventStore extends AsyncDisposable {
  /** Id of the log; part of every checkpoint. */
  readonly id: string
  readonly categories: readonly string[]

  /**
   * Appends all events or none. No events: the expectation alone is judged. Appends to one stream
   * through one store are judged in the order of the calls, also without awaiting.
   */
  append(
    stream: StreamRef,
    events: readonly NewEvent[],
    options?: AppendOptions,
  ): Promise<AppendResult>
  read(stream: StreamRef, options?: ReadOptions): StreamReader
  /**
   * The stream's events from a version on, and those to come, until the signal ends it, without an
   * error. Closing the store fails it with STORE_CLOSED.
   */
  follow(
    stream: StreamRef,
    options?: { readonly from?: number; readonly signal?: AbortSignal },
  ): AsyncIterable<RecordedEvent>
  aggregate<State>(
    stream: StreamRef,
    fold: Fold<State>,
    options?: AggregateOptions,
  ): Promise<Aggregated<State>>
  /** Never throws for a stream that does not exist: its version is 0. */
  state(stream: StreamRef): Promise<StreamState>
  /** The one event, or undefined. */
  event(stream: StreamRef, version: StreamVersion): Promise<RecordedEvent | undefined>
  readAll(categories: readonly string[], options?: ReadAllOptions): AsyncIterable<EventPage>
  /** Events that match, found by the index; ends. In offset order within a bucket. */
  search(
    categories: readonly string[],
    filter: EventFilter,
    options?: Omit<ReadAllOptions, 'filter' | 'follow'>,
  ): AsyncIterable<EventPage>
  /** Streams of a category by id, in the order of bytes. */
  streams(
    category: string,
    options?: {
      readonly tenant?: string | null
      readonly prefix?: string
      /** Behind this id; of one tenant, since they come tenant by tenant (BAD_ARGUMENT). */
      readonly after?: string
      readonly limit?: number
    },
  ): AsyncIterable<StreamListing>

  /**
   * Events below `before` are not read from the stream any more; the version stays, and so does
   * what reads over all streams bring. Nothing becomes earlier again.
   */
  truncate(stream: StreamRef, before: number): Promise<StreamState>
  /** An archived stream is read as before and takes no events. Idempotent. */
  archive(stream: StreamRef, archived?: boolean): Promise<StreamState>
  /**
   * For good: nothing is read from the stream, nothing can be appended. Reads over all streams stay
   * as they were: whoever restarts sees what the others saw. Idempotent.
   */
  tombstone(stream: StreamRef): Promise<StreamState>

  /**
   * Resolves when this store has read everything that was in the log when it was called. Reads show
   * what the store has read; what it wrote itself is always among it, what other stores on the same
   * log wrote a moment ago after this call.
   */
  catchUp(categories?: readonly string[]): Promise<void>
  /** A checkpoint at the end of what is decided now. */
  now(categories: readonly string[], tenant?: string | null): Promise<Checkpoint>
  /** A checkpoint before the first event at or after a time (ms since the epoch). */
  at(categories: readonly string[], time: Timestamp, tenant?: string | null): Promise<Checkpoint>
  /** Resolves when this store's own reads have reached it; rejects with the signal's reason. */
  reached(checkpoint: Checkpoint, options?: { readonly signal?: AbortSignal }): Promise<void>

  /** Destroys the key of a subject of a tenant. */
  forget(subject: string, options?: { readonly tenant?: string }): Promise<ForgetReport>

  describe(): Promise<readonly CategoryDescription[]>
  /** Ends what is under way; later calls, and reads that follow, fail with STORE_CLOSED. */
  close(): Promise<void>
}
