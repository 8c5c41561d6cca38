/** The bounds of whatever follows events: sagas and subscriptions. */
import { type IntegerSetting, integer, type SettingValues } from '@millrace/base'

/** Settings by dotted key. */
export const FOLLOWER_SETTINGS: {
  readonly 'follower.page.events': IntegerSetting
  readonly 'follower.commit.interval.ms': IntegerSetting
  readonly 'follower.start.wait.ms': IntegerSetting
  readonly 'follower.restart.first.ms': IntegerSetting
  readonly 'follower.restart.longest.ms': IntegerSetting
  readonly 'follower.lag.interval.ms': IntegerSetting
  readonly 'follower.reached.poll.ms': IntegerSetting
  readonly 'follower.session.timeout.ms': IntegerSetting
  readonly 'follower.heartbeat.interval.ms': IntegerSetting
  readonly 'follower.rebalance.timeout.ms': IntegerSetting
  readonly 'subscription.batch.events': IntegerSetting
  readonly 'subscription.parked.max': IntegerSetting
  readonly 'subscription.finished.cache': IntegerSetting
  readonly 'subscription.redrive.events': IntegerSetting
} = {
  'follower.page.events': integer(1000, 1, 100_000, 'Events read at once.'),
  'follower.commit.interval.ms': integer(
    200,
    0,
    3_600_000,
    'How often positions are committed while events are handled; 0: after every page.',
  ),
  'follower.start.wait.ms': integer(
    10_000,
    1,
    600_000,
    'start() waits this long for buckets; a member of a group may be left with none.',
  ),
  'follower.restart.first.ms': integer(
    100,
    1,
    3_600_000,
    'Wait before the first restart after a failure; doubles with each.',
  ),
  'follower.restart.longest.ms': integer(30_000, 1, 3_600_000, 'Longest wait before a restart.'),
  'follower.lag.interval.ms': integer(
    1000,
    1,
    3_600_000,
    'How often the lag is asked for while a follower is behind.',
  ),
  'follower.reached.poll.ms': integer(
    100,
    1,
    60_000,
    'How often the positions of buckets of other nodes are looked at while somebody waits for them.',
  ),
  'follower.session.timeout.ms': integer(
    45_000,
    1000,
    3_600_000,
    'The buckets of a node that was not heard of for this long go to others.',
  ),
  'follower.heartbeat.interval.ms': integer(
    3000,
    1,
    3_600_000,
    'How often a node is heard of; and learns that others share its buckets.',
  ),
  'follower.rebalance.timeout.ms': integer(
    60_000,
    1,
    3_600_000,
    'How long a page in hand may take when its buckets go to another node.',
  ),
  'subscription.batch.events': integer(500, 1, 100_000, 'Most events of one call of a handler.'),
  'subscription.parked.max': integer(
    1000,
    1,
    1_000_000,
    'Parked streams beyond which the subscription stops: its handler is broken.',
  ),
  'subscription.finished.cache': integer(
    50_000,
    1,
    10_000_000,
    'Streams of which it is remembered whether they have finished; others are read again.',
  ),
  'subscription.redrive.events': integer(
    10_000,
    1,
    1_000_000,
    'Most events that one redrive of a stream delivers.',
  ),
}

/** Values of {@link FOLLOWER_SETTINGS}. */
export type FollowerSettings = SettingValues<typeof FOLLOWER_SETTINGS>
