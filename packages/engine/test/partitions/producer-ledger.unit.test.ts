// Idempotent producers: what is new, what is a repetition, what is out of order (KIP-98).
import { describe, expect, test } from 'vitest'
import {
  BATCHES_REMEMBERED,
  ProducerCount,
  ProducerLedger,
} from '../../src/partitions/producer-ledger.ts'

const SEQUENCE_MAX = 2 ** 31 - 1

const batch = (baseSequence: number, recordCount = 1, epoch = 0, producerId = 1) => ({
  producerId,
  epoch,
  baseSequence,
  recordCount,
})

/** A verdict in one word: `new`, the offset of the first copy, or the error's code. */
function verdict(ledger: ProducerLedger, ...of: Parameters<typeof batch>): string | number {
  const judged = ledger.judge(batch(...of))
  if (judged.kind === 'new') return 'new'
  return judged.kind === 'duplicate' ? judged.baseOffset : judged.error.code
}

function ledgerWith(...batches: readonly Parameters<typeof batch>[]): ProducerLedger {
  const ledger = new ProducerLedger(100)
  batches.forEach((of, i) => {
    ledger.replay(batch(...of), 100 + i, 5000 + i, 10_000 + i)
  })
  return ledger
}

describe('the producer ledger', () => {
  test('takes any first sequence of a producer that it does not know', () => {
    const ledger = new ProducerLedger(10)
    expect(verdict(ledger, 0)).toBe('new')
    expect(verdict(ledger, 77, 3, 4)).toBe('new')
  })

  test('takes exactly the sequence that follows', () => {
    const ledger = ledgerWith([0, 5])
    expect(verdict(ledger, 5)).toBe('new')
    expect(verdict(ledger, 6)).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    expect(verdict(ledger, 4)).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
  })

  test('answers a repetition with offset and timestamp of the first copy', () => {
    const ledger = ledgerWith([0, 5], [5, 2])
    expect(ledger.judge(batch(0, 5))).toEqual({
      kind: 'duplicate',
      baseOffset: 100,
      timestamp: 5000,
    })
    expect(verdict(ledger, 5, 2)).toBe(101)
  })

  test('takes a batch for a repetition only if first and last sequence are the same', () => {
    const ledger = ledgerWith([0, 5], [5, 2])
    expect(verdict(ledger, 0, 4)).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    expect(verdict(ledger, 5, 3)).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
  })

  test('remembers the last five batches of a producer and not the sixth', () => {
    expect(BATCHES_REMEMBERED).toBe(5)
    const ledger = ledgerWith([0], [1], [2], [3], [4], [5])
    for (let sequence = 1; sequence <= 5; sequence += 1) {
      expect(verdict(ledger, sequence)).toBe(100 + sequence)
    }
    expect(verdict(ledger, 0)).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    expect(verdict(ledger, 6)).toBe('new')
  })

  test('goes on with 0 behind the largest sequence', () => {
    const ledger = ledgerWith([SEQUENCE_MAX])
    expect(verdict(ledger, 0)).toBe('new')
    expect(verdict(ledger, 1)).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
  })

  test('follows a batch that itself runs over the largest sequence', () => {
    const ledger = ledgerWith([SEQUENCE_MAX - 1, 4])
    expect(verdict(ledger, 2)).toBe('new')
    expect(verdict(ledger, SEQUENCE_MAX - 1, 4)).toBe(100)
  })

  test('lets a new epoch begin with sequence 0 only', () => {
    const ledger = ledgerWith([0, 5])
    expect(verdict(ledger, 5, 1, 1)).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    expect(verdict(ledger, 0, 1, 1)).toBe('new')
  })

  test('forgets the batches of the old epoch, and refuses it', () => {
    const ledger = ledgerWith([0, 5], [0, 5, 1])
    expect(verdict(ledger, 0, 5)).toBe('INVALID_PRODUCER_EPOCH')
    expect(verdict(ledger, 5, 1)).toBe('INVALID_PRODUCER_EPOCH')
    expect(verdict(ledger, 0, 5, 1)).toBe(101)
    expect(verdict(ledger, 5, 1, 1)).toBe('new')
  })

  test('keeps producers apart', () => {
    const ledger = ledgerWith([0, 5], [0, 1, 0, 2])
    expect(verdict(ledger, 5)).toBe('new')
    expect(verdict(ledger, 1, 1, 0, 2)).toBe('new')
    expect(verdict(ledger, 5, 1, 0, 2)).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
  })

  test('judging changes nothing', () => {
    const ledger = ledgerWith([0])
    const before = JSON.stringify([...ledger.records()])
    for (const sequence of [0, 1, 2]) verdict(ledger, sequence, 1, 3)
    expect(JSON.stringify([...ledger.records()])).toBe(before)
  })

  test('forgets a producer exactly when it has been silent for longer than asked', () => {
    const ledger = ledgerWith([0], [0, 1, 0, 2])
    ledger.expire(lastSeen => lastSeen < 10_000)
    expect(ledger.size).toBe(2)
    ledger.expire(lastSeen => lastSeen < 10_001)
    expect(ledger.size).toBe(1)
    expect(verdict(ledger, 9)).toBe('new')
    expect(verdict(ledger, 9, 1, 0, 2)).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
  })

  test('remembers as many producers as its bound, and forgets the one silent for longest', () => {
    const ledger = new ProducerLedger(3)
    for (const [id, seen] of [
      [1, 30],
      [2, 10],
      [3, 20],
    ] as const) {
      ledger.replay(batch(0, 1, 0, id), id, 0, seen)
    }
    expect(ledger.size).toBe(3)
    ledger.replay(batch(0, 1, 0, 4), 4, 0, 40)
    expect(ledger.size).toBe(3)
    expect([...ledger.records()].map(({ producerId }) => producerId)).toEqual([1, 3, 4])
  })

  test('shares a total with other partitions: who goes beyond it forgets, and keeps its last', () => {
    const all = new ProducerCount(4)
    const [large, small] = [new ProducerLedger(100, all), new ProducerLedger(100, all)]
    for (let id = 1; id <= 4; id += 1) large.replay(batch(0, 1, 0, id), id, 0, id)
    for (let id = 5; id <= 9; id += 1) small.replay(batch(0, 1, 0, id), id, 0, id)
    expect([large.size, small.size, all.count]).toEqual([4, 1, 5])
    large.replay(batch(0, 1, 0, 10), 10, 0, 10)
    expect([large.size, small.size, all.count]).toEqual([4, 1, 5])
    expect(verdict(large, 7, 1, 0, 1)).toBe('new') // the one silent for longest
    large.clear()
    small.expire(lastSeen => lastSeen < 100)
    expect(all.count).toBe(0)
  })

  test('comes back from a snapshot with the same verdicts, and shares nothing with it', () => {
    const ledger = ledgerWith([0], [1], [2, 3], [0, 1, 7, 9])
    const copy = new ProducerLedger(100)
    copy.restore(JSON.parse(JSON.stringify([...ledger.records()])))
    ledger.replay(batch(5), 500, 0, 99_999)
    expect(verdict(copy, 5)).toBe('new')
    expect(verdict(copy, 2, 3)).toBe(102)
    expect(verdict(copy, 0, 1, 6, 9)).toBe('INVALID_PRODUCER_EPOCH')
    expect([...copy.records()]).toHaveLength(2)
  })
})
