/**
 * What the client may use, by name: connections, requests in flight, bytes, tries, waits.
 */
import { type IntegerSetting, integer, type SettingValues } from '@millrace/base'

const MIB = 1024 * 1024
const SECOND = 1000
const MINUTE = 60 * SECOND

/** All settings of the client. */
export const CLIENT_SETTINGS: {
  readonly 'append.pending.max.bytes': IntegerSetting
  readonly 'close.drain.max.ms': IntegerSetting
  readonly 'connections.in.flight.max': IntegerSetting
  readonly 'connections.queued.max': IntegerSetting
  readonly 'connections.setup.timeout.ms': IntegerSetting
  readonly 'connections.waiting.max': IntegerSetting
  readonly 'coordinator.retry.max.ms': IntegerSetting
  readonly 'coordinators.cached.max': IntegerSetting
  readonly 'fetch.turn.max.ms': IntegerSetting
  readonly 'leader.retries.max': IntegerSetting
  readonly 'metadata.max.age.ms': IntegerSetting
  readonly 'network.retries.max': IntegerSetting
  readonly 'produce.request.max.bytes': IntegerSetting
  readonly 'request.timeout.ms': IntegerSetting
  readonly 'response.max.bytes': IntegerSetting
  readonly 'retry.backoff.max.ms': IntegerSetting
  readonly 'retry.backoff.ms': IntegerSetting
  readonly 'topics.cached.max': IntegerSetting
} = {
  'append.pending.max.bytes': integer(
    256 * MIB,
    MIB,
    16 * 1024 * MIB,
    'Bytes of batches handed to append and not answered. One more is THROTTLING_QUOTA_EXCEEDED.',
  ),
  'close.drain.max.ms': integer(
    5 * SECOND,
    0,
    10 * MINUTE,
    'How long closing waits for the answers of what was sent. Waiting reads are ended at once.',
  ),
  'connections.in.flight.max': integer(
    64,
    1,
    1_000,
    'Requests of one connection that are sent and not answered. Others wait their turn.',
  ),
  'connections.queued.max': integer(
    10_000,
    1,
    1_000_000,
    'Requests that wait for one connection. One more is THROTTLING_QUOTA_EXCEEDED.',
  ),
  'connections.setup.timeout.ms': integer(
    10 * SECOND,
    10,
    10 * MINUTE,
    'How long a connection may take until both sides have agreed on versions.',
  ),
  'connections.waiting.max': integer(
    256,
    1,
    10_000,
    'Connections to one broker for calls that wait there: fetch, join, sync. Others wait their turn.',
  ),
  'coordinator.retry.max.ms': integer(
    30 * SECOND,
    0,
    10 * MINUTE,
    'How long a call looks for the coordinator of its group before it gives the answer on.',
  ),
  'coordinators.cached.max': integer(
    10_000,
    1,
    1_000_000,
    'Groups whose coordinator is remembered. The one asked for first is forgotten first.',
  ),
  'fetch.turn.max.ms': integer(
    100,
    1,
    MINUTE,
    'A fetch from several leaders waits in turns of at most this long, because the first that has records ends it.',
  ),
  'leader.retries.max': integer(
    8,
    0,
    1_000,
    'How often a partition is asked again after its leader has moved.',
  ),
  'metadata.max.age.ms': integer(
    5 * MINUTE,
    0,
    24 * 60 * MINUTE,
    'How long the leaders of a topic are believed without asking again.',
  ),
  'network.retries.max': integer(
    2,
    0,
    1_000,
    'How often a call that may be repeated is tried again after a lost connection.',
  ),
  'produce.request.max.bytes': integer(
    16 * MIB,
    64 * 1024,
    1024 * MIB,
    'Batches in one request, but always one batch.',
  ),
  'request.timeout.ms': integer(
    30 * SECOND,
    10,
    60 * MINUTE,
    'How long an answer may take, beside the time that the request itself asks the broker to wait.',
  ),
  'response.max.bytes': integer(
    256 * MIB,
    64 * 1024,
    1024 * MIB,
    'Largest answer. A connection that announces a larger one is closed.',
  ),
  'retry.backoff.max.ms': integer(SECOND, 1, MINUTE, 'Longest wait between two tries.'),
  'retry.backoff.ms': integer(
    50,
    1,
    MINUTE,
    'First wait between two tries; it doubles, with jitter.',
  ),
  'topics.cached.max': integer(
    10_000,
    1,
    1_000_000,
    'Topics whose leaders are remembered. The one asked for first is forgotten first.',
  ),
}

/** The values of {@link CLIENT_SETTINGS}. */
export type ClientSettings = SettingValues<typeof CLIENT_SETTINGS>
