import { describe, expect, it } from 'vitest'
import { encodeBatch } from '../../src/records/batch-builder.ts'
import { computeBatchCrc } from '../../src/records/batch-header.ts'
import { validateBatch } from '../../src/records/batch-validation.ts'

const producer = { producerId: 5, producerEpoch: 0 }

function batchOf(compression: 'none' | 'gzip' = 'none'): Buffer {
  return encodeBatch({
    records: [
      { key: 'a', value: '1', timestamp: 10 },
      { key: 'b', value: '2', timestamp: 20 },
      { key: 'c', value: '3', timestamp: 30 },
    ],
    compression,
    producer,
    baseSequence: 0,
  })
}

/** A batch changed by hand, with the right checksum all the same. */
function changed(change: (batch: Buffer) => unknown, from: Buffer = batchOf()): Buffer {
  change(from)
  from.writeUInt32BE(computeBatchCrc(from, 0, from.length), 17)
  return from
}

const validate = (batch: Buffer, rules = {}): string =>
  validateBatch(batch, 0, batch.length, rules)?.code ?? 'valid'

describe('a batch that may be stored', () => {
  it('is valid as our builder writes it, plain and compressed', () => {
    expect(validate(batchOf())).toBe('valid')
    expect(validate(batchOf('gzip'))).toBe('valid')
  })

  it('is valid wherever it lies in a buffer', () => {
    const batch = batchOf()
    const frame = Buffer.concat([Buffer.alloc(13, 7), batch, Buffer.alloc(5, 9)])
    expect(validateBatch(frame, 13, batch.length)).toBeNull()
  })

  it('may be as large as the bound and no larger', () => {
    const batch = batchOf()
    expect(validate(batch, { bytesMax: batch.length })).toBe('valid')
    expect(validate(batch, { bytesMax: batch.length - 1 })).toBe('MESSAGE_TOO_LARGE')
  })

  it('may be a control batch only where the log itself writes it', () => {
    const marker = changed(b => b.writeUInt16BE(0x30, 21))
    const rules = { control: true, transactional: true }
    expect(validate(marker)).toBe('INVALID_RECORD')
    expect(validate(marker, rules)).toBe('valid')
    const withoutSequence = changed(b => b.writeInt32BE(-1, 53), marker)
    expect(validate(withoutSequence, rules)).toBe('valid')
  })

  it('may belong to a transaction only where one is open', () => {
    const batch = changed(b => b.writeUInt16BE(0x10, 21))
    expect(validate(batch)).toBe('INVALID_TXN_STATE')
    expect(validate(batch, { transactional: true })).toBe('valid')
    const anonymous = changed(b => b.writeBigInt64BE(-1n, 43), batch)
    expect(validate(anonymous, { transactional: true })).toBe('INVALID_RECORD')
  })

  it('may say any largest timestamp: whoever stores it computes its own', () => {
    for (const time of [-1n, 0n, 2n ** 62n, -(2n ** 63n)]) {
      expect(validate(changed(b => b.writeBigInt64BE(time, 35)))).toBe('valid')
    }
  })
})

describe('a batch that may not be stored', () => {
  it('is one that is cut anywhere', () => {
    const batch = batchOf()
    for (let length = 0; length < batch.length; length++) {
      expect(validateBatch(batch, 0, length)?.code).toBe('CORRUPT_MESSAGE')
      expect(validateBatch(batch.subarray(0, length), 0, batch.length)?.code).toBe(
        'CORRUPT_MESSAGE',
      )
    }
  })

  it('is one with any bit flipped, outside of offset and leader epoch', () => {
    for (const codec of ['none', 'gzip'] as const) {
      const batch = batchOf(codec)
      for (let bit = 0; bit < batch.length * 8; bit++) {
        const at = bit >> 3
        const damaged = Buffer.from(batch)
        damaged[at] = (damaged[at] ?? 0) ^ (1 << (bit & 7))
        const outside = at < 8 || (at >= 12 && at < 16)
        expect(validate(damaged) === 'valid', `bit ${bit}`).toBe(outside)
      }
    }
  })

  it.each([
    ['an older format', (b: Buffer) => b.writeUInt8(1, 16), 'INVALID_RECORD'],
    ['a newer format', (b: Buffer) => b.writeUInt8(3, 16), 'INVALID_RECORD'],
    ['a negative length', (b: Buffer) => b.writeInt32BE(-1, 8), 'CORRUPT_MESSAGE'],
    ['codec 5', (b: Buffer) => b.writeUInt16BE(5, 21), 'UNSUPPORTED_COMPRESSION_TYPE'],
    ['codec 7', (b: Buffer) => b.writeUInt16BE(7, 21), 'UNSUPPORTED_COMPRESSION_TYPE'],
    ['append time', (b: Buffer) => b.writeUInt16BE(0x08, 21), 'INVALID_TIMESTAMP'],
    ['the control bit', (b: Buffer) => b.writeUInt16BE(0x20, 21), 'INVALID_RECORD'],
    ['a delete horizon', (b: Buffer) => b.writeUInt16BE(0x40, 21), 'INVALID_RECORD'],
    ['an unused bit', (b: Buffer) => b.writeUInt16BE(0x80, 21), 'INVALID_RECORD'],
    ['the highest bit', (b: Buffer) => b.writeUInt16BE(0x8000, 21), 'INVALID_RECORD'],
    ['no records', (b: Buffer) => b.writeInt32BE(0, 57), 'INVALID_RECORD'],
    ['a negative count', (b: Buffer) => b.writeInt32BE(-1, 57), 'INVALID_RECORD'],
    ['more offsets than records', (b: Buffer) => b.writeInt32BE(3, 23), 'INVALID_RECORD'],
    ['fewer offsets than records', (b: Buffer) => b.writeInt32BE(1, 23), 'INVALID_RECORD'],
    ['a negative offset delta', (b: Buffer) => b.writeInt32BE(-2, 23), 'INVALID_RECORD'],
    [
      'a base time beyond 2^53',
      (b: Buffer) => b.writeBigInt64BE(2n ** 53n, 27),
      'INVALID_TIMESTAMP',
    ],
    ['a producer id below -1', (b: Buffer) => b.writeBigInt64BE(-2n, 43), 'INVALID_RECORD'],
    [
      'a producer id beyond 2^53',
      (b: Buffer) => b.writeBigInt64BE(2n ** 53n, 43),
      'INVALID_RECORD',
    ],
    ['a producer without an epoch', (b: Buffer) => b.writeInt16BE(-1, 51), 'INVALID_RECORD'],
    ['a producer without a sequence', (b: Buffer) => b.writeInt32BE(-1, 53), 'INVALID_RECORD'],
    [
      'a count that its bytes cannot hold',
      (b: Buffer) => {
        b.writeInt32BE(1_000_000, 57)
        b.writeInt32BE(999_999, 23)
      },
      'INVALID_RECORD',
    ],
  ])('is one with %s', (_name, change, code) => {
    expect(validate(changed(change))).toBe(code)
  })

  it('is two batches at once', () => {
    expect(validate(Buffer.concat([batchOf(), batchOf()]))).toBe('INVALID_RECORD')
  })
})
