/** CreateTopics: topics with partitions, configuration and, of a kind, an assignment to this node. */
import { LogError, type NewTopic, type TopicOutcome } from '@millrace/log'
import {
  type CreateTopicsRequest,
  type CreateTopicsResponse,
  type CreateTopicsResult,
  createTopics,
  type Decoded,
} from '@millrace/protocol'
import { configSourceOf } from './config-words.ts'
import { codeOf, expected, messageOf } from './error-mapping.ts'
import type { Handler } from './handler.ts'
import { repeated } from './nested.ts'

type Topic = Decoded<CreateTopicsRequest>['topics'][number]

/** The handler of CreateTopics. */
export const createTopicsHandler: Handler<CreateTopicsRequest, CreateTopicsResponse> = {
  api: createTopics,

  handle: async ({ topics, validateOnly }, _call, { engine }) => {
    const twice = repeated(topics.map(({ name }) => name))
    const outcomes = new Map<string, TopicOutcome>()
    const accepted: NewTopic[] = []
    for (const topic of topics) {
      const { name } = topic
      try {
        if (twice.has(name)) throw new LogError('INVALID_REQUEST', `topic ${name} occurs twice`)
        accepted.push(newTopic(topic, engine.nodeId))
      } catch (error) {
        outcomes.set(name, { name, error: expected(error) })
      }
    }
    if (accepted.length > 0) {
      for (const outcome of await engine.createTopics(accepted, { validateOnly })) {
        outcomes.set(outcome.name, outcome)
      }
    }
    return { throttleTimeMs: 0, topics: [...outcomes.values()].map(result) }
  },

  failure: ({ topics }, { code, message }) => ({
    throttleTimeMs: 0,
    topics: topics.map(({ name }) => ({
      name,
      errorCode: code,
      errorMessage: message,
      configs: [],
    })),
  }),
}

/** Throws INVALID_REQUEST, INVALID_REPLICA_ASSIGNMENT, INVALID_CONFIG. */
function newTopic(topic: Topic, nodeId: number): NewTopic {
  const { name, numPartitions, replicationFactor, assignments } = topic
  const configs = Object.fromEntries(
    topic.configs.map(({ name: key, value }) => {
      if (value === null) throw new LogError('INVALID_CONFIG', `${key} has no value`)
      return [key, value]
    }),
  )
  if (assignments.length === 0) {
    return { name, partitions: numPartitions, replicationFactor, configs }
  }
  if (numPartitions !== -1 || replicationFactor !== -1) {
    throw new LogError(
      'INVALID_REQUEST',
      'a number of partitions or replicas beside an assignment must be -1',
    )
  }
  const indexes = assignments.map(({ partitionIndex }) => partitionIndex).sort((a, b) => a - b)
  if (indexes.some((index, position) => index !== position)) {
    throw new LogError('INVALID_REPLICA_ASSIGNMENT', 'partitions must be numbered 0, 1, 2, ...')
  }
  for (const { brokerIds } of assignments) requireOwnNode(brokerIds, nodeId)
  return { name, partitions: assignments.length, replicationFactor: 1, configs }
}

/** Throws INVALID_REPLICA_ASSIGNMENT unless a partition is assigned to this node alone. */
export function requireOwnNode(brokerIds: readonly number[], nodeId: number): void {
  if (brokerIds.length === 1 && brokerIds[0] === nodeId) return
  throw new LogError('INVALID_REPLICA_ASSIGNMENT', `[${brokerIds}], only [${nodeId}] is here`)
}

/** The outcome, with the configuration that the topic has, or would have. */
function result({
  name,
  error,
  topicId,
  partitions,
  configs = [],
}: TopicOutcome): CreateTopicsResult {
  return {
    name,
    ...(topicId === undefined ? {} : { topicId }),
    errorCode: codeOf(error),
    errorMessage: messageOf(error),
    numPartitions: error === undefined ? (partitions ?? -1) : -1,
    replicationFactor: error === undefined ? 1 : -1,
    configs: configs.map(entry => ({
      name: entry.name,
      value: entry.value,
      readOnly: entry.readOnly,
      configSource: configSourceOf(entry.source),
      isSensitive: false,
    })),
  }
}
