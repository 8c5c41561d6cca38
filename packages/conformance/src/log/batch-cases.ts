/**
 * Batches as bytes: every compression comes back as it was sent; what breaks the format is refused
 * and leaves the partition as it was.
 */
import assert from 'node:assert/strict'
import type { LogErrorCode } from '@millrace/log'
import { COMPRESSIONS, computeBatchCrc, RecordBatch } from '@millrace/log'
import type { CaseSpec } from './case-spec.ts'
import { failed, noError } from './scene.ts'

/** Base offset and leader epoch are the log's to set; they lie outside of the checksum. */
function withoutPosition(batch: Buffer): Buffer {
  const copy = Buffer.from(batch)
  copy.fill(0, 0, 8)
  copy.fill(0, 12, 16)
  return copy
}

const roundTrips: readonly CaseSpec[] = COMPRESSIONS.map(compression => ({
  name: `a batch with compression ${compression} comes back byte for byte`,
  run: async scene => {
    const topic = await scene.topic()
    await scene.append(topic, ['one before'])
    const records = Array.from({ length: 200 }, (_, i) => ({
      key: `key-${i % 7}`,
      value: `value ${i} `.repeat(i % 50),
      headers: [{ key: 'n', value: `${i}` }],
    }))
    const sent = scene.batch(records, { compression })
    const copy = Buffer.from(sent)
    const result = await scene.appendRaw(topic, 0, sent)
    noError(result.error)
    assert.equal(result.baseOffset, 1)
    const fetched = await scene.fetch(topic, 1)
    noError(fetched.error)
    const batch = new RecordBatch(fetched.records)
    assert.equal(batch.baseOffset, 1)
    assert.equal(batch.compression, compression)
    assert.ok(withoutPosition(fetched.records).equals(withoutPosition(copy)))
  },
}))

type Refusal = {
  readonly what: string
  readonly codes: readonly LogErrorCode[]
  /** Changes the batch; the checksum is computed anew afterwards. */
  readonly change: (batch: Buffer) => unknown
}

const REFUSALS: readonly Refusal[] = [
  {
    what: 'the control bit of a client',
    codes: ['INVALID_RECORD'],
    change: b => b.writeUInt16BE(b.readUInt16BE(21) | 0x20, 21),
  },
  {
    what: 'more offsets than records',
    codes: ['INVALID_RECORD'],
    change: b => b.writeInt32BE(9, 23),
  },
  {
    what: 'more records in its header than behind it',
    codes: ['INVALID_RECORD'],
    change: b => {
      b.writeInt32BE(4, 23)
      b.writeInt32BE(5, 57)
    },
  },
  {
    what: 'fewer records in its header than behind it',
    codes: ['INVALID_RECORD'],
    change: b => {
      b.writeInt32BE(0, 23)
      b.writeInt32BE(1, 57)
    },
  },
  {
    what: 'no records',
    codes: ['INVALID_RECORD'],
    change: b => {
      b.writeInt32BE(-1, 23)
      b.writeInt32BE(0, 57)
    },
  },
  {
    what: 'a producer without a sequence number',
    codes: ['INVALID_RECORD'],
    change: b => {
      b.writeBigInt64BE(1_000_000n, 43)
      b.writeInt16BE(0, 51)
      b.writeInt32BE(-1, 53)
    },
  },
]

const refusals: readonly CaseSpec[] = REFUSALS.map(({ what, codes, change }) => ({
  name: `a batch with ${what} is refused`,
  run: async scene => {
    const topic = await scene.topic()
    const batch = scene.batch(['a', 'b'])
    change(batch)
    batch.writeUInt32BE(computeBatchCrc(batch, 0, batch.length), 17)
    failed(await scene.appendRaw(topic, 0, batch), ...codes)
    assert.equal(await scene.append(topic, ['good']), 0)
  },
}))

export const batchCases: readonly CaseSpec[] = [
  ...roundTrips,
  ...refusals,
  {
    name: 'a batch whose checksum is wrong is refused and stores nothing',
    run: async scene => {
      const topic = await scene.topic()
      for (const at of [17, 30, 62]) {
        const batch = scene.batch(['damaged'])
        batch.writeUInt8(batch.readUInt8(at) ^ 0x40, at)
        failed(await scene.appendRaw(topic, 0, batch), 'CORRUPT_MESSAGE')
      }
      assert.equal(await scene.append(topic, ['good']), 0)
      assert.deepEqual(await scene.values(topic), ['good'])
    },
  },
  {
    name: 'two batches in one entry are refused',
    run: async scene => {
      const topic = await scene.topic()
      const two = Buffer.concat([scene.batch(['a']), scene.batch(['b'])])
      failed(await scene.appendRaw(topic, 0, two), 'INVALID_RECORD')
      assert.equal(await scene.append(topic, ['good']), 0)
    },
  },
]
