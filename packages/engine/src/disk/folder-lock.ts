/**
 * One engine a data folder: an exclusive transaction on a SQLite file beside the data (engine rule
 * 18). The operating system ends it with the process, however that ends.
 */
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { DatabaseSync } from 'node:sqlite'
import { DiskError } from './disk.ts'
import { diskError } from './node-errors.ts'
import { FILE_MODE } from './surroundings.ts'

const FILE = 'lock.sqlite'
/** Says who has the lock; only read when it is taken. */
const HOLDER_FILE = 'lock.pid'

/** The lock of a folder. */
export class FolderLock {
  readonly #root: string
  #database: DatabaseSync | undefined

  constructor(root: string) {
    this.#root = root
  }

  /** Throws ELOCKED if another engine, in this process or another, has the folder. */
  take(): void {
    const { DatabaseSync } = loadSqlite()
    const path = `${this.#root}/${FILE}`
    makeLockFile(path)
    const database = new DatabaseSync(path)
    try {
      // No busy timeout: whoever has it keeps it.
      database.exec(
        'PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE',
      )
    } catch (cause) {
      database.close()
      throw new DiskError(
        'ELOCKED',
        this.#root,
        `${this.#holder()} has opened this data folder`,
        cause,
      )
    }
    this.#database = database
    try {
      writeFileSync(`${this.#root}/${HOLDER_FILE}`, String(process.pid), { mode: FILE_MODE })
    } catch {
      // On a full disk: it is for the other's message only.
    }
  }

  #holder(): string {
    let pid = ''
    try {
      pid = readFileSync(`${this.#root}/${HOLDER_FILE}`, 'utf8')
    } catch {
      // The holder has not come as far yet.
    }
    if (pid === String(process.pid)) return 'another engine of this process'
    return pid === '' ? 'another process' : `another process (pid ${pid})`
  }

  release(): void {
    this.#database?.close()
    this.#database = undefined
  }
}

/**
 * SQLite would make it readable for all, and could not say clearly why it cannot be made. One that is
 * there is left alone: closing any descriptor of it would end the lock of an engine in this process.
 */
function makeLockFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', FILE_MODE))
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== 'EEXIST') throw diskError(FILE, cause)
  }
}

/** Older Node versions print a warning that node:sqlite is experimental; users need not see it. */
function loadSqlite(): typeof import('node:sqlite') {
  const emitWarning = process.emitWarning
  process.emitWarning = (): void => undefined
  try {
    return createRequire(import.meta.url)('node:sqlite') as typeof import('node:sqlite')
  } finally {
    process.emitWarning = emitWarning
  }
}
