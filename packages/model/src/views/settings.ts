/** The bounds of views. */
import { type IntegerSetting, integer } from '@millrace/base'

/** Settings by dotted key. */
export const VIEW_SETTINGS: {
  readonly 'view.cache.entries': IntegerSetting
  readonly 'view.cache.ms': IntegerSetting
  readonly 'view.parked.max': IntegerSetting
  readonly 'view.waiters.max': IntegerSetting
  readonly 'view.restart.first.ms': IntegerSetting
  readonly 'view.restart.longest.ms': IntegerSetting
  readonly 'view.lag.ms': IntegerSetting
} = {
  'view.cache.entries': integer(10_000, 1, 10_000_000, 'Values that a cache in memory keeps.'),
  'view.cache.ms': integer(1000, 1, 86_400_000, 'How old a value from a cache may be.'),
  'view.parked.max': integer(
    100,
    0,
    100_000,
    'Most streams that a live view passes over; one more stops it.',
  ),
  'view.waiters.max': integer(
    10_000,
    1,
    10_000_000,
    'Calls of reached() that may wait at a time; one more is refused.',
  ),
  'view.restart.first.ms': integer(
    100,
    0,
    3_600_000,
    'Wait before a live view that failed goes on; doubles with each failure in a row.',
  ),
  'view.restart.longest.ms': integer(30_000, 0, 86_400_000, 'Longest wait before it goes on.'),
  'view.lag.ms': integer(1000, 10, 600_000, 'How often the end of the log is looked at.'),
}
