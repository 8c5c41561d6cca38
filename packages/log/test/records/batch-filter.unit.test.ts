// Taking records out of a batch leaves everything else as it was.
import { describe, expect, it } from 'vitest'
import { COMPRESSIONS } from '../../src/compression/compression.ts'
import { encodeBatch } from '../../src/records/batch-builder.ts'
import { deleteHorizonOf, emptyBatch, filterBatch } from '../../src/records/batch-filter.ts'
import { setLogAppendTime } from '../../src/records/batch-header.ts'
import type { LogRecord, NewRecord } from '../../src/records/record.ts'
import { RecordBatch } from '../../src/records/record-batch.ts'

const producer = { producerId: 5, producerEpoch: 3 }
const HORIZON = 1_900_000_000_000

const RECORDS: readonly NewRecord[] = [
  { key: 'a', value: 'first', timestamp: 1000 },
  { key: 'b', value: null, timestamp: 3000, headers: [{ key: 'h', value: 'x' }] },
  { key: 'c', value: 'v'.repeat(300), timestamp: 2000 },
  { key: '', value: '', timestamp: 1500, headers: [{ key: 'é', value: null }] },
  { key: 'ключ', value: 'last', timestamp: 1200 },
]

const batchOf = (compression: (typeof COMPRESSIONS)[number] = 'none'): RecordBatch =>
  new RecordBatch(
    encodeBatch({
      records: RECORDS,
      compression,
      producer,
      baseSequence: 40,
      baseOffset: 700,
      leaderEpoch: 9,
    }),
  )

const plain = ({ offset, timestamp, key, value, headers }: LogRecord): unknown => [
  offset,
  timestamp,
  key?.toString(),
  value?.toString('latin1'),
  headers.map(header => [header.key, header.value?.toString()]),
]

/** All of the header that no filter changes. */
const identity = (batch: RecordBatch): unknown => [
  batch.baseOffset,
  batch.lastOffset,
  batch.leaderEpoch,
  batch.producerId,
  batch.producerEpoch,
  batch.baseSequence,
]

const keepOffsets = (offsets: readonly number[], deleteHorizon: number | null = null) => ({
  keep: (_: unknown, offset: number) => offsets.includes(offset),
  deleteHorizon,
})

describe.each(COMPRESSIONS)('a batch of codec %s', codec => {
  it('keeps any choice of its records with offset, time, key, value and headers', () => {
    const batch = batchOf(codec)
    const all = [...batch.records()].map(plain)
    for (let choice = 1; choice < 2 ** RECORDS.length; choice += 1) {
      const chosen = RECORDS.map((_, i) => 700 + i).filter((_, i) => (choice >> i) & 1)
      for (const horizon of [null, HORIZON]) {
        const filtered = filterBatch(batch, keepOffsets(chosen, horizon))
        const result = new RecordBatch(filtered.batch)
        expect([...result.records()].map(plain)).toEqual(
          all.filter((_, i) => chosen.includes(700 + i)),
        )
        expect(identity(result)).toEqual(identity(batch))
        expect(result.compression).toBe(codec)
        expect([filtered.kept, filtered.removed]).toEqual([chosen.length, 5 - chosen.length])
        const times = chosen.map(offset => RECORDS[offset - 700]?.timestamp ?? 0)
        expect(result.maxTimestamp).toBe(Math.max(...times))
        const due = chosen.includes(701) ? horizon : null
        expect([filtered.deleteHorizon, deleteHorizonOf(result)]).toEqual([due, due])
      }
    }
  })
})

describe('a filtered batch', () => {
  it('is the very bytes that went in where nothing has changed', () => {
    const batch = batchOf('gzip')
    const filtered = filterBatch(batch, { keep: () => true, deleteHorizon: null })
    expect(filtered.changed).toBe(false)
    expect(filtered.batch.equals(batch.raw)).toBe(true)
  })

  it('is an empty header when no record stays, and that says who wrote which offsets', () => {
    const batch = batchOf('zstd')
    const filtered = filterBatch(batch, keepOffsets([], HORIZON))
    const empty = new RecordBatch(filtered.batch)
    expect(filtered.batch.equals(emptyBatch(batch))).toBe(true)
    expect([empty.bytes, empty.recordCount, empty.compression]).toEqual([61, 0, 'none'])
    expect([...empty.records()]).toEqual([])
    expect(identity(empty)).toEqual(identity(batch))
    expect(empty.maxTimestamp).toBe(batch.maxTimestamp)
    expect(deleteHorizonOf(empty)).toBeNull()
  })

  it('keeps its first delete horizon, and its records their times', () => {
    const once = new RecordBatch(filterBatch(batchOf(), keepOffsets([700, 701], HORIZON)).batch)
    const again = filterBatch(once, keepOffsets([701], HORIZON + 5))
    expect(again.deleteHorizon).toBe(HORIZON)
    const twice = new RecordBatch(again.batch)
    expect([...twice.records()].map(({ timestamp }) => timestamp)).toEqual([3000])
    const unchanged = filterBatch(twice, keepOffsets([701], HORIZON + 5))
    expect(unchanged.changed).toBe(false)
  })

  it('keeps the time of its append', () => {
    const bytes = Buffer.from(batchOf().raw)
    setLogAppendTime(bytes, 0, bytes.length, 5_000_000)
    const filtered = filterBatch(new RecordBatch(bytes), keepOffsets([701, 703], HORIZON))
    const result = new RecordBatch(filtered.batch)
    expect(result.isLogAppendTime).toBe(true)
    expect([...result.records()].map(({ timestamp }) => timestamp)).toEqual([5_000_000, 5_000_000])
  })
})
