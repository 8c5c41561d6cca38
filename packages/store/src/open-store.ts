/**
 * Opens an event store on a log: checks the categories' topics, opens the index, folds what is not
 * in it yet, and begins to follow.
 */
import {
  ChangeSignal,
  type Outside,
  resolveSettings,
  type SettingValues,
  sleep,
  systemOutside,
  Turns,
} from '@millrace/base'
import { AuditLog } from './audit/audit-log.ts'
import { audited } from './audit/audited-store.ts'
import { failureOfLog, StoreError } from './errors.ts'
import { afterPrefix, type KeyValue } from './kv/key-value.ts'
import { openLevel } from './kv/level.ts'
import { memoryKeyValue } from './kv/memory.ts'
import { Appender } from './on-log/appender.ts'
import { Bucket, type BucketListener } from './on-log/bucket.ts'
import { type Category, openCategories } from './on-log/category.ts'
import { conflictOf } from './on-log/conflict.ts'
import { ControlWriter } from './on-log/control-writer.ts'
import { Flusher } from './on-log/flusher.ts'
import { BucketIndex } from './on-log/index/bucket-index.ts'
import { KIND } from './on-log/index/keys.ts'
import { LogEventStore } from './on-log/log-event-store.ts'
import { EventOpener } from './on-log/opener.ts'
import { matching } from './on-log/search.ts'
import { Settler } from './on-log/settler.ts'
import type { ReaderParts } from './on-log/stream-reader.ts'
import { Tail } from './on-log/tail.ts'
import { TopicWatch } from './on-log/topic-watch.ts'
import { checkProvider, type OpenPersonal, openPersonal } from './open-personal.ts'
import type { StoreEvent, StoreOptions } from './options.ts'
import { OWN_PREFIX } from './own-topics/own-topic.ts'
import { touch } from './personal/key-index.ts'
import type { EventStore } from './port.ts'
import { idOf, tenantOf } from './rule/facts.ts'
import { HybridClock } from './rule/hybrid-clock.ts'
import { STORE_SETTINGS } from './settings.ts'

/** Between reads of a log that brought nothing. */
const READ_AGAIN_MS = 10

type Values = SettingValues<typeof STORE_SETTINGS>

/**
 * Opens a store. Close it before the log.
 *
 * @throws StoreError BAD_ARGUMENT, BAD_TOPIC, BUCKETS_DIFFER, BOUNDARY_DIFFERS, INDEX_DAMAGED,
 *   RULE_TOO_NEW; RangeError for a setting out of its bounds
 */
export function openStore(options: StoreOptions): Promise<EventStore> {
  const { folder } = options
  return openStoreOver(options, async cacheBytes =>
    folder === null ? memoryKeyValue() : openLevel(folder, cacheBytes),
  )
}

/** The same over an index that is opened by the caller: a simulation keeps one over deaths. */
export async function openStoreOver(
  options: StoreOptions,
  openIndex: (cacheBytes: number) => Promise<KeyValue>,
): Promise<EventStore> {
  const values: Values = resolveSettings(STORE_SETTINGS, options.settings)
  checkProvider(options)
  const categories = await openCategories(
    options.log,
    options.categories,
    values['category.buckets'],
  )
  let store: EventStore
  try {
    store = await openOver(options, values, categories, openIndex)
  } catch (error) {
    if (!(error instanceof StoreError && error.code === 'INDEX_DAMAGED')) throw error
    // Found while opening: the index throws away what it holds, and is built anew.
    store = await openOver(options, values, categories, openIndex)
  }
  if (options.audit !== true) return store
  try {
    return audited(store, await openAudit(options, values))
  } catch (error) {
    await store.close()
    throw error
  }
}

async function openOver(
  options: StoreOptions,
  values: Values,
  categories: readonly Category[],
  openIndex: (cacheBytes: number) => Promise<KeyValue>,
): Promise<EventStore> {
  const kv = await openIndex(values['index.cache.bytes'])
  if (kv.discarded !== undefined) {
    for (const { name: category } of categories) {
      options.onEvent?.({ kind: 'index-discarded', category, reason: kv.discarded })
    }
  }
  const opening = new StoreOpening(options, values, kv, categories)
  try {
    return await opening.open()
  } catch (error) {
    await opening.abandon()
    await kv.close()
    throw error
  }
}

function openAudit(options: StoreOptions, values: Values): Promise<AuditLog> {
  return AuditLog.open({
    log: options.log,
    topic: `${options.prefix ?? OWN_PREFIX}audit`,
    outside: options.outside ?? systemOutside(),
    queueMax: values['audit.queue.max'],
    timeoutMs: values['audit.timeout.ms'],
  })
}

/** Puts the parts together. */
class StoreOpening {
  readonly #options: StoreOptions
  readonly #values: Values
  readonly #kv: KeyValue
  readonly #categories: readonly Category[]
  readonly #outside: Outside
  readonly #clock: HybridClock
  readonly #closing = new AbortController()
  readonly #advanced = new ChangeSignal()
  readonly #buckets = new Map<string, readonly Bucket[]>()
  readonly #all: Bucket[] = []
  #appender: Appender | undefined
  #personal: OpenPersonal | undefined

