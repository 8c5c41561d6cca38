/**
 * The journal: every append of every partition goes through it, one sync a group.
 *
 *     append ──► open group ──seal──► writer (write, sync) ──► complete: segments, watermark, answers
 *                    ▲                        │
 *                    └── what arrives while a sync runs forms the next group
 *
 * One group is open and at most one is being written; each has a staging area of its own, and the
 * third is there so that the next group can be sealed before the last one has reached its segments.
 * A failed, or a hung, write or sync fences the journal for good: nothing is acknowledged any more,
 * nothing is repeated, and the way out is a restart (engine rule 15; Rebello et al., ATC 2020). Where
 * room has run out nothing has failed: the write, or the group that finds no place, waits for it.
 */

import type { Outside, Timer } from '@millrace/base'
import { LogError } from '@millrace/log'
import { AwakeClock } from '../awake-clock.ts'
import type { DiskError, DiskFile, JournalWriter } from '../disk/disk.ts'
import {
  CommitGroup,
  type EntryOptions,
  type GroupWaiter,
  type JournalTarget,
} from './commit-group.ts'
import { inTime } from './in-time.ts'
import type { JournalEvents, JournalLimits } from './journal-events.ts'
import {
  ENTRY_HEADER_BYTES,
  groupBytes,
  type JournalPosition,
  type JournalSalt,
  sealGroup,
} from './journal-format.ts'
import { JournalOutput } from './journal-output.ts'
import type { JournalRing } from './journal-ring.ts'
import { JournalRoom } from './journal-room.ts'
import { STAMP_BYTES } from './ring-register.ts'

/** Staging areas: one open, one being written, one being handed on. */
export const STAGING_SLOTS = 3
/** How often waiting appends and the writer are checked against their deadlines, in ms. */
const SWEEP_MS = 250
/** ... and at least so often within the longest write: one gap of the clock must not fill it. */
const SWEEPS_PER_STALL = 4

/** Why nothing enters a journal that has been closed. */
const CLOSED = 'the journal has been closed'

/** All partitions' appends, in order, on their way to the disk. */
export class Journal<T extends JournalTarget> {
  readonly #staging: readonly Buffer[]
  readonly #output: JournalOutput
  readonly #room: JournalRoom
  readonly #ring: JournalRing
  readonly #outside: Outside
  readonly #events: JournalEvents<T>
  readonly #limits: JournalLimits
  readonly #salt: JournalSalt
  readonly #awake: AwakeClock
  readonly #sweepMs: number
  readonly #freeSlots: number[]
  #open: CommitGroup<T>
  #inFlight: CommitGroup<T> | undefined
  #flushScheduled = false
  #completedSeq = 0
  #durableSeq = 0
  #checksum = 0
  #position: JournalPosition
  #roomWanted = false
  #lastGroup = { sealed: 0, written: 0, applied: 0 }
  #fencedBy: string | undefined
  #sweep: Timer | undefined
  #syncTimer: Timer | undefined
  /** The last group that is written: none is known before {@link close}. */
  #endSeq = Number.POSITIVE_INFINITY
  #closing: Promise<void> | undefined
  #closed = false

