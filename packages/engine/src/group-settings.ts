/** The limits of the group coordinator, by their Kafka names where Kafka has them. */
import { type IntegerSetting, integer, type SettingValues } from '@millrace/base'

const DAY_MS = 86_400_000

/** All settings of the group coordinator. */
export const GROUP_SETTINGS: {
  readonly 'group.initial.rebalance.delay.ms': IntegerSetting
  readonly 'group.max.session.timeout.ms': IntegerSetting
  readonly 'group.max.size': IntegerSetting
  readonly 'group.member.metadata.max.bytes': IntegerSetting
  readonly 'group.metadata.max.bytes': IntegerSetting
  readonly 'group.min.session.timeout.ms': IntegerSetting
  readonly 'group.new.member.join.timeout.ms': IntegerSetting
  readonly 'group.offsets.max': IntegerSetting
  readonly 'groups.max': IntegerSetting
  readonly 'groups.total.max.bytes': IntegerSetting
  readonly 'offset.metadata.max.bytes': IntegerSetting
  readonly 'offsets.retention.check.interval.ms': IntegerSetting
  readonly 'offsets.retention.minutes': IntegerSetting
  readonly 'offsets.total.max.bytes': IntegerSetting
} = {
  // Kafka waits 3 s. 150 ms lets members that start together meet in the first generation (each one
  // that misses it costs a rebalance and up to a heartbeat interval of 3 s), and a single consumer
  // on a laptop does not notice it.
  'group.initial.rebalance.delay.ms': integer(
    150,
    0,
    300_000,
    'How long an empty group waits for more members before its first generation.',
  ),
  'group.max.session.timeout.ms': integer(
    1_800_000,
    1,
    DAY_MS,
    'Longest session timeout a member may ask for.',
  ),
  'group.max.size': integer(1000, 1, 100_000, 'Members of one group.'),
  'group.member.metadata.max.bytes': integer(
    1 << 20,
    1024,
    1 << 26,
    'Bytes of metadata, or of assignment, of one member.',
  ),
  'group.metadata.max.bytes': integer(
    8 << 20,
    4096,
    1 << 27,
    'Bytes of the stored record of one group: all members with metadata and assignment.',
  ),
  'group.min.session.timeout.ms': integer(
    6000,
    1,
    DAY_MS,
    'Shortest session timeout a member may ask for.',
  ),
  'group.new.member.join.timeout.ms': integer(
    300_000,
    1000,
    DAY_MS,
    'How long a first join may wait for its answer before the member is forgotten.',
  ),
  'group.offsets.max': integer(
    100_000,
    1,
    1_000_000,
    'Partitions for which one group may hold committed offsets.',
  ),
  'groups.max': integer(10_000, 1, 1_000_000, 'Groups of the node.'),
  'groups.total.max.bytes': integer(
    64 << 20,
    1 << 20,
    2 ** 36,
    'Bytes of memory for the members of all groups: ids, metadata and assignments, twice, because they are stored as well.',
  ),
  'offset.metadata.max.bytes': integer(
    4096,
    0,
    32_767,
    'Bytes (UTF-8) of the metadata string of a committed offset.',
  ),
  'offsets.retention.check.interval.ms': integer(
    600_000,
    1000,
    DAY_MS,
    'How often committed offsets are looked through for expired ones.',
  ),
  'offsets.retention.minutes': integer(
    10_080,
    1,
    5_256_000,
    'How long the offsets of an empty group are kept; 7 days by default.',
  ),
  'offsets.total.max.bytes': integer(
    128 << 20,
    1 << 16,
    2 ** 36,
    'Bytes of memory for all committed offsets: 128 each and their metadata strings, 256 and the names for each topic of a group.',
  ),
}

/** The values of {@link GROUP_SETTINGS}. */
export type GroupSettings = SettingValues<typeof GROUP_SETTINGS>
