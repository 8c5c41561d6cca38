// What a batch says of itself is held against its records before it takes offsets.
import { randomBytes } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import {
  MALFORMED,
  type RawHeader,
  type RawRecord,
  rawBatch,
  rawRecord,
} from '@millrace/conformance/log'
import {
  type AppendEntry,
  type Compression,
  computeBatchCrc,
  decodeBatches,
  encodeBatch,
  type LogErrorCode,
  maxTimestampOf,
} from '@millrace/log'
import { describe, expect, test } from 'vitest'
import type { Engine } from '../../src/index.ts'
import { createTopic, fetchAt, killed, open, readAll, store, temporaryFolder } from './support.ts'

const MIB = 1 << 20
/** Where a batch has its checksum, and the time of its first record. */
const CRC_AT = 17
const BASE_TIMESTAMP_AT = 27
const DAY = 86_400_000
/** Everything compressed is left to other threads. */
const SLICED = { 'append.decompressed.turn.bytes': 0 } as const

const entry = (batch: Buffer, partition = 0, topic = 't'): AppendEntry => ({
  topic,
  partition,
  batch,
})

async function codeOf(engine: Engine, batch: Buffer, topic = 't'): Promise<string> {
  const [result] = await engine.append([entry(batch, 0, topic)])
  return result?.error?.code ?? 'stored'
}

const compressed = (text: string, repeats: number, codec: Compression = 'gzip'): Buffer =>
  encodeBatch({ records: [{ value: text.repeat(repeats) }], compression: codec, timestamp: 1 })

async function whereIs(engine: Engine, timestamp: number | 'maxTimestamp'): Promise<number> {
  const query = { topic: 't', partition: 0, place: timestamp }
  const [answer] = await engine.listOffsets([query])
  return answer?.offset ?? Number.NaN
}

describe('a batch that its caller changes while it waits for its verdict', () => {
  test('is the only one that is lost by it', async () => {
    const folder = temporaryFolder()
    const engine = await open({ folder, settings: SLICED })
    await createTopic(engine, 't', {}, 2)
    const records = Array.from({ length: 200 }, () => ({ value: randomBytes(100) }))
    const batch = encodeBatch({ records, compression: 'gzip', timestamp: 1 })
    const held = engine.append([entry(batch, 1)])
    batch.fill(0, batch.length - 1000)
    await held
    expect(await store(engine, 't', ['behind it'])).toBe(0)
    const copy = await open({ folder: killed(folder) })
    expect(copy.health()).toMatchObject({ state: 'ready', partitions: [] })
    expect((await readAll(copy, 't')).map(({ value }) => value)).toEqual(['behind it'])
  })
})

