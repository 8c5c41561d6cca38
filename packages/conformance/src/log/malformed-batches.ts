/**
 * Batches by hand, for tests of logs and their readers: every field can say what it likes, and the
 * checksum is right all the same. `MALFORMED` is the list of what no log may store.
 */
import {
  BATCH_HEADER_BYTES,
  COMPRESSIONS,
  type Compression,
  compress,
  writeBatchHeader,
  writeVarint,
  writeVarlong,
} from '@millrace/log'

/** The base timestamp of a raw batch that does not say. */
export const RAW_TIME = 1_700_000_000_000

type Bytes = Buffer | string | null

/** A record by its fields; each may be wrong. */
export type RawRecord = {
  readonly offsetDelta: number
  readonly timestampDelta?: number
  readonly key?: Bytes
  readonly value?: Bytes
  readonly headers?: readonly (readonly [Bytes, Bytes])[]
  /** What is written instead of the right length or count. */
  readonly length?: number
  readonly keyLength?: number
  readonly valueLength?: number
  readonly headerCount?: number
  readonly attributes?: number
}

function varint(value: number): Buffer {
  const out = Buffer.alloc(5)
  return out.subarray(0, writeVarint(out, 0, value))
}

function varlong(value: number): Buffer {
  const out = Buffer.alloc(10)
  return out.subarray(0, writeVarlong(out, 0, value))
}

function sized(bytes: Bytes | undefined, length?: number): Buffer {
  const content = bytes === undefined || bytes === null ? null : Buffer.from(bytes)
  return Buffer.concat([varint(length ?? content?.length ?? -1), content ?? Buffer.alloc(0)])
}

/** The bytes of a record, its length in front. */
export function rawRecord(record: RawRecord): Buffer {
  const { headers = [] } = record
  const body = Buffer.concat([
    Buffer.from([record.attributes ?? 0]),
    varlong(record.timestampDelta ?? 0),
    varint(record.offsetDelta),
    sized(record.key, record.keyLength),
    sized(record.value, record.valueLength),
    varint(record.headerCount ?? headers.length),
    ...headers.flatMap(([key, value]) => [sized(key), sized(value)]),
  ])
  return Buffer.concat([varint(record.length ?? body.length), body])
}

/** `count` records that nothing is wrong with. */
export const goodRecords = (count = 3): RawRecord[] =>
  Array.from({ length: count }, (_, offsetDelta) => ({
    offsetDelta,
    timestampDelta: offsetDelta * 10,
    key: `key ${offsetDelta}`,
    value: 'value '.repeat(10),
    headers: [['trace', `${offsetDelta}`]],
  }))

/** What the header says instead of the truth. */
export type RawHeader = {
  readonly count?: number
  readonly lastOffsetDelta?: number
  readonly baseTimestamp?: number
  readonly maxTimestamp?: number
  readonly attributes?: number
  readonly compression?: Compression
  /** The compressed bytes, where they are not what the codec writes. */
  readonly payload?: (records: Buffer) => Buffer
}

/** A batch of records or of any bytes. */
export function rawBatch(records: readonly (RawRecord | Buffer)[], header: RawHeader = {}): Buffer {
  const parts = records.map(record => (Buffer.isBuffer(record) ? record : rawRecord(record)))
  const compression = header.compression ?? 'none'
  const payload = (header.payload ?? (bytes => compress(compression, bytes)))(Buffer.concat(parts))
  const count = header.count ?? records.length
  const batch = Buffer.alloc(BATCH_HEADER_BYTES + payload.length)
  payload.copy(batch, BATCH_HEADER_BYTES)
  writeBatchHeader(batch, {
    baseOffset: 0,
    leaderEpoch: -1,
    attributes: (header.attributes ?? 0) | COMPRESSIONS.indexOf(compression),
    lastOffsetDelta: header.lastOffsetDelta ?? count - 1,
    baseTimestamp: header.baseTimestamp ?? RAW_TIME,
    maxTimestamp: header.maxTimestamp ?? RAW_TIME,
    producerId: -1,
    producerEpoch: -1,
    baseSequence: -1,
    recordCount: count,
  })
  return batch
}

/** A malformed batch by its name: what its records are and what its header says. */
export type MalformedBatch = {
  readonly records: readonly (RawRecord | Buffer)[]
  readonly header?: RawHeader
  /** The record that the refusal names. */
  readonly names?: number
}