  constructor(parts: {
    writer: JournalWriter
    ring: JournalRing
    outside: Outside
    events: JournalEvents<T>
    limits: JournalLimits
    salt: JournalSalt
    /** The group behind which it goes on, which is durable; absent where a generation begins. */
    behind?: { readonly seq: number; readonly checksum: number }
  }) {
    this.#staging = parts.writer.staging
    this.#ring = parts.ring
    this.#outside = parts.outside
    this.#events = parts.events
    this.#limits = parts.limits
    this.#salt = parts.salt
    this.#sweepMs = Math.min(SWEEP_MS, parts.limits.stallMaxMs / SWEEPS_PER_STALL)
    this.#awake = new AwakeClock(parts.outside.clock, 2 * this.#sweepMs)
    this.#output = new JournalOutput({
      writer: parts.writer,
      timers: parts.outside.timers,
      awake: this.#awake,
      stallMaxMs: parts.limits.stallMaxMs,
      onLack: () => this.#events.onLack(),
    })
    this.#room = new JournalRoom({
      ring: parts.ring,
      timers: parts.outside.timers,
      events: parts.events,
      look: () => this.#schedule(),
    })
    this.#freeSlots = this.#staging.map((_, slot) => slot)
    const { seq, checksum } = parts.behind ?? { seq: 0, checksum: 0 }
    this.#completedSeq = seq
    this.#durableSeq = seq
    this.#checksum = checksum
    this.#open = this.#newGroup(seq + 1)
    this.#position = this.#here(seq)
  }

  /** Sequence number of the group that takes entries now. */
  get openSeq(): number {
    return this.#open.seq
  }

  /** All groups up to this one are complete. */
  get completedSeq(): number {
    return this.#completedSeq
  }

  /** All groups up to this one are synced. */
  get durableSeq(): number {
    return this.#durableSeq
  }

  /** Why nothing is accepted any more, if so. */
  get fencedBy(): string | undefined {
    return this.#fencedBy
  }

  /** Why nothing more may enter, if so: it is fenced, or is being closed. */
  get refuses(): string | undefined {
    return this.#fencedBy ?? (this.#closing === undefined ? undefined : CLOSED)
  }

  /** What has run out so that the journal cannot go on now; it is tried again every second. */
  get lacks(): DiskError | undefined {
    return this.#output.lacks ?? this.#room.lacks
  }

  /** Whether the open group has found no place in the ring, and waits for one. */
  get isFull(): boolean {
    return this.#room.isFull
  }

  /** When the group that was completed last went its way. */
  get lastGroup(): { readonly sealed: number; readonly written: number; readonly applied: number } {
    return this.#lastGroup
  }

  /** Where the next group will follow; as of the last completed group. */
  get position(): JournalPosition {
    return this.#position
  }

  /** Where the first group will go, once the ring has been started. */
  get beginning(): JournalPosition {
    return this.#here(0)
  }

  /** How full the ring is. */
  get fill(): { readonly usedBytes: number; readonly maxBytes: number } {
    return { usedBytes: this.#ring.usedBytes, maxBytes: this.#ring.maxBytes }
  }

  /** Largest batch that fits into a group of its own. Bytes. */
  get batchBytesMax(): number {
    return (this.#staging[0]?.length ?? 0) - 4096
  }

  /** Whether the open group takes these client entries; if not, `onRoom` will be called. */
  hasRoom(count: number, bytes: number): boolean {
    const fits =
      this.#open.entries.length === 0
        ? this.#open.fits(count, bytes, this.#open.staging.length)
        : this.#open.fits(count, bytes, this.#limits.groupBytesMax)
    if (!fits) this.#roomWanted = true
    return fits
  }

  /**
   * Whether these internal entries fit; they may fill the staging area to its end. A group that finds no
   * place for want of room on the disk grows by deletions alone: it must fit into what is kept for them.
   */
  hasInternalRoom(count: number, bytes: number, makesRoom: boolean): boolean {
    const waitingMax = makesRoom ? Number.POSITIVE_INFINITY : this.#room.waitingBytesMax
    return this.#open.fits(count, bytes, Math.min(this.#open.staging.length, waitingMax))
  }

  /** Whether one group can hold these internal entries at all. */
  fitsGroup(count: number, bytes: number): boolean {
    return groupBytes(count * ENTRY_HEADER_BYTES + bytes) <= this.#open.staging.length
  }

  /** Throws LOG_CLOSED once it is being closed: what came behind the last group would never be written. */
  mustTake(): void {
    if (this.#closing !== undefined) throw closedError()
  }

  /** Enters a batch into the open group; returns where it lies in {@link staging}. Throws LOG_CLOSED. */
  add(target: T, batch: Buffer, options: EntryOptions): number {
    this.mustTake()
    const at = this.#open.add(target, batch, options)
    this.#schedule()
    return at
  }

  /** The open group's memory, in which `add` has put a batch. */
  get staging(): Buffer {
    return this.#open.staging
  }

  /**
   * Calls back when group `seq` is complete, or with the reason why it never will be (LOG_CLOSED for
   * one behind the last); after `timeoutMs` with REQUEST_TIMED_OUT.
   */
  wait(seq: number, done: GroupWaiter['done'], timeoutMs?: number): void {
    if (this.#fencedBy !== undefined && seq > this.#completedSeq) {
      done(fencedError(this.#fencedBy))
      return
    }
    if (seq <= this.#completedSeq) {
      done(null)
      return
    }
    if (seq > this.#endSeq) {
      done(closedError())
      return
    }
    const group = this.#inFlight?.seq === seq ? this.#inFlight : this.#open
    const deadline =
      timeoutMs === undefined ? Number.POSITIVE_INFINITY : this.#awake.monotonic() + timeoutMs
    group.waiters.push({ done, deadline })
    this.#schedule()
  }

  /** Seals what is open and resolves when it is synced, also if nothing is open. */
  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#open.needsSync = true
      this.wait(this.#open.seq, error => (error === null ? resolve() : reject(error)))
    })
  }

  /** A durable checkpoint covers everything up to `seq`: its files may be written again. */
  release(seq: number): void {
    this.#ring.release(seq)
    this.#schedule()
  }

  /** Files that may hold groups which a checkpoint covers. */
  get scrubbable(): Set<DiskFile> {
    return this.#ring.scrubbable
  }

  /**
   * Writes zeros over what no recovery needs in these files, durably, and takes those that are done
   * out of the set. Rejects with DiskError, NoAnswer, KAFKA_STORAGE_ERROR, LOG_CLOSED, and as `pause`
   * does.
   */
  async scrub(files: Set<DiskFile>, pause: (bytes: number) => Promise<unknown>): Promise<void> {
    await this.#ring.scrub(files, {
      pause: async bytes => {
        await pause(bytes)
        // A journal that has failed keeps its evidence.
        if (this.#fencedBy !== undefined) throw fencedError(this.#fencedBy)
      },
      sync: file => this.#output.inTime(file.sync()),
    })
    // The current file by the writer, so that a sync that fails is known to be the journal's.
    await this.sync()
  }

  /** Stops accepting; everything that waits is answered with an error. */
  fence(reason: string): void {
    if (this.#fencedBy === undefined) this.#end(reason, () => this.#events.onFenced(reason))
  }

  /** As {@link fence}, where nothing has failed: whoever closes it waits no longer. */
  giveUp(reason: string): void {
    if (this.#fencedBy === undefined) this.#end(reason, () => undefined)
  }

  #end(reason: string, tell: () => void): void {
    this.#fencedBy = reason
    this.#stopTimers()
    this.#output.end()
    const error = fencedError(reason)
    const waiters = [...(this.#inFlight?.waiters ?? []), ...this.#open.waiters]
    if (this.#inFlight !== undefined) this.#inFlight.waiters = []
    this.#open.waiters = []
    tell()
    for (const waiter of waiters) waiter.done(error)
    this.#events.onRoom()
  }

  /** Takes nothing more, syncs what is open, answers all who wait, then closes writer and files. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const pending = !this.#open.isEmpty || this.#durableSeq < this.#open.seq - 1
    this.#endSeq = pending ? this.#open.seq : this.#open.seq - 1
    if (this.#fencedBy === undefined && pending) {
      await this.sync().catch(() => undefined) // fenced on the way: nothing more can be done
    }
    this.#closed = true
    this.#stopTimers()
    await this.#output.close()
    // A write that hangs may still come back: its descriptor must not belong to another file then.
    if (this.#output.hung) return
    // Whoever opens the folder next keeps a list of the files of its own.
    const { timers } = this.#outside
    await inTime(timers, this.#limits.stallMaxMs, this.#ring.settled()).catch(() => undefined)
    this.#ring.close()
  }

  #newGroup(seq: number): CommitGroup<T> {
    const slot = this.#freeSlots.shift()
    const staging = slot === undefined ? undefined : this.#staging[slot]
    if (slot === undefined || staging === undefined) {
      throw new LogError('UNKNOWN_SERVER_ERROR', 'no staging area is free')
    }
    return new CommitGroup(seq, slot, staging)
  }

  #schedule(): void {
    if (this.#flushScheduled || this.#inFlight !== undefined || this.#fencedBy !== undefined) return
    this.#flushScheduled = true
    // At the end of this turn, so that all sockets that are readable now share one sync.
    this.#outside.timers.soon(() => {
      this.#flushScheduled = false
      this.#flush()
    })
  }

  #flush(): void {
    if (this.#inFlight !== undefined || this.#fencedBy !== undefined || this.#closed) return
    const group = this.#open
    if (group.isEmpty) return
    const place = this.#room.place(group)
    if (place === null) {
      this.#armSweep() // deadlines run on meanwhile
      return
    }
    // Before it is sealed, so that a checkpoint can begin with this very group: behind one that takes
    // the last file there may be no place for another.
    const tight = !this.#ring.hasSpare && this.#ring.usedBytes > this.#ring.maxBytes / 2
    if (tight) this.#events.onPressure()
    this.#checksum = sealGroup(group.staging, this.#salt, {
      seq: group.seq,
      durableUpTo: this.#durableSeq,
      previous: this.#checksum,
      entryCount: group.entries.length,
      payloadBytes: group.payloadBytes,
      payloadCrc: group.payloadCrc,
    })
    this.#inFlight = group
    const sealed = this.#outside.clock.monotonic()
    this.#events.onSealed(group)
    this.#open = this.#newGroup(group.seq + 1)
    this.#armSweep()
    const { slot, bytes: length, needsSync: sync } = group
    const syncLeft = this.#durableSeq < group.seq - 1
    this.#output.write({ place, slot, length, sync, syncLeft }).then(
      () => this.#complete(group, sealed),
      (cause: unknown) => this.fence(`the journal failed: ${describe(cause)}`),
    )
    if (this.#roomWanted) {
      this.#roomWanted = false
      this.#events.onRoom()
    }
    this.#room.keepSpare()
  }

  #complete(group: CommitGroup<T>, sealed: number): void {
    if (this.#fencedBy !== undefined) return
    const written = this.#outside.clock.monotonic()
    this.#inFlight = undefined
    this.#completedSeq = group.seq
    if (group.needsSync) this.#durableSeq = group.seq
    else this.#armSyncTimer()
    this.#position = this.#here(group.seq)
    // The next group goes to the disk before this one's segments are written.
    const next = this.#open
    if (!next.isEmpty) this.#flush()
    try {
      this.#events.onComplete(group)
    } catch (cause) {
      this.#open.waiters.push(...group.waiters)
      this.fence(`a complete group could not be applied: ${describe(cause)}`)
      return
    }
    this.#lastGroup = { sealed, written, applied: this.#outside.clock.monotonic() }
    this.#freeSlots.push(group.slot)
    const waiters = group.waiters
    group.waiters = []
    for (const waiter of waiters) waiter.done(null)
    if (!this.#open.isEmpty) this.#schedule()
  }

  #here(seq: number): JournalPosition {
    const { path, position } = this.#ring.head
    const { files, fileBytes } = this.#ring
    const salt = this.#salt.toString('hex')
    return {
      salt,
      path,
      position,
      seq,
      checksum: this.#checksum,
      files,
      fileBytes: fileBytes + STAMP_BYTES,
    }
  }

  #armSweep(): void {
    if (this.#sweep !== undefined) return
    this.#sweep = this.#outside.timers.after(this.#sweepMs, () => {
      this.#sweep = undefined
      this.#checkDeadlines()
    })
  }

  #checkDeadlines(): void {
    const now = this.#awake.monotonic()
    // What has been written is answered in a moment, late as it may be; not so what waits for room.
    const answered = !this.#output.isWriting && this.#output.lacks === undefined
    if (this.#inFlight !== undefined && this.#output.look()) {
      this.fence(`a write or sync of the journal has hung for ${this.#limits.stallMaxMs} ms`)
      return
    }
    for (const group of [this.#inFlight, this.#open]) {
      if (group === undefined || (group === this.#inFlight && answered)) continue
      const late = group.waiters.filter(waiter => waiter.deadline <= now)
      if (late.length === 0) continue
      group.waiters = group.waiters.filter(waiter => waiter.deadline > now)
      for (const waiter of late) waiter.done(new LogError('REQUEST_TIMED_OUT'))
    }
    if (this.#inFlight !== undefined || !this.#open.isEmpty) this.#armSweep()
  }

  #armSyncTimer(): void {
    if (this.#syncTimer !== undefined) return
    this.#syncTimer = this.#outside.timers.after(this.#limits.syncIntervalMs, () => {
      this.#syncTimer = undefined
      if (this.#durableSeq < this.#completedSeq) this.sync().catch(() => undefined) // fence() told
    })
  }

  #stopTimers(): void {
    this.#sweep?.cancel()
    this.#syncTimer?.cancel()
    this.#room.end()
    this.#sweep = undefined
    this.#syncTimer = undefined
  }
}

const closedError = (): LogError => new LogError('LOG_CLOSED', CLOSED)

function fencedError(reason: string): LogError {
  return new LogError('KAFKA_STORAGE_ERROR', reason)
}

function describe(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
