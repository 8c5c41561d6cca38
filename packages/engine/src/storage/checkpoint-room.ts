/**
 * Room that a checkpoint's file keeps behind its end: the next checkpoint is written over it, so a full
 * disk holds none up that is not much larger. What an older, longer one has left there goes: nothing of
 * what was erased may stay.
 */
import { type DiskFile, isShortage } from '../disk/disk.ts'

/** Least and most bytes that are kept, and the share of the checkpoint in between. */
const ROOM_BYTES_MIN = 64 << 10
const ROOM_BYTES_MAX = 4 << 20
const ROOM_SHARE = 0.25
/** Zeros that are written at once. */
const PIECE_BYTES = 256 << 10

/** Bytes that are kept behind a checkpoint that ends at `end`. */
export const checkpointRoom = (end: number): number =>
  Math.min(ROOM_BYTES_MAX, Math.max(ROOM_BYTES_MIN, Math.ceil(end * ROOM_SHARE)))

/**
 * Writes zeros behind `end`, as far as the disk has room for it. Rejects with DiskError.
 *
 * @param pause lets other work go on
 */
export async function keepCheckpointRoom(
  file: DiskFile,
  end: number,
  pause: () => Promise<void>,
): Promise<void> {
  const to = end + checkpointRoom(end)
  const size = file.size()
  if (size > to) file.truncate(to)
  const zeros = Buffer.alloc(Math.min(PIECE_BYTES, to - end))
  for (let at = end; at < to; at += zeros.length) {
    const piece = zeros.subarray(0, Math.min(zeros.length, to - at))
    try {
      file.write(at, [piece])
    } catch (cause) {
      if (!isShortage(cause)) throw cause
      // It counts without that. What is there already must not stay, all the same.
      if (at < size) file.truncate(at)
      return
    }
    if (at + piece.length < to) await pause()
  }
}
