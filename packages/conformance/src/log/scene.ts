/**
 * What a case works with: its log, names that are its own, and short words for appending, reading
 * and asserting. It remembers the topics and groups it made and takes them away at the end.
 */
import assert from 'node:assert/strict'
import type {
  AppendOptions,
  AppendResult,
  FetchRequest,
  FetchResult,
  Log,
  LogError,
  LogErrorCode,
  LogRecord,
  NewRecord,
  Offset,
  Timestamp,
} from '@millrace/log'
import { decodeBatches, encodeBatch, type NewBatch } from '@millrace/log'
import { failureOf, SceneFrame } from '../frame/frame.ts'
import type { LogFactory, LogFeatures } from './factory.ts'

/** How long a fetch that must bring records waits. */
const FETCH_WAIT_MS = 5_000
const FETCH_BYTES = 1024 * 1024
/** Rounds of fetching that a read of a whole partition takes at most. */
const READ_ROUNDS_MAX = 1_000
/** Records lie a minute back, well within what a topic's retention and time window allow. */
const TIME_BACK_MS = 60_000

/** Records as cases write them: text stands for a record with that value. */
export type CaseRecords = readonly (string | NewRecord)[]

/** The surroundings of one case. */
export class LogScene extends SceneFrame {
  readonly features: LogFeatures
  /** A minute ago: the timestamp of records that name none. */
  readonly start: Timestamp
  #log: Log
  readonly #reopen: LogFactory['reopen']
  readonly #topics: string[] = []
  readonly #groups: string[] = []

  constructor(log: Log, factory: Omit<LogFactory, 'open'>) {
    super(factory)
    this.#log = log
    this.#reopen = factory.reopen
    this.features = factory.features
    this.start = this.now() - TIME_BACK_MS
  }

  get log(): Log {
    return this.#log
  }

  /** A topic name that nobody else has; taken away at the end if a case creates it. */
  topicName(): string {
    const name = `conformance-${this.word()}`
    this.#topics.push(name)
    return name
  }

  /** A group id that nobody else has; taken away at the end. */
  groupId(): string {
    const id = `conformance-group-${this.word()}`
    this.#groups.push(id)
    return id
  }

  /** Creates a topic and waits until it answers. */
  async topic(partitions = 1, configs: Readonly<Record<string, string>> = {}): Promise<string> {
    const name = this.topicName()
    const outcome = only(await this.log.createTopics([{ name, partitions, configs }]))
    noError(outcome.error)
    await this.settled(name, partitions)
    return name
  }

  /** Waits until every partition of a topic can be asked for its end. */
  async settled(topic: string, partitions: number): Promise<void> {
    const queries = Array.from({ length: partitions }, (_, partition) => ({
      topic,
      partition,
      place: 'latest' as const,
    }))
    await this.eventually(async () => {
      for (const answer of await this.log.listOffsets(queries)) noError(answer.error)
    })
  }

  /** A batch of records, a minute old where they name no time. */
  batch(records: CaseRecords, options: Partial<NewBatch> = {}): Buffer {
    return encodeBatch({
      timestamp: this.start,
      ...options,
      records: records.map(record => (typeof record === 'string' ? { value: record } : record)),
    })
  }

  /** Appends one batch as it is and gives the outcome, whatever it is. */
  async appendRaw(
    topic: string,
    partition: number,
    batch: Buffer,
    options?: AppendOptions,
  ): Promise<AppendResult> {
    return only(await this.log.append([{ topic, partition, batch }], options))
  }

  /** Appends records that must be taken; gives the offset of the first. */
  async append(
    topic: string,
    records: CaseRecords,
    options: Partial<NewBatch> & { readonly partition?: number } = {},
  ): Promise<Offset> {
    const result = await this.appendRaw(topic, options.partition ?? 0, this.batch(records, options))
    noError(result.error)
    return result.baseOffset
  }

  /** One fetch of one partition. Waits for one byte unless told otherwise. */
  async fetch(
    topic: string,
    offset: Offset,
    options: Partial<FetchRequest> & {
      readonly partition?: number
      readonly partitionMaxBytes?: number
      readonly leaderEpoch?: number
    } = {},
  ): Promise<FetchResult> {
    const { partition = 0, partitionMaxBytes = FETCH_BYTES, leaderEpoch, ...request } = options
    return only(
      await this.log.fetch({
        positions: [
          {
            topic,
            partition,
            offset,
            maxBytes: partitionMaxBytes,
            ...(leaderEpoch === undefined ? {} : { leaderEpoch }),
          },
        ],
        minBytes: 1,
        maxBytes: FETCH_BYTES,
        maxWaitMs: FETCH_WAIT_MS,
        isolation: 'read_uncommitted',
        ...request,
      }),
    )
  }

  /** All records from an offset up to the high watermark. */
  async read(topic: string, partition = 0, from: Offset = 0): Promise<LogRecord[]> {
    const records: LogRecord[] = []
    let next = from
    for (let round = 0; round < READ_ROUNDS_MAX; round++) {
      const result = await this.fetch(topic, next, { partition, maxWaitMs: 0 })
      noError(result.error)
      for (const batch of decodeBatches(result.records)) {
        for (const record of batch.records()) {
          if (record.offset >= from) records.push(record)
        }
        next = batch.lastOffset + 1
      }
      if (next >= result.highWatermark) return records
    }
    return assert.fail(`the end of ${topic} was not reached in ${READ_ROUNDS_MAX} fetches`)
  }

  /** All values of a partition as text. */
  async values(topic: string, partition = 0, from: Offset = 0): Promise<(string | null)[]> {
    const records = await this.read(topic, partition, from)
    return records.map(record => record.value?.toString() ?? null)
  }

  /** Closes the log and opens the same data. */
  async reopen(): Promise<Log> {
    assert.ok(this.#reopen !== undefined, 'the case needs a factory that can reopen')
    this.#log = await this.#reopen(this.#log)
    return this.#log
  }

  /** Takes away what the case made, as far as the log still answers, and closes it. */
  override async end(): Promise<void> {
    try {
      if (this.#topics.length > 0) await this.#log.deleteTopics(this.#topics)
      if (this.#groups.length > 0) await this.#log.groups.delete(this.#groups)
    } catch {
      // Cleaning must not hide what the case found; unique names keep leftovers harmless.
    }
    await this.#log.close()
  }
}

/** The only element of an answer to a question about one thing. */
export function only<T>(answers: readonly T[]): T {
  const [first] = answers
  assert.equal(answers.length, 1, 'one answer for one question')
  assert.ok(first !== undefined)
  return first
}

/** Fails with the error itself if there is one. */
export function noError(error: LogError | undefined): void {
  if (error !== undefined) throw error
}

/** Asserts that an outcome failed with one of some codes. */
export function failed(
  outcome: { readonly error?: LogError },
  ...codes: readonly LogErrorCode[]
): void {
  assert.ok(outcome.error !== undefined, `it succeeded and not failed with ${codes.join(' or ')}`)
  assert.ok(
    codes.includes(outcome.error.code),
    `it failed with ${outcome.error.code} (${outcome.error.message}) and not ${codes.join(' or ')}`,
  )
}

/** Asserts that a call as a whole fails with one of some codes. */
export async function throws(
  call: () => Promise<unknown>,
  ...codes: readonly LogErrorCode[]
): Promise<void> {
  failed({ error: await failureOf<LogError>(call, 'LogError', codes.join(' or ')) }, ...codes)
}
