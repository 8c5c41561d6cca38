/**
 * A category at work: its topic, which is made or checked when the store opens, and which bucket a
 * stream lies in.
 */
import type { Log, TopicDescription } from '@millrace/log'
import { bucketOf, isNamed, type ResolvedBoundary, resolveBoundary } from '../boundary.ts'
import { StoreError } from '../errors.ts'
import { checkCategory } from '../names.ts'
import type { CategoryOptions } from '../options.ts'
import { type IdentityFacts, idOf, RULE_VERSION, tenantOf } from '../rule/facts.ts'
import { HeaderEncoder } from '../rule/headers.ts'
import { EventTypes } from '../types/event-types.ts'

/** What a category's topic is made with, and must have. */
const TOPIC_CONFIGS: Readonly<Record<string, string>> = {
  'cleanup.policy': 'delete',
  'retention.ms': '-1',
  'retention.bytes': '-1',
  'message.timestamp.type': 'CreateTime',
  // Times of events are the application's: imports and plans lie anywhere.
  'message.timestamp.after.max.ms': '9223372036854775807',
}
/** After a topic's name: that of the mark of a rewrite that has not ended. */
export const REWRITTEN_SUFFIX = '.rewritten'
/** Where more than one node keeps the log, fewer copies could lose acknowledged events. */
const IN_SYNC_MIN = 2

/** A category that is open. */
export class Category {
  readonly name: string
  readonly topic: string
  readonly topicId: string
  readonly bucketCount: number
  readonly types: EventTypes
  readonly headers: HeaderEncoder
  /** Largest record batch that the topic took when the store was opened. */
  readonly batchBytesMax: number
  readonly boundary: ResolvedBoundary

  constructor(
    name: string,
    options: CategoryOptions,
    description: TopicDescription,
    batchBytesMax: number,
  ) {
    this.name = name
    this.topic = description.name
    this.topicId = description.topicId
    this.bucketCount = description.partitions.length
    this.types = new EventTypes(name, options)
    this.headers = new HeaderEncoder(name)
    this.batchBytesMax = batchBytesMax
    this.boundary = resolveBoundary(options.boundary)
  }

  /** The bucket of a stream: the tenant is part of the boundary. */
  bucketOf(tenant: string, id: string): number {
    return bucketOf(this.boundary, tenant, id, this.bucketCount)
  }

  /** Whether a bucket is that of a stream. One that the boundary cannot place is nowhere. */
  holds(bucket: number, stream: string): boolean {
    try {
      return this.bucketOf(tenantOf(stream), idOf(stream)) === bucket
    } catch {
      return false
    }
  }

  /** The topic has another number of partitions than the category was made with. */
  bucketsDiffer(partitions: number, buckets: number = this.bucketCount): StoreError {
    return new StoreError(
      'BUCKETS_DIFFER',
      `category ${this.name} was made with ${buckets} buckets, topic ${this.topic} has ${partitions} partitions; put it right with "millrace category rewrite", which copies it into a topic of its own number, or of another with --buckets`,
    )
  }

  /**
   * Holds what a bucket says of the category against what it was opened with.
   *
   * @throws StoreError BUCKETS_DIFFER, BOUNDARY_DIFFERS, RULE_TOO_NEW
   */
  checkIdentity(identity: IdentityFacts, bucket: number): void {
    const { name, boundary, bucketCount } = this
    const place = `category ${name}, bucket ${bucket}`
    if (identity.rule > RULE_VERSION) {
      throw new StoreError('RULE_TOO_NEW', `${place}: rule ${identity.rule} is in force`)
    }
    if (identity.buckets !== bucketCount) {
      throw this.bucketsDiffer(bucketCount, identity.buckets)
    }
    if (isNamed(identity, boundary)) return
    throw new StoreError(
      'BOUNDARY_DIFFERS',
      `${place}: the category was made with boundary ${identity.boundary} (version ${identity.boundaryVersion}), it is opened with ${boundary.name} (version ${boundary.version}); open it with the old one, or move it with "millrace category rewrite"`,
    )
  }
}

/**
 * Opens the categories: makes the topics that are not there, checks those that are.
 *
 * @throws StoreError BAD_TOPIC, BUCKETS_DIFFER, BAD_ARGUMENT
 */
