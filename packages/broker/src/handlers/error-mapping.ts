/**
 * Errors of the log as numbers of the protocol. The table is total: a new code of the log does not
 * compile until it is here. Numbers: Apache Kafka, Errors.
 */
import { LogError, type LogErrorCode } from '@millrace/log'
import type { Failure } from './handler.ts'

/** No error. */
export const NONE = 0
/** The node failed in a way it does not know. */
export const UNKNOWN_SERVER_ERROR = -1

/** The protocol's number of each error of the log. */
export const KAFKA_CODE_OF: Readonly<Record<LogErrorCode, number>> = {
  UNKNOWN_SERVER_ERROR: -1,
  OFFSET_OUT_OF_RANGE: 1,
  CORRUPT_MESSAGE: 2,
  UNKNOWN_TOPIC_OR_PARTITION: 3,
  NOT_LEADER_OR_FOLLOWER: 6,
  REQUEST_TIMED_OUT: 7,
  MESSAGE_TOO_LARGE: 10,
  OFFSET_METADATA_TOO_LARGE: 12,
  NETWORK_EXCEPTION: 13,
  COORDINATOR_LOAD_IN_PROGRESS: 14,
  COORDINATOR_NOT_AVAILABLE: 15,
  // A node that is stopping: clients look for the leader or coordinator anew, and wait.
  LOG_CLOSED: 15,
  NOT_COORDINATOR: 16,
  INVALID_TOPIC_EXCEPTION: 17,
  INVALID_REQUIRED_ACKS: 21,
  ILLEGAL_GENERATION: 22,
  INCONSISTENT_GROUP_PROTOCOL: 23,
  INVALID_GROUP_ID: 24,
  UNKNOWN_MEMBER_ID: 25,
  INVALID_SESSION_TIMEOUT: 26,
  REBALANCE_IN_PROGRESS: 27,
  INVALID_COMMIT_OFFSET_SIZE: 28,
  INVALID_TIMESTAMP: 32,
  UNSUPPORTED_VERSION: 35,
  TOPIC_ALREADY_EXISTS: 36,
  INVALID_PARTITIONS: 37,
  INVALID_REPLICATION_FACTOR: 38,
  INVALID_REPLICA_ASSIGNMENT: 39,
  INVALID_CONFIG: 40,
  INVALID_REQUEST: 42,
  UNSUPPORTED_FOR_MESSAGE_FORMAT: 43,
  POLICY_VIOLATION: 44,
  OUT_OF_ORDER_SEQUENCE_NUMBER: 45,
  DUPLICATE_SEQUENCE_NUMBER: 46,
  INVALID_PRODUCER_EPOCH: 47,
  INVALID_TXN_STATE: 48,
  INVALID_PRODUCER_ID_MAPPING: 49,
  CONCURRENT_TRANSACTIONS: 51,
  KAFKA_STORAGE_ERROR: 56,
  UNKNOWN_PRODUCER_ID: 59,
  NON_EMPTY_GROUP: 68,
  GROUP_ID_NOT_FOUND: 69,
  FENCED_LEADER_EPOCH: 74,
  UNKNOWN_LEADER_EPOCH: 75,
  UNSUPPORTED_COMPRESSION_TYPE: 76,
  OFFSET_NOT_AVAILABLE: 78,
  MEMBER_ID_REQUIRED: 79,
  GROUP_MAX_SIZE_REACHED: 81,
  FENCED_INSTANCE_ID: 82,
  GROUP_SUBSCRIBED_TO_TOPIC: 86,
  INVALID_RECORD: 87,
  UNSTABLE_OFFSET_COMMIT: 88,
  THROTTLING_QUOTA_EXCEEDED: 89,
  PRODUCER_FENCED: 90,
  UNKNOWN_TOPIC_ID: 100,
}

const NOT_LEADER_OR_FOLLOWER = KAFKA_CODE_OF.NOT_LEADER_OR_FOLLOWER

/** The number of an outcome that may carry an error. */
export function codeOf(error: LogError | undefined): number {
  return error === undefined ? NONE : KAFKA_CODE_OF[error.code]
}

/**
 * The number of an outcome about a partition: a client that is told that the coordinator is gone
 * would look for the wrong thing when the log is closed under a read or an append.
 */
export function partitionCodeOf(error: LogError | undefined): number {
  if (error === undefined) return NONE
  return error.code === 'LOG_CLOSED' ? NOT_LEADER_OR_FOLLOWER : KAFKA_CODE_OF[error.code]
}

/** The text of an outcome, null without an error. */
export function messageOf(error: LogError | undefined): string | null {
  return error === undefined ? null : shortened(error.message)
}

/** Messages repeat what the client sent, which may be as long as any field; an answer needs no more. */
const MESSAGE_CHARACTERS_MAX = 1_000

/** A message as it may stand in an answer. */
export function shortened(message: string): string {
  if (message.length <= MESSAGE_CHARACTERS_MAX) return message
  return `${message.slice(0, MESSAGE_CHARACTERS_MAX)}…`
}

/** An error of the log, to be answered in its place; anything else is thrown on, to be reported. */
export function expected(thrown: unknown): LogError {
  if (thrown instanceof LogError) return thrown
  throw thrown
}

/** What an answer says about something that was thrown. Nothing of an unknown error goes out. */
export function failureOf(thrown: unknown): Failure {
  if (thrown instanceof LogError) {
    const message = shortened(thrown.message)
    return { code: codeOf(thrown), partitionCode: partitionCodeOf(thrown), message }
  }
  return { code: UNKNOWN_SERVER_ERROR, partitionCode: UNKNOWN_SERVER_ERROR, message: null }
}
