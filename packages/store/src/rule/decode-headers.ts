/**
 * Reads the headers that `headers.ts` writes: for the rule, for the index and for readers. Whatever is
 * not exactly as the store writes it is foreign, never guessed.
 */
import { HeaderReader, type Offset, type Timestamp } from '@millrace/log'
import { isStreamId, isTenant, isTime, isType, isWord } from '../names.ts'
import type { EventQuery, StreamVersion } from '../port.ts'
import {
  APPEND_RECORDS_MAX,
  appendIdOf,
  type CheckClaim,
  type ConditionClaim,
  type EventFacts,
  type Facts,
  RULE_VERSION,
  streamKey,
} from './facts.ts'
import { METADATA } from './headers.ts'
import { STAMP_MAX } from './hybrid-clock.ts'

/** Where the parts of a record lie in a buffer. */
export type RecordPlace = {
  readonly bytes: Buffer
  readonly valueAt: number
  /** -1: null. */
  readonly valueLength: number
  readonly headersAt: number
  readonly headerCount: number
}

/** All that the headers of a record say; texts that are absent are undefined. */
type Raw = {
  type: string | undefined
  kind: string | undefined
  rule: string | undefined
  schema: string | undefined
  tenant: string
  append: string | undefined
  place: string | undefined
  clock: string | undefined
  id: string | undefined
  command: string | undefined
  correlation: string | undefined
  causation: string | undefined
  actor: string | undefined
  saga: string | undefined
  tags: string | undefined
  checks: string | undefined
  condition: string | undefined
  boundary: string | undefined
  personal: string | undefined
  metadata: Record<string, string> | undefined
}

const NO_TAGS: readonly string[] = Object.freeze([])
const NO_METADATA: Readonly<Record<string, string>> = Object.freeze({})
const reader = new HeaderReader(Buffer.alloc(0), 0, 0)

function emptyRaw(): Raw {
  return {
    type: undefined,
    kind: undefined,
    rule: undefined,
    schema: undefined,
    tenant: '',
    append: undefined,
    place: undefined,
    clock: undefined,
    id: undefined,
    command: undefined,
    correlation: undefined,
    causation: undefined,
    actor: undefined,
    saga: undefined,
    tags: undefined,
    checks: undefined,
    condition: undefined,
    boundary: undefined,
    personal: undefined,
    metadata: undefined,
  }
}

function readHeaders(place: RecordPlace, wantAll: boolean): Raw {
  const raw = emptyRaw()
  reader.reset(place.bytes, place.headersAt, place.headerCount)
  while (reader.advance()) readHeader(raw, reader.name, wantAll)
  return raw
}

function readHeader(raw: Raw, name: string, wantAll: boolean): void {
  switch (name) {
    case 'ce_type':
      raw.type = reader.text
      return
    case 'ce_append':
      raw.append = reader.text
      return
    case 'ce_place':
      raw.place = reader.text
      return
    case 'ce_clock':
      raw.clock = reader.text
      return
    case 'ce_rule':
      raw.rule = reader.text
      return
    case 'ce_kind':
      raw.kind = reader.text
      return
    case 'ce_tenant':
      raw.tenant = reader.text
      return
    case 'ce_command':
      raw.command = reader.text
      return
    case 'ce_correlation':
      raw.correlation = reader.text
      return
    case 'ce_tags':
      raw.tags = reader.text
      return
    case 'ce_checks':
      raw.checks = reader.text
      return
    case 'ce_condition':
      raw.condition = reader.text
      return
    case 'ce_boundary':
      raw.boundary = reader.text
      return
    case 'ce_personal':
      raw.personal = reader.text
      return
    default:
      if (wantAll) readForReaders(raw, name)
  }
}

function readForReaders(raw: Raw, name: string): void {
  switch (name) {
    case 'ce_id':
      raw.id = reader.text
      return
    case 'ce_schema':
      raw.schema = reader.text
      return
    case 'ce_causation':
      raw.causation = reader.text
      return
    case 'ce_actor':
      raw.actor = reader.text
      return
    case 'ce_saga':
      raw.saga = reader.text
      return
    default:
      if (name.startsWith(METADATA)) {
        raw.metadata ??= {}
        raw.metadata[name.slice(METADATA.length)] = reader.text
      }
  }
}

/** What the index wants of an event, beside its facts. */
export type IndexFacts = {
  readonly correlationId: string | undefined
  readonly personal: string | undefined
}

