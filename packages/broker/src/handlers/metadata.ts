/**
 * Metadata: this node, its topics and their partitions. An unknown topic is created where the node
 * and the client allow it, and is there in the same answer: no client has to ask twice.
 */
import type { Engine, TopicView } from '@millrace/engine'
import {
  type Decoded,
  ERROR_CODES,
  type MetadataPartition,
  type MetadataRequest,
  type MetadataResponse,
  type MetadataTopicResponse,
  metadata,
  ZERO_UUID,
} from '@millrace/protocol'
import { clusterOperations, topicOperations } from './authorized-operations.ts'
import { codeOf, expected, partitionCodeOf } from './error-mapping.ts'
import type { Call, Handler, HandlerNode } from './handler.ts'
import { distinct } from './nested.ts'
import { isTopicName } from './topics.ts'

type Request = Decoded<MetadataRequest>
type Asked = NonNullable<Request['topics']>[number]
type Answer = (topic: TopicView) => MetadataTopicResponse

/** First version that asks by id alone; answers may leave out the name. */
const BY_ID_VERSION_MIN = 12

const NOBODY: readonly number[] = []

/** The handler of Metadata. */
export const metadataHandler: Handler<MetadataRequest, MetadataResponse> = {
  api: metadata,

  handle: (request, call, node) => {
    const { engine, settings } = node
    const operations = topicOperations(request.includeTopicAuthorizedOperations)
    const answer: Answer = topic => topicAnswer(topic, operations)
    // In version 0 an empty list asks for all.
    const all = request.topics === null || (call.version === 0 && request.topics.length === 0)
    const asked = all
      ? null
      : distinct(request.topics, topic =>
          isById(topic) ? `/${topic.topicId}` : (topic.name ?? ''),
        )
    if (asked === null) return respond(request, call, engine, engine.allTopics().map(answer))
    const create = request.allowAutoTopicCreation && settings['auto.create.topics.enable']
    const topics = asked.map(topic => lookUp(engine, topic, answer, call.version))
    const missing = create ? missingNames(topics) : []
    if (missing.length === 0) return respond(request, call, engine, topics)
    return createMissing(node, missing).then(failures =>
      respond(
        request,
        call,
        engine,
        asked.map((topic, index) => {
          const code = isById(topic) ? undefined : failures.get(topic.name ?? '')
          const before = topics[index] ?? lookUp(engine, topic, answer, call.version)
          if (code !== undefined) return { ...before, errorCode: code }
          return before.errorCode === ERROR_CODES.NONE
            ? before
            : lookUp(engine, topic, answer, call.version)
        }),
      ),
    )
  },

  failure: (request, { code }, call) => ({
    brokers: [],
    topics: (request.topics ?? []).map(({ name, topicId }) =>
      nothing(name ?? noName(call.version), topicId, code),
    ),
  }),
}

function respond(
  request: Request,
  { endpoint }: Call,
  engine: Engine,
  topics: readonly MetadataTopicResponse[],
): MetadataResponse {
  return {
    brokers: [{ nodeId: engine.nodeId, host: endpoint.host, port: endpoint.port, rack: null }],
    clusterId: engine.id,
    controllerId: engine.nodeId,
    topics,
    clusterAuthorizedOperations: clusterOperations(request.includeClusterAuthorizedOperations),
  }
}

function lookUp(
  engine: Engine,
  asked: Asked,
  answer: Answer,
  version: number,
): MetadataTopicResponse {
  const { name, topicId } = asked
  if (isById(asked)) {
    if (version < BY_ID_VERSION_MIN) return nothing('', topicId, ERROR_CODES.INVALID_REQUEST)
    // A name beside an id does not count.
    const topic = engine.topicById(topicId)
    return topic === undefined
      ? nothing(null, topicId, ERROR_CODES.UNKNOWN_TOPIC_ID)
      : answer(topic)
  }
  if (name === null) return nothing(noName(version), topicId, ERROR_CODES.INVALID_REQUEST)
  const topic = engine.topic(name)
  if (topic !== undefined) return answer(topic)
  return nothing(
    name,
    ZERO_UUID,
    isTopicName(name)
      ? ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION
      : ERROR_CODES.INVALID_TOPIC_EXCEPTION,
  )
}

/** Whether a topic is asked for by its id. */
const isById = ({ topicId }: Asked): boolean => topicId !== ZERO_UUID

/** A topic without a name, as the version has it. */
function noName(version: number): string | null {
  return version >= BY_ID_VERSION_MIN ? null : ''
}

function missingNames(topics: readonly MetadataTopicResponse[]): readonly string[] {
  const names = new Set<string>()
  for (const { name, errorCode } of topics) {
    if (errorCode === ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION && name !== null) names.add(name)
  }
  return [...names]
}

/** Creates topics with the defaults of the node; the codes of those that could not be. */
async function createMissing(
  { engine }: HandlerNode,
  names: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const failures = new Map<string, number>()
  try {
    for (const { name, error } of await engine.createTopics(names.map(name => ({ name })))) {
      // Somebody else may have been faster.
      if (error !== undefined && error.code !== 'TOPIC_ALREADY_EXISTS') {
        failures.set(name, codeOf(error))
      }
    }
  } catch (error) {
    // A log that cannot create now can still describe.
    for (const name of names) failures.set(name, partitionCodeOf(expected(error)))
  }
  return failures
}

function topicAnswer(topic: TopicView, operations: number): MetadataTopicResponse {
  return {
    errorCode: ERROR_CODES.NONE,
    name: topic.name,
    topicId: topic.topicId,
    isInternal: topic.internal,
    partitions: topic.partitions.map(
      (partition): MetadataPartition => ({
        errorCode: ERROR_CODES.NONE,
        partitionIndex: partition.partition,
        leaderId: partition.leader,
        leaderEpoch: partition.leaderEpoch,
        replicaNodes: partition.replicas,
        isrNodes: partition.inSyncReplicas,
        offlineReplicas: NOBODY,
      }),
    ),
    topicAuthorizedOperations: operations,
  }
}

function nothing(name: string | null, topicId: string, errorCode: number): MetadataTopicResponse {
  return { errorCode, name, topicId, isInternal: false, partitions: [] }
}
