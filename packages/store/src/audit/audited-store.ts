/**
 * An event store that records who read or wrote what, when, and with what outcome.
 *
 * - Whatever changes something is answered when its record is stored. If that fails, the call fails
 *   with AUDIT_UNAVAILABLE although what it did stands (the events name their actor in any case);
 *   repeated with the same command id, it is answered as before, and recorded.
 * - Whatever reads is recorded before anything of it is handed out; the record may still be on its
 *   way then. When too many are, reads wait. A read over all streams is one record.
 * - `now`, `at`, `reached`, `describe` hand out no events and are not recorded.
 *
 * Who it is comes from `actor` of an append, else from the view that `withActor` gives.
 */
import type { Timestamp } from '@millrace/log'
import type {
  Aggregated,
  AggregateOptions,
  AppendOptions,
  AppendResult,
  CategoryDescription,
  Checkpoint,
  EventFilter,
  EventPage,
  EventStore,
  Fold,
  ForgetReport,
  NewEvent,
  ReadAllOptions,
  ReadEnd,
  ReadOptions,
  RecordedEvent,
  StreamListing,
  StreamReader,
  StreamRef,
  StreamState,
  StreamVersion,
} from '../port.ts'
import { DEFAULT_TENANT } from '../port.ts'
import type { AuditAction, AuditEntry, AuditLog } from './audit-log.ts'

/** Records all access to a store; closing it closes both. */
export function audited(store: EventStore, audit: AuditLog): EventStore {
  return new AuditedStore({ store, audit, actor: null, owner: true })
}

/**
 * The store as one actor sees it: the records of its calls name the actor, and so do events that are
 * appended without one. On a store without an audit the events alone do. Closing the view does
 * nothing; it does not own the store.
 *
 * @param actor such as a user's id; not personal data, it stays readable
 */
export function withActor(store: EventStore, actor: string): EventStore {
  return store instanceof AuditedStore
    ? new AuditedStore({ ...store.parts, actor, owner: false })
    : new AuditedStore({ store, audit: null, actor, owner: false })
}

type Parts = {
  readonly store: EventStore
  /** Null: nothing is recorded, only the actor is passed on. */
  readonly audit: Pick<AuditLog, 'add' | 'store' | 'close'> | null
  readonly actor: string | null
  readonly owner: boolean
}

/** What is the same for success and failure. */
type About = Omit<AuditEntry, 'actor' | 'outcome' | 'code'> & { readonly actor?: string }

class AuditedStore implements EventStore {
  readonly id: string
  readonly categories: readonly string[]
  readonly parts: Parts

  constructor(parts: Parts) {
    this.parts = parts
    this.id = parts.store.id
    this.categories = parts.store.categories
  }

