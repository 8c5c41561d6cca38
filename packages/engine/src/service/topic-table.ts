/**
 * Topics and their partitions as requests look them up: by name and number, synchronously.
 *
 * Fed by the catalogue's replay, in two layers. What has been decided is at once there for who writes:
 * the journal keeps the order, so an append can enter behind the creation of its topic. What readers
 * are shown (names, partitions, configuration, log starts, deletions) changes when the commit group
 * that decided it is complete: nobody learns what a crash could take back.
 */

import type { Turns } from '@millrace/base'
import type { Offset, PartitionDescription } from '@millrace/log'
import type { CatalogueEvents, CatalogueTopic } from '../coordinators/catalogue/catalogue.ts'
import { DiskError } from '../disk/disk.ts'
import type { TopicView } from '../engine.ts'
import type { InternalPartition } from '../machines/machine.ts'
import { PartitionLog } from '../partitions/partition-log.ts'
import { ProducerCount } from '../partitions/producer-ledger.ts'
import { type TopicConfig, topicConfigOf } from '../partitions/topic-config.ts'
import { unlinkAll } from '../segments/segment.ts'
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
}

/** A topic as readers see it: by the last complete group. */
export type ShownTopic = {
  readonly topic: TopicEntry
  readonly configs: Readonly<Record<string, string>>
  readonly partitions: readonly PartitionLog[]
}

/** Configuration of the engine's own topics: small segments, trimmed at every checkpoint. */
const INTERNAL_CONFIG: Readonly<Record<string, string>> = {
  'segment.bytes': '4194304',
  'retention.ms': '-1',
}

/** All topics by name. */
export class TopicTable implements CatalogueEvents {
  readonly #store: LogStore
  readonly #nodeConfig: Readonly<Record<string, string>>
  readonly #whenDurable: (effect: () => void) => void
  readonly #turns: Turns
  readonly #topics = new Map<string, TopicEntry>()
  readonly #shown = new Map<string, ShownTopic>()
  readonly #shownById = new Map<string, ShownTopic>()
  /** Made when asked for: every request looks topics up, few topics change. */
  readonly #viewOf = new WeakMap<ShownTopic, TopicView>()
  /** The producers that all partitions remember. */
  readonly producers: ProducerCount
  #views: readonly TopicView[] | undefined
  /** Whether what is replayed is already durable: during recovery. */
  recovering = true
  /** Deleted topics whose deletion is not durable yet. */
  readonly #leaving = new Map<string, TopicEntry>()
  #closed = false

  constructor(parts: {
    store: LogStore
    /** The node's defaults for topic configuration, by Kafka's names. */
    nodeConfig: Readonly<Record<string, string>>
    /** Runs an effect once the group that is open now is complete. */
    whenDurable: (effect: () => void) => void
    /** The budget of what may be done later. */
    turns: Turns
  }) {
    this.#turns = parts.turns
    this.#store = parts.store
    this.#nodeConfig = parts.nodeConfig
    this.#whenDurable = parts.whenDurable
    this.producers = new ProducerCount(parts.store.settings['producers.max'])
  }

