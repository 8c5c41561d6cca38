/**
 * Opens events for readers: personal fields are unsealed, data is brought to the present schema.
 * Without personal fields nothing is awaited.
 */
import type { Offset, Timestamp } from '@millrace/log'
import { StoreError, type StoreErrorCode } from '../errors.ts'
import { chain, type Maybe } from '../personal/maybe.ts'
import type { PersonalData } from '../personal/personal-data.ts'
import type { Json, RecordedEvent, StreamVersion } from '../port.ts'
import {
  briefOf,
  decodeMetadata,
  type EventBrief,
  type EventMetadata,
} from '../rule/decode-headers.ts'
import type { Category } from './category.ts'
import {
  dataOf,
  type EventSource,
  type RawEvent,
  rawEvent,
  recordedEvent,
  unreadableEvent,
} from './event.ts'
import type { Entry } from './index/entry.ts'

/** See the head of the file. */
export class EventOpener {
  readonly #personal: PersonalData

  constructor(personal: PersonalData) {
    this.#personal = personal
  }

  /** The event of an index entry. */
  entry(category: Category, source: EventSource, entry: Entry): Maybe<RecordedEvent> {
    let raw: RawEvent
    try {
      raw = rawEvent(source, entry)
    } catch (error) {
      throw placed(error, { ...source, ...decodeMetadata(entry) })
    }
    try {
      const opened = this.#raw(category, raw)
      return opened instanceof Promise
        ? opened.catch(error => {
            throw placed(error, raw)
          })
        : opened
    } catch (error) {
      throw placed(error, raw)
    }
  }

  /**
   * An event that was read already: in its place one that is unreadable, where it cannot be opened
   * and no waiting helps.
   *
   * @param damage why its data could not be read
   */
  orUnreadable(category: Category, raw: RawEvent, damage?: StoreError): Maybe<RecordedEvent> {
    if (damage !== undefined) return insteadOf(raw, damage)
    try {
      const opened = this.#raw(category, raw)
      return opened instanceof Promise ? opened.catch(error => insteadOf(raw, error)) : opened
    } catch (error) {
      return insteadOf(raw, error)
    }
  }

  #raw(category: Category, raw: RawEvent): Maybe<RecordedEvent> {
    if (raw.personal === undefined) {
      return recordedEvent(raw, raw.data, category.types, undefined)
    }
    const opened = this.#personal.open(raw, raw.data)
    return chain(opened, ({ data, erased }) => recordedEvent(raw, data, category.types, erased))
  }

  /** All of a list, in order. */
  all(category: Category, source: EventSource, entries: readonly Entry[]): Maybe<RecordedEvent[]> {
    const events = entries.map(entry => this.entry(category, source, entry))
    return events.some(event => event instanceof Promise)
      ? Promise.all(events)
      : (events as RecordedEvent[])
  }

  /**
   * The event for a fold: what is not asked for is not read. Its ids and metadata are read when they
   * are first looked at.
   *
   * @param keys ids of the subjects' keys that opened fields are added here
   */
  folded(
    category: Category,
    source: EventSource,
    version: StreamVersion,
    entry: Entry,
    keys: Set<string>,
  ): Maybe<RecordedEvent> {
    briefOf(entry, brief)
    const { type } = brief
    try {
      const opened = this.#folded(category, source, version, entry, keys)
      return opened instanceof Promise
        ? opened.catch(error => {
            throw placed(error, { ...source, version, type })
          })
        : opened
    } catch (error) {
      throw placed(error, { ...source, version, type })
    }
  }

  /** `brief` is of the entry. */
  #folded(
    category: Category,
    source: EventSource,
    version: StreamVersion,
    entry: Entry,
    keys: Set<string>,
  ): Maybe<RecordedEvent> {
    const { type, schemaVersion } = brief
    const data = dataOf(entry)
    const event = (present: Json, erased: readonly string[] | undefined): RecordedEvent => {
      const current = category.types.upcast(type, schemaVersion, present)
      const given = category.types.presentVersion(type, schemaVersion)
      return new FoldedEvent(source, entry, type, version, given, current, erased)
    }
    if (!brief.personal) return event(data, undefined)
    const place = { ...source, type }
    return chain(this.#personal.open(place, data), opened => {
      for (const key of opened.keys) keys.add(key)
      return event(opened.data, opened.erased)
    })
  }
}

/** What no waiting makes readable, as far as this program goes. */
const UNREADABLE: ReadonlySet<StoreErrorCode> = new Set([
  'NEWER_SCHEMA',
  'UPCAST_FAILED',
  'SEAL_BROKEN',
  'EVENT_DAMAGED',
])

const isUnreadable = (error: unknown): error is StoreError =>
  error instanceof StoreError && UNREADABLE.has(error.code)

/** What is given in place of an event that cannot be opened. Throws what may pass. */
function insteadOf(raw: RawEvent, error: unknown): RecordedEvent {
  if (!isUnreadable(error)) throw error
  return unreadableEvent(raw, placed(error, raw) as StoreError)
}

/** The error with the place of the event that it is about. */
function placed(
  error: unknown,
  {
    category,
    stream,
    version,
    type,
  }: Pick<RecordedEvent, 'category' | 'stream' | 'version' | 'type'>,
): unknown {
  if (!isUnreadable(error)) return error
  const place = `version ${version} (${type}) of stream ${JSON.stringify(stream)}, category ${category}`
  return new StoreError(error.code, `${place}: ${error.message}`, { cause: error })
}

const brief: EventBrief = { type: '', schemaVersion: 1, personal: false }

/** An event whose ids and metadata are read on demand. */
class FoldedEvent implements RecordedEvent {
  readonly type: string
  readonly data: Json
  readonly stream: string
  readonly category: string
  readonly tenant: string
  readonly version: StreamVersion
  readonly time: Timestamp
  readonly schemaVersion: number
  readonly bucket: number
  readonly offset: Offset
  declare readonly erased?: readonly string[]
  readonly #entry: Entry
  #metadata: EventMetadata | undefined

  constructor(
    source: EventSource,
    entry: Entry,
    type: string,
    version: StreamVersion,
    schemaVersion: number,
    data: Json,
    erased: readonly string[] | undefined,
  ) {
    this.type = type
    this.data = data
    this.stream = source.stream
    this.category = source.category
    this.tenant = source.tenant
    this.version = version
    this.time = entry.time
    this.schemaVersion = schemaVersion
    this.bucket = source.bucket
    this.offset = entry.offset
    if (erased !== undefined) this.erased = erased
    this.#entry = entry
  }

  get #read(): EventMetadata {
    this.#metadata ??= decodeMetadata(this.#entry)
    return this.#metadata
  }

  get id(): string {
    return this.#read.id
  }

  get tags(): readonly string[] {
    return this.#read.tags
  }

  get metadata(): Readonly<Record<string, string>> {
    return this.#read.metadata
  }

  get appendId(): string {
    return this.#read.appendId
  }

  get commandId(): string {
    return this.#read.commandId as string
  }

  get correlationId(): string {
    return this.#read.correlationId as string
  }

  get causationId(): string {
    return this.#read.causationId as string
  }

  get actor(): string {
    return this.#read.actor as string
  }

  get saga(): string {
    return this.#read.saga as string
  }
}
