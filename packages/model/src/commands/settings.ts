/** The bounds of commands. */
import { type IntegerSetting, integer } from '@millrace/base'

/** Settings by dotted key. */
export const COMMAND_SETTINGS: {
  readonly 'command.conflicts.max': IntegerSetting
  readonly 'command.conflict.first.ms': IntegerSetting
  readonly 'command.conflict.longest.ms': IntegerSetting
  readonly 'command.waiting.max': IntegerSetting
  readonly 'command.states.max': IntegerSetting
} = {
  'command.conflicts.max': integer(
    20,
    1,
    10_000,
    'Most times that a command is decided because another writer came first.',
  ),
  'command.conflict.first.ms': integer(
    2,
    0,
    60_000,
    'Wait after the second lost race; doubles with each. The first is decided again at once.',
  ),
  'command.conflict.longest.ms': integer(100, 0, 60_000, 'Longest wait after a lost race.'),
  'command.waiting.max': integer(
    100_000,
    1,
    10_000_000,
    'Most commands that wait for another one of their stream; beyond it OVERLOADED.',
  ),
  'command.states.max': integer(
    10_000,
    0,
    10_000_000,
    'States kept in memory, so that a load reads only what came since; 0: none.',
  ),
}
