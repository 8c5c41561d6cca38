/**
 * Verification of a data folder that nobody has open: every checksum, offset, index entry, and
 * journal group is looked at, nothing is changed.
 *
 * Bytes behind the newest checkpoint may be anything (recovery writes them again from the journal);
 * bytes it covers must be right.
 */

import type { Disk } from '../disk/disk.ts'
import { recordsOf } from '../machines/batch-records.ts'
import type { MachineRegistry } from '../machines/registry.ts'
import type { EpochStart } from '../partitions/leader-epochs.ts'
import { type PartitionRecord, partitionFolder } from '../partitions/partition-log.ts'
import { BlockChecksums } from '../segments/block-checksums.ts'
import { DamageError } from '../segments/damage.ts'
import { checkedBatches, type ExpectedSegment } from '../segments/segment-check.ts'
import { CHECKSUM_BLOCK_BYTES, SegmentIndex } from '../segments/segment-index.ts'
import { type SegmentRecord, segmentName } from '../segments/segment-record.ts'
import { MemoryFile, type ReadableFile } from '../segments/small-segments.ts'
import type { Checkpoint } from './checkpoint.ts'
import { CHECKPOINT_FILES, readCheckpoint } from './checkpoint-file.ts'
import type { Finding } from './finding.ts'
import { entriesOf } from './journal-format.ts'
import { JournalScan } from './journal-scan.ts'
import { judgeJournal, judgeNoCheckpoint } from './judge-journal.ts'
import { readRescue, rescued, rescuePath } from './rescue.ts'

/** What a verification looked at and found. */
export type VerifyReport = {
  readonly logId: string | null
  readonly cleanStop: boolean
  readonly topics: number
  readonly partitions: number
  readonly segments: number
  readonly batches: number
  readonly bytes: number
  readonly journalGroups: number
  readonly findings: readonly Finding[]
}

const RESTORE = 'restore this file from a copy; until then the partition is quarantined at start'
const REBUILT = 'nothing: the engine builds it again'

/** What the catalogue says of partitions, once its records have been replayed. */
export interface PartitionDirectory {
  readonly topicCount: number
  /** Ids of all partitions of clients. */
  partitionIds(): Iterable<number>
  /** First readable offset. */
  logStart(partitionId: number): number
}

/** Empty machines for a verification to fill. */
export type VerifyMachines = {
  readonly registry: MachineRegistry
  /** The registry's first machine. */
  readonly directory: PartitionDirectory
}

/** Verifies a data folder. Throws DiskError when it cannot be read. */
export function verifyStore(disk: Disk, machines: VerifyMachines): VerifyReport {
  return new Verification(disk, machines).run()
}

class Verification {
  readonly #disk: Disk
  readonly #machines: VerifyMachines
  readonly #findings: Finding[] = []
  #segments = 0
  #batches = 0
  #bytes = 0
  #journalGroups = 0

  constructor(disk: Disk, machines: VerifyMachines) {
    this.#disk = disk
    this.#machines = machines
  }

