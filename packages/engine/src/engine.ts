/**
 * What the embedded engine offers beyond the port, to the listener and the composition root that
 * run in the same process: reads without copies, health, leader epochs, its own configuration.
 */
import type {
  ConfigEntry,
  FetchRequest,
  FetchResult,
  Log,
  LogError,
  Offset,
  PartitionDescription,
  Timestamp,
  TopicOutcome,
} from '@millrace/log'

/**
 * A run of whole record batches in a segment file. It keeps its file open until released, also when
 * retention has unlinked it, and must be released exactly once.
 */
export interface RecordSlice {
  readonly byteLength: number
  /**
   * Copies bytes [from, from + target.length) of the slice into `target`; a read of the page cache.
   * Throws LogError KAFKA_STORAGE_ERROR when the file fails.
   */
  read(from: number, target: Buffer): void
  release(): void
}

/** {@link FetchResult} with the records still in their file. Empty slices hold nothing. */
export type SlicedFetchResult = Omit<FetchResult, 'records'> & { readonly records: RecordSlice }

/** How the engine is. */
export type EngineHealth = {
  /** `fenced`: the journal failed, or is damaged; reads go on, appends are refused. */
  readonly state: 'opening' | 'ready' | 'fenced' | 'closing' | 'closed'
  /** Why it is not ready, or takes no records, for an operator. */
  readonly reason?: string
  /** Whether it is fenced because the journal was found damaged: a repair helps, a restart does not. */
  readonly journalDamaged?: true
  /** Partitions that refuse appends, each with its reason. */
  readonly partitions: readonly {
    readonly topic: string
    readonly partition: number
    readonly state: 'quarantined' | 'fenced'
    readonly reason: string
  }[]
  /** Whether there is no room, or less than `disk.reserve.bytes`: client appends are refused. */
  readonly diskFull: boolean
  /** By how much the wall clock has jumped ahead that is not taken for time yet. Ms; 0: none. */
  readonly clockHeldBackMs: number
}

/** What a compaction has made of a partition. */
export type CompactedPartition = {
  readonly topic: string
  readonly partition: number
  /** Of the records below it each key has only its last. */
  readonly cleanedTo: Offset
  /** Bytes of the segments up to there. */
  readonly bytesBefore: number
  readonly bytesAfter: number
  readonly recordsRemoved: number
}

/** Counters since the start and gauges of now, for the metrics page. Bytes and counts. */
export type EngineMetrics = Readonly<Record<string, number>>

/** An idempotent producer as a partition remembers it. */
export type ProducerState = {
  readonly producerId: number
  readonly epoch: number
  /** Of its last record; -1 where none is known. */
  readonly lastSequence: number
  /** Of its last batch, ms since the epoch; -1 where none is known. */
  readonly lastTimestamp: Timestamp
}

/** When the last complete commit group went its way. Milliseconds of the monotonic clock. */
export type GroupMoments = {
  /** Its bytes were fixed and handed to the writer. */
  readonly sealed: number
  /** The writer's answer was heard. */
  readonly written: number
  /** Its records can be read. */
  readonly applied: number
}

/** A topic as the listener asks for it, synchronously, on every request. */
export type TopicView = {
  readonly name: string
  readonly topicId: string
  readonly internal: boolean
  readonly partitions: readonly PartitionDescription[]
}

/** The embedded engine. */
export interface Engine extends Log {
  /** With the ids of topics by name: another topic that has the name by then is not deleted. */
  deleteTopics(
    names: readonly string[],
    options?: { readonly topicIds?: ReadonlyMap<string, string> },
  ): Promise<readonly TopicOutcome[]>

  readonly nodeId: number

  /** File descriptors that the engine leaves to the rest of the process; Infinity if unknown. */
  readonly descriptorsLeft: number

  health(): EngineHealth
  metrics(): EngineMetrics

  /** Of the commit group that was completed last: for traces. */
  readonly lastGroup: GroupMoments

  /** One topic of the catalogue, without a promise. */
  topic(name: string): TopicView | undefined
  /** The same, by its id. */
  topicById(topicId: string): TopicView | undefined
  /** All topics of the catalogue, internal ones included, in order of name. */
  allTopics(): readonly TopicView[]

  /** {@link Log.fetch} without reading the records; the caller releases every slice. */
  fetchSlices(request: FetchRequest): Promise<readonly SlicedFetchResult[]>

  /**
   * Compacts a topic at once, whatever its dirty ratio: closes what is being written, cleans all that
   * is older than `min.compaction.lag.ms`, and resolves when the old files are unlinked and the copies
   * in the journal are zeros. For erasure, and for tests. Rejects with UNKNOWN_TOPIC_OR_PARTITION,
   * INVALID_TOPIC_EXCEPTION (internal), POLICY_VIOLATION (no `cleanup.policy=compact`),
   * KAFKA_STORAGE_ERROR, LOG_CLOSED.
   */
  compactNow(topic: string): Promise<readonly CompactedPartition[]>

  /** Where an epoch ended (OffsetForLeaderEpoch, KIP-320): the start of the next, or the end. */
  endOfEpoch(
    topic: string,
    partition: number,
    leaderEpoch: number,
    currentLeaderEpoch: number,
  ): { readonly error?: LogError; readonly leaderEpoch: number; readonly endOffset: Offset }

  /** The node's own configuration, as DescribeConfigs shows it for a broker. */
  nodeConfig(): readonly ConfigEntry[]

  /** The producers that a partition remembers; rejects with UNKNOWN_TOPIC_OR_PARTITION. */
  describeProducers(topic: string, partition: number): Promise<readonly ProducerState[]>

  /** Where the data lies and how much room there is, for DescribeLogDirs. Bytes. */
  storage(): { readonly folder: string; readonly totalBytes: number; readonly freeBytes: number }
}
