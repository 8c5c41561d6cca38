/** From the platform's errors to the few codes that the engine tells apart. */
import { getSystemErrorName } from 'node:util'
import { DiskError, type DiskErrorCode } from './disk.ts'

const CODES: Readonly<Record<string, DiskErrorCode>> = {
  ENOSPC: 'ENOSPC',
  EDQUOT: 'ENOSPC',
  EMFILE: 'EMFILE',
  ENFILE: 'EMFILE',
  ENOMEM: 'ENOMEM',
  ENOENT: 'ENOENT',
  EEXIST: 'EEXIST',
  EACCES: 'EACCES',
  EPERM: 'EACCES',
  EROFS: 'EROFS',
}

/** What an operator can do something about, in words. */
const WORDS: Readonly<Record<string, string>> = {
  ENOSPC: 'the file system has no room, or no inodes, left',
  EDQUOT: "the user's quota of the file system is used up",
  EMFILE: 'the process has no file descriptors left (ulimit -n)',
  ENFILE: 'the machine has no file descriptors left (fs.file-max)',
  ENOMEM: 'the machine has no memory left for it',
  EROFS: 'the file system is read-only',
  EACCES: 'this user may not do that',
  EPERM: 'this user may not do that',
}

/** The DiskError for what a call of node:fs has thrown. */
export function diskError(path: string, cause: unknown): DiskError {
  const name = String((cause as { readonly code?: unknown }).code)
  const text = cause instanceof Error ? cause.message : String(cause)
  const words = WORDS[name]
  const detail = words === undefined ? text : `${words}: ${text}`
  return new DiskError(CODES[name] ?? 'EIO', path, detail, cause)
}

/** The DiskError for the number of a system error. */
export function diskErrorOfNumber(path: string, errno: number, during: string): DiskError {
  const name = getSystemErrorName(-errno)
  return new DiskError(CODES[name] ?? 'EIO', path, `${during}: ${WORDS[name] ?? name}`)
}

/** Runs a call of node:fs; throws DiskError. */
export function orDiskError<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    throw diskError(path, cause)
  }
}
