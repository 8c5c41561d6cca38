/**
 * The journal's way to the disk: one write at a time, and what its failures mean.
 *
 * - A write for which something has run out is no damage: nothing is lost with it, and the very same
 *   bytes go to the very same place a second later, until they fit. Whoever waits meanwhile has
 *   deadlines (`GroupWaiter`).
 * - Everything else is a failure: any other error, a failed sync above all, which is never repeated,
 *   and a call at which the writer is for longer than `journal.stall.max.ms`.
 */
import type { Timer, Timers } from '@millrace/base'
import type { AwakeClock } from '../awake-clock.ts'
import { type DiskError, type DiskFile, isShortage, type JournalWriter } from '../disk/disk.ts'
import { inTime, NoAnswer } from './in-time.ts'
import type { JournalPlace } from './journal-ring.ts'

/** How often a write is tried again for which something has run out, in ms. */
const RETRY_MS = 1000

/** What is written, whole. */
export type JournalOutputWrite = {
  readonly place: JournalPlace
  readonly slot: number
  readonly length: number
  readonly sync: boolean
  /** Whether groups that asked for no sync lie in the file that is left behind, if another one is. */
  readonly syncLeft: boolean
}

/** Writes and syncs groups. */
export class JournalOutput {
  readonly #writer: JournalWriter
  readonly #timers: Timers
  readonly #awake: AwakeClock
  readonly #stallMaxMs: number
  readonly #onLack: () => void
  #lastFile: DiskFile | undefined
  /** Since when the writer is known to be at it, by {@link #awake}. */
  #writingSince = 0
  #hung = false
  #lacks: DiskError | undefined
  #retry: { readonly timer: Timer; readonly giveUp: () => void } | undefined
  #ended = false

  constructor(parts: {
    writer: JournalWriter
    timers: Timers
    awake: AwakeClock
    stallMaxMs: number
    /** Something has run out: a write waits for it. */
    onLack: () => void
  }) {
    this.#writer = parts.writer
    this.#timers = parts.timers
    this.#awake = parts.awake
    this.#stallMaxMs = parts.stallMaxMs
    this.#onLack = parts.onLack
  }

  /** What a write waits for, if something has run out. */
  get lacks(): DiskError | undefined {
    return this.#lacks
  }

  /** A call may still come back: the descriptors that it uses must not belong to other files then. */
  get hung(): boolean {
    return this.#hung
  }

  /** Whether the writer is at work on the disk at this moment. */
  get isWriting(): boolean {
    return this.#writer.isWriting()
  }

  /** Resolves when written, and synced if asked. Rejects with DiskError and NoAnswer. */
  async write(write: JournalOutputWrite): Promise<void> {
    this.#writingSince = this.#awake.monotonic()
    const { place, slot, length, sync, syncLeft } = write
    const { file, position } = place
    const left = this.#lastFile
    if (left !== undefined && left !== file && syncLeft) await this.inTime(left.sync())
    this.#lastFile = file
    for (;;) {
      try {
        await this.#writer.write({ file, position, slot, length, sync })
        this.#lacks = undefined
        return
      } catch (cause) {
        if (!isShortage(cause) || this.#ended) throw cause
        this.#lacks = cause
        this.#onLack()
        await this.#pause()
        if (this.#ended) throw cause
      }
    }
  }

  /** Looks at the writer; whether it is at one call for too long. */
  look(): boolean {
    const now = this.#awake.monotonic()
    if (!this.#writer.isWriting()) this.#writingSince = now
    if (now - this.#writingSince <= this.#stallMaxMs) return false
    this.#hung = true
    return true
  }

  /** Rejects with NoAnswer where a call of the journal's files takes too long. */
  async inTime(work: Promise<unknown>): Promise<void> {
    try {
      await inTime(this.#timers, this.#stallMaxMs, work)
    } catch (cause) {
      this.#hung ||= cause instanceof NoAnswer
      throw cause
    }
  }

  /** Nothing is tried again any more. */
  end(): void {
    this.#ended = true
    this.#retry?.timer.cancel()
    this.#retry?.giveUp()
  }

  close(): Promise<void> {
    return this.#writer.close()
  }

  #pause(): Promise<void> {
    return new Promise(resolve => {
      const goOn = (): void => {
        this.#retry = undefined
        resolve()
      }
      this.#retry = { timer: this.#timers.after(RETRY_MS, goOn), giveUp: goOn }
    })
  }
}
