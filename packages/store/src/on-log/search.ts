/**
 * Finds events by what the index knows: tags and correlation by their own entries, types and times
 * by the zones that cannot hold them.
 */
import type { Offset } from '@millrace/log'
import { afterPrefix, type KeyValue } from '../kv/key-value.ts'
import type { EventFilter, EventQuery, RecordedEvent, StreamVersion } from '../port.ts'
import { idOf, tenantOf } from '../rule/facts.ts'
import type { Bucket } from './bucket.ts'
import type { Pointer, Zone } from './index/bucket-index.ts'
import type { Entry } from './index/entry.ts'
import { KIND, numberKey, numberOf, placeKey, textNumberKey } from './index/keys.ts'
import { streamRuns } from './index/stream-entries.ts'
import type { EventOpener } from './opener.ts'

/** Whether the index has entries for this filter that name the very events. */
export function hasPointers(filter: EventFilter): boolean {
  return filter.correlationId !== undefined || (filter.tags?.length ?? 0) > 0
}

/** Where a tenant's events with a tag or correlation are, from an offset to another (excluded). */
export async function* pointers(
  kv: KeyValue,
  bucket: Bucket,
  by: { readonly kind: 'tag' | 'correlation'; readonly tenant: string; readonly text: string },
  from: number,
  before: number,
): AsyncGenerator<Pointer, void> {
  const { place } = bucket.index
  const key = (offset: Offset): Buffer =>
    textNumberKey(KIND[by.kind], place, `${by.tenant}\0${by.text}`, offset)
  for await (const page of kv.range({ gte: key(from), lt: key(before) })) {
    for (const [found, value] of page) {
      const [stream, version] = JSON.parse(value.toString('utf8')) as [string, number]
      yield { stream, version, offset: numberOf(found) }
    }
  }
}

/** The entry of one event. */
export async function entryAt(
  kv: KeyValue,
  bucket: Bucket,
  stream: string,
  version: StreamVersion,
): Promise<Entry | undefined> {
  const slot = bucket.index.slot(stream)
  const runs = streamRuns(kv, bucket.index.place, slot, version, version, false)
  for await (const run of runs) return run.entries[0]
  return undefined
}

/** The event of a pointer. */
export async function eventAt(
  kv: KeyValue,
  opener: EventOpener,
  bucket: Bucket,
  { stream, version }: Pointer,
): Promise<RecordedEvent | undefined> {
  const entry = await entryAt(kv, bucket, stream, version)
  if (entry === undefined) return undefined
  const source = {
    category: bucket.category.name,
    tenant: tenantOf(stream),
    stream: idOf(stream),
    bucket: bucket.number,
  }
  return opener.entry(bucket.category, source, entry)
}

/** Events of a bucket that match any of the queries, from an offset to another, in offset order. */
export async function matching(
  kv: KeyValue,
  opener: EventOpener,
  bucket: Bucket,
  tenant: string,
  queries: readonly EventQuery[],
  from: number,
  before: number,
  limit: number,
): Promise<readonly RecordedEvent[]> {
  const found = new Map<number, RecordedEvent>()
  for (const query of queries) {
    const [text, ...others] = query.tags ?? []
    if (text === undefined) continue
    for await (const pointer of pointers(kv, bucket, { kind: 'tag', tenant, text }, from, before)) {
      const event = await eventAt(kv, opener, bucket, pointer)
      if (event === undefined) continue
      if (query.types !== undefined && !query.types.includes(event.type)) continue
      if (!others.every(tag => event.tags.includes(tag))) continue
      found.set(pointer.offset, event)
      if (found.size >= limit) break
    }
  }
  return [...found.entries()]
    .sort(([a], [b]) => a - b)
    .slice(0, limit)
    .map(([, event]) => event)
}

/**
 * Which offset of a bucket can next hold an event of the types and times of a filter. Zones are read
 * once, in order; what was not flushed when the search began lies after all of them and is read.
 */
export function zoneSkip(
  kv: KeyValue,
  filter: EventFilter,
): (bucket: Bucket, offset: Offset) => Promise<number> {
  const known = new Map<Bucket, readonly Zone[]>()
  return async (bucket, offset) => {
    let zones = known.get(bucket)
    if (zones === undefined) {
      zones = await zonesOf(kv, bucket)
      known.set(bucket, zones)
    }
    const end = zones.reduce((last, zone) => Math.max(last, zone.to), 0)
    let next = end
    for (const zone of zones) {
      if (zone.to <= offset || !mayHold(zone, filter)) continue
      next = Math.min(next, Math.max(zone.from, offset))
    }
    return Math.max(offset, next)
  }
}

async function zonesOf(kv: KeyValue, bucket: Bucket): Promise<readonly Zone[]> {
  const { place } = bucket.index
  const zones: Zone[] = []
  const range = { gte: numberKey(KIND.zone, place, 0), lt: afterPrefix(placeKey(KIND.zone, place)) }
  for await (const page of kv.range(range)) {
    for (const [, value] of page) zones.push(JSON.parse(value.toString('utf8')) as Zone)
  }
  return zones
}

function mayHold(zone: Zone, { types, since, before }: EventFilter): boolean {
  if (types !== undefined && zone.types !== null && !types.some(t => zone.types?.includes(t))) {
    return false
  }
  if (since !== undefined && zone.maxTime < since) return false
  return before === undefined || zone.minTime < before
}
