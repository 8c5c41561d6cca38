/**
 * Which batches of a fetch a reader does not see: control batches, and, where the fetch says which
 * transactions were aborted (`read_committed`), theirs: from the first offset to the abort marker
 * (KIP-98). A fetch of `read_uncommitted` names none, so all but control batches is seen.
 *
 * The batches of one answer are asked for in order of offset, each once.
 */
import { LogError } from '../errors.ts'
import type { FetchResult } from '../port.ts'
import type { Offset } from '../vocabulary.ts'
import type { RecordBatch } from './record-batch.ts'

/** A control record's key: int16 version, int16 type. */
const CONTROL_KEY_BYTES = 4
const ABORT_MARKER = 0

/** The aborted transactions of one fetch of a partition. */
export class AbortedTransactions {
  readonly #committedOnly: boolean
  readonly #begins: { readonly producerId: number; readonly firstOffset: Offset }[]
  readonly #producers = new Set<number>()

  /** @param committedOnly whether the fetch was of `read_committed` */
  constructor(result: Pick<FetchResult, 'abortedTransactions'>, committedOnly: boolean) {
    this.#committedOnly = committedOnly
    this.#begins = result.abortedTransactions.toSorted((a, b) => a.firstOffset - b.firstOffset)
  }

  /**
   * Whether a reader is not shown a batch.
   *
   * @throws LogError CORRUPT_MESSAGE where a control batch does not say what it is
   */
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
  // Compaction keeps a producer's last batch without its records.
  if (step.done) return false
  const { key } = step.value
  if (key === null || key.length < CONTROL_KEY_BYTES) {
    throw new LogError('CORRUPT_MESSAGE', `control batch at ${batch.baseOffset} without a type`)
  }
  return key.readInt16BE(2) === ABORT_MARKER
}
