/**
 * The port: everything a program may ask of a log, whichever engine runs it.
 *
 * The embedded engine implements it in process, `kafka` over a socket. Calls about several
 * topics or partitions answer each one apart: an `error` in its result, never a thrown one. A call
 * as a whole throws a `LogError` (closed log, fenced engine, lost connection).
 *
 * Record batches are opaque: version 2 of Kafka's format, bytes in and the same bytes out; only the
 * base offset and the leader epoch, which the checksum does not cover, are set by the log.
 */
import type { LogError } from './errors.ts'
import type { Groups } from './port-groups.ts'
import type { RecordError } from './records/record-scanner.ts'
import type {
  Acks,
  Isolation,
  Offset,
  OffsetPlace,
  ProducerIdentity,
  Timestamp,
  TopicPartition,
} from './vocabulary.ts'

/** One partition as the catalogue knows it. */
export type PartitionDescription = {
  readonly partition: number
  readonly leaderEpoch: number
  /** Node ids; one node has itself everywhere. */
  readonly leader: number
  readonly replicas: readonly number[]
  readonly inSyncReplicas: readonly number[]
}

/** One topic as the catalogue knows it. */
export type TopicDescription = {
  readonly name: string
  /** 22 characters base64url of a random UUID; kept over restarts, never used twice. */
  readonly topicId: string
  readonly internal: boolean
  readonly partitions: readonly PartitionDescription[]
}

/** A topic to be created. */
export type NewTopic = {
  readonly name: string
  /** -1 or absent: the default of the node (`num.partitions`). */
  readonly partitions?: number
  /** -1, absent or 1 on a single node. */
  readonly replicationFactor?: number
  /** Topic configuration by Kafka's names, as text. */
  readonly configs?: Readonly<Record<string, string>>
}

/** The outcome for one name of a call about several. */
export type TopicOutcome = {
  readonly name: string
  readonly error?: LogError
  /** Present after a creation. */
  readonly topicId?: string
  readonly partitions?: number
  /** The configuration that the topic has, or would have, where the log tells it. */
  readonly configs?: readonly ConfigEntry[]
}

/** Where a configuration value comes from. */
export type ConfigSource = 'topic' | 'node' | 'default'

/** The type of a configuration value, as Kafka's DescribeConfigs names them. */
export type ConfigType = 'boolean' | 'string' | 'int' | 'short' | 'long' | 'double' | 'list'

/** One configuration entry. */
export type ConfigEntry = {
  readonly name: string
  readonly value: string | null
  readonly source: ConfigSource
  readonly type: ConfigType
  readonly readOnly: boolean
  readonly documentation: string
  /** The places that could give the value, the strongest first; absent where it is not known. */
  readonly synonyms?: readonly ConfigSynonym[]
}

/** A place that could give the value of a configuration entry. */
export type ConfigSynonym = {
  /** The entry's name in that place: a topic's default has another name in the node's own. */
  readonly name: string
  readonly value: string | null
  readonly source: ConfigSource
}

/** One change to one key of one resource's configuration (KIP-339). */
export type ConfigChange = {
  readonly name: string
  readonly operation: 'set' | 'delete' | 'append' | 'subtract'
  readonly value: string | null
}

/** A record batch to be appended to one partition. */
export type AppendEntry = {
  readonly topic: string
  /**
   * What the name stood for when it was looked up: another topic of this name is not meant, and
   * answers UNKNOWN_TOPIC_ID. Logs that know no ids leave it aside.
   */
  readonly topicId?: string
  readonly partition: number
  /** Exactly one record batch of version 2. The log may write base offset and epoch into it. */
  readonly batch: Buffer
}

/** What is asked of an append as a whole. */
export type AppendOptions = {
  /** Default "all". */
  readonly acks?: Acks
  /** After this many ms the answer is REQUEST_TIMED_OUT; the records may still be stored. */
  readonly timeoutMs?: number
}

/** The outcome for one entry of an append, in the order of the entries. */
export type AppendResult = {
  readonly error?: LogError
  /**
   * The records that the batch was refused for, if single ones are to blame; a batch is stored whole
   * or not at all (KIP-467).
   */
  readonly recordErrors?: readonly RecordError[]
  /** Offset of the batch's first record; for a duplicate that of the first copy. -1 on error. */
  readonly baseOffset: Offset
  /** Time of the append where the topic uses LogAppendTime, else -1. */
  readonly logAppendTime: Timestamp
  readonly logStartOffset: Offset
}

/** A read position in one partition. */
export type FetchPosition = {
  readonly topic: string
  /** As of {@link AppendEntry}. */
  readonly topicId?: string
  readonly partition: number
  readonly offset: Offset
  /** At most this many bytes, but always one whole batch if there is one. */
  readonly maxBytes: number
  /** The epoch that the caller believes in; -1 or absent: not checked (KIP-320). */
  readonly leaderEpoch?: number
}

