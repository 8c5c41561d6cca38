/**
 * One cleaning of one partition: rounds of noting keys and writing segments anew.
 *
 * A round notes the last offset of each key in the dirty part, as far as the map has room, then
 * goes over all segments up to there in the order of their offsets, and puts new ones in their
 * place, several small ones in one. In that order, because a tombstone may only go when the values
 * before it are gone. Each new segment is durable before it is put in place; the checkpoint that
 * lists it is the durable word of the change, and only behind that are the old files taken away. So
 * a crash finds either the old segments or the new ones, and never half a change.
 *
 * All of it goes in slices, between which appends and reads have their turn.
 */
import { LogError, type Offset, RecordBatch } from '@millrace/log'
import type { PartitionLog } from '../../partitions/partition-log.ts'
import type { Segment } from '../../segments/segment.ts'
import { pauseOf } from '../../turns.ts'
import type { LogStore } from '../log-store.ts'
import { BatchCleaner } from './batch-cleaner.ts'
import { CleaningObsolete, CleaningOutput } from './cleaning-output.ts'
import type { AgeOf, CleaningPlan } from './cleaning-plan.ts'
import { OffsetMap } from './offset-map.ts'
import type { Pace } from './pace.ts'

/** What a cleaning has done. */
export type CleaningReport = {
  readonly rounds: number
  readonly recordsRemoved: number
  /** Batches that could not be opened, and so were left as they are. */
  readonly unreadable: number
  /** Everything below it has been cleaned. */
  readonly cleanedTo: Offset
}

/** What a cleaning works with. */
export type CleaningParts = {
  readonly store: LogStore
  readonly partition: PartitionLog
  readonly plan: CleaningPlan
  /** A log start that is durable. */
  readonly logStart: Offset
  readonly pace: Pace
  readonly ageOf: AgeOf
  /** Told of each replacement, with the bytes of the files that have to wait for a checkpoint. */
  readonly onReplaced: (bytes: number) => Promise<void>
}

/** Cleans a partition once. */
export class PartitionCleaning {
  readonly #parts: CleaningParts
  #rounds = 0
  #recordsRemoved = 0
  #unreadable = 0

  constructor(parts: CleaningParts) {
    this.#parts = parts
  }

  /** Rejects with DiskError, DamageError, NoAnswer, CleaningObsolete, Stopped. */
  async run(): Promise<CleaningReport> {
    const { partition, plan } = this.#parts
    let from = plan.dirtyFrom
    do {
      const { map, end } = await this.#noteKeys(from)
      const to = Math.max(end, partition.cleaning.cleanedTo)
      const tombstonesUntil = await this.#rewrite(map, to)
      partition.cleaning = { cleanedTo: to, tombstonesUntil }
      this.#rounds += 1
      from = end
    } while (from < plan.dirtyTo)
    return {
      rounds: this.#rounds,
      recordsRemoved: this.#recordsRemoved,
      unreadable: this.#unreadable,
      cleanedTo: partition.cleaning.cleanedTo,
    }
  }