  /** Adds the partitions of the machines; once, before recovery. */
  addInternal(partitions: readonly InternalPartition[]): void {
    for (const { id, topic, topicId, partition } of partitions) {
      const made = { name: topic, topicId, partitionIds: [], configs: INTERNAL_CONFIG }
      this.#addPartition(this.#topics.get(topic) ?? this.#entry(made, true), partition, id)
      this.#show(topic)
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

  /** Whether the name stands for another topic now, or for none. */
  isAnother(topic: string, topicId: string | undefined): boolean {
    return topicId !== undefined && this.#topics.get(topic)?.topicId !== topicId
  }

  /** The partitions of compacted topics; the engine's own are trimmed in another way. */
  *compacted(): Generator<PartitionLog> {
    for (const { internal, config, partitions } of this.#topics.values()) {
      if (config.compacts && !internal) yield* partitions
    }
  }

  /** A topic as readers see it. */
  shown(name: string): ShownTopic | undefined {
    return this.#shown.get(name)
  }

  /** All topics as readers see them. */
  allShown(): Iterable<ShownTopic> {
    return this.#shown.values()
  }

  /** A partition that readers may know of; of the topic with this id, if one is given. */
  readable(topic: string, partition: number, topicId?: string): PartitionLog | undefined {
    const shown = this.#shown.get(topic)
    if (topicId !== undefined && shown?.topic.topicId !== topicId) return undefined
    return shown?.partitions[partition]
  }

  /** What clients are shown, in order of name. */
  views(nodeId: number): readonly TopicView[] {
    this.#views ??= [...this.#shown.values()]
      .sort((a, b) => (a.topic.name < b.topic.name ? -1 : 1))
      .map(topic => this.#view(topic, nodeId))
    return this.#views
  }

  view(name: string, nodeId: number): TopicView | undefined {
    const topic = this.#shown.get(name)
    return topic === undefined ? undefined : this.#view(topic, nodeId)
  }

  viewById(topicId: string, nodeId: number): TopicView | undefined {
    const topic = this.#shownById.get(topicId)
    return topic === undefined ? undefined : this.#view(topic, nodeId)
  }

  #view(topic: ShownTopic, nodeId: number): TopicView {
    let view = this.#viewOf.get(topic)
    if (view === undefined) {
      view = viewOf(topic, nodeId)
      this.#viewOf.set(topic, view)
    }
    return view
  }

  topicConfigured(topic: CatalogueTopic): void {
    const entry = this.#topics.get(topic.name)
    if (entry === undefined) return
    entry.configs = topic.configs
    entry.config = topicConfigOf(topic.configs, this.#nodeConfig, this.#store.settings)
    this.#later(() => this.#showEntry(entry, topic.configs, topic.partitionIds.length))
  }

  partitionAdded(topic: CatalogueTopic, partition: number, id: number): void {
    const entry = this.#topics.get(topic.name) ?? this.#entry(topic, false)
    this.#addPartition(entry, partition, id)
    if (partition < topic.partitionIds.length - 1) return // shown with the last of them
    this.#later(() => this.#showEntry(entry, topic.configs, topic.partitionIds.length))
  }

  topicDeleted(topic: CatalogueTopic): void {
    const entry = this.#topics.get(topic.name)
    if (entry === undefined) return
    this.#topics.delete(topic.name)
    for (const partition of entry.partitions) {
      partition.delete()
      // Else it stays in the store until its deletion is durable.
      if (this.recovering) this.#store.partitions.delete(partition.id)
    }
    if (!this.recovering) this.#leaving.set(entry.topicId, entry)
    this.#later(() => {
      if (this.#shown.get(topic.name)?.topic === entry) this.#shown.delete(topic.name)
      this.#shownById.delete(entry.topicId)
      this.#views = undefined
      for (const partition of entry.partitions) partition.leave()
    })
  }

  /**
   * The deletion is durable: takes the files away, in slices. Whoever still reads them can finish.
   * What the disk does not let go, or a crash or the end of the engine leaves, is taken at the next
   * open, which knows no such partition.
   */
  async removeFiles(topicId: string): Promise<void> {
    const entry = this.#leaving.get(topicId)
    this.#leaving.delete(topicId)
    // At once, and for all of them: no checkpoint lists files that are about to go.
    const left = (entry?.partitions ?? []).map(partition => {
      this.#store.partitions.delete(partition.id)
      return { folder: partition.folder, segments: partition.remove() }
    })
    for (const { folder, segments } of left) {
      for (const segment of segments) {
        if (this.#turns.spent()) await this.#turns.next()
        if (this.#closed) return
        unlinkAll([segment])
      }
      this.#removeFolder(folder)
    }
  }

  /** No file is taken away any more: the folder may have another owner. */
  close(): void {
    this.#closed = true
  }

  #removeFolder(folder: string): void {
    try {
      this.#store.disk.removeFolder(folder)
    } catch (cause) {
      if (!(cause instanceof DiskError)) throw cause
    }
  }

  logStartMoved(partitionId: number, offset: Offset): void {
    this.#later(() => this.#store.partitions.get(partitionId)?.moveLogStart(offset))
  }

  #later(effect: () => void): void {
    if (this.recovering) effect()
    else this.#whenDurable(effect)
  }

  #show(name: string): void {
    const entry = this.#topics.get(name)
    if (entry !== undefined) this.#showEntry(entry, entry.configs, entry.partitions.length)
  }

  #showEntry(topic: TopicEntry, configs: ShownTopic['configs'], partitions: number): void {
    // Its deletion may have been decided meanwhile; until that is durable it is there.
    const shown = { topic, configs, partitions: topic.partitions.slice(0, partitions) }
    this.#shown.set(topic.name, shown)
    this.#shownById.set(topic.topicId, shown)
    this.#views = undefined
  }

  #entry(topic: CatalogueTopic, internal: boolean): TopicEntry {
    const entry: TopicEntry = {
      name: topic.name,
      topicId: topic.topicId,
      internal,
      configs: topic.configs,
      config: topicConfigOf(topic.configs, this.#nodeConfig, this.#store.settings),
      partitions: [],
    }
    this.#topics.set(topic.name, entry)
    return entry
  }

  #addPartition(entry: TopicEntry, partition: number, id: number): void {
    const { disk, cache, small, settings } = this.#store
    const log = new PartitionLog({
      id,
      topic: entry.name,
      partition,
      disk,
      cache,
      small,
      producersMax: settings['partition.producers.max'],
      allProducers: this.producers,
      config: () => entry.config,
    })
    entry.partitions[partition] = log
    this.#store.partitions.set(id, log)
  }
}

function viewOf({ topic, partitions: logs }: ShownTopic, nodeId: number): TopicView {
  const node = [nodeId]
  const partitions: PartitionDescription[] = logs.map(log => ({
    partition: log.partition,
    leaderEpoch: log.leaderEpoch,
    leader: nodeId,
    replicas: node,
    inSyncReplicas: node,
  }))
  const { name, topicId, internal } = topic
  return { name, topicId, internal, partitions }
}
