import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { COMPRESSIONS } from '../../src/compression/compression.ts'
import { LogError } from '../../src/errors.ts'
import { encodeBatch, RecordBatchBuilder, recordBytesMax } from '../../src/records/batch-builder.ts'
import {
  computeBatchCrc,
  setBatchPosition,
  setLogAppendTime,
} from '../../src/records/batch-header.ts'
import { findOffsetByTimestamp, maxTimestampRecord } from '../../src/records/batch-search.ts'
import type { LogRecord, NewRecord } from '../../src/records/record.ts'
import { decodeBatches, RecordBatch } from '../../src/records/record-batch.ts'

const codeOf = (run: () => unknown): string => {
  try {
    run()
    return 'no error'
  } catch (error) {
    if (error instanceof LogError) return error.code
    throw error
  }
}

const plain = (record: LogRecord) => ({
  offset: record.offset,
  timestamp: record.timestamp,
  key: record.key?.toString('hex') ?? null,
  value: record.value?.toString('hex') ?? null,
  headers: record.headers.map(h => [h.key, h.value?.toString('hex') ?? null]),
})

const hex = (data: Buffer | string | null | undefined): string | null =>
  data === null || data === undefined ? null : Buffer.from(data as string).toString('hex')

const expected = (record: NewRecord, index: number, now: number) => ({
  offset: index,
  timestamp: record.timestamp ?? now,
  key: hex(record.key),
  value: hex(record.value),
  headers: (record.headers ?? []).map(h => [h.key, hex(h.value)]),
})

const recordsOf = (batch: Buffer): LogRecord[] =>
  [...decodeBatches(batch)].flatMap(decoded => [...decoded.records()])

/** Puts the right checksum on a batch that was changed by hand. */
function resealed(batch: Buffer): Buffer {
  batch.writeUInt32BE(computeBatchCrc(batch, 0, batch.length), 17)
  return batch
}

const bytes = fc.uint8Array({ maxLength: 300 }).map(a => Buffer.from(a))
const text = fc.string({ unit: 'grapheme', maxLength: 80 })
const data = fc.option(fc.oneof(bytes, text))
const newRecord: fc.Arbitrary<NewRecord> = fc.record(
  {
    key: data,
    value: data,
    headers: fc.array(fc.record({ key: text, value: data }), { maxLength: 4 }),
    timestamp: fc.oneof(
      fc.integer({ min: 1_600_000_000_000, max: 1_900_000_000_000 }),
      fc.maxSafeNat(),
    ),
  },
  { requiredKeys: ['value'] },
)

