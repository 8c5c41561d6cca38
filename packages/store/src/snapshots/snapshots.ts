/**
 * Snapshots of aggregates: states that were folded once, so that a load folds only what came since.
 *
 *     save ─► waiting (bounded, newest wins) ─► `<prefix>snapshots` (compacted) ─► every node's
 *     mirror in its `KeyValue` ─► states in memory, parsed
 *
 * Nothing here is the truth. A snapshot that is missing, damaged, of other code, or of a subject that
 * was forgotten is ignored, and the stream is folded from its events; a snapshot that cannot be
 * stored is dropped. So nothing here fails a load or an append.
 *
 * States in memory are shared by all who load the stream. They went through JSON, as those on disk
 * do, and are frozen: a fold that changes a state in place fails at once, instead of adding its
 * change to everybody else's state.
 *
 * A state that personal fields went into is sealed with the keys of their subjects (`sealed-state.ts`)
 * and leaves the memory of every node when one of them is forgotten.
 */

import type { Outside } from '@millrace/base'
import { createProducer, type Producer } from '@millrace/clients'
import type { Log, LogRecord } from '@millrace/log'
import { afterPrefix, type KeyValue, type KeyValueChange } from '../kv/key-value.ts'
import { Lru } from '../lru.ts'
import { ensureOwnTopic } from '../own-topics/own-topic.ts'
import { positionRead, readPosition } from '../own-topics/read-position.ts'
import { TopicTail } from '../own-topics/topic-tail.ts'
import { chain, type Maybe } from '../personal/maybe.ts'
import { openState, sealState } from '../personal/sealed-state.ts'
import type { SubjectKeys } from '../personal/subject-keys.ts'
import type { StreamVersion } from '../port.ts'
import { jsonProblem } from '../types/json.ts'
import {
  decodeSnapshot,
  encodeSnapshot,
  recordBytesMax,
  type SnapshotBody,
  type SnapshotSource,
  snapshotsTopic,
  streamPrefix,
} from './snapshot-record.ts'

/** A state that was kept. */
export type Snapshot = {
  readonly version: StreamVersion
  /** Frozen. */
  readonly state: unknown
  /** Ids of the keys of subjects whose fields went into it. */
  readonly keys: readonly string[]
}

/** With what snapshots are kept. */
export type SnapshotsOptions = {
  readonly log: Log
  /** Name of the snapshots topic. */
  readonly topic: string
  readonly kv: KeyValue
  /** Undefined: the store was opened without a key provider. */
  readonly keys: Pick<SubjectKeys, 'opening' | 'isGone' | 'onForgotten'> | undefined
  readonly outside: Outside
  /** States in memory: `snapshot.cache`. */
  readonly cached: number
  /** Largest state in bytes: `snapshot.bytes.max`. 0: no snapshots. */
  readonly bytesMax: number
  /** Most bytes that wait: `snapshot.queue.bytes`. */
  readonly queueBytes: number
  /** See `tail.wait.ms` and `tail.fetch.bytes`. */
  readonly tailWaitMs: number
  readonly tailFetchBytes: number
  /** Told once for each category and name whose states cannot be kept. */
  readonly onUnfit?: (category: string, name: string, reason: string) => void
}

type Cached = Snapshot & { readonly hash: string }
type Waiting = { readonly value: string; readonly version: StreamVersion }

const META = Buffer.from('S\0')
const ENTRIES = Buffer.from('S\x01')
/** Snapshots that go to the log at once. */
const ROUND = 64
const PRODUCER_BUFFER_BYTES = 32 * 1024 * 1024
const PRODUCER_TIMEOUT_MS = 30_000
const REMOVE_TIMEOUT_MS = 10_000
const UNFIT_KEPT = 1000

/** Keeps snapshots. See the head of the file. */
export class Snapshots {
  readonly #options: SnapshotsOptions
  readonly #topicId: string
  readonly #producer: Producer
  readonly #tail: TopicTail
  readonly #states: Lru<string, Cached>
  readonly #waiting = new Map<string, Waiting>()
  readonly #unfit = new Set<string>()
  #waitingBytes = 0
  #pumping: Promise<void> | null = null
  #stopForgetting: () => void = () => undefined
  #dropped = 0
  #closed = false