  /** Notes the last offset of each key from `from` on; `end`: the first record not looked at. */
  async #noteKeys(from: Offset): Promise<{ map: OffsetMap; end: Offset }> {
    const { store, partition, plan } = this.#parts
    const { dirtyTo } = plan
    const map = new OffsetMap(dirtyTo - from, store.settings['log.cleaner.dedupe.buffer.size'])
    // A list of its own: retention may drop segments between two slices, and none may be passed over.
    const dirty = partition.segments.filter(
      ({ baseOffset, nextOffset }) => nextOffset > from && baseOffset < dirtyTo,
    )
    for (const segment of dirty) {
      const full = await this.#holding(segment, async () => {
        for (const { buffer, at, bytes, baseOffset, lastOffset } of segment.batches(from)) {
          if (baseOffset >= dirtyTo) break
          if (lastOffset < from) continue
          const batch = new RecordBatch(buffer, at, { checkCrc: false })
          const noted = noteBatch(map, batch, from, dirtyTo)
          if (noted.full !== null) return noted.full
          await this.#spend(segment, Math.max(bytes, noted.bytes))
        }
        return null
      })
      if (full !== null) return { map, end: full }
    }
    return { map, end: dirtyTo }
  }

  /** Writes the segments below `end` anew; answers when the first remaining tombstone may go. */
  async #rewrite(map: OffsetMap, end: Offset): Promise<number | null> {
    const { store, partition } = this.#parts
    const cleaner = new BatchCleaner({
      lastOffsets: map,
      logStart: this.#parts.logStart,
      end,
      now: store.outside.clock.now(),
      ageOf: this.#parts.ageOf,
      deleteRetentionMs: partition.config.deleteRetentionMs,
      lastOfProducers: partition.producers.lastOffsets(),
    })
    const sources = partition.segments.filter(segment => segment.baseOffset < end)
    const output = new CleaningOutput({ ...this.#parts, cleaner })
    try {
      for (const source of sources) {
        await output.begin(source)
        await this.#holding(source, () =>
          this.#copy(source, output, cleaner, source === sources.at(-1)),
        )
      }
      await output.end()
    } catch (cause) {
      output.discard()
      throw cause
    }
    this.#recordsRemoved += cleaner.recordsRemoved
    this.#unreadable = cleaner.unreadable
    return cleaner.tombstonesUntil
  }

  async #copy(
    source: Segment,
    output: CleaningOutput,
    cleaner: BatchCleaner,
    isLast: boolean,
  ): Promise<void> {
    for (const { buffer, at, bytes, position } of source.batches(source.baseOffset)) {
      const batch = new RecordBatch(buffer, at, { checkCrc: false })
      const opened = cleaner.bytesOpened
      const written = await output.take(batch, isLast && position + bytes === source.bytes)
      // Small batches may open to large ones: the time that they take is that of their records.
      await this.#spend(source, Math.max(bytes, cleaner.bytesOpened - opened) + written)
    }
  }

  /** Keeps the segment's file open while it is read. */
  async #holding<T>(segment: Segment, work: () => Promise<T>): Promise<T> {
    this.#mustBeThere(segment)
    segment.hold()
    try {
      await segment.prepare(pauseOf(this.#parts.store))
      this.#mustBeThere(segment)
      return await work()
    } finally {
      segment.letGo()
    }
  }

  /** The end of a slice, if it was large enough; others may have changed the partition meanwhile. */
  async #spend(segment: Segment, bytes: number): Promise<void> {
    if (await this.#parts.pace.spend(bytes)) this.#mustBeThere(segment)
  }

  #mustBeThere(segment: Segment): void {
    const { partition } = this.#parts
    const { deleted, removed, trouble, segments } = partition
    if (deleted || removed || trouble !== undefined || !segments.includes(segment)) {
      throw new CleaningObsolete(partition)
    }
  }
}

/** What has come of noting a batch: the offset that found no room, if one did, and the bytes opened. */
type Noted = { readonly full: Offset | null; readonly bytes: number }

/** Notes a batch's keys. */
function noteBatch(map: OffsetMap, batch: RecordBatch, from: Offset, to: Offset): Noted {
  if (batch.recordCount === 0 || batch.isControl) return { full: null, bytes: 0 }
  let opened = 0
  try {
    const cursor = batch.cursor()
    opened = cursor.bytes.length
    while (cursor.advance()) {
      const offset = batch.baseOffset + cursor.offsetDelta
      if (offset >= to) break
      const { keyAt, keyLength, bytes } = cursor
      if (offset < from || keyLength < 0) continue
      if (!map.put(bytes.subarray(keyAt, keyAt + keyLength), offset)) {
        return { full: offset, bytes: opened }
      }
    }
  } catch (cause) {
    // A batch that cannot be opened stays as it is, and with it the records that were noted of it.
    if (!(cause instanceof LogError)) throw cause
  }
  return { full: null, bytes: opened }
}