describe('a batch', () => {
  it('gives back the records that went in, under every compression', () => {
    fc.assert(
      fc.property(
        fc.array(newRecord, { minLength: 1, maxLength: 20 }),
        fc.constantFrom(...COMPRESSIONS),
        fc.maxSafeNat(),
        (records, compression, timestamp) => {
          const batch = encodeBatch({ records, compression, timestamp })
          const back = recordsOf(batch).map(plain)
          expect(back).toEqual(records.map((r, i) => expected(r, i, timestamp)))
        },
      ),
      { numRuns: 300 },
    )
  })

  it('fits records of every size class around the borders of their length fields', () => {
    for (const size of [0, 30, 53, 54, 55, 63, 64, 8_180, 8_191, 8_192, 8_200, 1_048_570]) {
      for (const fill of ['a', 'é', '漢', '\u{1F600}']) {
        const value = fill.repeat(Math.ceil(size / Buffer.byteLength(fill)))
        const records = [{ value }, { value: Buffer.from(value), key: fill }]
        const back = recordsOf(encodeBatch({ records, timestamp: 5 }))
        expect(back.map(r => r.value?.equals(Buffer.from(value)))).toEqual([true, true])
      }
    }
  })

  it('writes the bytes that the format prescribes', () => {
    const batch = encodeBatch({
      records: [
        { key: 'k', value: 'v1', timestamp: 1_700_000_000_000 },
        { value: null, timestamp: 1_700_000_000_300, headers: [{ key: 'h', value: null }] },
        { key: null, value: Buffer.from('v3'), timestamp: 1_699_999_999_999 },
      ],
      producer: { producerId: 0x1_0000_0002, producerEpoch: 3 },
      baseSequence: 7,
    })
    expect(batch.toString('hex')).toBe(
      [
        '0000000000000000', // base offset
        '0000004f', // 79 bytes follow
        'ffffffff', // leader epoch
        '02', // magic
        batch.subarray(17, 21).toString('hex'), // checksum, tested apart
        '0000', // attributes
        '00000002', // last offset delta
        '0000018bcfe56800', // base timestamp
        '0000018bcfe5692c', // max timestamp
        '0000000100000002', // producer id
        '0003', // producer epoch
        '00000007', // base sequence
        '00000003', // records
        '12000000026b04763100', // length 9; attributes, deltas, key k, value v1, no headers
        '1400d804020101020268', // length 10; +300 ms, offset 1, no key, no value, one header h
        '01', // without a value
        '10000104010476330', // length 8; -1 ms, offset 2, no key, value v3
        '0',
      ].join(''),
    )
  })

  it('has a checksum that a second implementation of CRC-32C confirms', () => {
    const batch = encodeBatch({ records: [{ value: 'x' }], timestamp: 1 })
    let crc = 0xffffffff
    for (const byte of batch.subarray(21)) {
      crc ^= byte
      for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0)
    }
    expect(batch.readUInt32BE(17)).toBe(~crc >>> 0)
  })

  it('reads a golden batch given by hand', () => {
    const payload = Buffer.from(
      ['1e000000026b', '06766131', '0404', '6831', '026e', '04', '6832', '01'].join(''),
      'hex',
    )
    payload[0] = (payload.length - 1) * 2
    const header = Buffer.alloc(61)
    header.writeBigInt64BE(41n, 0)
    header.writeInt32BE(49 + payload.length, 8)
    header.writeInt32BE(5, 12)
    header[16] = 2
    header.writeBigInt64BE(1_000n, 27)
    header.writeBigInt64BE(1_000n, 35)
    header.writeBigInt64BE(-1n, 43)
    header.writeInt16BE(-1, 51)
    header.writeInt32BE(-1, 53)
    header.writeInt32BE(1, 57)
    const batch = resealed(Buffer.concat([header, payload]))
    expect(recordsOf(batch).map(plain)).toEqual([
      {
        offset: 41,
        timestamp: 1_000,
        key: '6b',
        value: '766131',
        headers: [
          ['h1', '6e'],
          ['h2', null],
        ],
      },
    ])
  })

  it('shows key and value as views of the answer, not copies', () => {
    const batch = encodeBatch({ records: [{ key: 'key', value: 'value' }], timestamp: 1 })
    const [record] = recordsOf(batch)
    expect(record?.value?.buffer).toBe(batch.buffer)
    expect(record?.key?.buffer).toBe(batch.buffer)
  })
})