export async function openCategories(
  log: Log,
  categories: Readonly<Record<string, CategoryOptions>>,
  bucketsDefault: number,
): Promise<readonly Category[]> {
  const named = Object.entries(categories)
  for (const [name, options] of named) {
    checkCategory(name)
    if (options.topic !== undefined) checkCategory(options.topic)
    // Before a topic is made: what is refused leaves nothing behind.
    new EventTypes(name, options)
    resolveBoundary(options.boundary)
  }
  const topics = named.map(([name, options]) => options.topic ?? name)
  if (new Set(topics).size !== topics.length) {
    throw new StoreError('BAD_ARGUMENT', `two categories share a topic: ${topics.join(', ')}`)
  }
  await checkNoRewrite(log, topics)
  const there = new Set((await log.describeTopics(topics)).map(topic => topic.name))
  const missing = named.filter(([name, options]) => !there.has(options.topic ?? name))
  await createTopics(log, missing, bucketsDefault)
  const described = new Map((await log.describeTopics(topics)).map(topic => [topic.name, topic]))
  const opened: Category[] = []
  for (const [name, options] of named) {
    const topic = options.topic ?? name
    const description = described.get(topic)
    if (description === undefined) throw new StoreError('BAD_TOPIC', `topic ${topic} is not there`)
    const configs = await checkTopic(log, name, options, description)
    const batchBytesMax = Number(configs.get('max.message.bytes') ?? Number.POSITIVE_INFINITY)
    opened.push(new Category(name, options, description, batchBytesMax))
  }
  return opened
}

/** A category that is being rewritten may be away or half there. */
async function checkNoRewrite(log: Log, topics: readonly string[]): Promise<void> {
  const [mark] = await log.describeTopics(topics.map(topic => topic + REWRITTEN_SUFFIX))
  if (mark === undefined) return
  const topic = mark.name.slice(0, -REWRITTEN_SUFFIX.length)
  throw new StoreError(
    'BAD_TOPIC',
    `a rewrite of topic ${topic} has not ended: run "millrace category rewrite" again, it goes on`,
  )
}

async function createTopics(
  log: Log,
  missing: readonly (readonly [string, CategoryOptions])[],
  bucketsDefault: number,
): Promise<void> {
  if (missing.length === 0) return
  const outcomes = await log.createTopics(
    missing.map(([name, options]) => ({
      name: options.topic ?? name,
      partitions: options.buckets ?? bucketsDefault,
      configs: TOPIC_CONFIGS,
    })),
  )
  for (const { name, error } of outcomes) {
    if (error === undefined || error.code === 'TOPIC_ALREADY_EXISTS') continue
    throw new StoreError('BAD_TOPIC', `topic ${name} cannot be made: ${error.message}`, {
      cause: error,
    })
  }
}

/** Checks a topic that is there; gives its configuration. */
async function checkTopic(
  log: Log,
  name: string,
  options: CategoryOptions,
  description: TopicDescription,
): Promise<ReadonlyMap<string, string | null>> {
  const count = description.partitions.length
  if (options.buckets !== undefined && options.buckets !== count) {
    throw new StoreError(
      'BUCKETS_DIFFER',
      `category ${name} is opened with ${options.buckets} buckets, topic ${description.name} has ${count}`,
    )
  }
  const configs = new Map<string, string | null>()
  for (const { name: key, value } of await log.describeConfig(description.name))
    configs.set(key, value)
  for (const [key, wanted] of Object.entries(TOPIC_CONFIGS)) {
    const value = configs.get(key)
    if (value === undefined || value === wanted) continue
    throw new StoreError(
      'BAD_TOPIC',
      `topic ${description.name} has ${key}=${value}; a category needs ${key}=${wanted}`,
    )
  }
  if (!description.partitions.some(partition => partition.replicas.length > 1)) return configs
  if (Number(configs.get('min.insync.replicas') ?? IN_SYNC_MIN) < IN_SYNC_MIN) {
    throw new StoreError(
      'BAD_TOPIC',
      `topic ${description.name} needs min.insync.replicas=${IN_SYNC_MIN}`,
    )
  }
  if (configs.get('unclean.leader.election.enable') === 'true') {
    throw new StoreError(
      'BAD_TOPIC',
      `topic ${description.name} needs unclean.leader.election.enable=false`,
    )
  }
  return configs
}
