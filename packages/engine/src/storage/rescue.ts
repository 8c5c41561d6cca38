/**
 * Rescue files: acknowledged batches of a partition that cannot take them now.
 *
 * A partition whose segment failed to sync, or that is quarantined, must not pin the journal. Its
 * batches since the last checkpoint are copied here, synced, and written to its segments at the next
 * open that finds the partition whole (engine rule 16). The file holds whole record batches.
 */
import {
  BATCH_HEADER_BYTES,
  baseOffsetOf,
  batchBytesOf,
  computeBatchCrc,
  crcOf,
} from '@millrace/log'
import type { Disk } from '../disk/disk.ts'

const FOLDER = 'rescue'
const pathOf = (partitionId: number): string => `${FOLDER}/${partitionId}.batches`

/** Partition ids that have a rescue file. */
export const rescued = (disk: Disk): readonly number[] =>
  disk
    .list(FOLDER)
    .map(name => /^(\d+)\.batches$/.exec(name)?.[1])
    .filter(id => id !== undefined)
    .map(Number)

/** Adds batches to a partition's rescue file and syncs it. */
export async function rescue(
  disk: Disk,
  partitionId: number,
  batches: readonly Buffer[],
): Promise<void> {
  disk.makeFolder(FOLDER)
  const known = readRescue(disk, partitionId)
  const last = known.at(-1)
  const next = last === undefined ? Number.NEGATIVE_INFINITY : baseOffsetOf(last)
  const file = disk.open(pathOf(partitionId), 'create')
  try {
    // What is there is written again: it may stand in the page cache only, behind a sync that failed
    // and that a later one would not repeat.
    file.write(0, [...known, ...batches.filter(batch => baseOffsetOf(batch) > next)])
    await file.sync()
  } finally {
    file.close()
  }
  await disk.syncFolder(FOLDER)
  await disk.syncFolder('')
}

/** The whole batches of a partition's rescue file. */
export function readRescue(disk: Disk, partitionId: number): readonly Buffer[] {
  const path = pathOf(partitionId)
  if (!disk.exists(path)) return []
  const file = disk.open(path, 'read')
  try {
    const bytes = Buffer.allocUnsafe(file.size())
    file.read(0, bytes)
    const batches: Buffer[] = []
    let at = 0
    while (at + BATCH_HEADER_BYTES <= bytes.length) {
      const size = batchBytesOf(bytes, at)
      if (size < BATCH_HEADER_BYTES || at + size > bytes.length) break
      if (computeBatchCrc(bytes, at, size) !== crcOf(bytes, at)) break
      batches.push(bytes.subarray(at, at + size))
      at += size
    }
    return batches
  } finally {
    file.close()
  }
}

/** Takes a rescue file away, once its batches are durable in their segments. */
export function dropRescue(disk: Disk, partitionId: number): void {
  disk.unlink(pathOf(partitionId))
}
