/**
 * The headers of the store's records: the CloudEvents Kafka binding (cloudevents.io, Kafka protocol
 * binding 1.0.2, binary mode) and our extensions. `ce_type` is the first, because it is always
 * wanted; ids that are absent are omitted.
 *
 * | header | holds |
 * | --- | --- |
 * | `ce_append` | id of the attempt; a record without it is never an event |
 * | `ce_place` | version/index/count; of a settle record the claim; of a truncation its version |
 * | `ce_kind` | settle, truncate, archive, unarchive, tombstone; absent: an event |
 * | `ce_rule` | version of the rule that the record was written under |
 * | `ce_command`, `ce_correlation`, `ce_causation`, `ce_actor`, `ce_saga`, `ce_tenant` | ids |
 * | `ce_schema` | version of the data's schema, where it is not 1 |
 * | `ce_tags`, `ce_checks`, `ce_condition` | JSON; the last two on the first record of an append |
 * | `ce_personal` | which subjects the personal fields belong to |
 * | `meta_…` | the application's own |
 */
import { type HeaderBlock, HeaderReader, HeaderWriter, headerName } from '@millrace/log'
import type { EventQuery } from '../port.ts'
import {
  APPEND_RECORDS_MAX,
  appendIdOf,
  type CheckClaim,
  type ConditionClaim,
  type ControlFacts,
  type EventFacts,
  type Facts,
  RULE_VERSION,
  streamKey,
} from './facts.ts'

const NAME = {
  type: headerName('ce_type'),
  specversion: headerName('ce_specversion'),
  source: headerName('ce_source'),
  contentType: headerName('content-type'),
  rule: headerName('ce_rule'),
  schema: headerName('ce_schema'),
  tenant: headerName('ce_tenant'),
  kind: headerName('ce_kind'),
  append: headerName('ce_append'),
  place: headerName('ce_place'),
  id: headerName('ce_id'),
  time: headerName('ce_time'),
  command: headerName('ce_command'),
  correlation: headerName('ce_correlation'),
  causation: headerName('ce_causation'),
  actor: headerName('ce_actor'),
  saga: headerName('ce_saga'),
  tags: headerName('ce_tags'),
  checks: headerName('ce_checks'),
  condition: headerName('ce_condition'),
  personal: headerName('ce_personal'),
} as const

/** Before the names of the application's own metadata. */
const METADATA = 'meta_'
const METADATA_NAMES_KEPT = 1000
const TEMPLATES_KEPT = 10_000

/** What an event's headers are made of, beside its type. */
export type EventHeaders = {
  readonly tenant: string
  readonly schemaVersion: number
  readonly appendId: string
  readonly version: number
  readonly index: number
  readonly count: number
  /** Absent: derived from the append's id and the index. */
  readonly id: string | undefined
  readonly time: number
  readonly commandId: string | undefined
  readonly correlationId: string | undefined
  readonly causationId: string | undefined
  readonly actor: string | undefined
  readonly saga: string | undefined
  readonly tags: readonly string[]
  readonly checks: readonly CheckClaim[] | undefined
  readonly condition: ConditionClaim | undefined
  readonly personal: string | undefined
  readonly metadata: Readonly<Record<string, string>> | undefined
}

/** Writes headers of one category, always into the same buffer. */
export class HeaderEncoder {
  readonly #source: string
  readonly #writer = new HeaderWriter()
  readonly #templates = new Map<string, HeaderBlock>()
  readonly #metadataNames = new Map<string, Buffer>()
  #time = -1
  #timeText = ''

  constructor(category: string) {
    this.#source = `/${category}`
  }