  append(
    stream: StreamRef,
    events: readonly NewEvent[],
    options: AppendOptions = {},
  ): Promise<AppendResult> {
    const actor = options.actor ?? this.parts.actor
    const { commandId } = options
    const about = {
      ...ofStream('append', stream),
      ...(actor === null ? {} : { actor }),
      ...(commandId === undefined ? {} : { commandId }),
    }
    return this.#changed(
      about,
      () =>
        this.parts.store.append(stream, events, actor === null ? options : { ...options, actor }),
      result => ({
        outcome: result.ok ? 'ok' : 'conflict',
        version: result.version,
        events: result.ok && !result.duplicate ? result.version - result.firstVersion + 1 : 0,
      }),
    )
  }

  read(stream: StreamRef, options: ReadOptions = {}): StreamReader {
    const { from, to } = options
    const about = {
      ...ofStream('read', stream),
      ...(from === undefined ? {} : { from }),
      ...(to === undefined ? {} : { to }),
    }
    const reader = this.parts.store.read(stream, options)
    return new AuditedReader(reader, () => this.#looked(about, () => reader.end()))
  }

  async *follow(
    stream: StreamRef,
    options: { readonly from?: number; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<RecordedEvent, void> {
    const { from } = options
    const about = ofStream('follow', stream)
    await this.#add(from === undefined ? about : { ...about, from }, { outcome: 'ok' })
    yield* this.parts.store.follow(stream, options)
  }

  aggregate<State>(
    stream: StreamRef,
    fold: Fold<State>,
    options?: AggregateOptions,
  ): Promise<Aggregated<State>> {
    const { store } = this.parts
    return this.#looked(ofStream('aggregate', stream), () => store.aggregate(stream, fold, options))
  }

  state(stream: StreamRef): Promise<StreamState> {
    return this.#looked(ofStream('state', stream), () => this.parts.store.state(stream))
  }

  event(stream: StreamRef, version: StreamVersion): Promise<RecordedEvent | undefined> {
    const about = { ...ofStream('event', stream), from: version, to: version }
    return this.#looked(about, () => this.parts.store.event(stream, version))
  }

  async *readAll(
    categories: readonly string[],
    options: ReadAllOptions = {},
  ): AsyncGenerator<EventPage, void> {
    await this.#add(ofCategories('read-all', categories, options), { outcome: 'ok' })
    yield* this.parts.store.readAll(categories, options)
  }

  async *search(
    categories: readonly string[],
    filter: EventFilter,
    options: Omit<ReadAllOptions, 'filter' | 'follow'> = {},
  ): AsyncGenerator<EventPage, void> {
    await this.#add(ofCategories('search', categories, options), { outcome: 'ok' })
    yield* this.parts.store.search(categories, filter, options)
  }

  async *streams(
    category: string,
    options: Parameters<EventStore['streams']>[1] = {},
  ): AsyncGenerator<StreamListing, void> {
    await this.#add(ofCategories('streams', [category], options), { outcome: 'ok' })
    yield* this.parts.store.streams(category, options)
  }

  truncate(stream: StreamRef, before: number): Promise<StreamState> {
    const about = { ...ofStream('truncate', stream), from: before }
    return this.#changed(about, () => this.parts.store.truncate(stream, before), versionOf)
  }

  archive(stream: StreamRef, archived = true): Promise<StreamState> {
    const about = ofStream(archived ? 'archive' : 'unarchive', stream)
    return this.#changed(about, () => this.parts.store.archive(stream, archived), versionOf)
  }

  tombstone(stream: StreamRef): Promise<StreamState> {
    const about = ofStream('tombstone', stream)
    return this.#changed(about, () => this.parts.store.tombstone(stream), versionOf)
  }

  forget(subject: string, options: { readonly tenant?: string } = {}): Promise<ForgetReport> {
    // Whom it was about is not recorded: the audit is kept, and the subject is to be forgotten.
    const about = ofCategories('forget', this.categories, options)
    return this.#changed(
      about,
      () => this.parts.store.forget(subject, options),
      ({ events }) => ({ events }),
    )
  }

  catchUp(categories?: readonly string[]): Promise<void> {
    return this.parts.store.catchUp(categories)
  }

  now(categories: readonly string[], tenant?: string | null): Promise<Checkpoint> {
    return this.parts.store.now(categories, tenant)
  }

  at(categories: readonly string[], time: Timestamp, tenant?: string | null): Promise<Checkpoint> {
    return this.parts.store.at(categories, time, tenant)
  }

  reached(checkpoint: Checkpoint, options?: { readonly signal?: AbortSignal }): Promise<void> {
    return this.parts.store.reached(checkpoint, options)
  }

  describe(): Promise<readonly CategoryDescription[]> {
    return this.parts.store.describe()
  }

  async close(): Promise<void> {
    const { store, audit, owner } = this.parts
    if (!owner) return
    await store.close()
    await audit?.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Does what changes something, and answers when the record is stored. */
  async #changed<T>(
    about: About,
    work: () => Promise<T>,
    found: (result: T) => Partial<AuditEntry>,
  ): Promise<T> {
    const { audit } = this.parts
    let result: T
    try {
      result = await work()
    } catch (error) {
      await audit?.store(this.#entry(about, { outcome: 'failed', code: codeOf(error) }))
      throw error
    }
    await audit?.store(this.#entry(about, { outcome: 'ok', ...found(result) }))
    return result
  }

  /** Looks something up, and hands it out when the record is taken. */
  async #looked<T>(about: About, work: () => Promise<T>): Promise<T> {
    let result: T
    try {
      result = await work()
    } catch (error) {
      await this.#add(about, { outcome: 'failed', code: codeOf(error) })
      throw error
    }
    await this.#add(about, { outcome: 'ok', ...versionOf(result) })
    return result
  }

  async #add(
    about: About,
    found: Partial<AuditEntry> & Pick<AuditEntry, 'outcome'>,
  ): Promise<void> {
    await this.parts.audit?.add(this.#entry(about, found))
  }

  #entry(about: About, found: Partial<AuditEntry> & Pick<AuditEntry, 'outcome'>): AuditEntry {
    return { ...about, actor: about.actor ?? this.parts.actor, ...found }
  }
}

/** A reader that is recorded once, before it hands out anything. */
class AuditedReader implements StreamReader {
  readonly #reader: StreamReader
  readonly #record: () => Promise<ReadEnd>
  #recorded: Promise<ReadEnd> | undefined

  constructor(reader: StreamReader, record: () => Promise<ReadEnd>) {
    this.#reader = reader
    this.#record = record
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<RecordedEvent, void> {
    await this.end()
    yield* this.#reader
  }

  async all(): Promise<ReadEnd & { readonly events: readonly RecordedEvent[] }> {
    await this.end()
    return this.#reader.all()
  }

  end(): Promise<ReadEnd> {
    this.#recorded ??= this.#record()
    return this.#recorded
  }
}

const ofStream = (action: AuditAction, { tenant, category, id }: StreamRef): About => ({
  action,
  tenant: tenant ?? DEFAULT_TENANT,
  categories: [category],
  stream: id,
})

const ofCategories = (
  action: AuditAction,
  categories: readonly string[],
  { tenant }: { readonly tenant?: string | null },
): About => ({ action, tenant: tenant === undefined ? DEFAULT_TENANT : tenant, categories })

function versionOf(result: unknown): { readonly version?: StreamVersion } {
  const version = (result as { version?: unknown } | undefined)?.version
  return typeof version === 'number' ? { version } : {}
}

const codeOf = (error: unknown): string => (error as { code?: string } | null)?.code ?? 'UNKNOWN'
