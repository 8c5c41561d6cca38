// One partition: rolling, epochs, times, and what it does when something fails.

import { systemOutside, Turns } from '@millrace/base'
import { rawBatch } from '@millrace/conformance/log'
import {
  baseOffsetOf,
  type LogError,
  lastOffsetOf,
  recordCountOf,
  setBatchPosition,
} from '@millrace/log'
import { describe, expect, test } from 'vitest'
import { DiskError, type DiskErrorCode } from '../../src/disk/disk.ts'
import { nodeDisk } from '../../src/disk/node-disk.ts'
import { PartitionLog } from '../../src/partitions/partition-log.ts'
import { TimeSearch } from '../../src/partitions/time-search.ts'
import { type TopicConfig, topicConfigOf } from '../../src/partitions/topic-config.ts'
import { FileCache } from '../../src/segments/file-cache.ts'
import { SmallSegments } from '../../src/segments/small-segments.ts'
import { batchOf, temporaryFolder, WrappedDisk } from '../storage/support.ts'

const NOW = 1_700_000_000_000
const search = new TimeSearch(new Turns(systemOutside({ keepAlive: false }), 10))

function partitionOf(overrides: Readonly<Record<string, string>> = {}, smallBytes = 0) {
  const fault: { code: DiskErrorCode | undefined } = { code: undefined }
  const disk = new WrappedDisk(nodeDisk(temporaryFolder()), {
    onWrite: path => {
      if (fault.code !== undefined) throw new DiskError(fault.code, path, 'as the test asked')
    },
  })
  const cache = new FileCache(disk, 16)
  const config: TopicConfig = topicConfigOf(overrides, {})
  const small = new SmallSegments({ segmentBytesMax: smallBytes, bytesMax: 4 * smallBytes })
  const parts = { disk, cache, small, producersMax: 10, config: () => config }
  const log = new PartitionLog({ ...parts, id: 16, topic: 't', partition: 0 })
  const make = (): PartitionLog => new PartitionLog({ ...parts, id: 16, topic: 't', partition: 0 })
  return { log, disk, cache, fault, make }
}

/** Appends a batch as the store does: offsets taken, then applied. */
function append(log: PartitionLog, records = 1, options: { time?: number; now?: number } = {}) {
  const baseOffset = log.take(records, 1)
  const { time = NOW, now = NOW } = options
  log.apply([batchOf(records, { baseOffset, valueBytes: 1000, timestamp: time })], now)
  return baseOffset
}

/** A batch that says it is gzip and is not. */
const unreadable = (maxTimestamp: number, count = 1): Buffer =>
  rawBatch([], { compression: 'gzip', payload: () => Buffer.alloc(20), maxTimestamp, count })

/** Stores a batch as it is, as a log would that looks at no records. */
function storeRaw(log: PartitionLog, batch: Buffer): void {
  setBatchPosition(batch, 0, log.take(recordCountOf(batch), 1), 0)
  log.apply([batch], NOW)
}

const bases = (log: PartitionLog): number[] => log.segments.map(({ baseOffset }) => baseOffset)

const codeOf = (work: () => unknown): string => {
  try {
    work()
    return 'none'
  } catch (cause) {
    return (cause as LogError).code
  }
}

/** The batches from `offset` on, wherever they are. */
function bytesAt(log: PartitionLog, offset: number): Buffer {
  const range = log.locate(offset, 1)
  if (range === undefined) throw new Error(`nothing at ${offset}`)
  if ('batches' in range) return Buffer.concat(range.batches)
  const bytes = Buffer.alloc(range.bytes)
  range.segment.read(range.position, bytes)
  return bytes
}

