/**
 * Who works on which buckets, and how far each is.
 *
 * Nodes that follow under one name are members of one consumer group on the topic of the leading
 * category; who is given partition b of it owns bucket b of all categories. Positions are the
 * group's committed offsets, so that the tools of every Kafka client show the lag. The whole
 * position of a bucket, with the follower's note, stands in the metadata of the offset of the
 * leading topic: one record says all, and whoever is given the bucket goes on from it. The commit of
 * a member that the group has given up is refused, so one that slept cannot move anything back.
 */
import { backoffMs, type Outside, sleep } from '@millrace/base'
import { type Consumer, createConsumer, type OffsetToCommit } from '@millrace/clients'
import type { FetchedOffset, Log } from '@millrace/log'
import type { EventStore } from '@millrace/store'
import type { RuntimeContext } from '../context.ts'
import { ModelError } from '../errors.ts'
import {
  checkpointOf,
  NO_POSITIONS,
  offsetIn,
  type Positions,
  positionAt,
  positionsIn,
  withPositions,
} from './positions.ts'
import type { FollowerSettings } from './settings.ts'

/** Told which buckets come and go. Each call is awaited before others may have the buckets. */
export type OwnershipListener = {
  readonly assigned: (buckets: readonly number[]) => void
  readonly revoked: (buckets: readonly number[]) => Promise<void>
  /** The membership failed; it begins anew by itself. */
  readonly failed: (error: unknown) => void
}

/** How far a bucket is. */
export type BucketPosition = {
  readonly positions: Positions
  /** What the follower keeps beside them: short, of one line; "" for none. */
  readonly note: string
}

/** Shares buckets among nodes and keeps their positions. */
export interface Ownership {
  start(listener: OwnershipListener): Promise<void>
  /** Committed positions of these buckets; a bucket without one is missing. */
  load(buckets: readonly number[]): Promise<ReadonlyMap<number, BucketPosition>>
  /** Throws when another node has one of the buckets by now. */
  commit(positions: ReadonlyMap<number, BucketPosition>): Promise<void>
  stop(): Promise<void>
}

/** A category, its topic, and how many buckets it has. */
type CategoryTopic = {
  readonly category: string
  readonly topic: string
  readonly buckets: number
}

const SEPARATOR = ' '
const METADATA_BYTES_MAX = 4096

/** Ownership by a consumer group. The first category leads; all must have as many buckets. */
export function groupOwnership(
  context: Pick<RuntimeContext, 'log' | 'store' | 'outside'>,
  groupId: string,
  categories: readonly string[],
  settings: FollowerSettings,
): Ownership {
  return new GroupOwnership(context, groupId, categories, settings)
}

class GroupOwnership implements Ownership {
  readonly #log: Log
  readonly #store: EventStore
  readonly #outside: Outside
  readonly #groupId: string
  readonly #names: readonly string[]
  readonly #settings: FollowerSettings
  #stopping = new AbortController()
  #found: readonly CategoryTopic[] | null = null
  #consumer: Consumer | null = null
  #running: Promise<void> | null = null

  constructor(
    { log, store, outside }: Pick<RuntimeContext, 'log' | 'store' | 'outside'>,
    groupId: string,
    names: readonly string[],
    settings: FollowerSettings,
  ) {
    this.#log = log
    this.#store = store
    this.#outside = outside
    this.#groupId = groupId
    this.#names = names
    this.#settings = settings
  }

