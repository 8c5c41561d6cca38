/** Turns what the index or the log holds of an event into what readers get. */
import type { Offset, Timestamp } from '@millrace/log'
import { StoreError } from '../errors.ts'
import type { Json, RecordedEvent } from '../port.ts'
import { decodeMetadata, type EventMetadata } from '../rule/decode-headers.ts'
import type { EventTypes } from '../types/event-types.ts'
import type { Entry } from './index/entry.ts'

/** An event before its data is opened and brought to the present schema. */
export type RawEvent = EventMetadata & {
  readonly tenant: string
  readonly category: string
  readonly stream: string
  readonly bucket: number
  readonly offset: Offset
  readonly time: Timestamp
  readonly data: Json
}

/** Where an event comes from. */
export type EventSource = {
  readonly category: string
  readonly tenant: string
  readonly stream: string
  readonly bucket: number
}

/** The data of an entry. Throws EVENT_DAMAGED where it is no JSON. */
export function dataOf(entry: Entry): Json {
  if (entry.valueLength <= 0) return null
  const { bytes, valueAt, valueLength } = entry
  try {
    return JSON.parse(bytes.toString('utf8', valueAt, valueAt + valueLength)) as Json
  } catch (cause) {
    throw new StoreError('EVENT_DAMAGED', undefined, { cause })
  }
}

/** The event as it was written. */
export function rawEvent(source: EventSource, entry: Entry): RawEvent {
  const meta = decodeMetadata(entry)
  return {
    ...meta,
    tenant: source.tenant,
    category: source.category,
    stream: source.stream,
    bucket: source.bucket,
    offset: entry.offset,
    time: entry.time,
    data: dataOf(entry),
  }
}

/** The event as readers get it: data of the present schema, absent ids left out. */
export function recordedEvent(
  raw: RawEvent,
  data: Json,
  types: EventTypes,
  erased: readonly string[] | undefined,
): RecordedEvent {
  const present = types.upcast(raw.type, raw.schemaVersion, data)
  return eventWith(raw, present, types.presentVersion(raw.type, raw.schemaVersion), erased)
}

/** The event as readers get it whose data cannot be given: what looks at it gets the error. */
export function unreadableEvent(
  raw: Omit<RawEvent, 'data'>,
  unreadable: StoreError,
): RecordedEvent {
  const event = { ...eventWith(raw, null, raw.schemaVersion, undefined), unreadable }
  return Object.defineProperty(event, 'data', {
    enumerable: true,
    get: () => {
      throw unreadable
    },
  })
}

function eventWith(
  raw: Omit<RawEvent, 'data'>,
  data: Json,
  schemaVersion: number,
  erased: readonly string[] | undefined,
): RecordedEvent {
  return {
    type: raw.type,
    data,
    id: raw.id,
    tenant: raw.tenant,
    category: raw.category,
    stream: raw.stream,
    version: raw.version,
    time: raw.time,
    schemaVersion,
    tags: raw.tags,
    metadata: raw.metadata,
    appendId: raw.appendId,
    ...(raw.commandId === undefined ? {} : { commandId: raw.commandId }),
    ...(raw.correlationId === undefined ? {} : { correlationId: raw.correlationId }),
    ...(raw.causationId === undefined ? {} : { causationId: raw.causationId }),
    ...(raw.actor === undefined ? {} : { actor: raw.actor }),
    ...(raw.saga === undefined ? {} : { saga: raw.saga }),
    bucket: raw.bucket,
    offset: raw.offset,
    ...(erased === undefined ? {} : { erased }),
  }
}
