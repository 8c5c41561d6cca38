/**
 * Writes a category anew: what counts stays, at its offset, and the bytes of all else go. It is for
 * a log that nobody else writes to meanwhile.
 *
 *   1  copy the topic into `<topic>.rewrite`, fold the copy, and hold both against each other
 *   2  make the empty topic `<topic>.rewritten`: from now on the copy is the truth
 *   3  delete the topic, make it again under its name, copy everything back, compare again
 *   4  delete the copy, then `<topic>.rewritten`
 *
 * A call that finds an unfinished copy without the mark of step 2 throws it away and begins anew; one
 * that finds the mark goes on with step 3. While the mark is there no store opens the category.
 * The category's identity says how many buckets it has. Partitions beyond them, which somebody added to
 * the topic, hold nothing that counts, and are left behind; so are records in the wrong bucket.
 * With another number of buckets or boundary offsets change: it is refused while a consumer group has a position
 * in the category, and read models and their checkpoints must be made anew. Else offsets are kept, and committed offsets are put back, so that projections, sagas, subscriptions and
 * foreign consumers go on where they were; indexes are made anew, because the topic's id is another.
 */
import type { Log, TopicDescription, TopicOutcome } from '@millrace/log'
import { NO_GENERATION } from '@millrace/log'
import { isNamed, type ResolvedBoundary, resolveBoundary } from '../boundary.ts'
import { StoreError } from '../errors.ts'
import { REWRITTEN_SUFFIX } from '../on-log/category.ts'
import type { StreamFold } from '../rule/fold-state.ts'
import {
  copyBucket,
  copyVerbatim,
  type DropOptions,
  digestOf,
  type Survey,
  survey,
} from './bucket-copy.ts'
import { contentOf, redistribute, type Spreading } from './redistribute.ts'

const COPY_SUFFIX = '.rewrite'

/** What a rewrite is told. */
export type RewriteOptions = {
  readonly log: Log
  readonly category: string
  /** Default: the category's name. */
  readonly topic?: string
  readonly drop?: Partial<DropOptions>
  /** Puts the streams into another number of buckets. Default: as many as there are. */
  readonly spread?: Spreading
  /** Counts only. */
  readonly dryRun?: boolean
  /** Told after each bucket of each step. */
  readonly onProgress?: (progress: RewriteProgress) => void
}

/** How far a rewrite is. */
export type RewriteProgress = {
  readonly step: 'counting' | 'copying' | 'putting back'
  readonly done: number
  readonly buckets: number
}

/** What a rewrite did, or would do. */
export type RewriteReport = {
  readonly category: string
  readonly buckets: number
  /** An earlier call had made the copy; what it left out was counted then. */
  readonly resumed: boolean
  readonly streams: number
  readonly events: number
  readonly controls: number
  /** Records that are no events: lost races, cancelled, written by others. They go. */
  readonly others: number
  /** Events whose data goes; each leaves an empty record, which holds its version. */
  readonly dropped: number
}

/**
 * Rewrites a category.
 *
 * @throws StoreError UNKNOWN_CATEGORY without its topic, STORE_FAILED when the copy is not the same,
 *   which somebody who writes meanwhile brings about: the category is as it was then
 */
export async function rewriteCategory(options: RewriteOptions): Promise<RewriteReport> {
  const { log, category, topic = category } = options
  const there = new Set(
    (await log.describeTopics(Object.values(namesOf(topic)))).map(({ name }) => name),
  )
  const names = namesOf(topic)
  const rewriting = new Rewriting(options, names)
  if (options.dryRun === true) return rewriting.count()
  if (there.has(names.mark)) return rewriting.resume(there)
  return rewriting.begin(there)
}

type Names = { readonly topic: string; readonly copy: string; readonly mark: string }

const namesOf = (topic: string): Names => ({
  topic,
  copy: topic + COPY_SUFFIX,
  mark: topic + REWRITTEN_SUFFIX,
})

class Rewriting {
  readonly #log: Log
  readonly #category: string
  readonly #names: Names
  readonly #drop: DropOptions
  readonly #spread: { readonly count: number; readonly boundary: ResolvedBoundary } | undefined
  readonly #onProgress: (progress: RewriteProgress) => void

  constructor({ log, category, drop, spread, onProgress }: RewriteOptions, names: Names) {
    this.#log = log
    this.#category = category
    this.#names = names
    this.#drop = { truncated: drop?.truncated === true, tombstoned: drop?.tombstoned === true }
    this.#spread = spread && { count: spread.count, boundary: resolveBoundary(spread.boundary) }
    this.#onProgress = onProgress ?? (() => {})
  }

  async count(): Promise<RewriteReport> {
    const { topic } = this.#names
    const { count } = await this.#identity(topic)
    let report = this.#empty(count, false)
    for (let bucket = 0; bucket < count; bucket++) {
      report = this.#counted(report, await this.#survey(bucket))
      this.#onProgress({ step: 'counting', done: bucket + 1, buckets: count })
    }
    return report
  }

