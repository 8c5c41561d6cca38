/**
 * AlterPartitionReassignments and ListPartitionReassignments: every replica is on this node and cannot
 * be anywhere else, so nothing ever moves. What asks for what is so already succeeds, as in Apache
 * Kafka; another node is refused.
 */
import type { Engine } from '@millrace/engine'
import {
  type AlterPartitionReassignmentsRequest,
  type AlterPartitionReassignmentsResponse,
  alterPartitionReassignments,
  type Decoded,
  ERROR_CODES,
  type ListPartitionReassignmentsRequest,
  type ListPartitionReassignmentsResponse,
  listPartitionReassignments,
  type ReassignablePartitionResponse,
} from '@millrace/protocol'
import { shortened } from './error-mapping.ts'
import type { Handler } from './handler.ts'

type Asked = Decoded<AlterPartitionReassignmentsRequest>['topics'][number]['partitions'][number]

/** The handler of AlterPartitionReassignments. */
export const alterPartitionReassignmentsHandler: Handler<
  AlterPartitionReassignmentsRequest,
  AlterPartitionReassignmentsResponse
> = {
  api: alterPartitionReassignments,

  handle: ({ topics, allowReplicationFactorChange }, _call, { engine }) => ({
    throttleTimeMs: 0,
    allowReplicationFactorChange,
    errorCode: ERROR_CODES.NONE,
    errorMessage: null,
    responses: topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(asked => judge(engine, name, asked)),
    })),
  }),

  failure: (_request, { code: errorCode, message: errorMessage }) => ({
    throttleTimeMs: 0,
    errorCode,
    errorMessage,
    responses: [],
  }),
}

function judge(
  engine: Engine,
  name: string,
  { partitionIndex, replicas }: Asked,
): ReassignablePartitionResponse {
  const answer = (
    errorCode: number,
    errorMessage: string | null = null,
  ): ReassignablePartitionResponse => ({ partitionIndex, errorCode, errorMessage })
  if (engine.topic(name)?.partitions[partitionIndex] === undefined) {
    const why = shortened(`there is no partition ${name}-${partitionIndex}`)
    return answer(ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION, why)
  }
  if (replicas === null) {
    return answer(ERROR_CODES.NO_REASSIGNMENT_IN_PROGRESS, 'nothing moves that could be cancelled')
  }
  if (replicas.length === 1 && replicas[0] === engine.nodeId) return answer(ERROR_CODES.NONE)
  const why = shortened(`replicas [${replicas}]: only [${engine.nodeId}] is here`)
  return answer(ERROR_CODES.INVALID_REPLICA_ASSIGNMENT, why)
}

/** The handler of ListPartitionReassignments. */
export const listPartitionReassignmentsHandler: Handler<
  ListPartitionReassignmentsRequest,
  ListPartitionReassignmentsResponse
> = {
  api: listPartitionReassignments,

  handle: () => ({
    throttleTimeMs: 0,
    errorCode: ERROR_CODES.NONE,
    errorMessage: null,
    topics: [],
  }),

  failure: (_request, { code: errorCode, message: errorMessage }) => ({
    throttleTimeMs: 0,
    errorCode,
    errorMessage,
    topics: [],
  }),
}
