/**
 * Checkpoints on the disk: two files written in turn, so that one is always whole.
 *
 *     magic u32 | version u16 | 0 u16 | number u64 | body bytes u32 | crc u32 | body: JSON
 *
 * A checkpoint says how far each partition's segments are synced, what the machines knew then,
 * and where in the journal to go on. The one with the higher number and a right checksum counts.
 */
import { crc32c } from '@node-rs/crc32'
import type { Disk } from '../disk/disk.ts'
import type { PartitionRecord } from '../partitions/partition-log.ts'
import type { JournalPosition } from './journal.ts'

const MAGIC = 0x4d52_4331 // "MRC1"
const VERSION = 1
const HEADER_BYTES = 24
const TWO_32 = 0x1_0000_0000

/** The two files. */
export const CHECKPOINT_FILES: readonly string[] = ['checkpoint-a', 'checkpoint-b']

/** A machine's record as JSON: base64 of key and value. */
export type SnapshotRecord = readonly [key: string, value: string | null]

/** What a checkpoint says. */
export type Checkpoint = {
  readonly number: number
  readonly logId: string
  /** The engine was closed: nothing is in the journal, no index needs to be built. */
  readonly clean: boolean
  readonly journal: JournalPosition
  readonly partitions: readonly PartitionRecord[]
  /** The machines' state, by their names. */
  readonly machines: Readonly<Record<string, readonly SnapshotRecord[]>>
  /** Partitions that refuse appends, with the reason, so that a restart does not forget it. */
  readonly quarantined: readonly (readonly [partitionId: number, reason: string])[]
}

/** The newest whole checkpoint, and what else was seen of the files. */
export type ReadCheckpoint = {
  /** Null if no file is whole. */
  readonly checkpoint: Checkpoint | null
  /** How many of the files exist. */
  readonly found: number
  /** Path of a file that exists and is not whole. */
  readonly broken: string | undefined
}

/** Reads the newest whole checkpoint. Throws DiskError. */
export function readCheckpoint(disk: Disk): ReadCheckpoint {
  let newest: Checkpoint | null = null
  let found = 0
  let broken: string | undefined
  for (const path of CHECKPOINT_FILES) {
    if (!disk.exists(path)) continue
    found += 1
    const checkpoint = readOne(disk, path)
    if (checkpoint === null) broken = path
    else if (checkpoint.number > (newest?.number ?? -1)) newest = checkpoint
  }
  return { checkpoint: newest, found, broken }
}

/** Writes a checkpoint over the older of the two files and syncs it. Rejects with DiskError. */
export async function writeCheckpoint(disk: Disk, checkpoint: Checkpoint): Promise<number> {
  const body = Buffer.from(JSON.stringify(checkpoint))
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt32BE(MAGIC, 0)
  header.writeUInt16BE(VERSION, 4)
  header.writeUInt32BE(Math.floor(checkpoint.number / TWO_32), 8)
  header.writeUInt32BE(checkpoint.number >>> 0, 12)
  header.writeUInt32BE(body.length, 16)
  header.writeUInt32BE(crc32c(body, crc32c(header.subarray(0, 20))), 20)
  const path = CHECKPOINT_FILES[checkpoint.number % 2] ?? ''
  const isNew = !disk.exists(path)
  const file = disk.open(path, 'create')
  try {
    file.write(0, [header, body])
    await file.sync()
  } finally {
    file.close()
  }
  if (isNew) await disk.syncFolder('')
  return HEADER_BYTES + body.length
}

/**
 * Makes a checkpoint durable that was read: a process that was killed, or whose sync failed, may have
 * left it in the page cache only. Until then the other file must not be written, because that one may
 * be the only one a power cut leaves. The same bytes over themselves: a tear changes nothing.
 */
export async function confirmCheckpoint(disk: Disk, checkpoint: Checkpoint): Promise<void> {
  const file = disk.open(CHECKPOINT_FILES[checkpoint.number % 2] ?? '', 'write')
  try {
    const bytes = Buffer.allocUnsafe(file.size())
    const length = file.read(0, bytes)
    file.write(0, [bytes.subarray(0, length)])
    await file.sync()
  } finally {
    file.close()
  }
  await disk.syncFolder('')
}

function readOne(disk: Disk, path: string): Checkpoint | null {
  const file = disk.open(path, 'read')
  try {
    const bytes = Buffer.allocUnsafe(file.size())
    if (file.read(0, bytes) < HEADER_BYTES || bytes.readUInt32BE(0) !== MAGIC) return null
    if (bytes.readUInt16BE(4) !== VERSION) return null
    const end = HEADER_BYTES + bytes.readUInt32BE(16)
    if (end > bytes.length) return null
    const body = bytes.subarray(HEADER_BYTES, end)
    if (crc32c(body, crc32c(bytes.subarray(0, 20))) !== bytes.readUInt32BE(20)) return null
    return JSON.parse(body.toString()) as Checkpoint
  } finally {
    file.close()
  }
}
