/**
 * Runs: whole batches of one partition, one behind another in a buffer, in the order of their offsets.
 * What is small is written, summed and noted by the run: a call for each batch costs more than its bytes.
 */
import { BATCH_HEADER_BYTES, batchBytesOf, lastOffsetOf, type Offset } from '@millrace/log'

/** Batches up to this size are gathered into runs: beyond, a copy costs more than it saves. */
export const RUN_BATCH_BYTES_MAX = 4096
/** Most bytes that are gathered at once. */
const GATHERED_BYTES_MAX = 256 * 1024

const gathered = Buffer.allocUnsafeSlow(GATHERED_BYTES_MAX)

/** Where a batch lies in a buffer. */
export type BatchPlace = { readonly at: number; readonly bytes: number }

/** The batches of these places as runs; valid until the next call. */
export function gatherRuns(buffer: Buffer, places: readonly BatchPlace[]): readonly Buffer[] {
  const runs: Buffer[] = []
  let from = 0
  let end = 0
  for (const { at, bytes } of places) {
    const isGathered = bytes <= RUN_BATCH_BYTES_MAX && end + bytes <= gathered.length
    if (isGathered && places.length > 1) {
      buffer.copy(gathered, end, at, at + bytes)
      end += bytes
      continue
    }
    if (end > from) runs.push(gathered.subarray(from, end))
    from = end
    runs.push(buffer.subarray(at, at + bytes))
  }
  if (end > from) runs.push(gathered.subarray(from, end))
  return runs
}

/** Where the batch behind the one at `at` begins. */
export function nextBatchAt(run: Buffer, at: number): number {
  const bytes = batchBytesOf(run, at)
  // What was judged at the door, or written here, is whole.
  if (bytes < BATCH_HEADER_BYTES || at + bytes > run.length) {
    throw new Error(`a batch of ${bytes} bytes at ${at} of a run of ${run.length}`)
  }
  return at + bytes
}

/** The single batches of a run. */
export function batchesIn(run: Buffer): Buffer[] {
  const batches: Buffer[] = []
  for (let at = 0; at < run.length; ) {
    const next = nextBatchAt(run, at)
    batches.push(run.subarray(at, next))
    at = next
  }
  return batches
}

/** The offset behind the last record of a run. */
export function offsetBehind(run: Buffer): Offset {
  let last = 0
  for (let at = 0; at < run.length; at = nextBatchAt(run, at)) last = at
  return lastOffsetOf(run, last) + 1
}
