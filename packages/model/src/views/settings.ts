/** Settings by dotted key. */
export const VIEW_SETTINGS = {
  'view.cache.entries': {
    type: 'integer',
    default: 10_000,
    min: 1,
    max: 10_000_000,
    doc: 'Values that a cache in memory keeps.',
  },
  'view.cache.ms': {
    type: 'integer',
    default: 1000,
    min: 1,
    max: 86_400_000,
    doc: 'How old a value from a cache may be.',
  },
  'view.parked.max': {
    type: 'integer',
    default: 100,
    min: 0,
    max: 100_000,
    doc: 'Most streams that a live view passes over; one more stops it.',
  },
  'view.waiters.max': {
    type: 'integer',
    default: 10_000,
    min: 1,
    max: 10_000_000,
    doc: 'Calls of reached() that may wait at a time; one more is refused.',
  },
  'view.restart.first.ms': {
    type: 'integer',
    default: 100,
    min: 0,
    max: 3_600_000,
    doc: 'Wait before a live view that failed goes on; doubles with each failure in a row.',
  },
  'view.restart.longest.ms': {
    type: 'integer',
    default: 30_000,
    min: 0,
    max: 86_400_000,
    doc: 'Longest wait before it goes on.',
  },
  'view.lag.ms': {
    type: 'integer',
    default: 1000,
    min: 10,
    max: 600_000,
    doc: 'How often the end of the log is looked at.',
  },
} as const
