/** An open file of a simulated disk. Its bytes are the inode's; here are the rules of calling. */
import { DiskError, type DiskFile } from './disk.ts'
import type { SimInode } from './sim-inode.ts'
import { injected, noSpace, type SimMachine } from './sim-machine.ts'

/** An open file. */
export class SimFile implements DiskFile {
  readonly path: string
  readonly #machine: SimMachine
  readonly #inode: SimInode
  readonly #writable: boolean
  #open = true
  #syncing = 0

  constructor(machine: SimMachine, inode: SimInode, path: string, writable: boolean) {
    this.#machine = machine
    this.#inode = inode
    this.path = path
    this.#writable = writable
  }

  /** The machine that this file is on. */
  get machine(): SimMachine {
    return this.#machine
  }

  size(): number {
    this.#mustBeOpen()
    return this.#inode.size
  }

  read(position: number, target: Uint8Array): number {
    this.#mustBeOpen()
    const ticket = this.#machine.begin('read', this.path)
    this.#machine.failIf(ticket, this.path)
    const { fault } = ticket
    if (fault !== undefined && 'stale' in fault) {
      const bytes = this.#inode.durableBytes.subarray(position, position + target.length)
      target.set(bytes)
      return bytes.length
    }
    const misplacedBy = fault !== undefined && 'misplacedBy' in fault ? fault.misplacedBy : 0
    return this.#inode.read(Math.max(0, position + misplacedBy), target)
  }

  write(position: number, buffers: readonly Uint8Array[]): void {
    const bytes = buffers.length === 1 && buffers[0] !== undefined ? buffers[0] : concat(buffers)
    this.writeBytes(position, bytes, false)
  }

  /** Writes one buffer; the journal's writer says who it is. */
  writeBytes(position: number, bytes: Uint8Array, journal: boolean): void {
    this.#mustBeWritable()
    const machine = this.#machine
    const ticket = machine.begin('write', this.path, journal)
    const { fault, operation } = ticket
    if (machine.crashesAt(operation, 'during')) {
      this.#take(position, bytes.subarray(0, machine.partOf(bytes.length)))
      machine.die()
    }
    if (fault !== undefined && 'error' in fault) {
      const part = fault.taken === 'part' ? machine.partOf(bytes.length) : 0
      this.#take(position, bytes.subarray(0, fault.taken === 'all' ? bytes.length : part))
      throw injected(fault.error, this.path)
    }
    const misplacedBy = fault !== undefined && 'misplacedBy' in fault ? fault.misplacedBy : 0
    const taken = this.#take(Math.max(0, position + misplacedBy), bytes)
    machine.end(ticket)
    if (taken < bytes.length) throw noSpace(this.path)
  }

  sync(): Promise<void> {
    return this.syncBytes(false)
  }

  /** Syncs; the journal's writer says who it is. */
  syncBytes(journal: boolean, promptly: boolean = false): Promise<void> {
    this.#mustBeOpen()
    let mark = 0
    const effect = {
      begin: () => {
        this.#syncing += 1
        mark = this.#inode.beginSync()
      },
      succeed: () => {
        this.#syncing -= 1
        this.#inode.endSync(mark)
      },
      fail: () => {
        this.#syncing -= 1
        this.#inode.failSync(mark)
      },
    }
    return this.#machine.later('sync', this.path, journal, effect, promptly)
  }

  truncate(size: number): void {
    this.#mustBeWritable()
    const ticket = this.#machine.begin('truncate', this.path)
    this.#machine.failIf(ticket, this.path)
    const before = this.#inode.size
    if (size < before) this.#machine.keepStale(this.#inode)
    this.#inode.truncate(size)
    this.#machine.usedBytes += size - before
    this.#machine.end(ticket)
  }

  close(): void {
    if (this.#machine.crashed || !this.#open) return
    this.#open = false
    if (this.#syncing > 0) this.#machine.misuse.push(`${this.path} was closed while a sync ran`)
    this.#machine.closed(this.#inode)
  }

  /** Puts as many bytes into the page cache as there is room for. */
  #take(position: number, bytes: Uint8Array): number {
    const before = this.#inode.size
    const growth = Math.max(0, position + bytes.length - before)
    const missing = Math.max(0, growth - this.#machine.room)
    const fits = Math.max(0, bytes.length - missing)
    this.#inode.write(position, bytes.subarray(0, fits))
    this.#machine.usedBytes += this.#inode.size - before
    return fits
  }

  #mustBeOpen(): void {
    // A real descriptor may belong to another file by now: never a mere disk error.
    if (!this.#open) throw new Error(`${this.path} is used after it was closed`)
  }

  #mustBeWritable(): void {
    this.#mustBeOpen()
    if (!this.#writable) throw new DiskError('EIO', this.path, 'opened for reading only')
  }
}

function concat(buffers: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(buffers)
}
