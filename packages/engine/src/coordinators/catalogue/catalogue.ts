/**
 * The catalogue: topics, their partitions and configuration, log starts, producer ids.
 *
 * A decide/replay machine on the internal topic `__catalogue`. Records are JSON, one key for each
 * thing, so that the latest record of a key is its state:
 *
 *     topic:NAME    { id, partitions: [partition id, ...], configs: { key: value } } | null
 *     start:ID      { offset }                 first readable offset of a partition
 *     ids           { partition, producer }    never given out before: the next ones
 *
 * Partition ids are never used again, so that journal entries of a deleted partition cannot reach
 * one of the same name (engine rule 8). Producer ids are reserved in blocks.
 */
import { LogError, type Offset } from '@millrace/log'
import { CATALOGUE_PARTITION } from '../../machines/internal-partitions.ts'
import {
  FIRST_CLIENT_PARTITION_ID,
  type InternalPartition,
  type Machine,
  type MachineRecord,
  type MachineSnapshot,
} from '../../machines/machine.ts'
import { type ReadableMap, SnapshotMap } from '../../snapshot-map.ts'

const PRODUCER_ID_BLOCK = 1000
const TOPIC_NAME = /^[a-zA-Z0-9._-]{1,249}$/

/** A topic as the catalogue keeps it. */
export type CatalogueTopic = {
  readonly name: string
  /** 22 characters base64url. */
  readonly topicId: string
  /** Partition ids by partition number. */
  readonly partitionIds: readonly number[]
  readonly configs: Readonly<Record<string, string>>
}

/** Bounds of the catalogue. */
export type CatalogueLimits = {
  readonly topicsMax: number
  readonly partitionsMax: number
  /** The engine's own topics: names that clients cannot take. */
  readonly internalTopics: readonly string[]
}

/** What replay tells whoever keeps the partitions. */
export interface CatalogueEvents {
  topicConfigured(topic: CatalogueTopic): void
  partitionAdded(topic: CatalogueTopic, partition: number, id: number): void
  topicDeleted(topic: CatalogueTopic): void
  logStartMoved(partitionId: number, offset: Offset): void
}

/** Topics and what belongs to them. */
export class Catalogue implements Machine {
  readonly name: string = 'catalogue'
  readonly partition: InternalPartition = CATALOGUE_PARTITION
  readonly #topics = new SnapshotMap<string, CatalogueTopic>()
  readonly #logStarts = new SnapshotMap<number, number>()
  readonly #events: CatalogueEvents
  readonly #limits: CatalogueLimits
  #nextPartitionId = FIRST_CLIENT_PARTITION_ID
  #nextProducerId = 0
  #reservedProducerIds = 0
  #partitionCount = 0

  constructor(events: CatalogueEvents, limits: CatalogueLimits) {
    this.#events = events
    this.#limits = limits
  }

  /** All topics of clients, by name. */
  get topics(): ReadableMap<string, CatalogueTopic> {
    return this.#topics
  }

  /** Log starts that are not 0. */
  get logStarts(): ReadableMap<number, number> {
    return this.#logStarts
  }

  /** First readable offset of a partition. */
  logStart(partitionId: number): number {
    return this.#logStarts.get(partitionId) ?? 0
  }

