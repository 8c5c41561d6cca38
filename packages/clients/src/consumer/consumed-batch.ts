/**
 * What a consumer hands out: the records of one partition out of one fetch, decoded when iterated.
 *
 * Left out are records below the position asked for (a fetch returns whole batches), control
 * batches, and under read_committed the batches of aborted transactions: a producer is aborted from
 * the first offset that the answer names up to its abort marker (KIP-98).
 */

import type { FetchResult, Isolation, LogRecord, Offset } from '@millrace/log'
import { decodeBatches, LogError, type RecordBatch } from '@millrace/log'

const ABORT_MARKER = 0
const CONTROL_KEY_BYTES = 4

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
  const hidden = new AbortedTransactions(result, options.isolation)
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

class AbortedTransactions {
  #committedOnly: boolean
  #begins: { producerId: number; firstOffset: Offset }[]
  #producers = new Set<number>()

  constructor(result: FetchResult, isolation: Isolation) {
    this.#committedOnly = isolation === 'read_committed'
    this.#begins = result.abortedTransactions.toSorted((a, b) => a.firstOffset - b.firstOffset)
  }

  hides(batch: RecordBatch): boolean {
    if (!this.#committedOnly) return batch.isControl
    for (let next = this.#begins[0]; next !== undefined; next = this.#begins[0]) {
      if (next.firstOffset > batch.lastOffset) break
      this.#producers.add(next.producerId)
      this.#begins.shift()
    }
    if (batch.isControl) {
      if (isAbort(batch)) this.#producers.delete(batch.producerId)
      return true
    }
    return batch.isTransactional && this.#producers.has(batch.producerId)
  }
}

function isAbort(batch: RecordBatch): boolean {
  const step = batch.records().next()
  const key = step.done ? null : step.value.key
  if (key === null || key.length < CONTROL_KEY_BYTES)
    throw new LogError('CORRUPT_MESSAGE', `control batch at ${batch.baseOffset} without a type`)
  return key.readInt16BE(2) === ABORT_MARKER
}
