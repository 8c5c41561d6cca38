// Compacted topics on real files: the last value of every key stays where it was, the others go.
import { closeSync, openSync, readdirSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { decodeBatches, encodeBatch, type NewRecord } from '@millrace/log'
import { describe, expect, test } from 'vitest'
import { DiskError } from '../../src/disk/disk.ts'
import {
  dumpSegment,
  type Engine,
  type EngineEvent,
  nodeDisk,
  verifyFolder,
} from '../../src/index.ts'
import { type Interference, WrappedDisk } from '../storage/support.ts'
import { codeOf, createTopic, killed, open, store, temporaryFolder, until } from './support.ts'

const COMPACT = { 'cleanup.policy': 'compact', 'segment.bytes': '4096' }
const FIRST_SEGMENT = '0'.repeat(20)

type Stored = { readonly offset: number; readonly key: string; readonly value: string | null }

async function put(engine: Engine, topic: string, records: readonly NewRecord[]): Promise<number> {
  const batch = encodeBatch({ records, timestamp: Date.now() })
  const [result] = await engine.append([{ topic, partition: 0, batch }])
  if (result?.error !== undefined) throw result.error
  return result?.baseOffset ?? -1
}

/** All that a reader from `offset` on sees up to the high watermark. */
async function read(engine: Engine, topic: string, from = 0): Promise<Stored[]> {
  const stored: Stored[] = []
  let offset = from
  for (;;) {
    const [result] = await engine.fetch({
      positions: [{ topic, partition: 0, offset, maxBytes: 1 << 20 }],
      minBytes: 0,
      maxBytes: 1 << 20,
      maxWaitMs: 0,
      isolation: 'read_uncommitted',
    })
    if (result === undefined || result.error !== undefined) throw result?.error
    if (offset >= result.highWatermark) return stored
    const before = offset
    for (const batch of decodeBatches(result.records)) {
      for (const { offset: at, key, value } of batch.records()) {
        if (at >= offset) {
          stored.push({
            offset: at,
            key: String(key),
            value: value === null ? null : String(value),
          })
        }
      }
      offset = batch.lastOffset + 1
    }
    expect(offset).toBeGreaterThan(before)
  }
}

/** Writes key `i % keys` round after round; answers with the last offset of each key. */
async function fill(engine: Engine, topic: string, rounds: number, keys: number) {
  const last = new Map<string, Stored>()
  for (let round = 0; round < rounds; round += 1) {
    for (let i = 0; i < keys; i += 1) {
      const key = `k${i}`
      const value = `${round}-${i}-${'x'.repeat(200)}`
      const offset = await put(engine, topic, [{ key, value }])
      last.set(key, { offset, key, value })
    }
  }
  return [...last.values()].sort((a, b) => a.offset - b.offset)
}

describe('a compacted topic', () => {
  test('keeps the last value of each key at its offset, over restarts', async () => {
    const folder = temporaryFolder()
    const events: EngineEvent[] = []
    const engine = await open({ folder, onEvent: event => events.push(event) })
    await createTopic(engine, 't', COMPACT)
    const last = await fill(engine, 't', 20, 7)
    const [report] = await engine.compactNow('t')
    expect(await read(engine, 't')).toEqual(last)
    expect(report).toMatchObject({ topic: 't', partition: 0, recordsRemoved: 133, cleanedTo: 140 })
    expect(report?.bytesAfter).toBeLessThan((report?.bytesBefore ?? 0) / 10)
    expect(events.filter(({ message }) => message.includes('cleaned up to')).length).toBe(1)
    for (let offset = 0; offset < 140; offset += 1) {
      expect(await read(engine, 't', offset)).toEqual(last.filter(r => r.offset >= offset))
    }
    const files = readdirSync(join(folder, 'partitions', '16')).sort()
    expect(files).toEqual([`${FIRST_SEGMENT}-1.index`, `${FIRST_SEGMENT}-1.log`])
    const crashed = await open({ folder: killed(folder) })
    expect(await read(crashed, 't')).toEqual(last)
    await engine.close()
    expect(verifyFolder(nodeDisk(folder)).findings).toEqual([])
    const again = await open({ folder })
    expect(await read(again, 't')).toEqual(last)
    expect(await put(again, 't', [{ key: 'new', value: 'v' }])).toBe(140)
    expect((await read(again, 't')).length).toBe(8)
  })

  test('with more keys than there is memory for takes several rounds to the same end', async () => {
    const events: EngineEvent[] = []
    const engine = await open({
      settings: { 'log.cleaner.dedupe.buffer.size': 1024 },
      onEvent: event => events.push(event),
    })
    await createTopic(engine, 't', COMPACT)
    const last = await fill(engine, 't', 3, 100)
    const [report] = await engine.compactNow('t')
    expect(report?.recordsRemoved).toBe(200)
    expect(await read(engine, 't')).toEqual(last)
    expect(events.at(-1)?.message).toMatch(/200 records removed in 1\d rounds/)
  })

  test('takes appends and reads while it is cleaned', async () => {
    const engine = await open({ settings: { 'log.cleaner.io.max.bytes.per.second': 1 << 19 } })
    await createTopic(engine, 't', { ...COMPACT, 'segment.bytes': '65536' })
    const last = await fill(engine, 't', 100, 10)
    const [slice] = await engine.fetchSlices({
      positions: [{ topic: 't', partition: 0, offset: 0, maxBytes: 1 << 20 }],
      ...{ minBytes: 0, maxBytes: 1 << 20, maxWaitMs: 0, isolation: 'read_uncommitted' },
    })
    let done = false
    const cleaning = engine.compactNow('t').finally(() => {
      done = true
    })
    let appended = 0
    while (!done) {
      await put(engine, 't', [{ key: `new-${appended}`, value: 'x' }])
      appended += 1
      // Not as fast as can be: a journal that never rests cannot be scrubbed, and says so.
      await new Promise(resolve => setTimeout(resolve, 10))
    }
    expect((await cleaning)[0]?.recordsRemoved).toBe(990)
    expect(appended).toBeGreaterThan(10)
    expect((await read(engine, 't')).slice(0, 10)).toEqual(last)
    expect((await read(engine, 't')).length).toBe(10 + appended)
    // The file that was replaced is read to its end by whoever had begun.
    const bytes = Buffer.alloc(slice?.records.byteLength ?? 0)
    slice?.records.read(0, bytes)
    slice?.records.release()
    expect([...decodeBatches(bytes)].length).toBeGreaterThan(100)
  })

  test('is cleaned within max.compaction.lag.ms, though nobody appends any more', async () => {
    const engine = await open({
      settings: { 'log.cleaner.backoff.ms': 100, 'checkpoint.interval.ms': 100 },
    })
    await createTopic(engine, 't', {
      'cleanup.policy': 'compact',
      'max.compaction.lag.ms': '200',
      'delete.retention.ms': '100',
    })
    await put(engine, 't', [{ key: 'a', value: '1' }])
    await put(engine, 't', [{ key: 'b', value: '1' }])
    await put(engine, 't', [{ key: 'a', value: null }])
    await until(async () => (await read(engine, 't')).length === 1)
    expect(await read(engine, 't')).toEqual([{ offset: 1, key: 'b', value: '1' }])
  })

  test('that is deleted from, too, loses old segments, and what lies below the log start', async () => {
    const engine = await open({ settings: { 'log.retention.check.interval.ms': 100 } })
    await createTopic(engine, 't', { ...COMPACT, 'cleanup.policy': 'compact,delete' })
    const last = await fill(engine, 't', 1, 100)
    const target = { topic: 't', partition: 0, offset: 50 }
    expect((await engine.deleteRecords([target]))[0]?.lowWatermark).toBe(50)
    const [report] = await engine.compactNow('t')
    expect(report?.recordsRemoved).toBeGreaterThan(0)
    expect(await read(engine, 't', 50)).toEqual(last.slice(50))
    await engine.alterConfig('t', [{ name: 'retention.bytes', operation: 'set', value: '8192' }])
    await until(async () => {
      const query = { topic: 't', partition: 0, place: 'earliest' } as const
      return ((await engine.listOffsets([query]))[0]?.offset ?? 0) > 50
    })
  })

  test('that was not one before loses its records without a key', async () => {
    const engine = await open()
    await createTopic(engine, 't', { 'segment.bytes': '4096' })
    await store(engine, 't', ['keyless'])
    await put(engine, 't', [{ key: 'a', value: '1' }])
    const change = { name: 'cleanup.policy', operation: 'set', value: 'compact' } as const
    await engine.alterConfig('t', [change])
    await engine.compactNow('t')
    expect(await read(engine, 't')).toEqual([{ offset: 1, key: 'a', value: '1' }])
  })

  test('is the only kind that is compacted at once', async () => {
    const engine = await open()
    await createTopic(engine, 'plain')
    expect(await codeOf(engine.compactNow('plain'))).toBe('POLICY_VIOLATION')
    expect(await codeOf(engine.compactNow('none'))).toBe('UNKNOWN_TOPIC_OR_PARTITION')
    expect(await codeOf(engine.compactNow('__consumer_offsets'))).toBe('INVALID_TOPIC_EXCEPTION')
  })

  test('that is closed in the middle of a cleaning is as it was', async () => {
    const folder = temporaryFolder()
    const begun = Promise.withResolvers<void>()
    let isFilled = false
    const onRead = (path: string): void => {
      if (isFilled && path.endsWith('.log')) begun.resolve()
    }
    const engine = await open({
      folder,
      disk: new WrappedDisk(nodeDisk(folder), { onRead }),
      settings: { 'log.cleaner.io.max.bytes.per.second': 65_536 },
    })
    await createTopic(engine, 't', { ...COMPACT, 'segment.bytes': '1048576' })
    const last = await fill(engine, 't', 100, 10)
    isFilled = true
    const cleaning = codeOf(engine.compactNow('t'))
    await begun.promise
    await engine.close()
    expect(['KAFKA_STORAGE_ERROR', 'LOG_CLOSED']).toContain(await cleaning)
    expect(verifyFolder(nodeDisk(folder)).findings).toEqual([])
    const again = await open({ folder })
    expect((await read(again, 't')).length).toBe(1000)
    await again.compactNow('t')
    expect(await read(again, 't')).toEqual(last)
  })
})

describe('a cleaning that the disk does not let end', () => {
  /** An engine on a disk that somebody interferes with, a filled topic, and what was told. */
  async function scene(on: Interference) {
    const events: EngineEvent[] = []
    const folder = temporaryFolder()
    const disk = new WrappedDisk(nodeDisk(folder), on)
    const engine = await open({ folder, disk, onEvent: event => events.push(event) })
    await createTopic(engine, 't', COMPACT)
    await fill(engine, 't', 10, 5)
    return { engine, events, folder, before: await read(engine, 't') }
  }

  test('for want of room leaves everything as it was, and succeeds when there is room', async () => {
    let full = true
    const { engine, events, folder, before } = await scene({
      onWrite: path => {
        if (full && path.endsWith('-1.log')) throw new DiskError('ENOSPC', path, 'no room')
      },
    })
    expect(await codeOf(engine.compactNow('t'))).toBe('KAFKA_STORAGE_ERROR')
    expect(events.at(-1)).toMatchObject({ level: 'warn' })
    expect(await read(engine, 't')).toEqual(before)
    const names = readdirSync(join(folder, 'partitions', '16'))
    expect(names.filter(name => name.includes('-1'))).toEqual([])
    expect(engine.health().partitions).toEqual([])
    full = false
    await engine.compactNow('t')
    expect((await read(engine, 't')).length).toBe(5)
  })

  test('is not begun where the new segment would not fit', async () => {
    const interference: Interference = {}
    const { engine, before } = await scene(interference)
    interference.free = 100
    expect(await codeOf(engine.compactNow('t'))).toBe('KAFKA_STORAGE_ERROR')
    expect(await read(engine, 't')).toEqual(before)
  })

  test('by a failed sync throws the new segment away', async () => {
    const { engine, before } = await scene({
      onSync: path => {
        if (path.endsWith('-1.log')) throw new DiskError('EIO', path, 'no sync')
      },
    })
    expect(await codeOf(engine.compactNow('t'))).toBe('KAFKA_STORAGE_ERROR')
    expect(await read(engine, 't')).toEqual(before)
    expect(engine.health().partitions).toEqual([])
  })
})

test('an old file that the disk does not let go is told of, and goes later', async () => {
  const folder = temporaryFolder()
  const events: EngineEvent[] = []
  let stuck = true
  const disk = new WrappedDisk(nodeDisk(folder), {
    onUnlink: path => {
      if (stuck && path.endsWith('.log')) throw new DiskError('EIO', path, 'no unlink')
    },
  })
  const engine = await open({ folder, disk, onEvent: event => events.push(event) })
  await createTopic(engine, 't', COMPACT)
  const last = await fill(engine, 't', 10, 5)
  expect(await codeOf(engine.compactNow('t'))).toBe('KAFKA_STORAGE_ERROR')
  expect(events.some(({ message }) => message.includes('an old segment stays'))).toBe(true)
  expect(await read(engine, 't')).toEqual(last)
  stuck = false
  await engine.compactNow('t')
  const names = readdirSync(join(folder, 'partitions', '16')).filter(name => name.endsWith('.log'))
  expect(names).toEqual([`${FIRST_SEGMENT}-1.log`])
})

describe('a cleaned segment', () => {
  async function cleaned() {
    const folder = temporaryFolder()
    const engine = await open({ folder })
    await createTopic(engine, 't', COMPACT)
    const last = await fill(engine, 't', 10, 5)
    await engine.compactNow('t')
    await engine.close()
    const path = `partitions/16/${FIRST_SEGMENT}-1.log`
    return { folder, last, path }
  }

  function flip(path: string, at: number): void {
    const file = openSync(path, 'r+')
    const byte = Buffer.alloc(1)
    readSync(file, byte, 0, 1, at)
    writeSync(file, Buffer.from([byte.readUInt8(0) ^ 1]), 0, 1, at)
    closeSync(file)
  }

  test('is dumped with its gaps', async () => {
    const { folder, last, path } = await cleaned()
    const lines = [...dumpSegment(nodeDisk(folder), path, { records: true })]
    const offsets = lines.map(line => ('baseOffset' in line ? line.baseOffset : -1))
    expect(offsets).toEqual(last.map(({ offset }) => offset))
  })

  test.each([
    ['in a record', 100],
    ['in a base offset, which no checksum of a batch covers', 7],
  ])('that is damaged %s is found by verify and never served', async (_, at) => {
    const { folder, path } = await cleaned()
    flip(join(folder, path), at)
    const { findings } = verifyFolder(nodeDisk(folder))
    expect(findings[0]).toMatchObject({ severity: 'damage', path })
    const engine = await open({ folder })
    await expect(read(engine, 't')).rejects.toThrow(path)
    expect(engine.health().partitions).toMatchObject([{ state: 'quarantined' }])
    expect(await codeOf(engine.compactNow('t'))).toBe('KAFKA_STORAGE_ERROR')
  })

  test('that is damaged costs a repair what is damaged, and nothing else', async () => {
    const { folder, last, path } = await cleaned()
    flip(join(folder, path), 900) // within the fourth of five batches
    const repaired = await open({ folder, acceptLoss: true })
    const [query] = await repaired.listOffsets([{ topic: 't', partition: 0, place: 'latest' }])
    expect(query?.offset).toBe(50)
    expect(await put(repaired, 't', [{ key: 'new', value: 'v' }])).toBe(50)
    const kept = (await read(repaired, 't')).map(({ offset }) => offset)
    const whole = last.filter((_, i) => i !== 3)
    expect(kept).toEqual([...whole.map(({ offset }) => offset), 50])
  })
})
