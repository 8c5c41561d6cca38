/**
 * The index of one bucket: streams' states and events, by stream and version, and what searches
 * look things up by. Derived from the log, and thrown away whenever it does not fit it.
 *
 * What the fold accepts goes into memory at once and is readable from there; `flush` writes it in
 * one batch together with the fold's position, so that a restart goes on exactly there. At most one
 * flush runs; how much may wait for it is the caller's bound (`bytes`).
 */

import type { Offset } from '@millrace/log'
import { afterPrefix, type KeyValue, type KeyValueChange } from '../../kv/key-value.ts'
import type { StreamVersion } from '../../port.ts'
import type { IndexFacts } from '../../rule/decode-headers.ts'
import type { EventFacts } from '../../rule/facts.ts'
import {
  type BucketFold,
  EMPTY_STREAM,
  type StreamFold,
  type StreamStates,
} from '../../rule/fold-state.ts'
import { type Entry, entryBytes, pageOf } from './entry.ts'
import {
  type IndexPlace,
  KIND,
  numberKey,
  numberOf,
  placeKey,
  textKey,
  textNumberKey,
} from './keys.ts'
import {
  decodeBucket,
  decodeStream,
  encodeBucket,
  encodeStream,
  type KeptBucket,
} from './state-codec.ts'
import { StreamCache, type StreamSlot } from './stream-cache.ts'

/** Bounds of an index. */
export type IndexLimits = { readonly pageBytes: number; readonly streamsCached: number }

/** Types of events of a zone beyond this number: any type may be in it. */
const ZONE_TYPES_MAX = 128
const NOTHING: readonly Entry[] = Object.freeze([])
const NO_TAIL = Object.freeze({ first: 0, bytes: 0 })

/** What one part of the offsets holds. */
export type Zone = {
  from: number
  to: number
  minTime: number
  maxTime: number
  /** `null`: too many to tell. */
  types: string[] | null
}

/** Where an event with a tag or correlation is. */
export type Pointer = {
  readonly stream: string
  readonly version: StreamVersion
  readonly offset: Offset
}

/** The index of one bucket. */
export class BucketIndex implements StreamStates {
  readonly place: IndexPlace
  readonly #kv: KeyValue
  readonly #pageBytes: number
  readonly #cache: StreamCache
  #dirty = new Map<string, StreamSlot>()
  #flushing = new Map<string, StreamSlot>()
  #changes: KeyValueChange[] = []
  #zone: Zone | null = null
  #bytes = 0
  #flushed = -1
  #flush: Promise<void> | null = null

  constructor(kv: KeyValue, place: IndexPlace, limits: IndexLimits) {
    this.#kv = kv
    this.place = place
    this.#pageBytes = limits.pageBytes
    this.#cache = new StreamCache(limits.streamsCached)
  }

  /** Bytes of events that wait for a flush. */
  get bytes(): number {
    return this.#bytes
  }

  /** Up to where everything is written. */
  get flushed(): number {
    return this.#flushed
  }

  /** What was kept of the bucket; null when there is nothing. */
  load(): KeptBucket | null {
    const bytes = this.#kv.getSync(placeKey(KIND.bucket, this.place))
    const kept = bytes === undefined ? null : decodeBucket(bytes)
    if (kept !== null) this.#flushed = kept.fold.position
    return kept
  }

  /** Forgets all of the bucket. */
  async discard(): Promise<void> {
    for (const kind of [
      KIND.bucket,
      KIND.stream,
      KIND.events,
      KIND.void,
      KIND.tag,
      KIND.correlation,
      KIND.zone,
    ]) {
      const gte = placeKey(kind, this.place)
      await this.#kv.clear({ gte, lt: afterPrefix(gte) })
    }
    this.#cache.clear()
    this.#dirty.clear()
    this.#changes = []
    this.#zone = null
    this.#bytes = 0
    this.#flushed = -1
  }

  /** The state of a stream; of an unknown one {@link EMPTY_STREAM}. */
  get(stream: string): StreamFold {
    return this.slot(stream).state
  }

  set(stream: string, state: StreamFold): void {
    const slot = this.slot(stream)
    slot.state = state
    this.#touch(slot)
  }

