/**
 * Writes a segment that takes the place of others: batch by batch into a file of a new name, which
 * is synced every few MiB so that the journal's syncs never stand behind much of it, and whole with
 * its index and checksums before anybody is told of it. Until then it can be thrown away; after a
 * crash recovery does that, because no checkpoint lists it.
 */

import type { Outside } from '@millrace/base'
import { baseOffsetOf, maxTimestampOf, type Offset, recordCountOf } from '@millrace/log'
import { type Disk, DiskError, type DiskFile } from '../../disk/disk.ts'
import { BlockChecksums } from '../../segments/block-checksums.ts'
import { HeaderSums, NO_HEADERS } from '../../segments/header-sums.ts'
import { SegmentIndex } from '../../segments/segment-index.ts'
import { type SegmentRecord, segmentName } from '../../segments/segment-record.ts'
import { inTime, NoAnswer } from '../in-time.ts'

/** Written bytes after which the file is synced on the way. */
const SYNC_BYTES = 4 << 20

/** Where a new segment goes, and what is known of it beforehand. */
export type NewSegment = {
  readonly disk: Disk
  readonly outside: Outside
  /** A sync without an answer for so long has failed. */
  readonly stallMaxMs: number
  readonly folder: string
  readonly partitionId: number
  readonly baseOffset: Offset
  readonly revision: number
}

/** A segment that is being written. */
export class SegmentWriter {
  readonly #at: NewSegment
  readonly #path: string
  readonly #indexPath: string
  readonly #file: DiskFile
  readonly #index = new SegmentIndex()
  readonly #blocks = new BlockChecksums()
  readonly #headers = new HeaderSums(NO_HEADERS)
  #bytes = 0
  #unsynced = 0
  #hung = false
  #closed = false

  /** Throws DiskError. */
  constructor(at: NewSegment) {
    this.#at = at
    this.#path = `${at.folder}/${segmentName(at)}.log`
    this.#indexPath = `${at.folder}/${segmentName(at)}.index`
    this.#file = at.disk.open(this.#path, 'create')
    try {
      this.#file.truncate(0) // one of this name that could not be thrown away may be there
    } catch (cause) {
      this.#close()
      throw cause
    }
  }

  get baseOffset(): Offset {
    return this.#at.baseOffset
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Writes a batch at the end. Rejects with DiskError, NoAnswer. */
  async append(batch: Buffer): Promise<void> {
    this.#file.write(this.#bytes, [batch])
    const empty = recordCountOf(batch) === 0
    this.#index.note(baseOffsetOf(batch), this.#bytes, empty ? -1 : maxTimestampOf(batch))
    this.#blocks.extend(batch)
    this.#headers.add(batch)
    this.#bytes += batch.length
    this.#unsynced += batch.length
    if (this.#unsynced >= SYNC_BYTES) await this.#sync(this.#file)
  }

  /**
   * Makes file and index durable, but for their names, and answers what a checkpoint keeps of them.
   * Rejects with DiskError, NoAnswer.
   *
   * @param end the offset with which the next segment begins, and when it was last appended to
   */
  async finish(end: Pick<SegmentRecord, 'nextOffset' | 'createdAt'>): Promise<SegmentRecord> {
    await this.#sync(this.#file)
    const { partitionId, baseOffset, revision, disk } = this.#at
    const record = {
      ...end,
      baseOffset,
      revision,
      bytes: this.#bytes,
      maxTimestamp: this.#index.maxTimestamp,
      maxTimestampOffset: this.#index.maxTimestampOffset,
      headers: this.#headers.record ?? NO_HEADERS,
    }
    const index = disk.open(this.#indexPath, 'create')
    try {
      index.truncate(0)
      index.write(0, [this.#index.encode(partitionId, baseOffset, record, this.#blocks.sums)])
      await this.#sync(index)
    } finally {
      if (!this.#hung) index.close()
    }
    this.#close()
    return record
  }

  /** Takes away what was written; what the disk does not let go recovery will find unlisted. */
  discard(): void {
    this.#close()
    try {
      this.#at.disk.unlink(this.#path)
      this.#at.disk.unlink(this.#indexPath)
    } catch (cause) {
      if (!(cause instanceof DiskError)) throw cause
    }
  }

  #close(): void {
    // A sync that hangs may still come back: its descriptor must not belong to another file then.
    if (!this.#hung && !this.#closed) this.#file.close()
    this.#closed = true
  }

  async #sync(file: DiskFile): Promise<void> {
    try {
      await inTime(this.#at.outside.timers, this.#at.stallMaxMs, file.sync())
      this.#unsynced = 0
    } catch (cause) {
      this.#hung ||= cause instanceof NoAnswer
      throw cause
    }
  }
}
