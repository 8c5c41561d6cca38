/**
 * Answers by timestamp from inside one batch, as ListOffsets asks for (KIP-79, KIP-734). The batch
 * is opened only where its header does not already answer.
 */
import type { Offset, Timestamp } from '../vocabulary.ts'
import type { RecordBatch } from './record-batch.ts'

/** A record's place in the log and in time. */
export type RecordPlace = { readonly offset: Offset; readonly timestamp: Timestamp }

/**
 * The first record whose timestamp is `timestamp` or later; null if none is.
 *
 * @param fromOffset records below it do not count: the log start may lie inside the batch
 * @throws LogError CORRUPT_MESSAGE, MESSAGE_TOO_LARGE where the batch cannot be opened
 */
export function findOffsetByTimestamp(
  batch: RecordBatch,
  timestamp: Timestamp,
  fromOffset: Offset = 0,
): RecordPlace | null {
  if (batch.maxTimestamp < timestamp || batch.lastOffset < fromOffset) return null
  const cursor = batch.cursor()
  while (cursor.advance()) {
    const offset = batch.baseOffset + cursor.offsetDelta
    if (offset < fromOffset) continue
    const at = batch.timestampOf(cursor.timestampDelta)
    if (at >= timestamp) return { offset, timestamp: at }
  }
  return null
}

/** The first record that has the largest timestamp of the batch; null for a batch without records. */
export function maxTimestampRecord(batch: RecordBatch, fromOffset: Offset = 0): RecordPlace | null {
  let best: RecordPlace | null = null
  const cursor = batch.cursor()
  while (cursor.advance()) {
    const offset = batch.baseOffset + cursor.offsetDelta
    if (offset < fromOffset) continue
    const timestamp = batch.timestampOf(cursor.timestampDelta)
    if (best === null || timestamp > best.timestamp) best = { offset, timestamp }
    if (timestamp === batch.maxTimestamp) break
  }
  return best
}
