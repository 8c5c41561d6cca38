/**
 * What is left of a batch when its partition is cleaned: the decisions, without the disk.
 *
 * A record goes when a later one of its key has been noted, when it lies below the log start, or when
 * it is a tombstone whose batch has passed its delete horizon. The horizon is set when a tombstone is met for the first time by a
 * cleaning that has noted all of its batch: what it deletes is gone with that cleaning, and from then
 * on readers have `delete.retention.ms` to see it. Keyless records go: they are older than the topic's
 * compaction. A batch without records stays as an empty one if it holds the last sequence of a
 * producer that is still remembered, or is the last one of the round: without it a reader could not
 * get past the offsets that end there.
 */
import {
  deleteHorizonOf,
  emptyBatch,
  filterBatch,
  LogError,
  type Offset,
  type RecordBatch,
  type Timestamp,
} from '@millrace/log'
import { type AgeOf, hasPassed } from './cleaning-plan.ts'
import type { OffsetMap } from './offset-map.ts'

/** What decides about a cleaning's batches. */
export type CleaningRound = {
  readonly lastOffsets: OffsetMap
  /** A log start that is durable: what lies below is gone for readers. */
  readonly logStart: Offset
  /** Records at or behind it are left alone. */
  readonly end: Offset
  readonly now: Timestamp
  readonly ageOf: AgeOf
  readonly deleteRetentionMs: number
  /** Base offset of the last batch of each remembered producer, by its id. */
  readonly lastOfProducers: ReadonlyMap<number, Offset>
}

/** Cleans batches of one round, in order. */
export class BatchCleaner {
  readonly #round: CleaningRound
  recordsRemoved = 0
  /** Bytes of records that were looked at, decompressed. */
  bytesOpened = 0
  /** Batches that could not be opened, and so were left as they are. */
  unreadable = 0
  /** Whether anything is no longer as it was. */
  changed = false
  /** The first delete horizon of tombstones that remain. */
  tombstonesUntil: Timestamp | null = null

  constructor(round: CleaningRound) {
    this.#round = round
  }

  /** What is left of a batch; null if nothing. `isLast`: its header stays whatever becomes of it. */
  clean(batch: RecordBatch, isLast: boolean): Buffer | null {
    // Markers of transactions stay: there are no transactions yet that could have ended.
    if (batch.baseOffset >= this.#round.end || batch.isControl) return batch.raw
    if (batch.recordCount === 0) return this.#emptied(batch, batch.raw, isLast)
    try {
      return this.#filtered(batch, isLast)
    } catch (cause) {
      if (!(cause instanceof LogError)) throw cause
      this.unreadable += 1
      return batch.raw
    }
  }

  #filtered(batch: RecordBatch, isLast: boolean): Buffer | null {
    const { lastOffsets, logStart, end, now, deleteRetentionMs, ageOf } = this.#round
    const horizon = deleteHorizonOf(batch)
    const horizonPassed = horizon !== null && hasPassed(horizon, deleteRetentionMs, ageOf)
    const filtered = filterBatch(batch, {
      keep: (cursor, offset) => {
        if (offset >= end) return true
        const { keyAt, keyLength } = cursor
        if (keyLength < 0 || offset < logStart) return false
        if (cursor.valueLength < 0 && horizonPassed) return false
        return lastOffsets.get(cursor.bytes.subarray(keyAt, keyAt + keyLength)) <= offset
      },
      deleteHorizon: batch.lastOffset < end ? now + deleteRetentionMs : null,
    })
    this.recordsRemoved += filtered.removed
    this.bytesOpened += filtered.recordBytes
    if (filtered.kept === 0) return this.#emptied(batch, emptyBatch(batch), isLast)
    if (filtered.changed) this.changed = true
    if (filtered.tombstones > 0 && filtered.deleteHorizon !== null) {
      this.tombstonesUntil = Math.min(
        this.tombstonesUntil ?? Number.POSITIVE_INFINITY,
        filtered.deleteHorizon,
      )
    }
    return filtered.batch
  }

  #emptied(batch: RecordBatch, empty: Buffer, isLast: boolean): Buffer | null {
    const { lastOfProducers } = this.#round
    const stays = isLast || lastOfProducers.get(batch.producerId) === batch.baseOffset
    if (!stays || batch.recordCount > 0) this.changed = true
    return stays ? empty : null
  }
}
