// Two checkpoint files: the newest whole one counts.
import { describe, expect, test } from 'vitest'
import { nodeDisk } from '../../src/disk/node-disk.ts'
import {
  CHECKPOINT_FILES,
  type Checkpoint,
  readCheckpoint,
  type SnapshotRecord,
  writeCheckpoint,
} from '../../src/storage/checkpoint-file.ts'
import { temporaryFolder } from './support.ts'

const checkpoint = (number: number, groups: readonly SnapshotRecord[] = []): Checkpoint => ({
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
  partitions: [],
  machines: { catalogue: [['a2V5', null]], groups },
  quarantined: [[16, 'why']],
})

const pathOf = (number: number): string => CHECKPOINT_FILES[number % 2] ?? ''

describe('checkpoint files', () => {
  test('are none in a new folder', () => {
    expect(readCheckpoint(nodeDisk(temporaryFolder()))).toMatchObject({
      checkpoint: null,
      found: 0,
    })
  })

  test('the newest one counts and comes back as it was written', async () => {
    const disk = nodeDisk(temporaryFolder())
    for (const number of [1, 2, 3]) {
      await writeCheckpoint(disk, checkpoint(number))
      expect(readCheckpoint(disk).checkpoint).toEqual(checkpoint(number))
    }
    expect(readCheckpoint(disk).found).toBe(2)
  })

  test('a shorter one over a longer one is whole', async () => {
    const disk = nodeDisk(temporaryFolder())
    await writeCheckpoint(disk, checkpoint(1, [['a'.repeat(5000), 'b']]))
    await writeCheckpoint(disk, checkpoint(3))
    expect(readCheckpoint(disk).checkpoint).toEqual(checkpoint(3))
  })

  test('with any byte of the newest damaged, the older one counts', async () => {
    const disk = nodeDisk(temporaryFolder())
    await writeCheckpoint(disk, checkpoint(1))
    const bytes = await writeCheckpoint(disk, checkpoint(2))
    const file = disk.open(pathOf(2), 'write')
    const byte = Buffer.alloc(1)
    for (let at = 0; at < bytes; at += 1) {
      file.read(at, byte)
      const right = Buffer.from(byte)
      byte.writeUInt8(right.readUInt8(0) ^ 0x10)
      file.write(at, [byte])
      expect(readCheckpoint(disk).checkpoint?.number, `byte ${at}`).toBe(1)
      file.write(at, [right])
    }
    expect(readCheckpoint(disk).checkpoint?.number).toBe(2)
    file.close()
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

  test('with both damaged there is none, and the files are found', async () => {
    const disk = nodeDisk(temporaryFolder())
    for (const number of [1, 2]) {
      await writeCheckpoint(disk, checkpoint(number))
      const file = disk.open(pathOf(number), 'write')
      file.write(30, [Buffer.from([0xff])])
      file.close()
    }
    expect(readCheckpoint(disk)).toMatchObject({ checkpoint: null, found: 2 })
  })
})
