/**
 * The closed list of what can go wrong in a log, whatever engine runs it.
 *
 * Names are those of the Apache Kafka protocol, so that an operator who knows Kafka knows them, and
 * so that the protocol maps one to one. Each says whether the same call may be repeated and what
 * an operator should do. A new code does not compile until the protocol has mapped it.
 */
import { type ErrorSpec, ListedError } from '@millrace/base'

export const LOG_ERRORS = {
  UNKNOWN_SERVER_ERROR: {
    retriable: false,
    message: 'the log failed in a way it does not know',
    operator: 'Report it with the log lines around it.',
  },
  OFFSET_OUT_OF_RANGE: {
    retriable: false,
    message: 'the offset lies outside what the partition holds',
    operator: 'Start from the earliest or latest offset; retention may have passed this reader.',
  },
  CORRUPT_MESSAGE: {
    retriable: true,
    message: 'a record batch fails its checksum or its layout',
    operator: 'If the producer retries in vain, look at its network and memory.',
  },
  UNKNOWN_TOPIC_OR_PARTITION: {
    retriable: true,
    message: 'no such topic or partition',
    operator: 'Create the topic, or correct the name.',
  },
  REQUEST_TIMED_OUT: {
    retriable: true,
    message: 'the request did not finish in its time',
    operator: 'The outcome is unknown; an idempotent producer may repeat it.',
  },
  MESSAGE_TOO_LARGE: {
    retriable: false,
    message: 'a record batch is larger than the topic allows',
    operator: 'Raise max.message.bytes of the topic, or make batches smaller.',
  },
  OFFSET_METADATA_TOO_LARGE: {
    retriable: false,
    message: 'the metadata string of a committed offset is too long',
    operator: 'Keep it under offset.metadata.max.bytes.',
  },
  INVALID_COMMIT_OFFSET_SIZE: {
    retriable: false,
    message: 'there is no room for more committed offsets',
    operator: 'Delete groups that nobody uses, or raise the limit that the message names.',
  },
  COORDINATOR_LOAD_IN_PROGRESS: {
    retriable: true,
    message: 'the coordinator is still reading its state',
    operator: 'Wait; it ends by itself.',
  },
  COORDINATOR_NOT_AVAILABLE: {
    retriable: true,
    message: 'the coordinator cannot be reached or is stopping',
    operator: 'Wait, or look at the health endpoint.',
  },
  NOT_COORDINATOR: {
    retriable: true,
    message: 'another node coordinates this group',
    operator: 'Refresh the metadata.',
  },
  NOT_LEADER_OR_FOLLOWER: {
    retriable: true,
    message: 'another node leads this partition',
    operator: 'Refresh the metadata.',
  },
  INVALID_TOPIC_EXCEPTION: {
    retriable: false,
    message: 'not a legal topic name',
    operator: 'Use 1 to 249 of a-z A-Z 0-9 . _ -, and neither "." nor "..".',
  },
  INVALID_REQUIRED_ACKS: {
    retriable: false,
    message: 'acks must be 0, 1 or all',
    operator: 'Correct the producer.',
  },
  ILLEGAL_GENERATION: {
    retriable: false,
    message: 'the group has moved on to another generation',
    operator: 'The member joins again by itself.',
  },
  INCONSISTENT_GROUP_PROTOCOL: {
    retriable: false,
    message: 'the member shares no assignment protocol with its group',
    operator: 'Give all members of the group one assignor in common.',
  },
  INVALID_GROUP_ID: {
    retriable: false,
    message: 'not a legal group id',
    operator: 'Use a non-empty group id.',
  },
  UNKNOWN_MEMBER_ID: {
    retriable: false,
    message: 'the group does not know this member',
    operator: 'The member joins again by itself; if often, raise session.timeout.ms.',
  },
  INVALID_SESSION_TIMEOUT: {
    retriable: false,
    message: 'the session timeout lies outside what the node allows',
    operator: 'Stay within group.min.session.timeout.ms and group.max.session.timeout.ms.',
  },
  REBALANCE_IN_PROGRESS: {
    retriable: true,
    message: 'the group is rebalancing',
    operator: 'The member joins again by itself.',
  },
  INVALID_TIMESTAMP: {
    retriable: false,
    message: 'a record timestamp lies outside what the topic allows',
    operator: 'Correct the clock, or message.timestamp.before.max.ms and after.max.ms.',
  },
  UNSUPPORTED_VERSION: {
    retriable: false,
    message: 'the other side does not know this version of the call',
    operator: 'Upgrade the older side.',
  },
  TOPIC_ALREADY_EXISTS: {
    retriable: false,
    message: 'a topic of this name exists',
    operator: 'Choose another name.',
  },
  INVALID_PARTITIONS: {
    retriable: false,
    message: 'not a legal number of partitions',
    operator: 'Partitions can be added, never taken away; mind partitions.max.',
  },
  INVALID_REPLICATION_FACTOR: {
    retriable: false,
    message: 'one node holds one copy: the replication factor must be 1 or -1',
    operator: 'Ask for 1, or leave it to the default.',
  },
  INVALID_REPLICA_ASSIGNMENT: {
    retriable: false,
    message: 'not a legal replica assignment',
    operator: 'Assign every partition to this node, or leave the assignment out.',
  },
  INVALID_CONFIG: {
    retriable: false,
    message: 'not a legal configuration',
    operator: 'The message names the key and what is allowed.',
  },
  INVALID_REQUEST: {
    retriable: false,
    message: 'the request contradicts itself',
    operator: 'Correct the client; the message says what is wrong.',
  },
  UNSUPPORTED_FOR_MESSAGE_FORMAT: {
    retriable: false,
    message: 'the stored format cannot answer this',
    operator: 'Use record batches of version 2.',
  },
  POLICY_VIOLATION: {
    retriable: false,
    message: 'the topic does not allow this operation',
    operator: 'Look at its cleanup.policy.',
  },
  OUT_OF_ORDER_SEQUENCE_NUMBER: {
    retriable: false,
    message: 'a batch of this producer is missing before this one',
    operator: 'The producer starts a new epoch; if it goes on, look for lost connections.',
  },
  DUPLICATE_SEQUENCE_NUMBER: {
    retriable: false,
    message: 'the batch was stored before and its answer is no longer remembered',
    operator: 'Nothing is lost; keep at most five requests in flight.',
  },
  INVALID_PRODUCER_EPOCH: {
    retriable: false,
    message: 'a newer instance of this producer has taken over',
    operator: 'Stop the older instance.',
  },
  INVALID_TXN_STATE: {
    retriable: false,
    message: 'the transaction is not in a state that allows this',
    operator: 'Abort it and start anew.',
  },
  INVALID_PRODUCER_ID_MAPPING: {
    retriable: false,
    message: 'the producer id does not belong to this transactional id',
    operator: 'Initialise the producer again.',
  },
  CONCURRENT_TRANSACTIONS: {
    retriable: true,
    message: 'an earlier transaction of this producer is still ending',
    operator: 'It is retried by the client.',
  },
  KAFKA_STORAGE_ERROR: {
    retriable: true,
    message: 'the disk refuses or has failed',
    operator: 'The health endpoint names the reason: free space, or check the device and restart.',
  },
  UNKNOWN_PRODUCER_ID: {
    retriable: false,
    message: 'nothing is known of this producer',
    operator: 'The producer initialises itself again.',
  },
  NON_EMPTY_GROUP: {
    retriable: false,
    message: 'the group has members',
    operator: 'Stop its consumers first.',
  },
  GROUP_ID_NOT_FOUND: {
    retriable: false,
    message: 'no such group',
    operator: 'Correct the group id.',
  },
  FENCED_LEADER_EPOCH: {
    retriable: true,
    message: 'the leader epoch of the request is older than the partition',
    operator: 'The client refreshes its metadata.',
  },
  UNKNOWN_LEADER_EPOCH: {
    retriable: true,
    message: 'the leader epoch of the request is newer than the partition',
    operator: 'The client refreshes its metadata.',
  },
  UNSUPPORTED_COMPRESSION_TYPE: {
    retriable: false,
    message: 'this compression is not supported here',
    operator: 'Use none, gzip, snappy, lz4 or zstd; zstd needs a client of 2019 or later.',
  },
  OFFSET_NOT_AVAILABLE: {
    retriable: true,
    message: 'the offset cannot be told yet',
    operator: 'Wait; it ends by itself.',
  },
  MEMBER_ID_REQUIRED: {
    retriable: true,
    message: 'the member must join again with the id that it was given (KIP-394)',
    operator: 'The client does so by itself.',
  },
  GROUP_MAX_SIZE_REACHED: {
    retriable: false,
    message: 'the group, or all groups together, have as many members as they may have',
    operator: 'Raise group.max.size or groups.total.max.bytes, or use fewer consumers.',
  },
  FENCED_INSTANCE_ID: {
    retriable: false,
    message: 'another member has taken over this group.instance.id (KIP-345)',
    operator: 'Give every running member an instance id of its own.',
  },
  GROUP_SUBSCRIBED_TO_TOPIC: {
    retriable: false,
    message: 'the group is subscribed to this topic',
    operator: 'Stop its consumers before deleting these offsets.',
  },
  INVALID_RECORD: {
    retriable: false,
    message: 'a record breaks a rule of its topic or of the batch format',
    operator: 'The message names the rule.',
  },
  UNSTABLE_OFFSET_COMMIT: {
    retriable: true,
    message: 'an open transaction is about to change these offsets',
    operator: 'The client retries.',
  },
  THROTTLING_QUOTA_EXCEEDED: {
    retriable: true,
    message: 'a limit of this node is reached',
    operator: 'The message names the limit and its configuration key.',
  },
  PRODUCER_FENCED: {
    retriable: false,
    message: 'a newer instance of this producer has taken over',
    operator: 'Stop the older instance.',
  },
  UNKNOWN_TOPIC_ID: {
    retriable: true,
    message: 'no topic has this id',
    operator: 'The client refreshes its metadata.',
  },
  NETWORK_EXCEPTION: {
    retriable: true,
    message: 'the connection ended before the answer came',
    operator: 'The client connects again; if not, check the address and the node.',
  },
  LOG_CLOSED: {
    retriable: false,
    message: 'the log has been closed',
    operator: 'Open it again.',
  },
} as const

/** One of the codes of {@link LOG_ERRORS}. */
export type LogErrorCode = keyof typeof LOG_ERRORS

/** An error of a log: a code of the closed list, whether to retry, and what the operator does. */
export class LogError extends ListedError<LogErrorCode> {
  override readonly name: string = 'LogError'

  /** @param detail what exactly is wrong here: names the field, the value and the bound */
  constructor(code: LogErrorCode, detail?: string, cause?: unknown) {
    const spec: ErrorSpec = LOG_ERRORS[code]
    const message = detail === undefined ? spec.message : `${spec.message}: ${detail}`
    super(code, spec, message, { cause })
  }
}