  /** The stream in memory, read if it is not there. */
  slot(stream: string): StreamSlot {
    const known = this.#cache.get(stream)
    if (known !== undefined) return known
    // A slot that waits to be written is the only true one, whether or not the cache kept it.
    const waiting = this.#dirty.get(stream) ?? this.#flushing.get(stream)
    if (waiting !== undefined) {
      this.#cache.add(waiting)
      return waiting
    }
    const bytes = this.#kv.getSync(textKey(KIND.stream, this.place, stream))
    const kept = bytes === undefined ? null : decodeStream(bytes)
    const slot: StreamSlot = {
      stream,
      state: kept?.state ?? EMPTY_STREAM,
      tail: kept?.tail ?? NO_TAIL,
      fresh: [],
      freshFirst: 0,
      flushing: NOTHING,
      flushingFirst: 0,
      dirty: false,
    }
    this.#cache.add(slot)
    return slot
  }

  /** Takes an event that counts. */
  add(facts: EventFacts, entry: Entry, index: IndexFacts, tenant: string): void {
    const slot = this.slot(facts.stream)
    if (slot.fresh.length === 0) slot.freshFirst = facts.version
    slot.fresh.push(entry)
    this.#touch(slot)
    this.#bytes += entryBytes(entry)
    this.#intoZone(facts)
    if (facts.tags.length > 0 || index.correlationId !== undefined) {
      this.#point(facts, index, tenant)
    }
  }

  /** Takes a change of another module, to be written with the events that it is about. */
  addChange(change: KeyValueChange): void {
    this.#changes.push(change)
  }

  /** Takes a record that is no event though it has an append id. */
  addVoid(offset: Offset): void {
    this.#put(numberKey(KIND.void, this.place, offset), Buffer.alloc(0))
  }

  /** Void offsets of a part, also those not written yet. */
  async voids(from: number, to: number): Promise<ReadonlySet<number>> {
    const found = new Set<number>()
    const gte = numberKey(KIND.void, this.place, from)
    const lt = numberKey(KIND.void, this.place, to)
    for (const change of this.#changes) {
      if (change.key[0] === KIND.void) found.add(numberOf(change.key))
    }
    await this.#flush
    for await (const page of this.#kv.range({ gte, lt })) {
      for (const [key] of page) found.add(numberOf(key))
    }
    return found
  }

  /** Writes what is in memory, and the fold as it is now. */
  async flush(kept: KeptBucket): Promise<void> {
    if (this.#flush !== null) await this.#flush
    if (kept.fold.position === this.#flushed && this.#dirty.size === 0) return
    const run = this.#write(kept).finally(() => {
      this.#flush = null
    })
    this.#flush = run
    await run
  }

