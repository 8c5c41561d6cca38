/**
 * A commit group: what one write and one sync of the journal make durable, whole or not at all.
 *
 * It collects entries of any partitions in a staging area that the writer's thread shares, together
 * with whoever waits for it.
 */
import { crc32cOf, type LogError, wholeBatchCrc } from '@millrace/log'
import { JOINED_BYTES_MIN } from '../segments/block-checksums.ts'
import {
  ENTRY_HEADER_BYTES,
  GROUP_HEADER_BYTES,
  groupBytes,
  writeEntryHeader,
} from './journal-format.ts'

/** What the journal knows of a partition. */
export interface JournalTarget {
  /** Never used again, also when a topic of the same name returns. */
  readonly id: number
}

/** One record batch inside a group's staging area. */
export type GroupEntry<T extends JournalTarget> = {
  readonly target: T
  /** Position of the batch in the staging area. */
  readonly at: number
  readonly bytes: number
  /** Whether the checksum that the batch carries is known to be that of its bytes here. */
  readonly isSummed: boolean
}

/** How a batch enters. */
export type EntryOptions = {
  /** Whether it is acknowledged only after a sync. */
  readonly needsSync: boolean
  /** Whether the checksum that it carries was compared with its bytes in this very step. Default false. */
  readonly isSummed?: boolean
  /** Whether it deletes something, and may use the room that is kept for that. Default false. */
  readonly makesRoom?: boolean
}

/** Somebody who waits for a group. */
export type GroupWaiter = {
  /** Called once: without an error when the group is complete. */
  readonly done: (error: LogError | null) => void
  /** Time, of the journal's clock, after which the answer is REQUEST_TIMED_OUT; Infinity for never. */
  readonly deadline: number
}

/** Entries and waiters on their way into the journal. */
export class CommitGroup<T extends JournalTarget> {
  readonly seq: number
  /** Index of the staging area. */
  readonly slot: number
  readonly staging: Buffer
  readonly entries: GroupEntry<T>[] = []
  waiters: GroupWaiter[] = []
  /** Whether anything in it is acknowledged only after a sync. */
  needsSync = false
  /** Whether anything in it deletes something, so that a full disk has room again. */
  makesRoom = false
  #end = GROUP_HEADER_BYTES

  constructor(seq: number, slot: number, staging: Buffer) {
    this.seq = seq
    this.slot = slot
    this.staging = staging
  }

  get payloadBytes(): number {
    return this.#end - GROUP_HEADER_BYTES
  }

  /** Size on disk. */
  get bytes(): number {
    return groupBytes(this.payloadBytes)
  }

  get isEmpty(): boolean {
    return this.entries.length === 0 && this.waiters.length === 0 && !this.needsSync
  }

  /** Whether `count` batches of `bytes` altogether fit under `limit`. */
  fits(count: number, bytes: number, limit: number): boolean {
    return groupBytes(this.payloadBytes + count * ENTRY_HEADER_BYTES + bytes) <= limit
  }

  /** Checksum of the payload: what large batches carry, where it is known to be right, is not summed again. */
  get payloadCrc(): number {
    let sum = 0
    let from = GROUP_HEADER_BYTES
    for (const { at, bytes, isSummed } of this.entries) {
      if (!isSummed || bytes < JOINED_BYTES_MIN) continue
      sum = wholeBatchCrc(this.staging, at, bytes, crc32cOf(this.staging, from, at, sum))
      from = at + bytes
    }
    return crc32cOf(this.staging, from, this.#end, sum)
  }

  /** Copies a batch in; returns where it now lies in the staging area. */
  add(
    target: T,
    batch: Buffer,
    { needsSync, isSummed = false, makesRoom = false }: EntryOptions,
  ): number {
    if (needsSync) this.needsSync = true
    if (makesRoom) this.makesRoom = true
    const at = this.#end + ENTRY_HEADER_BYTES
    writeEntryHeader(this.staging, this.#end, target.id, batch.length)
    batch.copy(this.staging, at)
    this.entries.push({ target, at, bytes: batch.length, isSummed })
    this.#end = at + batch.length
    return at
  }
}
