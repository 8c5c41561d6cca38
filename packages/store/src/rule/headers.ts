/**
 * The headers of the store's records: the CloudEvents Kafka binding (cloudevents.io, Kafka protocol
 * binding 1.0.2, binary mode) and our extensions. `ce_type` is the first, because it is always
 * wanted; ids that are absent are omitted.
 *
 * | header | holds |
 * | --- | --- |
 * | `ce_append` | id of the attempt; a record without it is never an event |
 * | `ce_boundary` | of an identity: version/name of the boundary |
 * | `ce_place` | version/index/count; of a settle record the claim; of a truncation its version; of an identity the number of buckets |
 * | `ce_clock` | on the first record of an append: its stamp, see `hybrid-clock.ts` |
 * | `ce_kind` | settle, truncate, archive, unarchive, tombstone, identity; absent: an event |
 * | `ce_rule` | version of the rule that the record was written under |
 * | `ce_command`, `ce_correlation`, `ce_causation`, `ce_actor`, `ce_saga`, `ce_tenant` | ids |
 * | `ce_schema` | version of the data's schema, where it is not 1 |
 * | `ce_tags`, `ce_checks`, `ce_condition` | JSON; the last two on the first record of an append |
 * | `ce_personal` | which subjects the personal fields belong to |
 * | `meta_…` | the application's own |
 */

import { type HeaderBlock, HeaderWriter, headerName, type Timestamp } from '@millrace/log'
import type { StreamVersion } from '../port.ts'
import {
  appendIdOf,
  type CheckClaim,
  type ConditionClaim,
  type ControlFacts,
  RULE_VERSION,
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
  clock: headerName('ce_clock'),
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
  boundary: headerName('ce_boundary'),
  personal: headerName('ce_personal'),
} as const

/** Before the names of the application's own metadata. */
export const METADATA: string = 'meta_'
const METADATA_NAMES_KEPT = 1000
const TEMPLATES_KEPT = 10_000

/** What an event's headers are made of, beside its type. */
export type EventHeaders = {
  readonly tenant: string
  readonly schemaVersion: number
  readonly appendId: string
  readonly version: StreamVersion
  readonly index: number
  readonly count: number
  readonly stamp: number | undefined
  /** Absent: derived from the append's id and the index. */
  readonly id: string | undefined
  readonly time: Timestamp
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
    if (e.stamp !== undefined) w.text(NAME.clock, String(e.stamp))
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
  settle(tenant: string, appendId: string, claim: StreamVersion): HeaderBlock {
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

  /** The headers of the record that says what the category is. */
  identity(
    id: string,
    buckets: number,
    boundary: { readonly name: string; readonly version: number },
  ): HeaderBlock {
    this.#control('identity', '', id, buckets)
    this.#writer.text(NAME.boundary, `${boundary.version}/${boundary.name}`)
    return this.#writer
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
  #timeOf(time: Timestamp): string {
    if (time !== this.#time) {
      this.#time = time
      this.#timeText = new Date(time).toISOString()
    }
    return this.#timeText
  }
}
