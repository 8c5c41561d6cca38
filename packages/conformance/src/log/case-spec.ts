/** What a case of the log's suite is. */
import type { CaseOf } from '../frame/frame.ts'
import type { LogFactory, LogFeatures } from './factory.ts'
import type { LogScene } from './scene.ts'

/** A case as the files of this folder write it. */
export type CaseSpec = CaseOf<LogScene> & {
  /** Whether an engine must keep this promise. Absent: every engine. */
  readonly needs?: (features: LogFeatures, factory: LogFactory) => boolean
}

/** For `needs`: the engine can be opened again. */
export const reopens = (_features: LogFeatures, factory: LogFactory): boolean =>
  factory.reopen !== undefined
