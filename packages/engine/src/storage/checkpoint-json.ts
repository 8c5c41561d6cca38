/**
 * Checkpoints as they were first written, version 1: one JSON text. Still read, so that a folder of
 * that time opens; the next checkpoint is written over it in slices.
 *
 *     magic u32 | version u16 | 0 u16 | number u64 | body bytes u32 | crc u32 | body: JSON
 */
import { crc32c } from '@node-rs/crc32'
import type { DiskFile } from '../disk/disk.ts'
import type { MachineRecord } from '../machines/machine.ts'
import type { PartitionRecord } from '../partitions/partition-log.ts'
import type { ProducerRecord } from '../partitions/producer-ledger.ts'
import type { CheckpointHead, CheckpointRows, Quarantined, StoredCheckpoint } from './checkpoint.ts'

const MAGIC = 0x4d52_4331 // "MRC1"
const VERSION = 1
const HEADER_BYTES = 24
/** The partition of `__consumer_offsets`. */
const GROUPS_PARTITION_ID = 1

type JsonRecord = readonly [key: string, value: string | null]

type JsonCheckpoint = CheckpointHead & {
  readonly partitions: readonly (PartitionRecord & {
    readonly producers: readonly ProducerRecord[]
  })[]
  readonly machines?: Readonly<Record<string, readonly JsonRecord[]>>
  /** Before machines had names: the catalogue, and all that was on `__consumer_offsets`. */
  readonly catalogue?: readonly JsonRecord[]
  readonly groups?: readonly JsonRecord[]
  readonly quarantined: Quarantined
}

/** The checkpoint of a file of version 1; null if it is not one, or not whole. Throws DiskError. */
export function readJsonCheckpoint(file: DiskFile): StoredCheckpoint | null {
  const header = Buffer.allocUnsafe(HEADER_BYTES)
  if (file.read(0, header) < HEADER_BYTES || header.readUInt32BE(0) !== MAGIC) return null
  if (header.readUInt16BE(4) !== VERSION) return null
  const body = Buffer.allocUnsafe(Math.min(header.readUInt32BE(16), file.size()))
  if (body.length < header.readUInt32BE(16)) return null
  if (file.read(HEADER_BYTES, body) < body.length) return null
  if (crc32c(body, crc32c(header.subarray(0, 20))) !== header.readUInt32BE(20)) return null
  const checkpoint = JSON.parse(body.toString()) as JsonCheckpoint
  const { number, logId, clean, journal } = checkpoint
  return {
    head: { number, logId, clean, journal },
    path: file.path,
    rows: kinds => rowsOf(checkpoint, kinds),
  }
}

function* rowsOf(
  { partitions, machines, catalogue, groups, quarantined }: JsonCheckpoint,
  kinds: readonly CheckpointRows['kind'][] | undefined,
): Generator<CheckpointRows> {
  const wanted = (kind: CheckpointRows['kind']): boolean => kinds?.includes(kind) ?? true
  if (wanted('machine')) {
    const named = machines ?? (catalogue === undefined ? {} : { catalogue })
    for (const [name, records] of Object.entries(named)) {
      yield { kind: 'machine', name, records: records.map(recordOf) }
    }
  }
  if (wanted('unsorted') && groups !== undefined) {
    yield { kind: 'unsorted', partitionId: GROUPS_PARTITION_ID, records: groups.map(recordOf) }
  }
  for (const { producers, ...record } of partitions) {
    if (wanted('partitions')) yield { kind: 'partitions', records: [record] }
    if (!wanted('producers')) continue
    const records = producers.map(producer => ({ partitionId: record.id, producer }))
    yield { kind: 'producers', records }
  }
  if (wanted('quarantined')) yield { kind: 'quarantined', partitions: quarantined }
}

const recordOf = ([key, value]: JsonRecord): MachineRecord => ({
  key: Buffer.from(key, 'base64'),
  value: value === null ? null : Buffer.from(value, 'base64'),
})
