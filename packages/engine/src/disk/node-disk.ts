/**
 * The real disk: a folder of the file system, through node:fs.
 *
 * Page-cache reads and writes are synchronous calls; syncs go through libuv's pool, the journal's
 * through a thread of its own. The lock is an exclusive transaction on a small SQLite file, which the
 * kernel releases when the process dies, `kill -9` included; Node has no flock.
 */
import {
  close,
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  fsync,
  ftruncateSync,
  open,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmdirSync,
  statfsSync,
  statSync,
  unlinkSync,
  writeSync,
  writevSync,
} from 'node:fs'
import { resolve } from 'node:path'
import { makeFolders } from '@millrace/base'
import {
  type Disk,
  DiskError,
  type DiskFile,
  type DiskSpace,
  failedSync,
  type JournalWrite,
  type JournalWriter,
  type OpenMode,
  type OpenOptions,
  type Surroundings,
} from './disk.ts'
import { FolderLock } from './folder-lock.ts'
import { diskError, orDiskError } from './node-errors.ts'
import { NodeJournalWriter } from './node-journal-writer.ts'
import { lacksDescriptor, SpareDescriptors } from './spare-descriptors.ts'
import { FILE_MODE, FOLDER_MODE, makePrivate, surroundingsOf } from './surroundings.ts'

const FLAGS: Readonly<Record<OpenMode, number>> = {
  read: constants.O_RDONLY,
  write: constants.O_RDWR,
  create: constants.O_RDWR | constants.O_CREAT,
}
/** writev takes no more buffers at once (IOV_MAX). */
const BUFFERS_PER_WRITE = 1024
/** Up to this many bytes, several small buffers are gathered: a copy costs less than an iovec each. */
const GATHER_BYTES = 256 * 1024
/** Buffers smaller than this on average are worth gathering. */
const SMALL_BYTES = 4096
/** What lies at the top of a data folder: the folder itself may hold files of its owner as well. */
const OWN_NAMES = [
  'journal',
  'partitions',
  'rescue',
  'checkpoint-a',
  'checkpoint-b',
  'clock',
  'fenced',
  'lock.sqlite',
  'lock.pid',
]
const gathered = Buffer.allocUnsafeSlow(GATHER_BYTES)

/** How to use a folder. */
export type NodeDiskOptions = {
  /** Added to each sync in ms, to measure what a slower device would do. Default 0. */
  readonly syncDelayMs?: number
}

/** A folder of the file system as a {@link Disk}; created if absent. Throws DiskError. */
export function nodeDisk(folder: string, options: NodeDiskOptions = {}): Disk {
  const root = resolve(folder)
  try {
    makeFolders(root, { mode: FOLDER_MODE })
  } catch (cause) {
    const detail = `the data folder cannot be created: ${(cause as Error).message}`
    throw new DiskError(diskError(root, cause).code, root, detail, cause)
  }
  return new NodeDisk(root, options.syncDelayMs ?? 0)
}

class NodeDisk implements Disk {
  readonly #root: string
  readonly #syncDelayMs: number
  readonly #lock: FolderLock
  #spares: SpareDescriptors | undefined
  #writer: JournalWriter | undefined

  constructor(root: string, syncDelayMs: number) {
    this.#root = root
    this.#syncDelayMs = syncDelayMs
    this.#lock = new FolderLock(root)
  }