  /** Ids of all partitions of clients. */
  *partitionIds(): Generator<number> {
    for (const { partitionIds } of this.#topics.values()) yield* partitionIds
  }

  get topicCount(): number {
    return this.#topics.size
  }

  /** Decides on a new topic. Throws LogError; changes nothing. */
  decideCreate(topic: {
    name: string
    topicId: string
    partitions: number
    configs: Readonly<Record<string, string>>
  }): readonly MachineRecord[] {
    this.#checkName(topic.name)
    this.#checkCount(topic.partitions, topic.partitions)
    if (this.#topics.size >= this.#limits.topicsMax) {
      throw new LogError(
        'THROTTLING_QUOTA_EXCEEDED',
        `topics.max is ${this.#limits.topicsMax} and as many exist`,
      )
    }
    const first = this.#nextPartitionId
    const partitionIds = Array.from({ length: topic.partitions }, (_, i) => first + i)
    return [
      this.#idsRecord(first + topic.partitions, this.#reservedProducerIds),
      topicRecord({ ...topic, partitionIds }),
    ]
  }

  /** Decides on more partitions for a topic. */
  decideAddPartitions(name: string, count: number): readonly MachineRecord[] {
    const topic = this.#topic(name)
    const current = topic.partitionIds.length
    if (count <= current) {
      throw new LogError('INVALID_PARTITIONS', `${name} has ${current} partitions, asked: ${count}`)
    }
    this.#checkCount(count, count - current)
    const first = this.#nextPartitionId
    const added = Array.from({ length: count - current }, (_, i) => first + i)
    return [
      this.#idsRecord(first + added.length, this.#reservedProducerIds),
      topicRecord({ ...topic, partitionIds: [...topic.partitionIds, ...added] }),
    ]
  }

  decideDelete(name: string): readonly MachineRecord[] {
    this.#topic(name)
    return [{ key: Buffer.from(`topic:${name}`), value: null }]
  }

  decideConfigs(name: string, configs: Readonly<Record<string, string>>): readonly MachineRecord[] {
    return [topicRecord({ ...this.#topic(name), configs })]
  }

  /** Decides on log starts that move up. */
  decideLogStarts(moves: ReadonlyMap<number, number>): readonly MachineRecord[] {
    return [...moves].map(startRecord)
  }

  /** Decides on a producer id: one of the reserved ones, or a new block. */
  decideProducerId(): { records: readonly MachineRecord[]; producerId: number } {
    const producerId = this.#nextProducerId
    const records =
      producerId < this.#reservedProducerIds
        ? []
        : [this.#idsRecord(this.#nextPartitionId, producerId + PRODUCER_ID_BLOCK)]
    return { records, producerId }
  }

  /** The id that `decideProducerId` gave is taken. Not a record: a restart skips to the next block. */
  takeProducerId(producerId: number): void {
    this.#nextProducerId = producerId + 1
  }

  replay(record: MachineRecord): void {
    const key = record.key.toString()
    const colon = key.indexOf(':')
    const kind = colon < 0 ? key : key.slice(0, colon)
    const name = key.slice(colon + 1)
    if (kind === 'topic') this.#replayTopic(name, record.value)
    else if (kind === 'start' && record.value !== null) {
      const { offset } = JSON.parse(record.value.toString()) as { offset: Offset }
      const id = Number(name)
      this.#logStarts.set(id, Math.max(offset, this.logStart(id)))
      this.#events.logStartMoved(id, this.logStart(id))
    } else if (kind === 'ids' && record.value !== null) {
      const ids = JSON.parse(record.value.toString()) as { partition: number; producer: number }
      this.#nextPartitionId = Math.max(this.#nextPartitionId, ids.partition)
      this.#reservedProducerIds = Math.max(this.#reservedProducerIds, ids.producer)
    }
  }

  /** Alone in its partition. */
  owns(): boolean {
    return true
  }

  snapshot(): MachineSnapshot {
    const ids = this.#idsRecord(this.#nextPartitionId, this.#reservedProducerIds)
    const topics = this.#topics.snapshot()
    const starts = this.#logStarts.snapshot()
    return {
      *records() {
        yield ids
        for (const [, topic] of topics.entries()) yield topicRecord(topic)
        for (const entry of starts.entries()) yield startRecord(entry)
      },
      release: () => {
        topics.release()
        starts.release()
      },
    }
  }

  restore(records: Iterable<MachineRecord>): void {
    for (const record of records) this.replay(record)
  }

  /** Recovery is over: producer ids of the last run's block are not given out again. */
  start(): void {
    this.#nextProducerId = this.#reservedProducerIds
  }

  #replayTopic(name: string, value: Buffer | null): void {
    const known = this.#topics.get(name)
    if (value === null) {
      if (known === undefined) return
      this.#topics.delete(name)
      this.#partitionCount -= known.partitionIds.length
      for (const id of known.partitionIds) this.#logStarts.delete(id)
      this.#events.topicDeleted(known)
      return
    }
    const { id, partitions, configs } = JSON.parse(value.toString()) as {
      id: string
      partitions: number[]
      configs: Record<string, string>
    }
    const topic = { name, topicId: id, partitionIds: partitions, configs }
    this.#topics.set(name, topic)
    if (known !== undefined) this.#events.topicConfigured(topic)
    const had = known?.partitionIds.length ?? 0
    this.#partitionCount += partitions.length - had
    for (let i = had; i < partitions.length; i += 1) {
      this.#events.partitionAdded(topic, i, partitions[i] ?? 0)
    }
  }

  #topic(name: string): CatalogueTopic {
    const topic = this.#topics.get(name)
    if (topic === undefined) throw new LogError('UNKNOWN_TOPIC_OR_PARTITION', name)
    return topic
  }

  #checkName(name: string): void {
    if (!TOPIC_NAME.test(name) || name === '.' || name === '..') {
      throw new LogError('INVALID_TOPIC_EXCEPTION', JSON.stringify(name.slice(0, 260)))
    }
    if (this.#topics.has(name) || this.#limits.internalTopics.includes(name)) {
      throw new LogError('TOPIC_ALREADY_EXISTS', name)
    }
    // "." and "_" become the same character in metric names; Kafka refuses such pairs as well.
    const plain = name.replaceAll('.', '_')
    if (name.includes('.') || name.includes('_')) {
      for (const other of [...this.#limits.internalTopics, ...this.#topics.keys()]) {
        if (other.replaceAll('.', '_') === plain) {
          throw new LogError('INVALID_TOPIC_EXCEPTION', `${name} collides with ${other}`)
        }
      }
    }
  }

  #checkCount(partitions: number, added: number): void {
    if (!Number.isInteger(partitions) || partitions < 1) {
      throw new LogError('INVALID_PARTITIONS', `${partitions}: at least 1`)
    }
    if (this.#partitionCount + added > this.#limits.partitionsMax) {
      throw new LogError(
        'INVALID_PARTITIONS',
        `partitions.max is ${this.#limits.partitionsMax}, ${this.#partitionCount} exist, ${added} more asked`,
      )
    }
  }

  #idsRecord(partition: number, producer: number): MachineRecord {
    return { key: Buffer.from('ids'), value: json({ partition, producer }) }
  }
}

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))

const startRecord = ([id, offset]: readonly [number, number]): MachineRecord => ({
  key: Buffer.from(`start:${id}`),
  value: json({ offset }),
})

const topicRecord = (topic: CatalogueTopic): MachineRecord => ({
  key: Buffer.from(`topic:${topic.name}`),
  value: json({ id: topic.topicId, partitions: topic.partitionIds, configs: topic.configs }),
})
