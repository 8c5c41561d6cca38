// Two checkpoint files, each a run of slices: the newest whole one counts.
import { crc32c } from '@node-rs/crc32'
import { describe, expect, test } from 'vitest'
import type { Disk } from '../../src/disk/disk.ts'
import { nodeDisk } from '../../src/disk/node-disk.ts'
import type { MachineRecord } from '../../src/machines/machine.ts'
import type { PartitionRecord } from '../../src/partitions/partition-log.ts'
import { SimDisk } from '../../src/simulation.ts'
import type { Checkpoint } from '../../src/storage/checkpoint.ts'
import {
  CHECKPOINT_FILES,
  CheckpointWriter,
  confirmCheckpoint,
  findCheckpoint,
  forgetCheckpoint,
  readCheckpoint,
  repeatCheckpoint,
  SLICE_ROWS_MAX,
  storedCheckpoint,
  writeCheckpoint,
} from '../../src/storage/checkpoint-file.ts'
import { checkpointRoom } from '../../src/storage/checkpoint-room.ts'
import { temporaryFolder } from './support.ts'

const partition = (id: number): PartitionRecord => ({
  id,
  nextOffset: 2 ** 40 + id,
  epochs: [
    [0, 0],
    [3, 7],
  ],
  segments: [
    {
      baseOffset: 2 ** 33,
      createdAt: 1_700_000_000_000,
      bytes: 100,
      nextOffset: 2 ** 33 + 5,
      maxTimestamp: -1,
      maxTimestampOffset: -1,
      revision: 2,
      headers: [2 ** 32 - 1, 0, 7],
    },
    {
      baseOffset: 2 ** 33 + 5,
      createdAt: 0,
      bytes: 3,
      nextOffset: 2 ** 33 + 6,
      maxTimestamp: 1_700_000_000_001,
      maxTimestampOffset: 2 ** 33 + 5,
      content: Buffer.from('abc'),
    },
  ],
  cleaning: { cleanedTo: 4, tombstonesUntil: id % 2 === 0 ? null : 77 },
})

const machineRecord = (key: string, value: string | null): MachineRecord => ({
  key: Buffer.from(key),
  value: value === null ? null : Buffer.from(value),
})

function checkpoint(number: number, rows = 1): Checkpoint {
  const ids = Array.from({ length: rows }, (_, i) => i + 16)
  return {
    number,
    logId: 'log',
    clean: number % 2 === 0,
    journal: {
      salt: '00',
      path: 'journal/0',
      position: number,
      seq: number,
      checksum: 1,
      files: [],
      fileBytes: 0,
    },
    partitions: ids.map(partition),
    producers: new Map(
      ids.map(id => [
        id,
        [{ producerId: 2 ** 50, epoch: -1, lastSeen: 5, batches: [[0, 2 ** 31 - 1, 2 ** 40, -1]] }],
      ]),
    ),
    machines: new Map([
      ['catalogue', ids.map(id => machineRecord(`key ${id}`, 'value'))],
      ['empty', [machineRecord('', null), machineRecord('', '')]],
    ]),
    quarantined: [[16, 'why']],
  }
}

const pathOf = (number: number): string => CHECKPOINT_FILES[number % 2] ?? ''
const noPause = (): Promise<void> => Promise.resolve()

function flip(disk: Disk, path: string, at: number): void {
  const file = disk.open(path, 'write')
  const byte = Buffer.alloc(1)
  file.read(at, byte)
  file.write(at, [Buffer.from([byte.readUInt8(0) ^ 0x10])])
  file.close()
}

/** Where each slice of a file begins. */
function slicesIn(disk: Disk, path: string): number[] {
  const file = disk.open(path, 'read')
  const header = Buffer.alloc(32)
  const starts: number[] = []
  for (let at = 0; file.read(at, header) === 32; at += 32 + header.readUInt32BE(20)) {
    if (header.readUInt32BE(0) === 0) break // the room behind the end
    starts.push(at)
  }
  file.close()
  return starts
}

