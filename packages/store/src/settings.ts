/** The event store's settings: every queue, buffer, wait and retry has its bound here. */
import { type IntegerSetting, integer } from '@millrace/base'

/** Settings by dotted key. */
export const STORE_SETTINGS: {
  readonly 'category.buckets': IntegerSetting
  readonly 'append.events.max': IntegerSetting
  readonly 'append.queue.bytes': IntegerSetting
  readonly 'append.timeout.ms': IntegerSetting
  readonly 'append.rounds.max': IntegerSetting
  readonly 'append.batch.bytes': IntegerSetting
  readonly 'append.attempts.max': IntegerSetting
  readonly 'settle.after.ms': IntegerSetting
  readonly 'settle.retry.max.ms': IntegerSetting
  readonly 'clock.ahead.max.ms': IntegerSetting
  readonly 'log.patience.ms': IntegerSetting
  readonly 'tail.wait.ms': IntegerSetting
  readonly 'tail.pause.ms': IntegerSetting
  readonly 'tail.fetch.bytes': IntegerSetting
  readonly 'index.flush.ms': IntegerSetting
  readonly 'index.flush.bytes': IntegerSetting
  readonly 'index.page.bytes': IntegerSetting
  readonly 'index.cache.bytes': IntegerSetting
  readonly 'streams.cache': IntegerSetting
  readonly 'conflict.events.max': IntegerSetting
  readonly 'read.page.events': IntegerSetting
  readonly 'read.page.bytes': IntegerSetting
  readonly 'snapshot.cache': IntegerSetting
  readonly 'snapshot.bytes.max': IntegerSetting
  readonly 'snapshot.queue.bytes': IntegerSetting
  readonly 'keys.cache': IntegerSetting
  readonly 'keys.gone.ms': IntegerSetting
  readonly 'keys.timeout.ms': IntegerSetting
  readonly 'audit.queue.max': IntegerSetting
  readonly 'audit.timeout.ms': IntegerSetting
} = {
  'category.buckets': integer(
    12,
    1,
    1024,
    'Buckets (partitions) of a category whose topic the store creates.',
  ),
  'append.events.max': integer(1000, 1, 1024, 'Most events of one append.'),
  'append.queue.bytes': integer(
    64 * 1024 * 1024,
    1024 * 1024,
    2 ** 31 - 1,
    'Most bytes of appends that wait; beyond it OVERLOADED.',
  ),
  'append.timeout.ms': integer(
    30_000,
    1,
    3_600_000,
    'Until when the outcome of an append must be known.',
  ),
  'append.rounds.max': integer(
    2,
    1,
    64,
    'Rounds of appends under way at once; what arrives meanwhile forms the next.',
  ),
  'append.batch.bytes': integer(
    512 * 1024,
    4096,
    100 * 1024 * 1024,
    'Bytes of events of one bucket in one round, in one record batch. One append may exceed it alone.',
  ),
  'append.attempts.max': integer(
    16,
    1,
    1000,
    'Attempts of an append whose expectation still holds after a lost race ("any", "exists", conditions).',
  ),
  'settle.after.ms': integer(
    1000,
    10,
    600_000,
    'An append that stands open this long is settled by whoever sees it.',
  ),
  'settle.retry.max.ms': integer(
    5000,
    10,
    600_000,
    'Longest wait between attempts to write a settle record.',
  ),
  'clock.ahead.max.ms': integer(
    10_000,
    1,
    86_400_000,
    'A stamp in the log that is further ahead of the wall clock is told (clock-behind).',
  ),
  'log.patience.ms': integer(
    30_000,
    1,
    3_600_000,
    'How long a log that fails, retriably, is asked again before a call is answered LOG_UNAVAILABLE.',
  ),
  'tail.wait.ms': integer(500, 1, 60_000, 'Longest wait of one fetch at the end of the log.'),
  'tail.pause.ms': integer(
    20,
    0,
    60_000,
    'Pause between fetches that returned only what this store wrote itself.',
  ),
  'tail.fetch.bytes': integer(
    4 * 1024 * 1024,
    65_536,
    100 * 1024 * 1024,
    'Most bytes of one fetch.',
  ),
  'index.flush.ms': integer(
    250,
    1,
    600_000,
    'The index is written at least this often while events arrive.',
  ),
  'index.flush.bytes': integer(
    4 * 1024 * 1024,
    65_536,
    2 ** 31 - 1,
    'Bytes of events after which the index is written; twice as many and appends wait.',
  ),
  'index.page.bytes': integer(
    16 * 1024,
    1024,
    4 * 1024 * 1024,
    'Events of a stream are kept in pages of this size.',
  ),
  'index.cache.bytes': integer(
    32 * 1024 * 1024,
    1024 * 1024,
    2 ** 31 - 1,
    'Block cache of the index.',
  ),
  'streams.cache': integer(
    50_000,
    100,
    10_000_000,
    'Streams whose version and command window are kept in memory.',
  ),
  'conflict.events.max': integer(100, 0, 10_000, 'Most events that a conflict returns.'),
  'read.page.events': integer(
    1000,
    1,
    100_000,
    'Most events of a page of a read over all streams.',
  ),
  'read.page.bytes': integer(
    4 * 1024 * 1024,
    65_536,
    100 * 1024 * 1024,
    'Bytes that such a read asks of the log at once, for all its buckets.',
  ),
  'snapshot.cache': integer(1000, 0, 10_000_000, 'States of aggregates kept in memory.'),
  'snapshot.bytes.max': integer(
    512 * 1024,
    0,
    10 * 1024 * 1024,
    'Largest snapshot of an aggregate; of a larger state none is kept. 0: no snapshots.',
  ),
  'snapshot.queue.bytes': integer(
    16 * 1024 * 1024,
    65_536,
    2 ** 31 - 1,
    'Most bytes of snapshots that wait to be stored; what comes beyond it is not kept.',
  ),
  'keys.cache': integer(50_000, 1, 10_000_000, 'Subjects whose keys are kept in memory.'),
  'keys.gone.ms': integer(
    3_600_000,
    121_000,
    30 * 86_400_000,
    'Within how long the bytes of a forgotten key are gone from the log. For a topic that the store creates.',
  ),
  'keys.timeout.ms': integer(
    10_000,
    10,
    600_000,
    'Longest wait for the keys topic and for the key provider; then KEY_UNAVAILABLE.',
  ),
  'audit.queue.max': integer(
    10_000,
    1,
    10_000_000,
    'Audit records that are not stored yet; beyond it calls wait.',
  ),
  'audit.timeout.ms': integer(
    10_000,
    10,
    600_000,
    'Longest wait of a change for its audit record; then AUDIT_UNAVAILABLE.',
  ),
}
