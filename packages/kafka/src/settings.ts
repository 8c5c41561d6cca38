/**
 * What the client may use, by name: connections, requests in flight, bytes, tries, waits.
 */
import type { SettingValues } from '@millrace/base'

/** All settings of the client. */
export const CLIENT_SETTINGS = {
  'append.pending.max.bytes': {
    type: 'integer',
    default: 268_435_456,
    min: 1_048_576,
    max: 17_179_869_184,
    doc: 'Bytes of batches handed to append and not answered. One more is THROTTLING_QUOTA_EXCEEDED.',
  },
  'close.drain.max.ms': {
    type: 'integer',
    default: 5000,
    min: 0,
    max: 600_000,
    doc: 'How long closing waits for the answers of what was sent. Waiting reads are ended at once.',
  },
  'connections.in.flight.max': {
    type: 'integer',
    default: 64,
    min: 1,
    max: 1000,
    doc: 'Requests of one connection that are sent and not answered. Others wait their turn.',
  },
  'connections.queued.max': {
    type: 'integer',
    default: 10_000,
    min: 1,
    max: 1_000_000,
    doc: 'Requests that wait for one connection. One more is THROTTLING_QUOTA_EXCEEDED.',
  },
  'connections.setup.timeout.ms': {
    type: 'integer',
    default: 10_000,
    min: 10,
    max: 600_000,
    doc: 'How long a connection may take until both sides have agreed on versions.',
  },
  'connections.waiting.max': {
    type: 'integer',
    default: 256,
    min: 1,
    max: 10_000,
    doc: 'Connections to one broker for calls that wait there: fetch, join, sync. Others wait their turn.',
  },
  'coordinator.retry.max.ms': {
    type: 'integer',
    default: 30_000,
    min: 0,
    max: 600_000,
    doc: 'How long a call looks for the coordinator of its group before it gives the answer on.',
  },
  'coordinators.cached.max': {
    type: 'integer',
    default: 10_000,
    min: 1,
    max: 1_000_000,
    doc: 'Groups whose coordinator is remembered. The one asked for first is forgotten first.',
  },
  'fetch.turn.max.ms': {
    type: 'integer',
    default: 100,
    min: 1,
    max: 60_000,
    doc: 'A fetch from several leaders waits in turns of at most this long, because the first that has records ends it.',
  },
  'leader.retries.max': {
    type: 'integer',
    default: 8,
    min: 0,
    max: 1000,
    doc: 'How often a partition is asked again after its leader has moved.',
  },
  'metadata.max.age.ms': {
    type: 'integer',
    default: 300_000,
    min: 0,
    max: 86_400_000,
    doc: 'How long the leaders of a topic are believed without asking again.',
  },
  'network.retries.max': {
    type: 'integer',
    default: 2,
    min: 0,
    max: 1000,
    doc: 'How often a call that may be repeated is tried again after a lost connection.',
  },
  'produce.request.max.bytes': {
    type: 'integer',
    default: 16_777_216,
    min: 65_536,
    max: 1_073_741_824,
    doc: 'Batches in one request, but always one batch.',
  },
  'request.timeout.ms': {
    type: 'integer',
    default: 30_000,
    min: 10,
    max: 3_600_000,
    doc: 'How long an answer may take, beside the time that the request itself asks the broker to wait.',
  },
  'response.max.bytes': {
    type: 'integer',
    default: 268_435_456,
    min: 65_536,
    max: 1_073_741_824,
    doc: 'Largest answer. A connection that announces a larger one is closed.',
  },
  'retry.backoff.max.ms': {
    type: 'integer',
    default: 1000,
    min: 1,
    max: 60_000,
    doc: 'Longest wait between two tries.',
  },
  'retry.backoff.ms': {
    type: 'integer',
    default: 50,
    min: 1,
    max: 60_000,
    doc: 'First wait between two tries; it doubles, with jitter.',
  },
  'topics.cached.max': {
    type: 'integer',
    default: 10_000,
    min: 1,
    max: 1_000_000,
    doc: 'Topics whose leaders are remembered. The one asked for first is forgotten first.',
  },
} as const

/** The values of {@link CLIENT_SETTINGS}. */
export type ClientSettings = SettingValues<typeof CLIENT_SETTINGS>
