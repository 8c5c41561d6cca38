/**
 * The numbers that messages carry in place of words, as far as the APIs of `messages/` need them.
 */

/** Which records a reader sees (KIP-98). */
export const ISOLATION_LEVEL = { readUncommitted: 0, readCommitted: 1 } as const

/** How ElectLeaders chooses. */
export const ELECTION_TYPE = { preferred: 0, unclean: 1 } as const

/** What FindCoordinator looks for. */
export const COORDINATOR_TYPE = { group: 0, transaction: 1, share: 2 } as const

/** Timestamps that stand for a place in the partition, in ListOffsets. */
export const LIST_OFFSETS_TIMESTAMP = {
  latest: -1,
  earliest: -2,
  /** The record with the highest timestamp (KIP-734). */
  maxTimestamp: -3,
  earliestLocal: -4,
  latestTiered: -5,
  earliestPendingUpload: -6,
} as const

/** What has a configuration. */
export const CONFIG_RESOURCE_TYPE = {
  topic: 2,
  broker: 4,
  brokerLogger: 8,
  clientMetrics: 16,
  group: 32,
} as const

/** Where the value of a configuration entry comes from. */
export const CONFIG_SOURCE = {
  unknown: 0,
  topic: 1,
  dynamicBroker: 2,
  dynamicDefaultBroker: 3,
  staticBroker: 4,
  default: 5,
  dynamicBrokerLogger: 6,
  clientMetrics: 7,
  group: 8,
} as const

/** The type of a configuration entry. */
export const CONFIG_TYPE = {
  unknown: 0,
  boolean: 1,
  string: 2,
  int: 3,
  short: 4,
  long: 5,
  double: 6,
  list: 7,
  class: 8,
  password: 9,
} as const

/** What IncrementalAlterConfigs does to a key (KIP-339). */
export const CONFIG_OPERATION = { set: 0, delete: 1, append: 2, subtract: 3 } as const

/** Where authorized operations were not asked for (KIP-430). */
export const NO_AUTHORIZED_OPERATIONS = -2_147_483_648
