/**
 * The journal's writer of a simulated disk: a write, then a sync, as two operations at which the
 * machine may crash, each answered later under virtual time, or, as the real one, now and then in the
 * very turn in which it was asked. It looks at the staging area when it writes: who touches it too early
 * writes something else.
 */
import { DiskError, type JournalWrite, type JournalWriter } from './disk.ts'
import { SimFile } from './sim-file.ts'
import { never, type SimMachine, SimulatedCrash } from './sim-machine.ts'

/** Writes and syncs the journal, one write at a time. */
export class SimJournalWriter implements JournalWriter {
  readonly staging: readonly Buffer[]
  readonly #machine: SimMachine
  #busy = false
  #writing = false
  #closed = false

  constructor(machine: SimMachine, count: number, bytes: number) {
    this.#machine = machine
    this.staging = Array.from({ length: count }, () => Buffer.alloc(bytes))
  }

  async write(write: JournalWrite): Promise<void> {
    const { file, position, slot, length, sync } = write
    const staging = this.staging[slot]
    if (this.#closed) throw new DiskError('EIO', file.path, 'the writer is closed')
    if (this.#busy) throw new Error('the journal writer takes one write at a time')
    if (staging === undefined || length > staging.length) throw new RangeError('no such staging')
    if (!(file instanceof SimFile) || file.machine !== this.#machine) {
      throw new DiskError('EIO', file.path, 'the file belongs to another disk')
    }
    this.#busy = true
    try {
      const promptly = !sync || this.#machine.isPrompt()
      if (!promptly) await this.#machine.pause(file.path)
      this.#writing = true
      file.writeBytes(position, staging.subarray(0, length), true)
      if (sync) await file.syncBytes(true, promptly)
    } catch (cause) {
      if (cause instanceof SimulatedCrash) await never()
      throw cause
    } finally {
      this.#busy = false
      this.#writing = false
    }
  }

  isWriting(): boolean {
    return this.#writing
  }

  close(): Promise<void> {
    this.#closed = true
    return Promise.resolve()
  }
}
