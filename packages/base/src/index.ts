export { type Address, formatAddress, isLoopback, parseAddress } from './address.ts'
export { type Backoff, backoffMs } from './backoff.ts'
export { ChangeSignal } from './change-signal.ts'
export { Circuit, type CircuitBounds, type CircuitState, type Pass } from './circuit.ts'
export { type ErrorSpec, ListedError } from './errors.ts'
export { makeFolders } from './folders.ts'
export { inParallel } from './in-parallel.ts'
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
export { repeat } from './repeat.ts'
export {
  resolveSettings,
  type Setting,
  type Settings,
  type SettingValues,
  settingProblem,
} from './settings.ts'
export { Signal } from './signal.ts'
export { Turns } from './turns.ts'
export { within } from './within.ts'
