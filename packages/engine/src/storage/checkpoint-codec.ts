/**
 * What a checkpoint says, as bytes: rows of partitions, of producers, of machines. Numbers that may be
 * -1 or large are doubles, which hold every safe integer.
 *
 *     partition   id u32 | next offset f64 | epochs u32 { epoch u32 | start f64 } | segments u32 { ... }
 *                 cleaned u8 [ cleaned to f64 | tombstones until f64, NaN for none ]
 *     segment     base offset f64 | created f64 | bytes f64 | next offset f64 | max timestamp f64
 *                 its offset f64 | revision u32 | known u8 [ header sums u32 u32 u32 ] | content bytes i32, -1 for none | content
 *     producer    partition id u32 | producer id f64 | epoch i32 | last seen f64 | batches u8
 *                 { first sequence u32 | last u32 | base offset f64 | timestamp f64 }
 *     machine     name bytes u32 | name | rows { key bytes u32 | key | value bytes i32, -1 for null | value }
 */
import type { MachineRecord } from '../machines/machine.ts'
import type { EpochStart } from '../partitions/leader-epochs.ts'
import type { CleaningState, PartitionRecord } from '../partitions/partition-log.ts'
import type { ProducerRecord, RememberedBatch } from '../partitions/producer-ledger.ts'
import type { HeaderSumsRecord } from '../segments/header-sums.ts'
import type { SegmentRecord } from '../segments/segment-record.ts'

/** A producer, and the partition that remembers it. */
export type PartitionProducer = { readonly partitionId: number; readonly producer: ProducerRecord }

/** Collects the fields of a slice in a buffer that grows and is used again. */
export class SliceBuilder {
  #bytes: Buffer = Buffer.allocUnsafe(64 * 1024)
  #at = 0

  /** Bytes so far. */
  get length(): number {
    return this.#at
  }

  u8(value: number): this {
    this.#at = this.#room(1).writeUInt8(value, this.#at)
    return this
  }

  u32(value: number): this {
    this.#at = this.#room(4).writeUInt32BE(value, this.#at)
    return this
  }

  i32(value: number): this {
    this.#at = this.#room(4).writeInt32BE(value, this.#at)
    return this
  }

  f64(value: number): this {
    this.#at = this.#room(8).writeDoubleBE(value, this.#at)
    return this
  }

  raw(value: Uint8Array): this {
    this.#room(value.length).set(value, this.#at)
    this.#at += value.length
    return this
  }

  /** Bytes with their length before them; null as -1. */
  nullable(value: Uint8Array | null): this {
    return value === null ? this.i32(-1) : this.i32(value.length).raw(value)
  }

  /** The bytes so far, valid until the next field; begins anew. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#at)
    this.#at = 0
    return taken
  }

  #room(bytes: number): Buffer {
    const end = this.#at + bytes
    if (end > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(end, this.#bytes.length * 2))
      this.#bytes.copy(larger, 0, 0, this.#at)
      this.#bytes = larger
    }
    return this.#bytes
  }
}

/** Reads the fields of a slice whose checksum is right. */
export class SliceReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get atEnd(): boolean {
    return this.#at >= this.#bytes.length
  }

  u8(): number {
    this.#at += 1
    return this.#bytes.readUInt8(this.#at - 1)
  }

  u32(): number {
    this.#at += 4
    return this.#bytes.readUInt32BE(this.#at - 4)
  }

  i32(): number {
    this.#at += 4
    return this.#bytes.readInt32BE(this.#at - 4)
  }

  f64(): number {
    this.#at += 8
    return this.#bytes.readDoubleBE(this.#at - 8)
  }