/** A record as the rule sees it, and what the index wants of it. */
export type Decoded = { readonly facts: Facts; readonly index: IndexFacts }

const FOREIGN_INDEX: IndexFacts = Object.freeze({ correlationId: undefined, personal: undefined })
const STAMP = /^\d{1,16}$/
const WHOLE = /^\d{1,15}$/
/** An id that a caller gives, and what makes the attempt its own. */
const APPEND_ID_LENGTH_MAX = 512

/**
 * Reads a record for the rule. Whatever is not exactly as the store writes it, or lies beyond the
 * bounds of what it writes, is foreign.
 *
 * @param key null: no key
 */
export function decodeFacts(
  offset: Offset,
  time: Timestamp,
  key: Buffer | null,
  place: RecordPlace,
): Decoded {
  return factsOf(offset, time, key, readHeaders(place, false))
}

function factsOf(offset: Offset, time: Timestamp, key: Buffer | null, raw: Raw): Decoded {
  const foreign: Decoded = { facts: { kind: 'foreign', offset }, index: FOREIGN_INDEX }
  if (raw.append === undefined || raw.append === '') return foreign
  if (raw.rule === undefined || !WHOLE.test(raw.rule)) return foreign
  const rule = Number(raw.rule)
  if (raw.kind === 'identity') {
    return { facts: identityFacts(offset, raw, rule) ?? foreign.facts, index: FOREIGN_INDEX }
  }
  // First of all: what a later rule makes of the rest is not known here.
  if (rule > RULE_VERSION) return { facts: { kind: 'newer', offset, rule }, index: FOREIGN_INDEX }
  if (key === null || raw.place === undefined || !isTime(time)) return foreign
  const id = key.toString('utf8')
  if (!isStreamId(key, id) || !isTenant(raw.tenant)) return foreign
  if (raw.append.length > APPEND_ID_LENGTH_MAX) return foreign
  const stream = streamKey(raw.tenant, id)
  const facts =
    raw.kind === undefined ? eventFacts(offset, time, stream, raw) : otherFacts(offset, stream, raw)
  if (facts === null) return foreign
  return { facts, index: { correlationId: raw.correlation, personal: raw.personal } }
}

function eventFacts(offset: Offset, time: Timestamp, stream: string, raw: Raw): Facts | null {
  const place = /^(\d{1,15})\/(\d{1,4})\/(\d{1,4})$/.exec(raw.place as string)
  if (place === null || raw.type === undefined || !isType(raw.type)) return null
  if (raw.command !== undefined && !isWord(raw.command)) return null
  const version = Number(place[1])
  const index = Number(place[2])
  const count = Number(place[3])
  if (version < 1 || count < 1 || count > APPEND_RECORDS_MAX || index >= count) return null
  const tags = raw.tags === undefined ? NO_TAGS : parseTexts(raw.tags)
  const checks = raw.checks === undefined ? undefined : parseChecks(raw.checks)
  const condition = raw.condition === undefined ? undefined : parseCondition(raw.condition)
  const stamp = raw.clock === undefined ? undefined : parseStamp(raw.clock)
  if (tags === null || checks === null || condition === null || stamp === null) return null
  return {
    kind: 'event',
    offset,
    stream,
    appendId: raw.append as string,
    index,
    count,
    version,
    type: raw.type,
    tags,
    time,
    stamp: index === 0 ? stamp : undefined,
    commandId: index === 0 ? raw.command : undefined,
    condition: index === 0 ? condition : undefined,
    checks: index === 0 ? checks : undefined,
  }
}

function identityFacts(offset: Offset, raw: Raw, rule: number): Facts | null {
  const boundary = /^(\d{1,15})\/(.{1,200})$/.exec(raw.boundary ?? '')
  const buckets = WHOLE.test(raw.place ?? '') ? Number(raw.place) : 0
  if (boundary === null || buckets < 1) return null
  return {
    kind: 'identity',
    offset,
    id: raw.append as string,
    buckets,
    boundary: boundary[2] as string,
    boundaryVersion: Number(boundary[1]),
    rule,
  }
}

function otherFacts(offset: Offset, stream: string, raw: Raw): Facts | null {
  if (!WHOLE.test(raw.place as string)) return null
  const place = Number(raw.place)
  switch (raw.kind) {
    case 'settle':
      return { kind: 'settle', offset, stream, appendId: raw.append as string, claim: place }
    case 'truncate':
    case 'archive':
    case 'unarchive':
    case 'tombstone':
      return { kind: raw.kind, offset, stream, before: place }
    default:
      return null
  }
}

