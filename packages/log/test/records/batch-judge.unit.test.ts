import { createRequire } from 'node:module'
import {
  goodRecords,
  MALFORMED,
  type MalformedBatch,
  type RawHeader,
  type RawRecord,
  rawBatch,
  rawRecord,
  RAW_TIME as TIME,
} from '@millrace/conformance/log'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { COMPRESSIONS, type Compression, compress } from '../../src/compression/compression.ts'
import { encodeBatch } from '../../src/records/batch-builder.ts'
import { computeBatchCrc, setMaxTimestamp } from '../../src/records/batch-header.ts'
import {
  type JudgeRules,
  judgeBatch,
  judgeInSlices,
  type Verdict,
} from '../../src/records/batch-judge.ts'
import { RecordBatch } from '../../src/records/record-batch.ts'
import { RECORD_ERRORS_MAX, RecordScanner } from '../../src/records/record-scanner.ts'

const MIB = 1 << 20
const RULES: JudgeRules = { decompressedBytesMax: 128 * MIB, decompressedRatioMax: 100 }

/** Both ways in which a batch is judged. */
const WAYS = ['at once', 'in slices'] as const
type Way = (typeof WAYS)[number]

async function judge(
  batch: Buffer,
  way: Way = 'at once',
  rules: Partial<JudgeRules> = {},
): Promise<Verdict> {
  const all = { ...RULES, ...rules }
  const now = way === 'at once' ? 256 * MIB : 0
  const verdict = judgeBatch(batch, 0, batch.length, all, now)
  return verdict === 'later' ? await judgeInSlices(batch, all, () => Promise.resolve()) : verdict
}

const codeOf = async (
  batch: Buffer,
  way: Way = 'at once',
  rules: Partial<JudgeRules> = {},
): Promise<string> => (await judge(batch, way, rules)).error?.code ?? 'stored'

/** Reads everything, as a consumer does; null if it cannot. */
function read(batch: Buffer): { readonly maxTimestamp: number; readonly count: number } | null {
  try {
    const opened = new RecordBatch(batch)
    let maxTimestamp = -1
    let count = 0
    for (const record of opened.records()) {
      void record.headers
      maxTimestamp = Math.max(maxTimestamp, record.timestamp)
      count += 1
    }
    return { maxTimestamp, count }
  } catch {
    return null
  }
}

const require = createRequire(import.meta.url)
const kafkaJsDecode = require('kafkajs/src/protocol/recordBatch/v0/decoder') as (
  decoder: unknown,
) => Promise<{ readonly records: readonly unknown[] }>
const KafkaJsDecoder = require('kafkajs/src/protocol/decoder') as new (buffer: Buffer) => unknown

describe('a batch that contradicts itself is refused, and names the record', () => {
  const cases = Object.entries(MALFORMED).flatMap(([what, shape]) =>
    COMPRESSIONS.flatMap(compression => WAYS.map(way => ({ what, compression, way, shape }))),
  )
  it.each(cases)('$what, compression $compression, judged $way', async each => {
    const { records, header, names }: MalformedBatch = each.shape
    const batch = rawBatch(records, { ...header, compression: each.compression })
    const { error, recordErrors } = await judge(batch, each.way)
    expect(error?.code).toBe('INVALID_RECORD')
    if (names !== undefined) expect(recordErrors?.[0]?.batchIndex).toBe(names)
    expect(recordErrors?.every(({ message }) => message.length > 0) ?? true).toBe(true)
  })
})

