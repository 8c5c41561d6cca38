/**
 * The files of the journal: a ring of preallocated ones, recycled behind the checkpoint.
 *
 * Files are filled with zeros and synced once, because a file that grows makes every sync carry
 * metadata (4,100 to 5,400 syncs a second against 6,700 to 7,500). The ring starts with one file and
 * grows in the background up to `journal.max.bytes`; when every file still holds groups that no
 * checkpoint covers, `place` answers null and the journal waits (engine rules 4 and 6).
 *
 * Before a group lies in a file, the file is known durably: see `ring-register.ts`.
 *
 * What no recovery needs stays in the files until they are written over. `scrub` writes zeros there
 * at once, for those who must know that a value is gone: over the free files, and in the current one
 * over the groups that a checkpoint covers and over what lies ahead of the next group.
 */
import type { Disk, DiskFile } from '../disk/disk.ts'
import { JOURNAL_FOLDER, journalFileName, numberOf } from './ring-register.ts'

/** Bytes written at once while a file is filled with zeros: other work goes on in between. */
const FILL_BYTES = 128 * 1024
/** Zeros that are synced at once: a long sync would hold up those of the groups. */
const FILL_SYNC_BYTES = 2 << 20

/** Where a group goes. */
export type JournalPlace = { readonly file: DiskFile; readonly position: number }

type RingFile = {
  readonly file: DiskFile
  lastSeq: number
  /** Where the groups end that are not covered yet, in order. */
  ends: { readonly seq: number; readonly end: number }[]
  /** All groups up to here are covered by a durable checkpoint. */
  coveredTo: number
  /** Up to here there are zeros again. */
  scrubbedTo: number
  /** Old groups may lie between the next place and here. */
  staleEnd: number
}

/** What scrubbing asks of others. */
export type ScrubCalls = {
  /** Called after each slice, with its bytes. */
  readonly pause: (bytes: number) => Promise<unknown>
  readonly sync: (file: DiskFile) => Promise<void>
}

/** The journal's files. */
export class JournalRing {
  readonly fileBytes: number
  readonly #disk: Disk
  readonly #filesMax: number
  readonly #pause: () => Promise<void>
  readonly #enter: (file: DiskFile) => Promise<void>
  /** A new file that could not be made known yet. */
  #unknown: DiskFile | undefined
  /** In order of use: the first holds the oldest groups, the last is being filled. */
  #used: RingFile[] = []
  #free: DiskFile[] = []
  /** Those of the free files that hold old groups, each with a number for every time it became so. */
  readonly #stale = new Map<DiskFile, number>()
  #laps = 0
  #nextName: number
  #position = 0
  #growing = false
  #closed = false
  #lastSync: Promise<void> | undefined
  #releasedSeq = 0