/** A read over several partitions. */
export type FetchRequest = {
  readonly positions: readonly FetchPosition[]
  /** Answer once this many bytes can be returned, or after `maxWaitMs`. */
  readonly minBytes: number
  readonly maxBytes: number
  readonly maxWaitMs: number
  readonly isolation: Isolation
  /** Ends the wait; the answer then holds what there is. */
  readonly signal?: AbortSignal
}

/** What one partition answered to a fetch, in the order of the positions. */
export type FetchResult = {
  readonly topic: string
  readonly partition: number
  readonly error?: LogError
  /** First offset that is not durable yet; nothing from it on is ever returned. -1 on error. */
  readonly highWatermark: Offset
  readonly lastStableOffset: Offset
  readonly logStartOffset: Offset
  /** Whole record batches, the first of which contains or follows the offset asked for. */
  readonly records: Buffer
  /** Transactions to be filtered out under read_committed. */
  readonly abortedTransactions: readonly { producerId: number; firstOffset: Offset }[]
}

/** One question to {@link Log.listOffsets}. */
export type OffsetQuery = TopicPartition & {
  readonly place: OffsetPlace
  readonly leaderEpoch?: number
}

/** One answer of {@link Log.listOffsets}. */
export type OffsetAnswer = TopicPartition & {
  readonly error?: LogError
  /** -1 when no record has a timestamp at or after the one asked for. */
  readonly offset: Offset
  readonly timestamp: Timestamp
  readonly leaderEpoch: number
}

/** The outcome of deleting the records of one partition below an offset. */
export type DeleteRecordsOutcome = TopicPartition & {
  readonly error?: LogError
  /** The first offset that can still be read. */
  readonly lowWatermark: Offset
}

/** A partition's size on disk. */
export type PartitionSize = TopicPartition & { readonly bytes: number }

/** Asks for a producer id (KIP-98, KIP-360). */
export type InitProducerRequest = {
  /** Transactions are not served yet: anything but null answers UNSUPPORTED_VERSION. */
  readonly transactionalId: string | null
  readonly transactionTimeoutMs?: number
  /** To go on as the same producer with the next epoch. */
  readonly current?: ProducerIdentity
}

/**
 * A transaction of a producer (KIP-98). The types stand now, so that programs can be written
 * against them; no engine offers them yet, and `Log.transactions` is absent until one does.
 */
export interface Transactions {
  begin(transactionalId: string): Promise<ProducerIdentity>
  addPartitions(transactionalId: string, partitions: readonly TopicPartition[]): Promise<void>
  addOffsets(transactionalId: string, groupId: string): Promise<void>
  end(transactionalId: string, outcome: 'commit' | 'abort'): Promise<void>
}

/** A durable, partitioned log. */
export interface Log extends AsyncDisposable {
  /** The log's (cluster's) id; part of every checkpoint. */
  readonly id: string

  createTopics(
    topics: readonly NewTopic[],
    options?: { readonly validateOnly?: boolean },
  ): Promise<readonly TopicOutcome[]>
  /** Named topics, or all. An unknown name is missing from the answer. */
  describeTopics(names?: readonly string[]): Promise<readonly TopicDescription[]>
  deleteTopics(names: readonly string[]): Promise<readonly TopicOutcome[]>
  /** Raises the number of partitions of each topic to `partitions`. */
  createPartitions(
    topics: readonly { readonly name: string; readonly partitions: number }[],
    options?: { readonly validateOnly?: boolean },
  ): Promise<readonly TopicOutcome[]>
  /** The whole effective configuration of a topic. Throws UNKNOWN_TOPIC_OR_PARTITION. */
  describeConfig(topic: string): Promise<readonly ConfigEntry[]>
  /** Changes a topic's configuration: all changes or none. Throws INVALID_CONFIG. */
  alterConfig(
    topic: string,
    changes: readonly ConfigChange[],
    options?: { readonly validateOnly?: boolean },
  ): Promise<void>

  /**
   * Appends batches. The order of calls is the order in the log, also without awaiting. Resolves
   * when all entries are as durable as their topics ask for. Until it has settled, the batches' bytes
   * must stay as they are; then they are the caller's again.
   */
  append(entries: readonly AppendEntry[], options?: AppendOptions): Promise<readonly AppendResult[]>
  fetch(request: FetchRequest): Promise<readonly FetchResult[]>
  listOffsets(
    queries: readonly OffsetQuery[],
    isolation?: Isolation,
  ): Promise<readonly OffsetAnswer[]>
  /** Moves the log start up to each offset; -1 means up to the high watermark. */
  deleteRecords(
    targets: readonly (TopicPartition & { readonly offset: Offset })[],
  ): Promise<readonly DeleteRecordsOutcome[]>
  /** Sizes on disk of all partitions, or of some topics. */
  describeSizes(topics?: readonly string[]): Promise<readonly PartitionSize[]>
  initProducer(request: InitProducerRequest): Promise<ProducerIdentity>

  readonly groups: Groups
  readonly transactions?: Transactions

  /** Finishes what is in flight, syncs, closes. Later calls throw LOG_CLOSED. */
  close(): Promise<void>
}
