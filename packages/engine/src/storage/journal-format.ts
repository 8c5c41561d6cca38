/**
 * The bytes of the journal: commit groups.
 *
 * A group is a 64-byte header and its entries, padded to whole 512-byte sectors, so that two groups
 * never share one. An entry is a partition id, a length, and one record batch with its final offset.
 *
 *     header   magic u32 | version u16 | flags u16 | salt 8 | seq u64 | durable up to u64
 *              previous u32 | entries u32 | payload bytes u32 | payload crc u32 | 0 12 | header crc u32
 *     entry    partition id u32 | bytes u32 | record batch
 *
 * The salt is random for each generation of the journal and `previous` is the header checksum of the
 * group before, so neither an old group in a recycled file nor payload that looks like a header can
 * pass for a successor (engine rule 2). `durable up to` is the highest group known to be synced when
 * this one was written: it vouches for those before it (rule 3).
 */
import { crc32c } from '@node-rs/crc32'

/** Bytes of a group's header. */
export const GROUP_HEADER_BYTES = 64
/** Bytes in front of each record batch. */
export const ENTRY_HEADER_BYTES = 8
/** Groups start at multiples of this. */
export const JOURNAL_ALIGNMENT = 512

const MAGIC = 0x4d52_4a31 // "MRJ1"
const VERSION = 1
const SALT_BYTES = 8
const HEADER_CRC_AT = 60
const TWO_32 = 0x1_0000_0000

/** What a group's header says. */
export type GroupHeader = {
  readonly seq: number
  readonly durableUpTo: number
  readonly previous: number
  readonly entryCount: number
  readonly payloadBytes: number
  readonly payloadCrc: number
  /** The header's own checksum: what the next group names as its predecessor. */
  readonly checksum: number
}

/** A random identity of a journal generation, 8 bytes. */
export type JournalSalt = Buffer

/** Size of a group on disk. */
export const groupBytes = (payloadBytes: number): number =>
  Math.ceil((GROUP_HEADER_BYTES + payloadBytes) / JOURNAL_ALIGNMENT) * JOURNAL_ALIGNMENT

/** Writes the header in front of a payload that is already in place; returns its checksum. */
export function sealGroup(
  buffer: Buffer,
  salt: JournalSalt,
  fields: Omit<GroupHeader, 'checksum'>,
): number {
  const end = GROUP_HEADER_BYTES + fields.payloadBytes
  buffer.fill(0, 0, GROUP_HEADER_BYTES)
  buffer.writeUInt32BE(MAGIC, 0)
  buffer.writeUInt16BE(VERSION, 4)
  salt.copy(buffer, 8)
  writeUint64(buffer, 16, fields.seq)
  writeUint64(buffer, 24, fields.durableUpTo)
  buffer.writeUInt32BE(fields.previous, 32)
  buffer.writeUInt32BE(fields.entryCount, 36)
  buffer.writeUInt32BE(fields.payloadBytes, 40)
  buffer.writeUInt32BE(fields.payloadCrc, 44)
  const checksum = crc32c(buffer.subarray(0, HEADER_CRC_AT))
  buffer.writeUInt32BE(checksum, HEADER_CRC_AT)
  // The padding must not show bytes of an older group that used this staging area.
  buffer.fill(0, end, groupBytes(fields.payloadBytes))
  return checksum
}

/** Writes an entry's header. */
export function writeEntryHeader(
  buffer: Buffer,
  at: number,
  partitionId: number,
  bytes: number,
): void {
  buffer.writeUInt32BE(partitionId, at)
  buffer.writeUInt32BE(bytes, at + 4)
}

/** The header at the start of `buffer`, or null if it is not a whole header of this generation. */
export function readGroupHeader(buffer: Buffer, salt: JournalSalt): GroupHeader | null {
  if (buffer.length < GROUP_HEADER_BYTES || buffer.readUInt32BE(0) !== MAGIC) return null
  if (buffer.compare(salt, 0, SALT_BYTES, 8, 8 + SALT_BYTES) !== 0) return null
  const checksum = buffer.readUInt32BE(HEADER_CRC_AT)
  if (crc32c(buffer.subarray(0, HEADER_CRC_AT)) !== checksum) return null
  if (buffer.readUInt16BE(4) !== VERSION) return null
  return {
    seq: readUint64(buffer, 16),
    durableUpTo: readUint64(buffer, 24),
    previous: buffer.readUInt32BE(32),
    entryCount: buffer.readUInt32BE(36),
    payloadBytes: buffer.readUInt32BE(40),
    payloadCrc: buffer.readUInt32BE(44),
    checksum,
  }
}

/** Whether the payload is the one that the header was written for. */
export const payloadIsWhole = (header: GroupHeader, payload: Buffer): boolean =>
  payload.length === header.payloadBytes && crc32c(payload) === header.payloadCrc

/** The entries of a whole payload. */
export function* entriesOf(payload: Buffer): Generator<{ partitionId: number; batch: Buffer }> {
  let at = 0
  while (at < payload.length) {
    const bytes = payload.readUInt32BE(at + 4)
    const start = at + ENTRY_HEADER_BYTES
    yield { partitionId: payload.readUInt32BE(at), batch: payload.subarray(start, start + bytes) }
    at = start + bytes
  }
}

function writeUint64(buffer: Buffer, at: number, value: number): void {
  buffer.writeUInt32BE(Math.floor(value / TWO_32), at)
  buffer.writeUInt32BE(value >>> 0, at + 4)
}

function readUint64(buffer: Buffer, at: number): number {
  return buffer.readUInt32BE(at) * TWO_32 + buffer.readUInt32BE(at + 4)
}

/** The journal's place in its own history, as a checkpoint keeps it. */
export type JournalPosition = {
  readonly salt: string
  readonly path: string
  readonly position: number
  readonly seq: number
  readonly checksum: number
  /** The ring's files at that time, and the size that each must have, stamp included. */
  readonly files: readonly string[]
  readonly fileBytes: number
}
