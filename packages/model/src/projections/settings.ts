/** The bounds of projections. */
import { type IntegerSetting, integer } from '@millrace/base'

/** Settings by dotted key. */
export const PROJECTION_SETTINGS: {
  readonly 'projection.page.events': IntegerSetting
  readonly 'projection.attempts.max': IntegerSetting
  readonly 'projection.retry.first.ms': IntegerSetting
  readonly 'projection.retry.longest.ms': IntegerSetting
  readonly 'projection.restart.first.ms': IntegerSetting
  readonly 'projection.restart.longest.ms': IntegerSetting
  readonly 'projection.parked.max': IntegerSetting
  readonly 'projection.idle.ms': IntegerSetting
  readonly 'projection.lag.ms': IntegerSetting
  readonly 'projection.turn.ms': IntegerSetting
  readonly 'projection.waiters.max': IntegerSetting
  readonly 'projection.outbox.max': IntegerSetting
  readonly 'projection.outbox.page': IntegerSetting
  readonly 'projection.publish.partitions': IntegerSetting
} = {
  'projection.page.events': integer(
    1000,
    1,
    100_000,
    'Most events of one transaction, moved with their checkpoint.',
  ),
  'projection.attempts.max': integer(
    5,
    1,
    1000,
    'Attempts of an event whose handler fails; then its stream is parked.',
  ),
  'projection.retry.first.ms': integer(
    50,
    0,
    3_600_000,
    'Wait before the second attempt; doubles with each.',
  ),
  'projection.retry.longest.ms': integer(5000, 0, 86_400_000, 'Longest wait between two attempts.'),
  'projection.restart.first.ms': integer(
    100,
    0,
    3_600_000,
    'Wait before a processor that failed starts again; doubles with each failure in a row.',
  ),
  'projection.restart.longest.ms': integer(
    30_000,
    0,
    86_400_000,
    'Longest wait before a processor starts again. It never gives up.',
  ),
  'projection.parked.max': integer(
    100,
    0,
    100_000,
    'Most parked streams of a projection; one more stops it: then its handler is broken.',
  ),
  'projection.idle.ms': integer(
    1000,
    0,
    600_000,
    'How long a checkpoint that passed no event of interest may stay unwritten.',
  ),
  'projection.lag.ms': integer(
    1000,
    10,
    600_000,
    'How often the end of the log is looked at, for lag and time left.',
  ),
  'projection.turn.ms': integer(
    5,
    0,
    60_000,
    'How long handlers that wait for nothing may run before commands and others have their turn.',
  ),
  'projection.waiters.max': integer(
    10_000,
    1,
    10_000_000,
    'Calls of reached() that may wait at a time; one more is refused.',
  ),
  'projection.outbox.max': integer(
    100_000,
    1,
    100_000_000,
    'Changes that wait to be published; beyond it the projection waits.',
  ),
  'projection.outbox.page': integer(1000, 1, 100_000, 'Changes that are published at once.'),
  'projection.publish.partitions': integer(
    12,
    1,
    1024,
    'Partitions of a topic of changes, where the projection creates it.',
  ),
}
