import { describe, expect, it } from 'vitest'
import {
  BATCH_HEADER_BYTES,
  BATCH_LENGTH_OVERHEAD,
  decodeBatches,
  encodeBatch,
  LogError,
  setBatchPosition,
} from '../../src/index.ts'
import { AbortedTransactions } from '../../src/records/aborted-transactions.ts'

const COMMIT = 1
const ABORT = 0

/** A batch of one transactional record of a producer. */
const data = (producerId: number): Buffer =>
  encodeBatch({
    records: [{ value: 'x' }],
    producer: { producerId, producerEpoch: 0 },
    baseSequence: 0,
    transactional: true,
  })

/** The marker that ends a producer's transaction; its key says how. */
function marker(producerId: number, key: readonly number[]): Buffer {
  const batch = encodeBatch({ records: [{ key: Buffer.from(key), value: '' }] })
  batch.writeUInt16BE(0x30, 21)
  batch.writeBigInt64BE(BigInt(producerId), 43)
  return batch
}

const end = (producerId: number, type: number): Buffer => marker(producerId, [0, 0, 0, type])

/** The offsets that a reader sees of these batches. */
function seen(
  batches: readonly Buffer[],
  aborted: readonly { readonly producerId: number; readonly firstOffset: number }[],
  committedOnly = true,
): readonly number[] {
  batches.forEach((batch, offset) => {
    setBatchPosition(batch, 0, offset, 0)
  })
  const hidden = new AbortedTransactions({ abortedTransactions: aborted }, committedOnly)
  return [...decodeBatches(Buffer.concat(batches), { checkCrc: false })]
    .filter(batch => !hidden.hides(batch))
    .map(batch => batch.baseOffset)
}

describe('a reader of committed records sees no batch of an aborted transaction', () => {
  it('from its first offset to its abort marker, and what the producer writes after that', () => {
    const log = [data(7), data(7), end(7, ABORT), data(7), end(7, COMMIT)]
    expect(seen(log, [{ producerId: 7, firstOffset: 0 }])).toEqual([3])
  })

  it('among those of other producers, in whatever order the answer names them', () => {
    const log = [data(1), data(2), data(3), end(2, ABORT), data(2), end(1, ABORT), end(3, COMMIT)]
    const aborted = [
      { producerId: 2, firstOffset: 1 },
      { producerId: 1, firstOffset: 0 },
    ]
    expect(seen(log, aborted)).toEqual([2, 4])
  })

  it('and no marker, whatever it says', () => {
    expect(seen([data(1), end(1, COMMIT), end(2, ABORT)], [])).toEqual([0])
  })

  it('and passes over a marker that compaction has emptied', () => {
    const emptied = end(7, ABORT).subarray(0, BATCH_HEADER_BYTES)
    emptied.writeInt32BE(BATCH_HEADER_BYTES - BATCH_LENGTH_OVERHEAD, 8)
    emptied.writeInt32BE(0, 57)
    const log = [data(7), emptied, data(8)]
    expect(seen(log, [{ producerId: 7, firstOffset: 0 }])).toEqual([2])
  })

  it('and stops at a control batch that does not say what it is', () => {
    expect(() => seen([marker(1, [0, 0])], [])).toThrowError(LogError)
  })
})

it('a reader of uncommitted records sees all but control batches', () => {
  expect(seen([data(7), end(7, ABORT), data(8)], [], false)).toEqual([0, 2])
})