/** Three records, the middle one of which is changed. */
const withSecond = (change: Partial<RawRecord>, names = 1): MalformedBatch => ({
  records: goodRecords().map((record, i) => (i === 1 ? { ...record, ...change } : record)),
  names,
})

/** Every way in which records and header can contradict each other; a new one is a line. */
export const MALFORMED: Readonly<Record<string, MalformedBatch>> = {
  'a count that is too large': { records: goodRecords(), header: { count: 5 } },
  'a count that is too small': { records: goodRecords(), header: { count: 2 } },
  'a count of 2^31 - 1': { records: goodRecords(), header: { count: 2 ** 31 - 1 } },
  'no records at all': { records: [], header: { count: 1 } },
  'no records and a count of 2^31 - 1': { records: [], header: { count: 2 ** 31 - 1 } },
  'a count of 0': { records: goodRecords(), header: { count: 0 } },
  'a negative count': { records: goodRecords(), header: { count: -1 } },
  'a last offset delta that is too large': {
    records: goodRecords(),
    header: { lastOffsetDelta: 5 },
  },
  'a last offset delta that is too small': {
    records: goodRecords(),
    header: { lastOffsetDelta: 1 },
  },
  'bytes that are no records': { records: [Buffer.alloc(200, 0x7f)], header: { count: 3 } },
  'zeros instead of records': { records: [Buffer.alloc(200)], header: { count: 3 } },
  'a byte behind the last record': {
    records: [...goodRecords(), Buffer.alloc(1)],
    header: { count: 3 },
  },
  'the last record cut': {
    records: [Buffer.concat(goodRecords().map(rawRecord)).subarray(0, -1)],
    header: { count: 3 },
    names: 2,
  },
  'the last record cut in its length': {
    records: [...goodRecords(2), Buffer.from([0x80])],
    names: 2,
  },
  'offset deltas 0, 0, 0': {
    records: goodRecords().map(record => ({ ...record, offsetDelta: 0 })),
    names: 1,
  },
  'offset deltas that begin at 1': {
    records: goodRecords().map(record => ({ ...record, offsetDelta: record.offsetDelta + 1 })),
    names: 0,
  },
  'offset deltas that fall': withSecond({ offsetDelta: -1 }),
  'offset deltas with a gap': withSecond({ offsetDelta: 2 }),
  'a record that is shorter than its fields': withSecond({ length: 20 }),
  'a record that is longer than its fields': withSecond({ length: 300 }),
  'a record of no bytes': withSecond({ length: 0 }),
  'a record of negative length': withSecond({ length: -5 }),
  'a record that reaches past the batch': withSecond({ length: 2 ** 30 }),
  'a key of negative length': withSecond({ keyLength: -2 }),
  'a key that reaches past its record': withSecond({ keyLength: 5000 }),
  'a value of negative length': withSecond({ valueLength: -7 }),
  'a value that reaches past its record': withSecond({ valueLength: 2 ** 31 - 1 }),
  'a header without a key': withSecond({ headers: [[null, 'x']] }),
  'a second header without a key': withSecond({
    headers: [
      ['a', 'b'],
      [null, 'x'],
    ],
  }),
  'a negative number of headers': withSecond({ headerCount: -1 }),
  'more headers than there are': withSecond({ headerCount: 3 }),
  'fewer headers than there are': withSecond({ headerCount: 0 }),
  'more headers than bytes': withSecond({ headerCount: 2 ** 31 - 1 }),
  'a length of six bytes': {
    records: [...goodRecords(1), Buffer.from([0x80, 0x80, 0x80, 0x80, 0x80, 0x00, 0, 0, 0, 0])],
    names: 1,
  },
  'a length of more than 32 bits': {
    records: [...goodRecords(1), Buffer.from([0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0, 0])],
    names: 1,
  },
  'a timestamp delta of 11 bytes': {
    records: [Buffer.from([30, 0, ...Array.from({ length: 10 }, () => 0x80), 0, 0, 1, 1, 0])],
    names: 0,
  },
  'a timestamp delta of 64 bits': {
    records: [Buffer.from([28, 0, ...Array.from({ length: 9 }, () => 0xff), 1, 0, 1, 1, 0])],
    names: 0,
  },
}
