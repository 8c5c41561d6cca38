/** What the process and the folder are like from outside: limits of the system, and who else may read. */
import { chmodSync, readFileSync, statSync } from 'node:fs'
import type { Surroundings } from './disk.ts'

/** Nobody but the owner. */
export const FILE_MODE = 0o600
export const FOLDER_MODE = 0o700

const OTHERS = 0o077
/** Where Linux says it; elsewhere nothing is known, and the settings alone count. */
const LIMITS_FILE = '/proc/self/limits'

/** Looks at a data folder and at the limits of this process. */
export function surroundingsOf(folder: string): Surroundings {
  const warnings: string[] = []
  try {
    const { mode } = statSync(folder)
    if ((mode & OTHERS) !== 0) {
      const octal = (mode & 0o777).toString(8).padStart(3, '0')
      warnings.push(
        `the data folder can be opened by others (mode ${octal}); chmod 700 it unless that is meant`,
      )
    }
  } catch {
    // Whoever opens the folder is told why it cannot be.
  }
  return { descriptorsMax: descriptorLimit(), warnings }
}

/** Takes away what others may do with something in the data folder, left by a version that let them. */
export function makePrivate(path: string): void {
  try {
    const { mode } = statSync(path)
    if ((mode & OTHERS) !== 0) chmodSync(path, mode & ~OTHERS)
  } catch {
    // Somebody else's, or gone: what it holds is opened with modes of its own.
  }
}

/** The soft limit of open files; Infinity where it cannot be read. */
function descriptorLimit(): number {
  try {
    const [, soft] = /^Max open files\s+(\S+)/m.exec(readFileSync(LIMITS_FILE, 'utf8')) ?? []
    const limit = Number(soft)
    return Number.isInteger(limit) && limit > 0 ? limit : Number.POSITIVE_INFINITY
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
