/**
 * An engine in memory: topics, batches, waiting reads, committed offsets of groups of one member.
 * Enough to see what the listener and the handlers make of it; tests replace single methods.
 */
import type { Engine, RecordSlice, SlicedFetchResult, TopicView } from '@millrace/engine'
import {
  type AppendResult,
  baseOffsetOf,
  type CommittedOffset,
  type ConfigEntry,
  type FetchRequest,
  type Groups,
  LogError,
  lastOffsetDeltaOf,
  lastOffsetOf,
  type OffsetAnswer,
  setBatchPosition,
} from '@millrace/log'

const NO_BYTES = Buffer.alloc(0)
const TOPICS_MAX = 200

type Partition = { batches: Buffer[]; next: number; start: number }
type Topic = {
  readonly view: TopicView
  readonly partitions: Partition[]
  configs: Map<string, string>
}

/** Slices that are not released yet, over all fake slices. */
export const slices = { open: 0 }

/** A slice of bytes that a function makes. */
export function fakeSlice(
  byteLength: number,
  read: (from: number, target: Buffer) => void,
): RecordSlice {
  slices.open += 1
  let open = true
  return {
    byteLength,
    read: (from, target) => {
      if (!open) throw new Error('read after release')
      if (from + target.length > byteLength) throw new Error('read past the end')
      read(from, target)
    },
    release: () => {
      if (!open) throw new Error('released twice')
      open = false
      slices.open -= 1
    },
  }
}

const unknown = (name: string): LogError => new LogError('UNKNOWN_TOPIC_OR_PARTITION', name)

export class FakeEngine {
  readonly id = 'fake-log'
  readonly nodeId = 1
  readonly topics = new Map<string, Topic>()
  readonly #waiting = new Set<() => void>()
  readonly #offsets = new Map<string, Map<string, CommittedOffset>>()
  #topicCount = 0

  addTopic(name: string, partitions = 1): void {
    this.#topicCount += 1
    const topicId = Buffer.alloc(16, this.#topicCount).toString('base64url')
    this.topics.set(name, {
      view: {
        name,
        topicId,
        internal: false,
        partitions: Array.from({ length: partitions }, (_, partition) => ({
          partition,
          leaderEpoch: 0,
          leader: 1,
          replicas: [1],
          inSyncReplicas: [1],
        })),
      },
      partitions: Array.from({ length: partitions }, () => ({ batches: [], next: 0, start: 0 })),
      configs: new Map(),
    })
  }

  /** The part of `Engine` that is here, as an `Engine`. */
  get engine(): Engine {
    return this as unknown as Engine
  }

  #partition(topic: string, partition: number): Partition | undefined {
    return this.topics.get(topic)?.partitions[partition]
  }

  topic(name: string): TopicView | undefined {
    return this.topics.get(name)?.view
  }

  topicById(topicId: string): TopicView | undefined {
    return this.allTopics().find(topic => topic.topicId === topicId)
  }

  allTopics(): readonly TopicView[] {
    return [...this.topics.values()].map(({ view }) => view)
  }

  createTopics: Engine['createTopics'] = async (topics, options) =>
    topics.map(({ name, partitions = -1 }) => {
      if (this.topics.has(name)) return { name, error: new LogError('TOPIC_ALREADY_EXISTS', name) }
      const count = partitions < 0 ? 1 : partitions
      if (count === 0 || count > 100) return { name, error: new LogError('INVALID_PARTITIONS') }
      if (this.topics.size >= TOPICS_MAX) {
        return { name, error: new LogError('THROTTLING_QUOTA_EXCEEDED', 'topics.max') }
      }
      if (options?.validateOnly !== true) this.addTopic(name, count)
      const topicId = this.topics.get(name)?.view.topicId
      return { name, partitions: count, ...(topicId === undefined ? {} : { topicId }) }
    })

  deleteTopics: Engine['deleteTopics'] = async names =>
    names.map(name => (this.topics.delete(name) ? { name } : { name, error: unknown(name) }))

  createPartitions: Engine['createPartitions'] = async topics =>
    topics.map(({ name, partitions }) => {
      if (!this.topics.has(name)) return { name, error: unknown(name) }
      return { name, partitions }
    })

