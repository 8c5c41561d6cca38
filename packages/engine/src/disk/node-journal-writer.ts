/**
 * The journal's writer on a thread of its own.
 *
 * Staging areas lie in memory that both threads see, so nothing is copied; commands and results are
 * a few words beside them. The engine's thread waits for a short sync on the spot (`hand-over.ts`), for
 * others with `Atomics.waitAsync`, which keeps its event loop free. What needs no sync is written by the
 * engine's thread itself: a copy into the page cache, like the segments. Opening does not wait for the
 * thread; the first write does.
 */
import { writeSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { DiskError, failedSync, type JournalWrite, type JournalWriter } from './disk.ts'
import { HandOver, WAIT_MAX_MS } from './hand-over.ts'
import {
  CONTROL,
  isDone,
  isDoneWithin,
  type JournalThreadData,
  whenDone,
} from './journal-control.ts'
import { diskErrorOfNumber, orDiskError } from './node-errors.ts'

/** Bound of the thread's heap; it does nothing but two system calls and uses a few. Megabytes. */
const THREAD_HEAP_MB = 64

/** Longest wait for the thread's end, in ms. */
const CLOSE_MAX_MS = 2000

/** Gives the file descriptor of a file that this disk has opened. */
export type DescriptorOf = (write: JournalWrite) => number

/** Writes and syncs on a worker thread. */
export class NodeJournalWriter implements JournalWriter {
  readonly staging: readonly Buffer[]
  readonly #areas: readonly SharedArrayBuffer[]
  readonly #control = new SharedArrayBuffer(CONTROL.bytes)
  readonly #words: Int32Array = new Int32Array(this.#control)
  readonly #position: Float64Array = new Float64Array(this.#control, CONTROL.positionAt, 1)
  readonly #took: Float64Array = new Float64Array(this.#control, CONTROL.tookAt, 1)
  readonly #handOver = new HandOver()
  readonly #descriptorOf: DescriptorOf
  readonly #syncDelayMs: number
  #thread: Worker | undefined
  #work: Promise<void> | undefined
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
    const thread = this.#thread
    if (this.#failed !== undefined) throw this.#failed
    if (thread === undefined) throw new DiskError('EIO', write.file.path, 'the writer is closed')
    if (this.#work !== undefined) throw new Error('the journal writer takes one write at a time')
    const staging = this.staging[write.slot]
    if (staging === undefined || write.length > staging.length) throw new RangeError('too long')
    const descriptor = this.#descriptorOf(write)
    if (!write.sync) {
      writeHere(write, descriptor, staging)
      return
    }
    this.#command(write, descriptor)
    if (!this.#handOver.waits || !isDoneWithin(this.#words, WAIT_MAX_MS)) await this.#called(thread)
    this.#handOver.note(this.#took[0] ?? 0)
    const errno = this.#words[CONTROL.result] ?? 0
    if (errno === 0) return
    const failure = diskErrorOfNumber(write.file.path, errno, 'the journal thread')
    throw this.#words[CONTROL.syncing] === 1 ? failedSync(failure) : failure
  }

  isWriting(): boolean {
    const words = this.#words
    return Atomics.load(words, CONTROL.begun) === 1 && !isDone(words)
  }

  /** Ends the thread; one that hangs in a system call is left behind after a time. */
  async close(): Promise<void> {
    const thread = this.#thread
    if (thread === undefined) return
    this.#thread = undefined
    thread.ref()
    let giveUp: NodeJS.Timeout | undefined
    const late = new Promise<void>(resolve => {
      giveUp = setTimeout(resolve, CLOSE_MAX_MS)
    })
    const ended = new Promise<void>(resolve => thread.once('exit', () => resolve()))
    // The command that stops the thread would take the place of one that it has not seen yet.
    await Promise.race([this.#work?.catch(() => undefined), late])
    Atomics.store(this.#words, CONTROL.command, CONTROL.stop)
    Atomics.notify(this.#words, CONTROL.command)
    await Promise.race([ended, late])
    clearTimeout(giveUp)
    thread.unref()
  }

  /** Hands the command over. */
  #command(write: JournalWrite, descriptor: number): void {
    const words = this.#words
    words[CONTROL.descriptor] = descriptor
    words[CONTROL.slot] = write.slot
    words[CONTROL.length] = write.length
    words[CONTROL.sync] = write.sync ? 1 : 0
    this.#position[0] = write.position
    Atomics.store(words, CONTROL.begun, 0)
    Atomics.store(words, CONTROL.done, 0)
    Atomics.store(words, CONTROL.command, CONTROL.write)
    Atomics.notify(words, CONTROL.command)
  }

  /** Resolves when the thread says that it is done. */
  async #called(thread: Worker): Promise<void> {
    if (isDone(this.#words)) return
    // A write in flight keeps the process alive; an idle journal does not.
    thread.ref()
    const ended = new Promise<never>((_, reject) => {
      this.#fail = reject
    })
    this.#work = Promise.race([whenDone(this.#words), ended])
    try {
      await this.#work
    } finally {
      this.#work = undefined
      if (this.#thread !== undefined) thread.unref() // else it is being closed, and waited for
    }
  }

  #start(): void {
    const data: JournalThreadData = {
      control: this.#control,
      staging: this.#areas,
      syncDelayMs: this.#syncDelayMs,
    }
    // Beside this file in the sources and in the build alike.
    const name = import.meta.url.endsWith('.ts') ? './journal-thread.ts' : './journal-thread.js'
    const thread = new Worker(new URL(name, import.meta.url), {
      name: 'millrace-journal',
      workerData: data,
      execArgv: [],
      resourceLimits: {
        maxOldGenerationSizeMb: THREAD_HEAP_MB,
        maxYoungGenerationSizeMb: 4,
        stackSizeMb: 1,
      },
    })
    this.#thread = thread
    thread.unref()
    const failed = (cause: unknown): void => {
      this.#failed ??= new DiskError('EIO', 'journal', `the thread ended: ${String(cause)}`, cause)
      this.#thread = undefined
      this.#fail?.(this.#failed)
    }
    thread.once('error', failed)
    thread.once('exit', code => {
      if (this.#thread === thread) failed(new Error(`exit code ${code}`))
    })
  }
}

function writeHere(write: JournalWrite, descriptor: number, staging: Buffer): void {
  orDiskError(write.file.path, () => {
    for (let done = 0; done < write.length; ) {
      done += writeSync(descriptor, staging, done, write.length - done, write.position + done)
    }
  })
}
