/**
 * Topics and their configuration. Any broker takes these calls and passes them to the controller.
 *
 * Brokers learn of a change after it is answered. So that the next call finds it, a creation is waited
 * for until every partition has a leader, and a deletion until the topic is gone: at most
 * `leader.retries.max` questions.
 */
import type {
  ConfigChange,
  ConfigEntry,
  ConfigSource,
  ConfigType,
  NewTopic,
  PartitionSize,
  TopicDescription,
  TopicOutcome,
} from '@millrace/log'
import {
  CONFIG_OPERATION,
  CONFIG_RESOURCE_TYPE,
  CONFIG_SOURCE,
  CONFIG_TYPE,
  createPartitions,
  createTopics,
  deleteTopics,
  describeConfigs,
  describeLogDirs,
  incrementalAlterConfigs,
  ZERO_UUID,
} from '@millrace/protocol'
import type { Cluster } from './cluster.ts'
import { errorOf, failure } from './errors.ts'
import { backoff } from './retry.ts'
import { silentAbout } from './silence.ts'

const BY_DEFAULT = -1
const NO_LEADER = -1

/** See {@link import('@millrace/log').Log.createTopics}. */
export async function askToCreateTopics(
  cluster: Cluster,
  topics: readonly NewTopic[],
  validateOnly: boolean,
): Promise<readonly TopicOutcome[]> {
  if (topics.length === 0) return []
  const timeoutMs = cluster.settings['request.timeout.ms']
  const response = await cluster.call(
    createTopics,
    {
      topics: topics.map(({ name, partitions, replicationFactor, configs }) => ({
        name,
        numPartitions: partitions ?? BY_DEFAULT,
        replicationFactor: replicationFactor ?? BY_DEFAULT,
        assignments: [],
        configs: Object.entries(configs ?? {}).map(([key, value]) => ({ name: key, value })),
      })),
      timeoutMs,
      validateOnly,
    },
    { waitMs: timeoutMs },
  )
  const told = new Map(response.topics.map(topic => [topic.name, topic]))
  const outcomes = topics.map(({ name }): TopicOutcome => {
    const outcome = told.get(name)
    if (outcome === undefined) return { name, error: silentAbout(name) }
    const error = errorOf(outcome.errorCode, outcome.errorMessage)
    if (error !== undefined) return { name, error }
    return {
      name,
      ...(outcome.topicId === ZERO_UUID ? {} : { topicId: outcome.topicId }),
      ...(outcome.numPartitions > 0 ? { partitions: outcome.numPartitions } : {}),
    }
  })
  if (!validateOnly) await settle(cluster, outcomes, arePartitionsLed)
  return outcomes
}

/** See {@link import('@millrace/log').Log.createPartitions}. */
export async function askToCreatePartitions(
  cluster: Cluster,
  topics: readonly { readonly name: string; readonly partitions: number }[],
  validateOnly: boolean,
): Promise<readonly TopicOutcome[]> {
  if (topics.length === 0) return []
  const timeoutMs = cluster.settings['request.timeout.ms']
  const response = await cluster.call(
    createPartitions,
    {
      topics: topics.map(({ name, partitions }) => ({
        name,
        count: partitions,
        assignments: null,
      })),
      timeoutMs,
      validateOnly,
    },
    { waitMs: timeoutMs },
  )
  const told = new Map(response.results.map(result => [result.name, result]))
  const outcomes = topics.map(({ name, partitions }): TopicOutcome => {
    const outcome = told.get(name)
    if (outcome === undefined) return { name, error: silentAbout(name) }
    const error = errorOf(outcome.errorCode, outcome.errorMessage)
    return error === undefined ? { name, partitions } : { name, error }
  })
  if (!validateOnly) await settle(cluster, outcomes, arePartitionsLed)
  return outcomes
}

/** Waits until the brokers know of what was done. */
async function settle(
  cluster: Cluster,
  outcomes: readonly TopicOutcome[],
  isDone: (outcome: TopicOutcome, topic: TopicDescription | undefined) => boolean,
): Promise<void> {
  let open = outcomes.filter(({ error }) => error === undefined)
  for (let tries = 1; open.length > 0; tries += 1) {
    const names = open.map(({ name }) => name)
    // What was done is done: that the look at it fails is for the next call to tell.
    const described = await describeAll(cluster, names).catch(() => undefined)
    if (described === undefined || tries > cluster.settings['leader.retries.max']) return
    const topics = new Map(described.map(topic => [topic.name, topic]))
    open = open.filter(outcome => !isDone(outcome, topics.get(outcome.name)))
    if (open.length > 0) await backoff(cluster.outside, cluster.settings, tries)
  }
}

function arePartitionsLed(outcome: TopicOutcome, topic: TopicDescription | undefined): boolean {
  const led = topic?.partitions.filter(({ leader }) => leader !== NO_LEADER).length ?? 0
  return led >= (outcome.partitions ?? 1)
}

const isGone = (_outcome: TopicOutcome, topic: TopicDescription | undefined): boolean =>
  topic === undefined