  describeConfig: Engine['describeConfig'] = async name => {
    const topic = this.topics.get(name)
    if (topic === undefined) throw unknown(name)
    const own = topic.configs.get('retention.ms')
    const entry: ConfigEntry = {
      name: 'retention.ms',
      value: own ?? '604800000',
      source: own === undefined ? 'default' : 'topic',
      type: 'long',
      readOnly: false,
      documentation: 'How long records are kept.',
    }
    return [entry]
  }

  alterConfig: Engine['alterConfig'] = async (name, changes) => {
    const topic = this.topics.get(name)
    if (topic === undefined) throw unknown(name)
    for (const { name: key, operation, value } of changes) {
      if (key !== 'retention.ms') throw new LogError('INVALID_CONFIG', key)
      if (operation === 'set' && value !== null) topic.configs.set(key, value)
      else topic.configs.delete(key)
    }
  }

  nodeConfig: Engine['nodeConfig'] = () => [
    {
      name: 'num.partitions',
      value: '1',
      source: 'default',
      type: 'int',
      readOnly: true,
      documentation: 'Partitions of a topic that does not say.',
    },
  ]

  storage: Engine['storage'] = () => ({ folder: '/data', totalBytes: 1000, freeBytes: 400 })

  describeProducers: Engine['describeProducers'] = async () => []

  describeSizes: Engine['describeSizes'] = async () =>
    [...this.topics].flatMap(([topic, { partitions }]) =>
      partitions.map(({ batches }, partition) => ({
        topic,
        partition,
        bytes: Buffer.concat(batches).length,
      })),
    )

  initProducer: Engine['initProducer'] = async ({ transactionalId, current }) => {
    if (transactionalId !== null) throw new LogError('UNSUPPORTED_VERSION', 'transactions')
    return current ?? { producerId: 7, producerEpoch: 0 }
  }