describe('a partition', () => {
  test('gives out offsets at once and shows records when they are applied', () => {
    const { log } = partitionOf()
    expect(log.take(3, 7)).toBe(0)
    expect(log.take(2, 8)).toBe(3)
    expect([log.nextOffset, log.highWatermark, log.lastGroup]).toEqual([5, 0, 8])
    expect(log.locate(0, 100)).toBeUndefined()
    log.apply([batchOf(3, { baseOffset: 0 })], NOW)
    expect(log.highWatermark).toBe(3)
    expect(log.locate(0, 100)?.bytes).toBeGreaterThan(0)
    expect(log.locate(3, 100)).toBeUndefined()
  })

  test('begins a new segment where a batch would make it larger than segment.bytes', () => {
    const { log } = partitionOf({ 'segment.bytes': '4096' })
    for (let i = 0; i < 10; i += 1) append(log)
    expect(bases(log)).toEqual([0, 3, 6, 9])
    for (const segment of log.segments) expect(segment.bytes).toBeLessThanOrEqual(4096)
    for (let offset = 0; offset < 10; offset += 1) {
      const baseOffset = offset - (offset % 3)
      expect(log.locate(offset, 1)).toMatchObject({ segment: { baseOffset } })
    }
  })

  test('splits one group over as many segments as it takes', () => {
    const { log } = partitionOf({ 'segment.bytes': '4096' })
    const group = Array.from({ length: 7 }, () =>
      batchOf(1, { baseOffset: log.take(1, 1), valueBytes: 1000 }),
    )
    log.apply(group, NOW)
    expect(bases(log)).toEqual([0, 3, 6])
    expect(log.highWatermark).toBe(7)
  })

  test('takes a batch larger than segment.bytes into a segment of its own', () => {
    const { log } = partitionOf({ 'segment.bytes': '4096' })
    append(log)
    append(log, 9)
    append(log)
    expect(bases(log)).toEqual([0, 1, 10])
  })

  test('begins a new segment when the last is older than segment.ms, not when it is as old', () => {
    const { log } = partitionOf({ 'segment.ms': '1000' })
    append(log)
    append(log, 1, { now: NOW + 1000 })
    expect(bases(log)).toEqual([0])
    append(log, 1, { now: NOW + 1001 })
    expect(bases(log)).toEqual([0, 2])
  })

  test('rolls once, and not at all while it is empty', () => {
    const { log } = partitionOf()
    log.roll(NOW)
    expect(bases(log)).toEqual([])
    append(log)
    log.roll(NOW)
    log.roll(NOW)
    expect(bases(log)).toEqual([0, 1])
    append(log)
    expect(bases(log)).toEqual([0, 1])
  })

  test('has a name to be synced when the file of a segment is created, not when it is begun', () => {
    const { log } = partitionOf()
    append(log)
    log.namesDirty = false
    append(log)
    expect(log.namesDirty).toBe(false)
    log.roll(NOW)
    log.namesDirty = false // a checkpoint has synced the folder, in which the file is not yet
    append(log)
    expect(log.namesDirty).toBe(true)
  })

  test('tells where an epoch ended (KIP-320)', () => {
    const { log } = partitionOf()
    append(log, 5)
    log.startEpoch()
    append(log, 3)
    log.startEpoch()
    append(log, 2)
    expect(log.epochs).toEqual([
      [0, 0],
      [1, 5],
      [2, 8],
    ])
    expect(log.endOfEpoch(0)).toEqual({ leaderEpoch: 0, endOffset: 5 })
    expect(log.endOfEpoch(1)).toEqual({ leaderEpoch: 1, endOffset: 8 })
    expect(log.endOfEpoch(2)).toEqual({ leaderEpoch: 2, endOffset: 10 })
    expect(log.endOfEpoch(3)).toEqual({ leaderEpoch: -1, endOffset: -1 })
    expect(log.endOfEpoch(-1)).toEqual({ leaderEpoch: -1, endOffset: -1 })
    expect([0, 4, 5, 7, 8, 99].map(offset => log.epochAt(offset))).toEqual([0, 0, 1, 1, 2, 2])
  })

  test('finds records by time across segments, and only above the log start', async () => {
    const { log } = partitionOf({ 'segment.bytes': '4096' })
    for (let i = 0; i < 12; i += 1) append(log, 1, { time: NOW + i * 10 })
    expect(await log.recordAtTime(NOW, search)).toEqual({ offset: 0, timestamp: NOW })
    expect(await log.recordAtTime(NOW + 41, search)).toEqual({ offset: 5, timestamp: NOW + 50 })
    expect(await log.recordAtTime(NOW + 110, search)).toEqual({ offset: 11, timestamp: NOW + 110 })
    expect(await log.recordAtTime(NOW + 111, search)).toBeNull()
    log.moveLogStart(7)
    expect(await log.recordAtTime(NOW, search)).toEqual({ offset: 7, timestamp: NOW + 70 })
  })

  test('finds the first record with the largest time, and only above the log start', async () => {
    const { log } = partitionOf({ 'segment.bytes': '4096' })
    expect(await log.recordOfMaxTimestamp(search)).toBeNull()
    for (const time of [10, 90, 30, 90, 20, 50, 40]) append(log, 1, { time: NOW + time })
    expect(await log.recordOfMaxTimestamp(search)).toEqual({ offset: 1, timestamp: NOW + 90 })
    log.moveLogStart(2)
    expect(await log.recordOfMaxTimestamp(search)).toEqual({ offset: 3, timestamp: NOW + 90 })
    log.moveLogStart(4)
    expect(await log.recordOfMaxTimestamp(search)).toEqual({ offset: 5, timestamp: NOW + 50 })
    log.moveLogStart(7)
    expect(await log.recordOfMaxTimestamp(search)).toBeNull()
  })

  test('opens one batch to find the largest time, however many have it', async () => {
    const { log } = partitionOf()
    append(log, 2)
    // Whoever opened these would throw.
    for (let i = 0; i < 5; i += 1) storeRaw(log, unreadable(NOW))
    expect(await log.recordOfMaxTimestamp(search)).toEqual({ offset: 0, timestamp: NOW })
    log.moveLogStart(1)
    expect(await log.recordOfMaxTimestamp(search)).toEqual({ offset: 1, timestamp: NOW })
  })

  test('lives on with what older versions stored unseen: counts and times that lie', async () => {
    const { log, make } = partitionOf()
    append(log)
    // 2^31 - 1 records in 81 bytes, again and again, and a time far ahead.
    for (let i = 0; i < 6; i += 1) storeRaw(log, unreadable(NOW + 1e12, 2 ** 31 - 1))
    append(log, 1, { time: NOW + 5 })
    expect(log.nextOffset).toBe(6 * (2 ** 31 - 1) + 2)
    // No index holds more offsets, so there are more segments than their bytes ask for.
    expect(bases(log).length).toBeGreaterThan(2)
    for (const segment of log.segments) {
      expect(segment.nextOffset - segment.baseOffset).toBeLessThanOrEqual(2 ** 31)
      await segment.sync()
      segment.saveIndex()
    }
    const again = make()
    again.restore(log.record())
    const last = log.nextOffset - 1
    for (const each of [log, again]) {
      expect(each.locate(0, 100)?.bytes).toBeGreaterThan(0)
      expect(each.locate(last, 100)?.bytes).toBeGreaterThan(0)
      // Queries by time say what is wrong instead of passing over it, until it is deleted.
      await expect(each.recordAtTime(NOW + 5, search)).rejects.toMatchObject({
        code: 'CORRUPT_MESSAGE',
      })
      each.moveLogStart(last)
      expect(await each.recordAtTime(NOW + 5, search)).toEqual({ offset: last, timestamp: NOW + 5 })
      expect(await each.recordOfMaxTimestamp(search)).toEqual({ offset: last, timestamp: NOW + 5 })
    }
  })

  test('gives out no offset beyond 2^53 - 1, and so none twice', () => {
    const { log } = partitionOf()
    log.skipTo(Number.MAX_SAFE_INTEGER - 3)
    expect(log.take(2, 1)).toBe(Number.MAX_SAFE_INTEGER - 3)
    expect(() => log.take(2, 1)).toThrow(/cannot be taken/)
    expect(() => log.take(0, 1)).toThrow(/cannot be taken/)
    expect(log.take(1, 1)).toBe(Number.MAX_SAFE_INTEGER - 1)
  })

  test('moves its log start up and never back, and keeps its last segment', () => {
    const { log } = partitionOf({ 'segment.bytes': '4096' })
    for (let i = 0; i < 10; i += 1) append(log)
    log.moveLogStart(7)
    log.moveLogStart(2)
    expect(log.logStart).toBe(7)
    expect(log.obsoleteSegments().map(({ baseOffset }) => baseOffset)).toEqual([0, 3])
    log.moveLogStart(10)
    expect(log.obsoleteSegments()).toHaveLength(3)
  })

  test('wakes who waits when something changes, each change once', () => {
    const { log } = partitionOf()
    let woken = 0
    log.waiters.add({
      wake: () => {
        woken += 1
      },
    })
    append(log)
    expect(woken).toBe(1)
    log.quarantine('a test')
    expect(woken).toBe(2)
    log.delete()
    expect(woken).toBe(2)
    log.leave()
    expect(woken).toBe(3)
  })

  test('takes batches until its deletion is durable', async () => {
    const { log } = partitionOf()
    append(log)
    log.delete()
    append(log)
    expect(log.highWatermark).toBe(2)
    log.remove()
    append(log)
    expect(log.highWatermark).toBe(2)
  })

  test.each(['ENOSPC', 'EMFILE', 'ENOMEM'] as const)(
    'what %s keeps from its segment is read from memory, in order, until there is room',
    async code => {
      const { log, fault } = partitionOf()
      append(log)
      fault.code = code
      append(log, 2)
      append(log, 3)
      expect(log.trouble).toBeUndefined()
      expect([log.highWatermark, log.nextOffset]).toEqual([6, 6])
      expect(log.lacks?.code).toBe(code)
      const read = [1, 4].map(offset => bytesAt(log, offset))
      expect(read.map(bytes => [baseOffsetOf(bytes), lastOffsetOf(bytes)])).toEqual([
        [1, 2],
        [3, 5],
      ])
      expect((await log.recordAtTime(0, search))?.offset).toBe(0)
      log.moveLogStart(2)
      expect((await log.recordAtTime(0, search))?.offset).toBe(2)
      expect((await log.recordOfMaxTimestamp(search))?.offset).toBe(2)
      expect(log.record().nextOffset).toBe(1)
      log.retryWaiting(NOW)
      expect(log.lacks?.code).toBe(code)
      fault.code = undefined
      log.retryWaiting(NOW)
      expect(log.lacks).toBeUndefined()
      expect([log.highWatermark, log.waitingBytes, log.record().nextOffset]).toEqual([6, 0, 6])
      expect([1, 4].map(offset => bytesAt(log, offset))).toEqual(read)
    },
  )

  test('waiting batches survive the reuse of the memory that they came in', () => {
    const { log, fault } = partitionOf()
    const memory = batchOf(1, { baseOffset: log.take(1, 1) })
    const right = Buffer.from(memory)
    fault.code = 'ENOSPC'
    log.apply([memory], NOW)
    memory.fill(0)
    fault.code = undefined
    expect(bytesAt(log, 0)).toEqual(right)
    log.retryWaiting(NOW)
    expect(bytesAt(log, 0)).toEqual(right)
  })

  test('is fenced by any other failed write: all that is durable is read, nothing more is written', () => {
    const { log, fault } = partitionOf()
    append(log)
    fault.code = 'EIO'
    append(log)
    expect(log.trouble?.state).toBe('fenced')
    fault.code = undefined
    append(log)
    log.retryWaiting(NOW)
    expect([log.highWatermark, log.record().nextOffset]).toEqual([3, 1])
    expect(log.lacks).toBeUndefined()
    expect([0, 1, 2].map(offset => baseOffsetOf(bytesAt(log, offset)))).toEqual([0, 1, 2])
  })

  test('keeps the first reason of its trouble', () => {
    const { log } = partitionOf()
    log.quarantine('first')
    log.fence('second')
    expect(log.trouble).toEqual({ state: 'quarantined', reason: 'first' })
  })

  test('is quarantined by damage that a read finds, and answers with a code', async () => {
    const { log, disk, cache, make } = partitionOf({ 'segment.bytes': '4096' })
    for (let i = 0; i < 6; i += 1) append(log)
    for (const segment of log.segments) await segment.sync()
    for (const segment of log.segments) segment.saveIndex()
    const record = log.record()
    for (const { path } of log.segments) cache.forget(path)
    const path = log.segments[0]?.path ?? ''
    disk.open(path, 'write').write(100, [Buffer.from('damage')])
    const next = make()
    next.restore(record)
    expect(next.trouble).toBeUndefined()
    expect(next.locate(4, 1)?.bytes).toBeGreaterThan(0)
    expect(codeOf(() => next.locate(0, 1))).toBe('KAFKA_STORAGE_ERROR')
    expect(next.trouble?.state).toBe('quarantined')
    expect(next.trouble?.reason).toContain(path)
    expect(next.locate(4, 1)?.bytes).toBeGreaterThan(0)
  })

  test('comes back from its record with ends, epochs and segments', async () => {
    const { log, make } = partitionOf({ 'segment.bytes': '4096' })
    for (let i = 0; i < 5; i += 1) append(log)
    log.startEpoch()
    append(log)
    log.take(9, 2)
    for (const segment of log.segments) await segment.sync()
    const next = make()
    next.restore(structuredClone(log.record()))
    expect([next.logStart, next.nextOffset, next.highWatermark]).toEqual([0, 6, 6])
    expect(next.epochs).toEqual(log.epochs)
    expect(bases(next)).toEqual(bases(log))
    expect(next.locate(5, 1)).toMatchObject({ segment: { baseOffset: 3 } })
  })
})
