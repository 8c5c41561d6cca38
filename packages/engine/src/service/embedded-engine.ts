/**
 * The embedded engine: the port over journal, partitions and coordinators.
 *
 * It only routes: appends to `appends.ts`, reads to `fetches.ts`, topics to `topic-admin.ts`, groups
 * to their coordinator; and keeps the clockwork (checkpoints, retention, free space) going.
 */
import type { Timers } from '@millrace/base'
import {
  type AppendEntry,
  type AppendOptions,
  type AppendResult,
  type ConfigChange,
  type ConfigEntry,
  type DeleteRecordsOutcome,
  type FetchRequest,
  type FetchResult,
  type Groups,
  type InitProducerRequest,
  LogError,
  type NewTopic,
  type Offset,
  type OffsetAnswer,
  type OffsetQuery,
  type PartitionSize,
  type ProducerIdentity,
  type Timestamp,
  type TopicDescription,
  type TopicOutcome,
  type TopicPartition,
} from '@millrace/log'
import type {
  CompactedPartition,
  Engine,
  EngineHealth,
  EngineMetrics,
  GroupMoments,
  ProducerState,
  SlicedFetchResult,
  TopicView,
} from '../engine.ts'
import type { GroupSettings } from '../group-settings.ts'
import { KeepAlive } from '../keep-alive.ts'
import type { Coordinator } from '../machines/coordinator.ts'
import type { PartitionLog } from '../partitions/partition-log.ts'
import type { TimeSearch } from '../partitions/time-search.ts'
import { describeTopicConfig } from '../partitions/topic-config.ts'
import type { EngineSettings } from '../settings.ts'
import type { Cleaner } from '../storage/compaction/cleaner.ts'
import type { ExpiryClock } from '../storage/expiry-clock.ts'
import { inTime, NoAnswer } from '../storage/in-time.ts'
import type { LogStore } from '../storage/log-store.ts'
import type { RecoveryReport } from '../storage/recovery.ts'
import { pauseOf } from '../turns.ts'
import type { Appends } from './appends.ts'
import type { Clockwork } from './clockwork.ts'
import { epochProblem, type Fetches } from './fetches.ts'
import { guardedGroups } from './guarded-groups.ts'
import { nodeConfigEntries } from './node-config.ts'
import type { TopicAdmin } from './topic-admin.ts'
import type { TopicTable } from './topic-table.ts'

/** Producers that are looked at without a pause behind them. */
const PRODUCERS_A_TURN = 1_000

/** How long closing waits, at most, for what it has given up to come back. Milliseconds. */
const CLOSE_GRACE_MS = 3000

/** What the engine is put together from. */
export type EngineParts = {
  readonly id: string
  readonly folder: string
  readonly settings: EngineSettings
  readonly groupSettings: GroupSettings
  readonly descriptorsLeft: number
  readonly store: LogStore
  readonly topics: TopicTable
  readonly admin: TopicAdmin
  readonly appends: Appends
  readonly fetches: Fetches
  readonly search: TimeSearch
  readonly groups: Groups
  /** Closed first: whoever waits for an answer of theirs gets one. */
  readonly coordinators: readonly Pick<Coordinator, 'close' | 'metrics'>[]
  readonly clockwork: Clockwork
  readonly ages: ExpiryClock
  readonly cleaner: Cleaner
  readonly recovery: RecoveryReport
  /** Tells the operator. */
  readonly say: (level: 'warn', message: string) => void
  readonly release: () => Promise<void>
}

/** The engine in this process. */
export class EmbeddedEngine implements Engine {
  readonly #parts: EngineParts
  readonly groups: Groups
  #state: 'ready' | 'closing' | 'closed' = 'ready'
  readonly #alive: KeepAlive
  #closing: Promise<void> | undefined
  /** What is waited for while it is being closed. */
  #closingStep = ''

  constructor(parts: EngineParts) {
    this.#parts = parts
    this.#alive = new KeepAlive(parts.store.outside.timers)
    this.groups = guardedGroups(parts.groups, work => this.#guard(work))
  }

  get id(): string {
    return this.#parts.id
  }

  get nodeId(): number {
    return this.#parts.settings['node.id']
  }

  get descriptorsLeft(): number {
    return this.#parts.descriptorsLeft
  }

  createTopics(
    topics: readonly NewTopic[],
    options: { readonly validateOnly?: boolean } = {},
  ): Promise<readonly TopicOutcome[]> {
    return this.#guard(() => this.#parts.admin.createTopics(topics, options.validateOnly === true))
  }

  describeTopics(names?: readonly string[]): Promise<readonly TopicDescription[]> {
    return this.#guard(async () =>
      names === undefined
        ? this.allTopics()
        : names.map(name => this.topic(name)).filter(topic => topic !== undefined),
    )
  }