describe('compressed bytes that some consumer cannot read are refused', () => {
  const text = Buffer.concat(goodRecords(400).map(rawRecord))
  /** A frame of the header byte and blocks given; the header's checksum stays the one it had. */
  const lz4Flags = (frame: Buffer, change: (flags: number) => number): Buffer => {
    const copy = Buffer.from(frame)
    copy[4] = change(copy[4] ?? 0)
    return copy
  }
  const cases: Readonly<Record<string, [Compression, (records: Buffer) => Buffer]>> = {
    'gzip that is none': ['gzip', records => records],
    'gzip that is cut': ['gzip', records => compress('gzip', records).subarray(0, -1)],
    'gzip with zeros behind it': [
      'gzip',
      records => Buffer.concat([compress('gzip', records), Buffer.alloc(7)]),
    ],
    'gzip with other bytes behind it': [
      'gzip',
      records => Buffer.concat([compress('gzip', records), Buffer.from('more')]),
    ],
    'nothing, marked as gzip': ['gzip', () => Buffer.alloc(0)],
    'snappy that is none': ['snappy', records => records],
    'snappy with a block cut': ['snappy', records => compress('snappy', records).subarray(0, -1)],
    'snappy framed for readers of the future': [
      'snappy',
      records => {
        const framed = compress('snappy', records)
        framed.writeInt32BE(2, 12)
        return framed
      },
    ],
    'nothing, marked as snappy': ['snappy', () => Buffer.alloc(0)],
    'lz4 that is none': ['lz4', records => records],
    'lz4 without its end': ['lz4', records => compress('lz4', records).subarray(0, -4)],
    'lz4 with linked blocks': [
      'lz4',
      records => lz4Flags(compress('lz4', records), flags => flags & ~0x20),
    ],
    'lz4 with a wrong checksum of its header': [
      'lz4',
      records => {
        const frame = compress('lz4', records)
        frame[6] = (frame[6] ?? 0) ^ 1
        return frame
      },
    ],
    'nothing, marked as lz4': ['lz4', () => Buffer.alloc(0)],
    'zstd that is none': ['zstd', records => records],
    'zstd that is cut': ['zstd', records => compress('zstd', records).subarray(0, -1)],
    'zstd with other bytes behind it': [
      'zstd',
      records => Buffer.concat([compress('zstd', records), Buffer.from('more bytes')]),
    ],
    'nothing, marked as zstd': ['zstd', () => Buffer.alloc(0)],
  }
  it.each(Object.keys(cases).flatMap(what => WAYS.map(way => ({ what, way }))))(
    '$what, judged $way',
    async ({ what, way }) => {
      const [compression, payload] = cases[what] ?? ['none', (records: Buffer) => records]
      const header = { compression, payload, count: 400 }
      expect(await codeOf(rawBatch([text], header), way)).toBe('INVALID_RECORD')
    },
  )

  it.each(WAYS)('and what all of them read is not, judged %s', async way => {
    const half = text.length >> 1
    const two = (codec: Compression) => (records: Buffer) =>
      Buffer.concat([
        compress(codec, records.subarray(0, half)),
        compress(codec, records.subarray(half)),
      ])
    for (const codec of ['gzip', 'zstd', 'snappy'] as const) {
      const header: RawHeader = { compression: codec, payload: two(codec), count: 400 }
      expect(await codeOf(rawBatch([text], header), way)).toBe('stored')
    }
    const raw = require('snappy') as { compressSync(data: Buffer): Buffer }
    const payload = (records: Buffer) => raw.compressSync(records)
    const unframed = rawBatch([text], { compression: 'snappy', payload, count: 400 })
    expect(await codeOf(unframed, way)).toBe('stored')
    const { compressFrameSync } = require('lz4-napi') as {
      compressFrameSync(data: Buffer, options: Record<string, boolean>): Buffer
    }
    const checked = { contentChecksum: true, blockChecksums: true }
    const frame = compressFrameSync(text, checked)
    const lz4 = (bytes: Buffer): Buffer =>
      rawBatch([], { compression: 'lz4', payload: () => bytes, count: 400 })
    expect(await codeOf(lz4(frame), way)).toBe('stored')
    for (const at of [frame.length - 1, frame.length - 9]) {
      const wrong = Buffer.from(frame)
      wrong[at] = (wrong[at] ?? 0) ^ 1
      expect(await codeOf(lz4(wrong), way)).toBe('INVALID_RECORD')
    }
  })
})

describe('what a batch decompresses to is bounded', () => {
  const zeros = (bytes: number): RawRecord => ({ offsetDelta: 0, value: Buffer.alloc(bytes) })
  it.each(['gzip', 'snappy', 'lz4', 'zstd'] as const)(
    'in %s, by bytes and by ratio',
    async codec => {
      const batch = rawBatch([zeros(17 * MIB)], { compression: codec })
      expect(await codeOf(batch, 'in slices', { decompressedRatioMax: 100_000 })).toBe('stored')
      const few = { decompressedBytesMax: 2 * MIB, decompressedRatioMax: 100_000 }
      for (const way of WAYS) {
        expect(await codeOf(batch, way, few)).toBe('MESSAGE_TOO_LARGE')
        expect(await codeOf(batch, way, { decompressedRatioMax: 1 })).toBe('MESSAGE_TOO_LARGE')
      }
    },
  )

  it('and up to 16 MiB no ratio counts: records that are all alike are legal', async () => {
    const alike = rawBatch([zeros(15 * MIB)], { compression: 'zstd' })
    expect(await codeOf(alike, 'in slices', { decompressedRatioMax: 1 })).toBe('stored')
  })

  it('and what is too much for this turn is put off, not refused', () => {
    const batch = rawBatch([zeros(MIB)], { compression: 'gzip' })
    expect(judgeBatch(batch, 0, batch.length, RULES, MIB / 2)).toBe('later')
    expect(judgeBatch(batch, 0, batch.length, RULES, 0)).toBe('later')
    expect(judgeBatch(batch, 0, batch.length, RULES, 2 * MIB)).toMatchObject({ maxTimestamp: TIME })
  })
})

