/**
 * Dumps for people: what a segment or the journal holds, batch by batch.
 */
import {
  attributesOf,
  baseSequenceOf,
  compressionOf,
  decodeBatches,
  deleteHorizonOf,
  leaderEpochOf,
  maxTimestampOf,
  type Offset,
  producerEpochOf,
  producerIdOf,
  recordCountOf,
  type Timestamp,
} from '@millrace/log'
import type { Disk } from '../disk/disk.ts'
import { scanBatches } from '../segments/segment-scan.ts'
import { readCheckpoint } from './checkpoint-file.ts'
import { entriesOf } from './journal-format.ts'
import { JournalScan } from './journal-scan.ts'

/** A record as a dump shows it: text where it is valid UTF-8, else base64. */
export type DumpedRecord = {
  readonly offset: Offset
  readonly timestamp: Timestamp
  readonly key: string | null
  readonly value: string | null
}

/** A batch as a dump shows it. */
export type DumpedBatch = {
  readonly position: number
  readonly bytes: number
  readonly baseOffset: Offset
  readonly lastOffset: Offset
  readonly leaderEpoch: number
  readonly records: number
  readonly compression: number
  readonly maxTimestamp: Timestamp
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  /** When the batch's tombstones may go, ms since the epoch; only where compaction has set it. */
  readonly deleteHorizon?: number
  readonly content?: readonly DumpedRecord[]
}

/** A line of a segment's dump: a batch, or where and why it ends. */
export type DumpLine = DumpedBatch | { readonly position: number; readonly damage: string }

/** A commit group as a dump shows it. */
export type DumpedGroup = {
  readonly path: string
  readonly position: number
  readonly seq: number
  readonly durableUpTo: number
  readonly payloadBytes: number
  readonly entries: readonly { readonly partitionId: number; readonly batch: DumpedBatch }[]
}

/** The batches of a segment file, path relative to the disk's folder. */
export function* dumpSegment(
  disk: Disk,
  path: string,
  options: { readonly records?: boolean } = {},
): Generator<DumpLine> {
  const baseOffset = Number(/(\d+)(?:-\d+)?\.log$/.exec(path)?.[1] ?? 0)
  const file = disk.open(path, 'read')
  try {
    const rules = { nextOffset: baseOffset, gaps: true, checksums: true }
    const scan = scanBatches(file, 0, file.size(), rules)
    let step = scan.next()
    while (step.done !== true) {
      const { buffer, at, bytes, position } = step.value
      yield dumpBatch(buffer.subarray(at, at + bytes), position, options.records === true)
      step = scan.next()
    }
    const { position, damage } = step.value
    if (damage !== null) yield { position, damage }
  } finally {
    file.close()
  }
}

/** The groups of the journal behind the newest checkpoint. */
export function* dumpJournal(
  disk: Disk,
  options: { readonly records?: boolean } = {},
): Generator<DumpedGroup> {
  const { checkpoint } = readCheckpoint(disk)
  if (checkpoint === null) return
  const scan = new JournalScan(disk, checkpoint.journal)
  try {
    for (const { path, position, header, payload } of scan.groups()) {
      yield {
        path,
        position,
        seq: header.seq,
        durableUpTo: header.durableUpTo,
        payloadBytes: header.payloadBytes,
        entries: [...entriesOf(payload)].map(({ partitionId, batch }) => ({
          partitionId,
          batch: dumpBatch(batch, position, options.records === true),
        })),
      }
    }
  } finally {
    scan.close()
  }
}

function dumpBatch(bytes: Buffer, position: number, withRecords: boolean): DumpedBatch {
  const [batch] = decodeBatches(bytes)
  const horizon = batch === undefined ? null : deleteHorizonOf(batch)
  const summary = {
    position,
    bytes: bytes.length,
    baseOffset: batch?.baseOffset ?? -1,
    lastOffset: batch?.lastOffset ?? -1,
    leaderEpoch: leaderEpochOf(bytes),
    records: recordCountOf(bytes),
    compression: compressionOf(attributesOf(bytes)),
    maxTimestamp: maxTimestampOf(bytes),
    producerId: producerIdOf(bytes),
    producerEpoch: producerEpochOf(bytes),
    baseSequence: baseSequenceOf(bytes),
    ...(horizon === null ? {} : { deleteHorizon: horizon }),
  }
  if (!withRecords || batch === undefined) return summary
  const content = [...batch.records()].map(({ offset, timestamp, key, value }) => ({
    offset,
    timestamp,
    key: text(key),
    value: text(value),
  }))
  return { ...summary, content }
}

function text(bytes: Buffer | null): string | null {
  if (bytes === null) return null
  const decoded = bytes.toString()
  return Buffer.from(decoded).equals(bytes) ? decoded : `base64:${bytes.toString('base64')}`
}
