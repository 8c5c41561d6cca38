/**
 * A new generation of the journal: what recovery has restored is synced and written down, before any
 * reader sees it, and the journal begins again under another salt (engine rules 2 and 3).
 */

import { releaseAll } from '../machines/registry.ts'
import { PARTITIONS_FOLDER } from '../partitions/partition-log.ts'
import { type Checkpoint, writeCheckpoint } from './checkpoint-file.ts'
import { quarantinedOf, toSnapshot } from './checkpointer.ts'
import { JOURNAL_FOLDER, journalFileName } from './journal-ring.ts'
import { journalFiles } from './journal-scan.ts'
import type { LogStore } from './log-store.ts'
import type { RecoveryTarget } from './recovery.ts'
import { dropRescue, rescued } from './rescue.ts'

/** Marks a run whose journal failed: its files are kept aside for `verify`. */
export const FENCED_MARKER = 'fenced'

/** The checkpoint with which the engine begins to serve: a new generation of the journal. */
export async function beginGeneration(
  target: RecoveryTarget,
  before: Checkpoint,
  salt: string,
): Promise<Checkpoint> {
  const { store } = target
  for (const partition of store.partitions.values()) {
    for (const segment of partition.segments) await segment.sync()
    if (!partition.namesDirty) continue
    partition.namesDirty = false
    await store.disk.syncFolder(partition.folder)
    await store.disk.syncFolder(PARTITIONS_FOLDER)
  }
  const machines = target.registry.snapshot()
  const checkpoint: Checkpoint = {
    ...before,
    number: before.number + 1,
    clean: false,
    journal: {
      salt,
      path: journalFileName(0),
      position: 0,
      seq: 0,
      checksum: 0,
      files: [],
      fileBytes: 0,
    },
    partitions: [...store.partitions.values()].map(p => p.record(p.producers.snapshot())),
    machines: toSnapshot(machines),
    quarantined: quarantinedOf(store),
  }
  releaseAll(machines)
  await writeCheckpoint(store.disk, checkpoint)
  // Twice, into both files: if one is damaged later, the other must not lead back to a generation
  // whose journal has been written over.
  const twin = { ...checkpoint, number: checkpoint.number + 1 }
  await writeCheckpoint(store.disk, twin)
  for (const id of rescued(store.disk)) {
    const partition = store.partitions.get(id)
    if (partition === undefined || partition.trouble === undefined) dropRescue(store.disk, id)
  }
  return twin
}

/** After a failed journal the files keep their evidence: they are set aside, not written again. */
export function setAsideFencedJournal(store: LogStore): void {
  if (!store.disk.exists(FENCED_MARKER)) return
  for (const name of store.disk.list(JOURNAL_FOLDER)) {
    const path = `${JOURNAL_FOLDER}/${name}`
    // The evidence of one failed run is kept, not of all.
    if (name.endsWith('.aside')) store.disk.unlink(path)
  }
  for (const path of journalFiles(store.disk)) store.disk.rename(path, `${path}.aside`)
  store.disk.unlink(FENCED_MARKER)
}