  private constructor(options: SnapshotsOptions, topicId: string, from: number) {
    const { log, topic, outside, cached, bytesMax } = options
    this.#options = options
    this.#topicId = topicId
    this.#states = new Lru(cached)
    this.#producer = createProducer(log, {
      outside,
      bufferBytesMax: PRODUCER_BUFFER_BYTES,
      recordBytesMax: Math.max(1_048_576, recordBytesMax(bytesMax)),
      deliveryTimeoutMs: PRODUCER_TIMEOUT_MS,
      blockMsMax: PRODUCER_TIMEOUT_MS,
    })
    this.#tail = new TopicTail({
      log,
      topic,
      outside,
      from,
      waitMs: options.tailWaitMs,
      fetchBytes: options.tailFetchBytes,
      apply: (records, next) => this.#apply(records, next),
    })
  }

  /** Creates the topic if need be, and begins to follow it. @throws StoreError BAD_TOPIC, STORE_FAILED */
  static async open(options: SnapshotsOptions): Promise<Snapshots> {
    const { log, topic, bytesMax, outside, kv, keys } = options
    const state = await ensureOwnTopic(log, snapshotsTopic(topic, bytesMax), outside)
    // From the beginning also when the log was put back: these states may be ahead of it.
    const from = readPosition(kv, META, state)
    if (from === 0) await kv.clear({ gte: ENTRIES, lt: afterPrefix(ENTRIES) })
    const snapshots = new Snapshots(options, state.topicId, from)
    if (keys !== undefined) {
      snapshots.#stopForgetting = keys.onForgotten(id => snapshots.#forgotten(id))
    }
    snapshots.#tail.start()
    return snapshots
  }

  /** Snapshots that were not kept because too many waited, or the log refused them. */
  get dropped(): number {
    return this.#dropped
  }

  /**
   * The newest snapshot of this code; undefined when there is none. From memory without I/O.
   *
   * @param name of the state among those of the category, without NUL
   * @param hash of the code
   */
  load(source: SnapshotSource, name: string, hash: string): Maybe<Snapshot | undefined> {
    const key = streamPrefix(source) + name
    const cached = this.#states.get(key)
    if (cached !== undefined && cached.hash === hash) return cached
    const value = this.#options.kv.getSync(entryKey(key))
    const body = value && decodeSnapshot(value, hash)
    if (body === undefined) return undefined
    if (!('sealed' in body)) {
      return this.#keep(key, { version: body.version, hash, state: body.state, keys: [] })
    }
    return this.#unseal(key, body)
  }

  /**
   * Keeps a state, if it can be; returns at once and never fails.
   *
   * @param keys ids of the keys that opened fields which went into the state
   */
  save(
    source: SnapshotSource,
    name: string,
    hash: string,
    snapshot: { readonly version: StreamVersion; readonly state: unknown },
    keys: ReadonlySet<string>,
  ): void {
    const { version, state } = snapshot
    const key = streamPrefix(source) + name
    const known = this.#states.get(key)
    if (known !== undefined && known.hash === hash && known.version >= version) return
    const text = this.#textOf(source, name, state)
    if (text === undefined) return
    const copy: Cached = { version, hash, state: JSON.parse(text), keys: [...keys] }
    if (keys.size > 0) {
      this.#seal(key, copy, text)
    } else {
      this.#keep(key, copy)
      this.#enqueue(key, encodeSnapshot({ version, hash, state: copy.state }), version)
    }
  }

  /**
   * Removes all snapshots of some streams, durably.
   *
   * @returns how many there were
   * @throws LogError when they could not be removed
   */
  async remove(sources: Iterable<SnapshotSource>): Promise<number> {
    const { topic, kv } = this.#options
    await this.#tail.caughtUp(REMOVE_TIMEOUT_MS)
    let removed = 0
    let round: string[] = []
    const send = async (): Promise<void> => {
      removed += round.length
      await this.#producer.sendBatch(
        topic,
        round.map(key => ({ key, value: null })),
      )
      round = []
    }
    for (const source of sources) {
      const prefix = streamPrefix(source)
      const names = new Set<string>()
      const gte = entryKey(prefix)
      for await (const page of kv.range({ gte, lt: afterPrefix(gte) })) {
        for (const [key] of page) names.add(key.toString('utf8', ENTRIES.length))
      }
      for (const key of this.#waiting.keys()) if (key.startsWith(prefix)) names.add(key)
      for (const key of names) {
        this.#states.delete(key)
        this.#take(key)
        round.push(key)
      }
      if (round.length >= ROUND) await send()
    }
    if (round.length > 0) await send()
    return removed
  }

  /** Resolves when what was saved before is stored or dropped. */
  async flush(): Promise<void> {
    while (this.#pumping !== null) await this.#pumping
  }

  /** Stores what waits, and ends. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#stopForgetting()
    await this.flush()
    await this.#tail.close()
    await this.#producer.close().catch(() => undefined)
  }

  /** The state as JSON; undefined when it cannot be kept. */
  #textOf(source: SnapshotSource, name: string, state: unknown): string | undefined {
    const { bytesMax } = this.#options
    if (bytesMax === 0 || this.#closed) return undefined
    let problem = jsonProblem(state, 'state')
    if (problem === null) {
      const text = JSON.stringify(state)
      const bytes = Buffer.byteLength(text)
      if (bytes <= bytesMax) return text
      problem = `${bytes} bytes, snapshot.bytes.max is ${bytesMax}`
    }
    this.#tellUnfit(source, name, problem)
    return undefined
  }

  #seal(key: string, copy: Cached, text: string): void {
    const { outside, keys: subjects } = this.#options
    if (subjects === undefined) return
    const { version, hash, keys } = copy
    const sealed = sealState(subjects, keys, text, belongsOf(key, version, hash), outside.random)
    const store = (bytes: Buffer | undefined): void => {
      if (bytes === undefined || !this.#alive(keys)) return
      this.#keep(key, copy)
      this.#enqueue(key, encodeSnapshot({ version, hash, keys, sealed: bytes }), version)
    }
    if (sealed instanceof Promise) sealed.then(store, () => this.#drop())
    else store(sealed)
  }

  #unseal(
    key: string,
    body: Extract<SnapshotBody, { readonly sealed: Buffer }>,
  ): Maybe<Snapshot | undefined> {
    const { keys: subjects } = this.#options
    if (subjects === undefined) return undefined
    const { version, hash, keys, sealed } = body
    let opened: Maybe<string | undefined>
    try {
      opened = openState(subjects, keys, sealed, belongsOf(key, version, hash))
    } catch {
      return undefined // the events will say what is wrong with the keys
    }
    const finish = (text: string | undefined): Snapshot | undefined => {
      // Forgotten while it was opened: it must neither be used nor come into memory.
      if (text === undefined || !this.#alive(keys)) return undefined
      return this.#keep(key, { version, hash, state: JSON.parse(text), keys })
    }
    return opened instanceof Promise ? opened.then(finish, () => undefined) : chain(opened, finish)
  }

  /** Whether none of the keys was forgotten while a state was on its way. */
  #alive(keyIds: readonly string[]): boolean {
    const { keys } = this.#options
    return keys !== undefined && !keyIds.some(id => keys.isGone(id))
  }

  #keep(key: string, snapshot: Cached): Cached {
    freeze(snapshot.state)
    this.#states.set(key, snapshot)
    return snapshot
  }

  #enqueue(key: string, value: string, version: StreamVersion): void {
    const waiting = this.#waiting.get(key)
    if (waiting !== undefined && waiting.version > version) return
    this.#take(key)
    const bytes = value.length
    if (this.#waitingBytes + bytes > this.#options.queueBytes) {
      this.#drop()
      return
    }
    this.#waiting.set(key, { value, version })
    this.#waitingBytes += bytes
    this.#pumping ??= this.#pump()
  }

  #take(key: string): Waiting | undefined {
    const waiting = this.#waiting.get(key)
    if (waiting === undefined) return undefined
    this.#waiting.delete(key)
    this.#waitingBytes -= waiting.value.length
    return waiting
  }

  async #pump(): Promise<void> {
    const { topic } = this.#options
    while (this.#waiting.size > 0) {
      const keys = [...this.#waiting.keys()].slice(0, ROUND)
      const records = keys.map(key => {
        const { value, version } = this.#take(key) as Waiting
        return { key, value, headers: [{ key: 'version', value: String(version) }] }
      })
      await this.#producer.sendBatch(topic, records).catch(() => this.#drop(records.length))
    }
    // In the same step as the last look at what waits: who comes now begins anew.
    this.#pumping = null
  }

  async #apply(records: readonly LogRecord[], next: number): Promise<void> {
    const changes = new Map<string, KeyValueChange>()
    for (const { key: name, value, headers } of records) {
      if (name === null) continue
      const key = name.toString()
      const at = entryKey(key)
      changes.set(key, value === null ? { type: 'del', key: at } : { type: 'put', key: at, value })
      const version = Number(headers.find(header => header.key === 'version')?.value?.toString())
      const known = this.#states.get(key)
      if (value === null || (known !== undefined && !(version <= known.version))) {
        this.#states.delete(key)
      }
    }
    const position = positionRead(META, this.#topicId, next)
    await this.#options.kv.batch([...changes.values(), position])
  }

  #forgotten(keyId: string): void {
    this.#states.deleteWhere(({ keys }) => keys.includes(keyId))
  }

  #drop(count = 1): void {
    this.#dropped += count
  }

  #tellUnfit({ category }: SnapshotSource, name: string, reason: string): void {
    this.#drop()
    const told = `${category}\0${name}`
    if (this.#unfit.has(told) || this.#unfit.size >= UNFIT_KEPT) return
    this.#unfit.add(told)
    this.#options.onUnfit?.(category, name, reason)
  }
}

const entryKey = (key: string): Buffer => Buffer.concat([ENTRIES, Buffer.from(key)])

const belongsOf = (key: string, version: StreamVersion, hash: string): string =>
  JSON.stringify(['millrace snapshot v1', key, version, hash])

/** What came out of JSON has no rings and is not deep. */
function freeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return
  Object.freeze(value)
  for (const part of Object.values(value)) freeze(part)
}
