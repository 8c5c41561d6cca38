// Segments and their indexes: whole batches from any offset, checked before they are trusted.
import { baseOffsetOf, lastOffsetOf } from '@millrace/log'
import { describe, expect, test } from 'vitest'
import type { Disk } from '../../src/disk/disk.ts'
import { nodeDisk } from '../../src/disk/node-disk.ts'
import { DamageError } from '../../src/segments/damage.ts'
import { FileCache } from '../../src/segments/file-cache.ts'
import { Segment } from '../../src/segments/segment.ts'
import {
  CHECKSUM_BLOCK_BYTES,
  INDEX_INTERVAL_BYTES,
  SegmentIndex,
} from '../../src/segments/segment-index.ts'
import type { SegmentRecord } from '../../src/segments/segment-record.ts'
import { SmallSegments } from '../../src/segments/small-segments.ts'
import { batchOf, batchOfBytes, temporaryFolder, WrappedDisk } from '../storage/support.ts'

const BASE = 1000

/** A disk, and how many bytes were read of each file. */
function scene() {
  const read = new Map<string, number>()
  const disk = new WrappedDisk(nodeDisk(temporaryFolder()), {
    onRead: (path, _, bytes) => void read.set(path, (read.get(path) ?? 0) + bytes),
  })
  const cache = new FileCache(disk, 16)
  return { disk, cache, read }
}

function segmentOf(disk: Disk, cache: FileCache, record: Partial<SegmentRecord> = {}): Segment {
  disk.makeFolder('p')
  const fresh = {
    baseOffset: BASE,
    createdAt: 0,
    bytes: 0,
    nextOffset: record.baseOffset ?? BASE,
    maxTimestamp: -1,
    maxTimestampOffset: -1,
  }
  const place = {
    id: 16,
    folder: 'p',
    disk,
    cache,
    small: new SmallSegments({ segmentBytesMax: 0, bytesMax: 0 }),
    mayStaySmall: false,
    isSalvaged: false,
    beforeFile: () => undefined,
    knowsEpoch: () => true,
  }
  return new Segment(place, { ...fresh, ...record })
}

/** Batches of `records` records each, one after another from `from` on; time = 10 * offset. */
function batches(count: number, records: number, from: number, valueBytes = 1000): Buffer[] {
  return Array.from({ length: count }, (_, i) => {
    const baseOffset = from + i * records
    return batchOf(records, { baseOffset, valueBytes, timestamp: baseOffset * 10 })
  })
}

/** First and last offset of what a range holds. */
function offsetsIn(segment: Segment, offset: number, maxBytes: number): [number, number] | null {
  const { position, bytes } = segment.range(offset, maxBytes)
  if (bytes === 0) return null
  const read = Buffer.alloc(bytes)
  segment.read(position, read)
  let at = 0
  let last = -1
  while (at < bytes) {
    last = lastOffsetOf(read, at)
    at += 12 + read.readInt32BE(at + 8)
  }
  expect(at).toBe(bytes)
  return [baseOffsetOf(read), last]
}

function flip(disk: Disk, path: string, at: number): void {
  const file = disk.open(path, 'write')
  const byte = Buffer.alloc(1)
  file.read(at, byte)
  file.write(at, [Buffer.from([byte.readUInt8(0) ^ 1])])
  file.close()
}

/** A synced segment of 300 batches of 3 records, about 900 KB, as another run finds it. */
async function written(saveIndex: boolean) {
  const { disk, cache, read } = scene()
  const segment = segmentOf(disk, cache)
  const all = batches(300, 3, BASE)
  segment.append(all.slice(0, 150))
  segment.append(all.slice(150))
  await segment.sync()
  if (saveIndex) segment.saveIndex()
  const record = segment.record()
  cache.closeAll()
  read.clear()
  const later = new FileCache(disk, 16)
  return { disk, cache: later, read, record, segment: segmentOf(disk, later, record), all }
}

