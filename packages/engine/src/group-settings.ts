/** The limits of the group coordinator, by their Kafka names where Kafka has them. */
import type { SettingValues } from '@millrace/base'

/** All settings of the group coordinator. */
export const GROUP_SETTINGS = {
  // Kafka waits 3 s. 150 ms lets members that start together meet in the first generation (each one
  // that misses it costs a rebalance and up to a heartbeat interval of 3 s), and a single consumer
  // on a laptop does not notice it.
  'group.initial.rebalance.delay.ms': {
    type: 'integer',
    default: 150,
    min: 0,
    max: 300_000,
    doc: 'How long an empty group waits for more members before its first generation.',
  },
  'group.max.session.timeout.ms': {
    type: 'integer',
    default: 1_800_000,
    min: 1,
    max: 86_400_000,
    doc: 'Longest session timeout a member may ask for.',
  },
  'group.max.size': {
    type: 'integer',
    default: 1000,
    min: 1,
    max: 100_000,
    doc: 'Members of one group.',
  },
  'group.member.metadata.max.bytes': {
    type: 'integer',
    default: 1_048_576,
    min: 1024,
    max: 67_108_864,
    doc: 'Bytes of metadata, or of assignment, of one member.',
  },
  'group.metadata.max.bytes': {
    type: 'integer',
    default: 8_388_608,
    min: 4096,
    max: 134_217_728,
    doc: 'Bytes of the stored record of one group: all members with metadata and assignment.',
  },
  'group.min.session.timeout.ms': {
    type: 'integer',
    default: 6000,
    min: 1,
    max: 86_400_000,
    doc: 'Shortest session timeout a member may ask for.',
  },
  'group.new.member.join.timeout.ms': {
    type: 'integer',
    default: 300_000,
    min: 1000,
    max: 86_400_000,
    doc: 'How long a first join may wait for its answer before the member is forgotten.',
  },
  'group.offsets.max': {
    type: 'integer',
    default: 100_000,
    min: 1,
    max: 1_000_000,
    doc: 'Partitions for which one group may hold committed offsets.',
  },
  'groups.max': {
    type: 'integer',
    default: 10_000,
    min: 1,
    max: 1_000_000,
    doc: 'Groups of the node.',
  },
  'groups.total.max.bytes': {
    type: 'integer',
    default: 67_108_864,
    min: 1_048_576,
    max: 68_719_476_736,
    doc: 'Bytes of memory for the members of all groups: ids, metadata and assignments, twice, because they are stored as well.',
  },
  'offset.metadata.max.bytes': {
    type: 'integer',
    default: 4096,
    min: 0,
    max: 32_767,
    doc: 'Bytes (UTF-8) of the metadata string of a committed offset.',
  },
  // Kafka's default is 5 s; a disk that is busy may take that long.
  'offsets.commit.timeout.ms': {
    type: 'integer',
    default: 10_000,
    min: 100,
    max: 600_000,
    doc: 'Longest wait of an answer about a group, commits of offsets above all, for the disk; then it is COORDINATOR_NOT_AVAILABLE, which clients try again.',
  },
  'offsets.retention.check.interval.ms': {
    type: 'integer',
    default: 600_000,
    min: 1000,
    max: 86_400_000,
    doc: 'How often committed offsets are looked through for expired ones.',
  },
  'offsets.retention.minutes': {
    type: 'integer',
    default: 10_080,
    min: 1,
    max: 5_256_000,
    doc: 'How long the offsets of an empty group are kept; 7 days by default.',
  },
  'offsets.total.max.bytes': {
    type: 'integer',
    default: 134_217_728,
    min: 65_536,
    max: 68_719_476_736,
    doc: 'Bytes of memory for all committed offsets: 128 each and their metadata strings, 256 and the names for each topic of a group.',
  },
} as const

/** The values of {@link GROUP_SETTINGS}. */
export type GroupSettings = SettingValues<typeof GROUP_SETTINGS>
