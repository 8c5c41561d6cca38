/**
 * The journal's writer on a thread of its own.
 *
 * Staging areas lie in memory that both threads see, so nothing is copied; commands and results are
 * a few words beside them. The engine's thread waits with `Atomics.waitAsync`, which keeps its event
 * loop free. Opening does not wait for the thread; the first write does.
 */
import { Worker } from 'node:worker_threads'
import { DiskError, type DiskErrorCode, type JournalWrite, type JournalWriter } from './disk.ts'
import { CONTROL, ERROR_CODES, type JournalThreadData } from './journal-control.ts'

/** Bound of the thread's heap; it does nothing but two system calls and uses a few. Megabytes. */
const THREAD_HEAP_MB = 64

/** Gives the file descriptor of a file that this disk has opened. */
export type DescriptorOf = (write: JournalWrite) => number

/** Writes and syncs on a worker thread. */
export class NodeJournalWriter implements JournalWriter {
  readonly staging: readonly Buffer[]
  readonly #areas: readonly SharedArrayBuffer[]
  readonly #control = new SharedArrayBuffer(CONTROL.bytes)
  readonly #words: Int32Array = new Int32Array(this.#control)
  readonly #position: Float64Array = new Float64Array(this.#control, CONTROL.positionAt, 1)
  readonly #descriptorOf: DescriptorOf
  readonly #syncDelayMs: number
  #thread: Worker | undefined
  #failed: DiskError | undefined
  #fail: ((error: DiskError) => void) | undefined

  constructor(count: number, bytes: number, descriptorOf: DescriptorOf, syncDelayMs: number) {
    this.#areas = Array.from({ length: count }, () => new SharedArrayBuffer(bytes))
    this.staging = this.#areas.map(area => Buffer.from(area))
    this.#descriptorOf = descriptorOf
    this.#syncDelayMs = syncDelayMs
    this.#start()
  }

  async write(write: JournalWrite): Promise<void> {
    if (this.#failed !== undefined) throw this.#failed
    const words = this.#words
    words[CONTROL.descriptor] = this.#descriptorOf(write)
    words[CONTROL.slot] = write.slot
    words[CONTROL.length] = write.length
    words[CONTROL.sync] = write.sync ? 1 : 0
    this.#position[0] = write.position
    Atomics.store(words, CONTROL.done, 0)
    const done = Atomics.waitAsync(words, CONTROL.done, 0)
    Atomics.store(words, CONTROL.command, CONTROL.write)
    Atomics.notify(words, CONTROL.command)
    // A write in flight keeps the process alive; an idle journal does not.
    this.#thread?.ref()
    await Promise.race([
      done.value,
      new Promise<never>((_, reject) => {
        this.#fail = reject
      }),
    ])
    this.#thread?.unref()
    const result = words[CONTROL.result] ?? 0
    if (result === 0) return
    const code = (ERROR_CODES[result - 1] ?? 'EIO') as DiskErrorCode
    throw new DiskError(code, write.file.path, 'a write or sync of the journal failed')
  }

  async close(): Promise<void> {
    const thread = this.#thread
    if (thread === undefined) return
    this.#thread = undefined
    thread.ref()
    const ended = new Promise<void>(resolve => thread.once('exit', () => resolve()))
    Atomics.store(this.#words, CONTROL.command, CONTROL.stop)
    Atomics.notify(this.#words, CONTROL.command)
    await ended
  }

  #start(): void {
    const data: JournalThreadData = {
      control: this.#control,
      staging: this.#areas,
      syncDelayMs: this.#syncDelayMs,
    }
    // Beside this file in the sources and in the build alike.
    const name = import.meta.url.endsWith('.ts') ? './journal-thread.ts' : './journal-thread.js'
    this.#thread = new Worker(new URL(name, import.meta.url), {
      name: 'millrace-journal',
      workerData: data,
      execArgv: [],
      resourceLimits: {
        maxOldGenerationSizeMb: THREAD_HEAP_MB,
        maxYoungGenerationSizeMb: 4,
        stackSizeMb: 1,
      },
    })
    this.#thread.unref()
    this.#thread.once('error', cause => {
      this.#failed = new DiskError('EIO', 'journal', `the journal thread ended: ${cause}`, cause)
      this.#thread = undefined
      this.#fail?.(this.#failed)
    })
  }
}
