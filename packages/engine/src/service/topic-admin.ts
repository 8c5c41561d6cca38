/**
 * Administration of topics: each call decides, writes the catalogue's records, replays them, and
 * answers when they are durable.
 */

import { type Random, type Timers, type Turns, within } from '@millrace/base'
import {
  asLogError,
  type ConfigChange,
  type DeleteRecordsOutcome,
  LogError,
  type NewTopic,
  type Offset,
  type TopicOutcome,
  type TopicPartition,
} from '@millrace/log'
import type { Catalogue } from '../coordinators/catalogue/catalogue.ts'
import type { MachineRecord } from '../machines/machine.ts'
import type { Commits } from '../machines/runtime.ts'
import {
  canonicalTopicConfig,
  changeTopicConfig,
  describeTopicConfig,
} from '../partitions/topic-config.ts'
import type { EngineSettings } from '../settings.ts'
import type { TopicTable } from './topic-table.ts'

/** The catalogue's runtime. */
export class TopicAdmin {
  readonly #catalogue: Catalogue
  readonly #topics: TopicTable
  readonly #commits: Commits
  readonly #random: Random
  readonly #settings: EngineSettings
  readonly #turns: Turns
  readonly #timers: Pick<Timers, 'after'>
  readonly #answerMaxMs: number
  readonly #onDeleted: (topic: string) => Promise<void>
  readonly #purged: (topic: string) => Promise<void> | undefined

  constructor(parts: {
    catalogue: Catalogue
    topics: TopicTable
    commits: Commits
    random: Random
    settings: EngineSettings
    turns: Turns
    /** For the limit of answers, which is `admin.timeout.ms`. */
    timers: Pick<Timers, 'after'>
    /**
     * A topic's deletion is in the open group: whatever is kept about it elsewhere goes with it.
     * Resolves when that is durable. Where it rejects it has told so, and goes on by itself.
     */
    onDeleted: (topic: string) => Promise<void>
    /** Whether something is still kept about an earlier topic of this name; resolves when it is not. */
    purged: (topic: string) => Promise<void> | undefined
  }) {
    this.#onDeleted = parts.onDeleted
    this.#purged = parts.purged
    this.#catalogue = parts.catalogue
    this.#topics = parts.topics
    this.#commits = parts.commits
    this.#random = parts.random
    this.#settings = parts.settings
    this.#turns = parts.turns
    this.#timers = parts.timers
    this.#answerMaxMs = parts.settings['admin.timeout.ms']
  }