describe('damage', () => {
  const records: NewRecord[] = [
    { key: 'a', value: 'one', headers: [{ key: 'h', value: 'x' }], timestamp: 1_000 },
    { key: null, value: null, timestamp: 2_000 },
    { key: 'c', value: 'three', timestamp: 500 },
  ]

  it.each(COMPRESSIONS)('of any single byte under %s is seen, past offset and epoch', codec => {
    const batch = encodeBatch({ records, compression: codec })
    for (let at = 8; at < batch.length; at++) {
      // The leader epoch lies outside the checksum.
      if (at >= 12 && at < 16) continue
      for (const flip of [0x01, 0x10, 0x80, 0xff]) {
        const damaged = Buffer.from(batch)
        damaged[at] = (damaged[at] ?? 0) ^ flip
        let seen: string
        try {
          seen = recordsOf(damaged).length === 0 ? 'cut' : 'no error'
        } catch (error) {
          if (!(error instanceof LogError)) throw error
          seen = error.code
        }
        // A length that grows past the end is a batch that is still to come.
        expect(['CORRUPT_MESSAGE', 'UNSUPPORTED_FOR_MESSAGE_FORMAT', 'cut']).toContain(seen)
        expect(seen === 'cut').toBe(at < 12 && damaged.readInt32BE(8) > batch.readInt32BE(8))
      }
    }
  })

  it('that cuts the last batch drops it and keeps the ones before', () => {
    const one = encodeBatch({ records })
    const two = Buffer.concat([one, one])
    for (let length = 0; length < two.length; length++) {
      const whole = Math.floor(length / one.length)
      expect([...decodeBatches(two.subarray(0, length))].length).toBe(whole)
    }
    expect([...decodeBatches(two)].length).toBe(2)
  })

  it('inside the records is never more than a CORRUPT_MESSAGE, whatever the checksum says', () => {
    const batch = encodeBatch({ records })
    for (let at = 61; at < batch.length; at++) {
      for (let value = 0; value < 256; value++) {
        const damaged = Buffer.from(batch)
        damaged[at] = value
        const code = codeOf(() => recordsOf(resealed(damaged)).map(plain))
        expect(['no error', 'CORRUPT_MESSAGE']).toContain(code)
      }
    }
  })

  it.each([
    ['a record length beyond the batch', (b: Buffer) => b.writeUInt8(0x7e, 61)],
    ['a negative record length', (b: Buffer) => b.writeUInt8(0x01, 61)],
    ['one record less than there are', (b: Buffer) => b.writeInt32BE(2, 57)],
    ['one record more than there are', (b: Buffer) => b.writeInt32BE(4, 57)],
    ['a count that offsets do not cover', (b: Buffer) => b.writeInt32BE(1, 23)],
    ['a negative last offset delta', (b: Buffer) => b.writeInt32BE(-1, 23)],
    ['a base offset beyond 2^53', (b: Buffer) => b.writeBigInt64BE(2n ** 53n, 0)],
    ['a last offset beyond 2^53', (b: Buffer) => b.writeBigInt64BE(2n ** 53n - 2n, 0)],
    ['a negative base offset', (b: Buffer) => b.writeBigInt64BE(-1n, 0)],
    ['a timestamp beyond 2^53', (b: Buffer) => b.writeBigInt64BE(2n ** 53n, 27)],
    ['a producer id beyond 2^53', (b: Buffer) => b.writeBigInt64BE(2n ** 60n, 43)],
    ['an offset that repeats', (b: Buffer) => b.writeUInt8(0, 80)],
  ])('%s is refused', (_name, change) => {
    const batch = encodeBatch({ records })
    change(batch)
    expect(codeOf(() => recordsOf(resealed(batch)).map(plain))).toBe('CORRUPT_MESSAGE')
  })

  it('by a header count of a billion costs no memory', () => {
    const payload = Buffer.from('1a000000010180a8d6b907000000', 'hex')
    payload[0] = (payload.length - 1) * 2
    const batch = Buffer.concat([encodeBatch({ records }).subarray(0, 61), payload])
    batch.writeInt32BE(batch.length - 12, 8)
    batch.writeInt32BE(1, 57)
    expect(codeOf(() => recordsOf(resealed(batch)))).toBe('CORRUPT_MESSAGE')
  })

  it('of codec 5 to 7 is an unsupported compression', () => {
    for (const codec of [5, 6, 7]) {
      const batch = encodeBatch({ records })
      batch.writeUInt16BE(codec, 21)
      expect(codeOf(() => recordsOf(resealed(batch)))).toBe('UNSUPPORTED_COMPRESSION_TYPE')
    }
  })

  it('is not looked for by checksum where the caller says so', () => {
    const batch = encodeBatch({ records })
    batch.writeUInt32BE(0, 17)
    expect(codeOf(() => recordsOf(batch))).toBe('CORRUPT_MESSAGE')
    expect([...decodeBatches(batch, { checkCrc: false })].length).toBe(1)
  })

  it('of a record that decompresses beyond the bound is MESSAGE_TOO_LARGE', () => {
    const bomb = encodeBatch({ records: [{ value: Buffer.alloc(1_000_000) }], compression: 'zstd' })
    const [batch] = decodeBatches(bomb, { decompressedBytesMax: 999_999 })
    expect(codeOf(() => batch?.records())).toBe('MESSAGE_TOO_LARGE')
  })
})