  /**
   * @param options.pause lets other work go on while a file is filled
   * @param options.enter makes a new file known durably, before it is used
   * @param options.firstNumber the number of the first new file at least
   * @param existing files left from earlier runs, all known and free to be overwritten
   */
  constructor(
    disk: Disk,
    options: {
      fileBytes: number
      filesMax: number
      pause?: () => Promise<void>
      enter?: (file: DiskFile) => Promise<void>
      firstNumber?: number
    },
    existing: DiskFile[],
  ) {
    this.#disk = disk
    this.#pause = options.pause ?? (() => Promise.resolve())
    this.#enter = options.enter ?? (() => Promise.resolve())
    this.fileBytes = options.fileBytes
    this.#filesMax = options.filesMax
    this.#free = existing
    for (const file of existing) this.#stale.set(file, 0)
    this.#nextName = existing.reduce(
      (next, file) => Math.max(next, numberOf(file.path) + 1),
      options.firstNumber ?? 0,
    )
  }

  /**
   * Goes on behind what an earlier run has written, instead of {@link start}.
   *
   * @param files in order of use, each with the ends of the groups in it that no checkpoint covers
   * @param position where the next group goes in the last of them
   * @param coveredTo what the checkpoint covers in the first of them
   */
  resume(
    files: readonly { readonly file: DiskFile; readonly ends: RingFile['ends'] }[],
    position: number,
    coveredTo: number,
  ): void {
    for (const { file, ends } of files) {
      const used = this.#begun(file, true)
      this.#stale.delete(file)
      const at = this.#free.indexOf(file)
      if (at < 0) throw new Error(`${file.path} is twice in the ring`)
      this.#free.splice(at, 1)
      this.#used.push({ ...used, ends: [...ends], lastSeq: ends.at(-1)?.seq ?? 0 })
    }
    const [first] = this.#used
    if (first !== undefined) first.coveredTo = coveredTo
    this.#position = position
  }

  /** Makes sure that there is one file to write to. */
  async start(): Promise<void> {
    if (this.#free.length === 0) this.#free.push(await this.#create({ gently: false }))
    this.#advance()
  }

  /** The file being written and where the next group goes. */
  get head(): { readonly path: string; readonly position: number } {
    return { path: this.#used.at(-1)?.file.path ?? '', position: this.#position }
  }

  /** Names of all files, whole ones. */
  get files(): readonly string[] {
    return [...this.#used.map(({ file }) => file.path), ...this.#free.map(file => file.path)]
  }

  /** Bytes between the oldest group that is still needed and the end. */
  get usedBytes(): number {
    return this.#used.length === 0 ? 0 : (this.#used.length - 1) * this.fileBytes + this.#position
  }

  /** Bytes that the journal may hold. */
  get maxBytes(): number {
    return this.#filesMax * this.fileBytes
  }

  /**
   * Takes room for a group; null when every file is in use and none can be added now.
   *
   * @param keep bytes of the last free room that are not for this group
   */
  place(bytes: number, seq: number, keep = 0): JournalPlace | null {
    const end = this.fileBytes - (this.#free.length === 0 ? keep : 0)
    if (this.#position + bytes > end && !this.#advance()) return null
    const current = this.#used.at(-1)
    if (current === undefined) return null
    const place = { file: current.file, position: this.#position }
    this.#position += bytes
    current.lastSeq = seq
    current.ends.push({ seq, end: this.#position })
    return place
  }

  /** Frees the files whose groups are all covered by a durable checkpoint up to `seq`. */
  release(seq: number): void {
    this.#releasedSeq = Math.max(this.#releasedSeq, seq)
    for (const used of this.#used) {
      while ((used.ends[0]?.seq ?? Number.POSITIVE_INFINITY) <= seq) {
        used.coveredTo = used.ends.shift()?.end ?? used.coveredTo
      }
    }
    while (this.#used.length > 1) {
      const oldest = this.#used[0]
      if (oldest === undefined || oldest.lastSeq > seq) return
      this.#used.shift()
      this.#free.push(oldest.file)
      this.#laps += 1
      this.#stale.set(oldest.file, this.#laps)
    }
  }

  /** Files that may hold groups which a checkpoint covers. */
  get scrubbable(): Set<DiskFile> {
    return new Set([...this.#stale.keys(), ...this.#used.map(({ file }) => file)])
  }

  /**
   * Writes zeros over what no recovery needs in these files, in slices, and takes those that are done
   * out of the set. Left are files in use behind the current one: the next checkpoint frees them.
   * Free files are synced; the current one is synced by whoever calls. Rejects with what the calls
   * reject, and with DiskError.
   */
  async scrub(files: Set<DiskFile>, calls: ScrubCalls): Promise<void> {
    for (const file of files) {
      const lap = this.#stale.get(file)
      const isStale = (): boolean => lap !== undefined && this.#stale.get(file) === lap
      let at = 0
      while (at < this.fileBytes && isStale()) {
        at += this.#zero(file, at, this.fileBytes)
        await calls.pause(FILL_BYTES)
      }
      if (isStale()) await calls.sync(file)
      if (isStale()) this.#stale.delete(file)
      // One that was taken into use meanwhile is the current one, or will be free again.
      if (this.#free.includes(file) && !this.#stale.has(file)) files.delete(file)
    }
    const current = this.#used.at(-1)
    if (current === undefined || !files.has(current.file)) return
    await this.#scrubCurrent(current, calls)
    if (this.#used.at(-1) === current) files.delete(current.file)
  }

  /** Groups go on being placed meanwhile, so each slice looks where they are; it never meets one. */
  async #scrubCurrent(current: RingFile, { pause }: ScrubCalls): Promise<void> {
    const isCurrent = (): boolean => !this.#closed && this.#used.at(-1) === current
    while (isCurrent() && current.scrubbedTo < current.coveredTo) {
      current.scrubbedTo += this.#zero(current.file, current.scrubbedTo, current.coveredTo)
      await pause(FILL_BYTES)
    }
    // From the end on, so that what is left to do lies between the next group and there.
    while (isCurrent() && this.#position < current.staleEnd) {
      const from = Math.max(this.#position, current.staleEnd - FILL_BYTES)
      this.#zero(current.file, from, current.staleEnd)
      current.staleEnd = from
      await pause(FILL_BYTES)
    }
  }

  /** Writes a slice of zeros within [from, to); answers its length. */
  #zero(file: DiskFile, from: number, to: number): number {
    const bytes = Math.min(FILL_BYTES, to - from)
    file.write(from, [Buffer.alloc(bytes)])
    return bytes
  }

  /**
   * Adds a file in the background if none is free and the ring may grow. Resolves when there is a
   * free one; rejects with the disk's error.
   *
   * @param options.beyondMax allows one file more than the maximum: for the group with which a
   *   checkpoint begins, when nothing else would free the ring
   */
  grow(options: { readonly beyondMax?: boolean } = {}): Promise<void> {
    if (this.#growing && this.#lastSync !== undefined) return this.#lastSync
    const max = this.#filesMax + (options.beyondMax === true ? 1 : 0)
    if (this.#free.length > 0 || this.#used.length >= max) return Promise.resolve()
    this.#growing = true
    this.#lastSync = this.#create({ gently: true })
      .then(file => void this.#free.push(file))
      .finally(() => {
        this.#growing = false
      })
    return this.#lastSync
  }

  /** Whether a file is ready behind the current one. */
  get hasSpare(): boolean {
    return this.#free.length > 0
  }

  /** Resolves when no file is being added any more; none will be. */
  async settled(): Promise<void> {
    this.#closed = true
    if (this.#growing) await this.#lastSync?.catch(() => undefined) // told to who asked for it
  }

  close(): void {
    this.#closed = true
    for (const { file } of this.#used) file.close()
    for (const file of this.#free) file.close()
    // One that is being made is closed by whoever makes it: a sync may run on it.
    if (!this.#growing) this.#unknown?.close()
    this.#used = []
    this.#free = []
    this.#stale.clear()
  }

  #advance(): boolean {
    const next = this.#free.shift()
    if (next === undefined) {
      const only = this.#used.length === 1 ? this.#used[0] : undefined
      if (only === undefined || only.lastSeq > this.#releasedSeq) return false
      // Everything in the only file is covered: begin it again.
      this.#used[0] = this.#begun(only.file, true)
      this.#position = 0
      return true
    }
    this.#used.push(this.#begun(next, this.#stale.delete(next)))
    this.#position = 0
    return true
  }

  #begun(file: DiskFile, stale: boolean): RingFile {
    const staleEnd = stale ? this.fileBytes : 0
    return { file, lastSeq: 0, ends: [], coveredTo: 0, scrubbedTo: 0, staleEnd }
  }

  /** @param options.gently syncs and pauses on the way, so that groups being written are not held up */
  async #create(options: { readonly gently: boolean }): Promise<DiskFile> {
    const file = this.#unknown ?? (await this.#newFile(options))
    // What may be known of it already must not go: a failed attempt is made again with the same file.
    this.#unknown = file
    try {
      await this.#enter(file)
    } finally {
      if (this.#closed) {
        this.#unknown = undefined
        file.close()
      }
    }
    if (this.#closed) throw new Error('the journal has been closed')
    this.#unknown = undefined
    return file
  }

  async #newFile(options: { readonly gently: boolean }): Promise<DiskFile> {
    const path = journalFileName(this.#nextName)
    this.#nextName += 1
    const file = this.#disk.open(path, 'create')
    try {
      await this.#fill(file, options)
      await this.#disk.syncFolder(JOURNAL_FOLDER)
      if (this.#closed) throw new Error('the journal has been closed')
      return file
    } catch (cause) {
      // Neither half a file for every attempt on a full disk, nor an open one behind the close.
      file.close()
      if (!this.#closed) this.#disk.unlink(path)
      throw cause
    }
  }

  async #fill(file: DiskFile, options: { readonly gently: boolean }): Promise<void> {
    const zeros = Buffer.alloc(Math.min(FILL_BYTES, this.fileBytes))
    for (let at = 0; at < this.fileBytes; at += zeros.length) {
      file.write(at, [zeros.subarray(0, Math.min(zeros.length, this.fileBytes - at))])
      if (!options.gently) continue
      if ((at + zeros.length) % FILL_SYNC_BYTES === 0) await file.sync()
      else await this.#pause()
      if (this.#closed) return
    }
    await file.sync()
  }
}