  async begin(there: ReadonlySet<string>): Promise<RewriteReport> {
    const { topic, copy, mark } = this.#names
    const { count, identity } = await this.#identity(topic)
    if (there.has(copy)) await this.#delete(copy)
    const spread = this.#spread
    const isMoved =
      spread !== undefined &&
      (spread.count !== count || (identity !== null && !isNamed(identity, spread.boundary)))
    if (isMoved) return this.#beginSpread(count, spread)
    await this.#createLike(topic, copy, count)
    let report = this.#empty(count, false)
    for (let bucket = 0; bucket < count; bucket++) {
      const found = await this.#survey(bucket)
      await this.#copy(bucket, found)
      report = this.#counted(report, found)
      this.#onProgress({ step: 'copying', done: bucket + 1, buckets: count })
    }
    await this.#copyCommitted(topic, copy, count)
    await this.#create(mark, 1, {})
    await this.#putBack(new Set([topic, copy, mark]))
    return report
  }

  #survey(bucket: number): Promise<Survey> {
    return survey(this.#log, { topic: this.#names.topic, bucket }, this.#spread?.boundary)
  }

  /** What the category says it is, and its number of buckets: of 0.1 that of the topic. */
  async #identity(topic: string): Promise<Pick<Survey, 'identity'> & { readonly count: number }> {
    const { partitions } = await this.#described(topic)
    const { identity } = await this.#survey(0)
    if (identity !== null && identity.buckets > partitions.length) {
      throw new StoreError(
        'BUCKETS_DIFFER',
        `category ${this.#category} was made with ${identity.buckets} buckets, topic ${topic} has ${partitions.length} partitions`,
      )
    }
    return { identity, count: identity?.buckets ?? partitions.length }
  }

  async #beginSpread(
    count: number,
    spread: { readonly count: number; readonly boundary: ResolvedBoundary },
  ): Promise<RewriteReport> {
    const { topic, copy, mark } = this.#names
    const groups = await this.#groupsOf(topic)
    if (groups.length > 0) {
      throw new StoreError(
        'BAD_ARGUMENT',
        `consumer groups have positions in ${topic}, which another number of buckets would void: ${groups.join(', ')}; delete those that may begin again ("millrace groups delete")`,
      )
    }
    await this.#createLike(topic, copy, spread.count)
    let report = this.#empty(spread.count, false)
    const { streams, digest } = await redistribute(
      this.#log,
      { topic, count },
      copy,
      spread,
      this.#drop,
      (found, bucket) => {
        report = this.#counted(report, found)
        this.#onProgress({ step: 'copying', done: bucket + 1, buckets: count })
      },
    )
    const content = await contentOf(this.#log, { topic: copy, count: spread.count })
    const copied = new Map(content.found.flatMap(one => [...one.streams]))
    const sum = (of: (one: Survey) => number): number =>
      content.found.reduce((total, one) => total + of(one), 0)
    const isSame =
      content.digest === digest &&
      sum(one => one.events) === report.events &&
      sum(one => one.controls) === report.controls &&
      sum(one => one.voids.size) === 0 &&
      sameStreams(streams, copied, withoutOffsets)
    if (!isSame) throw this.#differs('')
    await this.#create(mark, 1, {})
    await this.#putBack(new Set([topic, copy, mark]))
    return report
  }

  async resume(there: ReadonlySet<string>): Promise<RewriteReport> {
    const { copy, mark, topic } = this.#names
    const isPutBack = !there.has(copy)
    const from = isPutBack ? topic : copy
    const { partitions } = await this.#described(from)
    let report = this.#empty(partitions.length, true)
    for (const { partition: bucket } of partitions) {
      report = this.#counted(report, await survey(this.#log, { topic: from, bucket }))
    }
    if (isPutBack) await this.#delete(mark)
    else await this.#putBack(there)
    // Dropped by the call before: in the copy they are events without data.
    return { ...report, dropped: 0, others: 0 }
  }

  /** Copies a bucket and folds the copy: it must come to the same. */
  async #copy(bucket: number, found: Survey): Promise<void> {
    const from = { topic: this.#names.topic, bucket }
    const to = { topic: this.#names.copy, bucket }
    const { digest } = await copyBucket(this.#log, from, to, found, this.#drop)
    const copied = await survey(this.#log, to)
    const isSame =
      copied.events === found.events &&
      copied.controls === found.controls &&
      copied.end === found.end &&
      copied.voids.size === 0 &&
      sameStreams(found.streams, copied.streams) &&
      (await digestOf(this.#log, to)) === digest
    if (!isSame) throw this.#differs(bucket)
  }

  async #putBack(there: ReadonlySet<string>): Promise<void> {
    const { topic, copy, mark } = this.#names
    if (there.has(topic)) await this.#delete(topic)
    await this.#createLike(copy, topic)
    const { partitions } = await this.#described(copy)
    for (const { partition: bucket } of partitions) {
      const digest = await copyVerbatim(this.#log, { topic: copy, bucket }, { topic, bucket })
      if ((await digestOf(this.#log, { topic, bucket })) !== digest) throw this.#differs(bucket)
      this.#onProgress({ step: 'putting back', done: bucket + 1, buckets: partitions.length })
    }
    await this.#copyCommitted(copy, topic)
    await this.#delete(copy)
    await this.#delete(mark)
  }

  /** Groups with a committed offset in a topic. */
  async #groupsOf(topic: string): Promise<readonly string[]> {
    const { groups } = this.#log
    const { partitions } = await this.#described(topic)
    const places = partitions.map(({ partition }) => ({ topic, partition }))
    const found: string[] = []
    for (const { groupId } of await groups.list()) {
      const committed = await groups.fetchOffsets(groupId, places)
      if (committed.some(({ offset }) => offset >= 0)) found.push(groupId)
    }
    return found
  }

  /** Committed offsets of all groups, from one topic to the other. */
  async #copyCommitted(from: string, to: string, count?: number): Promise<void> {
    const { groups } = this.#log
    const { partitions } = await this.#described(from)
    const places = partitions.slice(0, count).map(({ partition }) => ({ topic: from, partition }))
    for (const { groupId } of await groups.list()) {
      const committed = await groups.fetchOffsets(groupId, places)
      const offsets = committed
        .filter(({ offset, error }) => error === undefined && offset >= 0)
        .map(({ partition, offset, metadata }) => ({
          ...{ topic: to, partition, offset, metadata },
          leaderEpoch: -1,
        }))
      if (offsets.length === 0) continue
      const outcomes = await groups.commit({
        ...{ groupId, generationId: NO_GENERATION, memberId: '', groupInstanceId: null },
        offsets,
      })
      for (const { error } of outcomes) if (error !== undefined) throw error
    }
  }

  async #described(topic: string): Promise<TopicDescription> {
    const [found] = await this.#log.describeTopics([topic])
    if (found !== undefined) return found
    throw new StoreError('UNKNOWN_CATEGORY', `there is no category ${this.#category}: no topic`)
  }

  async #createLike(model: string, name: string, buckets?: number): Promise<void> {
    const { partitions } = await this.#described(model)
    const configs: Record<string, string> = {}
    for (const { name: key, value, source } of await this.#log.describeConfig(model)) {
      if (source === 'topic' && value !== null) configs[key] = value
    }
    await this.#create(name, buckets ?? partitions.length, configs)
  }

  async #create(
    name: string,
    partitions: number,
    configs: Readonly<Record<string, string>>,
  ): Promise<void> {
    raise(await this.#log.createTopics([{ name, partitions, configs }]))
  }

  async #delete(name: string): Promise<void> {
    raise(await this.#log.deleteTopics([name]))
  }

  #empty(buckets: number, resumed: boolean): RewriteReport {
    const none = { streams: 0, events: 0, controls: 0, others: 0, dropped: 0 }
    return { category: this.#category, buckets, resumed, ...none }
  }

  #counted(report: RewriteReport, found: Survey): RewriteReport {
    let dropped = 0
    for (const { version, firstVersion, tombstoned } of found.streams.values()) {
      if (tombstoned) dropped += this.#drop.tombstoned ? version : 0
      else if (this.#drop.truncated) dropped += firstVersion - 1
    }
    return {
      ...report,
      streams: report.streams + found.streams.size,
      events: report.events + found.events,
      controls: report.controls + found.controls,
      others: report.others + found.others,
      dropped: report.dropped + dropped,
    }
  }

  #differs(bucket: number | ''): StoreError {
    return new StoreError(
      'STORE_FAILED',
      `${bucket === '' ? 'something' : `bucket ${bucket}`} of category ${this.#category} and its copy differ: does somebody write to it?`,
    )
  }
}

function raise(outcomes: readonly TopicOutcome[]): void {
  for (const { error } of outcomes) if (error !== undefined) throw error
}

/** Whether streams came to the same, but for appends that were cancelled: nothing is left of them. */
function sameStreams(
  one: ReadonlyMap<string, StreamFold>,
  other: ReadonlyMap<string, StreamFold>,
  textOf: (state: StreamFold) => string = withoutCancels,
): boolean {
  for (const [stream, state] of one) {
    const copied = other.get(stream)
    const isNothing = state.version === 0 && !state.archived && !state.tombstoned
    if (copied === undefined) {
      if (!isNothing) return false
    } else if (textOf(state) !== textOf(copied)) return false
  }
  return [...other.keys()].every(stream => one.has(stream))
}

const withoutCancels = (state: StreamFold): string => JSON.stringify({ ...state, cancels: [] })
const withoutOffsets = (state: StreamFold): string => {
  const commands = state.commands.map(one => ({ ...one, firstOffset: 0, lastOffset: 0 }))
  return withoutCancels({ ...state, commands })
}