describe('a segment', () => {
  test('gives the batch that holds an offset, also one in its middle', () => {
    const { disk, cache } = scene()
    const segment = segmentOf(disk, cache)
    segment.append(batches(100, 3, BASE))
    for (let offset = BASE; offset < BASE + 300; offset += 1) {
      const first = offset - ((offset - BASE) % 3)
      expect(offsetsIn(segment, offset, 1)).toEqual([first, first + 2])
    }
    expect(segment.range(BASE + 300, 1 << 20).bytes).toBe(0)
    cache.closeAll()
  })

  test('gives at most the bytes asked for, but always one whole batch', () => {
    const { disk, cache } = scene()
    const segment = segmentOf(disk, cache)
    const all = batches(100, 1, BASE)
    segment.append(all)
    const bytes = all[0]?.length ?? 0
    for (const [asked, got] of [
      [0, 1],
      [1, 1],
      [bytes, 1],
      [bytes + 1, 1],
      [2 * bytes - 1, 1],
      [2 * bytes, 2],
      [5 * bytes + 7, 5],
    ] as const) {
      expect(segment.range(BASE + 3, asked).bytes, `${asked} bytes`).toBe(got * bytes)
    }
    cache.closeAll()
  })

  test('gives whole batches also where a range ends at an index entry', () => {
    const { disk, cache } = scene()
    const segment = segmentOf(disk, cache)
    segment.append(batches(300, 2, BASE))
    for (let asked = 1; asked < 200_000; asked += 4999) {
      const range = offsetsIn(segment, BASE + 1, asked)
      expect(range?.[0]).toBe(BASE)
      expect(segment.range(BASE + 1, asked).bytes).toBeLessThanOrEqual(Math.max(asked, 2200))
    }
    expect(offsetsIn(segment, BASE, 1 << 30)).toEqual([BASE, BASE + 599])
    cache.closeAll()
  })

  test('takes batches of any size, larger than a block and than an index interval', () => {
    const { disk, cache } = scene()
    const segment = segmentOf(disk, cache)
    const sizes = [100, 2 * CHECKSUM_BLOCK_BYTES + 1, 71, INDEX_INTERVAL_BYTES, 80]
    segment.append(sizes.map((bytes, i) => batchOfBytes(bytes, { baseOffset: BASE + i })))
    sizes.forEach((bytes, i) => void expect(segment.range(BASE + i, 1).bytes).toBe(bytes))
    cache.closeAll()
  })

  test('finds the batches that reach a time, and none below the offset asked for', async () => {
    const { segment, cache } = await written(true)
    const found = (time: number, from = 0): number[] =>
      [...segment.batchesReaching(time, from)].flatMap(b =>
        b === undefined ? [] : [baseOffsetOf(b)],
      )
    expect(found(0)).toHaveLength(300)
    expect(found((BASE + 600) * 10)[0]).toBe(BASE + 600)
    expect(found((BASE + 600) * 10 + 1)[0]).toBe(BASE + 603)
    expect(found(0, BASE + 601)[0]).toBe(BASE + 600)
    expect(found(0, BASE + 603)[0]).toBe(BASE + 603)
    expect(found((BASE + 897) * 10 + 1)).toEqual([])
    cache.closeAll()
  })

  test('with an index file is read without being scanned, and with the same answers', async () => {
    const { segment, cache, read, disk } = await written(true)
    expect(segment.indexIsSaved).toBe(true)
    read.clear()
    expect(offsetsIn(segment, BASE + 451, 1)).toEqual([BASE + 450, BASE + 452])
    // The batch, the walk to it, and the block that is checked.
    expect(read.get(segment.path)).toBeLessThan(4 * CHECKSUM_BLOCK_BYTES)
    expect(disk.exists(segment.indexPath)).toBe(true)
    cache.closeAll()
  })

  test.each([
    ['missing', (disk: Disk, path: string) => disk.unlink(path)],
    ['flipped', (disk: Disk, path: string) => flip(disk, path, 70)],
    ['cut', (disk: Disk, path: string) => disk.open(path, 'write').truncate(100)],
    ['empty', (disk: Disk, path: string) => disk.open(path, 'write').truncate(0)],
  ])('builds a %s index again from the segment', async (_, harm) => {
    const { segment, cache, disk } = await written(true)
    harm(disk, segment.indexPath)
    expect(segment.indexIsSaved).toBe(false)
    expect(offsetsIn(segment, BASE + 451, 1)).toEqual([BASE + 450, BASE + 452])
    segment.saveIndex()
    expect(segment.indexIsSaved).toBe(true)
    cache.closeAll()
  })

  test('does not take the index of another segment or partition for its own', async () => {
    const { disk, cache, record } = await written(true)
    const path = `p/${String(BASE).padStart(20, '0')}.index`
    const file = disk.open(path, 'read')
    const bytes = Buffer.alloc(file.size())
    file.read(0, bytes)
    file.close()
    expect(SegmentIndex.decode(bytes, 16, BASE)?.summary).toMatchObject({ bytes: record.bytes })
    expect(SegmentIndex.decode(bytes, 17, BASE)).toBeNull()
    expect(SegmentIndex.decode(bytes, 16, BASE + 1)).toBeNull()
    cache.closeAll()
  })

  test('taken over goes on growing: old and new batches are found, and saved together', async () => {
    const { segment, cache, disk } = await written(true)
    segment.append(batches(200, 3, BASE + 900))
    expect(offsetsIn(segment, BASE + 1499, 1)).toEqual([BASE + 1497, BASE + 1499])
    expect(offsetsIn(segment, BASE + 1, 1)).toEqual([BASE, BASE + 2])
    expect(offsetsIn(segment, BASE + 899, 200_000)?.[0]).toBe(BASE + 897)
    expect(offsetsIn(segment, BASE + 899, 200_000)?.[1]).toBeGreaterThan(BASE + 950)
    const late = [...segment.batchesReaching((BASE + 1400) * 10, 0)].flatMap(b =>
      b === undefined ? [] : [baseOffsetOf(b)],
    )
    expect(late[0]).toBe(BASE + 1401)
    expect(segment.indexIsSaved).toBe(false)
    await segment.sync()
    segment.saveIndex()
    const third = segmentOf(disk, cache, segment.record())
    expect(third.indexIsSaved).toBe(true)
    third.range(third.baseOffset, 2 ** 30)
    expect(offsetsIn(third, BASE + 950, 1)).toEqual([BASE + 948, BASE + 950])
    cache.closeAll()
  })

  test('with an index that covers less than the segment is scanned, once', async () => {
    const { segment, cache, disk, read } = await written(true)
    segment.append(batches(10, 3, BASE + 900))
    await segment.sync()
    const record = segment.record()
    const next = segmentOf(disk, cache, record)
    expect(next.indexIsSaved).toBe(false)
    read.clear()
    expect(offsetsIn(next, BASE + 928, 1)).toEqual([BASE + 927, BASE + 929])
    expect(read.get(next.path)).toBeGreaterThan(record.bytes)
    read.clear()
    expect(offsetsIn(next, BASE + 100, 1)).toEqual([BASE + 99, BASE + 101])
    expect(read.get(next.path)).toBeLessThan(4 * CHECKSUM_BLOCK_BYTES)
    cache.closeAll()
  })

  test.each([true, false])('never serves a flipped byte (with an index file: %s)', async saved => {
    for (const at of [0, 8, 25, 61, 500, 65_535, 65_536, 400_000, -1]) {
      const { segment, cache, disk, record } = await written(saved)
      const position = at < 0 ? record.bytes - 1 : at
      flip(disk, segment.path, position)
      const serve = (): void => {
        for (let offset = BASE; offset < BASE + 900; offset += 30)
          offsetsIn(segment, offset, 40_000)
        segment.range(segment.baseOffset, 2 ** 30)
      }
      expect(serve, `byte ${position}`).toThrow(DamageError)
      cache.closeAll()
    }
  })

  test('names file and byte of the damage', async () => {
    const { segment, cache, disk } = await written(true)
    flip(disk, segment.path, 3 * CHECKSUM_BLOCK_BYTES + 5)
    expect(() => segment.range(segment.baseOffset, 2 ** 30)).toThrow(
      `${segment.path} is damaged at byte ${3 * CHECKSUM_BLOCK_BYTES}`,
    )
    cache.closeAll()
  })

  test('serves whole blocks beside a damaged one', async () => {
    const { segment, cache, disk } = await written(true)
    flip(disk, segment.path, 6 * CHECKSUM_BLOCK_BYTES)
    expect(offsetsIn(segment, BASE, 3000)?.[0]).toBe(BASE)
    expect(() => segment.range(BASE + 390, 1)).toThrow(DamageError)
    cache.closeAll()
  })

  test('whose index has to be built lets others work behind each MiB, and is walked once', async () => {
    const { disk, cache, read } = scene()
    const segment = segmentOf(disk, cache)
    segment.append(batches(900, 3, BASE, 2000))
    await segment.sync()
    const next = segmentOf(disk, cache, segment.record())
    expect(next.needsPreparing).toBe(true)
    read.clear()
    let most = 0
    let before = 0
    const pause = async (): Promise<void> => {
      const bytes = read.get(next.path) ?? 0
      most = Math.max(most, bytes - before)
      before = bytes
    }
    await Promise.all([next.prepare(pause), next.prepare(pause)])
    expect(most).toBeGreaterThan(0)
    expect(most).toBeLessThanOrEqual(3 << 20)
    expect(read.get(next.path)).toBeLessThan(2 * next.bytes)
    expect(next.needsPreparing).toBe(false)
    expect(offsetsIn(next, BASE + 451, 1)?.[0]).toBe(BASE + 450)
    cache.closeAll()
  })

  test('that is damaged is walked once, prepared or not', async () => {
    const { disk, cache, read } = scene()
    const segment = segmentOf(disk, cache)
    segment.append(batches(900, 3, BASE, 2000))
    await segment.sync()
    flip(disk, segment.path, 4 << 20)
    const next = segmentOf(disk, cache, segment.record())
    await expect(next.prepare(() => Promise.resolve())).rejects.toThrow(DamageError)
    read.clear()
    expect(next.needsPreparing).toBe(false)
    expect(() => next.range(BASE, 1)).toThrow(DamageError)
    expect(read.get(next.path) ?? 0).toBe(0)
    cache.closeAll()
  })

  test('can be read to the end by who holds it, after it was unlinked', async () => {
    const { segment, cache, disk, record } = await written(true)
    segment.hold()
    segment.unlink()
    expect(disk.exists(segment.path)).toBe(false)
    const bytes = Buffer.alloc(record.bytes)
    segment.read(0, bytes)
    expect(baseOffsetOf(bytes)).toBe(BASE)
    segment.letGo()
    expect(cache.openCount).toBe(0)
    expect(() => segment.read(0, bytes)).toThrow()
  })

  test('stays open while it holds unsynced bytes, whatever else is opened', async () => {
    const { disk } = scene()
    const cache = new FileCache(disk, 2)
    const segment = segmentOf(disk, cache)
    segment.append(batches(1, 1, BASE))
    for (let i = 0; i < 5; i += 1) {
      disk.open(`other-${i}`, 'create').close()
      cache.use(`other-${i}`, 'read')
    }
    expect(cache.openCount).toBe(2)
    expect(segment.dirty).toBe(true)
    await segment.sync()
    expect(segment.dirty).toBe(false)
    cache.use('other-0', 'read')
    cache.use('other-1', 'read')
    expect(cache.openCount).toBe(2)
    cache.closeAll()
  })
})