describe('times come from the records', () => {
  it.each(COMPRESSIONS)(
    'the largest is found whatever the header says, compression %s',
    async c => {
      for (const maxTimestamp of [-1, 0, TIME, TIME + 1_000_000, 2 ** 52]) {
        const batch = rawBatch(goodRecords(), { maxTimestamp, compression: c })
        for (const way of WAYS) {
          expect(await judge(batch, way)).toMatchObject({ maxTimestamp: TIME + 20 })
        }
      }
    },
  )

  it('deltas may be negative, and long', async () => {
    const deltas = [0, -1, 63, -64, 64, 2 ** 31, -(2 ** 31), 2 ** 40, -(2 ** 40), 2 ** 51]
    const records = deltas.map((timestampDelta, offsetDelta) => ({ offsetDelta, timestampDelta }))
    for (const way of WAYS) {
      const batch = rawBatch(records, { baseTimestamp: 0, compression: 'gzip' })
      expect(await judge(batch, way)).toMatchObject({ maxTimestamp: 2 ** 51 })
    }
    expect(await judge(rawBatch(records, { baseTimestamp: 0 }))).toMatchObject({
      maxTimestamp: 2 ** 51,
    })
  })

  it('each record is held to the bounds of its topic, and named', async () => {
    const rules = { timestampMin: TIME - 100, timestampMax: TIME + 100 }
    const at = (...deltas: number[]): Buffer =>
      rawBatch(deltas.map((timestampDelta, offsetDelta) => ({ offsetDelta, timestampDelta })))
    expect(await codeOf(at(-100, 0, 100), 'at once', rules)).toBe('stored')
    const { error, recordErrors } = await judge(at(0, -101, 5, 101), 'at once', rules)
    expect(error?.code).toBe('INVALID_TIMESTAMP')
    expect(recordErrors?.map(({ batchIndex }) => batchIndex)).toEqual([1, 3])
    // The header's base does not count, and a record without a time is not judged by it.
    const shifted = rawBatch([{ offsetDelta: 0, timestampDelta: 5000 }], {
      baseTimestamp: TIME - 5000,
    })
    expect(await codeOf(shifted, 'at once', rules)).toBe('stored')
    const timeless = rawBatch([{ offsetDelta: 0, timestampDelta: 0 }], { baseTimestamp: -1 })
    expect(await codeOf(timeless, 'at once', rules)).toBe('stored')
  })

  it('a time beyond 2^53 - 1 is refused', async () => {
    const record = { offsetDelta: 0, timestampDelta: 10 }
    const batch = rawBatch([record], { baseTimestamp: Number.MAX_SAFE_INTEGER })
    expect(await judge(batch)).toMatchObject({
      error: { code: 'INVALID_TIMESTAMP' },
      recordErrors: [{ batchIndex: 0 }],
    })
  })
})

describe('rules of topics', () => {
  it('one record of six without a key names itself, and only itself', async () => {
    const records = goodRecords(6).map((r, i) => (i === 4 ? { ...r, key: null } : r))
    for (const compression of COMPRESSIONS) {
      for (const way of WAYS) {
        const batch = rawBatch(records, { compression })
        expect(await codeOf(batch, way)).toBe('stored')
        const { error, recordErrors } = await judge(batch, way, { requireKeys: true })
        expect(error?.code).toBe('INVALID_RECORD')
        expect(recordErrors).toEqual([{ batchIndex: 4, message: expect.stringMatching(/key/) }])
      }
    }
  })

  it('an empty key is a key', async () => {
    const batch = rawBatch([{ offsetDelta: 0, key: '' }])
    expect(await codeOf(batch, 'at once', { requireKeys: true })).toBe('stored')
  })

  it('a bad time outweighs a missing key, as in Kafka', async () => {
    const records = [{ offsetDelta: 0 }, { offsetDelta: 1, key: 'k', timestampDelta: 50 }]
    const rules = { requireKeys: true, timestampMax: TIME + 10 }
    expect(await judge(rawBatch(records), 'at once', rules)).toMatchObject({
      error: { code: 'INVALID_TIMESTAMP' },
      recordErrors: [{ batchIndex: 0 }, { batchIndex: 1 }],
    })
  })

  it('names so many records and no more', async () => {
    const keyless = (count: number): Buffer =>
      rawBatch(Array.from({ length: count }, (_, offsetDelta) => ({ offsetDelta })))
    for (const count of [RECORD_ERRORS_MAX, RECORD_ERRORS_MAX + 1]) {
      const { recordErrors } = await judge(keyless(count), 'at once', { requireKeys: true })
      expect(recordErrors).toHaveLength(RECORD_ERRORS_MAX)
    }
  })

  it('attributes of a record mean nothing, as in Kafka', async () => {
    expect(await codeOf(rawBatch([{ offsetDelta: 0, attributes: 0x7f }]))).toBe('stored')
  })
})

