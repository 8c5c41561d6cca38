/**
 * A log in memory for tests of commands: the port's answers without an engine. It keeps batches as
 * they come, one list a partition, and committed offsets of groups without members. What no command
 * asks for throws, so that a test notices.
 */
import {
  type AppendEntry,
  type AppendResult,
  baseTimestampOf,
  type CommitRequest,
  decodeBatches,
  type FetchedOffset,
  type FetchRequest,
  type FetchResult,
  type GroupDescription,
  type Groups,
  type Log,
  LogError,
  lastOffsetDeltaOf,
  type NewTopic,
  type OffsetAnswer,
  type OffsetQuery,
  setBatchPosition,
  type TopicDescription,
  type TopicOutcome,
} from '@millrace/log'

type Partition = {
  batches: { base: number; last: number; bytes: Buffer }[]
  start: number
  end: number
}
type Topic = { partitions: Partition[]; configs: Record<string, string> }

const unused = (name: string) => (): never => {
  throw new Error(`the scripted log has no ${name}`)
}

export class ScriptedLog implements Log {
  readonly id = 'memory'
  readonly topics = new Map<string, Topic>()
  readonly committed = new Map<string, Map<string, FetchedOffset>>()
  readonly members = new Map<string, GroupDescription['members']>()
  /** Answers the next appends with these errors, in order. */
  readonly appendErrors: LogError[] = []
  /** Throws these at the next fetches, in order. */
  readonly fetchErrors: LogError[] = []
  closed = false
  readonly #waits: (() => void)[] = []

