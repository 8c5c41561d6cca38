/**
 * A new generation of the journal: what recovery has restored is synced and written down, before any
 * reader sees it, and the journal begins again under another salt (engine rules 2 and 3).
 */

import { isShortage } from '../disk/disk.ts'
import { releaseAll } from '../machines/registry.ts'
import { pauseOf } from '../turns.ts'
import type { CheckpointHead } from './checkpoint.ts'
import { forgetCheckpoint, repeatCheckpoint } from './checkpoint-file.ts'
import { CheckpointPass } from './checkpoint-pass.ts'
import type { JournalPosition } from './journal-format.ts'
import { journalFiles } from './journal-scan.ts'
import type { LogStore } from './log-store.ts'
import type { RecoveryTarget } from './recovery.ts'
import { dropRescue, rescued } from './rescue.ts'
import { JOURNAL_FOLDER } from './ring-register.ts'
import { SegmentSyncs } from './segment-syncs.ts'

/** Marks a run whose journal failed: its files are kept aside for `verify`. */
export const FENCED_MARKER = 'fenced'

/**
 * The checkpoint with which the engine begins to serve: a new generation of the journal.
 *
 * @param journal the beginning of the new generation, whose files are known durably
 */
export async function beginGeneration(
  target: RecoveryTarget,
  before: CheckpointHead,
  journal: JournalPosition,
): Promise<CheckpointHead> {
  const { store } = target
  const next = { ...before, number: before.number + 1, clean: false, journal }
  const machines = target.registry.snapshot()
  const syncs = new SegmentSyncs(store, { opening: true })
  try {
    const { waitsFor } = store
    if (waitsFor !== undefined) throw waitsFor
    await new CheckpointPass({ store, machines, last: before, next, syncs }).run()
  } catch (cause) {
    // Where it has run into a full disk, the engine goes on with the generation before.
    syncs.forgetFolders()
    throw cause
  } finally {
    releaseAll(machines)
  }
  const twin = await repeated(store, next)
  for (const id of rescued(store.disk)) {
    const partition = store.partitions.get(id)
    if (partition === undefined || partition.trouble === undefined) dropRescue(store.disk, id)
  }
  return twin
}

/**
 * Twice, into both files: if one is damaged later, the other must not lead back to a generation whose
 * journal has been written over. Where there is no room for it, the other one just does not count.
 */
async function repeated(store: LogStore, head: CheckpointHead): Promise<CheckpointHead> {
  try {
    return await repeatCheckpoint(store.disk, head, pauseOf(store))
  } catch (cause) {
    if (!isShortage(cause)) throw cause
    await forgetCheckpoint(store.disk, head.number + 1)
    return head
  }
}

/**
 * Takes away what is left of earlier generations: files that are not in the ring. After a failed
 * journal they keep their evidence instead: they are set aside.
 */
export function leaveOldJournal({ disk }: LogStore, ring: ReadonlySet<string>): void {
  const old = journalFiles(disk).filter(path => !ring.has(path))
  if (!disk.exists(FENCED_MARKER)) {
    for (const path of old) disk.unlink(path)
    return
  }
  for (const name of disk.list(JOURNAL_FOLDER)) {
    const path = `${JOURNAL_FOLDER}/${name}`
    // The evidence of one failed run is kept, not of all.
    if (name.endsWith('.aside')) disk.unlink(path)
  }
  for (const path of old) disk.rename(path, `${path}.aside`)
  disk.unlink(FENCED_MARKER)
}