/** See {@link import('@millrace/log').Log.describeTopics}. */
export async function describeAll(
  cluster: Cluster,
  names?: readonly string[],
): Promise<readonly TopicDescription[]> {
  if (names?.length === 0) return []
  const { topics } = await cluster.describe(names ?? null)
  return topics.flatMap(({ name, topicId, isInternal, errorCode, partitions }) =>
    name === null || errorCode !== 0
      ? []
      : [
          {
            name,
            topicId,
            internal: isInternal,
            partitions: partitions
              .map(each => ({
                partition: each.partitionIndex,
                leaderEpoch: each.leaderEpoch,
                leader: each.leaderId,
                replicas: each.replicaNodes,
                inSyncReplicas: each.isrNodes,
              }))
              .sort((left, right) => left.partition - right.partition),
          },
        ],
  )
}

/** See {@link import('@millrace/log').Log.deleteTopics}. */
export async function askToDeleteTopics(
  cluster: Cluster,
  names: readonly string[],
): Promise<readonly TopicOutcome[]> {
  if (names.length === 0) return []
  const timeoutMs = cluster.settings['request.timeout.ms']
  const { responses } = await cluster.call(
    deleteTopics,
    {
      topics: names.map(name => ({ name, topicId: ZERO_UUID })),
      topicNames: names,
      timeoutMs,
    },
    { waitMs: timeoutMs },
  )
  const told = new Map(responses.map(result => [result.name, result]))
  const outcomes = names.map((name): TopicOutcome => {
    cluster.forget(name)
    const outcome = told.get(name)
    if (outcome === undefined) return { name, error: silentAbout(name) }
    return { name, ...failure(errorOf(outcome.errorCode, outcome.errorMessage)) }
  })
  await settle(cluster, outcomes, isGone)
  return outcomes
}

const SOURCES: Readonly<Record<number, ConfigSource>> = {
  [CONFIG_SOURCE.topic]: 'topic',
  [CONFIG_SOURCE.default]: 'default',
  [CONFIG_SOURCE.unknown]: 'default',
}

const TYPES: Readonly<Record<number, ConfigType>> = {
  [CONFIG_TYPE.boolean]: 'boolean',
  [CONFIG_TYPE.int]: 'int',
  [CONFIG_TYPE.short]: 'short',
  [CONFIG_TYPE.long]: 'long',
  [CONFIG_TYPE.double]: 'double',
  [CONFIG_TYPE.list]: 'list',
}

/** See {@link import('@millrace/log').Log.describeConfig}. */
export async function askForConfig(
  cluster: Cluster,
  topic: string,
): Promise<readonly ConfigEntry[]> {
  const { results } = await cluster.call(
    describeConfigs,
    {
      resources: [
        {
          resourceType: CONFIG_RESOURCE_TYPE.topic,
          resourceName: topic,
          configurationKeys: null,
        },
      ],
      includeSynonyms: false,
      includeDocumentation: true,
    },
    { repeat: true },
  )
  const [result] = results
  if (result === undefined) throw silentAbout(topic)
  const error = errorOf(result.errorCode, result.errorMessage)
  if (error !== undefined) throw error
  return result.configs.map(entry => ({
    name: entry.name,
    value: entry.value,
    source: SOURCES[entry.configSource] ?? 'node',
    type: TYPES[entry.configType] ?? 'string',
    readOnly: entry.readOnly,
    documentation: entry.documentation ?? '',
  }))
}

/** See {@link import('@millrace/log').Log.alterConfig}. */
export async function askToAlterConfig(
  cluster: Cluster,
  topic: string,
  changes: readonly ConfigChange[],
  validateOnly: boolean,
): Promise<void> {
  const { responses } = await cluster.call(incrementalAlterConfigs, {
    resources: [
      {
        resourceType: CONFIG_RESOURCE_TYPE.topic,
        resourceName: topic,
        configs: changes.map(({ name, operation, value }) => ({
          name,
          configOperation: CONFIG_OPERATION[operation],
          value,
        })),
      },
    ],
    validateOnly,
  })
  const [result] = responses
  if (result === undefined) throw silentAbout(topic)
  const error = errorOf(result.errorCode, result.errorMessage)
  if (error !== undefined) throw error
}

/**
 * See {@link import('@millrace/log').Log.describeSizes}: of each partition the size at its leader.
 */
export async function askForSizes(
  cluster: Cluster,
  names?: readonly string[],
): Promise<readonly PartitionSize[]> {
  const topics = await describeAll(cluster, names)
  const request = {
    topics:
      names === undefined
        ? null
        : topics.map(({ name, partitions }) => ({
            topic: name,
            partitions: partitions.map(({ partition }) => partition),
          })),
  }
  const sizes = new Map<string, number>()
  await Promise.all(
    cluster.brokers.map(async ({ nodeId, broker }) => {
      const { errorCode, results } = await broker.lane('control').call(describeLogDirs, request)
      const error = errorOf(errorCode)
      if (error !== undefined) throw error
      for (const folder of results) {
        for (const { name, partitions } of folder.topics) {
          for (const { partitionIndex, partitionSize, isFutureKey } of partitions) {
            if (!isFutureKey) sizes.set(`${nodeId} ${partitionIndex} ${name}`, partitionSize)
          }
        }
      }
    }),
  )
  return topics.flatMap(({ name, partitions }) =>
    partitions.flatMap(({ partition, leader }) => {
      const bytes = sizes.get(`${leader} ${partition} ${name}`)
      return bytes === undefined ? [] : [{ topic: name, partition, bytes }]
    }),
  )
}
