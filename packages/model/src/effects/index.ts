export type { AttemptResult, RetrySettings } from './retry.ts'
export {
  createEffectRunner,
  type EffectCall,
  type EffectRunner,
  type EffectRunnerOptions,
} from './runner.ts'
export { EFFECT_SETTINGS, type EffectSettings } from './settings.ts'
