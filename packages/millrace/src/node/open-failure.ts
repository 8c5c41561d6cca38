/** A data folder that cannot be opened, told to who wanted to. */
import { LogError } from '@millrace/log'
import { CommandError, EXIT } from '../errors.ts'

/** The failure to be thrown: that another process has the folder open has an exit code of its own. */
export function openFailure(cause: unknown, folder: string): unknown {
  const reason = cause instanceof LogError ? cause.cause : cause
  if ((reason as { readonly code?: unknown } | null)?.code !== 'ELOCKED') return cause
  return new CommandError(
    `the data folder ${folder} is in use by another process`,
    EXIT.busy,
    'Stop that process, or give this one a folder of its own with --data DIR.',
    cause,
  )
}
