/**
 * Open segment files, bounded: the least recently used one that nobody holds is closed when a further
 * one is needed, and where all are held there is none. A file with unsynced bytes is held: closing it
 * could hide a failed write-back. So is one that a reader's slice lies in.
 *
 * Each of the two may hold a part of all, so that neither can starve the other, and some are left for
 * who needs a file for a moment.
 */
import { type Disk, DiskError, type DiskFile, type OpenMode } from '../disk/disk.ts'

/** The parts of all files that unsynced bytes, and that readers, may hold. */
const HELD_PART = 0.4

/** Why a file is held. */
export type Holder =
  /** It has unsynced bytes. */
  | 'writer'
  /** Somebody reads it over several turns. */
  | 'reader'

type Cached = { readonly file: DiskFile; writers: number; readers: number; doomed: boolean }

/** A bounded set of open files by path. */
export class FileCache {
  readonly #disk: Disk
  readonly #openMax: number
  readonly #heldMax: number
  /** In order of use, the latest last. */
  readonly #files = new Map<string, Cached>()
  readonly #held: Record<Holder, number> = { writer: 0, reader: 0 }
  #closed = false

  /** @param openMax files open at once */
  constructor(disk: Disk, openMax: number) {
    this.#disk = disk
    this.#openMax = openMax
    this.#heldMax = Math.max(1, Math.floor(openMax * HELD_PART))
  }

  get openCount(): number {
    return this.#files.size
  }

  /** Files that one kind of holders holds. */
  heldBy(holder: Holder): number {
    return this.#held[holder]
  }

  /** Whether one more file may be held by this kind of holders. */
  mayHold(holder: Holder): boolean {
    return this.#held[holder] < this.#heldMax
  }

  /** The open file; it may be closed at the next call unless it is held. Throws DiskError. */
  use(path: string, mode: OpenMode): DiskFile {
    const known = this.#files.get(path)
    if (known !== undefined) {
      this.#files.delete(path)
      this.#files.set(path, known)
      return known.file
    }
    if (this.#closed) throw new DiskError('EIO', path, 'the engine has been closed')
    this.#makeRoom(path)
    const file = this.#open(path, mode)
    this.#files.set(path, { file, writers: 0, readers: 0, doomed: false })
    return file
  }

  /**
   * Keeps the file open until as many `release` calls. Throws EMFILE where as many files as may be
   * are held already.
   */
  hold(path: string, mode: OpenMode, holder: Holder): DiskFile {
    const before = this.#files.get(path)
    const isHeld = before !== undefined && countOf(before, holder) > 0
    if (!isHeld && !this.mayHold(holder)) {
      const why = holder === 'writer' ? 'wait for their sync' : 'are being read'
      throw new DiskError('EMFILE', path, `${this.#heldMax} segment files ${why} (files.open.max)`)
    }
    const file = this.use(path, mode)
    const cached = this.#files.get(path)
    if (cached === undefined) throw new Error('a file that was opened is not there')
    this.#count(cached, holder, 1)
    return file
  }

  release(path: string, holder: Holder): void {
    const cached = this.#files.get(path)
    if (cached === undefined || countOf(cached, holder) === 0) return
    this.#count(cached, holder, -1)
    if (cached.doomed && !isHeldByAny(cached)) this.#close(path, cached)
  }

  /** Closes the file as soon as nobody holds it; its name may be unlinked before. */
  forget(path: string): void {
    const cached = this.#files.get(path)
    if (cached === undefined) return
    if (isHeldByAny(cached)) cached.doomed = true
    else this.#close(path, cached)
  }

  /** Nothing is opened any more: whoever still holds a slice is told. */
  closeAll(): void {
    this.#closed = true
    for (const { file } of this.#files.values()) file.close()
    this.#files.clear()
  }

  #count(cached: Cached, holder: Holder, by: 1 | -1): void {
    const before = countOf(cached, holder)
    if (holder === 'writer') cached.writers += by
    else cached.readers += by
    if (before === 0) this.#held[holder] += 1
    else if (before + by === 0) this.#held[holder] -= 1
  }

  /** Where the process has none left, those that nobody holds are closed first. */
  #open(path: string, mode: OpenMode): DiskFile {
    for (;;) {
      try {
        return this.#disk.open(path, mode, { leavesSpares: true })
      } catch (cause) {
        if (!(cause instanceof DiskError) || cause.code !== 'EMFILE') throw cause
        if (!this.#closeOne()) throw cause
      }
    }
  }

  #makeRoom(path: string): void {
    while (this.#files.size >= this.#openMax) {
      if (this.#closeOne()) continue
      throw new DiskError(
        'EMFILE',
        path,
        `${this.#files.size} segment files are in use (files.open.max)`,
      )
    }
  }

  #closeOne(): boolean {
    for (const [path, cached] of this.#files) {
      if (isHeldByAny(cached)) continue
      this.#close(path, cached)
      return true
    }
    return false
  }

  #close(path: string, cached: Cached): void {
    this.#files.delete(path)
    cached.file.close()
  }
}

const countOf = ({ writers, readers }: Cached, holder: Holder): number =>
  holder === 'writer' ? writers : readers

const isHeldByAny = ({ writers, readers }: Cached): boolean => writers + readers > 0