  deleteTopics(
    names: readonly string[],
    options: { readonly topicIds?: ReadonlyMap<string, string> } = {},
  ): Promise<readonly TopicOutcome[]> {
    return this.#guard(() => this.#parts.admin.deleteTopics(names, options.topicIds))
  }

  createPartitions(
    topics: readonly { readonly name: string; readonly partitions: number }[],
    options: { readonly validateOnly?: boolean } = {},
  ): Promise<readonly TopicOutcome[]> {
    return this.#guard(() =>
      this.#parts.admin.createPartitions(topics, options.validateOnly === true),
    )
  }

  describeConfig(topic: string): Promise<readonly ConfigEntry[]> {
    return this.#guard(async () => {
      const entry = this.#parts.topics.shown(topic)
      if (entry === undefined) throw new LogError('UNKNOWN_TOPIC_OR_PARTITION', topic)
      return describeTopicConfig(entry.configs, this.#parts.topics.nodeConfig, this.#parts.settings)
    })
  }

  alterConfig(
    topic: string,
    changes: readonly ConfigChange[],
    options: { readonly validateOnly?: boolean } = {},
  ): Promise<void> {
    return this.#guard(() =>
      this.#parts.admin.alterConfig(topic, changes, options.validateOnly === true),
    )
  }

  append(
    entries: readonly AppendEntry[],
    options?: AppendOptions,
  ): Promise<readonly AppendResult[]> {
    if (this.#state !== 'ready') return Promise.reject(new LogError('LOG_CLOSED'))
    const { appends } = this.#parts
    const work = appends.append(entries, options)
    // A write that is under way keeps the process by itself; what waits for room does not.
    return appends.waitingBytes > 0 ? this.#alive.during(work) : work
  }

  fetch(request: FetchRequest): Promise<readonly FetchResult[]> {
    return this.#guard(() => this.#parts.fetches.fetch(request))
  }

  fetchSlices(request: FetchRequest): Promise<readonly SlicedFetchResult[]> {
    if (this.#state !== 'ready') return Promise.reject(new LogError('LOG_CLOSED'))
    return this.#parts.fetches.fetchSlices(request)
  }

  listOffsets(queries: readonly OffsetQuery[]): Promise<readonly OffsetAnswer[]> {
    return this.#guard(async () => {
      const answers: OffsetAnswer[] = []
      for (const query of queries) answers.push(await this.#placeOf(query))
      return answers
    })
  }

  async #placeOf({ topic, partition, place, leaderEpoch }: OffsetQuery): Promise<OffsetAnswer> {
    const log = this.#parts.topics.readable(topic, partition)
    const unknown = { topic, partition, offset: -1, timestamp: -1, leaderEpoch: -1 }
    if (log === undefined) return { ...unknown, error: unknownPartition(topic, partition) }
    const stale = epochProblem(log, leaderEpoch)
    if (stale !== null) return { ...unknown, error: new LogError(stale) }
    try {
      return { topic, partition, ...(await placeIn(log, place, this.#parts.search)) }
    } catch (cause) {
      return { ...unknown, error: cause as LogError }
    }
  }

  deleteRecords(
    targets: readonly (TopicPartition & { readonly offset: Offset })[],
  ): Promise<readonly DeleteRecordsOutcome[]> {
    return this.#guard(() => this.#parts.admin.deleteRecords(targets))
  }

  describeSizes(topics?: readonly string[]): Promise<readonly PartitionSize[]> {
    return this.#guard(async () => {
      const wanted = topics === undefined ? undefined : new Set(topics)
      return [...this.#parts.topics.allShown()]
        .filter(({ topic }) => wanted === undefined || wanted.has(topic.name))
        .flatMap(({ topic: { name }, partitions }) =>
          partitions.map(log => ({ topic: name, partition: log.partition, bytes: log.bytes })),
        )
    })
  }

  describeProducers(topic: string, partition: number): Promise<readonly ProducerState[]> {
    return this.#guard(async () => {
      const { topics, store } = this.#parts
      const log = topics.readable(topic, partition)
      if (log === undefined) throw unknownPartition(topic, partition)
      const producers = log.producers.latest()
      // Each may be a long list: one a turn.
      if (producers.length > PRODUCERS_A_TURN) await pauseOf(store)()
      await new Promise<void>((resolve, reject) => {
        const done = (error: LogError | null): void => (error === null ? resolve() : reject(error))
        store.journal.wait(log.lastGroup, done, this.#parts.settings['admin.timeout.ms'])
      })
      return producers
    })
  }

  initProducer(request: InitProducerRequest): Promise<ProducerIdentity> {
    return this.#guard(async () => {
      if (request.transactionalId !== null) {
        throw new LogError('UNSUPPORTED_VERSION', 'transactions are not served yet')
      }
      // Without a transactional id Kafka gives a new id as well, whatever the current one is.
      return { producerId: await this.#parts.admin.newProducerId(), producerEpoch: 0 }
    })
  }

  health(): EngineHealth {
    const { store, appends, recovery } = this.#parts
    const partitions = [...store.partitions.values()].flatMap(({ topic, partition, trouble }) =>
      trouble === undefined ? [] : [{ topic, partition, ...trouble }],
    )
    const { fencedBy } = store.journal
    const { lacks } = store
    const short = lacks?.code === 'ENOSPC' ? lacks.message : appends.diskFull
    const diskFull = short !== undefined
    const clockHeldBackMs = this.#parts.ages.heldBackMs
    const health = { partitions, diskFull, clockHeldBackMs }
    if (this.#state !== 'ready') return { state: this.#state, ...health }
    if (fencedBy === undefined) {
      return { state: 'ready', ...(diskFull ? { reason: short } : {}), ...health }
    }
    const damaged = recovery.damage === undefined ? {} : { journalDamaged: true as const }
    return { state: 'fenced', reason: fencedBy, ...damaged, ...health }
  }

  metrics(): EngineMetrics {
    const { store, topics, appends, fetches, coordinators, clockwork, cleaner, recovery } =
      this.#parts
    return {
      append_batches_total: appends.batches,
      append_records_total: appends.records,
      append_bytes_total: appends.bytes,
      append_duplicates_total: appends.duplicates,
      append_refused_total: appends.refused,
      append_sliced_total: appends.slicedBatches,
      append_waiting_bytes: appends.waitingBytes,
      fetch_requests_total: fetches.count,
      fetch_bytes_total: fetches.bytes,
      fetch_waiting: fetches.waitingCount,
      journal_groups_total: store.groups,
      journal_bytes_total: store.journalBytes,
      journal_used_bytes: store.journal.fill.usedBytes,
      checkpoints_total: clockwork.checkpoints,
      segments_removed_total: clockwork.segmentsRemoved,
      cleanings_total: cleaner.cleanings,
      cleaned_bytes_before_total: cleaner.bytesBefore,
      cleaned_bytes_after_total: cleaner.bytesAfter,
      cleaned_records_removed_total: cleaner.recordsRemoved,
      segment_files_open: store.cache.openCount,
      segment_files_unsynced: store.cache.heldBy('writer'),
      segment_files_read: store.cache.heldBy('reader'),
      partitions: store.partitions.size,
      recovered_groups: recovery.groups,
      recovered_batches: recovery.batches,
      ...troubled(store),
      producers: topics.producers.count,
      producers_max: topics.producers.max,
      ...Object.assign({}, ...coordinators.map(coordinator => coordinator.metrics?.())),
      fenced: store.journal.fencedBy === undefined ? 0 : 1,
      clock_jumps_total: this.#parts.ages.jumpsTotal,
      clock_held_back_ms: this.#parts.ages.heldBackMs,
    }
  }

  get lastGroup(): GroupMoments {
    return this.#parts.store.journal.lastGroup
  }

  topic(name: string): TopicView | undefined {
    return this.#parts.topics.view(name, this.nodeId)
  }

  topicById(topicId: string): TopicView | undefined {
    return this.#parts.topics.viewById(topicId, this.nodeId)
  }

  allTopics(): readonly TopicView[] {
    return this.#parts.topics.views(this.nodeId)
  }

  compactNow(topic: string): Promise<readonly CompactedPartition[]> {
    return this.#guard(async () => {
      const entry = this.#parts.topics.get(topic)
      if (entry === undefined) throw new LogError('UNKNOWN_TOPIC_OR_PARTITION', topic)
      if (entry.internal) throw new LogError('INVALID_TOPIC_EXCEPTION', `${topic} is internal`)
      if (!entry.config.compacts) {
        throw new LogError('POLICY_VIOLATION', `${topic}: cleanup.policy has no compact`)
      }
      return this.#parts.cleaner.compactNow(entry.partitions)
    })
  }

  endOfEpoch(
    topic: string,
    partition: number,
    leaderEpoch: number,
    currentLeaderEpoch: number,
  ): { readonly error?: LogError; readonly leaderEpoch: number; readonly endOffset: Offset } {
    const log = this.#parts.topics.readable(topic, partition)
    const none = { leaderEpoch: -1, endOffset: -1 }
    if (log === undefined) return { ...none, error: unknownPartition(topic, partition) }
    const stale = epochProblem(log, currentLeaderEpoch)
    return stale === null ? log.endOfEpoch(leaderEpoch) : { ...none, error: new LogError(stale) }
  }

  nodeConfig(): readonly ConfigEntry[] {
    const { settings, groupSettings, topics, folder } = this.#parts
    return nodeConfigEntries(settings, groupSettings, topics.nodeConfig, folder)
  }

  storage(): { readonly folder: string; readonly totalBytes: number; readonly freeBytes: number } {
    const { free, total } = this.#parts.store.disk.space()
    return { folder: this.#parts.folder, totalBytes: total, freeBytes: free }
  }

  close(): Promise<void> {
    this.#closing ??= this.#alive.during(this.#close())
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /**
   * In time, whatever the disk does. Where it does not answer, or has no room, nothing is waited for any
   * more; and where even then a call to it does not come back, the folder stays locked until it does, or
   * the process ends: nobody else may write there before.
   */
  async #close(): Promise<void> {
    const { store, settings, say } = this.#parts
    const { timers } = store.outside
    const ms = settings['close.max.ms']
    const graceMs = Math.min(CLOSE_GRACE_MS, ms / 2)
    const ended = this.#end()
    const late = await isLate(timers, ms - graceMs, ended)
    if (!late) return
    const missed = `close.max.ms=${ms}: ${this.#closingStep} did not end; what was acknowledged is durable, and the next start reads it`
    store.journal.giveUp(missed)
    const stuck = await isLate(timers, graceMs, ended)
    say('warn', stuck ? `${missed}; the folder stays locked until the process ends` : missed)
    this.#state = 'closed'
  }

  async #end(): Promise<void> {
    const { appends, fetches, topics, coordinators, clockwork, store, release } = this.#parts
    this.#state = 'closing'
    topics.close()
    fetches.close()
    for (const coordinator of coordinators) coordinator.close()
    this.#closingStep = 'appends that wait for room'
    await appends.settled()
    this.#closingStep = 'the last checkpoint'
    await clockwork.stop()
    this.#closingStep = 'the last commit group'
    await store.journal.close()
    store.cache.closeAll()
    await release()
    this.#state = 'closed'
  }

  async #guard<T>(work: () => Promise<T>): Promise<T> {
    if (this.#state !== 'ready') throw new LogError('LOG_CLOSED')
    return this.#alive.during(work())
  }
}

