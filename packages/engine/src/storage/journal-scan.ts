/**
 * Reads the journal from a checkpoint on: the whole groups that follow one another, and what the
 * bytes behind the last one mean.
 *
 * Behind the last whole group lies either nothing, or a tail that was never synced (it is cut), or a
 * hole: a later group that vouches for what is missing. Only the last is damage (engine rules 2, 3).
 */
import type { Disk, DiskFile } from '../disk/disk.ts'
import type { JournalPosition } from './journal.ts'
import {
  GROUP_HEADER_BYTES,
  type GroupHeader,
  groupBytes,
  JOURNAL_ALIGNMENT,
  type JournalSalt,
  payloadIsWhole,
  readGroupHeader,
} from './journal-format.ts'
import { JOURNAL_FOLDER } from './journal-ring.ts'

const PIECE_BYTES = 1 << 20

/** A whole group; the payload is valid until the next step. */
export type ScannedGroup = {
  readonly path: string
  readonly position: number
  readonly header: GroupHeader
  readonly payload: Buffer
}

/** Names of the journal's files, in order of their numbers. */
export const journalFiles = (disk: Disk): readonly string[] =>
  disk
    .list(JOURNAL_FOLDER)
    .filter(name => name.endsWith('.journal'))
    .map(name => `${JOURNAL_FOLDER}/${name}`)

/** A generation of the journal, opened for reading. */
export class JournalScan {
  readonly #files = new Map<string, DiskFile>()
  readonly #from: JournalPosition
  readonly #salt: JournalSalt

  constructor(disk: Disk, from: JournalPosition) {
    this.#from = from
    this.#salt = Buffer.from(from.salt, 'hex')
    for (const path of journalFiles(disk)) this.#files.set(path, disk.open(path, 'read'))
  }

  /** The groups behind the checkpoint, in order. */
  *groups(): Generator<ScannedGroup> {
    let { path, position, seq, checksum } = this.#from
    for (;;) {
      const next =
        this.#groupAt(path, position, seq + 1, checksum) ?? this.#groupAtStart(seq + 1, checksum)
      if (next === undefined) return
      yield next
      path = next.path
      position = next.position + groupBytes(next.header.payloadBytes)
      seq = next.header.seq
      checksum = next.header.checksum
    }
  }

  /**
   * Looks behind the last whole group `seq` for one that vouches for a group after it. Answers where
   * it stands, or undefined: then the tail was never synced.
   */
  witnessBehind(seq: number): { path: string; position: number; vouchesFor: number } | undefined {
    const piece = Buffer.allocUnsafe(PIECE_BYTES)
    for (const [path, file] of this.#files) {
      for (let at = 0; at < file.size(); at += PIECE_BYTES) {
        const read = file.read(at, piece)
        for (let i = 0; i + GROUP_HEADER_BYTES <= read; i += JOURNAL_ALIGNMENT) {
          const header = readGroupHeader(piece.subarray(i, i + GROUP_HEADER_BYTES), this.#salt)
          if (header !== null && header.seq > seq && header.durableUpTo > seq) {
            return { path, position: at + i, vouchesFor: header.durableUpTo }
          }
        }
      }
    }
    return undefined
  }

  close(): void {
    for (const file of this.#files.values()) file.close()
  }

  #groupAtStart(seq: number, previous: number): ScannedGroup | undefined {
    for (const path of this.#files.keys()) {
      const group = this.#groupAt(path, 0, seq, previous)
      if (group !== undefined) return group
    }
    return undefined
  }

  #groupAt(
    path: string,
    position: number,
    seq: number,
    previous: number,
  ): ScannedGroup | undefined {
    const file = this.#files.get(path)
    if (file === undefined) return undefined
    const head = Buffer.allocUnsafe(GROUP_HEADER_BYTES)
    if (file.read(position, head) < GROUP_HEADER_BYTES) return undefined
    const header = readGroupHeader(head, this.#salt)
    if (header === null || header.seq !== seq || header.previous !== previous) return undefined
    if (position + GROUP_HEADER_BYTES + header.payloadBytes > file.size()) return undefined
    const payload = Buffer.allocUnsafe(header.payloadBytes)
    const read = file.read(position + GROUP_HEADER_BYTES, payload)
    if (read < payload.length || !payloadIsWhole(header, payload)) return undefined
    return { path, position, header, payload }
  }
}