describe('checkpoint files', () => {
  test('are none in a new folder', () => {
    const found = readCheckpoint(nodeDisk(temporaryFolder()))
    expect(found).toMatchObject({ checkpoint: null, found: 0 })
  })

  test('the newest one counts and comes back as it was written', async () => {
    const disk = nodeDisk(temporaryFolder())
    for (const number of [1, 2, 3]) {
      await writeCheckpoint(disk, checkpoint(number, number))
      expect(readCheckpoint(disk).checkpoint).toEqual(checkpoint(number, number))
    }
    expect(readCheckpoint(disk).found).toBe(2)
  })

  test('one of many slices comes back as it was written', async () => {
    const disk = nodeDisk(temporaryFolder())
    const large = checkpoint(1, 2 * SLICE_ROWS_MAX + 1)
    await writeCheckpoint(disk, large)
    expect(slicesIn(disk, pathOf(1)).length).toBeGreaterThan(10)
    expect(readCheckpoint(disk).checkpoint).toEqual(large)
  })

  test('a shorter one over a longer one is whole, and leaves nothing of it', async () => {
    const disk = nodeDisk(temporaryFolder())
    await writeCheckpoint(disk, checkpoint(1, 100))
    const bytes = await writeCheckpoint(disk, checkpoint(3))
    expect(readCheckpoint(disk).checkpoint).toEqual(checkpoint(3))
    const rest = Buffer.alloc(checkpointRoom(bytes))
    expect(disk.sizeOf(pathOf(3))).toBe(bytes + rest.length)
    const file = disk.open(pathOf(3), 'read')
    file.read(bytes, rest)
    file.close()
    expect(rest.every(byte => byte === 0)).toBe(true)
  })

  test('on a full disk they are written over themselves, also somewhat larger ones', async () => {
    const disk = new SimDisk()
    for (const number of [1, 2]) await writeCheckpoint(disk, checkpoint(number, 100))
    disk.capacityBytes -= disk.space().free
    let rows = 100
    for (let number = 3; number < 9; number += 1, rows += 20) {
      await writeCheckpoint(disk, checkpoint(number, rows))
      expect(readCheckpoint(disk).checkpoint).toEqual(checkpoint(number, rows))
    }
    // Too large a one leaves the one before.
    await expect(writeCheckpoint(disk, checkpoint(9, 5000))).rejects.toMatchObject({
      code: 'ENOSPC',
    })
    expect(readCheckpoint(disk).checkpoint?.number).toBe(8)
  })

  test('one that is to be forgotten counts no more, and keeps its room', async () => {
    const disk = nodeDisk(temporaryFolder())
    await writeCheckpoint(disk, checkpoint(1))
    await writeCheckpoint(disk, checkpoint(2))
    const size = disk.sizeOf(pathOf(2))
    await forgetCheckpoint(disk, 2)
    expect(readCheckpoint(disk)).toMatchObject({ checkpoint: { number: 1 }, broken: pathOf(2) })
    expect(disk.sizeOf(pathOf(2))).toBe(size)
  })

  test('with any byte of the newest damaged, the older one counts', async () => {
    const disk = nodeDisk(temporaryFolder())
    await writeCheckpoint(disk, checkpoint(1))
    const bytes = await writeCheckpoint(disk, checkpoint(2))
    for (let at = 0; at < bytes; at += 1) {
      flip(disk, pathOf(2), at)
      expect(readCheckpoint(disk).checkpoint?.number, `byte ${at}`).toBe(1)
      flip(disk, pathOf(2), at)
    }
    expect(readCheckpoint(disk).checkpoint?.number).toBe(2)
  })

  test('with any slice of the newest damaged, the older one counts and the file is named', async () => {
    const disk = nodeDisk(temporaryFolder())
    await writeCheckpoint(disk, checkpoint(1))
    await writeCheckpoint(disk, checkpoint(2, 3 * SLICE_ROWS_MAX))
    for (const at of slicesIn(disk, pathOf(2))) {
      flip(disk, pathOf(2), at + 33)
      const { checkpoint: newest, broken } = await findCheckpoint(disk, noPause)
      expect([newest?.head.number, broken], `slice at ${at}`).toEqual([1, pathOf(2)])
      flip(disk, pathOf(2), at + 33)
    }
  })

  test('cut off anywhere, the newest does not count', async () => {
    const disk = nodeDisk(temporaryFolder())
    await writeCheckpoint(disk, checkpoint(1))
    const bytes = await writeCheckpoint(disk, checkpoint(2))
    const file = disk.open(pathOf(2), 'write')
    for (let size = bytes - 1; size >= 0; size -= 1) {
      file.truncate(size)
      expect(readCheckpoint(disk).checkpoint?.number, `${size} bytes`).toBe(1)
    }
    file.close()
  })

  test('slices of an older one in the same file are not taken for those of the newest', async () => {
    const disk = nodeDisk(temporaryFolder())
    await writeCheckpoint(disk, checkpoint(2, 300))
    await writeCheckpoint(disk, checkpoint(1, 300))
    const older = Buffer.alloc(disk.sizeOf(pathOf(1)) ?? 0)
    const file = disk.open(pathOf(1), 'write')
    file.read(0, older)
    await writeCheckpoint(disk, checkpoint(3, 300))
    // Same length, same places: a tear leaves any mix of the two.
    for (const at of slicesIn(disk, pathOf(3))) {
      const newer = Buffer.alloc(older.length - at)
      file.read(at, newer)
      file.write(at, [older.subarray(at)])
      expect(readCheckpoint(disk).checkpoint?.number, `from byte ${at}`).toBe(2)
      file.write(at, [newer])
    }
    expect(readCheckpoint(disk).checkpoint?.number).toBe(3)
    file.close()
  })

  test('with both damaged there is none, and the files are found', async () => {
    const disk = nodeDisk(temporaryFolder())
    for (const number of [1, 2]) {
      await writeCheckpoint(disk, checkpoint(number))
      flip(disk, pathOf(number), 40)
    }
    expect(readCheckpoint(disk)).toMatchObject({ checkpoint: null, found: 2 })
  })

  test('is repeated in the other file, and confirmed, as it was', async () => {
    const disk = nodeDisk(temporaryFolder())
    const {
      partitions: _,
      producers: __,
      machines: ___,
      quarantined: ____,
      ...head
    } = checkpoint(1)
    await writeCheckpoint(disk, checkpoint(1, 2 * SLICE_ROWS_MAX))
    const next = await repeatCheckpoint(disk, { ...head, clean: true }, noPause)
    await confirmCheckpoint(disk, storedCheckpoint(disk, next), noPause)
    const repeated = { ...checkpoint(1, 2 * SLICE_ROWS_MAX), number: 2, clean: true }
    expect(readCheckpoint(disk).checkpoint).toEqual(repeated)
  })

  test('is written and read with a pause behind each slice, however much it holds', async () => {
    const disk = nodeDisk(temporaryFolder())
    const {
      partitions: _,
      producers: __,
      machines: ___,
      quarantined: ____,
      ...head
    } = checkpoint(1)
    let sincePause = 0
    let most = 0
    const pause = async (): Promise<void> => {
      most = Math.max(most, sincePause)
      sincePause = 0
    }
    const records = function* () {
      for (let i = 0; i < 300_000; i += 1) {
        sincePause += 1
        yield { key: Buffer.from(`key ${i}`), value: Buffer.from('value') }
      }
    }
    const writer = new CheckpointWriter(disk, head, pause)
    await writer.machine('offsets', records())
    await writer.finish()
    writer.close()
    expect(most).toBeLessThanOrEqual(SLICE_ROWS_MAX)
    const { checkpoint: found } = await findCheckpoint(disk, pause)
    let rows = 0
    for (const slice of found?.rows(['machine']) ?? []) {
      if (slice.kind !== 'machine') continue
      expect(slice.records.length).toBeLessThanOrEqual(SLICE_ROWS_MAX)
      rows += slice.records.length
    }
    expect(rows).toBe(300_000)
  })
})

