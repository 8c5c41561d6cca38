/** Turns what a caller asks of `append` into a request: checked, validated, sealed, as JSON. */
import { positionsOf } from '../checkpoint.ts'
import { StoreError } from '../errors.ts'
import {
  checkMetadata,
  checkStreamId,
  checkTags,
  checkTenant,
  checkTime,
  checkType,
  checkWhole,
  checkWord,
} from '../names.ts'
import { chain, type Maybe } from '../personal/maybe.ts'
import type { PersonalData } from '../personal/personal-data.ts'
import {
  type AppendOptions,
  DEFAULT_TENANT,
  type EventQuery,
  type NewEvent,
  type StreamCheck,
} from '../port.ts'
import { DROPPED_TYPE, streamKey } from '../rule/facts.ts'
import type { Bucket } from './bucket.ts'
import type { AppendRequest, ReadyCheck, ReadyCondition, ReadyEvent } from './pending.ts'
import type { FoundStream } from './stream-reader.ts'

const CHECKS_MAX = 16
const QUERIES_MAX = 16
/** What an event costs beside its data, about. */
const EVENT_OVERHEAD_BYTES = 512
const NO_CHECKS: readonly ReadyCheck[] = Object.freeze([])
const NO_TAGS: readonly string[] = Object.freeze([])

/** What making a request needs of the store. */
export type RequestParts = {
  readonly log: string
  readonly personal: PersonalData
  readonly eventsMax: number
  readonly timeoutMs: number
  readonly monotonic: () => number
  readonly find: (stream: StreamCheck['stream']) => FoundStream
}

/** @throws StoreError BAD_ARGUMENT, INVALID_EVENT, APPEND_TOO_LARGE, BOUNDARY_MISMATCH */
export function appendRequest(
  parts: RequestParts,
  found: FoundStream,
  events: readonly NewEvent[],
  options: AppendOptions,
): Maybe<AppendRequest> {
  if (!Array.isArray(events)) throw new StoreError('BAD_ARGUMENT', 'events must be a list')
  if (events.length > parts.eventsMax) {
    throw new StoreError(
      'APPEND_TOO_LARGE',
      `an append has at most ${parts.eventsMax} events, not ${events.length}`,
    )
  }
  checkOptions(options)
  const checks =
    options.check === undefined ? NO_CHECKS : readyChecks(parts, found.bucket, options.check)
  const condition =
    options.condition === undefined ? undefined : readyCondition(parts, found, options.condition)
  return chain(readyEvents(parts, found, events, options), ready => {
    let dataBytes = 0
    for (const event of ready) dataBytes += event.value.length
    checkSize(found.bucket, dataBytes)
    const bytes = dataBytes + (ready.length + 1) * EVENT_OVERHEAD_BYTES
    return {
      bucket: found.bucket,
      tenant: found.tenant,
      id: found.id,
      stream: streamKey(found.tenant, found.id),
      events: ready,
      expected: options.expectedVersion ?? 'any',
      appendId: options.appendId,
      commandId: options.commandId ?? options.appendId,
      correlationId: options.correlationId,
      causationId: options.causationId,
      actor: options.actor,
      saga: options.saga,
      checks,
      condition,
      deadline: parts.monotonic() + (options.timeoutMs ?? parts.timeoutMs),
      bytes,
    }
  })
}

/**
 * Refuses what the log would not take. A request beyond what a connection takes would have no
 * answer at all, and so be taken for an append of unknown outcome.
 */
function checkSize({ category }: Bucket, dataBytes: number): void {
  if (dataBytes <= category.batchBytesMax) return
  throw new StoreError(
    'APPEND_TOO_LARGE',
    `an append of at least ${dataBytes} bytes; topic ${category.topic} takes at most max.message.bytes=${category.batchBytesMax}`,
  )
}

function checkOptions(options: AppendOptions): void {
  const { expectedVersion } = options
  if (typeof expectedVersion === 'number') checkWhole(expectedVersion, 0, 'expectedVersion')
  else if (
    expectedVersion !== undefined &&
    !['any', 'exists', 'absent'].includes(expectedVersion)
  ) {
    throw new StoreError(
      'BAD_ARGUMENT',
      `expectedVersion must be a version, "any", "exists" or "absent", not ${JSON.stringify(expectedVersion)}`,
    )
  }
  checkWord(options.appendId, 'appendId')
  checkWord(options.commandId, 'commandId')
  checkWord(options.correlationId, 'correlationId')
  checkWord(options.causationId, 'causationId')
  checkWord(options.actor, 'actor')
  checkWord(options.saga, 'saga')
  if (options.metadata !== undefined) checkMetadata(options.metadata, 'metadata')
  if (options.timeoutMs !== undefined) checkWhole(options.timeoutMs, 1, 'timeoutMs')
}

