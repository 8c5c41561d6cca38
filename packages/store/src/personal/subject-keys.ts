/**
 * The keys of subjects: made on first use, found again by every node, destroyed for ever.
 *
 * The compacted topic `<prefix>keys` is the only place where they are kept, wrapped by a master key
 * of the `KeyProvider`. Every node follows it, remembers where each key stands (`KeyIndex`), and
 * keeps the keys used last in memory. A key that is in memory is answered without waiting.
 *
 * - A key is used to seal only after its record is durable and has been read back. So a key that is
 *   not in the topic, read to its end, never sealed anything that could still be wanted: it was
 *   forgotten. Nothing less says "forgotten": whoever cannot read to the end gets KEY_UNAVAILABLE.
 * - Two nodes that make a key for one subject at the same time make two, each under its own id; both
 *   stay good for what they sealed.
 * - `forget` writes a tombstone for each key of the subject. A key that was forgotten stays so: a
 *   value that comes after its tombstone (a rotation on another node was under way) is buried again
 *   by whoever sees it.
 * - A subject that comes back after it was forgotten gets a new key; what was sealed before stays
 *   unreadable. What a node seals in the moment in which another one forgets is unreadable too.
 */
import type { KeyObject } from 'node:crypto'
import type { Outside } from '@millrace/base'
import { createProducer, type Producer } from '@millrace/clients'
import type { Log, LogRecord } from '@millrace/log'
import type { KeyValue, KeyValueChange } from '../kv/key-value.ts'
import { Lru } from '../lru.ts'
import type { KeyProvider } from '../options.ts'
import { ensureOwnTopic } from '../own-topics/own-topic.ts'
import { recordAt, TopicTail } from '../own-topics/topic-tail.ts'
import { KEY_BYTES, secretOf } from './cipher.ts'
import { hashOfKey, newKeyId, SECRET_HASH, subjectHash } from './key-ids.ts'
import { KeyIndex, type KeyPlace, keyGone, keyStands } from './key-index.ts'
import { decodeKeyRecord, encodeKey, KEY_GONE_MARGIN_MS, keysTopic } from './key-records.ts'
import { MasterKeys, messageOf, unavailable, type WrappedKey } from './master-keys.ts'
import { chain, type Maybe, Once } from './maybe.ts'
import { type Rotation, type RotationOptions, rotateAll } from './rotation.ts'

/** A key of a subject. */
export type SubjectKey = {
  readonly id: string
  readonly bytes: Buffer
  /** The same, ready for use. */
  readonly secret: KeyObject
}

/** What forgetting did to the keys. */
export type Forgotten = {
  readonly hash: string
  /** False: there was no key. */
  readonly known: boolean
  /** See `ForgetReport.keyGoneBy`. */
  readonly keyGoneBy: number
}

/** With what keys are kept. */
export type SubjectKeysOptions = {
  readonly log: Log
  /** Name of the keys topic. */
  readonly topic: string
  readonly kv: KeyValue
  readonly provider: KeyProvider
  readonly outside: Outside
  /** Subjects whose keys are kept in memory: `keys.cache`. */
  readonly cached: number
  /** Within how long the bytes of a forgotten key are gone, where this creates the topic: `keys.gone.ms`. */
  readonly goneMs: number
  /** Longest wait for the keys topic and for the provider: `keys.timeout.ms`. */
  readonly timeoutMs: number
  /** See `tail.wait.ms` and `tail.fetch.bytes`. */
  readonly tailWaitMs: number
  readonly tailFetchBytes: number
}

/** Tries again to bury a key after this time. */
const BURY_AGAIN_MS = 5000
const PRODUCER_BUFFER_BYTES = 4 * 1024 * 1024

/** Keys by subject. See the head of the file. */
export class SubjectKeys {
  readonly #options: SubjectKeysOptions
  readonly #topicId: string
  readonly #lagMaxMs: number
  readonly #index: KeyIndex
  readonly #masters: MasterKeys
  readonly #producer: Producer
  readonly #tail: TopicTail
  /** Keys by subject hash, those of one subject all or none. */
  readonly #cache: Lru<string, readonly SubjectKey[]>
  /** Ids of keys that are known to be gone. */
  readonly #gone: Lru<string, true>
  readonly #loading = new Map<string, Promise<readonly SubjectKey[]>>()
  readonly #creating = new Map<string, Promise<SubjectKey>>()
  readonly #listeners = new Set<(keyId: string) => void>()
  readonly #secret = new Once(() => this.#findSecret())
  #closed = false

