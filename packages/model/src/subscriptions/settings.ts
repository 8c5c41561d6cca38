/** The bounds of whatever follows events: sagas and subscriptions. */
import type { SettingValues } from '@millrace/base'

/** Settings by dotted key. */
export const FOLLOWER_SETTINGS = {
  'follower.page.events': {
    type: 'integer',
    default: 1000,
    min: 1,
    max: 100_000,
    doc: 'Events read at once.',
  },
  'follower.commit.interval.ms': {
    type: 'integer',
    default: 200,
    min: 0,
    max: 3_600_000,
    doc: 'How often positions are committed while events are handled; 0: after every page.',
  },
  'follower.start.wait.ms': {
    type: 'integer',
    default: 10_000,
    min: 1,
    max: 600_000,
    doc: 'start() waits this long for buckets; a member of a group may be left with none.',
  },
  'follower.restart.first.ms': {
    type: 'integer',
    default: 100,
    min: 1,
    max: 3_600_000,
    doc: 'Wait before the first restart after a failure; doubles with each.',
  },
  'follower.restart.longest.ms': {
    type: 'integer',
    default: 30_000,
    min: 1,
    max: 3_600_000,
    doc: 'Longest wait before a restart.',
  },
  'follower.lag.interval.ms': {
    type: 'integer',
    default: 1000,
    min: 1,
    max: 3_600_000,
    doc: 'How often the lag is asked for while a follower is behind.',
  },
  'follower.reached.poll.ms': {
    type: 'integer',
    default: 100,
    min: 1,
    max: 60_000,
    doc: 'How often the positions of buckets of other nodes are looked at while somebody waits for them.',
  },
  'follower.session.timeout.ms': {
    type: 'integer',
    default: 45_000,
    min: 1000,
    max: 3_600_000,
    doc: 'The buckets of a node that was not heard of for this long go to others.',
  },
  'follower.heartbeat.interval.ms': {
    type: 'integer',
    default: 3000,
    min: 1,
    max: 3_600_000,
    doc: 'How often a node is heard of; and learns that others share its buckets.',
  },
  'follower.rebalance.timeout.ms': {
    type: 'integer',
    default: 60_000,
    min: 1,
    max: 3_600_000,
    doc: 'How long a page in hand may take when its buckets go to another node.',
  },
  'subscription.batch.events': {
    type: 'integer',
    default: 500,
    min: 1,
    max: 100_000,
    doc: 'Most events of one call of a handler.',
  },
  'subscription.handler.timeout.ms': {
    type: 'integer',
    default: 60_000,
    min: 1,
    max: 86_400_000,
    doc: 'A call of a handler that takes longer is told so by its signal and counts as failed.',
  },
  'subscription.handler.end.ms': {
    type: 'integer',
    default: 5000,
    min: 0,
    max: 3_600_000,
    doc: 'A call is awaited this long once its signal says that the buckets go, or the application closes.',
  },
  'subscription.parked.max': {
    type: 'integer',
    default: 1000,
    min: 1,
    max: 1_000_000,
    doc: 'Parked streams beyond which the subscription stops: its handler is broken.',
  },
  'subscription.finished.cache': {
    type: 'integer',
    default: 50_000,
    min: 1,
    max: 10_000_000,
    doc: 'Streams of which it is remembered whether they have finished; others are read again.',
  },
  'subscription.redrive.events': {
    type: 'integer',
    default: 10_000,
    min: 1,
    max: 1_000_000,
    doc: 'Most events that one redrive of a stream delivers.',
  },
} as const

/** Values of {@link FOLLOWER_SETTINGS}. */
export type FollowerSettings = SettingValues<typeof FOLLOWER_SETTINGS>
