/**
 * Repair by decision: what recovery does beyond its usual steps when an operator goes on without what
 * is damaged. Nothing is given up that intact bytes still prove; what is given up is listed.
 *
 * - Segments are mended: see `mend-partition.ts`.
 * - Behind a hole of the journal its whole groups count again.
 * - What the journal has lost is looked for behind the checkpointed end of the segments: only batches
 *   of complete groups were ever written there.
 */
import { lastOffsetOf, leaderEpochOf, type Offset } from '@millrace/log'
import type { Disk } from '../disk/disk.ts'
import { planMending } from '../partitions/mend-partition.ts'
import type { PartitionLog, PartitionRecord } from '../partitions/partition-log.ts'
import { isSparse, segmentName } from '../segments/segment-record.ts'
import { scanBatches } from '../segments/segment-scan.ts'

/** Offsets of a partition that a repair has given up; both ends belong to them. */
export type GivenUp = {
  /** Null where the topic's creation is lost as well. */
  readonly topic: string | null
  readonly partition: number
  readonly from: Offset
  readonly to: Offset
}

/** What a repair has given up and put right. */
export class Salvage {
  readonly #disk: Disk
  readonly #givenUp: GivenUp[] = []
  readonly #folders = new Set<string>()
  readonly #writes: { readonly path: string; readonly bytes: readonly Buffer[] }[] = []
  /** Files that nobody needs once the next checkpoint is durable. */
  readonly obsolete: string[] = []
  /** Partitions of which something is lost: a new leader epoch tells their readers. */
  readonly touched: Set<PartitionLog> = new Set()

  constructor(disk: Disk) {
    this.#disk = disk
  }

  /** In order of topic, partition, offset; neighbouring ranges are one. */
  get givenUp(): readonly GivenUp[] {
    const sorted = this.#givenUp.toSorted(
      (a, b) =>
        (a.topic ?? '').localeCompare(b.topic ?? '') ||
        a.partition - b.partition ||
        a.from - b.from,
    )
    const merged: GivenUp[] = []
    for (const range of sorted) {
      const last = merged.at(-1)
      const same = last?.topic === range.topic && last.partition === range.partition
      if (last !== undefined && same && range.from <= last.to + 1) {
        merged[merged.length - 1] = { ...last, to: Math.max(last.to, range.to) }
      } else merged.push(range)
    }
    return merged
  }

  /** Offsets that no file holds any more. */
  giveUp(partition: PartitionLog, from: Offset, to: Offset): void {
    if (to < from) return
    this.touched.add(partition)
    this.#givenUp.push({ topic: partition.topic, partition: partition.partition, from, to })
  }

  /** A folder of a partition that the catalogue does not know, because its creation is lost. */
  giveUpUnknown(partitionId: number, folder: string): void {
    const batches = tailOf(this.#disk, folder, { id: partitionId, nextOffset: 0, segments: [] })
    const last = batches.at(-1)
    if (last === undefined) return
    this.#givenUp.push({ topic: null, partition: partitionId, from: 0, to: lastOffsetOf(last) })
  }

  /** What is left of a partition; the files are written by `carryOut`. */
  mend(partition: PartitionLog, record: PartitionRecord): PartitionRecord {
    const { segments, lost, writes, obsolete } = planMending(this.#disk, partition, record)
    for (const { from, to } of lost) this.giveUp(partition, from, to)
    this.#writes.push(...writes)
    if (writes.length > 0) this.#folders.add(partition.folder)
    this.obsolete.push(...obsolete)
    return { ...record, segments }
  }

  /** Writes and syncs the mended segments. Rejects with DiskError. */
  async carryOut(): Promise<void> {
    for (const { path, bytes } of this.#writes) {
      const file = this.#disk.open(path, 'create')
      try {
        file.write(0, bytes)
        await file.sync()
      } finally {
        file.close()
      }
    }
    this.#writes.length = 0
    for (const folder of this.#folders) await this.#disk.syncFolder(folder)
    this.#folders.clear()
  }
}

/** Whole batches that follow what the checkpoint lists of a partition, in copies. */
export function tailOf(
  disk: Disk,
  folder: string,
  record: Pick<PartitionRecord, 'id' | 'nextOffset' | 'segments'> & Partial<PartitionRecord>,
): readonly Buffer[] {
  const listed = new Map(record.segments.map(segment => [segmentName(segment), segment]))
  const last = record.segments.at(-1)
  const epoch = record.epochs?.at(-1)?.[0] ?? 0
  const found: Buffer[] = []
  let next = record.nextOffset
  for (const name of disk.list(folder)) {
    const base = /^(\d{20})\.log$/.exec(name)?.[1]
    if (base === undefined) continue
    const known = listed.get(base)
    const isOpen = known !== undefined && known === last && !isSparse(known)
    if (known !== undefined ? !isOpen : Number(base) !== next) continue
    const from = known?.bytes ?? 0
    const file = disk.open(`${folder}/${name}`, 'read')
    try {
      const rules = { nextOffset: next, gaps: false, checksums: true }
      for (const { buffer, at, bytes, lastOffset } of scanBatches(file, from, file.size(), rules)) {
        if (leaderEpochOf(buffer, at) !== epoch) break
        found.push(Buffer.from(buffer.subarray(at, at + bytes)))
        next = lastOffset + 1
      }
    } finally {
      file.close()
    }
  }
  return found
}