  constructor(
    options: StoreOptions,
    values: Values,
    kv: KeyValue,
    categories: readonly Category[],
  ) {
    this.#options = options
    this.#values = values
    this.#kv = kv
    this.#categories = categories
    this.#outside = options.outside ?? systemOutside()
    this.#clock = new HybridClock(this.#outside.clock, values['clock.ahead.max.ms'], aheadMs =>
      this.#tell({ kind: 'clock-behind', aheadMs }),
    )
  }

  async open(): Promise<EventStore> {
    const { log } = this.#options
    const values = this.#values
    await this.#openBuckets()
    const flusher = new Flusher(
      this.#all,
      { bytes: values['index.flush.bytes'], ms: values['index.flush.ms'] },
      this.#outside,
      error => this.#failAll(error),
    )
    const tail = new Tail(
      log,
      this.#all,
      {
        waitMs: values['tail.wait.ms'],
        pauseMs: values['tail.pause.ms'],
        fetchBytes: values['tail.fetch.bytes'],
        patienceMs: values['log.patience.ms'],
      },
      this.#outside,
      flusher,
      () => this.#advanced.changed(),
    )
    const personal = await openPersonal(this.#options, this.#kv, values, this.#outside)
    this.#personal = personal
    const opener = new EventOpener(personal.data)
    const reader = { log: log.id, kv: this.#kv, opener, states: personal.states }
    const controls = new ControlWriter(
      log,
      {
        timeoutMs: values['append.timeout.ms'],
        retryMaxMs: values['settle.retry.max.ms'],
        patienceMs: values['log.patience.ms'],
      },
      this.#outside,
      this.#closing.signal,
      (bucket, offset) => tail.catchUp(bucket, offset),
    )
    this.#appender = this.#openAppender(flusher, tail, controls, reader)
    await tail.catchUpAll()
    await this.#identify(controls, this.#appender)
    tail.start()
    const settler = new Settler(
      this.#all,
      values['settle.after.ms'],
      this.#outside,
      controls,
      (bucket, stream, appendId) => this.#settled(bucket, stream, appendId),
    )
    settler.start()
    const watch = new TopicWatch(
      log,
      this.#all,
      values['topic.check.ms'],
      this.#outside,
      this.#closing.signal,
      (bucket, error) => this.#failOne(bucket, error),
    )
    watch.start()
    return new LogEventStore({
      log,
      buckets: this.#buckets,
      reader,
      all: {
        log,
        opener,
        advanced: this.#advanced,
        closing: this.#closing.signal,
        pageBytes: values['read.page.bytes'],
        turns: new Turns(this.#outside, values['read.turn.ms']),
        pause: () => sleep(this.#outside.timers, READ_AGAIN_MS, this.#closing.signal),
      },
      appender: this.#appender,
      controls,
      tail,
      flusher,
      personal: personal.data,
      eventsMax: values['append.events.max'],
      timeoutMs: values['append.timeout.ms'],
      pageEvents: values['read.page.events'],
      monotonic: () => this.#outside.clock.monotonic(),
      forget: personal.forget,
      close: async () => {
        settler.stop()
        await this.#appender?.close()
        this.#closing.abort()
        await tail.close()
        await watch.close()
        this.#advanced.changed()
        await flusher.close()
        await personal.close()
        await this.#kv.close()
      },
    })
  }

  /** Ends what had begun when opening failed. */
  async abandon(): Promise<void> {
    this.#closing.abort()
    await this.#personal?.close()
  }

  /** Makes every bucket say what its category is. What says something else fails the opening. */
  async #identify(controls: ControlWriter, appender: Appender): Promise<void> {
    for (const buckets of this.#buckets.values()) {
      const nameless = buckets.filter(({ fold }) => fold.identity === null)
      if (nameless.length === 0) continue
      const id = appender.newId()
      await Promise.all(nameless.map(bucket => controls.identify(bucket, id)))
    }
  }

  #openAppender(
    flusher: Flusher,
    tail: Tail,
    controls: ControlWriter,
    reader: ReaderParts,
  ): Appender {
    const values = this.#values
    return new Appender(
      this.#options.log,
      {
        queueBytes: values['append.queue.bytes'],
        rounds: values['append.rounds.max'],
        batchBytes: values['append.batch.bytes'],
        attempts: values['append.attempts.max'],
        timeoutMs: values['append.timeout.ms'],
      },
      this.#outside,
      flusher,
      controls,
      {
        catchUp: (bucket, offset) => tail.catchUp(bucket, offset),
        catchUpToEnd: buckets => tail.catchUpToEnd(buckets),
        anyMatch: async ({ bucket, tenant, condition }, from, before) => {
          if (bucket.index.flushed < before) await flusher.flush()
          const queries = condition?.failIfMatch ?? []
          const found = matching(this.#kv, reader.opener, bucket, tenant, queries, from, before, 1)
          return (await found).length > 0
        },
        conflict: (request, judgement) =>
          conflictOf(reader, request, judgement, values['conflict.events.max'], () =>
            flusher.flush(),
          ),
        folded: bucket => tail.folded(bucket),
        stamp: () => this.#clock.next(),
        settled: (bucket, stream, appendId) => this.#settled(bucket, stream, appendId),
      },
    )
  }

  /** Opens every bucket's index, without what does not fit the topic as it is. */
  async #openBuckets(): Promise<void> {
    const listener: BucketListener = {
      decided: (bucket, verdict) => this.#appender?.decided(bucket, verdict),
      foreign: (bucket, count) =>
        this.#tell({
          kind: 'foreign-records',
          category: bucket.category.name,
          bucket: bucket.number,
          count,
        }),
      misplaced: (bucket, count) =>
        this.#tell({
          kind: 'misplaced-records',
          category: bucket.category.name,
          bucket: bucket.number,
          count,
        }),
      stamped: stamp => this.#clock.met(stamp),
      personal: (bucket, facts, hash) =>
        bucket.index.addChange(
          touch({
            hash,
            category: bucket.category.name,
            tenant: tenantOf(facts.stream),
            stream: idOf(facts.stream),
            version: facts.version,
          }),
        ),
    }
    const numbers = await categoryNumbers(this.#kv, this.#categories)
    const limits = {
      pageBytes: this.#values['index.page.bytes'],
      streamsCached: Math.ceil(
        this.#values['streams.cache'] /
          this.#categories.reduce((sum, { bucketCount }) => sum + bucketCount, 1),
      ),
    }
    for (const category of this.#categories) {
      const ends = await endOffsets(this.#options.log, category)
      const buckets: Bucket[] = []
      for (let number = 0; number < category.bucketCount; number++) {
        const place = { category: numbers.get(category.name) as number, bucket: number }
        const index = new BucketIndex(this.#kv, place, limits)
        const reason = misfit(index, category, ends[number] as number)
        if (reason !== null) {
          await index.discard()
          this.#tell({ kind: 'index-discarded', category: category.name, reason })
        }
        const bucket = new Bucket(category, number, index, listener)
        bucket.endOffset = ends[number] as number
        buckets.push(bucket)
      }
      this.#buckets.set(category.name, buckets)
      this.#all.push(...buckets)
    }
  }

  #settled(bucket: Bucket, stream: string, appendId: string): void {
    this.#tell({
      kind: 'append-settled',
      category: bucket.category.name,
      bucket: bucket.number,
      stream: idOf(stream),
      appendId,
    })
  }

  #failAll(cause: unknown): void {
    const error =
      cause instanceof StoreError ? cause : new StoreError('INDEX_DAMAGED', undefined, { cause })
    for (const bucket of this.#all) this.#failOne(bucket, error)
  }

  #failOne(bucket: Bucket, error: StoreError): void {
    bucket.fail(error)
    this.#tell({
      kind: 'bucket-failed',
      category: bucket.category.name,
      bucket: bucket.number,
      error,
    })
    this.#advanced.changed()
  }

  #tell(event: StoreEvent): void {
    this.#options.onEvent?.(event)
  }
}