describe('the sparse index', () => {
  test('comes back from its file with every place and time', () => {
    const index = new SegmentIndex()
    for (let i = 0; i < 100; i += 1) index.note(BASE + i * 7, i * INDEX_INTERVAL_BYTES, i * 5)
    const summary = {
      bytes: 100 * INDEX_INTERVAL_BYTES,
      nextOffset: BASE + 700,
      maxTimestamp: 495,
      maxTimestampOffset: BASE + 693,
    }
    const decoded = SegmentIndex.decode(index.encode(3, BASE, summary, [1, 2, 3]), 3, BASE)
    expect(decoded?.summary).toEqual(summary)
    expect(decoded?.blocks).toEqual([1, 2, 3])
    expect([...(decoded?.index.places() ?? [])]).toEqual([...index.places()])
    for (const time of [-1, 0, 1, 250, 495, 496]) {
      expect(decoded?.index.placeBefore(time)).toEqual(index.placeBefore(time))
    }
  })

  test('is saved without the places that its file cannot hold', () => {
    const index = new SegmentIndex()
    for (let i = 0; i < 4; i += 1) index.note(BASE + i * 2 ** 31, i * INDEX_INTERVAL_BYTES, 5)
    const summary = { bytes: 9, nextOffset: BASE + 2 ** 33, maxTimestamp: 5, maxTimestampOffset: 0 }
    const decoded = SegmentIndex.decode(index.encode(3, BASE, summary, []), 3, BASE)
    expect([...(decoded?.index.places() ?? [])].map(({ offset }) => offset)).toEqual([
      BASE,
      BASE + 2 ** 31,
    ])
  })

  test('is none with any byte flipped or cut', () => {
    const index = new SegmentIndex()
    index.note(BASE, 0, 5)
    const summary = { bytes: 9, nextOffset: BASE + 1, maxTimestamp: 5, maxTimestampOffset: BASE }
    const file = index.encode(3, BASE, summary, [7])
    for (let at = 0; at < file.length; at += 1) {
      const harmed = Buffer.from(file)
      harmed.writeUInt8(harmed.readUInt8(at) ^ 0x80, at)
      expect(SegmentIndex.decode(harmed, 3, BASE), `byte ${at}`).toBeNull()
      expect(SegmentIndex.decode(file.subarray(0, at), 3, BASE), `cut at ${at}`).toBeNull()
    }
  })

  test('leads to the first of several batches with the largest timestamp', () => {
    const index = new SegmentIndex()
    for (const [offset, time] of [
      [0, 5],
      [1, 9],
      [2, 9],
      [3, 1],
    ] as const) {
      index.note(offset, offset * 100, time)
    }
    expect([index.maxTimestamp, index.maxTimestampOffset]).toEqual([9, 1])
  })
})
