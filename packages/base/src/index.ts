export { type Address, formatAddress, isLoopback, parseAddress } from './address.ts'
export { type Backoff, backoffMs } from './backoff.ts'
export { makeFolders } from './folders.ts'
export {
  type Clock,
  type Outside,
  type Random,
  randomBelow,
  sleep,
  systemOutside,
  type Timer,
  type Timers,
} from './outside.ts'
export {
  type BooleanSetting,
  type IntegerSetting,
  integer,
  resolveSettings,
  type Setting,
  type Settings,
  type SettingValues,
  settingProblem,
} from './settings.ts'
export { Signal } from './signal.ts'
