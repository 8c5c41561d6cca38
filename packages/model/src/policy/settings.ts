/** The bounds of a policy: every retry, wait and circuit has its number here. */
import { type IntegerSetting, integer } from '@millrace/base'

/** Settings by dotted key. */
export const POLICY_SETTINGS: {
  readonly 'retry.attempts.max': IntegerSetting
  readonly 'retry.elapsed.ms': IntegerSetting
  readonly 'retry.first.ms': IntegerSetting
  readonly 'retry.longest.ms': IntegerSetting
  readonly 'circuit.failures': IntegerSetting
  readonly 'circuit.open.ms': IntegerSetting
  readonly 'circuit.probes': IntegerSetting
} = {
  'retry.attempts.max': integer(5, 1, 1_000_000, 'Most attempts of one call, the first included.'),
  'retry.elapsed.ms': integer(
    60_000,
    0,
    31_536_000_000,
    'No attempt begins later than this after the first one began.',
  ),
  'retry.first.ms': integer(50, 0, 3_600_000, 'Wait before the second attempt; doubles with each.'),
  'retry.longest.ms': integer(10_000, 0, 86_400_000, 'Longest wait between two attempts.'),
  'circuit.failures': integer(
    20,
    0,
    1_000_000,
    'Failures in a row, over all calls, that open the circuit; 0: it never opens.',
  ),
  'circuit.open.ms': integer(
    5000,
    1,
    86_400_000,
    'How long an open circuit refuses calls before it lets probes through.',
  ),
  'circuit.probes': integer(
    1,
    1,
    1000,
    'Attempts let through at once while it probes, and successes that close it.',
  ),
}
