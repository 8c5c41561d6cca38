/**
 * Where the journal of an earlier run ends, so that it can be gone on with: the groups that no checkpoint
 * covers stay where they are, and the next one follows the last of them.
 *
 * Behind the last whole group may lie groups of a tail that was never synced. They are taken away before
 * anything is written: one that is left behind could follow a new one later.
 *
 * The groups are made durable before anything rests on them (`write-again.ts`).
 */
import type { Disk, DiskFile } from '../disk/disk.ts'
import { GROUP_HEADER_BYTES, groupBytes, type JournalPosition } from './journal-format.ts'
import { JournalScan, journalFiles } from './journal-scan.ts'
import { numberOf, readStamp } from './ring-register.ts'
import { writeAgain } from './write-again.ts'

/** The end of a journal. */
export type JournalEnd = {
  /** The last group. */
  readonly seq: number
  readonly checksum: number
  /** In order of use, each once. */
  readonly files: readonly {
    readonly path: string
    /** Where the first group in it begins. */
    readonly start: number
    readonly ends: { readonly seq: number; readonly end: number }[]
  }[]
  /** Bytes of the first file that the checkpoint covers. */
  readonly coveredTo: number
  /** Where the next group goes in the last file. */
  readonly position: number
  /** Headers of groups behind the end, which follow nothing. */
  readonly strays: readonly { readonly path: string; readonly position: number }[]
}

/** Looks for the end. Throws DiskError. */
export function findJournalEnd(disk: Disk, from: JournalPosition): JournalEnd {
  const files: { path: string; start: number; ends: { seq: number; end: number }[] }[] = []
  let { seq, checksum, position } = from
  files.push({ path: from.path, start: from.position, ends: [] })
  let isBegunAgain = false
  const scan = new JournalScan(disk, from)
  try {
    for (const { path, position: at, header } of scan.groups()) {
      if (files.at(-1)?.path !== path) {
        // The file at which the checkpoint stands may have been begun again: all of it is covered.
        if (files[0]?.path === path) files.shift()
        files.push({ path, start: at, ends: [] })
      }
      const last = files.at(-1)
      if (path === from.path && at < from.position && !isBegunAgain) {
        isBegunAgain = true
        if (last !== undefined) last.start = at
      }
      position = at + groupBytes(header.payloadBytes)
      last?.ends.push({ seq: header.seq, end: position })
      seq = header.seq
      checksum = header.checksum
    }
    const coveredTo = isBegunAgain || files[0]?.path !== from.path ? 0 : from.position
    const strays = [...scan.headersBehind(seq)]
    return { seq, checksum, files, coveredTo, position, strays }
  } finally {
    scan.close()
  }
}

/**
 * Opens the files of that journal for writing, and makes what is in them durable, without the strays. Null
 * where its files are not those that this ring would have: of another size, renamed, or lost. Rejects with
 * DiskError.
 */
export async function reopenJournal(
  disk: Disk,
  end: JournalEnd,
  from: JournalPosition,
  pause: () => Promise<void>,
): Promise<DiskFile[] | null> {
  const files: DiskFile[] = []
  let isWhole = false
  try {
    for (const path of journalFiles(disk)) {
      const file = disk.open(path, 'write')
      files.push(file)
      const stamp = file.size() === from.fileBytes ? readStamp(file) : null
      const isOurs = stamp !== null && (stamp.salt === from.salt || stamp.before === from.salt)
      if (isOurs && stamp.number === numberOf(path)) continue
      files.pop()
      file.close()
    }
    const byPath = new Map(files.map(file => [file.path, file]))
    isWhole = end.files.every(({ path }) => byPath.has(path))
    if (!isWhole) return null
    const zeros = Buffer.alloc(GROUP_HEADER_BYTES)
    for (const { path, position } of end.strays) byPath.get(path)?.write(position, [zeros])
    for (const { path, start, ends } of end.files) {
      const file = byPath.get(path)
      if (file !== undefined) await writeAgain(file, start, ends.at(-1)?.end ?? start, pause)
    }
    for (const file of files) await file.sync()
    return files
  } catch (cause) {
    isWhole = false
    throw cause
  } finally {
    if (!isWhole) for (const file of files) file.close()
  }
}
