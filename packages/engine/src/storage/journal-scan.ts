/**
 * Reads the journal from a checkpoint on: the whole groups that follow one another, and what the
 * bytes behind the last one mean.
 *
 * Behind the last whole group lies either nothing, or a tail that was never synced (it is cut), or a
 * hole: a later group that vouches for what is missing. Only the last is damage (engine rules 2, 3).
 */
import type { Disk, DiskFile } from '../disk/disk.ts'
import {
  GROUP_HEADER_BYTES,
  type GroupHeader,
  groupBytes,
  JOURNAL_ALIGNMENT,
  type JournalPosition,
  type JournalSalt,
  payloadIsWhole,
  readGroupHeader,
} from './journal-format.ts'
import { JOURNAL_FOLDER, journalFileName, readStamp } from './ring-register.ts'

const PIECE_BYTES = 1 << 20

/** A whole group; the payload is valid until the next step. */
export type ScannedGroup = {
  /** The file as it is called now. */
  readonly path: string
  readonly position: number
  readonly header: GroupHeader
  readonly payload: Buffer
}

/** A group, and the name of the ring's file that holds it. */
type Found = readonly [name: string, group: ScannedGroup]

/** Names of the journal's files, in order of their numbers. */
export const journalFiles = (disk: Disk): readonly string[] =>
  disk
    .list(JOURNAL_FOLDER)
    .filter(name => name.endsWith('.journal'))
    .map(name => `${JOURNAL_FOLDER}/${name}`)

/** A generation of the journal, opened for reading. */
export class JournalScan {
  /** By the name that each must have: where files were swapped their stamps tell. */
  readonly #files = new Map<string, DiskFile>()
  /** All that are open, also those that are not read on. */
  readonly #opened: DiskFile[] = []
  readonly #from: JournalPosition
  readonly #salt: JournalSalt

  /** Throws DiskError when a file cannot be read. */
  constructor(disk: Disk, from: JournalPosition) {
    this.#from = from
    this.#salt = Buffer.from(from.salt, 'hex')
    try {
      this.#open(disk)
    } catch (cause) {
      this.close()
      throw cause
    }
  }

  /** The groups behind the checkpoint, in order. */
  *groups(): Generator<ScannedGroup> {
    let { path, position, seq, checksum } = this.#from
    for (;;) {
      const found =
        this.#groupAt(path, position, seq + 1, checksum) ?? this.#groupAtStart(seq + 1, checksum)
      if (found === undefined) return
      const [name, next] = found
      yield next
      path = name
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
    for (const [, { path, position, header }] of this.#headers()) {
      if (header.seq > seq && header.durableUpTo > seq) {
        return { path, position, vouchesFor: header.durableUpTo }
      }
    }
    return undefined
  }

  /** All headers of this generation, wherever they stand. */
  *#headers(): Generator<readonly [name: string, found: Omit<ScannedGroup, 'payload'>]> {
    const piece = Buffer.allocUnsafe(PIECE_BYTES)
    for (const [name, file] of this.#files) {
      for (let at = 0; at < file.size(); at += PIECE_BYTES) {
        const read = file.read(at, piece)
        for (let i = 0; i + GROUP_HEADER_BYTES <= read; i += JOURNAL_ALIGNMENT) {
          const header = readGroupHeader(piece.subarray(i, i + GROUP_HEADER_BYTES), this.#salt)
          if (header !== null) yield [name, { path: file.path, position: at + i, header }]
        }
      }
    }
  }

  /**
   * The whole groups behind `seq` that do not follow it: what is left behind a hole, in order. For
   * an operator who has decided to go on without the rest.
   */
  *behind(seq: number): Generator<ScannedGroup> {
    const places: { seq: number; name: string; position: number; previous: number }[] = []
    for (const [name, { position, header }] of this.#headers()) {
      if (header.seq <= seq) continue
      places.push({ seq: header.seq, name, position, previous: header.previous })
    }
    places.sort((a, b) => a.seq - b.seq)
    for (const { name, position, seq: next, previous } of places) {
      const found = this.#groupAt(name, position, next, previous)
      if (found !== undefined) yield found[1]
    }
  }

  /** The places of headers of this generation behind group `seq`, whatever follows them. */
  *headersBehind(seq: number): Generator<{ readonly path: string; readonly position: number }> {
    for (const [, { path, position, header }] of this.#headers()) {
      if (header.seq > seq) yield { path, position }
    }
  }

  close(): void {
    for (const file of this.#opened.splice(0)) file.close()
  }

  #open(disk: Disk): void {
    const { salt } = this.#from
    const stamped = new Set<string>()
    for (const path of journalFiles(disk)) {
      const file = disk.open(path, 'read')
      this.#opened.push(file)
      const stamp = readStamp(file)
      const isOurs = stamp !== null && (stamp.salt === salt || stamp.before === salt)
      const name = isOurs ? journalFileName(stamp.number) : path
      // One that is stamped with the name goes before one that is only called so.
      if (!stamped.has(name) || name === path) this.#files.set(name, file)
      if (isOurs) stamped.add(name)
    }
  }

  #groupAtStart(seq: number, previous: number): Found | undefined {
    for (const name of this.#files.keys()) {
      const found = this.#groupAt(name, 0, seq, previous)
      if (found !== undefined) return found
    }
    return undefined
  }

  #groupAt(name: string, position: number, seq: number, previous: number): Found | undefined {
    const file = this.#files.get(name)
    if (file === undefined) return undefined
    const head = Buffer.allocUnsafe(GROUP_HEADER_BYTES)
    if (file.read(position, head) < GROUP_HEADER_BYTES) return undefined
    const header = readGroupHeader(head, this.#salt)
    if (header === null || header.seq !== seq || header.previous !== previous) return undefined
    if (position + GROUP_HEADER_BYTES + header.payloadBytes > file.size()) return undefined
    const payload = Buffer.allocUnsafe(header.payloadBytes)
    const read = file.read(position + GROUP_HEADER_BYTES, payload)
    if (read < payload.length || !payloadIsWhole(header, payload)) return undefined
    return [name, { path: file.path, position, header, payload }]
  }
}
