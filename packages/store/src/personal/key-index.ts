/**
 * Where the keys of subjects stand in the keys topic, and which are gone: derived data in a
 * `KeyValue`, under the prefix `P`. It holds offsets, never a key, not even a wrapped one: what must
 * be gone one day is in one place.
 *
 * | key | value |
 * | --- | --- |
 * | `P` `m` | JSON: id of the topic, the offset up to which it was read |
 * | `P` `k` key id (24 bytes) | offset (6 bytes), id of the master key that wraps it |
 * | `P` `f` key id (24 bytes) | when it was forgotten, ms since the epoch (6 bytes) |
 * | `P` `t` subject hash (16 bytes) category NUL tenant NUL stream, version (6 bytes) | empty |
 */
import {
  afterPrefix,
  type KeyValue,
  type KeyValueChange,
  type KeyValueEntry,
} from '../kv/key-value.ts'
import type { OwnTopicState } from '../own-topics/own-topic.ts'
import { positionRead, readPosition } from '../own-topics/read-position.ts'
import { keyIdBytes, keyIdOf } from './key-ids.ts'

const META = Buffer.from('Pm')
const KEYS = Buffer.from('Pk')
const FORGOTTEN = Buffer.from('Pf')
const NUMBER_BYTES = 6
const HASH_BYTES = 16

/** Where a key stands. */
export type KeyPlace = { readonly id: string; readonly offset: number; readonly master: string }

/** Keys by subject, in a `KeyValue`. */
export class KeyIndex {
  readonly #kv: KeyValue

  constructor(kv: KeyValue) {
    this.#kv = kv
  }

  /** The offset up to which the topic was read. */
  position(topic: Pick<OwnTopicState, 'topicId' | 'end'>): number {
    return readPosition(this.#kv, META, topic)
  }

  /** Forgets all that was read of another topic. */
  async clear(): Promise<void> {
    for (const prefix of [META, KEYS, FORGOTTEN]) {
      await this.#kv.clear({ gte: prefix, lt: afterPrefix(prefix) })
    }
  }

  apply(changes: readonly KeyValueChange[], topicId: string, position: number): Promise<void> {
    return this.#kv.batch([...changes, positionRead(META, topicId, position)])
  }

  /** A key does not stand where it did, and nobody knows when it went. */
  drop(id: string): Promise<void> {
    return this.#kv.batch([{ type: 'del', key: keyOf(KEYS, id) }])
  }

  /** Where a key stands; undefined when there is none. */
  place(id: string): KeyPlace | undefined {
    const value = this.#kv.getSync(keyOf(KEYS, id))
    return value === undefined ? undefined : placeOf(id, value)
  }

  /** When a key was forgotten, ms since the epoch; undefined when it was not, or long ago. */
  forgottenAt(id: string): number | undefined {
    return this.#kv.getSync(keyOf(FORGOTTEN, id))?.readUIntBE(0, NUMBER_BYTES)
  }

  /** The keys of a subject, in the order of the log. */
  async keysOf(hash: string): Promise<readonly KeyPlace[]> {
    const prefix = Buffer.concat([KEYS, Buffer.from(hash, 'base64url')])
    const found: KeyPlace[] = []
    for await (const page of this.#pages(prefix)) {
      for (const [key, value] of page) found.push(placeOf(keyIdOf(key.subarray(2)), value))
    }
    return found.sort((a, b) => a.offset - b.offset)
  }

  /** When the last key of a subject was forgotten; -1 when none was, or long ago. */
  async lastForgotten(hash: string): Promise<number> {
    const prefix = Buffer.concat([FORGOTTEN, Buffer.from(hash, 'base64url')])
    let last = -1
    for await (const page of this.#pages(prefix)) {
      for (const [, value] of page) last = Math.max(last, value.readUIntBE(0, NUMBER_BYTES))
    }
    return last
  }

  /** All keys, pages in the order of ids. */
  async *all(): AsyncIterable<readonly KeyPlace[]> {
    for await (const page of this.#pages(KEYS)) {
      yield page.map(([key, value]) => placeOf(keyIdOf(key.subarray(2)), value))
    }
  }

  #pages(prefix: Buffer): AsyncIterable<readonly KeyValueEntry[]> {
    return this.#kv.range({ gte: prefix, lt: afterPrefix(prefix) })
  }
}

/** A key stands at an offset. */
export function keyStands({ id, offset, master }: KeyPlace): KeyValueChange {
  const value = Buffer.alloc(NUMBER_BYTES + Buffer.byteLength(master))
  value.writeUIntBE(offset, 0, NUMBER_BYTES)
  value.write(master, NUMBER_BYTES)
  return { type: 'put', key: keyOf(KEYS, id), value }
}

/** A key is gone. */
export function keyGone(id: string, at: number): readonly KeyValueChange[] {
  const value = Buffer.alloc(NUMBER_BYTES)
  value.writeUIntBE(Math.max(0, at), 0, NUMBER_BYTES)
  return [
    { type: 'del', key: keyOf(KEYS, id) },
    { type: 'put', key: keyOf(FORGOTTEN, id), value },
  ]
}

const keyOf = (prefix: Buffer, id: string): Buffer => Buffer.concat([prefix, keyIdBytes(id)])

const placeOf = (id: string, value: Buffer): KeyPlace => ({
  id,
  offset: value.readUIntBE(0, NUMBER_BYTES),
  master: value.toString('utf8', NUMBER_BYTES),
})

const TOUCHED = Buffer.from('Pt')

/** An event that has personal fields. */
export type Touch = {
  /** Of the subject: the event's header `ce_personal`. */
  readonly hash: string
  readonly category: string
  readonly tenant: string
  readonly stream: string
  readonly version: number
}

/** Notes an event with personal fields; made again it changes nothing. */
export function touch({ hash, category, tenant, stream, version }: Touch): KeyValueChange {
  const name = Buffer.from(`${category}\0${tenant}\0${stream}`)
  const place = Buffer.alloc(NUMBER_BYTES)
  place.writeUIntBE(version, 0, NUMBER_BYTES)
  const key = Buffer.concat([TOUCHED, Buffer.from(hash, 'base64url'), name, place])
  return { type: 'put', key, value: Buffer.alloc(0) }
}

/** Streams that have fields of a subject, and how many of their events do. */
export type Touched = {
  readonly streams: readonly {
    readonly tenant: string
    readonly category: string
    readonly id: string
  }[]
  readonly events: number
}

/** What was noted of a subject by {@link touch}. */
export async function touchedBy(kv: KeyValue, hash: string): Promise<Touched> {
  const prefix = Buffer.concat([TOUCHED, Buffer.from(hash, 'base64url')])
  const streams: { tenant: string; category: string; id: string }[] = []
  let last = ''
  let events = 0
  for await (const page of kv.range({ gte: prefix, lt: afterPrefix(prefix) })) {
    for (const [key] of page) {
      events += 1
      const name = key.toString('utf8', TOUCHED.length + HASH_BYTES, key.length - NUMBER_BYTES)
      if (name === last) continue
      last = name
      const [category, tenant, id] = name.split('\0') as [string, string, string]
      streams.push({ tenant, category, id })
    }
  }
  return { streams, events }
}