  /** A copy, so that what is kept of a slice does not hold the whole of it. */
  raw(length: number): Buffer {
    this.#at += length
    return Buffer.from(this.#bytes.subarray(this.#at - length, this.#at))
  }

  nullable(): Buffer | null {
    const length = this.i32()
    return length < 0 ? null : this.raw(length)
  }
}

/** Writes a partition's row. */
export function encodePartition(slice: SliceBuilder, record: PartitionRecord): void {
  slice.u32(record.id).f64(record.nextOffset).u32(record.epochs.length)
  for (const [epoch, start] of record.epochs) slice.u32(epoch).f64(start)
  slice.u32(record.segments.length)
  for (const segment of record.segments) encodeSegment(slice, segment)
  const { cleaning } = record
  slice.u8(cleaning === undefined ? 0 : 1)
  if (cleaning !== undefined) {
    slice.f64(cleaning.cleanedTo).f64(cleaning.tombstonesUntil ?? Number.NaN)
  }
}

/** Reads a partition's row. */
export function decodePartition(slice: SliceReader): PartitionRecord {
  const id = slice.u32()
  const nextOffset = slice.f64()
  const epochs = Array.from({ length: slice.u32() }, (): EpochStart => [slice.u32(), slice.f64()])
  const segments = Array.from({ length: slice.u32() }, () => decodeSegment(slice))
  const cleaning = slice.u8() === 0 ? undefined : decodeCleaning(slice)
  return { id, nextOffset, epochs, segments, ...(cleaning === undefined ? {} : { cleaning }) }
}

/** Writes a producer's row. */
export function encodeProducer(slice: SliceBuilder, row: PartitionProducer): void {
  const { producerId, epoch, lastSeen, batches } = row.producer
  slice.u32(row.partitionId).f64(producerId).i32(epoch).f64(lastSeen).u8(batches.length)
  for (const [first, last, baseOffset, timestamp] of batches) {
    slice.u32(first).u32(last).f64(baseOffset).f64(timestamp)
  }
}

/** Reads a producer's row. */
export function decodeProducer(slice: SliceReader): PartitionProducer {
  const partitionId = slice.u32()
  const producerId = slice.f64()
  const epoch = slice.i32()
  const lastSeen = slice.f64()
  const batches = Array.from(
    { length: slice.u8() },
    (): RememberedBatch => [slice.u32(), slice.u32(), slice.f64(), slice.f64()],
  )
  return { partitionId, producer: { producerId, epoch, lastSeen, batches } }
}

/** Writes a machine's record. */
export function encodeMachineRecord(slice: SliceBuilder, { key, value }: MachineRecord): void {
  slice.u32(key.length).raw(key).nullable(value)
}

/** Reads a machine's record. */
export function decodeMachineRecord(slice: SliceReader): MachineRecord {
  const key = slice.raw(slice.u32())
  return { key, value: slice.nullable() }
}

function encodeSegment(slice: SliceBuilder, segment: SegmentRecord): void {
  slice.f64(segment.baseOffset).f64(segment.createdAt).f64(segment.bytes).f64(segment.nextOffset)
  slice
    .f64(segment.maxTimestamp)
    .f64(segment.maxTimestampOffset)
    .u32(segment.revision ?? 0)
  slice.u8(segment.headers === undefined ? 0 : 1)
  for (const sum of segment.headers ?? []) slice.u32(sum)
  slice.nullable(segment.content ?? null)
}

function decodeSegment(slice: SliceReader): SegmentRecord {
  const baseOffset = slice.f64()
  const createdAt = slice.f64()
  const bytes = slice.f64()
  const nextOffset = slice.f64()
  const maxTimestamp = slice.f64()
  const maxTimestampOffset = slice.f64()
  const revision = slice.u32()
  const headers: HeaderSumsRecord | undefined =
    slice.u8() === 0 ? undefined : [slice.u32(), slice.u32(), slice.u32()]
  const content = slice.nullable()
  return {
    baseOffset,
    createdAt,
    bytes,
    nextOffset,
    maxTimestamp,
    maxTimestampOffset,
    ...(revision === 0 ? {} : { revision }),
    ...(headers === undefined ? {} : { headers }),
    ...(content === null ? {} : { content }),
  }
}

function decodeCleaning(slice: SliceReader): CleaningState {
  const cleanedTo = slice.f64()
  const until = slice.f64()
  return { cleanedTo, tombstonesUntil: Number.isNaN(until) ? null : until }
}