/** Why an index does not fit its partition; null: it does, or there is none. */
function misfit(index: BucketIndex, category: Category, end: number): string | null {
  let kept: ReturnType<BucketIndex['load']>
  try {
    kept = index.load()
  } catch (error) {
    if (error instanceof StoreError) throw error
    return 'it cannot be read'
  }
  if (kept === null) return null
  const place = `bucket ${index.place.bucket}`
  if (kept.topicId !== category.topicId) return `${place}: the topic was made anew`
  if (kept.fold.position > end) {
    return `${place}: the log ends at ${end}, the index had read to ${kept.fold.position}`
  }
  return null
}

async function endOffsets(
  log: StoreOptions['log'],
  category: Category,
): Promise<readonly number[]> {
  const partitions = Array.from({ length: category.bucketCount }, (_, partition) => partition)
  const answers = await log.listOffsets(
    partitions.map(partition => ({ topic: category.topic, partition, place: 'latest' as const })),
  )
  return answers.map(({ error, offset }) => {
    if (error === undefined) return offset
    throw failureOfLog(`category ${category.name}`, error)
  })
}

/** The numbers of categories in the index's keys; a new category gets the next one. */
async function categoryNumbers(
  kv: KeyValue,
  categories: readonly Category[],
): Promise<ReadonlyMap<string, number>> {
  const numbers = new Map<string, number>()
  const prefix = Buffer.from([KIND.category])
  let next = 1
  for await (const page of kv.range({ gte: prefix, lt: afterPrefix(prefix) })) {
    for (const [key, value] of page) {
      const number = value.readUInt16BE(0)
      numbers.set(key.toString('utf8', 1), number)
      next = Math.max(next, number + 1)
    }
  }
  for (const { name } of categories) {
    if (numbers.has(name)) continue
    const value = Buffer.alloc(2)
    value.writeUInt16BE(next)
    await kv.batch([{ type: 'put', key: Buffer.concat([prefix, Buffer.from(name)]), value }])
    numbers.set(name, next)
    next += 1
  }
  return numbers
}
