/**
 * Partitions and their segments as the checkpoint says: each file is cut to what is covered, what came later
 * is taken away, because the journal writes it again, and damage to a file quarantines its partition.
 *
 * Where an operator accepts a loss, what is whole is kept instead, and nothing is cut or taken away that may
 * be in no journal.
 */

import type { PartitionLog, PartitionRecord } from '../partitions/partition-log.ts'
import { DamageError } from '../segments/damage.ts'
import { type SegmentRecord, segmentName } from '../segments/segment-record.ts'
import type { StoredCheckpoint } from './checkpoint.ts'
import type { Pause } from './checkpoint-file.ts'
import type { LogStore } from './log-store.ts'
import { type Salvage, tailOf } from './salvage.ts'

type SegmentEnd = Pick<SegmentRecord, 'baseOffset' | 'revision' | 'bytes'>

/** What recovery has found of the journal. */
export type FoundJournal = {
  /** Partitions that the journal's tail has batches of. */
  readonly touched: ReadonlySet<number>
  /** It is damaged: every byte stays, so that a restored file brings everything back. */
  readonly isReadOnly: boolean
  /** The operator goes on without what a damaged journal has lost. */
  readonly isSalvaged: boolean
}

/** Restores partitions from a checkpoint. */
export class PartitionRestore {
  readonly #store: LogStore
  readonly #stored: StoredCheckpoint
  readonly #acceptLoss: boolean
  readonly #salvage: Salvage
  readonly #pause: Pause
  #found: FoundJournal = { touched: new Set(), isReadOnly: false, isSalvaged: false }
  /** Files below log starts: to be taken away once that is durable. */
  readonly doomedFiles: string[] = []
  /** Batches behind the checkpoint that were found in the segments of partitions. */
  readonly tails: Map<number, readonly Buffer[]> = new Map()

  constructor(parts: {
    store: LogStore
    stored: StoredCheckpoint
    acceptLoss: boolean
    salvage: Salvage
    pause: Pause
  }) {
    this.#store = parts.store
    this.#stored = parts.stored
    this.#acceptLoss = parts.acceptLoss
    this.#salvage = parts.salvage
    this.#pause = parts.pause
  }

  /** Rejects with DiskError; damage quarantines its partition. */
  async run(found: FoundJournal): Promise<void> {
    this.#found = found
    const { partitions } = this.#store
    for (const partition of partitions.values()) partition.isSalvaged = this.#found.isSalvaged
    const quarantined = new Map<number, string>()
    for (const rows of this.#stored.rows(['quarantined'])) {
      if (rows.kind !== 'quarantined') continue
      for (const [id, reason] of rows.partitions) quarantined.set(id, reason)
    }
    for (const rows of this.#stored.rows(['partitions', 'producers'])) {
      if (rows.kind === 'partitions') {
        for (const record of rows.records) this.#restorePartition(record, quarantined)
      } else if (rows.kind === 'producers') {
        for (const { partitionId, producer } of rows.records) {
          partitions.get(partitionId)?.producers.restore([producer])
        }
      }
      await this.#pause()
    }
  }

  #restorePartition(record: PartitionRecord, quarantined: ReadonlyMap<number, string>): void {
    const partition = this.#store.partitions.get(record.id)
    if (partition === undefined) return
    if (this.#acceptLoss) {
      this.#restoreIntact(partition, record)
      return
    }
    try {
      partition.restore(this.#cutSegments(partition, record))
    } catch (cause) {
      if (!(cause instanceof DamageError)) throw cause
      partition.restore(record)
      partition.quarantine(cause.message)
    }
    const reason = quarantined.get(record.id)
    if (reason !== undefined) partition.quarantine(reason)
  }

  /** Cuts the files to what the checkpoint covers; segments below the log start may be gone. */
  #cutSegments(partition: PartitionLog, record: PartitionRecord): PartitionRecord {
    const { disk } = this.#store
    const known = new Set<string>()
    const kept = record.segments.filter((segment, i) => {
      const path = `${partition.folder}/${segmentName(segment)}`
      const isLast = i === record.segments.length - 1
      // The last one goes as well where it was closed, and removed, after the checkpoint.
      const isGone = !isLast || !disk.exists(`${path}.log`)
      if (segment.nextOffset <= partition.logStart && isGone) {
        known.add(segmentName(segment))
        this.doomedFiles.push(`${path}.log`, `${path}.index`)
        return false
      }
      known.add(segmentName(segment))
      return true
    })
    if (this.#mayHaveMore(partition)) {
      for (const name of disk.list(partition.folder)) {
        if (!known.has(name.split('.')[0] ?? '')) disk.unlink(`${partition.folder}/${name}`)
      }
    }
    for (const segment of kept) this.#cut(`${partition.folder}/${segmentName(segment)}`, segment)
    return { ...record, segments: kept }
  }

  /**
   * Whether files may be there that the checkpoint does not list. Only batches in the journal's tail
   * make some, appends that need no sync, and compaction.
   */
  #mayHaveMore({ id, config }: PartitionLog): boolean {
    if (this.#found.isReadOnly) return false
    if (config.compacts) return true
    return !this.#stored.head.clean && (this.#found.touched.has(id) || config.durability !== 'sync')
  }

  #cut(name: string, segment: SegmentRecord): void {
    if (segment.content !== undefined) return
    const { disk } = this.#store
    const path = `${name}.log`
    const size = disk.sizeOf(path)
    if (size === null) throw new DamageError(path, 0, 'the segment is missing')
    if (size < segment.bytes) {
      throw new DamageError(path, size, `the file ends before byte ${segment.bytes}`)
    }
    if (size === segment.bytes || this.#found.isReadOnly) return
    // Checksums of what is cut off must not be held against what will be written there.
    disk.unlink(`${name}.index`)
    const file = disk.open(path, 'write')
    try {
      file.truncate(segment.bytes)
    } finally {
      file.close()
    }
  }

  /** The operator accepts the loss: what is whole is kept. */
  #restoreIntact(partition: PartitionLog, record: PartitionRecord): void {
    const { disk } = this.#store
    if (this.#found.isSalvaged) {
      this.tails.set(record.id, tailOf(disk, partition.folder, record))
    }
    const mended = this.#salvage.mend(partition, record)
    // What lies behind is not only in the journal then: it stays until it is listed durably.
    if (!partition.isSalvaged) this.cutTo(partition, mended.segments)
    partition.restore(mended)
  }

  /** Cuts files to these sizes, where they are longer. Throws DiskError. */
  cutTo(partition: PartitionLog, segments: readonly SegmentEnd[]): void {
    const { disk } = this.#store
    for (const segment of segments) {
      const path = `${partition.folder}/${segmentName(segment)}.log`
      if (!disk.exists(path)) continue
      const file = disk.open(path, 'write')
      try {
        if (file.size() > segment.bytes) file.truncate(segment.bytes)
      } finally {
        file.close()
      }
    }
  }

  /** Small segments have no files: what is there has been left by a run before. */
  removeUnused({ folder, segments }: PartitionLog): void {
    const { disk } = this.#store
    if (!segments.every(segment => segment.isSmall)) return
    for (const file of disk.list(folder)) disk.unlink(`${folder}/${file}`)
  }
}