  createTopics(
    topics: readonly NewTopic[],
    validateOnly: boolean,
  ): Promise<readonly TopicOutcome[]> {
    return this.#each(topics, topic =>
      this.#outcome(topic.name, () => this.#create(topic, validateOnly)),
    )
  }

  deleteTopics(
    names: readonly string[],
    topicIds?: ReadonlyMap<string, string>,
  ): Promise<readonly TopicOutcome[]> {
    return this.#each(names, name =>
      this.#outcome(name, async () => {
        this.#refuseInternal(name)
        const meant = topicIds?.get(name)
        if (this.#topics.isAnother(name, meant)) {
          throw new LogError('UNKNOWN_TOPIC_ID', `${name} has not id ${meant}`)
        }
        const topicId = this.#topics.get(name)?.topicId ?? ''
        const records = this.#catalogue.decideDelete(name)
        // Where this throws, everything stays.
        const durable = this.#commits.commit([{ machine: this.#catalogue, records }], {
          makesRoom: true,
        })
        // A topic of this name never meets what was kept about this one: it is not created before. The
        // topic is gone whatever becomes of that, so its deletion has not failed.
        const purged = this.#onDeleted(name).catch(() => undefined)
        await durable
        await this.#topics.removeFiles(topicId)
        await purged
        return { name }
      }),
    )
  }

  createPartitions(
    topics: readonly { readonly name: string; readonly partitions: number }[],
    validateOnly: boolean,
  ): Promise<readonly TopicOutcome[]> {
    return this.#each(topics, ({ name, partitions }) =>
      this.#outcome(name, async () => {
        this.#refuseInternal(name)
        const records = this.#catalogue.decideAddPartitions(name, partitions)
        await this.#write(validateOnly ? [] : records)
        return { name, partitions }
      }),
    )
  }

  alterConfig(
    name: string,
    changes: readonly ConfigChange[],
    validateOnly: boolean,
  ): Promise<void> {
    return this.#answered(() => {
      const topic = this.#topics.get(name)
      if (topic === undefined) throw new LogError('UNKNOWN_TOPIC_OR_PARTITION', name)
      this.#refuseInternal(name)
      const configs = changeTopicConfig(topic.configs, changes)
      const records = this.#catalogue.decideConfigs(name, configs)
      return this.#write(validateOnly ? [] : records)
    })
  }

  deleteRecords(
    targets: readonly (TopicPartition & { readonly offset: Offset })[],
  ): Promise<readonly DeleteRecordsOutcome[]> {
    return Promise.all(
      targets.map(async ({ topic, partition, offset }) => {
        try {
          const move = () => this.#moveStart(topic, partition, offset)
          return { topic, partition, lowWatermark: await this.#answered(move) }
        } catch (cause) {
          return { topic, partition, lowWatermark: -1, error: asLogError(cause) }
        }
      }),
    )
  }

  /** Moves log starts up, durably; the files go later. */
  async moveLogStarts(moves: ReadonlyMap<number, Offset>): Promise<void> {
    await this.#write(this.#catalogue.decideLogStarts(moves), { makesRoom: true })
  }

  newProducerId(): Promise<number> {
    return this.#answered(async () => {
      const { records, producerId } = this.#catalogue.decideProducerId()
      this.#catalogue.takeProducerId(producerId)
      await this.#write(records)
      return producerId
    })
  }

  async #create(topic: NewTopic, validateOnly: boolean): Promise<TopicOutcome> {
    const factor = topic.replicationFactor ?? -1
    if (factor !== -1 && factor !== 1) {
      throw new LogError('INVALID_REPLICATION_FACTOR', `${topic.name}: ${factor}`)
    }
    const asked = topic.partitions ?? -1
    const partitions = asked === -1 ? this.#settings['num.partitions'] : asked
    const configs = canonicalTopicConfig(topic.configs ?? {})
    await this.#purged(topic.name)
    const topicId = this.#newTopicId()
    const { name } = topic
    const records = this.#catalogue.decideCreate({ name, topicId, partitions, configs })
    await this.#write(validateOnly ? [] : records)
    const described = describeTopicConfig(configs, this.#topics.nodeConfig, this.#settings)
    return { name, topicId, partitions, configs: described }
  }

  /** A random UUID (version 4) whose text does not begin with "-", as Kafka's never do. */
  #newTopicId(): string {
    for (;;) {
      const bytes = this.#random.bytes(16)
      bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x40, 6)
      bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8)
      const text = bytes.toString('base64url')
      if (!text.startsWith('-')) return text
    }
  }

  async #moveStart(topic: string, partition: number, offset: Offset): Promise<Offset> {
    const log = this.#topics.partition(topic, partition)
    if (log === undefined) {
      throw new LogError('UNKNOWN_TOPIC_OR_PARTITION', `${topic}-${partition}`)
    }
    if (this.#topics.get(topic)?.internal === true) {
      throw new LogError('INVALID_TOPIC_EXCEPTION', `${topic} is internal`)
    }
    if (!log.config.deletes) {
      throw new LogError('POLICY_VIOLATION', `${topic}: cleanup.policy has no delete`)
    }
    const target = offset === -1 ? log.highWatermark : offset
    if (target < 0 || target > log.highWatermark) {
      throw new LogError(
        'OFFSET_OUT_OF_RANGE',
        `${topic}-${partition}: ${offset}, at most ${log.highWatermark}`,
      )
    }
    // What has been decided, durable or not: a start never moves back.
    const decided = Math.max(log.logStart, this.#catalogue.logStart(log.id))
    const moves = target > decided ? new Map([[log.id, target]]) : new Map()
    await this.moveLogStarts(moves)
    return Math.max(target, decided)
  }

  #refuseInternal(name: string): void {
    if (this.#topics.get(name)?.internal === true) {
      throw new LogError('INVALID_TOPIC_EXCEPTION', `${name} is internal`)
    }
  }

  /** Records go in and are replayed in one step; resolves when they, and all before, are durable. */
  async #write(
    records: readonly MachineRecord[],
    options: { readonly makesRoom?: boolean } = {},
  ): Promise<void> {
    await this.#commits.commit([{ machine: this.#catalogue, records }], options)
  }

  /** One after the other, without waiting for answers, within the budget of each turn. */
  async #each<T>(
    items: readonly T[],
    work: (item: T) => Promise<TopicOutcome>,
  ): Promise<readonly TopicOutcome[]> {
    const outcomes: Promise<TopicOutcome>[] = []
    for (const item of items) {
      if (this.#turns.spent()) await this.#turns.next()
      outcomes.push(work(item))
    }
    return Promise.all(outcomes)
  }

  /**
   * A refusal rests on what is there already: it waits for that as every answer does, and no answer
   * waits for longer than its limit. What has been decided goes on.
   */
  #answered<T>(work: () => Promise<T>): Promise<T> {
    const ms = this.#answerMaxMs
    const late = (): LogError =>
      new LogError('REQUEST_TIMED_OUT', `admin.timeout.ms=${ms}: it may still happen`)
    return within(this.#timers, ms, () => this.#settled(work), late)
  }

  async #settled<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (cause) {
      await this.#commits.settled()
      throw cause
    }
  }

  async #outcome(name: string, work: () => Promise<TopicOutcome>): Promise<TopicOutcome> {
    try {
      return await this.#answered(work)
    } catch (cause) {
      return { name, error: asLogError(cause) }
    }
  }
}
