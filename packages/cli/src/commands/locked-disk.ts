/** A data folder that nobody else has open while a command looks at it. */
import { type Disk, DiskError } from '@millrace/engine'
import { CommandError, EXIT } from 'millrace/errors'

/** Made by the engine's lock, and left in the folder: what has it is a data folder. */
export const LOCK_FILE = 'lock.sqlite'

/**
 * Runs `body` on the disk while its folder is locked; lets go of both. Where no engine has ever
 * locked it (a copy without that file, or another kind of folder), nothing is left behind either.
 */
export async function withLockedDisk<T>(
  disk: Disk,
  folder: string,
  body: (disk: Disk) => T | Promise<T>,
): Promise<T> {
  try {
    if (disk.exists(LOCK_FILE)) disk.lock()
  } catch (cause) {
    await disk.close()
    if (!(cause instanceof DiskError) || cause.code !== 'ELOCKED') throw cause
    throw new CommandError(
      `the data folder ${folder} is in use by a running node`,
      EXIT.busy,
      'Stop the node first, or look at a copy of the folder.',
      cause,
    )
  }
  try {
    return await body(disk)
  } finally {
    disk.unlock()
    await disk.close()
  }
}
