/** Helpers of the storage tests: folders that go away, batches, counting disks, timers by hand. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Outside, Timer } from '@millrace/base'
import { encodeBatch, type NewBatch } from '@millrace/log'
import { onTestFinished } from 'vitest'
import type {
  Disk,
  DiskFile,
  DiskSpace,
  JournalWrite,
  JournalWriter,
  OpenMode,
  OpenOptions,
  Surroundings,
} from '../../src/disk/disk.ts'

/** A folder that is removed when the test is over. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-engine-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A batch with its final offsets; each record carries `valueBytes` bytes. */
export function batchOf(
  count: number,
  options: Partial<NewBatch> & { readonly valueBytes?: number } = {},
): Buffer {
  const value = Buffer.alloc(options.valueBytes ?? 10, 'v')
  const records = Array.from({ length: count }, () => ({ value }))
  return encodeBatch({ records, timestamp: 1000, leaderEpoch: 0, ...options })
}

/** A batch that is exactly `bytes` long: one record whose value takes what is left. */
export function batchOfBytes(bytes: number, options: Partial<NewBatch> = {}): Buffer {
  for (let size = Math.max(0, bytes - 90); size < bytes; size += 1) {
    const batch = batchOf(1, { ...options, valueBytes: size })
    if (batch.length === bytes) return batch
  }
  throw new Error(`no batch has ${bytes} bytes`)
}

/** How a {@link WrappedDisk} may interfere; what is absent goes through. */
export type Interference = {
  readonly onRead?: (path: string, position: number, bytes: number) => void
  readonly onWrite?: (path: string) => void
  readonly onSync?: (path: string) => Promise<void> | void
  readonly onUnlink?: (path: string) => void
  free?: number
}

/** A disk that tells of every call before it is carried out; what the callback throws is thrown. */
export class WrappedDisk implements Disk {
  readonly #disk: Disk
  readonly #on: Interference

  constructor(disk: Disk, on: Interference) {
    this.#disk = disk
    this.#on = on
  }

  lock(): void {
    this.#disk.lock()
  }
  unlock(): void {
    this.#disk.unlock()
  }
  open(path: string, mode: OpenMode, options?: OpenOptions): DiskFile {
    return new WrappedFile(this.#disk.open(path, mode, options), this.#on)
  }
  exists(path: string): boolean {
    return this.#disk.exists(path)
  }
  sizeOf(path: string): number | null {
    return this.#disk.sizeOf(path)
  }
  list(folder: string): readonly string[] {
    return this.#disk.list(folder)
  }
  makeFolder(path: string): void {
    this.#disk.makeFolder(path)
  }
  rename(from: string, to: string): void {
    this.#disk.rename(from, to)
  }
  unlink(path: string): void {
    this.#on.onUnlink?.(path)
    this.#disk.unlink(path)
  }
  removeFolder(path: string): void {
    this.#disk.removeFolder(path)
  }
  syncFolder(path: string): Promise<void> {
    return this.#disk.syncFolder(path)
  }
  space(): DiskSpace {
    const space = this.#disk.space()
    return { ...space, free: this.#on.free ?? space.free }
  }
  surroundings(): Surroundings {
    return this.#disk.surroundings()
  }
  openJournalWriter(count: number, bytes: number): JournalWriter {
    const writer = this.#disk.openJournalWriter(count, bytes)
    return {
      staging: writer.staging,
      write: write => writer.write({ ...write, file: innerOf(write.file) }),
      isWriting: () => writer.isWriting(),
      close: () => writer.close(),
    }
  }
  close(): Promise<void> {
    return this.#disk.close()
  }
}

class WrappedFile implements DiskFile {
  readonly path: string
  readonly inner: DiskFile
  readonly #on: Interference

  constructor(file: DiskFile, on: Interference) {
    this.inner = file
    this.path = file.path
    this.#on = on
  }

  size(): number {
    return this.inner.size()
  }
  read(position: number, target: Uint8Array): number {
    this.#on.onRead?.(this.path, position, target.length)
    return this.inner.read(position, target)
  }
  write(position: number, buffers: readonly Uint8Array[]): void {
    this.#on.onWrite?.(this.path)
    this.inner.write(position, buffers)
  }
  async sync(): Promise<void> {
    await this.#on.onSync?.(this.path)
    await this.inner.sync()
  }
  truncate(size: number): void {
    this.inner.truncate(size)
  }
  close(): void {
    this.inner.close()
  }
}

const innerOf = (file: DiskFile): DiskFile => (file instanceof WrappedFile ? file.inner : file)

/** Time that moves when the test says so. `soon` runs at the next {@link turn}. */
export class HandTime implements Outside {
  #now = 0
  #soon: (() => void)[] = []
  readonly #timers = new Map<{ at: number; run: () => void }, true>()
  readonly clock = { now: () => 1_700_000_000_000 + this.#now, monotonic: () => this.#now }
  readonly random = { bytes: (length: number): Buffer => Buffer.alloc(length, 7) }
  readonly timers = {
    after: (ms: number, run: () => void): Timer => {
      const timer = { at: this.#now + ms, run }
      this.#timers.set(timer, true)
      return { cancel: () => void this.#timers.delete(timer) }
    },
    soon: (run: () => void): void => void this.#soon.push(run),
  }

  /** The end of a turn of the event loop; promises settle as well. */
  async turn(): Promise<void> {
    const due = this.#soon
    this.#soon = []
    for (const run of due) run()
    await new Promise(resolve => setImmediate(resolve))
  }

  /** The process stands still: no timer runs meanwhile. */
  stand(ms: number): void {
    this.#now += ms
  }

  /** Lets time pass, timer by timer. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms
    for (;;) {
      const next = [...this.#timers.keys()].sort((a, b) => a.at - b.at)[0]
      if (next === undefined || next.at > end) break
      this.#now = Math.max(this.#now, next.at)
      this.#timers.delete(next)
      next.run()
      await this.turn()
    }
    this.#now = end
    await this.turn()
  }
}

/** A journal writer whose writes end when the test says so. */
export class HandWriter implements JournalWriter {
  readonly staging: readonly Buffer[]
  readonly writes: JournalWrite[] = []
  readonly bytes: Buffer[] = []
  closed = false
  /** Whether the write under way has not begun, or has a result of which nobody has heard. */
  restsUnheard = false
  #pending: { resolve: () => void; reject: (cause: Error) => void } | undefined

  constructor(slots: number, bytes: number) {
    this.staging = Array.from({ length: slots }, () => Buffer.alloc(bytes))
  }

  get busy(): boolean {
    return this.#pending !== undefined
  }

  isWriting(): boolean {
    return this.busy && !this.restsUnheard
  }

  write(write: JournalWrite): Promise<void> {
    if (this.#pending !== undefined) throw new Error('two writes at a time')
    this.writes.push(write)
    this.bytes.push(Buffer.from(this.staging[write.slot]?.subarray(0, write.length) ?? []))
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject }
    })
  }

  finish(): void {
    const pending = this.#pending
    this.#pending = undefined
    pending?.resolve()
  }

  fail(cause: string | Error): void {
    const pending = this.#pending
    this.#pending = undefined
    pending?.reject(typeof cause === 'string' ? new Error(cause) : cause)
  }

  async close(): Promise<void> {
    this.closed = true
  }
}
