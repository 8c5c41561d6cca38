/** From the platform's errors to the few codes that the engine tells apart. */
import { getSystemErrorName } from 'node:util'
import { DiskError, type DiskErrorCode } from './disk.ts'

const CODES: Readonly<Record<string, DiskErrorCode>> = {
  ENOSPC: 'ENOSPC',
  EDQUOT: 'ENOSPC',
  EMFILE: 'EMFILE',
  ENFILE: 'EMFILE',
  ENOENT: 'ENOENT',
  EEXIST: 'EEXIST',
  EACCES: 'EACCES',
  EPERM: 'EACCES',
  EROFS: 'EACCES',
}

/** The DiskError for what a call of node:fs has thrown. */
export function diskError(path: string, cause: unknown): DiskError {
  const code = CODES[String((cause as { readonly code?: unknown }).code)] ?? 'EIO'
  return new DiskError(code, path, cause instanceof Error ? cause.message : String(cause), cause)
}

/** The DiskError for the number of a system error. */
export function diskErrorOfNumber(path: string, errno: number, during: string): DiskError {
  const name = getSystemErrorName(-errno)
  return new DiskError(CODES[name] ?? 'EIO', path, `${during}: ${name}`)
}

/** Runs a call of node:fs; throws DiskError. */
export function orDiskError<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    throw diskError(path, cause)
  }
}