describe('the builder', () => {
  it('refuses a record past its bound and keeps what it had', () => {
    const builder = new RecordBatchBuilder({ bytesMax: 200 })
    builder.append({ value: 'x'.repeat(50) }, 1)
    const bytes = builder.bytes
    expect(codeOf(() => builder.append({ value: 'y'.repeat(100) }, 1))).toBe('MESSAGE_TOO_LARGE')
    expect(codeOf(() => builder.append({ value: 'y'.repeat(1e6) }, 1))).toBe('MESSAGE_TOO_LARGE')
    expect([builder.count, builder.bytes]).toEqual([1, bytes])
    expect(recordsOf(builder.finish()).length).toBe(1)
  })

  it('takes a record that fills its bound exactly', () => {
    const size = encodeBatch({ records: [{ value: 'x'.repeat(100) }] }).length
    const exact = (bytesMax: number) => () =>
      encodeBatch({ records: [{ value: 'x'.repeat(100) }], bytesMax })
    expect(codeOf(exact(size))).toBe('no error')
    expect(codeOf(exact(size - 1))).toBe('MESSAGE_TOO_LARGE')
  })

  it('writes batch after batch, each a buffer of its own', () => {
    const builder = new RecordBatchBuilder()
    builder.append({ value: 'first' }, 1)
    const first = builder.finish()
    builder.append({ value: 'second' }, 2)
    const second = builder.finish()
    expect(recordsOf(first)[0]?.value?.toString()).toBe('first')
    expect(recordsOf(second)[0]?.value?.toString()).toBe('second')
    expect(recordsOf(second)[0]?.timestamp).toBe(2)
  })

  it('bounds a record by recordBytesMax', () => {
    fc.assert(
      fc.property(newRecord, record => {
        const builder = new RecordBatchBuilder()
        const before = builder.bytes
        builder.append(record, 1)
        expect(builder.bytes - before).toBeLessThanOrEqual(recordBytesMax(record))
      }),
    )
  })

  it.each([-1, 0.5, Number.NaN, 2 ** 53])('refuses the timestamp %s', timestamp => {
    expect(codeOf(() => encodeBatch({ records: [{ value: null, timestamp }] }))).toBe(
      'INVALID_TIMESTAMP',
    )
  })

  it('refuses an empty batch, and a producer without a sequence', () => {
    expect(codeOf(() => encodeBatch({ records: [] }))).toBe('INVALID_RECORD')
    const producer = { producerId: 1, producerEpoch: 0 }
    expect(codeOf(() => encodeBatch({ records: [{ value: null }], producer }))).toBe(
      'INVALID_RECORD',
    )
  })
})

describe('a header', () => {
  it('says what was written into it', () => {
    const batch = encodeBatch({
      records: [
        { value: 'a', timestamp: 20 },
        { value: 'b', timestamp: 30 },
        { value: 'c', timestamp: 10 },
      ],
      compression: 'lz4',
      producer: { producerId: 2 ** 40 + 1, producerEpoch: 9 },
      baseSequence: 2 ** 31 - 1,
      transactional: true,
      baseOffset: 2 ** 45,
      leaderEpoch: 4,
    })
    const read = new RecordBatch(batch)
    expect({
      bytes: read.bytes,
      baseOffset: read.baseOffset,
      lastOffset: read.lastOffset,
      leaderEpoch: read.leaderEpoch,
      compression: read.compression,
      baseTimestamp: read.baseTimestamp,
      maxTimestamp: read.maxTimestamp,
      producerId: read.producerId,
      producerEpoch: read.producerEpoch,
      baseSequence: read.baseSequence,
      recordCount: read.recordCount,
      flags: [read.isTransactional, read.isControl, read.isLogAppendTime],
    }).toEqual({
      bytes: batch.length,
      baseOffset: 2 ** 45,
      lastOffset: 2 ** 45 + 2,
      leaderEpoch: 4,
      compression: 'lz4',
      baseTimestamp: 20,
      maxTimestamp: 30,
      producerId: 2 ** 40 + 1,
      producerEpoch: 9,
      baseSequence: 2 ** 31 - 1,
      recordCount: 3,
      flags: [true, false, false],
    })
    expect(read.raw.equals(batch)).toBe(true)
  })

  it('takes offset and epoch in place without a new checksum', () => {
    const batch = encodeBatch({ records: [{ value: 'a' }, { value: 'b' }] })
    setBatchPosition(batch, 0, 1_000, 3)
    expect(recordsOf(batch).map(r => r.offset)).toEqual([1_000, 1_001])
  })

  it('takes an append time, which all records then have', () => {
    const batch = encodeBatch({ records: [{ value: 'a' }, { value: 'b', timestamp: 9 }] })
    setLogAppendTime(batch, 0, batch.length, 77)
    expect(recordsOf(batch).map(r => r.timestamp)).toEqual([77, 77])
  })
})

