/**
 * Answers by timestamp from inside one batch, as ListOffsets asks for (KIP-79, KIP-734). The batch
 * is opened only where its header does not already answer.
 */
import { type Compression, DECOMPRESSED_BYTES_MAX } from '../compression/compression.ts'
import { decompressedChunks } from '../compression/decompressed-chunks.ts'
import { LogError } from '../errors.ts'
import type { Offset, Timestamp } from '../vocabulary.ts'
import { BATCH_HEADER_BYTES } from './batch-header.ts'
import { PlaceWalker } from './place-walker.ts'
import { RecordBatch } from './record-batch.ts'

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

/** What is asked of a batch: the first record at a time or later, or the first of the largest time. */
export type PlaceQuestion = { readonly atTime: Timestamp } | 'maxTimestamp'

/** Decompressed at once to answer; what is longer is walked piece by piece. */
const AT_ONCE_BYTES_MAX = 256 * 1024

/**
 * The answer from a batch of any size, without holding the event loop: what decompresses to more than a
 * little is decompressed by other threads and walked piece by piece, with `pause` in between.
 *
 * @throws LogError CORRUPT_MESSAGE, MESSAGE_TOO_LARGE where the batch cannot be opened
 */
export async function placeInSlices(
  batch: RecordBatch,
  question: PlaceQuestion,
  fromOffset: Offset,
  pause: () => Promise<void>,
): Promise<RecordPlace | null> {
  const ask = (from: RecordBatch): RecordPlace | null =>
    question === 'maxTimestamp'
      ? maxTimestampRecord(from, fromOffset)
      : findOffsetByTimestamp(from, question.atTime, fromOffset)
  const codec = batch.compression
  const payload = batch.raw.subarray(BATCH_HEADER_BYTES)
  if (codec !== 'none' || payload.length <= AT_ONCE_BYTES_MAX) {
    try {
      return ask(new RecordBatch(batch.raw, 0, SMALL))
    } catch (error) {
      if (!(error instanceof LogError) || error.code !== 'MESSAGE_TOO_LARGE') throw error
    }
  }
  let best: RecordPlace | null = null
  const walker = new PlaceWalker((offsetDelta, timestampDelta) => {
    const offset = batch.baseOffset + offsetDelta
    const timestamp = batch.timestampOf(timestampDelta)
    if (offset < fromOffset) return false
    if (question !== 'maxTimestamp') {
      if (timestamp < question.atTime) return false
    } else if (best !== null && timestamp <= best.timestamp) return false
    best = { offset, timestamp }
    return question !== 'maxTimestamp' || timestamp === batch.maxTimestamp
  })
  for await (const chunk of piecesOf(codec, payload)) {
    if (walker.feed(chunk)) break
    await pause()
  }
  return best
}

const SMALL = { checkCrc: false, decompressedBytesMax: AT_ONCE_BYTES_MAX }

async function* piecesOf(codec: Compression, payload: Buffer): AsyncGenerator<Buffer, void> {
  for await (const chunk of decompressedChunks(codec, payload, DECOMPRESSED_BYTES_MAX)) {
    for (let at = 0; at < chunk.length; at += AT_ONCE_BYTES_MAX) {
      yield chunk.subarray(at, at + AT_ONCE_BYTES_MAX)
    }
  }
}