  private constructor(
    options: SubjectKeysOptions,
    topic: { readonly id: string; readonly lagMaxMs: number },
    index: KeyIndex,
    from: number,
  ) {
    const { log, outside, cached, timeoutMs } = options
    this.#options = options
    this.#topicId = topic.id
    this.#lagMaxMs = topic.lagMaxMs
    this.#index = index
    this.#masters = new MasterKeys(options.provider, outside, timeoutMs)
    this.#cache = new Lru(cached)
    this.#gone = new Lru(cached)
    this.#producer = createProducer(log, {
      outside,
      bufferBytesMax: PRODUCER_BUFFER_BYTES,
      deliveryTimeoutMs: timeoutMs,
      blockMsMax: timeoutMs,
    })
    this.#tail = new TopicTail({
      log,
      topic: options.topic,
      outside,
      from,
      waitMs: options.tailWaitMs,
      fetchBytes: options.tailFetchBytes,
      apply: (records, next) => this.#apply(records, next),
    })
  }

  /**
   * Creates the topic if need be and reads it to its end. The provider may be down: whoever then
   * wants a key hears of it.
   *
   * @throws StoreError BAD_TOPIC, STORE_FAILED, KEY_UNAVAILABLE
   */
  static async open(options: SubjectKeysOptions): Promise<SubjectKeys> {
    const { log, topic, goneMs, timeoutMs, kv, outside } = options
    const state = await ensureOwnTopic(log, keysTopic(topic, goneMs), outside)
    const { topicId, config } = state
    const index = new KeyIndex(kv)
    const from = index.position(state)
    if (from === 0) await index.clear()
    const lagMaxMs = Number(config.get('max.compaction.lag.ms') ?? Number.MAX_SAFE_INTEGER)
    const keys = new SubjectKeys(options, { id: topicId, lagMaxMs }, index, from)
    keys.#tail.start()
    try {
      await keys.#caughtUp(timeoutMs)
      await Promise.resolve(keys.#secret.get()).catch(() => undefined)
    } catch (error) {
      await keys.close()
      throw error
    }
    return keys
  }

  /** What stands for a subject in the log. @throws StoreError KEY_UNAVAILABLE */
  hash(tenant: string, subject: string): Maybe<string> {
    return chain(this.#secret.get(), secret => subjectHash(secret, tenant, subject))
  }

  /** The key that new fields of a subject are sealed with; made if there is none. */
  sealing(hash: string): Maybe<SubjectKey> {
    const known = this.#cache.get(hash)?.[0]
    if (known !== undefined) return known
    return this.#load(hash).then(keys => keys[0] ?? this.#create(hash))
  }

  /**
   * The key of an id; null when it was forgotten.
   *
   * @throws StoreError KEY_UNAVAILABLE
   */
  opening(id: string): Maybe<SubjectKey | null> {
    const known = this.#cache.get(hashOfKey(id))?.find(key => key.id === id)
    if (known !== undefined) return known
    if (this.isGone(id)) return null
    return this.#find(id)
  }

  /** Whether this node knows that a key is gone. */
  isGone(id: string): boolean {
    if (this.#gone.get(id) !== undefined) return true
    if (this.#index.forgottenAt(id) === undefined) return false
    this.#gone.set(id, true)
    return true
  }

  /** Destroys all keys of a subject. @throws StoreError KEY_UNAVAILABLE */
  async forget(tenant: string, subject: string): Promise<Forgotten> {
    const { topic, outside, timeoutMs } = this.#options
    const hash = await this.hash(tenant, subject)
    await this.#creating.get(hash)?.catch(() => undefined)
    await this.#caughtUp(timeoutMs)
    const places = await this.#index.keysOf(hash)
    if (places.length === 0) {
      const last = await this.#index.lastForgotten(hash)
      return { hash, known: false, keyGoneBy: last < 0 ? outside.clock.now() : this.#goneBy(last) }
    }
    const at = outside.clock.now()
    const records = places.map(({ id }) => ({ key: id, value: null, timestamp: at }))
    const stored = await this.#reach(this.#producer.sendBatch(topic, records))
    const last = Math.max(...stored.map(({ offset }) => offset))
    await this.#reach(this.#tail.applied(last + 1, timeoutMs))
    return { hash, known: true, keyGoneBy: this.#goneBy(at) }
  }

  /** Wraps all keys with the present master key. See `rotateAll`. */
  async rotate(options: RotationOptions = {}): Promise<Rotation> {
    const { timeoutMs } = this.#options
    await this.#caughtUp(timeoutMs)
    return rotateAll(
      {
        index: this.#index,
        masters: this.#masters,
        read: place => this.#wrapped(place),
        write: records => this.#write(records),
      },
      options,
    )
  }

  /** Told of each key that is gone, on every node. Returns how to be told no more. */
  onForgotten(listener: (keyId: string) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Ends; keys in memory are dropped. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#tail.close()
    await this.#producer.close().catch(() => undefined)
  }

  async #apply(records: readonly LogRecord[], next: number): Promise<void> {
    const changes: KeyValueChange[] = []
    const gone = new Set<string>()
    const made: string[] = []
    const revived: string[] = []
    for (const record of records) {
      const said = decodeKeyRecord(record)
      if (said === null) continue
      const { id, key } = said
      if (key === null) {
        gone.add(id)
        changes.push(...keyGone(id, record.timestamp))
      } else if (gone.has(id) || this.#index.forgottenAt(id) !== undefined) {
        revived.push(id)
      } else {
        made.push(id)
        changes.push(keyStands({ id, offset: record.offset, master: key.master }))
      }
    }
    await this.#index.apply(changes, this.#topicId, next)
    for (const id of made) this.#outdate(id)
    for (const id of gone) this.#drop(id)
    if (revived.length > 0) this.#bury(revived)
  }

  /** A key that is in memory stays; it was wrapped anew, and is the same. */
  #outdate(id: string): void {
    const hash = hashOfKey(id)
    const cached = this.#cache.get(hash)
    if (cached !== undefined && !cached.some(key => key.id === id)) this.#cache.delete(hash)
  }

  #drop(id: string): void {
    // The bytes are not overwritten: somebody may hold the key at this moment, and would seal with
    // zeros. They go with the last reference.
    this.#cache.delete(hashOfKey(id))
    this.#gone.set(id, true)
    for (const listener of this.#listeners) listener(id)
  }

  /** Writes the tombstones of keys again, until they are stored. */
  #bury(ids: readonly string[]): void {
    const { topic, outside } = this.#options
    if (this.#closed) return
    const records = ids.map(id => ({ key: id, value: null }))
    this.#producer.sendBatch(topic, records).catch(() => {
      if (!this.#closed) outside.timers.after(BURY_AGAIN_MS, () => this.#bury(ids))
    })
  }

  /** The keys of a subject, unwrapped; one reading at a time. */
  #load(hash: string): Promise<readonly SubjectKey[]> {
    const loading = this.#loading.get(hash)
    if (loading !== undefined) return loading
    const load = this.#read(hash).finally(() => this.#loading.delete(hash))
    this.#loading.set(hash, load)
    return load
  }

  async #read(hash: string): Promise<readonly SubjectKey[]> {
    for (;;) {
      const places = await this.#index.keysOf(hash)
      const keys = await Promise.all(places.map(place => this.#unwrapped(place)))
      // What has changed meanwhile is read again: a key that is gone must not come back by this.
      const moved = places.some(({ id, offset }) => this.#index.place(id)?.offset !== offset)
      if (moved) continue
      const found = keys.filter(key => key !== null)
      if (found.length > 0) this.#cache.set(hash, found)
      return found
    }
  }

  /** Null: it is not in the topic any more. */
  async #unwrapped(place: KeyPlace): Promise<SubjectKey | null> {
    const key = await this.#wrapped(place)
    if (key === null) return null
    return subjectKey(place.id, await this.#masters.unwrap(place.id, key))
  }

  /** Null: the record is not there, and after reading to the end there is no later one. */
  async #wrapped({ id, offset }: KeyPlace): Promise<WrappedKey | null> {
    const { log, topic, timeoutMs } = this.#options
    const record = await this.#reach(recordAt(log, topic, offset))
    const said = record === undefined ? null : decodeKeyRecord(record)
    if (said !== null && said.id === id) return said.key
    // Compaction took it: a later record of this key is there, or was and said that it is gone.
    await this.#caughtUp(timeoutMs)
    if (this.#index.place(id)?.offset === offset) await this.#index.drop(id)
    return null
  }

  async #find(id: string): Promise<SubjectKey | null> {
    const hash = hashOfKey(id)
    const pick = (keys: readonly SubjectKey[]) => keys.find(key => key.id === id)
    const found = this.#index.place(id) && pick(await this.#load(hash))
    if (found !== undefined) return found
    // Another node may have made it a moment ago.
    await this.#caughtUp(this.#options.timeoutMs)
    const late = this.#index.place(id) && pick(await this.#load(hash))
    if (late !== undefined) return late
    this.#gone.set(id, true)
    return null
  }

  /** Makes a key; whoever wants one of the same subject meanwhile gets the same. */
  #create(hash: string): Promise<SubjectKey> {
    const creating = this.#creating.get(hash)
    if (creating !== undefined) return creating
    const create = this.#make(hash).finally(() => this.#creating.delete(hash))
    this.#creating.set(hash, create)
    return create
  }

  async #make(hash: string): Promise<SubjectKey> {
    const made = await this.#newKey(hash)
    const places = await this.#index.keysOf(hash)
    // Read back: another node may have made one too, or it was forgotten already.
    if (places.length !== 1 || this.#index.place(made.id) === undefined) {
      return (await this.#load(hash))[0] ?? this.#make(hash)
    }
    this.#cache.set(hash, [made])
    return made
  }

  /** A new key, stored and read back. */
  async #newKey(hash: string): Promise<SubjectKey> {
    const { random } = this.#options.outside
    const id = newKeyId(hash, random)
    const bytes = random.bytes(KEY_BYTES)
    const key = await this.#masters.wrap(id, bytes, await this.#masters.currentId())
    await this.#write([{ id, key }])
    return subjectKey(id, bytes)
  }

  /** Stores wrapped keys, and waits until they have been read back. */
  async #write(
    keys: readonly { readonly id: string; readonly key: WrappedKey | null }[],
  ): Promise<void> {
    const { topic, timeoutMs } = this.#options
    const records = keys.map(({ id, key }) => ({ key: id, value: key && encodeKey(key) }))
    const stored = await this.#reach(this.#producer.sendBatch(topic, records))
    const last = Math.max(...stored.map(({ offset }) => offset))
    await this.#reach(this.#tail.applied(last + 1, timeoutMs))
  }

  /** The first secret in the log is it, on every node; those that came later were never used. */
  async #findSecret(): Promise<Buffer> {
    await this.#caughtUp(this.#options.timeoutMs)
    const inUse = async () => (await this.#index.keysOf(SECRET_HASH))[0]
    let place = await inUse()
    if (place === undefined) {
      await this.#newKey(SECRET_HASH)
      place = await inUse()
    }
    const secret = place && (await this.#unwrapped(place))
    if (!secret) throw unavailable('the secret of the subject hashes is not in the keys topic')
    return secret.bytes
  }

  #goneBy(at: number): number {
    return Math.min(at + this.#lagMaxMs + KEY_GONE_MARGIN_MS, Number.MAX_SAFE_INTEGER)
  }

  #caughtUp(timeoutMs: number): Promise<void> {
    return this.#reach(this.#tail.caughtUp(timeoutMs))
  }

  /** Whatever the log says, keys cannot be reached. */
  #reach<T>(work: Promise<T>): Promise<T> {
    return work.catch(cause => {
      throw unavailable(`topic ${this.#options.topic} cannot be used: ${messageOf(cause)}`, cause)
    })
  }
}

const subjectKey = (id: string, bytes: Buffer): SubjectKey => ({
  id,
  bytes,
  secret: secretOf(bytes),
})