  async #write(kept: KeptBucket): Promise<void> {
    const { position } = kept.fold
    const slots = this.#dirty
    const changes = this.#changes
    const bytes = this.#bytes
    const meta = encodeBucket(kept)
    const states = new Map<StreamSlot, StreamFold>()
    if (this.#zone !== null) {
      const key = numberKey(KIND.zone, this.place, this.#zone.from)
      changes.push({ type: 'put', key, value: Buffer.from(JSON.stringify(this.#zone)) })
    }
    this.#dirty = new Map()
    this.#flushing = slots
    this.#changes = []
    this.#zone = null
    for (const slot of slots.values()) {
      slot.dirty = false
      slot.flushing = slot.fresh
      slot.flushingFirst = slot.freshFirst
      slot.fresh = []
      states.set(slot, slot.state)
    }
    const pages = await this.#tailPages(slots)
    for (const slot of slots.values()) {
      slot.tail = this.#writeSlot(slot, states.get(slot) as StreamFold, pages.get(slot), changes)
    }
    changes.push({ type: 'put', key: placeKey(KIND.bucket, this.place), value: meta })
    await this.#kv.batch(changes)
    for (const slot of slots.values()) slot.flushing = NOTHING
    this.#flushing = new Map()
    this.#flushed = position
    this.#bytes -= bytes
  }

  /** The last pages of those streams whose new events still fit in. */
  async #tailPages(
    slots: ReadonlyMap<string, StreamSlot>,
  ): Promise<ReadonlyMap<StreamSlot, Buffer>> {
    const wanted: StreamSlot[] = []
    for (const slot of slots.values()) {
      const { first, bytes } = slot.tail
      if (slot.flushing.length === 0 || first === 0 || bytes >= this.#pageBytes) continue
      // What fills most of a page itself begins one: filling up the last costs reading it.
      if (runBytes(slot.flushing, this.#pageBytes) < this.#pageBytes / 2) wanted.push(slot)
    }
    const pages = new Map<StreamSlot, Buffer>()
    if (wanted.length === 0) return pages
    const keys = wanted.map(slot => this.#pageKey(slot.stream, slot.tail.first))
    const found = await this.#kv.getMany(keys)
    for (const [i, slot] of wanted.entries()) {
      const page = found[i]
      if (page !== undefined) pages.set(slot, page)
    }
    return pages
  }

  /** Puts the state and the new events of a stream; returns its last page. */
  #writeSlot(
    slot: StreamSlot,
    state: StreamFold,
    tailPage: Buffer | undefined,
    changes: KeyValueChange[],
  ): StreamSlot['tail'] {
    let { tail } = slot
    let room = tailPage === undefined ? 0 : this.#pageBytes - tailPage.length
    let before = tailPage
    let first = tail.first
    let part: Entry[] = []
    const put = (): void => {
      if (part.length === 0) return
      const added = pageOf(part)
      const value = before === undefined ? added : Buffer.concat([before, added])
      changes.push({ type: 'put', key: this.#pageKey(slot.stream, first), value })
      tail = { first, bytes: value.length }
      before = undefined
      part = []
    }
    for (const [i, entry] of slot.flushing.entries()) {
      const bytes = entryBytes(entry)
      if (bytes > room) {
        put()
        before = undefined
        first = slot.flushingFirst + i
        room = this.#pageBytes
      }
      part.push(entry)
      room -= bytes
    }
    put()
    const key = textKey(KIND.stream, this.place, slot.stream)
    changes.push({ type: 'put', key, value: encodeStream(state, tail) })
    return tail
  }

  #pageKey(stream: string, version: StreamVersion): Buffer {
    return textNumberKey(KIND.events, this.place, stream, version)
  }

  #touch(slot: StreamSlot): void {
    if (slot.dirty) return
    slot.dirty = true
    this.#dirty.set(slot.stream, slot)
  }

  #put(key: Buffer, value: Buffer): void {
    this.#changes.push({ type: 'put', key, value })
  }

  #point(facts: EventFacts, index: IndexFacts, tenant: string): void {
    const value = Buffer.from(JSON.stringify([facts.stream, facts.version]))
    for (const tag of facts.tags) {
      this.#put(textNumberKey(KIND.tag, this.place, `${tenant}\0${tag}`, facts.offset), value)
    }
    if (index.correlationId !== undefined) {
      const text = `${tenant}\0${index.correlationId}`
      this.#put(textNumberKey(KIND.correlation, this.place, text, facts.offset), value)
    }
  }

  #intoZone(facts: EventFacts): void {
    const zone = this.#zone
    if (zone === null) {
      this.#zone = {
        from: facts.offset,
        to: facts.offset + 1,
        minTime: facts.time,
        maxTime: facts.time,
        types: [facts.type],
      }
      return
    }
    if (facts.offset < zone.from) zone.from = facts.offset
    if (facts.offset >= zone.to) zone.to = facts.offset + 1
    if (facts.time < zone.minTime) zone.minTime = facts.time
    if (facts.time > zone.maxTime) zone.maxTime = facts.time
    if (zone.types === null || zone.types.includes(facts.type)) return
    if (zone.types.length < ZONE_TYPES_MAX) zone.types.push(facts.type)
    else zone.types = null
  }
}

/** Bytes of entries, counted as far as they matter. */
function runBytes(entries: readonly Entry[], enough: number): number {
  let bytes = 0
  for (const entry of entries) {
    bytes += entryBytes(entry)
    if (bytes >= enough) break
  }
  return bytes
}

/** The kept bucket of a fold. */
export function keptBucket(
  topicId: string,
  fold: BucketFold,
  held: ReadonlyMap<number, Entry>,
): KeptBucket {
  return { topicId, fold, held }
}