  /** Resolves at the next fetch that finds nothing. */
  waiting(): Promise<void> {
    return new Promise(resolve => this.#waits.push(resolve))
  }

  async createTopics(topics: readonly NewTopic[]): Promise<readonly TopicOutcome[]> {
    return topics.map(({ name, partitions = -1, configs = {} }) => {
      if (this.topics.has(name)) return { name, error: new LogError('TOPIC_ALREADY_EXISTS', name) }
      const count = partitions === -1 ? 2 : partitions
      this.topics.set(name, {
        partitions: Array.from({ length: count }, () => ({ batches: [], start: 0, end: 0 })),
        configs: { ...configs },
      })
      return { name, topicId: `id-${name}`, partitions: count }
    })
  }

  async describeTopics(names?: readonly string[]): Promise<readonly TopicDescription[]> {
    return [...this.topics.entries()]
      .filter(([name]) => names === undefined || names.includes(name))
      .map(([name, topic]) => ({
        name,
        topicId: `id-${name}`,
        internal: name.startsWith('__'),
        partitions: topic.partitions.map((_, partition) => ({
          partition,
          leaderEpoch: 0,
          leader: 1,
          replicas: [1],
          inSyncReplicas: [1],
        })),
      }))
  }

  async deleteTopics(names: readonly string[]): Promise<readonly TopicOutcome[]> {
    return names.map(name =>
      this.topics.delete(name)
        ? { name }
        : { name, error: new LogError('UNKNOWN_TOPIC_OR_PARTITION', name) },
    )
  }

  async createPartitions(
    topics: readonly { readonly name: string; readonly partitions: number }[],
  ): Promise<readonly TopicOutcome[]> {
    return topics.map(({ name, partitions }) => {
      const topic = this.topics.get(name)
      if (topic === undefined || partitions <= topic.partitions.length) {
        return { name, error: new LogError('INVALID_PARTITIONS', String(partitions)) }
      }
      while (topic.partitions.length < partitions) {
        topic.partitions.push({ batches: [], start: 0, end: 0 })
      }
      return { name }
    })
  }

  async describeConfig(name: string) {
    const configs = this.#topic(name).configs
    return ['retention.ms', 'cleanup.policy'].map(key => ({
      name: key,
      value: configs[key] ?? 'default',
      source: configs[key] === undefined ? ('default' as const) : ('topic' as const),
      type: 'string' as const,
      readOnly: false,
      documentation: '',
    }))
  }

  async alterConfig(
    name: string,
    changes: readonly { readonly name: string; readonly value: string | null }[],
  ): Promise<void> {
    const { configs } = this.#topic(name)
    for (const change of changes) {
      if (change.value === null) delete configs[change.name]
      else configs[change.name] = change.value
    }
  }

  async append(entries: readonly AppendEntry[]): Promise<readonly AppendResult[]> {
    return entries.map(({ topic, partition, batch }) => {
      const error = this.appendErrors.shift()
      const none = { logAppendTime: -1, logStartOffset: 0 }
      if (error !== undefined) return { ...none, error, baseOffset: -1 }
      const target = this.#partition(topic, partition)
      const bytes = Buffer.from(batch)
      const base = target.end
      setBatchPosition(bytes, 0, base, 0)
      target.end = base + lastOffsetDeltaOf(bytes) + 1
      target.batches.push({ base, last: target.end - 1, bytes })
      return { ...none, baseOffset: base }
    })
  }

  async fetch(request: FetchRequest): Promise<readonly FetchResult[]> {
    const error = this.fetchErrors.shift()
    if (error !== undefined) throw error
    const results = request.positions.map(({ topic, partition, offset }) => {
      const { batches, start, end } = this.#partition(topic, partition)
      const records = batches.filter(batch => batch.last >= offset).map(batch => batch.bytes)
      return {
        topic,
        partition,
        highWatermark: end,
        lastStableOffset: end,
        logStartOffset: start,
        records: Buffer.concat(records),
        abortedTransactions: [],
      }
    })
    if (results.every(result => result.records.length === 0)) {
      for (const wait of this.#waits.splice(0)) wait()
      await new Promise(resolve => setTimeout(resolve, Math.min(5, request.maxWaitMs)))
    }
    return results
  }

  async listOffsets(queries: readonly OffsetQuery[]): Promise<readonly OffsetAnswer[]> {
    return queries.map(({ topic, partition, place }) => {
      const { batches, start, end } = this.#partition(topic, partition)
      const answer = { topic, partition, timestamp: -1, leaderEpoch: 0 }
      if (place === 'earliest') return { ...answer, offset: start }
      if (place === 'latest' || place === 'maxTimestamp') return { ...answer, offset: end }
      const found = batches
        .flatMap(batch => [...decodeBatches(batch.bytes)].flatMap(each => [...each.records()]))
        .find(record => record.timestamp >= place)
      return { ...answer, offset: found?.offset ?? -1 }
    })
  }

  /** Takes away what lies before an offset, batch by batch. */
  trim(topic: string, partition: number, offset: number): void {
    const target = this.#partition(topic, partition)
    target.start = offset
    target.batches = target.batches.filter(batch => batch.last >= offset)
  }

  /** All values of a partition as text, in order. */
  values(topic: string, partition: number): (string | null)[] {
    return this.#partition(topic, partition).batches.flatMap(batch =>
      [...decodeBatches(batch.bytes)].flatMap(each =>
        [...each.records()].map(record => record.value?.toString() ?? null),
      ),
    )
  }

  /** The base timestamps of a partition's batches. */
  times(topic: string, partition: number): number[] {
    return this.#partition(topic, partition).batches.map(batch => baseTimestampOf(batch.bytes))
  }

  async describeSizes(topics: readonly string[] = [...this.topics.keys()]) {
    return topics.flatMap(topic =>
      this.#topic(topic).partitions.map((each, partition) => ({
        topic,
        partition,
        bytes: each.batches.reduce((sum, batch) => sum + batch.bytes.length, 0),
      })),
    )
  }

  async initProducer() {
    return { producerId: 1, producerEpoch: 0 }
  }

  readonly groups: Groups = {
    join: unused('join'),
    sync: unused('sync'),
    heartbeat: unused('heartbeat'),
    leave: unused('leave'),
    deleteOffsets: unused('deleteOffsets'),
    commit: async (request: CommitRequest) => {
      const group = this.committed.get(request.groupId) ?? new Map<string, FetchedOffset>()
      this.committed.set(request.groupId, group)
      for (const each of request.offsets) group.set(`${each.topic}/${each.partition}`, each)
      return request.offsets.map(({ topic, partition }) => ({ topic, partition }))
    },
    fetchOffsets: async groupId => [...(this.committed.get(groupId)?.values() ?? [])],
    list: async filter =>
      [...this.committed.keys()]
        .map(groupId => ({ groupId, protocolType: 'consumer', state: this.#state(groupId) }))
        .filter(({ state }) => filter?.states?.includes(state) ?? true),
    describe: async ids =>
      ids.map(groupId => ({
        groupId,
        protocolType: 'consumer',
        protocolName: '',
        state: this.#state(groupId),
        members: this.members.get(groupId) ?? [],
      })),
    delete: async ids =>
      ids.map(groupId =>
        this.committed.delete(groupId)
          ? { groupId }
          : { groupId, error: new LogError('GROUP_ID_NOT_FOUND', groupId) },
      ),
  }

  deleteRecords: Log['deleteRecords'] = unused('deleteRecords')

  async close(): Promise<void> {
    this.closed = true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #state(groupId: string): GroupDescription['state'] {
    if (!this.committed.has(groupId)) return 'Dead'
    return (this.members.get(groupId)?.length ?? 0) > 0 ? 'Stable' : 'Empty'
  }

  #topic(name: string): Topic {
    const topic = this.topics.get(name)
    if (topic === undefined) throw new LogError('UNKNOWN_TOPIC_OR_PARTITION', name)
    return topic
  }

  #partition(name: string, partition: number): Partition {
    const found = this.topics.get(name)?.partitions[partition]
    if (found === undefined)
      throw new LogError('UNKNOWN_TOPIC_OR_PARTITION', `${name}/${partition}`)
    return found
  }
}