/** How many partitions refuse appends, by why. */
function troubled({ partitions }: LogStore): Readonly<Record<string, number>> {
  const count = { quarantined: 0, fenced: 0 }
  for (const { trouble } of partitions.values())
    if (trouble !== undefined) count[trouble.state] += 1
  return { partitions_quarantined: count.quarantined, partitions_fenced: count.fenced }
}

/** Whether `work` has not ended after `ms` in which this process was awake; rejects as it does. */
async function isLate(timers: Timers, ms: number, work: Promise<void>): Promise<boolean> {
  try {
    await inTime(timers, ms, work)
    return false
  } catch (cause) {
    if (cause instanceof NoAnswer) return true
    throw cause
  }
}

const unknownPartition = (topic: string, partition: number): LogError =>
  new LogError('UNKNOWN_TOPIC_OR_PARTITION', `${topic}-${partition}`)

async function placeIn(
  log: PartitionLog,
  place: OffsetQuery['place'],
  search: TimeSearch,
): Promise<{ offset: Offset; timestamp: Timestamp; leaderEpoch: number }> {
  if (place === 'earliest') {
    return { offset: log.logStart, timestamp: -1, leaderEpoch: log.epochAt(log.logStart) }
  }
  if (place === 'latest') {
    return { offset: log.highWatermark, timestamp: -1, leaderEpoch: log.leaderEpoch }
  }
  const found =
    place === 'maxTimestamp'
      ? await log.recordOfMaxTimestamp(search)
      : await log.recordAtTime(place, search)
  return found === null
    ? { offset: -1, timestamp: -1, leaderEpoch: -1 }
    : { ...found, leaderEpoch: log.epochAt(found.offset) }
}
