/**
 * Open files, bounded: the least recently used one that nobody holds is closed when a further one is
 * needed. A file with unsynced bytes counts as held: closing it could hide a failed write-back.
 */
import { type Disk, DiskError, type DiskFile, type OpenMode } from '../disk/disk.ts'

type Cached = { readonly file: DiskFile; holds: number; doomed: boolean }

/** A bounded set of open files by path. */
export class FileCache {
  readonly #disk: Disk
  readonly #openMax: number
  /** In order of use, the latest last. */
  readonly #files = new Map<string, Cached>()
  #closed = false

  /** @param openMax files kept open when nobody holds them; held ones may go beyond it */
  constructor(disk: Disk, openMax: number) {
    this.#disk = disk
    this.#openMax = openMax
  }

  get openCount(): number {
    return this.#files.size
  }

  /** The open file; it may be closed at the next call unless it is held. */
  use(path: string, mode: OpenMode): DiskFile {
    const known = this.#files.get(path)
    if (known !== undefined) {
      this.#files.delete(path)
      this.#files.set(path, known)
      return known.file
    }
    if (this.#closed) throw new DiskError('EIO', path, 'the engine has been closed')
    this.#makeRoom()
    const file = this.#disk.open(path, mode)
    this.#files.set(path, { file, holds: 0, doomed: false })
    return file
  }

  /** Keeps the file open until as many `release` calls. */
  hold(path: string, mode: OpenMode): DiskFile {
    const file = this.use(path, mode)
    const cached = this.#files.get(path)
    if (cached !== undefined) cached.holds += 1
    return file
  }

  release(path: string): void {
    const cached = this.#files.get(path)
    if (cached === undefined) return
    cached.holds -= 1
    if (cached.holds <= 0 && cached.doomed) this.#close(path, cached)
  }

  /** Closes the file as soon as nobody holds it; its name may be unlinked before. */
  forget(path: string): void {
    const cached = this.#files.get(path)
    if (cached === undefined) return
    if (cached.holds > 0) cached.doomed = true
    else this.#close(path, cached)
  }

  /** Nothing is opened any more: whoever still holds a slice is told. */
  closeAll(): void {
    this.#closed = true
    for (const { file } of this.#files.values()) file.close()
    this.#files.clear()
  }

  #makeRoom(): void {
    if (this.#files.size < this.#openMax) return
    for (const [path, cached] of this.#files) {
      if (cached.holds > 0) continue
      this.#close(path, cached)
      if (this.#files.size < this.#openMax) return
    }
  }

  #close(path: string, cached: Cached): void {
    this.#files.delete(path)
    cached.file.close()
  }
}
