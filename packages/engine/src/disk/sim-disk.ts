/**
 * The simulated twin of the real disk: a disk that remembers what it has promised and, at a power
 * cut, keeps only that and a legal part of the rest.
 *
 * Files are `SimInode`s, names are in `SimFolder`s; the `SimMachine` around them counts the calls, so
 * that a test can crash at each or fail each, and knows faults, room and latency. After a crash the old disk is dead: its synchronous calls throw `SimulatedCrash`, its
 * asynchronous ones are never answered. The next boot gets a disk of its own.
 *
 * Not modelled: devices that lie about flush, file systems with bugs, a starved thread pool.
 */
import type { Timers } from '@millrace/base'
import type { Choose } from '@millrace/base/simulation'
import {
  type Disk,
  DiskError,
  type DiskFile,
  type DiskSpace,
  type JournalWriter,
  type OpenMode,
  type OpenOptions,
  type Surroundings,
} from './disk.ts'
import type { FaultPlan } from './sim-faults.ts'
import { SimFile } from './sim-file.ts'
import { type NameChange, SimFolder } from './sim-folder.ts'
import { type CutDetail, SimInode } from './sim-inode.ts'
import { SimJournalWriter } from './sim-journal-writer.ts'
import { type CrashMoment, never, noSpace, type SimDiskOptions, SimMachine } from './sim-machine.ts'
import { SPARE_DESCRIPTORS } from './spare-descriptors.ts'

/** What kind of crash, and what the next boot runs on. */
export type Crash = { readonly timers?: Timers } & (
  | /** The process dies; the page cache stays. */ { readonly kind: 'kill' }
  | /** The page cache is lost. */ {
      readonly kind: 'power'
      readonly choose: Choose
      readonly detail?: CutDetail
    }
)

/** A disk in memory. */
export class SimDisk implements Disk {
  readonly #machine: SimMachine
  readonly #root: SimFolder
  #locked = false

  constructor(options: SimDiskOptions = {}, root: SimFolder = new SimFolder()) {
    this.#machine = new SimMachine(options)
    this.#root = root
    const files = [...root.files()]
    for (const file of files) file.links = 0
    for (const file of files) file.links += 1
    for (const file of new Set(files)) this.#machine.usedBytes += file.size
  }

  /** Decides about each call; may be changed while the disk runs. */
  get faults(): FaultPlan | undefined {
    return this.#machine.faults
  }

  set faults(plan: FaultPlan | undefined) {
    this.#machine.faults = plan
  }

  get capacityBytes(): number {
    return this.#machine.capacityBytes
  }

  set capacityBytes(bytes: number) {
    this.#machine.capacityBytes = bytes
  }

  /** What a real disk would not forgive: files closed while a sync runs. */
  get misuse(): readonly string[] {
    return this.#machine.misuse
  }

  /** Operations that change something, since the disk was made. */
  get operations(): number {
    return this.#machine.operations
  }

  /** All calls that a fault plan has seen. */
  get calls(): number {
    return this.#machine.calls
  }

  /** Files that may be open at once, as a limit of the process; SPARE_DESCRIPTORS of them in reserve. */
  get descriptorsMax(): number {
    return this.#machine.descriptorsMax
  }

  set descriptorsMax(count: number) {
    this.#machine.descriptorsMax = count
  }

  get crashed(): boolean {
    return this.#machine.crashed
  }

  get openFiles(): number {
    return this.#machine.openFiles
  }

  /** Changes of files and names that a power cut may take away. */
  get pendingChanges(): number {
    return this.#root.pendingBelow()
  }

  /** Crashes at the n-th changing operation from now. */
  crashAt(n: number, moment: CrashMoment = 'before'): void {
    this.#machine.crashAt(n, moment)
  }

