/**
 * What a consumer hands out: the records of one partition out of one fetch, decoded when iterated.
 *
 * Left out are records below the position asked for (a fetch returns whole batches), control
 * batches, and under read_committed the batches of aborted transactions: a producer is aborted from
 * the first offset that the answer names up to its abort marker (KIP-98).
 */

import type { FetchResult, Isolation, LogRecord, Offset } from '@millrace/log'
import { AbortedTransactions, decodeBatches, type RecordBatch } from '@millrace/log'

/** Records of one partition, in order. */
export type ConsumedBatch = {
  readonly topic: string
  readonly partition: number
  /** Decodes as it goes; may be iterated again. Throws CORRUPT_MESSAGE on damage. */
  readonly records: Iterable<LogRecord>
  readonly recordCount: number
  readonly firstOffset: Offset
  readonly lastOffset: Offset
  /** First offset of the partition that could not be read when this was fetched. */
  readonly highWatermark: Offset
}

/** A fetch answer ready to be handed out. */
export type Chunk = {
  /** Null: nothing that an application sees, only a place to go on from. */
  readonly batch: ConsumedBatch | null
  readonly nextOffset: Offset
  readonly bytes: number
}

/** How answers are read. */
export type ChunkOptions = { readonly isolation: Isolation; readonly checkCrc: boolean }

/** Reads an answer from `offset` on; null if it holds no whole batch. Throws CORRUPT_MESSAGE. */
export function chunkOf(result: FetchResult, offset: Offset, options: ChunkOptions): Chunk | null {
  const shown: RecordBatch[] = []
  const hidden = new AbortedTransactions(result, options.isolation === 'read_committed')
  let nextOffset = offset
  let seen = 0
  try {
    for (const batch of decodeBatches(result.records, { checkCrc: options.checkCrc })) {
      seen += 1
      if (batch.lastOffset < offset) continue
      if (!hidden.hides(batch) && batch.recordCount > 0) shown.push(batch)
      nextOffset = batch.lastOffset + 1
    }
  } catch (error) {
    // What stands before the damage is handed out; the next fetch begins with the damage.
    if (nextOffset === offset) throw error
  }
  if (seen === 0) return null
  return { batch: consumed(result, shown, offset), nextOffset, bytes: result.records.length }
}

function consumed(
  { topic, partition, highWatermark }: FetchResult,
  batches: readonly RecordBatch[],
  offset: Offset,
): ConsumedBatch | null {
  const [first] = batches
  const last = batches.at(-1)
  if (first === undefined || last === undefined) return null
  const skipped = recordsBelow(first, offset)
  let recordCount = -skipped
  for (const batch of batches) recordCount += batch.recordCount
  if (recordCount === 0) return null
  return {
    topic,
    partition,
    records: { [Symbol.iterator]: () => recordsOf(batches, skipped) },
    recordCount,
    firstOffset: Math.max(first.baseOffset, offset),
    lastOffset: last.lastOffset,
    highWatermark,
  }
}

/** How many records of a batch stand below an offset inside it. */
function recordsBelow(batch: RecordBatch, offset: Offset): number {
  if (batch.baseOffset >= offset) return 0
  const dense = batch.recordCount === batch.lastOffset - batch.baseOffset + 1
  if (dense) return offset - batch.baseOffset
  // Compaction has taken records out: only reading tells how many are left.
  let below = 0
  for (const record of batch.records()) {
    if (record.offset >= offset) break
    below += 1
  }
  return below
}

function recordsOf(batches: readonly RecordBatch[], skipped: number): Iterator<LogRecord> {
  let index = 0
  let left = skipped
  let records = batches[0]?.records()
  return {
    next: (): IteratorResult<LogRecord, undefined> => {
      while (records !== undefined) {
        const step = records.next()
        if (step.done) {
          index += 1
          records = batches[index]?.records()
        } else if (left > 0) left -= 1
        else return step
      }
      return { done: true, value: undefined }
    },
  }
}
