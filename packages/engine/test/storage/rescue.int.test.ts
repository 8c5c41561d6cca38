// Rescue files hold batches of one partition, whatever lay in their blocks before.
import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { baseOffsetOf, setBatchPosition } from '@millrace/log'
import { expect, test } from 'vitest'
import { nodeDisk } from '../../src/disk/node-disk.ts'
import { dropRescue, readRescue, rescue, rescued, rescuePath } from '../../src/storage/rescue.ts'
import { batchOf, temporaryFolder } from './support.ts'

const at = (offset: number): Buffer => {
  const batch = batchOf(1)
  setBatchPosition(batch, 0, offset, 0)
  return batch
}
const offsets = (batches: readonly Buffer[]): readonly number[] => batches.map(b => baseOffsetOf(b))

test('batches are added in order, each once, and taken away', async () => {
  const disk = nodeDisk(temporaryFolder())
  await rescue(disk, 7, [at(3), at(4)])
  await rescue(disk, 7, [at(4), at(5)])
  expect(rescued(disk)).toEqual([7])
  expect(offsets(readRescue(disk, 7))).toEqual([3, 4, 5])
  dropRescue(disk, 7)
  expect(rescued(disk)).toEqual([])
  expect(readRescue(disk, 7)).toEqual([])
})

test('what lies in the file of another partition, whole as it is, is none of this one', async () => {
  const folder = temporaryFolder()
  const disk = nodeDisk(folder)
  await rescue(disk, 17, [at(12), at(13)])
  await rescue(disk, 18, [at(12)])
  const stale = readFileSync(join(folder, rescuePath(17)))
  writeFileSync(join(folder, rescuePath(18)), stale)
  expect(readRescue(disk, 18)).toEqual([])
  expect(offsets(readRescue(disk, 17))).toEqual([12, 13])
})

test('batches stop at the first that is not whole', async () => {
  const folder = temporaryFolder()
  const disk = nodeDisk(folder)
  await rescue(disk, 7, [at(3), at(4)])
  const path = join(folder, rescuePath(7))
  const bytes = readFileSync(path)
  for (let cut = 0; cut < bytes.length; cut += 1) {
    writeFileSync(path, bytes.subarray(0, cut))
    const whole = Math.floor(cut / (bytes.length / 2))
    expect(offsets(readRescue(disk, 7))).toEqual([3, 4].slice(0, whole))
  }
})

test('a file that claims to be larger than any memory is read as far as it holds batches', async () => {
  const folder = temporaryFolder()
  const disk = nodeDisk(folder)
  await rescue(disk, 7, [at(3)])
  truncateSync(join(folder, rescuePath(7)), 2 ** 40)
  expect(offsets(readRescue(disk, 7))).toEqual([3])
})

test('those that version 0.1 has rescued come first', async () => {
  const folder = temporaryFolder()
  const disk = nodeDisk(folder)
  disk.makeFolder('rescue')
  writeFileSync(join(folder, 'rescue/7.batches'), Buffer.concat([at(3), at(4)]))
  expect(offsets(readRescue(disk, 7))).toEqual([3, 4])
  await rescue(disk, 7, [at(4), at(5)])
  expect(rescued(disk)).toEqual([7])
  expect(offsets(readRescue(disk, 7))).toEqual([3, 4, 5])
  dropRescue(disk, 7)
  expect(rescued(disk)).toEqual([])
})
