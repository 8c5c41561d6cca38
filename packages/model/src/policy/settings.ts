/** Settings by dotted key. */
export const POLICY_SETTINGS = {
  'retry.attempts.max': {
    type: 'integer',
    default: 5,
    min: 1,
    max: 1_000_000,
    doc: 'Most attempts of one call, the first included.',
  },
  'retry.elapsed.ms': {
    type: 'integer',
    default: 60_000,
    min: 0,
    max: 31_536_000_000,
    doc: 'No attempt begins later than this after the first one began.',
  },
  'retry.first.ms': {
    type: 'integer',
    default: 50,
    min: 0,
    max: 3_600_000,
    doc: 'Wait before the second attempt; doubles with each.',
  },
  'retry.longest.ms': {
    type: 'integer',
    default: 10_000,
    min: 0,
    max: 86_400_000,
    doc: 'Longest wait between two attempts.',
  },
  'circuit.failures': {
    type: 'integer',
    default: 20,
    min: 0,
    max: 1_000_000,
    doc: 'Failures in a row, over all calls, that open the circuit; 0: it never opens.',
  },
  'circuit.open.ms': {
    type: 'integer',
    default: 5000,
    min: 1,
    max: 86_400_000,
    doc: 'How long an open circuit refuses calls before it lets probes through.',
  },
  'circuit.probes': {
    type: 'integer',
    default: 1,
    min: 1,
    max: 1000,
    doc: 'Attempts let through at once while it probes, and successes that close it.',
  },
} as const