function readyEvents(
  parts: RequestParts,
  found: FoundStream,
  events: readonly NewEvent[],
  options: AppendOptions,
): Maybe<ReadyEvent[]> {
  const ready = events.map((event, i) => readyEvent(parts, found, event, i, options))
  return ready.some(event => event instanceof Promise)
    ? Promise.all(ready)
    : (ready as ReadyEvent[])
}

function readyEvent(
  parts: RequestParts,
  found: FoundStream,
  event: NewEvent,
  i: number,
  options: AppendOptions,
): Maybe<ReadyEvent> {
  const { types, name } = found.bucket.category
  const { type } = event
  checkType(type, i)
  if (type === DROPPED_TYPE) {
    throw new StoreError('BAD_ARGUMENT', `events[${i}].type ${DROPPED_TYPE} is the store's own`)
  }
  checkWord(event.id, `events[${i}].id`)
  if (event.time !== undefined) checkTime(event.time, `events[${i}].time`)
  if (event.schemaVersion !== undefined)
    checkWhole(event.schemaVersion, 1, `events[${i}].schemaVersion`)
  if (event.metadata !== undefined) checkMetadata(event.metadata, `events[${i}].metadata`)
  const data = types.validate(type, event.data)
  const declared = types.tagsOf(type, data)
  if (event.tags !== undefined) checkTags(event.tags, `events[${i}].tags`)
  let tags = event.tags ?? NO_TAGS
  if (declared.length > 0) {
    tags = [...new Set([...tags, ...declared])]
    checkTags(tags, `events[${i}].tags`)
  } else if (tags.length > 0) {
    // The rule is fed with them after the caller may have changed his list.
    tags = [...tags]
  }
  const ready = (value: string, personal: string | undefined): ReadyEvent => ({
    type,
    schemaVersion: event.schemaVersion ?? types.version(type),
    value,
    id: event.id,
    time: event.time,
    tags,
    personal,
    metadata: mergedMetadata(options.metadata, event.metadata),
  })
  const fields = types.personal(type)
  if (fields === undefined) return ready(JSON.stringify(data), undefined)
  const place = { tenant: found.tenant, category: name, stream: found.id, type }
  return chain(parts.personal.seal(place, fields, data), sealed =>
    ready(JSON.stringify(sealed.data), sealed.personal),
  )
}

function mergedMetadata(
  ofAppend: AppendOptions['metadata'],
  ofEvent: NewEvent['metadata'],
): Readonly<Record<string, string>> | undefined {
  if (ofEvent === undefined) return ofAppend
  return ofAppend === undefined ? ofEvent : { ...ofAppend, ...ofEvent }
}

function readyChecks(
  parts: RequestParts,
  bucket: Bucket,
  checks: readonly StreamCheck[],
): readonly ReadyCheck[] {
  if (checks.length > CHECKS_MAX) {
    throw new StoreError(
      'BAD_ARGUMENT',
      `check has at most ${CHECKS_MAX} streams, not ${checks.length}`,
    )
  }
  return checks.map(({ stream, expectedVersion }) => {
    const found = parts.find(stream)
    if (found.bucket !== bucket) {
      throw new StoreError(
        'BOUNDARY_MISMATCH',
        `check: stream ${stream.id} of ${stream.category} lies in another bucket`,
      )
    }
    return { ref: stream, stream: streamKey(found.tenant, found.id), expectedVersion }
  })
}

function readyCondition(
  parts: RequestParts,
  { bucket, tenant }: FoundStream,
  condition: NonNullable<AppendOptions['condition']>,
): ReadyCondition {
  const { failIfMatch } = condition
  if (!Array.isArray(failIfMatch) || failIfMatch.length === 0 || failIfMatch.length > QUERIES_MAX) {
    throw new StoreError(
      'BAD_ARGUMENT',
      `condition.failIfMatch must be 1 to ${QUERIES_MAX} queries`,
    )
  }
  const after =
    condition.after === undefined
      ? 0
      : (positionsOf(condition.after, { log: parts.log, tenant })
          .get(bucket.category.name)
          ?.get(bucket.number) ?? 0)
  return { failIfMatch: failIfMatch.map(readyQuery), after }
}

/** A query of a condition, checked and copied: the caller may change his before it is judged. */
function readyQuery({ types, tags }: EventQuery, i: number): EventQuery {
  const field = `condition.failIfMatch[${i}]`
  if (tags === undefined || tags.length === 0) {
    throw new StoreError('BAD_ARGUMENT', `${field} must have at least one tag`)
  }
  checkTags(tags, `${field}.tags`)
  if (types === undefined) return { tags: [...tags] }
  if (!Array.isArray(types) || types.some(type => typeof type !== 'string')) {
    throw new StoreError('BAD_ARGUMENT', `${field}.types must be a list of texts`)
  }
  return { types: [...types], tags: [...tags] }
}

/** Checks a stream's name. @throws StoreError BAD_ARGUMENT */
export function checkStream(stream: { readonly tenant?: string; readonly id: string }): string {
  const tenant = stream.tenant ?? DEFAULT_TENANT
  checkTenant(tenant)
  checkStreamId(stream.id)
  return tenant
}
