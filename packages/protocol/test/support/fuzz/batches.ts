/**
 * Builds record batches of version 2 for the fuzzer, whole ones and damaged ones.
 *
 * The builder is the fuzzer's own: it must be able to write what a codec refuses to. A batch is 61
 * bytes of header and its records; the checksum (CRC-32C) covers everything from the attributes on.
 */
import type { Random } from './random.ts'

const HEADER_BYTES = 61
const BATCH_LENGTH_AT = 8
const LENGTH_COVERS_FROM = 12
const MAGIC_AT = 16
const CRC_AT = 17
const ATTRIBUTES_AT = 21
const LAST_OFFSET_DELTA_AT = 23
const PRODUCER_ID_AT = 43
const COUNT_AT = 57
/** More than any variable-length integer may take. */
const ENDLESS_BYTES = 12

const CRC_TABLE: Int32Array = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  return crc
})

function crc32c(bytes: Buffer): number {
  let crc = -1
  for (const byte of bytes) crc = (crc >>> 8) ^ (CRC_TABLE[(crc ^ byte) & 0xff] ?? 0)
  return ~crc >>> 0
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = ((value << 1) ^ (value >> 31)) >>> 0
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80)
    rest >>>= 7
  }
  return Buffer.from([...bytes, rest])
}

function record(offsetDelta: number, key: Buffer | null, value: Buffer): Buffer {
  const body = Buffer.concat([
    Buffer.of(0), // attributes
    varint(offsetDelta), // timestamp delta: one millisecond a record
    varint(offsetDelta),
    key === null ? varint(-1) : Buffer.concat([varint(key.length), key]),
    varint(value.length),
    value,
    varint(0), // headers
  ])
  return Buffer.concat([varint(body.length), body])
}

function seal(batch: Buffer): Buffer {
  batch.writeInt32BE(batch.length - LENGTH_COVERS_FROM, BATCH_LENGTH_AT)
  batch.writeUInt32BE(crc32c(batch.subarray(ATTRIBUTES_AT)), CRC_AT)
  return batch
}

/** A whole, uncompressed batch of `count` small records without a producer. */
export function recordBatch(
  random: Random,
  count: number,
  baseTimestamp = 1_700_000_000_000,
): Buffer {
  const records = Array.from({ length: count }, (_, index) =>
    record(
      index,
      random.oneIn(3) ? null : random.bytes(random.below(12)),
      random.bytes(random.below(90)),
    ),
  )
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeInt32BE(-1, LENGTH_COVERS_FROM) // leader epoch
  header[MAGIC_AT] = 2
  header.writeInt32BE(count - 1, LAST_OFFSET_DELTA_AT)
  header.writeBigInt64BE(BigInt(baseTimestamp), 27)
  header.writeBigInt64BE(BigInt(baseTimestamp + count - 1), 35)
  header.fill(0xff, PRODUCER_ID_AT, COUNT_AT) // no producer id, epoch, sequence
  header.writeInt32BE(count, COUNT_AT)
  return seal(Buffer.concat([header, ...records]))
}

type Damage = {
  readonly label: string
  /** Whether the checksum is put right afterwards, so that the damage lies deeper. */
  readonly sealed: boolean
  readonly apply: (random: Random, batch: Buffer) => Buffer
}

function patched(write: (random: Random, batch: Buffer) => void): Damage['apply'] {
  return (random, batch) => {
    write(random, batch)
    return batch
  }
}

const ODD_INTEGERS = [0, -1, 1, 0x7fff_ffff, -0x8000_0000, 1_000_001] as const

const DAMAGES: readonly [Damage, ...Damage[]] = [
  {
    label: 'crc',
    sealed: false,
    apply: patched((random, batch) => flipByte(random, batch, CRC_AT, 4)),
  },
  {
    label: 'magic',
    sealed: true,
    apply: patched((random, batch) => {
      batch[MAGIC_AT] = random.pick([0, 1, 3, 255])
    }),
  },
  {
    label: 'batch length',
    sealed: false,
    apply: patched((random, batch) => {
      batch.writeInt32BE(random.pick(ODD_INTEGERS), BATCH_LENGTH_AT)
    }),
  },
  {
    label: 'compression bits',
    sealed: true,
    apply: patched((random, batch) => {
      batch[ATTRIBUTES_AT + 1] = 1 + random.below(7)
    }),
  },
  {
    label: 'attributes',
    sealed: true,
    apply: patched((random, batch) => {
      batch.writeUInt16BE(random.bits() & 0xffff, ATTRIBUTES_AT)
    }),
  },
  {
    label: 'record count',
    sealed: true,
    apply: patched((random, batch) => {
      batch.writeInt32BE(random.pick(ODD_INTEGERS), COUNT_AT)
    }),
  },
  {
    label: 'last offset delta',
    sealed: true,
    apply: patched((random, batch) => {
      batch.writeInt32BE(random.pick(ODD_INTEGERS), LAST_OFFSET_DELTA_AT)
    }),
  },
  {
    label: 'producer',
    sealed: true,
    apply: patched((random, batch) => random.bytes(14).copy(batch, PRODUCER_ID_AT)),
  },
  {
    label: 'varints of records',
    sealed: true,
    apply: patched((random, batch) => {
      for (let count = 1 + random.below(4); count > 0; count -= 1) {
        flipByte(random, batch, HEADER_BYTES, batch.length - HEADER_BYTES)
      }
    }),
  },
  {
    label: 'endless varint',
    sealed: true,
    apply: (_, batch) =>
      Buffer.concat([batch.subarray(0, HEADER_BYTES), Buffer.alloc(ENDLESS_BYTES, 0xff)]),
  },
  {
    label: 'cut short',
    sealed: false,
    apply: (random, batch) => batch.subarray(0, random.below(batch.length)),
  },
  { label: 'two batches', sealed: false, apply: (_, batch) => Buffer.concat([batch, batch]) },
  {
    label: 'tail',
    sealed: false,
    apply: (random, batch) => Buffer.concat([batch, random.bytes(9)]),
  },
]

function flipByte(random: Random, bytes: Buffer, at: number, length: number): void {
  if (length <= 0) return
  const index = at + random.below(length)
  bytes[index] = (bytes[index] ?? 0) ^ (1 + random.below(255))
}

/** A batch with one thing wrong with it, and what that is. */
export function damagedBatch(random: Random): { readonly bytes: Buffer; readonly label: string } {
  const damage = random.pick(DAMAGES)
  const bytes = damage.apply(random, recordBatch(random, 1 + random.below(8)))
  return { bytes: damage.sealed ? seal(bytes) : bytes, label: damage.label }
}
