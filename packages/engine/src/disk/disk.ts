/**
 * Everything the engine may ask of a file system. Only `node-disk.ts` and its thread touch node:fs;
 * `sim-disk.ts` is the twin that forgets what was not synced.
 *
 * Reads and writes of the page cache are synchronous: from the cache they take about a microsecond,
 * handing them to a thread pool forty times as much. What waits for the device is asynchronous.
 * Paths are relative to the data folder, with "/" between folders.
 *
 * Failures are thrown as `DiskError` with the platform's code; a failed call may have taken some,
 * all or none of the bytes. After a failed sync the unsynced bytes are lost, whatever a later sync
 * says: the caller never repeats it.
 */

/** What a disk call can fail with; anything else the platform reports becomes EIO. */
export type DiskErrorCode = 'EIO' | 'ENOSPC' | 'EMFILE' | 'ENOENT' | 'EEXIST' | 'EACCES' | 'ELOCKED'

/** A failed disk call. */
export class DiskError extends Error {
  override readonly name: string = 'DiskError'
  readonly code: DiskErrorCode
  readonly path: string

  constructor(code: DiskErrorCode, path: string, detail: string, cause?: unknown) {
    super(`${code}: ${detail} (${path})`, { cause })
    this.code = code
    this.path = path
  }
}

/** An open file. */
export interface DiskFile {
  readonly path: string
  /** Current size in bytes. */
  size(): number
  /**
   * Reads into `target` from `position` on; returns the number of bytes read, fewer than asked only
   * at the end of the file.
   */
  read(position: number, target: Uint8Array): number
  /** Writes all buffers one after another from `position` on, to the page cache. */
  write(position: number, buffers: readonly Uint8Array[]): void
  /** Resolves when all bytes written before the call survive a power cut (fdatasync). */
  sync(): Promise<void>
  truncate(size: number): void
  /** Never called with unsynced bytes that matter: closing hides a failed write-back. */
  close(): void
}

/** One write of the journal. */
export type JournalWrite = {
  readonly file: DiskFile
  readonly position: number
  /** Taken from {@link JournalWriter.staging}, from its start on. */
  readonly slot: number
  readonly length: number
  /** Whether to sync the file after the write. */
  readonly sync: boolean
}

/**
 * Writes and syncs the journal, on a thread of its own where there is one, so that a busy thread
 * pool cannot delay it (engine rule 22). One write at a time.
 */
export interface JournalWriter {
  /** The staging areas: memory that the writer's thread shares. All of one size. */
  readonly staging: readonly Buffer[]
  /** Resolves when written, and synced if asked; rejects with DiskError. One call at a time. */
  write(write: JournalWrite): Promise<void>
  /**
   * Whether the writer is at work on the disk at this moment: it has begun the write and has no
   * result. Asked of the writer itself, whatever has been heard of it: time in which it had not
   * begun, or had ended, says nothing about the disk.
   */
  isWriting(): boolean
  close(): Promise<void>
}

/** How to open a file. */
export type OpenMode =
  /** Must exist; reading only. */
  | 'read'
  /** Must exist; reading and writing. */
  | 'write'
  /** Created empty if absent; reading and writing. */
  | 'create'

/** A folder of files. */
export interface Disk {
  /** Refuses a second process or engine on the same folder: throws ELOCKED. Released by a crash. */
  lock(): void
  unlock(): void
  open(path: string, mode: OpenMode): DiskFile
  exists(path: string): boolean
  /** Names in a folder, sorted; [] if the folder is absent. */
  list(folder: string): readonly string[]
  /** Creates a folder and its parents; no error if it is there. */
  makeFolder(path: string): void
  rename(from: string, to: string): void
  /** No error if absent. */
  unlink(path: string): void
  /** Removes an empty folder; no error if absent. */
  removeFolder(path: string): void
  /** Resolves when the names in this folder survive a power cut. */
  syncFolder(path: string): Promise<void>
  /** Free and total bytes of the file system. */
  space(): { readonly free: number; readonly total: number }
  /** Starts the journal's writer with `count` staging areas of `bytes` each. */
  openJournalWriter(count: number, bytes: number): JournalWriter
  /** Closes what the disk itself holds; files are closed by whoever opened them. */
  close(): Promise<void>
}
