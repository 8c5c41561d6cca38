/**
 * Rescue files: acknowledged batches of a partition that cannot take them now.
 *
 * A partition whose segment failed to sync, or that is quarantined, must not pin the journal. Its
 * batches since the last checkpoint are copied here, synced, and written to its segments at the next
 * open that finds the partition whole (engine rule 16).
 *
 *     magic u32 | partition id u32 | crc u32, over both and the batch | record batch     and so on
 *
 * Each batch names its partition: a file whose sync a power cut has prevented may hold what lay in its
 * blocks before, which may be whole batches of another partition. Version 0.1 wrote batches alone, into
 * files of another name; they are still read.
 */

import {
  BATCH_BYTES_MAX,
  BATCH_HEADER_BYTES,
  baseOffsetOf,
  batchBytesOf,
  computeBatchCrc,
  crcOf,
} from '@millrace/log'
import { crc32c } from '@node-rs/crc32'
import type { Disk } from '../disk/disk.ts'

const FOLDER = 'rescue'
const MAGIC = 0x4d52_5231 // "MRR1"
const FRAME_BYTES = 12
const CRC_AT = 8

/** Path of a partition's rescue file. */
export const rescuePath = (partitionId: number): string => `${FOLDER}/${partitionId}.rescue`
const firstVersionPath = (partitionId: number): string => `${FOLDER}/${partitionId}.batches`

/** Partition ids that have a rescue file. */
export const rescued = (disk: Disk): readonly number[] => {
  const ids = disk.list(FOLDER).flatMap(name => /^(\d+)\.(?:rescue|batches)$/.exec(name)?.[1] ?? [])
  return [...new Set(ids.map(Number))]
}

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
  const file = disk.open(rescuePath(partitionId), 'create')
  try {
    // What is there is written again: it may stand in the page cache only, behind a sync that failed
    // and that a later one would not repeat.
    const all = [...known, ...batches.filter(batch => baseOffsetOf(batch) > next)]
    file.write(
      0,
      all.flatMap(batch => [frameOf(partitionId, batch), batch]),
    )
    await file.sync()
  } finally {
    file.close()
  }
  await disk.syncFolder(FOLDER)
  await disk.syncFolder('')
}

/** The whole batches that were rescued of a partition. Throws DiskError. */
export function readRescue(disk: Disk, partitionId: number): readonly Buffer[] {
  const older = batchesIn(disk, firstVersionPath(partitionId), 0, () => true)
  const newer = batchesIn(disk, rescuePath(partitionId), FRAME_BYTES, (frame, batch) =>
    frame.equals(frameOf(partitionId, batch)),
  )
  const last = older.at(-1)
  if (last === undefined) return newer
  return [...older, ...newer.filter(batch => baseOffsetOf(batch) > baseOffsetOf(last))]
}

/** Takes what was rescued of a partition away, once its batches are durable in their segments. */
export function dropRescue(disk: Disk, partitionId: number): void {
  disk.unlink(firstVersionPath(partitionId))
  disk.unlink(rescuePath(partitionId))
}

function frameOf(partitionId: number, batch: Buffer): Buffer {
  const frame = Buffer.alloc(FRAME_BYTES)
  frame.writeUInt32BE(MAGIC, 0)
  frame.writeUInt32BE(partitionId, 4)
  frame.writeUInt32BE(crc32c(batch, crc32c(frame.subarray(0, CRC_AT))), CRC_AT)
  return frame
}

/** The batches of a file up to the first that is not whole, or not this partition's. */
function batchesIn(
  disk: Disk,
  path: string,
  frameBytes: number,
  isRight: (frame: Buffer, batch: Buffer) => boolean,
): readonly Buffer[] {
  if (!disk.exists(path)) return []
  const file = disk.open(path, 'read')
  try {
    const head = Buffer.alloc(frameBytes + BATCH_HEADER_BYTES)
    const batches: Buffer[] = []
    for (let at = 0; file.read(at, head) === head.length; ) {
      const size = batchBytesOf(head, frameBytes)
      // Whatever a length says, no more is taken than a batch may have, and is there.
      if (size < BATCH_HEADER_BYTES || size > BATCH_BYTES_MAX) break
      const batch = Buffer.alloc(size)
      if (file.read(at + frameBytes, batch) < size) break
      if (computeBatchCrc(batch, 0, size) !== crcOf(batch, 0)) break
      if (!isRight(head.subarray(0, frameBytes), batch)) break
      batches.push(batch)
      at += frameBytes + size
    }
    return batches
  } finally {
    file.close()
  }
}
