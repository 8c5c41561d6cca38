/**
 * Events as the index keeps them: the bytes of value and headers as they stand in the log, with
 * offset and time, one after the other in pages.
 *
 * A page holds events of one stream in the order of versions without gaps; its key names the first.
 * Layout of an entry: uint32 bytes that follow, float64 offset, float64 time, int32 length of the
 * value (-1: null), uint16 number of headers, value, headers.
 */
import type { Offset, Timestamp } from '@millrace/log'
import type { RecordPlace } from '../../rule/decode-headers.ts'

/** An event in memory: where its parts lie. */
export type Entry = RecordPlace & {
  readonly offset: Offset
  /** Ms since the epoch. */
  readonly time: Timestamp
  readonly headersEnd: number
}

const LENGTH_BYTES = 4
const FIXED_BYTES = LENGTH_BYTES + 8 + 8 + 4 + 2

const valueBytes = (entry: Entry): number => Math.max(entry.valueLength, 0)

/** Bytes of an entry in a page. */
export function entryBytes(entry: Entry): number {
  return FIXED_BYTES + valueBytes(entry) + entry.headersEnd - entry.headersAt
}

/** Writes an entry; returns where it ends. */
export function writeEntry(page: Buffer, at: number, entry: Entry): number {
  const { bytes } = entry
  page.writeUInt32BE(entryBytes(entry) - LENGTH_BYTES, at)
  page.writeDoubleBE(entry.offset, at + 4)
  page.writeDoubleBE(entry.time, at + 12)
  page.writeInt32BE(entry.valueLength, at + 20)
  page.writeUInt16BE(entry.headerCount, at + 24)
  let end = at + FIXED_BYTES
  end += bytes.copy(page, end, entry.valueAt, entry.valueAt + valueBytes(entry))
  end += bytes.copy(page, end, entry.headersAt, entry.headersEnd)
  return end
}

/** Reads the entries of a page, in order. Their bytes are views of it. */
export function readEntries(page: Buffer): Entry[] {
  const entries: Entry[] = []
  let at = 0
  while (at < page.length) {
    const end = at + LENGTH_BYTES + page.readUInt32BE(at)
    const valueAt = at + FIXED_BYTES
    const valueLength = page.readInt32BE(at + 20)
    entries.push({
      bytes: page,
      offset: page.readDoubleBE(at + 4),
      time: page.readDoubleBE(at + 12),
      valueAt,
      valueLength,
      headersAt: valueAt + Math.max(valueLength, 0),
      headersEnd: end,
      headerCount: page.readUInt16BE(at + 24),
    })
    at = end
  }
  return entries
}

/** Entries as the bytes of a page. */
export function pageOf(entries: readonly Entry[]): Buffer {
  let bytes = 0
  for (const entry of entries) bytes += entryBytes(entry)
  const page = Buffer.allocUnsafe(bytes)
  let at = 0
  for (const entry of entries) at = writeEntry(page, at, entry)
  return page
}