describe('offsets', () => {
  test('are never given twice, however many records a batch claims', async () => {
    const folder = temporaryFolder()
    const engine = await open({ folder })
    await createTopic(engine, 't')
    expect(await store(engine, 't', ['first'])).toBe(0)
    const claims: RawHeader = { count: 2 ** 31 - 1 }
    const lies = [
      rawBatch([], { ...claims, compression: 'gzip', payload: () => gzipSync('') }),
      rawBatch([{ offsetDelta: 0 }], { ...claims, compression: 'zstd' }),
      rawBatch([{ offsetDelta: 0 }], claims),
    ]
    const appends = Array.from({ length: 300 }, (_, i) =>
      engine.append([entry(lies[i % lies.length] ?? Buffer.alloc(0))]),
    )
    const codes = new Set((await Promise.all(appends)).flat().map(({ error }) => error?.code))
    expect([...codes]).toEqual(['INVALID_RECORD'])
    expect(await store(engine, 't', ['second'])).toBe(1)
    const copy = await open({ folder: killed(folder) })
    const values = (await readAll(copy, 't')).map(({ offset, value }) => [offset, value])
    expect(values).toEqual([
      [0, 'first'],
      [1, 'second'],
    ])
  })

  test.each([{}, SLICED])('follow the order of the calls in each partition, %o', async settings => {
    const engine = await open({ settings })
    await createTopic(engine, 't', {}, 3)
    // Small and large, plain and compressed, good and bad, to one partition and to several.
    const batchOf = (i: number): { batch: Buffer; good: boolean } => {
      const value = `${i} `.padEnd(10 + ((i * 7919) % 5) * 150_000, 'x')
      const codec = (['none', 'gzip', 'zstd', 'lz4', 'snappy'] as const)[i % 5] ?? 'none'
      if (i % 11 === 3) {
        const bad = { offsetDelta: 0, headers: [[null, 'x']] as const }
        return { batch: rawBatch([bad], { compression: codec }), good: false }
      }
      if (codec === 'none') {
        return { batch: encodeBatch({ records: [{ value: `${i} ` }], timestamp: 1 }), good: true }
      }
      const records = [{ value }, { value: `${i} ` }]
      return { batch: encodeBatch({ records, compression: codec, timestamp: 1 }), good: true }
    }
    const sent = Array.from({ length: 120 }, (_, i) => {
      const partitions = i % 7 === 0 ? [0, 1, 2] : [i % 3]
      return { i, parts: partitions.map(partition => ({ partition, ...batchOf(i) })) }
    })
    const results = await Promise.all(
      sent.map(({ parts }) => engine.append(parts.map(p => entry(p.batch, p.partition)))),
    )
    for (const partition of [0, 1, 2]) {
      let next = 0
      const expected: number[] = []
      for (const [call, { i, parts }] of sent.entries()) {
        const place = parts.findIndex(part => part.partition === partition)
        const result = results[call]?.[place]
        if (place < 0 || result === undefined) continue
        expect(result.error?.code).toBe(parts[place]?.good === true ? undefined : 'INVALID_RECORD')
        if (result.error !== undefined) continue
        expect(result.baseOffset).toBe(next)
        const records = i % 5 === 0 ? 1 : 2
        next += records
        for (let n = 0; n < records; n += 1) expected.push(i)
      }
      const stored = await readAll(engine, 't', partition)
      expect(stored.map(({ value }) => Number.parseInt(value, 10))).toEqual(expected)
      expect(stored.map(({ offset }) => offset)).toEqual(expected.map((_, offset) => offset))
    }
    const sliced = engine.metrics()['append_sliced_total'] ?? 0
    expect(sliced > 0).toBe(true)
  })
})

describe('a batch that no consumer could read', () => {
  test.each([{}, SLICED])('is refused and stores nothing, %o', async settings => {
    const engine = await open({ settings })
    await createTopic(engine, 't')
    for (const [what, { records, header }] of Object.entries(MALFORMED)) {
      for (const compression of ['none', 'gzip', 'lz4'] as const) {
        const batch = rawBatch(records, { ...header, compression })
        expect(await codeOf(engine, batch), `${what}, ${compression}`).toBe('INVALID_RECORD')
      }
    }
    expect(await store(engine, 't', ['good'])).toBe(0)
  })

  test('is named by its record', async () => {
    const engine = await open()
    await createTopic(engine, 't', { 'cleanup.policy': 'compact' })
    const records: RawRecord[] = Array.from({ length: 6 }, (_, offsetDelta) => ({
      offsetDelta,
      key: offsetDelta === 4 ? null : `k${offsetDelta}`,
    }))
    const [result] = await engine.append([entry(rawBatch(records))])
    expect(result?.error?.code).toBe('INVALID_RECORD')
    expect(result?.recordErrors).toEqual([{ batchIndex: 4, message: expect.any(String) }])
  })

  test('may not belong to a transaction, or be a marker, while there are none', async () => {
    const engine = await open()
    await createTopic(engine, 't')
    expect(await codeOf(engine, rawBatch([{ offsetDelta: 0 }], { attributes: 0x10 }))).toBe(
      'INVALID_TXN_STATE',
    )
    expect(await codeOf(engine, rawBatch([{ offsetDelta: 0 }], { attributes: 0x20 }))).toBe(
      'INVALID_RECORD',
    )
  })

  test('may not decompress past the bounds', async () => {
    const engine = await open({ settings: { 'append.decompressed.max.bytes': MIB } })
    await createTopic(engine, 't')
    expect(await codeOf(engine, compressed('x', MIB - 100))).toBe('stored')
    expect(await codeOf(engine, compressed('x', MIB))).toBe('MESSAGE_TOO_LARGE')
    const other = await open()
    await createTopic(other, 't')
    expect(await codeOf(other, compressed('x', 15 * MIB, 'zstd'))).toBe('stored')
    expect(await codeOf(other, compressed('x', 17 * MIB, 'zstd'))).toBe('MESSAGE_TOO_LARGE')
  })
})