  /**
   * The disk as the next boot finds it. This one is dead afterwards, but can be crashed again: each
   * call answers with a disk of its own, so one run serves for all outcomes. Faults end with the
   * crash. Under virtual time pass the timers of the next boot.
   */
  crash(crash: Crash): SimDisk {
    this.#machine.crashed = true
    const timers = crash.timers ?? this.#machine.options.timers
    const { faults: _, timers: __, ...rest } = this.#machine.options
    const options = {
      ...rest,
      capacityBytes: this.capacityBytes,
      descriptorsMax: this.descriptorsMax,
      seed: (this.#machine.options.seed ?? 1) + 1,
    }
    const root =
      crash.kind === 'kill'
        ? this.#root.clone()
        : this.#root.afterPowerCut({
            choose: crash.choose,
            detail: crash.detail ?? 'any',
            staleBytes: this.#machine.staleBytes,
          })
    return new SimDisk(timers === undefined ? options : { ...options, timers }, root)
  }

  lock(): void {
    this.#machine.mustBeAlive()
    if (this.#locked) throw new DiskError('ELOCKED', '', 'another engine has opened this disk')
    this.#locked = true
  }

  unlock(): void {
    this.#machine.mustBeAlive()
    this.#locked = false
  }

  open(path: string, mode: OpenMode, options: OpenOptions = {}): DiskFile {
    const found = this.#find(path)
    const creates = mode === 'create' && found === undefined
    const ticket = this.#machine.begin(creates ? 'create' : 'open', path)
    this.#machine.failIf(ticket, path)
    this.#machine.needDescriptor(path, options.leavesSpares === true ? SPARE_DESCRIPTORS : 0)
    if (found instanceof SimFolder) throw new DiskError('EIO', path, 'it is a folder')
    const inode = found ?? (creates ? this.#create(path) : undefined)
    if (inode === undefined) throw new DiskError('ENOENT', path, 'no such file')
    inode.links += 1
    this.#machine.openFiles += 1
    this.#machine.end(ticket)
    return new SimFile(this.#machine, inode, path, mode !== 'read')
  }

  exists(path: string): boolean {
    this.#machine.mustBeAlive()
    return this.#find(path) !== undefined
  }

  sizeOf(path: string): number | null {
    this.#machine.mustBeAlive()
    const found = this.#find(path)
    return found instanceof SimInode ? found.size : null
  }

  list(folder: string): readonly string[] {
    this.#machine.failIf(this.#machine.begin('list', folder), folder)
    const found = this.#find(folder)
    if (found instanceof SimInode) throw new DiskError('EIO', folder, 'it is a file')
    return found?.names ?? []
  }

  makeFolder(path: string): void {
    const ticket = this.#machine.begin('makeFolder', path)
    this.#machine.failIf(ticket, path)
    let folder = this.#root
    for (const name of path.split('/')) {
      let next = folder.get(name)
      if (next instanceof SimInode) throw new DiskError('EEXIST', path, `${name} is a file`)
      if (next === undefined) {
        next = new SimFolder()
        folder.set(name, next)
      }
      folder = next
    }
    this.#machine.end(ticket)
  }

  rename(from: string, to: string): void {
    const ticket = this.#machine.begin('rename', from)
    this.#machine.failIf(ticket, from)
    const [source, name] = this.#parent(from)
    const [target, newName] = this.#parent(to)
    if (source.get(name) === undefined) throw new DiskError('ENOENT', from, 'no such file')
    const replaced = target.get(newName)
    if (replaced === source.get(name)) return
    if (replaced instanceof SimFolder) throw new DiskError('EEXIST', to, 'it is a folder')
    source.move(name, target, newName)
    if (replaced !== undefined) this.#machine.dropLink(replaced)
    this.#machine.end(ticket)
  }

  unlink(path: string): void {
    const ticket = this.#machine.begin('unlink', path)
    this.#machine.failIf(ticket, path)
    const found = this.#find(path)
    if (found instanceof SimFolder) throw new DiskError('EIO', path, 'it is a folder')
    if (found !== undefined) {
      const [folder, name] = this.#parent(path)
      folder.set(name, undefined)
      this.#machine.dropLink(found)
    }
    this.#machine.end(ticket)
  }

  removeFolder(path: string): void {
    const ticket = this.#machine.begin('removeFolder', path)
    this.#machine.failIf(ticket, path)
    const found = this.#find(path)
    if (found instanceof SimInode) throw new DiskError('EIO', path, 'it is a file')
    if (found?.isEmpty === true) {
      const [folder, name] = this.#parent(path)
      folder.set(name, undefined)
    }
    this.#machine.end(ticket)
  }

  syncFolder(path: string): Promise<void> {
    let mark: readonly NameChange[] = []
    let folder: SimFolder | undefined
    return this.#machine.later('syncFolder', path, false, {
      begin: () => {
        this.#machine.needDescriptor(path, 0)
        const found = this.#find(path)
        if (!(found instanceof SimFolder)) throw new DiskError('ENOENT', path, 'no such folder')
        folder = found
        mark = found.beginSync()
      },
      succeed: () => folder?.endSync(mark),
      fail: () => undefined,
    })
  }

  space(): DiskSpace {
    this.#machine.mustBeAlive()
    const freeInodes = Number.POSITIVE_INFINITY
    return { free: this.#machine.room, total: this.capacityBytes, freeInodes }
  }

  surroundings(): Surroundings {
    return { descriptorsMax: this.descriptorsMax, warnings: [] }
  }

  openJournalWriter(count: number, bytes: number): JournalWriter {
    this.#machine.mustBeAlive()
    return new SimJournalWriter(this.#machine, count, bytes)
  }

  close(): Promise<void> {
    this.#locked = false
    return this.#machine.crashed ? never() : Promise.resolve()
  }

  /** What a file holds, as programs see it. For tests; undefined if absent. */
  bytesOf(path: string): Buffer | undefined {
    const found = this.#find(path)
    return found instanceof SimInode ? Buffer.from(found.bytes) : undefined
  }

  /** What a file would hold after a power cut that loses all it can. For tests. */
  durableBytesOf(path: string): Buffer | undefined {
    const found = this.#find(path)
    return found instanceof SimInode ? Buffer.from(found.durableBytes) : undefined
  }

  /** Flips one bit at rest, in the page cache and on the medium. */
  flipBit(path: string, byte: number, bit: number): void {
    const found = this.#find(path)
    const value = found instanceof SimInode ? found.bytes[byte] : undefined
    if (!(found instanceof SimInode) || value === undefined) {
      throw new RangeError(`no byte ${byte} in ${path}`)
    }
    found.corrupt(byte, Uint8Array.of(value ^ (1 << bit)))
  }

  /** Replaces, adds or (undefined) takes away a file at rest, with its name, durably. */
  put(path: string, bytes: Uint8Array | undefined): void {
    const [folder, name] = this.#parent(path)
    const before = folder.get(name)
    if (before instanceof SimInode) this.#machine.dropLink(before)
    const inode = bytes === undefined ? undefined : SimInode.durable(bytes)
    if (inode !== undefined) {
      inode.links = 1
      this.#machine.usedBytes += inode.size
    }
    folder.place(name, inode)
  }

  #find(path: string): SimInode | SimFolder | undefined {
    let node: SimInode | SimFolder | undefined = this.#root
    if (path === '') return node
    for (const name of path.split('/')) {
      node = node instanceof SimFolder ? node.get(name) : undefined
    }
    return node
  }

  #parent(path: string): [folder: SimFolder, name: string] {
    const cut = path.lastIndexOf('/')
    const folder = this.#find(cut < 0 ? '' : path.slice(0, cut))
    if (!(folder instanceof SimFolder)) throw new DiskError('ENOENT', path, 'no such folder')
    return [folder, path.slice(cut + 1)]
  }

  #create(path: string): SimInode {
    const [folder, name] = this.#parent(path)
    if (this.#machine.room === 0) throw noSpace(path)
    const inode = new SimInode()
    inode.links = 1
    folder.set(name, inode)
    return inode
  }
}
