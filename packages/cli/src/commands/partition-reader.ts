/**
 * Reads partitions by hand, without a group: fetch, decode, move on; to an end or for ever.
 *
 * Shows what is committed: batches of aborted transactions and control batches are passed over.
 * Bounds: one answer in memory; failures are retried with backoff for RETRY_MS_MAX at a stretch.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import {
  AbortedTransactions,
  decodeBatches,
  type FetchResult,
  type Log,
  LogError,
  type RecordBatch,
} from '@millrace/log'

const PARTITION_BYTES_MAX = 1024 * 1024
const ANSWER_BYTES_MAX = 8 * 1024 * 1024
const WAIT_MS = 500
const RETRY_FIRST_MS = 100
const RETRY_LONGEST_MS = 1_000
const RETRY_MS_MAX = 30_000

/** Where to begin in one partition, and where to end. */
export type ReadRange = {
  readonly topic: string
  readonly partition: number
  readonly from: number
  /** First offset that is not read any more; absent: follow. */
  readonly until?: number
}

/** A batch with records for the reader. */
export type ReadBatch = {
  readonly topic: string
  readonly partition: number
  readonly batch: RecordBatch
  /** Records before this offset in the batch were not asked for. */
  readonly from: number
  /** Records from this offset on were not asked for. */
  readonly until: number
}

type Cursor = {
  readonly topic: string
  readonly partition: number
  position: number
  readonly until: number
}

/**
 * The batches of the ranges, as each answer brings them: in order within a partition. An empty list
 * says that a wait has brought nothing. Ends when all ranges are read or `signal` fires. Throws
 * what is not worth a retry.
 */
export async function* readPartitions(
  log: Log,
  ranges: readonly ReadRange[],
  signal: AbortSignal,
): AsyncGenerator<readonly ReadBatch[]> {
  let open: Cursor[] = ranges
    .map(({ topic, partition, from, until = Number.POSITIVE_INFINITY }) => ({
      topic,
      partition,
      position: from,
      until,
    }))
    .filter(cursor => cursor.position < cursor.until)
  const retry = new ReadRetry()
  while (open.length > 0 && !signal.aborted) {
    const results = await retry.attempt(() => fetchOnce(log, open, signal))
    if (results === null) continue
    const batches = open.flatMap((cursor, index) => batchesOf(cursor, results[index]))
    if (batches.length > 0 || !open.every(cursor => Number.isFinite(cursor.until))) yield batches
    // Nothing came although all ends lay below the high watermark: what is left was compacted away.
    const barren = results.every(result => result.records.length === 0)
    open = open.filter(cursor => cursor.position < cursor.until && !(barren && ended(cursor)))
    // The next answer begins where this one may have run out of room.
    const first = open.shift()
    if (first !== undefined) open.push(first)
  }
}

function ended(cursor: Cursor): boolean {
  return Number.isFinite(cursor.until)
}

async function fetchOnce(
  log: Log,
  cursors: readonly Cursor[],
  signal: AbortSignal,
): Promise<readonly FetchResult[]> {
  const results = await log.fetch({
    positions: cursors.map(({ topic, partition, position }) => ({
      topic,
      partition,
      offset: position,
      maxBytes: PARTITION_BYTES_MAX,
    })),
    minBytes: 1,
    maxBytes: ANSWER_BYTES_MAX,
    maxWaitMs: WAIT_MS,
    isolation: 'read_committed',
    signal,
  })
  for (const { topic, partition, error } of results) {
    if (error === undefined) continue
    throw new LogError(error.code, `${topic}/${partition}`, error)
  }
  return results
}

/** The batches of one answer that the cursor's reader is to see; moves the cursor past them all. */
function batchesOf(cursor: Cursor, result: FetchResult | undefined): readonly ReadBatch[] {
  if (result === undefined || result.records.length === 0) return []
  const { topic, partition, until } = cursor
  const aborted = new AbortedTransactions(result, true)
  const batches: ReadBatch[] = []
  for (const batch of decodeBatches(result.records)) {
    if (batch.lastOffset < cursor.position) continue
    if (batch.baseOffset >= until) {
      cursor.position = until
      break
    }
    const from = cursor.position
    cursor.position = batch.lastOffset + 1
    if (aborted.hides(batch)) continue
    batches.push({ topic, partition, batch, from, until })
  }
  return batches
}

/** Waits after failures, longer each time, and gives up when none of them has helped for long. */
class ReadRetry {
  #failingSince: number | null = null
  #waitMs = RETRY_FIRST_MS

  /** The result; null after a failure that is worth another attempt. */
  async attempt<T>(body: () => Promise<T>): Promise<T | null> {
    try {
      const result = await body()
      this.#failingSince = null
      this.#waitMs = RETRY_FIRST_MS
      return result
    } catch (error) {
      const now = performance.now()
      this.#failingSince ??= now
      const worthIt = error instanceof LogError && error.retriable
      if (!worthIt || now - this.#failingSince > RETRY_MS_MAX) throw error
      await sleep(this.#waitMs)
      this.#waitMs = Math.min(this.#waitMs * 2, RETRY_LONGEST_MS)
      return null
    }
  }
}