  /** The headers of an event; good until the next call. */
  event(type: string, e: EventHeaders): HeaderBlock {
    const w = this.#writer
    w.reset()
    w.block(this.#template(type, e.schemaVersion, e.tenant))
    w.text(NAME.append, e.appendId)
    w.text(NAME.place, `${e.version}/${e.index}/${e.count}`)
    w.text(NAME.id, e.id ?? `${appendIdOf(e.appendId)}-${e.index}`)
    w.text(NAME.time, this.#timeOf(e.time))
    if (e.commandId !== undefined) w.text(NAME.command, e.commandId)
    if (e.correlationId !== undefined) w.text(NAME.correlation, e.correlationId)
    if (e.causationId !== undefined) w.text(NAME.causation, e.causationId)
    if (e.actor !== undefined) w.text(NAME.actor, e.actor)
    if (e.saga !== undefined) w.text(NAME.saga, e.saga)
    if (e.tags.length > 0) w.text(NAME.tags, JSON.stringify(e.tags))
    if (e.checks !== undefined) w.text(NAME.checks, JSON.stringify(e.checks))
    if (e.condition !== undefined) w.text(NAME.condition, JSON.stringify(e.condition))
    if (e.personal !== undefined) w.text(NAME.personal, e.personal)
    if (e.metadata !== undefined) {
      for (const name in e.metadata) w.text(this.#metadataName(name), e.metadata[name] as string)
    }
    return w
  }

  /** The headers of a settle record. */
  settle(tenant: string, appendId: string, claim: number): HeaderBlock {
    return this.#control('settle', tenant, appendId, claim)
  }

  /** The headers of a record about a stream as a whole. */
  control(
    kind: ControlFacts['kind'],
    tenant: string,
    appendId: string,
    before: number,
  ): HeaderBlock {
    return this.#control(kind, tenant, appendId, before)
  }

  #control(kind: string, tenant: string, appendId: string, place: number): HeaderBlock {
    const w = this.#writer
    w.reset()
    w.text(NAME.kind, kind)
    w.text(NAME.rule, String(RULE_VERSION))
    if (tenant !== '') w.text(NAME.tenant, tenant)
    w.text(NAME.append, appendId)
    w.text(NAME.place, String(place))
    return w
  }

  #template(type: string, schemaVersion: number, tenant: string): HeaderBlock {
    const key = schemaVersion === 1 && tenant === '' ? type : `${schemaVersion}\0${tenant}\0${type}`
    const known = this.#templates.get(key)
    if (known !== undefined) return known
    const w = new HeaderWriter()
    w.text(NAME.type, type)
    w.text(NAME.specversion, '1.0')
    w.text(NAME.source, this.#source)
    w.text(NAME.contentType, 'application/json')
    w.text(NAME.rule, String(RULE_VERSION))
    if (schemaVersion !== 1) w.text(NAME.schema, String(schemaVersion))
    if (tenant !== '') w.text(NAME.tenant, tenant)
    if (this.#templates.size >= TEMPLATES_KEPT) this.#templates.clear()
    const block = w.copy()
    this.#templates.set(key, block)
    return block
  }

  #metadataName(name: string): Buffer {
    const known = this.#metadataNames.get(name)
    if (known !== undefined) return known
    if (this.#metadataNames.size >= METADATA_NAMES_KEPT) this.#metadataNames.clear()
    const encoded = headerName(METADATA + name)
    this.#metadataNames.set(name, encoded)
    return encoded
  }

  /** Many events share a millisecond. */
  #timeOf(time: number): string {
    if (time !== this.#time) {
      this.#time = time
      this.#timeText = new Date(time).toISOString()
    }
    return this.#timeText
  }
}

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
  id: string | undefined
  command: string | undefined
  correlation: string | undefined
  causation: string | undefined
  actor: string | undefined
  saga: string | undefined
  tags: string | undefined
  checks: string | undefined
  condition: string | undefined
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
    id: undefined,
    command: undefined,
    correlation: undefined,
    causation: undefined,
    actor: undefined,
    saga: undefined,
    tags: undefined,
    checks: undefined,
    condition: undefined,
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
const WHOLE = /^\d{1,15}$/

/**
 * Reads a record for the rule. Whatever is not exactly as the store writes it is foreign.
 *
 * @param key null: no key
 */
export function decodeFacts(
  offset: number,
  time: number,
  key: Buffer | null,
  place: RecordPlace,
): Decoded {
  return factsOf(offset, time, key, readHeaders(place, false))
}

function factsOf(offset: number, time: number, key: Buffer | null, raw: Raw): Decoded {
  const foreign: Decoded = { facts: { kind: 'foreign', offset }, index: FOREIGN_INDEX }
  if (raw.append === undefined || raw.append === '') return foreign
  if (raw.rule === undefined || !WHOLE.test(raw.rule)) return foreign
  const rule = Number(raw.rule)
  // First of all: what a later rule makes of the rest is not known here.
  if (rule > RULE_VERSION) return { facts: { kind: 'newer', offset, rule }, index: FOREIGN_INDEX }
  if (key === null || raw.place === undefined) return foreign
  const id = key.toString('utf8')
  if (id === '' || id.includes('\0') || raw.tenant.includes('\0')) return foreign
  const stream = streamKey(raw.tenant, id)
  const facts =
    raw.kind === undefined ? eventFacts(offset, time, stream, raw) : otherFacts(offset, stream, raw)
  if (facts === null) return foreign
  return { facts, index: { correlationId: raw.correlation, personal: raw.personal } }
}

function eventFacts(offset: number, time: number, stream: string, raw: Raw): Facts | null {
  const place = /^(\d{1,15})\/(\d{1,4})\/(\d{1,4})$/.exec(raw.place as string)
  if (place === null || raw.type === undefined || raw.type === '') return null
  const version = Number(place[1])
  const index = Number(place[2])
  const count = Number(place[3])
  if (version < 1 || count < 1 || count > APPEND_RECORDS_MAX || index >= count) return null
  const tags = raw.tags === undefined ? NO_TAGS : parseTexts(raw.tags)
  const checks = raw.checks === undefined ? undefined : parseChecks(raw.checks)
  const condition = raw.condition === undefined ? undefined : parseCondition(raw.condition)
  if (tags === null || checks === null || condition === null) return null
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
    commandId: index === 0 ? raw.command : undefined,
    condition: index === 0 ? condition : undefined,
    checks: index === 0 ? checks : undefined,
  }
}

function otherFacts(offset: number, stream: string, raw: Raw): Facts | null {
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
  readonly version: number
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

function metadataOf(raw: Raw, version: number): EventMetadata {
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
  offset: number,
  time: number,
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
