// The one record batch of version 2 that probes and embedded writers append: a single record with a
// value of a given size, no key, no compression. Written out here so that what is measured does not
// depend on the code under measurement. Layout: KIP-98, "RecordBatch".
import { crc32c } from '@node-rs/crc32'

const headerBytes = 61

const varint = (value: number): number[] => {
  const bytes: number[] = []
  let rest = value * 2 // zigzag of a non-negative number
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80)
    rest = Math.floor(rest / 128)
  }
  bytes.push(rest)
  return bytes
}

/** A whole record batch with one record of `valueBytes` bytes. */
export function oneRecordBatch(valueBytes: number, fill = 0x61): Buffer {
  // attributes, timestamp delta, offset delta, key length -1, value length, value, headers
  const head = [0, 0, 0, 1, ...varint(valueBytes)]
  const bodyBytes = head.length + valueBytes + 1
  const record = Buffer.concat([
    Buffer.from(varint(bodyBytes)),
    Buffer.from(head),
    Buffer.alloc(valueBytes, fill),
    Buffer.from([0]),
  ])
  const batch = Buffer.alloc(headerBytes + record.length)
  const now = BigInt(Date.now())
  batch.writeInt32BE(batch.length - 12, 8)
  batch.writeInt32BE(-1, 12) // leader epoch
  batch.writeInt8(2, 16) // magic
  batch.writeInt16BE(0, 21) // attributes
  batch.writeInt32BE(0, 23) // last offset delta
  batch.writeBigInt64BE(now, 27)
  batch.writeBigInt64BE(now, 35)
  batch.writeBigInt64BE(-1n, 43) // producer id
  batch.writeInt16BE(-1, 51) // producer epoch
  batch.writeInt32BE(-1, 53) // base sequence
  batch.writeInt32BE(1, 57) // records
  record.copy(batch, headerBytes)
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17)
  return batch
}
