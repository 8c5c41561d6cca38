/**
 * What a client may do, as bit masks (KIP-430): 1 << ACL operation. There is no authorization yet:
 * everyone may do everything that exists for the resource.
 */
import { NO_AUTHORIZED_OPERATIONS } from '@millrace/protocol'

const READ = 1 << 3
const WRITE = 1 << 4
const CREATE = 1 << 5
const DELETE = 1 << 6
const ALTER = 1 << 7
const DESCRIBE = 1 << 8
const CLUSTER_ACTION = 1 << 9
const DESCRIBE_CONFIGS = 1 << 10
const ALTER_CONFIGS = 1 << 11
const IDEMPOTENT_WRITE = 1 << 12

const TOPIC = READ | WRITE | CREATE | DELETE | ALTER | DESCRIBE | DESCRIBE_CONFIGS | ALTER_CONFIGS
const GROUP = READ | DELETE | DESCRIBE | DESCRIBE_CONFIGS | ALTER_CONFIGS
const CLUSTER =
  CREATE | ALTER | DESCRIBE | CLUSTER_ACTION | DESCRIBE_CONFIGS | ALTER_CONFIGS | IDEMPOTENT_WRITE

/** The mask for a topic, or the value that stands for "not asked". */
export const topicOperations = (asked: boolean): number =>
  asked ? TOPIC : NO_AUTHORIZED_OPERATIONS

/** The mask for a group, or the value that stands for "not asked". */
export const groupOperations = (asked: boolean): number =>
  asked ? GROUP : NO_AUTHORIZED_OPERATIONS

/** The mask for the cluster, or the value that stands for "not asked". */
export const clusterOperations = (asked: boolean): number =>
  asked ? CLUSTER : NO_AUTHORIZED_OPERATIONS
