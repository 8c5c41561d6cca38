/** Folders of the file system, for every package that keeps files. */
import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Makes a folder and its parents; no error if it is there. Not `recursive` of node:fs: where a parent is
 * there but takes no folder and says ENOENT, as /proc does, that tries for ever. Throws the error of
 * node:fs.
 */
export function makeFolders(path: string, options: { readonly mode?: number } = {}): void {
  if (isFolder(path)) return
  const parent = dirname(path)
  if (parent !== path) makeFolders(parent, options)
  try {
    mkdirSync(path, options)
  } catch (cause) {
    // Somebody else has made it meanwhile.
    if (!isFolder(path)) throw cause
  }
}

const isFolder = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
