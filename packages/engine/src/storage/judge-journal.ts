/**
 * The one judgement of a journal: opening acts on it, verification reports it, repair goes on
 * without what it finds lost.
 *
 * Whatever is damaged here may have held acknowledged groups: the engine then serves reads only. A
 * torn tail is no damage: nothing vouches for it.
 */
import type { Disk } from '../disk/disk.ts'
import { PARTITIONS_FOLDER } from '../partitions/partition-log.ts'
import type { CheckpointHead } from './checkpoint.ts'
import { CHECKPOINT_FILES } from './checkpoint-file.ts'
import type { Finding } from './finding.ts'
import { type JournalScan, journalFiles } from './journal-scan.ts'
import {
  JOURNAL_FOLDER,
  journalFileName,
  pathsOf,
  REGISTER_FILES,
  readRegister,
  readStamp,
  type Stamp,
  union,
} from './ring-register.ts'

const RESTORE =
  'restore the journal from a copy; until then the node serves reads only. millrace repair accepts the loss of what lies behind'

/** A journal file as it was found. */
type FoundFile = { readonly path: string; readonly bytes: number; readonly stamp: Stamp | null }

/**
 * What is wrong with the journal behind a checkpoint. Of severity `damage` only where acknowledged
 * groups may be lost. Throws DiskError when a file cannot be read.
 *
 * @param lastSeq the last whole group
 */
export function judgeJournal(
  disk: Disk,
  checkpoint: CheckpointHead,
  scan: JournalScan,
  lastSeq: number,
): readonly Finding[] {
  const register = readRegister(disk)
  const findings = [...judgeFiles(disk, checkpoint, register), ...brokenCopies(register)]
  if (checkpoint.clean) return findings
  const witness = scan.witnessBehind(lastSeq)
  if (witness === undefined) return findings
  const what = `group ${lastSeq + 1} is not whole, but this later group says it was durable up to ${witness.vouchesFor}`
  return [...findings, damage(witness.path, witness.position, what)]
}

/**
 * What it means that no checkpoint can be read: nothing, in a folder without partitions (the first
 * start may have been cut short); else the folder cannot be opened.
 *
 * @param found how many checkpoint files there are
 */
export function judgeNoCheckpoint(disk: Disk, found: number): Finding {
  const path = CHECKPOINT_FILES[0] ?? ''
  if (disk.list(PARTITIONS_FOLDER).length === 0) {
    const what = 'no checkpoint: not a data folder, or new'
    return { severity: 'note', path, position: 0, what, advice: 'check the path' }
  }
  const what = found === 0 ? 'there is no checkpoint file' : 'no checkpoint file is whole'
  const advice = 'restore checkpoint-a or checkpoint-b from a copy'
  return damage(path, 0, `${what}, but there are partitions`, advice)
}

/** Whether the ring's files are all there, whole, and of the checkpoint's generation. */
function judgeFiles(
  disk: Disk,
  checkpoint: CheckpointHead,
  register: ReturnType<typeof readRegister>,
): readonly Finding[] {
  const { clean, journal } = checkpoint
  const files = journalFiles(disk).map(path => find(disk, path))
  const whole = register.whole.filter(copy => copy.logId === checkpoint.logId)
  const rings = whole.flatMap(copy => copy.rings).filter(ring => ring.salt === journal.salt)
  if (rings.length === 0 && whole.length > 0) {
    const what = `the checkpoint is of another time than the journal: of generation ${journal.salt} nothing is known there`
    return [damage(REGISTER_FILES[0] ?? '', 0, what, RESTORE_BOTH)]
  }
  if (register.whole.length > 0 && whole.length === 0) {
    const what = `the journal belongs to log ${register.whole[0]?.logId}, the checkpoint to ${checkpoint.logId}`
    return [damage(REGISTER_FILES[0] ?? '', 0, what, RESTORE_BOTH)]
  }
  // Behind a clean stop nothing is in the journal: its files may be missing.
  if (clean) return []
  const isStamped = rings.length > 0 || files.some(({ stamp }) => stamp !== null)
  const listed = rings.length > 0 ? [...pathsOf(union(rings))] : []
  const bytes = rings[0]?.fileBytes ?? journal.fileBytes
  const names = [...new Set([...journal.files, ...listed])].sort()
  const lost = names.flatMap(name => judgeFile(name, bytes, files, isStamped ? journal.salt : null))
  if (lost.length > 0 || !isStamped || rings.length > 0) return lost
  const what = 'the list of the journal’s files is lost: one that is missing would not be noticed'
  return [damage(REGISTER_FILES[0] ?? '', 0, what)]
}

/** A copy of the register that is not whole: a crash, or damage; the other one counts. */
function brokenCopies({ broken, whole }: ReturnType<typeof readRegister>): readonly Finding[] {
  if (whole.length === 0) return []
  return broken.map(path => ({
    severity: 'note',
    path,
    position: 0,
    what: 'this copy of the list of the journal’s files is not whole; the other one counts',
    advice: 'nothing: the next start writes it again',
  }))
}

/** @param salt the generation that must be stamped on it; null where files had no stamps yet */
function judgeFile(
  name: string,
  bytes: number,
  files: readonly FoundFile[],
  salt: string | null,
): readonly Finding[] {
  const named = files.find(({ path }) => path === name)
  if (salt === null) {
    if (named === undefined) return [damage(name, 0, 'the file is missing')]
    const isWhole = named.bytes >= bytes
    return isWhole ? [] : [damage(name, named.bytes, `the file ends before byte ${bytes}`)]
  }
  const right = files.find(({ stamp }) => stamp !== null && isOf(stamp, name, salt))
  if (right !== undefined) {
    if (right.path === name) return []
    const what = `this file is ${name}: the two have been swapped, and are read as they should be`
    return [{ severity: 'note', path: right.path, position: 0, what, advice: 'nothing' }]
  }
  if (named === undefined) return [damage(name, 0, 'the file is missing')]
  if (named.bytes < bytes) {
    return [damage(name, named.bytes, `the file ends before byte ${bytes}`)]
  }
  const what =
    named.stamp === null
      ? 'the file has lost its stamp: it was emptied, or written over'
      : `the file is of another time: generation ${named.stamp.salt}, not ${salt}`
  return [damage(name, Math.max(0, named.bytes - 1), what)]
}

const isOf = (stamp: Stamp, name: string, salt: string): boolean =>
  journalFileName(stamp.number) === name && (stamp.salt === salt || stamp.before === salt)

/** Throws DiskError: a file that cannot be read now says nothing about what it holds. */
function find(disk: Disk, path: string): FoundFile {
  const file = disk.open(path, 'read')
  try {
    return { path, bytes: file.size(), stamp: readStamp(file) }
  } finally {
    file.close()
  }
}

const RESTORE_BOTH = `restore checkpoint-a, checkpoint-b, ${JOURNAL_FOLDER} and partitions from one copy; until then the node serves reads only`

const damage = (path: string, position: number, what: string, advice = RESTORE): Finding => ({
  severity: 'damage',
  path,
  position,
  what,
  advice,
})