function parseStamp(text: string): number | null {
  const stamp = STAMP.test(text) ? Number(text) : Number.POSITIVE_INFINITY
  return stamp > STAMP_MAX ? null : stamp
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every(item => typeof item === 'string')

function parseTexts(text: string): readonly string[] | null {
  const value = parsed(text)
  return isTexts(value) ? value : null
}

function parseChecks(text: string): readonly CheckClaim[] | null {
  const value = parsed(text)
  if (!Array.isArray(value)) return null
  for (const check of value as readonly Partial<CheckClaim>[]) {
    if (typeof check?.stream !== 'string' || !Number.isSafeInteger(check.version)) return null
  }
  return value as readonly CheckClaim[]
}

function parseCondition(text: string): ConditionClaim | null {
  const value = parsed(text) as Partial<ConditionClaim> | null | undefined
  if (!Number.isSafeInteger(value?.after) || !Array.isArray(value?.failIfMatch)) return null
  for (const query of value.failIfMatch as readonly (EventQuery | null)[]) {
    if (query === null || typeof query !== 'object') return null
    if (query.types !== undefined && !isTexts(query.types)) return null
    if (query.tags !== undefined && !isTexts(query.tags)) return null
  }
  return value as ConditionClaim
}

/** The headers of an event that counts, for readers. */
export type EventMetadata = {
  readonly type: string
  readonly id: string
  readonly version: StreamVersion
  readonly appendId: string
  readonly schemaVersion: number
  readonly tags: readonly string[]
  readonly metadata: Readonly<Record<string, string>>
  readonly commandId: string | undefined
  readonly correlationId: string | undefined
  readonly causationId: string | undefined
  readonly actor: string | undefined
  readonly saga: string | undefined
  readonly personal: string | undefined
}

/** Reads the headers of a record that the rule accepted. */
export function decodeMetadata(place: RecordPlace): EventMetadata {
  const raw = readHeaders(place, true)
  return metadataOf(raw, Number.parseInt(raw.place as string, 10))
}

function metadataOf(raw: Raw, version: StreamVersion): EventMetadata {
  return {
    type: raw.type as string,
    id: raw.id ?? '',
    version,
    appendId: appendIdOf(raw.append as string),
    schemaVersion: raw.schema === undefined ? 1 : Number(raw.schema),
    tags: raw.tags === undefined ? NO_TAGS : (parseTexts(raw.tags) ?? NO_TAGS),
    metadata: raw.metadata ?? NO_METADATA,
    commandId: raw.command,
    correlationId: raw.correlation,
    causationId: raw.causation,
    actor: raw.actor,
    saga: raw.saga,
    personal: raw.personal,
  }
}

/** An event of the log with all that its headers say; null for a record that is none (rule 1). */
export function decodeEventRecord(
  offset: Offset,
  time: Timestamp,
  key: Buffer | null,
  place: RecordPlace,
): { readonly facts: EventFacts; readonly metadata: EventMetadata } | null {
  const raw = readHeaders(place, true)
  const { facts } = factsOf(offset, time, key, raw)
  if (facts.kind !== 'event') return null
  return { facts, metadata: metadataOf(raw, facts.version) }
}

/** What a fold over a stream needs first of an event's headers. */
export type EventBrief = { type: string; schemaVersion: number; personal: boolean }

const CE_TYPE_LENGTH = 7
const CE_SCHEMA_LENGTH = 9
const CE_PERSONAL_LENGTH = 11

/** Reads type, schema version and whether fields are sealed, and makes no more text than that. */
export function briefOf(place: RecordPlace, brief: EventBrief): void {
  brief.schemaVersion = 1
  brief.personal = false
  reader.reset(place.bytes, place.headersAt, place.headerCount)
  while (reader.advance()) {
    // Lengths first: most names are told apart by them.
    if (reader.nameLength === CE_TYPE_LENGTH) {
      if (reader.name === 'ce_type') brief.type = reader.text
    } else if (reader.nameLength === CE_SCHEMA_LENGTH) {
      if (place.bytes[reader.nameAt + 4] === 0x63 && reader.name === 'ce_schema') {
        brief.schemaVersion = Number(reader.text)
      }
    } else if (reader.nameLength === CE_PERSONAL_LENGTH && reader.name === 'ce_personal') {
      brief.personal = true
    }
  }
}
