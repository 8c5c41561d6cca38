/** DeleteTopics, CreatePartitions, DeleteRecords: topics as operators change them. */
import type { Engine, TopicView } from '@millrace/engine'
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
  ZERO_UUID,
} from '@millrace/protocol'
import { requireOwnNode } from './create-topics.ts'
import { codeOf, expected, messageOf, partitionCodeOf, shortened } from './error-mapping.ts'
import type { Handler } from './handler.ts'
import { distinct, flatten, nest, repeated } from './nested.ts'

/** First version that names topics by their id, too (KIP-516). */
const DELETE_BY_ID_VERSION_MIN = 6

/** The handler of DeleteTopics. */
export const deleteTopicsHandler: Handler<DeleteTopicsRequest, DeleteTopicsResponse> = {
  api: deleteTopics,

  handle: async (request, { version }, { engine }) => {
    const asked =
      version >= DELETE_BY_ID_VERSION_MIN
        ? request.topics
        : request.topicNames.map(name => ({ name, topicId: ZERO_UUID }))
    const { refused, targets, topicIds } = judgeDeletions(engine, asked)
    const outcomes =
      targets.size === 0 ? [] : await engine.deleteTopics([...targets.keys()], { topicIds })
    const responses = outcomes.map(({ name, error }): DeleteTopicsResult => {
      const topicId = targets.get(name) ?? ZERO_UUID
      return { name, topicId, errorCode: codeOf(error), errorMessage: messageOf(error) }
    })
    return { throttleTimeMs: 0, responses: [...refused, ...responses] }
  },

  failure: ({ topics, topicNames }, { code: errorCode, message: errorMessage }, { version }) => ({
    throttleTimeMs: 0,
    responses:
      version >= DELETE_BY_ID_VERSION_MIN
        ? topics.map(({ name, topicId }) => ({ name, topicId, errorCode, errorMessage }))
        : topicNames.map(name => ({ name, errorCode, errorMessage })),
  }),
}

type Deleting = { readonly name: string | null; readonly topicId: string }

/** What is to be deleted, id by name, and what is refused beforehand, each in its place. */
function judgeDeletions(
  engine: Engine,
  asked: readonly Deleting[],
): {
  readonly refused: readonly DeleteTopicsResult[]
  readonly targets: ReadonlyMap<string, string>
  /** Of those that were named by their ids: no other topic of that name is deleted. */
  readonly topicIds: ReadonlyMap<string, string>
} {
  const refused: DeleteTopicsResult[] = []
  const refuse = ({ name, topicId }: Deleting, errorCode: number, errorMessage: string): void => {
    refused.push({ name, topicId, errorCode, errorMessage: shortened(errorMessage) })
  }
  const targets = new Map<string, string>()
  const topicIds = new Map<string, string>()
  const named = asked.map(topic => ({ topic, found: foundTopic(engine, topic) }))
  // Whoever names a topic twice may mean another: deletion cannot be taken back.
  const twice = repeated(named.map(({ topic, found }) => deletionKey(topic, found)))
  for (const { topic, found } of distinct(named, each => deletionKey(each.topic, each.found))) {
    const { name, topicId } = topic
    if (name !== null && topicId !== ZERO_UUID) {
      // They may be of two topics: nobody knows which of them was meant.
      refuse(topic, ERROR_CODES.INVALID_REQUEST, 'a topic is named by its name or its id, not both')
      continue
    }
    if (name === null && topicId === ZERO_UUID) {
      refuse(topic, ERROR_CODES.INVALID_REQUEST, 'neither name nor id')
      continue
    }
    if (twice.has(deletionKey(topic, found))) {
      refuse(topic, ERROR_CODES.INVALID_REQUEST, `topic ${name ?? topicId} occurs twice`)
      continue
    }
    const target = found?.name ?? name
    if (target === null) refuse(topic, ERROR_CODES.UNKNOWN_TOPIC_ID, `no topic has id ${topicId}`)
    else targets.set(target, found?.topicId ?? ZERO_UUID)
    if (name === null && target !== null) topicIds.set(target, topicId)
  }
  return { refused, targets, topicIds }
}

/** The topic that is meant, by its name, or by its id where it has none. */
const foundTopic = (engine: Engine, { name, topicId }: Deleting): TopicView | undefined =>
  name === null ? engine.topicById(topicId) : engine.topic(name)

/** The same for all ways to name one topic, and another one for what contradicts itself. */
const deletionKey = ({ name, topicId }: Deleting, found: TopicView | undefined): string =>
  name !== null && topicId !== ZERO_UUID
    ? `${name}/${topicId}`
    : (found?.name ?? name ?? `/${topicId}`)

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
