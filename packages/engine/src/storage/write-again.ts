/**
 * Bytes that are to be durable, and were read: a process that was killed may have left them in the page
 * cache alone; and where its sync has failed, another one would say that they are durable and be wrong
 * (Rebello et al., ATC 2020). So they are written over themselves before they are synced; a tear changes
 * nothing.
 */
import type { DiskFile } from '../disk/disk.ts'

/** Bytes at a time; then others have their turn. */
const PIECE_BYTES = 256 * 1024

/** Writes what lies in [from, to) of a file once more. It is not synced yet. Rejects with DiskError. */
export async function writeAgain(
  file: DiskFile,
  from: number,
  to: number,
  pause: () => Promise<void>,
): Promise<void> {
  const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, Math.max(0, to - from)))
  for (let at = from; at < to; ) {
    const read = file.read(at, piece.subarray(0, Math.min(piece.length, to - at)))
    if (read === 0) return
    file.write(at, [piece.subarray(0, read)])
    at += read
    await pause()
  }
}
