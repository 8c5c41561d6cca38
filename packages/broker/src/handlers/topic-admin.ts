/** DeleteTopics, CreatePartitions, DeleteRecords: topics as operators change them. */
import type { Engine } from '@millrace/engine'
import { LogError, type TopicOutcome } from '@millrace/log'
import {
  type CreatePartitionsRequest,
  type CreatePartitionsResponse,
  createPartitions,
  type Decoded,
  type DeleteRecordsRequest,
  type DeleteRecordsResponse,
  type DeleteTopicsRequest,
  type DeleteTopicsResponse,
  type DeleteTopicsResult,
  deleteRecords,
  deleteTopics,
  ERROR_CODES,
} from '@millrace/protocol'
import { requireOwnNode } from './create-topics.ts'
import { codeOf, expected, messageOf, partitionCodeOf } from './error-mapping.ts'
import type { Handler } from './handler.ts'
import { flatten, nest, repeated } from './nested.ts'
import { topicById } from './topics.ts'

/** First version that names topics by their id, too (KIP-516). */
const DELETE_BY_ID_VERSION_MIN = 6

/** The handler of DeleteTopics. */
export const deleteTopicsHandler: Handler<DeleteTopicsRequest, DeleteTopicsResponse> = {
  api: deleteTopics,

  handle: async (request, { version }, { engine }) => {
    const byId = version >= DELETE_BY_ID_VERSION_MIN
    const responses: DeleteTopicsResult[] = []
    const ids = new Map<string, string>()
    const names = new Set<string>(byId ? [] : request.topicNames)
    for (const { name, topicId } of byId ? request.topics : []) {
      const topic = name === null ? topicById(engine, topicId) : engine.topic(name)
      const found = name ?? topic?.name
      if (found === undefined) {
        responses.push({ name, topicId, errorCode: ERROR_CODES.UNKNOWN_TOPIC_ID })
        continue
      }
      names.add(found)
      ids.set(found, topic?.topicId ?? topicId)
    }
    const outcomes = names.size === 0 ? [] : await engine.deleteTopics([...names])
    for (const { name, error } of outcomes) {
      const topicId = ids.get(name)
      responses.push({
        name,
        ...(topicId === undefined ? {} : { topicId }),
        errorCode: codeOf(error),
        errorMessage: messageOf(error),
      })
    }
    return { throttleTimeMs: 0, responses }
  },

  failure: ({ topics, topicNames }, { code: errorCode, message: errorMessage }, { version }) => ({
    throttleTimeMs: 0,
    responses:
      version >= DELETE_BY_ID_VERSION_MIN
        ? topics.map(({ name, topicId }) => ({ name, topicId, errorCode, errorMessage }))
        : topicNames.map(name => ({ name, errorCode, errorMessage })),
  }),
}

type Growing = Decoded<CreatePartitionsRequest>['topics'][number]

/** The handler of CreatePartitions. */
export const createPartitionsHandler: Handler<CreatePartitionsRequest, CreatePartitionsResponse> = {
  api: createPartitions,

  handle: async ({ topics, validateOnly }, _call, { engine }) => {
    const twice = repeated(topics.map(({ name }) => name))
    const outcomes = new Map<string, TopicOutcome>()
    const accepted: { name: string; partitions: number }[] = []
    for (const topic of topics) {
      const { name, count } = topic
      const error = twice.has(name)
        ? new LogError('INVALID_REQUEST', `topic ${name} occurs twice`)
        : assignmentProblem(topic, engine)
      if (error === undefined) accepted.push({ name, partitions: count })
      else outcomes.set(name, { name, error })
    }
    if (accepted.length > 0) {
      for (const outcome of await engine.createPartitions(accepted, { validateOnly })) {
        outcomes.set(outcome.name, outcome)
      }
    }
    const results = [...outcomes.values()].map(({ name, error }) => ({
      name,
      errorCode: codeOf(error),
      errorMessage: messageOf(error),
    }))
    return { throttleTimeMs: 0, results }
  },

  failure: ({ topics }, { code: errorCode, message: errorMessage }) => ({
    throttleTimeMs: 0,
    results: topics.map(({ name }) => ({ name, errorCode, errorMessage })),
  }),
}

function assignmentProblem(
  { name, count, assignments }: Growing,
  engine: Engine,
): LogError | undefined {
  if (assignments === null) return undefined
  const added = count - (engine.topic(name)?.partitions.length ?? 0)
  if (assignments.length !== added) {
    return new LogError(
      'INVALID_REPLICA_ASSIGNMENT',
      `${assignments.length} assignments for ${added} new partitions`,
    )
  }
  try {
    for (const { brokerIds } of assignments) requireOwnNode(brokerIds, engine.nodeId)
    return undefined
  } catch (error) {
    return expected(error)
  }
}

/** The handler of DeleteRecords. */
export const deleteRecordsHandler: Handler<DeleteRecordsRequest, DeleteRecordsResponse> = {
  api: deleteRecords,

  handle: async ({ topics }, _call, { engine }) => {
    const targets = flatten(
      topics,
      topic => topic.partitions,
      (topic, { partitionIndex, offset }) => ({
        topic: topic.name,
        partition: partitionIndex,
        offset,
      }),
    )
    const outcomes = await engine.deleteRecords(targets)
    return {
      throttleTimeMs: 0,
      topics: nest(
        topics,
        topic => topic.partitions,
        outcomes,
        ({ partitionIndex }, { error, lowWatermark }) => ({
          partitionIndex,
          lowWatermark,
          errorCode: partitionCodeOf(error),
        }),
        ({ name }, partitions) => ({ name, partitions }),
      ),
    }
  },

  failure: ({ topics }, { partitionCode: errorCode }) => ({
    throttleTimeMs: 0,
    topics: topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({
        partitionIndex,
        lowWatermark: -1,
        errorCode,
      })),
    })),
  }),
}