describe('times', () => {
  test('are those of the records, whatever the header says', async () => {
    const folder = temporaryFolder()
    const engine = await open({ folder })
    await createTopic(engine, 't')
    const time = Date.now() - 100_000
    const records = [0, 1, 2].map(i => ({ offsetDelta: i, timestampDelta: 10 * i }))
    for (const [i, maxTimestamp] of [-1, time + 100, time + DAY].entries()) {
      const compression = i === 1 ? 'gzip' : 'none'
      const header = { baseTimestamp: time + 100 * i, maxTimestamp, compression } as const
      expect(await codeOf(engine, rawBatch(records, header))).toBe('stored')
    }
    const places = [
      [time, 0],
      [time + 5, 1],
      [time + 20, 2],
      [time + 21, 3],
      [time + 115, 5],
      [time + 220, 8],
      [time + 221, -1],
    ] as const
    for (const copy of [engine, await open({ folder: killed(folder) })]) {
      for (const [at, offset] of places) expect(await whereIs(copy, at)).toBe(offset)
      expect(await whereIs(copy, 'maxTimestamp')).toBe(8)
      const { records: bytes } = await fetchAt(copy, 't', 0)
      const times = [...decodeBatches(bytes)].map(batch => maxTimestampOf(batch.raw))
      expect(times).toEqual([time + 20, time + 120, time + 220])
    }
  })

  test('are held to the bounds of the topic, record by record', async () => {
    const engine = await open()
    await createTopic(engine, 't')
    await createTopic(engine, 'hour', { 'message.timestamp.before.max.ms': '3600000' })
    const now = Date.now()
    const at = (...deltas: number[]): readonly RawRecord[] =>
      deltas.map((timestampDelta, offsetDelta) => ({ offsetDelta, timestampDelta }))
    const header = { baseTimestamp: now, maxTimestamp: now }
    expect(await codeOf(engine, rawBatch(at(0, 7_200_000), header))).toBe('INVALID_TIMESTAMP')
    expect(await codeOf(engine, rawBatch(at(0, -7_200_000), header), 'hour')).toBe(
      'INVALID_TIMESTAMP',
    )
    const old = { baseTimestamp: now - 7_200_000, maxTimestamp: now }
    expect(await codeOf(engine, rawBatch(at(7_200_000), old), 'hour')).toBe('stored')
  })

  test('decide retention, and the header does not', async () => {
    const settings = { 'log.retention.check.interval.ms': 100, 'checkpoint.interval.ms': 100 }
    const engine = await open({ settings })
    for (const topic of ['new', 'old']) {
      await createTopic(engine, topic, { 'retention.ms': `${7 * DAY}` })
    }
    const then = Date.now() - 8 * DAY
    const ofNow = rawBatch(
      [{ offsetDelta: 0 }, { offsetDelta: 1, timestampDelta: 8 * DAY - 1000 }],
      { baseTimestamp: then, maxTimestamp: then },
    )
    const ofOld = rawBatch([{ offsetDelta: 0 }], { baseTimestamp: then, maxTimestamp: -1 })
    expect(await codeOf(engine, ofNow, 'new')).toBe('stored')
    expect(await codeOf(engine, ofOld, 'old')).toBe('stored')
    const startOf = async (topic: string): Promise<number | undefined> =>
      (await engine.listOffsets([{ topic, partition: 0, place: 'earliest' }]))[0]?.offset
    await expect.poll(() => startOf('old'), { timeout: 20_000 }).toBe(1)
    expect(await startOf('new')).toBe(0)
  })

  test('of the append are not disturbed by what the records say', async () => {
    const engine = await open()
    await createTopic(engine, 't', { 'message.timestamp.type': 'LogAppendTime' })
    const records = [{ offsetDelta: 0, timestampDelta: 2 ** 40 }]
    expect(await codeOf(engine, rawBatch(records))).toBe('stored')
    const [batch] = decodeBatches((await fetchAt(engine, 't', 0)).records)
    expect(batch?.isLogAppendTime).toBe(true)
    expect(Math.abs((batch?.maxTimestamp ?? 0) - Date.now())).toBeLessThan(60_000)
  })

  test('of the append are there also where the batch has a time that no number holds', async () => {
    const engine = await open()
    await createTopic(engine, 't', { 'message.timestamp.type': 'LogAppendTime' })
    await createTopic(engine, 'own')
    const nanoseconds = (): Buffer => {
      const batch = rawBatch([{ offsetDelta: 0 }])
      batch.writeBigInt64BE(1_790_000_000_000_000_000n, BASE_TIMESTAMP_AT)
      batch.writeUInt32BE(computeBatchCrc(batch, 0, batch.length), CRC_AT)
      return batch
    }
    expect(await codeOf(engine, nanoseconds())).toBe('stored')
    const [batch] = decodeBatches((await fetchAt(engine, 't', 0)).records)
    for (const { timestamp } of batch?.records() ?? []) {
      expect(Math.abs(timestamp - Date.now())).toBeLessThan(60_000)
    }
    expect(batch?.recordCount).toBe(1)
    expect(await codeOf(engine, nanoseconds(), 'own')).toBe('INVALID_TIMESTAMP')
  })
})

