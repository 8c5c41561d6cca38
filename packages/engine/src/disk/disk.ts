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
export type DiskErrorCode =
  | 'EIO'
  /** No room, no inode, or the user's quota is used up. */
  | 'ENOSPC'
  /** No descriptor, of this process or of the machine. */
  | 'EMFILE'
  | 'ENOMEM'
  | 'ENOENT'
  | 'EEXIST'
  | 'EACCES'
  /** The file system takes no writes. */
  | 'EROFS'
  | 'ELOCKED'

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

const SHORTAGES: ReadonlySet<unknown> = new Set<DiskErrorCode>(['ENOSPC', 'EMFILE', 'ENOMEM'])

/**
 * Whether a call has failed because something ran out. That is no damage, and ends by itself: what
 * could not be done waits and is tried again. No sync fails so: it is never repeated.
 */
export const isShortage = (cause: unknown): cause is DiskError =>
  cause instanceof DiskError && SHORTAGES.has(cause.code)

/** The failure of a sync, whatever ran out meanwhile: what it should have covered may be lost. */
export const failedSync = (cause: DiskError): DiskError =>
  new DiskError('EIO', cause.path, `a sync failed: ${cause.message}`, cause)

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
  /**
   * Resolves when all bytes written before the call survive a power cut (fdatasync). Rejects with EIO,
   * whatever ran out meanwhile: {@link failedSync}.
   */
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
  /**
   * Resolves when written, and synced if asked. One call at a time. Rejects with DiskError: a shortage
   * ({@link isShortage}) says that the write did not go through, or a part of it, and may be made again;
   * whatever a failed sync says is EIO, because nobody knows what it has lost.
   */
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

/** How badly a file is needed. */
export type OpenOptions = {
  /** It can wait: the descriptors that are kept in reserve are not for it. Default false. */
  readonly leavesSpares?: boolean
}

/** Room of a file system. Bytes; inodes where it counts them. */
export type DiskSpace = {
  readonly free: number
  readonly total: number
  /** Files that can still be made; Infinity where the file system has no such bound. */
  readonly freeInodes: number
}

/** What is around the disk, as found when it was opened. */
export type Surroundings = {
  /** Descriptors that the process may have; Infinity if unknown. */
  readonly descriptorsMax: number
  /** What an operator should know. */
  readonly warnings: readonly string[]
}

/** A folder of files. */
export interface Disk {
  /** Refuses a second process or engine on the same folder: throws ELOCKED. Released by a crash. */
  lock(): void
  unlock(): void
  /** Throws EMFILE where the process has no descriptor left: then nothing has happened. */
  open(path: string, mode: OpenMode, options?: OpenOptions): DiskFile
  exists(path: string): boolean
  /** Size of a file in bytes, without opening it; null if it is absent. */
  sizeOf(path: string): number | null
  /** Names in a folder, sorted; [] if the folder is absent. */
  list(folder: string): readonly string[]
  /** Creates a folder and its parents; no error if it is there. */
  makeFolder(path: string): void
  rename(from: string, to: string): void
  /** No error if absent. */
  unlink(path: string): void
  /** Removes an empty folder; no error if absent. */
  removeFolder(path: string): void
  /**
   * Resolves when the names in this folder survive a power cut. Rejects with EMFILE where it could
   * not begin for want of a descriptor: that is not a failed sync, and may be tried again; what the sync
   * itself fails with is EIO.
   */
  syncFolder(path: string): Promise<void>
  space(): DiskSpace
  surroundings(): Surroundings
  /** Starts the journal's writer with `count` staging areas of `bytes` each. */
  openJournalWriter(count: number, bytes: number): JournalWriter
  /** Closes what the disk itself holds; files are closed by whoever opened them. */
  close(): Promise<void>
}