  run(): VerifyReport {
    const { checkpoint, found, broken } = readCheckpoint(this.#disk)
    if (checkpoint === null) {
      this.#find(judgeNoCheckpoint(this.#disk, found))
      return this.#report(null)
    }
    this.#replayMachines(checkpoint)
    const { registry, directory } = this.#machines
    const ids = new Set(directory.partitionIds())
    for (const record of checkpoint.partitions) {
      if (ids.has(record.id) || registry.has(record.id)) this.#partition(record)
    }
    if (found > 1 && broken !== undefined) {
      this.#find({
        severity: 'note',
        path: broken,
        position: 0,
        what: 'this checkpoint file is not whole; the other one counts',
        advice: 'nothing: a crash leaves it so, and the next checkpoint writes it again',
      })
    }
    this.#journal(checkpoint)
    for (const [id, reason] of checkpoint.quarantined) {
      this.#find({
        severity: 'damage',
        path: partitionFolder(id),
        position: 0,
        what: `quarantined: ${reason}`,
        advice: 'restore the file from a copy, or accept the loss with millrace repair',
      })
    }
    for (const id of rescued(this.#disk)) {
      this.#find({
        severity: 'note',
        path: rescuePath(id),
        position: 0,
        what: `${readRescue(this.#disk, id).length} batches wait for their partition to be whole`,
        advice: 'start the node: they are applied when the partition has been restored',
      })
    }
    return this.#report(checkpoint)
  }

  /**
   * What the machines knew at the end of the journal. Of the catalogue: partitions deleted and log
   * starts moved after the checkpoint explain files that are gone (engine rule 10).
   */
  #replayMachines(checkpoint: Checkpoint): void {
    const { registry } = this.#machines
    const path = CHECKPOINT_FILES[checkpoint.number % 2] ?? ''
    for (const name of registry.restore(checkpoint.machines)) {
      this.#find({
        severity: 'damage',
        path,
        position: 0,
        what: `the checkpoint holds state of ${name}, which this version does not know`,
        advice: 'open the folder with the version that wrote it',
      })
    }
    let unclaimed = 0
    const scan = new JournalScan(this.#disk, checkpoint.journal)
    try {
      for (const { payload } of scan.groups()) {
        for (const { partitionId, batch } of entriesOf(payload)) {
          if (!registry.has(partitionId)) continue
          for (const record of recordsOf(batch)) {
            if (!registry.replay(partitionId, record)) unclaimed += 1
          }
        }
      }
    } finally {
      scan.close()
    }
    if (unclaimed === 0) return
    this.#find({
      severity: 'note',
      path,
      position: 0,
      what: `${unclaimed} records of internal topics in the journal are of a kind that this version does not know`,
      advice: 'nothing, if the folder was last open in a newer version: open it with that one',
    })
  }

  #partition(record: PartitionRecord): void {
    const start = this.#machines.directory.logStart(record.id)
    let next: number | undefined
    record.segments.forEach(segment => {
      const path = `${partitionFolder(record.id)}/${segmentName(segment)}.log`
      if (segment.nextOffset <= start && !this.#disk.exists(path)) return
      if (next !== undefined && segment.baseOffset < next) {
        this.#damage(path, 0, `the segment begins at ${segment.baseOffset}, ${next} was due`)
      }
      if (next !== undefined && segment.baseOffset > next) {
        this.#find({
          severity: 'note',
          path,
          position: 0,
          what: `offsets ${next} to ${segment.baseOffset - 1} were given up by a repair`,
          advice: 'nothing',
        })
      }
      next = segment.nextOffset
      this.#segment(record.id, segment, path, record.epochs)
    })
  }

  #segment(
    partitionId: number,
    segment: SegmentRecord,
    path: string,
    epochs: readonly EpochStart[],
  ): void {
    this.#segments += 1
    const knowsEpoch = (epoch: number): boolean => epochs.some(([known]) => known === epoch)
    if (segment.content !== undefined) {
      this.#batchesOf(new MemoryFile(segment.content), { ...segment, path, knowsEpoch })
      return
    }
    if (!this.#disk.exists(path)) {
      this.#damage(path, 0, 'the segment is missing')
      return
    }
    const file = this.#disk.open(path, 'read')
    try {
      if (file.size() < segment.bytes) {
        this.#damage(path, file.size(), `the file ends before byte ${segment.bytes}`)
      }
      const end = Math.min(file.size(), segment.bytes)
      const positions = this.#batchesOf(file, {
        ...segment,
        // What is missing has been told.
        ...(end < segment.bytes ? { bytes: end, headers: undefined } : {}),
        path,
        knowsEpoch,
      })
      if (positions === null) return
      this.#index(partitionId, segment, path, positions, BlockChecksums.of(file, end))
    } finally {
      file.close()
    }
  }

  /** Where each batch stands; null where there is damage, which is told. */
  #batchesOf(file: ReadableFile, segment: ExpectedSegment): ReadonlyMap<number, number> | null {
    const positions = new Map<number, number>()
    try {
      for (const { bytes, position, baseOffset } of checkedBatches(file, segment)) {
        this.#batches += 1
        this.#bytes += bytes
        positions.set(position, baseOffset)
      }
      return positions
    } catch (cause) {
      if (!(cause instanceof DamageError)) throw cause
      this.#damage(segment.path, cause.position, cause.reason)
      return null
    }
  }

  #index(
    partitionId: number,
    segment: SegmentRecord,
    logPath: string,
    positions: ReadonlyMap<number, number>,
    blocks: BlockChecksums,
  ): void {
    const path = logPath.replace(/log$/, 'index')
    if (!this.#disk.exists(path)) return
    const file = this.#disk.open(path, 'read')
    try {
      const bytes = Buffer.allocUnsafe(file.size())
      file.read(0, bytes)
      const known = SegmentIndex.decode(bytes, partitionId, segment.baseOffset)
      if (known === null) {
        this.#derived(path, 'the index is not whole')
        return
      }
      if (known.summary.bytes !== segment.bytes) {
        this.#derived(path, `the index covers ${known.summary.bytes} of ${segment.bytes} bytes`)
        return
      }
      const wrong = known.blocks.findIndex((sum, i) => sum !== blocks.sums[i])
      if (wrong >= 0) {
        // The index is whole, so the segment has changed, in bytes that no batch checksum covers.
        const at = wrong * CHECKSUM_BLOCK_BYTES
        this.#damage(logPath, at, 'a block of 64 KiB fails its checksum')
      }
      for (const { position, offset } of known.index.places()) {
        if (positions.get(position) === offset) continue
        this.#derived(path, `no batch with offset ${offset} stands at byte ${position}`)
        break
      }
    } finally {
      file.close()
    }
  }

  #journal(checkpoint: Checkpoint): void {
    const scan = new JournalScan(this.#disk, checkpoint.journal)
    try {
      let lastSeq = checkpoint.journal.seq
      for (const { header, payload } of scan.groups()) {
        lastSeq = header.seq
        this.#journalGroups += 1
        for (const { batch } of entriesOf(payload)) this.#bytes += batch.length
      }
      for (const finding of judgeJournal(this.#disk, checkpoint, scan, lastSeq)) {
        this.#find(finding)
      }
    } finally {
      scan.close()
    }
  }

  #damage(path: string, position: number, what: string): void {
    this.#find({ severity: 'damage', path, position, what, advice: RESTORE })
  }

  #derived(path: string, what: string): void {
    this.#find({ severity: 'derived', path, position: 0, what, advice: REBUILT })
  }

  #find(finding: Finding): void {
    this.#findings.push(finding)
  }

  #report(checkpoint: Checkpoint | null): VerifyReport {
    return {
      logId: checkpoint?.logId ?? null,
      cleanStop: checkpoint?.clean ?? false,
      topics: this.#machines.directory.topicCount,
      partitions: checkpoint?.partitions.length ?? 0,
      segments: this.#segments,
      batches: this.#batches,
      bytes: this.#bytes,
      journalGroups: this.#journalGroups,
      findings: this.#findings,
    }
  }
}