describe('batches that wait for their verdict', () => {
  const codesOf = (results: readonly { error?: { code: LogErrorCode } }[]): unknown[] =>
    results.map(({ error }) => error?.code)

  test('are answered before the engine has closed', async () => {
    const folder = temporaryFolder()
    const engine = await open({ folder, settings: SLICED })
    await createTopic(engine, 't')
    const appends = Array.from({ length: 20 }, () =>
      engine.append([entry(compressed('x', 2 * MIB))]),
    )
    await engine.close()
    for (const results of await Promise.all(appends)) expect(codesOf(results)).toEqual([undefined])
    const again = await open({ folder })
    expect((await readAll(again, 't')).length).toBe(20)
  })

  test('may be plain ones too, if they are very large', async () => {
    const engine = await open({ settings: { 'journal.file.bytes': 16 * MIB } })
    await createTopic(engine, 't', { 'max.message.bytes': `${8 * MIB}` })
    const smallest = Array.from({ length: 300_000 }, (_, offsetDelta) => rawRecord({ offsetDelta }))
    const large = rawBatch(smallest)
    const bad = rawBatch([...smallest.slice(0, -1), rawRecord({ offsetDelta: 5 })])
    const appends = [bad, large, rawBatch([{ offsetDelta: 0 }])]
    const results = await Promise.all(appends.map(batch => engine.append([entry(batch)])))
    expect(results.flat()).toMatchObject([
      { error: { code: 'INVALID_RECORD' }, recordErrors: [{ batchIndex: 299_999 }] },
      { baseOffset: 0 },
      { baseOffset: 300_000 },
    ])
    expect(engine.metrics()['append_sliced_total']).toBe(2)
  })

  test('are bounded in bytes', async () => {
    const engine = await open({ settings: { ...SLICED, 'append.queue.max.bytes': MIB } })
    await createTopic(engine, 't', { 'max.message.bytes': `${2 * MIB}` })
    const value = Buffer.from(Array.from({ length: 600_000 }, (_, i) => (i * 7919) % 251))
    const noise = encodeBatch({
      records: [{ value }],
      compression: 'snappy',
      timestamp: 1,
    })
    const large = rawBatch([rawRecord({ offsetDelta: 0, value })], {
      compression: 'gzip',
      payload: records => gzipSync(records, { level: 0 }),
    })
    expect(large.length).toBeGreaterThan(MIB / 2)
    const appends = [large, large, noise].map(batch => engine.append([entry(batch)]))
    const [first, second] = await Promise.allSettled(appends)
    expect(first).toMatchObject({ status: 'fulfilled', value: [{ baseOffset: 0 }] })
    expect(second).toMatchObject({ status: 'rejected', reason: { code: 'KAFKA_STORAGE_ERROR' } })
    expect(await codeOf(engine, large)).toBe('stored')
  })
})

test('what was held for one topic never enters another of its name', async () => {
  const engine = await open({ settings: SLICED })
  await createTopic(engine, 't')
  const held = engine.append([entry(compressed('old', MIB))])
  // Plain, and held behind it.
  const behind = engine.append([entry(encodeBatch({ records: [{ value: 'old' }], timestamp: 1 }))])
  const deleted = engine.deleteTopics(['t'])
  await Promise.all([deleted, createTopic(engine, 't')])
  for (const [result] of [await held, await behind]) {
    expect(result?.error?.code).toBe('UNKNOWN_TOPIC_OR_PARTITION')
  }
  expect(await store(engine, 't', ['new'])).toBe(0)
})