describe('search by time', () => {
  const times = [100, 300, 200, 300, 50]
  const batch = (codec: (typeof COMPRESSIONS)[number]) =>
    new RecordBatch(
      encodeBatch({
        records: times.map(timestamp => ({ value: 'v', timestamp })),
        compression: codec,
        baseOffset: 10,
      }),
    )

  it.each(COMPRESSIONS)('finds the first record at or after a time inside a %s batch', codec => {
    const at = (time: number, from?: number) => findOffsetByTimestamp(batch(codec), time, from)
    expect(at(0)).toEqual({ offset: 10, timestamp: 100 })
    expect(at(100)).toEqual({ offset: 10, timestamp: 100 })
    expect(at(101)).toEqual({ offset: 11, timestamp: 300 })
    expect(at(300)).toEqual({ offset: 11, timestamp: 300 })
    expect(at(301)).toBeNull()
    expect(at(0, 12)).toEqual({ offset: 12, timestamp: 200 })
    expect(at(201, 12)).toEqual({ offset: 13, timestamp: 300 })
    expect(at(201, 14)).toBeNull()
    expect(at(0, 15)).toBeNull()
  })

  it('finds the first record of the largest time', () => {
    expect(maxTimestampRecord(batch('gzip'))).toEqual({ offset: 11, timestamp: 300 })
    expect(maxTimestampRecord(batch('none'), 12)).toEqual({ offset: 13, timestamp: 300 })
    expect(maxTimestampRecord(batch('none'), 14)).toEqual({ offset: 14, timestamp: 50 })
    expect(maxTimestampRecord(batch('none'), 15)).toBeNull()
  })

  it('takes the append time for every record', () => {
    const raw = encodeBatch({ records: [{ value: 'a' }, { value: 'b' }], baseOffset: 4 })
    setLogAppendTime(raw, 0, raw.length, 1_000)
    const read = new RecordBatch(raw)
    expect(findOffsetByTimestamp(read, 1_000)).toEqual({ offset: 4, timestamp: 1_000 })
    expect(findOffsetByTimestamp(read, 1_001)).toBeNull()
    expect(maxTimestampRecord(read)).toEqual({ offset: 4, timestamp: 1_000 })
  })
})

describe('reading from an offset on', () => {
  const bytes = Buffer.concat([
    encodeBatch({ records: [{ value: 'a' }, { value: 'b' }], baseOffset: 0 }),
    encodeBatch({ records: [{ value: 'c' }, { value: 'd' }], baseOffset: 2 }),
  ])

  it('passes over batches that end before it, damaged ones too', () => {
    const damaged = Buffer.from(bytes)
    damaged.writeUInt8(0xff, 65)
    expect([...decodeBatches(damaged, { from: 2 })].map(b => b.baseOffset)).toEqual([2])
    expect(() => [...decodeBatches(damaged, { from: 1 })]).toThrow(LogError)
  })

  it('hands out the batch that the offset lies in', () => {
    expect([...decodeBatches(bytes, { from: 1 })].map(b => b.baseOffset)).toEqual([0, 2])
    expect([...decodeBatches(bytes, { from: 3 })].map(b => b.baseOffset)).toEqual([2])
    expect([...decodeBatches(bytes, { from: 4 })]).toEqual([])
  })
})