  append: Engine['append'] = async entries => {
    const results = entries.map(({ topic, partition, batch }): AppendResult => {
      const log = this.#partition(topic, partition)
      if (log === undefined) {
        return { error: unknown(topic), baseOffset: -1, logAppendTime: -1, logStartOffset: -1 }
      }
      const baseOffset = log.next
      const own = Buffer.from(batch)
      setBatchPosition(own, 0, baseOffset, 0)
      log.next += lastOffsetDeltaOf(own) + 1
      log.batches.push(own)
      return { baseOffset, logAppendTime: -1, logStartOffset: log.start }
    })
    for (const wake of [...this.#waiting]) wake()
    return results
  }

  #look({ positions }: FetchRequest): { bytes: number; found: (Buffer | LogError)[] } {
    let bytes = 0
    const found = positions.map(({ topic, partition, offset, maxBytes }) => {
      const log = this.#partition(topic, partition)
      if (log === undefined) return unknown(topic)
      if (offset > log.next || offset < log.start) return new LogError('OFFSET_OUT_OF_RANGE')
      const taken: Buffer[] = []
      let size = 0
      for (const batch of log.batches) {
        if (lastOffsetOf(batch) < offset) continue
        if (size > 0 && size + batch.length > maxBytes) break
        taken.push(batch)
        size += batch.length
      }
      bytes += size
      return Buffer.concat(taken)
    })
    return { bytes, found }
  }

  fetchSlices: Engine['fetchSlices'] = async request => {
    const done = (): boolean => {
      const { bytes, found } = this.#look(request)
      return bytes >= request.minBytes || found.some(one => one instanceof LogError)
    }
    if (!done() && request.maxWaitMs > 0 && request.signal?.aborted !== true) {
      await new Promise<void>(resolve => {
        const end = (): void => {
          clearTimeout(timer)
          this.#waiting.delete(wake)
          request.signal?.removeEventListener('abort', end)
          resolve()
        }
        const wake = (): void => {
          if (done()) end()
        }
        const timer = setTimeout(end, request.maxWaitMs)
        this.#waiting.add(wake)
        request.signal?.addEventListener('abort', end)
      })
    }
    const { found } = this.#look(request)
    return request.positions.map(({ topic, partition }, index): SlicedFetchResult => {
      const bytes = found[index]
      const failed = bytes instanceof LogError
      const held = failed || bytes === undefined ? NO_BYTES : bytes
      const log = this.#partition(topic, partition)
      return {
        topic,
        partition,
        ...(failed ? { error: bytes } : {}),
        highWatermark: log?.next ?? -1,
        lastStableOffset: log?.next ?? -1,
        logStartOffset: log?.start ?? -1,
        abortedTransactions: [],
        records: fakeSlice(held.length, (from, target) => {
          held.copy(target, 0, from, from + target.length)
        }),
      }
    })
  }

  listOffsets: Engine['listOffsets'] = async queries =>
    queries.map(({ topic, partition, place }): OffsetAnswer => {
      const log = this.#partition(topic, partition)
      if (log === undefined) {
        const error = unknown(topic)
        return { topic, partition, error, offset: -1, timestamp: -1, leaderEpoch: -1 }
      }
      const first = log.batches[0]
      const found = first === undefined ? -1 : baseOffsetOf(first)
      const offset = place === 'latest' ? log.next : place === 'earliest' ? log.start : found
      return { topic, partition, offset, timestamp: -1, leaderEpoch: 0 }
    })

  deleteRecords: Engine['deleteRecords'] = async targets =>
    targets.map(({ topic, partition, offset }) => {
      const log = this.#partition(topic, partition)
      if (log === undefined) return { topic, partition, error: unknown(topic), lowWatermark: -1 }
      log.start = offset === -1 ? log.next : offset
      return { topic, partition, lowWatermark: log.start }
    })

  endOfEpoch: Engine['endOfEpoch'] = (topic, partition) => {
    const log = this.#partition(topic, partition)
    return log === undefined
      ? { error: unknown(topic), leaderEpoch: -1, endOffset: -1 }
      : { leaderEpoch: 0, endOffset: log.next }
  }

  readonly groups: Groups = {
    join: async ({ memberId, protocolType, protocols, groupInstanceId, requireKnownMemberId }) => {
      const [protocol] = protocols
      const refused = memberId === '' && requireKnownMemberId
      return {
        ...(refused ? { error: new LogError('MEMBER_ID_REQUIRED') } : {}),
        generationId: refused ? -1 : 1,
        protocolType: refused ? null : protocolType,
        protocolName: refused ? null : (protocol?.name ?? null),
        leader: refused ? '' : 'member-1',
        memberId: 'member-1',
        skipAssignment: false,
        members: refused
          ? []
          : [{ memberId: 'member-1', groupInstanceId, metadata: protocol?.metadata ?? NO_BYTES }],
      }
    },
    sync: async ({ assignments }) => ({
      protocolType: 'consumer',
      protocolName: null,
      assignment: assignments[0]?.assignment ?? NO_BYTES,
    }),
    heartbeat: async ({ memberId }) =>
      memberId === 'member-1' ? {} : { error: new LogError('UNKNOWN_MEMBER_ID') },
    leave: async ({ members }) => ({
      members: members.map(({ memberId, groupInstanceId }) => ({
        memberId,
        groupInstanceId,
        ...(memberId === 'member-1' ? {} : { error: new LogError('UNKNOWN_MEMBER_ID') }),
      })),
    }),
    commit: async ({ groupId, offsets }) => {
      const group = this.#offsets.get(groupId) ?? new Map<string, CommittedOffset>()
      this.#offsets.set(groupId, group)
      return offsets.map(({ topic, partition, offset, leaderEpoch, metadata }) => {
        group.set(`${topic}/${partition}`, { offset, leaderEpoch, metadata })
        return { topic, partition }
      })
    },
    fetchOffsets: async (groupId, partitions) => {
      if (groupId === 'loading') throw new LogError('COORDINATOR_LOAD_IN_PROGRESS')
      const group = this.#offsets.get(groupId)
      const all = [...(group?.keys() ?? [])].map(key => {
        const slash = key.lastIndexOf('/')
        return { topic: key.slice(0, slash), partition: Number(key.slice(slash + 1)) }
      })
      return (partitions ?? all).map(({ topic, partition }) => {
        const found = group?.get(`${topic}/${partition}`)
        return { topic, partition, ...(found ?? { offset: -1, leaderEpoch: -1, metadata: null }) }
      })
    },
    list: async () => [{ groupId: 'g', protocolType: 'consumer', state: 'Stable' }],
    describe: async groupIds =>
      groupIds.map(groupId => ({
        groupId,
        protocolType: '',
        protocolName: '',
        state: 'Dead' as const,
        members: [],
      })),
    delete: async groupIds =>
      groupIds.map(groupId => ({ groupId, error: new LogError('GROUP_ID_NOT_FOUND') })),
    deleteOffsets: async (groupId, partitions) => {
      if (!this.#offsets.has(groupId)) throw new LogError('GROUP_ID_NOT_FOUND')
      return partitions.map(({ topic, partition }) => ({ topic, partition }))
    },
  }
}
