// What is left of a batch: the last of each key, tombstones for their time, the header of a producer.
import { encodeBatch, type NewRecord, RecordBatch } from '@millrace/log'
import { expect, test } from 'vitest'
import { BatchCleaner, type CleaningRound } from '../../../src/storage/compaction/batch-cleaner.ts'
import { OffsetMap } from '../../../src/storage/compaction/offset-map.ts'

const NOW = 1_000_000
const RETENTION_MS = 500

function cleanerOf(
  last: Readonly<Record<string, number>>,
  round: Partial<CleaningRound> = {},
): BatchCleaner {
  const lastOffsets = new OffsetMap(100, 1 << 16)
  for (const [key, offset] of Object.entries(last)) lastOffsets.put(Buffer.from(key), offset)
  return new BatchCleaner({
    ...{ lastOffsets, logStart: 0, end: 1000, now: NOW, deleteRetentionMs: RETENTION_MS },
    ageOf: at => (round.now ?? NOW) - at,
    lastOfProducers: new Map(),
    ...round,
  })
}

/** Records "key=value", "key" a tombstone, "" without a key, from `baseOffset` on. */
function batchOf(texts: readonly string[], baseOffset = 0, producerId?: number): RecordBatch {
  const records = texts.map((text): NewRecord => {
    const [key = '', value = null] = text.split('=')
    return { key: key === '' ? null : key, value }
  })
  const identity =
    producerId === undefined ? {} : { producer: { producerId, producerEpoch: 0 }, baseSequence: 0 }
  return new RecordBatch(encodeBatch({ records, timestamp: NOW - 100, baseOffset, ...identity }))
}

/** Offsets and keys of what is left. */
function left(cleaner: BatchCleaner, batch: RecordBatch, isLast = false): string[] | null {
  const bytes = cleaner.clean(batch, isLast)
  if (bytes === null) return null
  return [...new RecordBatch(bytes).records()].map(({ offset, key }) => `${offset}${key}`)
}

test('of each key its last record stays', () => {
  const cleaner = cleanerOf({ a: 2, b: 7 })
  expect(left(cleaner, batchOf(['a=1', 'b=1', 'a=2', 'c=1']))).toEqual(['2a', '3c'])
  expect([cleaner.recordsRemoved, cleaner.changed]).toEqual([2, true])
})

test('a batch of which everything stays is the same bytes', () => {
  const cleaner = cleanerOf({ a: 0 })
  const batch = batchOf(['a=1', 'b=1'])
  expect(cleaner.clean(batch, false)?.equals(batch.raw)).toBe(true)
  expect(cleaner.changed).toBe(false)
})

test('records behind the end of the round are left alone, also in the middle of a batch', () => {
  const cleaner = cleanerOf({ a: 999 }, { end: 2 })
  expect(left(cleaner, batchOf(['a=1', 'b=1', 'a=2']))).toEqual(['1b', '2a'])
  expect(left(cleaner, batchOf(['a=1'], 2))).toEqual(['2a'])
})

test('records below the log start go, and so do those without a key', () => {
  const cleaner = cleanerOf({}, { logStart: 1 })
  expect(left(cleaner, batchOf(['a=1', 'b=1', '', 'c=1']))).toEqual(['1b', '3c'])
})

test('a tombstone stays for delete.retention.ms from its first cleaning on', () => {
  const first = cleanerOf({ a: 0 })
  const marked = first.clean(batchOf(['a', 'b=1']), false) ?? Buffer.alloc(0)
  expect(first.tombstonesUntil).toBe(NOW + RETENTION_MS)
  const at = (now: number) => cleanerOf({}, { now, end: 1000 })
  const before = at(NOW + RETENTION_MS - 1)
  expect(left(before, new RecordBatch(marked))).toEqual(['0a', '1b'])
  expect(before.tombstonesUntil).toBe(NOW + RETENTION_MS)
  const after = at(NOW + RETENTION_MS)
  expect(left(after, new RecordBatch(marked))).toEqual(['1b'])
  expect(after.tombstonesUntil).toBeNull()
})

test('the time of a tombstone begins only when all of its batch has been looked at', () => {
  const cleaner = cleanerOf({ a: 0 }, { end: 1 })
  expect(left(cleaner, batchOf(['a', 'b=1']))).toEqual(['0a', '1b'])
  expect([cleaner.tombstonesUntil, cleaner.changed]).toEqual([null, false])
})

test('nothing is left of a batch without records', () => {
  expect(cleanerOf({ a: 9 }).clean(batchOf(['a=1']), false)).toBeNull()
})

test('an empty batch stays for the last sequence of a producer, until that is another', () => {
  const round = { lastOfProducers: new Map([[5, 0]]) }
  const bytes = cleanerOf({ a: 9 }, round).clean(batchOf(['a=1', 'a=2'], 0, 5), false)
  const empty = new RecordBatch(bytes ?? Buffer.alloc(0))
  expect([empty.recordCount, empty.lastOffset, empty.producerId]).toEqual([0, 1, 5])
  const again = cleanerOf({}, round)
  expect(again.clean(empty, false)?.equals(empty.raw)).toBe(true)
  expect(again.changed).toBe(false)
  const later = cleanerOf({}, { lastOfProducers: new Map([[5, 700]]) })
  expect(later.clean(empty, false)).toBeNull()
})

test('the last batch of a round stays, if but its header', () => {
  const cleaner = cleanerOf({ a: 9 })
  expect(left(cleaner, batchOf(['a=1'], 4), true)).toEqual([])
})

test('a batch that cannot be opened is left alone, and counted', () => {
  const bytes = Buffer.from(batchOf(['a=1', 'b=1']).raw)
  bytes.writeInt8(0x7f, 61) // the first record claims to be longer than the batch
  const cleaner = cleanerOf({ a: 9 })
  const broken = new RecordBatch(bytes, 0, { checkCrc: false })
  expect(cleaner.clean(broken, false)?.equals(bytes)).toBe(true)
  expect(cleaner.unreadable).toBe(1)
})
