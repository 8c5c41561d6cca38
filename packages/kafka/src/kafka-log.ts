/**
 * The port over a socket: any Kafka broker or cluster as a `Log`.
 *
 * `connectKafka` asks the first bootstrap address that answers; all else is opened when needed.
 */
import { resolveSettings } from '@millrace/base'
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
  type Isolation,
  type Log,
  LogError,
  type NewTopic,
  type Offset,
  type OffsetAnswer,
  type OffsetQuery,
  type PartitionSize,
  type ProducerIdentity,
  type TopicDescription,
  type TopicOutcome,
  type TopicPartition,
} from '@millrace/log'
import { Cluster } from './cluster.ts'
import { FetchCalls } from './fetch-calls.ts'
import { WireGroups } from './groups.ts'
import { askOffsets, askToDeleteRecords } from './offsets.ts'
import { type KafkaClientOutside, parseBootstrap, systemKafkaClientOutside } from './outside.ts'
import { ProduceCalls } from './produce-calls.ts'
import { askForProducer } from './producers.ts'
import { CLIENT_SETTINGS, type ClientSettings } from './settings.ts'
import {
  askForConfig,
  askForSizes,
  askToAlterConfig,
  askToCreatePartitions,
  askToCreateTopics,
  askToDeleteTopics,
  describeAll,
} from './topics.ts'

const CLIENT_ID = 'millrace'

/** How to reach a cluster. */
export type KafkaOptions = {
  /** `HOST:PORT` of one broker or of several: a list, or one text with commas. */
  readonly bootstrap: string | readonly string[]
  /** What brokers show in their logs and groups. Default "millrace". */
  readonly clientId?: string
  readonly outside?: KafkaClientOutside
  /** Over the defaults of {@link CLIENT_SETTINGS}. */
  readonly settings?: Partial<ClientSettings>
}

/**
 * Connects to a Kafka broker or cluster. Throws RangeError on a bootstrap or setting that is none,
 * LogError NETWORK_EXCEPTION when no address answers, UNSUPPORTED_VERSION when a broker is too old.
 */
export async function connectKafka(options: KafkaOptions): Promise<Log> {
  const cluster = new Cluster({
    bootstrap: parseBootstrap(options.bootstrap),
    clientId: options.clientId ?? CLIENT_ID,
    outside: options.outside ?? systemKafkaClientOutside(),
    settings: resolveSettings(CLIENT_SETTINGS, options.settings),
  })
  try {
    await cluster.start()
  } catch (error) {
    await cluster.close()
    throw error
  }
  return new KafkaLog(cluster)
}

class KafkaLog implements Log {
  readonly id: string
  readonly groups: Groups
  readonly #cluster: Cluster
  readonly #appends: ProduceCalls
  readonly #fetches: FetchCalls
  #closing: Promise<void> | undefined

  constructor(cluster: Cluster) {
    this.id = cluster.id
    this.#cluster = cluster
    this.#appends = new ProduceCalls(cluster)
    this.#fetches = new FetchCalls(cluster)
    this.groups = new WireGroups(cluster)
  }

  async createTopics(
    topics: readonly NewTopic[],
    options: { readonly validateOnly?: boolean } = {},
  ): Promise<readonly TopicOutcome[]> {
    return askToCreateTopics(this.#open(), topics, options.validateOnly ?? false)
  }

  async describeTopics(names?: readonly string[]): Promise<readonly TopicDescription[]> {
    return describeAll(this.#open(), names)
  }

  async deleteTopics(names: readonly string[]): Promise<readonly TopicOutcome[]> {
    return askToDeleteTopics(this.#open(), names)
  }

  async createPartitions(
    topics: readonly { readonly name: string; readonly partitions: number }[],
    options: { readonly validateOnly?: boolean } = {},
  ): Promise<readonly TopicOutcome[]> {
    return askToCreatePartitions(this.#open(), topics, options.validateOnly ?? false)
  }

  async describeConfig(topic: string): Promise<readonly ConfigEntry[]> {
    return askForConfig(this.#open(), topic)
  }

  async alterConfig(
    topic: string,
    changes: readonly ConfigChange[],
    options: { readonly validateOnly?: boolean } = {},
  ): Promise<void> {
    return askToAlterConfig(this.#open(), topic, changes, options.validateOnly ?? false)
  }

  async append(
    entries: readonly AppendEntry[],
    options?: AppendOptions,
  ): Promise<readonly AppendResult[]> {
    this.#open()
    return this.#appends.append(entries, options)
  }

  async fetch(request: FetchRequest): Promise<readonly FetchResult[]> {
    this.#open()
    return this.#fetches.fetch(request)
  }

  async listOffsets(
    queries: readonly OffsetQuery[],
    isolation?: Isolation,
  ): Promise<readonly OffsetAnswer[]> {
    return askOffsets(this.#open(), queries, isolation)
  }

  async deleteRecords(
    targets: readonly (TopicPartition & { readonly offset: Offset })[],
  ): Promise<readonly DeleteRecordsOutcome[]> {
    return askToDeleteRecords(this.#open(), targets)
  }

  async describeSizes(topics?: readonly string[]): Promise<readonly PartitionSize[]> {
    return askForSizes(this.#open(), topics)
  }

  async initProducer(request: InitProducerRequest): Promise<ProducerIdentity> {
    return askForProducer(this.#open(), request)
  }

  close(): Promise<void> {
    this.#closing ??= this.#cluster.close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #open(): Cluster {
    if (this.#closing !== undefined) throw new LogError('LOG_CLOSED')
    return this.#cluster
  }
}