const record = fc.record({
  key: fc.option(fc.uint8Array({ maxLength: 20 }).map(bytes => Buffer.from(bytes))),
  value: fc.option(fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes))),
  headers: fc.array(
    fc.record({
      key: fc.string({ maxLength: 5 }),
      value: fc.option(fc.uint8Array({ maxLength: 9 }).map(bytes => Buffer.from(bytes))),
    }),
    { maxLength: 3 },
  ),
  timestamp: fc.integer({ min: 0, max: 2 ** 45 }),
})
const batches = fc.record({
  records: fc.array(record, { minLength: 1, maxLength: 30 }),
  compression: fc.constantFrom(...COMPRESSIONS),
})

describe('whatever the records are', () => {
  it('what our builder writes is stored, with the largest time of its records', async () => {
    await fc.assert(
      fc.asyncProperty(batches, async ({ records, compression }) => {
        const batch = encodeBatch({ records, compression })
        const maxTimestamp = Math.max(...records.map(({ timestamp }) => timestamp))
        for (const way of WAYS) {
          const verdict = await judge(batch, way)
          expect(verdict.error).toBeUndefined()
          expect(verdict.maxTimestamp).toBe(maxTimestamp)
        }
      }),
      { numRuns: 150 },
    )
  })

  it('every cut into chunks comes to the same verdict', () => {
    fc.assert(
      fc.property(
        fc.array(record, { minLength: 1, maxLength: 10 }),
        fc.array(fc.nat(2000), { maxLength: 12 }),
        fc.option(fc.tuple(fc.nat(), fc.nat(255))),
        (records, cuts, damage) => {
          const bytes = Buffer.from(encodeBatch({ records }).subarray(61))
          if (damage !== null) bytes[damage[0] % bytes.length] = damage[1]
          const verdictOf = (chunks: readonly Buffer[]): string => {
            const scanner = new RecordScanner(records.length, 0)
            try {
              for (const chunk of chunks) scanner.feed(chunk)
              scanner.end()
            } catch {
              return 'refused'
            }
            return `${scanner.refusal()?.code} ${scanner.maxTimestamp}`
          }
          const places = [0, ...cuts.map(cut => cut % bytes.length), bytes.length]
          places.sort((a, b) => a - b)
          const pieces = places.slice(1).map((end, i) => bytes.subarray(places[i], end))
          const whole = verdictOf([bytes])
          expect(verdictOf(pieces)).toBe(whole)
          expect(verdictOf([...bytes].map(byte => Buffer.from([byte])))).toBe(whole)
        },
      ),
      { numRuns: 300 },
    )
  })

  it('no change of a byte is stored that a consumer could not read, ours and KafkaJS', async () => {
    await fc.assert(
      fc.asyncProperty(
        batches,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 2 }),
        async ({ records, compression }, changes) => {
          const batch = encodeBatch({ records, compression })
          for (const [place, byte] of changes) {
            // The length in front is the frame's, and offset and epoch are set by the log.
            batch[21 + (place % (batch.length - 21))] = byte
          }
          batch.writeUInt32BE(computeBatchCrc(batch, 0, batch.length), 17)
          const way = WAYS[(changes[0]?.[0] ?? 0) % 2] ?? 'at once'
          const { error, maxTimestamp } = await judge(batch, way)
          if (error !== undefined) return
          // As the log does with a header that says something else.
          setMaxTimestamp(batch, 0, batch.length, maxTimestamp)
          const found = read(batch)
          expect(found).not.toBeNull()
          expect(found?.maxTimestamp).toBe(maxTimestamp)
          expect(found?.count).toBe(batch.readInt32BE(57))
          if ((batch.readUInt16BE(21) & 7) > 1) return
          const decoded = await kafkaJsDecode(new KafkaJsDecoder(batch))
          expect(decoded.records).toHaveLength(found?.count ?? -1)
        },
      ),
      { numRuns: 600 },
    )
  })
})

describe('numbers of the format', () => {
  it('a timestamp delta of any length that can be read is read the same way cut and whole', () => {
    for (const delta of [0, 2 ** 13, 2 ** 27, 2 ** 28, 2 ** 34, 2 ** 35, 2 ** 48, 2 ** 52 - 1]) {
      for (const signed of [delta, -delta]) {
        const bytes = rawRecord({ offsetDelta: 0, timestampDelta: signed })
        const whole = new RecordScanner(1, 2 ** 52)
        whole.feed(bytes)
        const cut = new RecordScanner(1, 2 ** 52)
        for (const byte of bytes) cut.feed(Buffer.from([byte]))
        expect([whole.maxTimestamp, cut.maxTimestamp]).toEqual([2 ** 52 + signed, 2 ** 52 + signed])
      }
    }
  })
})
