/** The bounds of sagas and of what they send. */
import type { SettingValues } from '@millrace/base'

/** Settings by dotted key. */
export const SAGA_SETTINGS = {
  'saga.parallel': {
    type: 'integer',
    default: 64,
    min: 1,
    max: 10_000,
    doc: 'Instances worked on at once.',
  },
  'saga.page.events': {
    type: 'integer',
    default: 1000,
    min: 1,
    max: 100_000,
    doc: 'Events of the sources read at once.',
  },
  'saga.append.events': {
    type: 'integer',
    default: 400,
    min: 1,
    max: 1000,
    doc: 'An append to a saga stream takes no further input once it has this many events.',
  },
  'saga.actions.max': {
    type: 'integer',
    default: 500,
    min: 1,
    max: 900,
    doc: 'Most actions that a handler may answer.',
  },
  'saga.firings.max': {
    type: 'integer',
    default: 100,
    min: 1,
    max: 10_000,
    doc: 'Timers of one instance that fire in a row before it is parked as an endless loop.',
  },
  'saga.conflicts.max': {
    type: 'integer',
    default: 16,
    min: 1,
    max: 1000,
    doc: 'Times that an append to a saga stream may lose to another writer before the saga restarts.',
  },
  'saga.parked.max': {
    type: 'integer',
    default: 1000,
    min: 1,
    max: 10_000_000,
    doc: 'Parked instances beyond which the saga stops: its handlers are broken.',
  },
  'saga.redrive.inputs': {
    type: 'integer',
    default: 100,
    min: 1,
    max: 500,
    doc: 'Deferred inputs that one append of a redrive takes.',
  },
  'saga.timers.parallel': {
    type: 'integer',
    default: 64,
    min: 1,
    max: 10_000,
    doc: 'Instances whose timers fire at once.',
  },
  'saga.commands.parallel': {
    type: 'integer',
    default: 32,
    min: 1,
    max: 10_000,
    doc: 'Commands of a saga under way at once.',
  },
  'saga.pause.ms': {
    type: 'integer',
    default: 1000,
    min: 0,
    max: 3_600_000,
    doc: 'A timer or an outcome that could not be recorded for a passing reason is tried again after this.',
  },
  'saga.pauses.max': {
    type: 'integer',
    default: 1000,
    min: 1,
    max: 1_000_000,
    doc: 'Such failures in a row, over all instances, after which the saga restarts and says why.',
  },
  'saga.agenda.cache.bytes': {
    type: 'integer',
    default: 16_777_216,
    min: 1_048_576,
    max: 2_147_483_647,
    doc: 'Memory of the index of timers and sends; the rest of it lies in a temporary file.',
  },
  'saga.alarm.longest.ms': {
    type: 'integer',
    default: 30_000,
    min: 1,
    max: 3_600_000,
    doc: 'The clock is looked at again at least this often while a timer waits: it may jump.',
  },
} as const

/** Values of {@link SAGA_SETTINGS}. */
export type SagaSettings = SettingValues<typeof SAGA_SETTINGS>

/** The bounds that a decision knows. */
export type SagaLimits = { readonly actions: number; readonly firings: number }

/** The bounds of a decision among all. */
export const limitsOf = (settings: SagaSettings): SagaLimits => ({
  actions: settings['saga.actions.max'],
  firings: settings['saga.firings.max'],
})