describe('a checkpoint of version 1, one JSON text', () => {
  test('is read with its rows, and gives way to one in slices', async () => {
    const disk = nodeDisk(temporaryFolder())
    const { machines: _, partitions, producers, ...head } = checkpoint(1)
    const [first] = partitions
    const plain = { ...first, segments: first?.segments.slice(0, 1), producers: producers.get(16) }
    const text = [Buffer.from('topic:a').toString('base64'), null]
    const body = { ...head, partitions: [plain], catalogue: [text], groups: [text] }
    writeJson(disk, 1, body)
    const found = readCheckpoint(disk).checkpoint
    expect(found).toMatchObject({ number: 1, logId: 'log', quarantined: [[16, 'why']] })
    expect(found?.partitions).toEqual([{ ...first, segments: first?.segments.slice(0, 1) }])
    expect(found?.producers).toEqual(producers)
    expect(found?.machines.get('catalogue')).toEqual([{ key: Buffer.from('topic:a'), value: null }])
    const { checkpoint: stored } = await findCheckpoint(disk, noPause)
    expect([...(stored?.rows(['unsorted']) ?? [])]).toHaveLength(1)
    await writeCheckpoint(disk, checkpoint(2))
    expect(readCheckpoint(disk).checkpoint).toEqual(checkpoint(2))
  })

  test('does not count when a byte of it is wrong', () => {
    const disk = nodeDisk(temporaryFolder())
    writeJson(disk, 1, { ...checkpoint(1), partitions: [], machines: {} })
    expect(readCheckpoint(disk).checkpoint?.number).toBe(1)
    flip(disk, pathOf(1), 60)
    expect(readCheckpoint(disk)).toMatchObject({ checkpoint: null, broken: pathOf(1) })
  })
})

function writeJson(disk: Disk, number: number, value: unknown): void {
  const body = Buffer.from(JSON.stringify(value))
  const header = Buffer.alloc(24)
  header.writeUInt32BE(0x4d52_4331, 0)
  header.writeUInt16BE(1, 4)
  header.writeUInt32BE(number, 12)
  header.writeUInt32BE(body.length, 16)
  header.writeUInt32BE(crc32c(body, crc32c(header.subarray(0, 20))), 20)
  const file = disk.open(pathOf(number), 'create')
  file.write(0, [header, body])
  file.close()
}
