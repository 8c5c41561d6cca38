/** The bounds of effects. How they are tried again is a policy's: `POLICY_SETTINGS`. */
import type { SettingValues } from '@millrace/base'

/** Settings by dotted key. */
export const EFFECT_SETTINGS = {
  'effect.parallel': {
    type: 'integer',
    default: 16,
    min: 1,
    max: 10_000,
    doc: 'Calls of one effect under way at once.',
  },
  'effect.timeout.ms': {
    type: 'integer',
    default: 30_000,
    min: 1,
    max: 86_400_000,
    doc: 'An attempt that takes longer is told so by its signal and counts as failed.',
  },
  'effect.end.ms': {
    type: 'integer',
    default: 5000,
    min: 0,
    max: 3_600_000,
    doc: 'An attempt is awaited this long once its signal says that the application closes.',
  },
} as const

/** Values of {@link EFFECT_SETTINGS}. */
export type EffectSettings = SettingValues<typeof EFFECT_SETTINGS>
