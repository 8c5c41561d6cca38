/**
 * What the engine knew of the clock when it was last open, in a small file of its own: it is written
 * more often than a checkpoint, also where nobody appends, and nothing is lost with it but that. It fits
 * into one sector, so that a power cut leaves the old one or the new one.
 *
 *     magic u32 | crc u32 | seen at f64 | jumps: after f64, by f64, held f64 each; zeros where none
 */
import { crc32c } from '@node-rs/crc32'
import { type Disk, DiskError } from '../disk/disk.ts'
import { type ClockJump, type ClockMemory, JUMPS_MAX } from './expiry-clock.ts'

/** The file's name. */
export const CLOCK_FILE = 'clock'

const MAGIC = 0x4d52_4b31 // "MRK1"
const JUMPS_AT = 16
const JUMP_BYTES = 24
const BYTES = JUMPS_AT + JUMPS_MAX * JUMP_BYTES

/** What the last run wrote down; undefined where there is nothing whole. */
export function readClock(disk: Disk): ClockMemory | undefined {
  const bytes = Buffer.alloc(BYTES)
  try {
    if (!disk.exists(CLOCK_FILE)) return undefined
    const file = disk.open(CLOCK_FILE, 'read')
    try {
      if (file.read(0, bytes) < BYTES) return undefined
    } finally {
      file.close()
    }
  } catch (cause) {
    // Without it ages go by the clock as it is.
    if (cause instanceof DiskError) return undefined
    throw cause
  }
  if (bytes.readUInt32BE(0) !== MAGIC) return undefined
  if (bytes.readUInt32BE(4) !== crc32c(bytes.subarray(8))) return undefined
  const jumps: ClockJump[] = []
  for (let at = JUMPS_AT; at < BYTES; at += JUMP_BYTES) {
    const by = bytes.readDoubleBE(at + 8)
    if (by === 0) break
    jumps.push({ after: bytes.readDoubleBE(at), by, heldMs: bytes.readDoubleBE(at + 16) })
  }
  return { seenAt: bytes.readDoubleBE(8), jumps }
}

/** Writes it down, durably. Rejects with DiskError. */
export async function writeClock(disk: Disk, { seenAt, jumps }: ClockMemory): Promise<void> {
  const bytes = Buffer.alloc(BYTES)
  bytes.writeUInt32BE(MAGIC, 0)
  bytes.writeDoubleBE(seenAt, 8)
  for (const [i, { after, by, heldMs }] of jumps.entries()) {
    const at = JUMPS_AT + i * JUMP_BYTES
    bytes.writeDoubleBE(after, at)
    bytes.writeDoubleBE(by, at + 8)
    bytes.writeDoubleBE(heldMs, at + 16)
  }
  bytes.writeUInt32BE(crc32c(bytes.subarray(8)), 4)
  const isNew = !disk.exists(CLOCK_FILE)
  const file = disk.open(CLOCK_FILE, 'create')
  try {
    file.write(0, [bytes])
    await file.sync()
  } finally {
    file.close()
  }
  if (isNew) await disk.syncFolder('')
}
