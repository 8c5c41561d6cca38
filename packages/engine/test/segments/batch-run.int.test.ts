// Runs: what is written by the run is, byte for byte and sum for sum, what single batches make.
import { baseOffsetOf } from '@millrace/log'
import { describe, expect, test } from 'vitest'
import { nodeDisk } from '../../src/disk/node-disk.ts'
import { PartitionLog } from '../../src/partitions/partition-log.ts'
import { topicConfigOf } from '../../src/partitions/topic-config.ts'
import {
  batchesIn,
  gatherRuns,
  offsetBehind,
  RUN_BATCH_BYTES_MAX,
} from '../../src/segments/batch-run.ts'
import { FileCache } from '../../src/segments/file-cache.ts'
import { SmallSegments } from '../../src/segments/small-segments.ts'
import { batchOf, temporaryFolder } from '../storage/support.ts'

/** Batches of these sizes of values, one after another, with times that go up and down. */
function batchesOf(sizes: readonly number[], first = 0): Buffer[] {
  let baseOffset = first
  return sizes.map((valueBytes, i) => {
    const records = 1 + (i % 3)
    const timestamp = 1000 + ((i * 37) % 50)
    const batch = batchOf(records, { baseOffset, valueBytes, timestamp })
    baseOffset += records
    return batch
  })
}

/** A staging area in which other entries lie between these. */
function staged(batches: readonly Buffer[]) {
  const places: { at: number; bytes: number }[] = []
  let at = 64
  for (const { length: bytes } of batches) {
    places.push({ at, bytes })
    at += bytes + 100
  }
  const staging = Buffer.alloc(at, 0xee)
  for (const [i, batch] of batches.entries()) batch.copy(staging, places[i]?.at)
  return { staging, places }
}

function logOf(segmentBytes: number, smallBytes = 0): PartitionLog {
  const disk = nodeDisk(temporaryFolder())
  const config = topicConfigOf({ 'segment.bytes': String(segmentBytes) }, {})
  return new PartitionLog({
    id: 16,
    topic: 't',
    partition: 0,
    disk,
    cache: new FileCache(disk, 5000),
    small: new SmallSegments({ segmentBytesMax: smallBytes, bytesMax: 4 * smallBytes }),
    producersMax: 10,
    config: () => config,
  })
}

function bytesOf(log: PartitionLog): Buffer {
  const all = log.segments.map(segment => {
    const bytes = Buffer.alloc(segment.bytes)
    segment.read(0, bytes)
    return bytes
  })
  return Buffer.concat(all)
}

const SHAPES: Readonly<Record<string, readonly number[]>> = {
  'small ones': Array.from({ length: 300 }, (_, i) => 60 + (i % 90)),
  'small and large ones': [10, 20, 6000, 30, 9000, 9000, 40, 50, 6000],
  'more than are gathered at once': Array.from({ length: 400 }, () => 1200),
  'a single one': [100],
}

describe('runs of batches', () => {
  test.each(Object.keys(SHAPES))('hold %s whole and in order', shape => {
    const batches = batchesOf(SHAPES[shape] ?? [])
    const { staging, places } = staged(batches)
    const runs = gatherRuns(staging, places)
    expect(runs.flatMap(batchesIn).map(each => baseOffsetOf(each))).toEqual(
      batches.map(each => baseOffsetOf(each)),
    )
    expect(Buffer.concat([...runs]).equals(Buffer.concat(batches))).toBe(true)
    const last = runs.at(-1)
    expect(last === undefined ? -1 : offsetBehind(last)).toBe(
      batches.reduce((sum, _, i) => sum + 1 + (i % 3), 0),
    )
  })

  test.each(Object.keys(SHAPES))('make the segments that single batches make: %s', shape => {
    for (const segmentBytes of [4096, 20_000, 1 << 30]) {
      const [byRun, byBatch] = [logOf(segmentBytes), logOf(segmentBytes)]
      const sizes = SHAPES[shape] ?? []
      for (let round = 0, first = 0; round < 3; round += 1) {
        const batches = batchesOf(sizes, first)
        first = batches.reduce((_, batch) => offsetBehind(batch), first)
        for (const log of [byRun, byBatch]) log.take(first - log.nextOffset, 1)
        const { staging, places } = staged(batches)
        byRun.apply(gatherRuns(staging, places), 5)
        for (const batch of batches) byBatch.apply([batch], 5)
      }
      expect(byRun.record()).toEqual(byBatch.record())
      expect(bytesOf(byRun).equals(bytesOf(byBatch))).toBe(true)
      for (let offset = 0; offset < byRun.highWatermark; offset += 13) {
        const at = (log: PartitionLog) => {
          const range = log.locate(offset, 5000)
          return range === undefined || 'batches' in range
            ? undefined
            : [range.segment.baseOffset, range.position, range.bytes]
        }
        expect(at(byRun)).toEqual(at(byBatch))
      }
    }
  })

  test('gather no batch of which a copy would cost more than it saves', () => {
    const batches = batchesOf([RUN_BATCH_BYTES_MAX, RUN_BATCH_BYTES_MAX])
    const { staging, places } = staged(batches)
    const runs = gatherRuns(staging, places)
    expect(runs.map(({ buffer }) => buffer)).toEqual([staging.buffer, staging.buffer])
  })

  test('are not taken apart where a batch claims more than is there', () => {
    const [batch] = batchesOf([10])
    expect(() => batchesIn((batch as Buffer).subarray(0, 70))).toThrow('at 0 of a run of 70')
    expect(() => batchesIn(Buffer.alloc(100))).toThrow('12 bytes')
  })
})