  lock(): void {
    this.#lock.take()
    for (const name of OWN_NAMES) makePrivate(this.#at(name))
    this.#spares = new SpareDescriptors(this.#root)
  }

  unlock(): void {
    this.#spares?.close()
    this.#lock.release()
  }

  open(path: string, mode: OpenMode, options: OpenOptions = {}): DiskFile {
    const spares = options.leavesSpares === true ? undefined : this.#spares
    const descriptor = orDiskError(path, () => {
      for (;;) {
        try {
          return openSync(this.#at(path), FLAGS[mode], FILE_MODE)
        } catch (cause) {
          if (!lacksDescriptor(cause) || spares?.giveUpOne() !== true) throw cause
        }
      }
    })
    return new NodeFile(path, descriptor, this.#syncDelayMs, () => this.#spares?.refill())
  }

  exists(path: string): boolean {
    const found = orDiskError(path, () => statSync(this.#at(path), { throwIfNoEntry: false }))
    return found !== undefined
  }

  sizeOf(path: string): number | null {
    return orDiskError(
      path,
      () => statSync(this.#at(path), { throwIfNoEntry: false })?.size ?? null,
    )
  }

  list(folder: string): readonly string[] {
    try {
      return readdirSync(this.#at(folder)).sort()
    } catch (cause) {
      if ((cause as { code?: unknown }).code === 'ENOENT') return []
      throw diskError(folder, cause)
    }
  }

  makeFolder(path: string): void {
    orDiskError(path, () => makeFolders(this.#at(path), { mode: FOLDER_MODE }))
  }

  rename(from: string, to: string): void {
    orDiskError(from, () => renameSync(this.#at(from), this.#at(to)))
  }

  unlink(path: string): void {
    unlessAbsent(path, () => unlinkSync(this.#at(path)))
  }

  removeFolder(path: string): void {
    unlessAbsent(path, () => rmdirSync(this.#at(path)))
  }

  async syncFolder(path: string): Promise<void> {
    await pause(this.#syncDelayMs)
    await new Promise<void>((resolve, reject) => {
      const fail = (cause: unknown): void => reject(diskError(path, cause))
      const begin = (): void =>
        open(this.#at(path), constants.O_RDONLY, (failed, descriptor) => {
          if (lacksDescriptor(failed) && this.#spares?.giveUpOne() === true) return begin()
          if (failed !== null) return fail(failed)
          fsync(descriptor, cause => {
            close(descriptor, () => {
              this.#spares?.refill()
              if (cause === null) resolve()
              else reject(failedSync(diskError(path, cause)))
            })
          })
        })
      begin()
    })
  }

  space(): DiskSpace {
    const { bavail, blocks, bsize, ffree, files } = orDiskError('', () => statfsSync(this.#root))
    // Some file systems count no inodes and say 0 of 0.
    const freeInodes = files === 0 ? Number.POSITIVE_INFINITY : ffree
    return { free: bavail * bsize, total: blocks * bsize, freeInodes }
  }

  surroundings(): Surroundings {
    return surroundingsOf(this.#root)
  }

  openJournalWriter(count: number, bytes: number): JournalWriter {
    this.#writer = new NodeJournalWriter(count, bytes, descriptorOf, this.#syncDelayMs)
    return this.#writer
  }

  async close(): Promise<void> {
    await this.#writer?.close()
    this.#spares?.close()
    this.#lock.release()
  }

  #at(path: string): string {
    return path === '' ? this.#root : `${this.#root}/${path}`
  }
}

/** A number that no file has: the system says EBADF. */
const CLOSED = 2 ** 31 - 1

class NodeFile implements DiskFile {
  readonly path: string
  #descriptor: number
  readonly #syncDelayMs: number
  readonly #onClosed: () => void

  constructor(path: string, descriptor: number, syncDelayMs: number, onClosed: () => void) {
    this.path = path
    this.#descriptor = descriptor
    this.#syncDelayMs = syncDelayMs
    this.#onClosed = onClosed
  }

  /** The file's number; none of any file once it is closed. */
  get descriptor(): number {
    return this.#descriptor
  }

  size(): number {
    return orDiskError(this.path, () => fstatSync(this.descriptor).size)
  }

  read(position: number, target: Uint8Array): number {
    return orDiskError(this.path, () => {
      let done = 0
      while (done < target.length) {
        const read = readSync(this.descriptor, target, done, target.length - done, position + done)
        if (read === 0) break
        done += read
      }
      return done
    })
  }

  write(position: number, buffers: readonly Uint8Array[]): void {
    orDiskError(this.path, () => {
      const [first] = buffers
      if (first !== undefined && buffers.length === 1) {
        this.#writeOne(first, position)
        return
      }
      for (let i = 0; i < buffers.length; i += BUFFERS_PER_WRITE) {
        const part = buffers.slice(i, i + BUFFERS_PER_WRITE)
        const bytes = part.reduce((sum, buffer) => sum + buffer.length, 0)
        const small = part.length > 1 && bytes <= GATHER_BYTES && bytes < part.length * SMALL_BYTES
        this.#writeWhole(small ? [gather(part, bytes)] : part, position, bytes)
        position += bytes
      }
    })
  }

  async sync(): Promise<void> {
    await pause(this.#syncDelayMs)
    await new Promise<void>((resolve, reject) => {
      fdatasync(this.descriptor, cause =>
        cause === null ? resolve() : reject(failedSync(diskError(this.path, cause))),
      )
    })
  }

  truncate(size: number): void {
    orDiskError(this.path, () => ftruncateSync(this.descriptor, size))
  }

  close(): void {
    const { descriptor } = this
    // The number may be another file's from now on: whoever still has this one must not write there.
    this.#descriptor = CLOSED
    orDiskError(this.path, () => closeSync(descriptor))
    this.#onClosed()
  }

  #writeOne(buffer: Uint8Array, position: number): void {
    for (let done = 0; done < buffer.length; ) {
      const left = buffer.length - done
      done += writeSync(this.descriptor, buffer, done, left, position + done)
    }
  }

  /** A write may take fewer bytes than it is given; what is left is given again. */
  #writeWhole(buffers: readonly Uint8Array[], position: number, bytes: number): void {
    let rest = [...buffers]
    let done = 0
    while (done < bytes) {
      let written = writevSync(this.descriptor, rest, position + done)
      done += written
      if (done === bytes) return
      while (rest[0] !== undefined && written >= rest[0].length) {
        written -= rest[0].length
        rest = rest.slice(1)
      }
      if (rest[0] !== undefined) rest[0] = rest[0].subarray(written)
    }
  }
}

function gather(buffers: readonly Uint8Array[], bytes: number): Uint8Array {
  let at = 0
  for (const buffer of buffers) {
    gathered.set(buffer, at)
    at += buffer.length
  }
  return gathered.subarray(0, bytes)
}

async function pause(ms: number): Promise<void> {
  if (ms > 0) await new Promise(resolve => setTimeout(resolve, ms))
}

function descriptorOf({ file }: JournalWrite): number {
  if (file instanceof NodeFile) return file.descriptor
  throw new DiskError('EIO', file.path, 'the file belongs to another disk')
}

function unlessAbsent(path: string, work: () => void): void {
  try {
    work()
  } catch (cause) {
    const { code } = cause as { code?: unknown }
    if (code !== 'ENOENT' && code !== 'ENOTEMPTY') throw diskError(path, cause)
  }
}
