/**
 * Who gets the descriptors of the process: the journal and what cannot wait first, then segments and
 * everybody else, sockets above all, half each. So each comes to its own limit, which says what it is,
 * before the process comes to its own, where any call could fail.
 */
import { SPARE_DESCRIPTORS } from '../disk/spare-descriptors.ts'
import type { EngineSettings } from '../settings.ts'

/** The lock, checkpoints, the output of a cleaning, an index, a folder that is synced; the runtime's. */
const OTHER_FILES = 48
/** Below it the engine could not work. */
const FILES_MIN = 16

/** What the engine takes, and leaves. */
export type DescriptorPlan = {
  /** Segment files open at once. */
  readonly files: number
  /** Descriptors for whoever else is in the process; Infinity where no limit is known. */
  readonly left: number
}

/** Divides the descriptors of a process that may have `max` of them. */
export function planDescriptors(max: number, settings: EngineSettings): DescriptorPlan {
  const wanted = settings['files.open.max']
  const journal = Math.floor(settings['journal.max.bytes'] / settings['journal.file.bytes']) + 2
  const own = journal + SPARE_DESCRIPTORS + OTHER_FILES
  const half = Math.floor((max - own) / 2)
  const files = Math.min(wanted, Math.max(FILES_MIN, half))
  return { files, left: Math.max(0, max - own - files) }
}
