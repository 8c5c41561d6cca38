/**
 * Topics and their partitions as requests look them up: by name and number, synchronously.
 *
 * Fed by the catalogue's replay. A topic is shown to clients once its creation is durable; an append
 * that knows its name can enter before, because the journal keeps their order.
 */
import type { PartitionDescription } from '@millrace/log'
import {
  CATALOGUE_PARTITION_ID,
  CATALOGUE_TOPIC,
  type CatalogueEvents,
  type CatalogueTopic,
  OFFSETS_PARTITION_ID,
  OFFSETS_TOPIC,
} from '../coordinators/catalogue.ts'
import { DiskError } from '../disk/disk.ts'
import type { TopicView } from '../engine.ts'
import { PartitionLog } from '../partitions/partition-log.ts'
import { type TopicConfig, topicConfigOf } from '../partitions/topic-config.ts'
import type { LogStore } from '../storage/log-store.ts'

/** A topic as the engine works with it. */
export type TopicEntry = {
  readonly name: string
  readonly topicId: string
  readonly internal: boolean
  /** Overrides by Kafka's names. */
  configs: Readonly<Record<string, string>>
  config: TopicConfig
  readonly partitions: PartitionLog[]
  /** Whether its creation is durable. */
  visible: boolean
}

/** Fixed ids of the engine's own topics: the same in every log, so that they can be recognised. */
const INTERNAL_TOPICS = [
  { name: CATALOGUE_TOPIC, topicId: 'AAAAAAAAQACAAAAAAAAAAQ', partitionId: CATALOGUE_PARTITION_ID },
  { name: OFFSETS_TOPIC, topicId: 'AAAAAAAAQACAAAAAAAAAAg', partitionId: OFFSETS_PARTITION_ID },
] as const

/** Configuration of the engine's own topics: small segments, trimmed at every checkpoint. */
const INTERNAL_CONFIG: Readonly<Record<string, string>> = {
  'segment.bytes': '4194304',
  'retention.ms': '-1',
}

/** All topics by name. */
export class TopicTable implements CatalogueEvents {
  readonly #store: LogStore
  readonly #nodeConfig: Readonly<Record<string, string>>
  readonly #topics = new Map<string, TopicEntry>()
  #views: readonly TopicView[] | undefined
  /** Whether what is replayed is already durable: during recovery. */
  recovering = true
  /** Deleted topics whose deletion is not durable yet. */
  readonly #leaving = new Map<string, TopicEntry>()

  /** @param nodeConfig the node's defaults for topic configuration, by Kafka's names */
  constructor(store: LogStore, nodeConfig: Readonly<Record<string, string>>) {
    this.#store = store
    this.#nodeConfig = nodeConfig
    for (const { name, topicId, partitionId } of INTERNAL_TOPICS) {
      const entry = this.#entry({ name, topicId, partitionIds: [], configs: INTERNAL_CONFIG }, true)
      entry.visible = true
      this.#addPartition(entry, 0, partitionId)
    }
  }

  get nodeConfig(): Readonly<Record<string, string>> {
    return this.#nodeConfig
  }

  get(name: string): TopicEntry | undefined {
    return this.#topics.get(name)
  }

  all(): Iterable<TopicEntry> {
    return this.#topics.values()
  }

  partition(topic: string, partition: number): PartitionLog | undefined {
    return this.#topics.get(topic)?.partitions[partition]
  }

  /** The partitions of compacted topics; the engine's own are trimmed in another way. */
  *compacted(): Generator<PartitionLog> {
    for (const { internal, config, partitions } of this.#topics.values()) {
      if (config.compacts && !internal) yield* partitions
    }
  }

  /** What clients are shown, in order of name. */
  views(nodeId: number): readonly TopicView[] {
    this.#views ??= [...this.#topics.values()]
      .filter(topic => topic.visible)
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map(topic => viewOf(topic, nodeId))
    return this.#views
  }

  view(name: string, nodeId: number): TopicView | undefined {
    const topic = this.#topics.get(name)
    return topic?.visible ? viewOf(topic, nodeId) : undefined
  }

  /** The creation, or the change, is durable: clients may see it. */
  show(name: string): void {
    const topic = this.#topics.get(name)
    if (topic !== undefined) topic.visible = true
    this.#views = undefined
  }

  topicConfigured(topic: CatalogueTopic): void {
    const entry = this.#topics.get(topic.name)
    if (entry === undefined) return
    entry.configs = topic.configs
    entry.config = topicConfigOf(topic.configs, this.#nodeConfig)
  }

  partitionAdded(topic: CatalogueTopic, partition: number, id: number): void {
    const entry = this.#topics.get(topic.name) ?? this.#entry(topic, false)
    this.#addPartition(entry, partition, id)
    this.#views = undefined
  }

  topicDeleted(topic: CatalogueTopic): void {
    const entry = this.#topics.get(topic.name)
    if (entry === undefined) return
    this.#topics.delete(topic.name)
    this.#views = undefined
    for (const partition of entry.partitions) {
      partition.delete()
      // Else it stays in the store until its deletion is durable.
      if (this.recovering) this.#store.partitions.delete(partition.id)
    }
    if (!this.recovering) this.#leaving.set(entry.topicId, entry)
  }

  /**
   * The deletion is durable: takes the files away. Whoever still reads them can finish. What the
   * disk does not let go is taken at the next open, which knows no such partition.
   */
  removeFiles(topicId: string): void {
    const entry = this.#leaving.get(topicId)
    this.#leaving.delete(topicId)
    for (const partition of entry?.partitions ?? []) {
      this.#store.partitions.delete(partition.id)
      try {
        for (const segment of partition.remove()) segment.unlink()
        this.#store.disk.removeFolder(partition.folder)
      } catch (cause) {
        if (!(cause instanceof DiskError)) throw cause
      }
    }
  }

  logStartMoved(partitionId: number, offset: number): void {
    this.#store.partitions.get(partitionId)?.moveLogStart(offset)
  }

  #entry(topic: CatalogueTopic, internal: boolean): TopicEntry {
    const entry: TopicEntry = {
      name: topic.name,
      topicId: topic.topicId,
      internal,
      configs: topic.configs,
      config: topicConfigOf(topic.configs, this.#nodeConfig),
      partitions: [],
      visible: this.recovering,
    }
    this.#topics.set(topic.name, entry)
    return entry
  }

  #addPartition(entry: TopicEntry, partition: number, id: number): void {
    const { disk, cache, settings } = this.#store
    const log = new PartitionLog({
      id,
      topic: entry.name,
      partition,
      disk,
      cache,
      producersMax: settings['partition.producers.max'],
      config: () => entry.config,
    })
    entry.partitions[partition] = log
    this.#store.partitions.set(id, log)
  }
}

function viewOf(topic: TopicEntry, nodeId: number): TopicView {
  const node = [nodeId]
  const partitions: PartitionDescription[] = topic.partitions.map(log => ({
    partition: log.partition,
    leaderEpoch: log.leaderEpoch,
    leader: nodeId,
    replicas: node,
    inSyncReplicas: node,
  }))
  const { name, topicId, internal } = topic
  return { name, topicId, internal, partitions }
}
