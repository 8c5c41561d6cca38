/** The bounds of sagas and of what they send. */
import { type IntegerSetting, integer, type SettingValues } from '@millrace/base'

/** Settings by dotted key. */
export const SAGA_SETTINGS: {
  readonly 'saga.parallel': IntegerSetting
  readonly 'saga.page.events': IntegerSetting
  readonly 'saga.append.events': IntegerSetting
  readonly 'saga.actions.max': IntegerSetting
  readonly 'saga.firings.max': IntegerSetting
  readonly 'saga.conflicts.max': IntegerSetting
  readonly 'saga.parked.max': IntegerSetting
  readonly 'saga.redrive.inputs': IntegerSetting
  readonly 'saga.timers.parallel': IntegerSetting
  readonly 'saga.commands.parallel': IntegerSetting
  readonly 'saga.pause.ms': IntegerSetting
  readonly 'saga.pauses.max': IntegerSetting
  readonly 'saga.agenda.cache.bytes': IntegerSetting
  readonly 'saga.alarm.longest.ms': IntegerSetting
} = {
  'saga.parallel': integer(64, 1, 10_000, 'Instances worked on at once.'),
  'saga.page.events': integer(1000, 1, 100_000, 'Events of the sources read at once.'),
  'saga.append.events': integer(
    400,
    1,
    1000,
    'An append to a saga stream takes no further input once it has this many events.',
  ),
  'saga.actions.max': integer(500, 1, 900, 'Most actions that a handler may answer.'),
  'saga.firings.max': integer(
    100,
    1,
    10_000,
    'Timers of one instance that fire in a row before it is parked as an endless loop.',
  ),
  'saga.conflicts.max': integer(
    16,
    1,
    1000,
    'Times that an append to a saga stream may lose to another writer before the saga restarts.',
  ),
  'saga.parked.max': integer(
    1000,
    1,
    10_000_000,
    'Parked instances beyond which the saga stops: its handlers are broken.',
  ),
  'saga.redrive.inputs': integer(
    100,
    1,
    500,
    'Deferred inputs that one append of a redrive takes.',
  ),
  'saga.timers.parallel': integer(64, 1, 10_000, 'Instances whose timers fire at once.'),
  'saga.commands.parallel': integer(32, 1, 10_000, 'Commands of a saga under way at once.'),
  'saga.pause.ms': integer(
    1000,
    0,
    3_600_000,
    'A timer or an outcome that could not be recorded for a passing reason is tried again after this.',
  ),
  'saga.pauses.max': integer(
    1000,
    1,
    1_000_000,
    'Such failures in a row, over all instances, after which the saga restarts and says why.',
  ),
  'saga.agenda.cache.bytes': integer(
    16 * 1024 * 1024,
    1024 * 1024,
    2 ** 31 - 1,
    'Memory of the index of timers and sends; the rest of it lies in a temporary file.',
  ),
  'saga.alarm.longest.ms': integer(
    30_000,
    1,
    3_600_000,
    'The clock is looked at again at least this often while a timer waits: it may jump.',
  ),
}

/** Values of {@link SAGA_SETTINGS}. */
export type SagaSettings = SettingValues<typeof SAGA_SETTINGS>

/** The bounds that a decision knows. */
export type SagaLimits = { readonly actions: number; readonly firings: number }

/** The bounds of a decision among all. */
export const limitsOf = (settings: SagaSettings): SagaLimits => ({
  actions: settings['saga.actions.max'],
  firings: settings['saga.firings.max'],
})
