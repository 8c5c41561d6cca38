/** Record batches for tests, built by hand: one plain record each. */
import { BATCH_HEADER_BYTES, computeBatchCrc } from '@millrace/log'

/** A batch of `count` records; `valueBytes` of value are in the first. */
export function batchOf(valueBytes: number, count = 1, attributes = 0): Buffer {
  const records: Buffer[] = []
  for (let index = 0; index < count; index += 1) {
    records.push(record(index, index === 0 ? valueBytes : 1))
  }
  const body = Buffer.concat(records)
  const batch = Buffer.alloc(BATCH_HEADER_BYTES + body.length)
  batch.writeInt32BE(batch.length - 12, 8)
  batch.writeInt32BE(-1, 12)
  batch.writeInt8(2, 16)
  batch.writeInt16BE(attributes, 21)
  batch.writeInt32BE(count - 1, 23)
  batch.writeBigInt64BE(1_700_000_000_000n, 27)
  batch.writeBigInt64BE(1_700_000_000_000n, 35)
  batch.writeBigInt64BE(-1n, 43)
  batch.writeInt16BE(-1, 51)
  batch.writeInt32BE(-1, 53)
  batch.writeInt32BE(count, 57)
  body.copy(batch, BATCH_HEADER_BYTES)
  batch.writeUInt32BE(computeBatchCrc(batch, 0, batch.length), 17)
  return batch
}

function record(offsetDelta: number, valueBytes: number): Buffer {
  const value = Buffer.alloc(valueBytes, 0x61)
  const inside = Buffer.concat([
    Buffer.from([0, 0]),
    varint(offsetDelta),
    varint(-1),
    varint(value.length),
    value,
    varint(0),
  ])
  return Buffer.concat([varint(inside.length), inside])
}

function varint(value: number): Buffer {
  let rest = ((value << 1) ^ (value >> 31)) >>> 0
  const bytes: number[] = []
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80)
    rest >>>= 7
  }
  bytes.push(rest)
  return Buffer.from(bytes)
}
