// Where foreign software is kept: a folder that git ignores, so that a clone fetches each peer once.
// MILLRACE_PEERS_CACHE names another folder, for machines that share one over several checkouts.
import { join, resolve } from 'node:path'

/** The root of this checkout. */
export const checkout: string = resolve(import.meta.dirname, '..', '..')

/** The folder that holds all peers, one subfolder each. */
export const peersFolder: string = resolve(
  process.env['MILLRACE_PEERS_CACHE'] ?? join(checkout, '.cache', 'peers'),
)