  async start(listener: OwnershipListener): Promise<void> {
    const { lead } = await this.#topics()
    if (this.#running !== null) return
    this.#stopping = new AbortController()
    this.#running = this.#run(listener, lead.topic)
  }

  async load(buckets: readonly number[]): Promise<ReadonlyMap<number, BucketPosition>> {
    if (buckets.length === 0) return new Map()
    const { all, lead } = await this.#topics()
    const partitions = buckets.flatMap(partition => all.map(({ topic }) => ({ topic, partition })))
    const committed = await this.#log.groups.fetchOffsets(this.#groupId, partitions)
    for (const { error } of committed) if (error !== undefined) throw error
    const found = new Map<number, BucketPosition>()
    for (const bucket of buckets) {
      const position = this.#positionOf(bucket, committed, all, lead)
      if (position !== null) found.set(bucket, position)
    }
    return found
  }

  async commit(positions: ReadonlyMap<number, BucketPosition>): Promise<void> {
    const { all, lead } = await this.#topics()
    const offsets: OffsetToCommit[] = []
    for (const [bucket, position] of positions) {
      const metadata = this.#metadataOf(position)
      for (const { category, topic } of all) {
        const offset = offsetIn(position.positions, category, bucket)
        offsets.push({
          topic,
          partition: bucket,
          offset,
          metadata: topic === lead.topic ? metadata : null,
        })
      }
    }
    if (this.#consumer === null) await this.#commitAlone(offsets)
    else await this.#consumer.commit(offsets)
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#consumer?.close()
    await this.#running
    this.#running = null
    this.#consumer = null
  }

  /** A member whose membership ends for good begins a new one after a wait. */
  async #run(listener: OwnershipListener, topic: string): Promise<void> {
    for (let failures = 1; !this.#stopping.signal.aborted; failures += 1) {
      const owned = new Set<number>()
      try {
        await this.#member(listener, topic, owned)
      } catch (error) {
        listener.failed(error)
        await listener.revoked([...owned])
        const wait = backoffMs(this.#backoff, failures, this.#outside.random)
        await sleep(this.#outside.timers, wait, this.#stopping.signal)
      }
    }
  }

  async #member(listener: OwnershipListener, topic: string, owned: Set<number>): Promise<void> {
    const consumer = createConsumer(this.#log, {
      groupId: this.#groupId,
      clientId: this.#groupId,
      autoOffsetReset: 'earliest',
      sessionTimeoutMs: this.#settings['follower.session.timeout.ms'],
      heartbeatIntervalMs: this.#settings['follower.heartbeat.interval.ms'],
      rebalanceTimeoutMs: this.#settings['follower.rebalance.timeout.ms'],
      outside: this.#outside,
    })
    this.#consumer = consumer
    const gone = async (partitions: readonly { readonly partition: number }[]) => {
      const buckets = partitions.map(({ partition }) => partition)
      for (const bucket of buckets) owned.delete(bucket)
      await listener.revoked(buckets)
    }
    consumer.subscribe([topic], {
      onAssigned: partitions => {
        // Events are read from the store; of the group only the assignment is wanted.
        consumer.pause(partitions)
        for (const { partition } of partitions) owned.add(partition)
        listener.assigned(partitions.map(({ partition }) => partition))
      },
      onRevoked: gone,
      onLost: gone,
    })
    try {
      for await (const _ of consumer) throw new Error('a paused partition was handed out')
    } finally {
      await consumer.close()
    }
  }

  /** Without a member: for a follower that does not run. Refused while others do. */
  async #commitAlone(offsets: readonly OffsetToCommit[]): Promise<void> {
    const outcomes = await this.#log.groups.commit({
      groupId: this.#groupId,
      generationId: -1,
      memberId: '',
      groupInstanceId: null,
      offsets: offsets.map(each => ({ ...each, leaderEpoch: -1, metadata: each.metadata ?? null })),
    })
    for (const { error } of outcomes) if (error !== undefined) throw error
  }

  #metadataOf({ positions, note }: BucketPosition): string {
    const text = `${note}${SEPARATOR}${checkpointOf(this.#log.id, positions)}`
    if (Buffer.byteLength(text) > METADATA_BYTES_MAX)
      throw new ModelError(
        'BAD_DEFINITION',
        `${this.#groupId} follows ${this.#names.length} categories: their positions take more than ${METADATA_BYTES_MAX} bytes`,
      )
    return text
  }

  #positionOf(
    bucket: number,
    committed: readonly FetchedOffset[],
    all: readonly CategoryTopic[],
    { topic: leading }: CategoryTopic,
  ): BucketPosition | null {
    const here = committed.filter(each => each.partition === bucket && each.offset >= 0)
    if (here.length === 0) return null
    const lead = here.find(each => each.topic === leading)
    const [note = '', checkpoint] = (lead?.metadata ?? '').split(SEPARATOR)
    let positions =
      checkpoint === undefined ? NO_POSITIONS : positionsIn(checkpoint, this.#names, [bucket])
    for (const { category, topic } of all) {
      const offset = here.find(each => each.topic === topic)?.offset
      // Another one than ours: an operator has reset the group's offsets with a tool of Kafka's.
      if (offset !== undefined && offset !== offsetIn(positions, category, bucket))
        positions = withPositions(positions, positionAt(category, bucket, offset))
    }
    return { positions, note }
  }

  async #topics(): Promise<{ all: readonly CategoryTopic[]; lead: CategoryTopic }> {
    this.#found ??= await topicsOf(this.#store, this.#names, this.#groupId)
    const [lead] = this.#found
    if (lead !== undefined) return { all: this.#found, lead }
    throw new ModelError('BAD_DEFINITION', `${this.#groupId} follows no aggregate`)
  }

  get #backoff() {
    return {
      firstMs: this.#settings['follower.restart.first.ms'],
      maxMs: this.#settings['follower.restart.longest.ms'],
    }
  }
}

/** Ownership of all buckets by one node, positions in memory: for tests, and for one alone. */
export function soleOwnership(
  buckets: readonly number[] | (() => Promise<readonly number[]>),
  kept: Map<number, BucketPosition> = new Map(),
): Ownership {
  return {
    start: async listener =>
      listener.assigned(typeof buckets === 'function' ? await buckets() : buckets),
    load: async wanted => {
      const found = new Map<number, BucketPosition>()
      for (const bucket of wanted) {
        const position = kept.get(bucket)
        if (position !== undefined) found.set(bucket, position)
      }
      return found
    },
    commit: async positions => {
      for (const [bucket, position] of positions) {
        const before = kept.get(bucket)?.positions ?? NO_POSITIONS
        kept.set(bucket, { ...position, positions: withPositions(before, position.positions) })
      }
    },
    stop: async () => {},
  }
}

/** Every node has all buckets, and begins anew each time. */
export const broadcastOwnership = (store: EventStore, categories: readonly string[]): Ownership =>
  soleOwnership(async () => {
    const [lead] = await topicsOf(store, categories, 'broadcast')
    return Array.from({ length: lead?.buckets ?? 0 }, (_, bucket) => bucket)
  })

/** The topics of categories. Throws BAD_DEFINITION where their numbers of buckets differ. */
async function topicsOf(
  store: EventStore,
  categories: readonly string[],
  who: string,
): Promise<readonly CategoryTopic[]> {
  const described = await store.describe()
  const topics = categories.map(category => {
    const found = described.find(each => each.category === category)
    if (found === undefined)
      throw new ModelError('BAD_DEFINITION', `${who}: the store has no category ${category}`)
    return { category, topic: found.topic, buckets: found.buckets.length }
  })
  const [lead] = topics
  const other = topics.find(each => each.buckets !== lead?.buckets)
  if (lead !== undefined && other !== undefined)
    throw new ModelError(
      'BAD_DEFINITION',
      `${who}: category ${lead.category} has ${lead.buckets} buckets and ${other.category} ${other.buckets}; they must have as many`,
    )
  return topics
}
