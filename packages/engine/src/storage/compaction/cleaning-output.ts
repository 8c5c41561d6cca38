/**
 * The new segments of one round: batches go in source by source, and as many sources as fit go into
 * one new segment. A source that is as it was stays in place. One of which nothing is left goes into
 * the same segment as what follows it, so that the offsets of the list keep their order without holes.
 */
import type { RecordBatch } from '@millrace/log'
import type { PartitionLog } from '../../partitions/partition-log.ts'
import type { Segment } from '../../segments/segment.ts'
import { inTime } from '../in-time.ts'
import type { LogStore } from '../log-store.ts'
import type { BatchCleaner } from './batch-cleaner.ts'
import { SegmentWriter } from './segment-writer.ts'

/** Offsets that one segment may span: its index counts them in 32 bits. */
const SPAN_MAX = 2 ** 31 - 1

/** A cleaning that cannot go on: the partition has changed meanwhile. Nothing is half done. */
export class CleaningObsolete extends Error {
  override readonly name: string = 'CleaningObsolete'

  constructor({ topic, partition }: PartitionLog) {
    super(`${topic}-${partition} has changed`)
  }
}

/** What the output works with. */
export type OutputParts = {
  readonly store: LogStore
  readonly partition: PartitionLog
  readonly cleaner: BatchCleaner
  /** Told of each replacement, with the bytes of the files that have to wait for a checkpoint. */
  readonly onReplaced: (bytes: number) => Promise<void>
}

/** Writes what is left, and puts it in place. */
export class CleaningOutput {
  readonly #parts: OutputParts
  #writer: SegmentWriter | undefined
  #sources: Segment[] = []

  constructor(parts: OutputParts) {
    this.#parts = parts
  }

  /** The batches of a source follow. */
  async begin(source: Segment): Promise<void> {
    const { partition, cleaner } = this.#parts
    const writer = this.#writer
    if (writer !== undefined && writer.bytes > 0) {
      const tooLarge = writer.bytes + source.bytes > partition.config.segmentBytes
      const tooWide = source.nextOffset - writer.baseOffset > SPAN_MAX
      if (tooLarge || tooWide) await this.end()
    }
    if (this.#writer === undefined) {
      this.#writer = this.#newWriter(source)
      cleaner.changed = false
    }
    this.#sources.push(source)
  }

  /** Cleans a batch and writes what is left of it; the last one of a round is kept, if but empty. */
  async take(batch: RecordBatch, isLast: boolean): Promise<number> {
    const left = this.#parts.cleaner.clean(batch, isLast)
    if (left === null) return 0
    await this.#writer?.append(left)
    return left.length
  }

  /** Makes what has been written durable and puts it in place of its sources. */
  async end(): Promise<void> {
    const { store, partition, cleaner } = this.#parts
    const writer = this.#writer
    const last = this.#sources.at(-1)
    if (writer === undefined || last === undefined) return
    if (this.#sources.length === 1 && !cleaner.changed) {
      this.discard()
      return
    }
    const { nextOffset, createdAt } = last
    const record = await writer.finish({ nextOffset, createdAt })
    await this.#syncFolder()
    const sources = this.#sources
    const bytes = sources.reduce((sum, source) => sum + source.bytes, 0)
    if (!partition.replace(sources, partition.segment(record), store.journal.openSeq)) {
      throw new CleaningObsolete(partition)
    }
    this.#writer = undefined
    this.#sources = []
    await this.#parts.onReplaced(bytes)
  }

  /** Throws away what is not in place; what the disk does not let go is no segment of anybody. */
  discard(): void {
    const writer = this.#writer
    this.#writer = undefined
    this.#sources = []
    writer?.discard()
  }

  #newWriter(source: Segment): SegmentWriter {
    const { store, partition } = this.#parts
    partition.beforeFile() // the sources may have been small, without files
    return new SegmentWriter({
      disk: store.disk,
      outside: store.outside,
      stallMaxMs: store.settings['journal.stall.max.ms'],
      folder: partition.folder,
      partitionId: partition.id,
      baseOffset: source.baseOffset,
      revision: source.revision + 1,
    })
  }

  /** A failed sync of a folder is never repeated: names of other segments may be lost with it. */
  async #syncFolder(): Promise<void> {
    const { store, partition } = this.#parts
    const ms = store.settings['journal.stall.max.ms']
    try {
      await inTime(store.outside.timers, ms, store.disk.syncFolder(partition.folder))
    } catch (cause) {
      if (!partition.removed) partition.fence(`its folder failed to sync: ${String(cause)}`)
      throw cause
    }
  }
}
