// The codec against a second implementation: what KafkaJS writes we read, and the other way round.
import { createRequire } from 'node:module'
import { describe, expect, it } from 'vitest'
import { encodeBatch } from '../../src/records/batch-builder.ts'
import { computeBatchCrc, crcOf } from '../../src/records/batch-header.ts'
import { validateBatch } from '../../src/records/batch-validation.ts'
import { decodeBatches } from '../../src/records/record-batch.ts'

type Encoded = { readonly buffer: Buffer }
type KafkaJsRecord = {
  readonly offset: string
  readonly timestamp: string
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: Record<string, Buffer>
}

const require = createRequire(import.meta.url)
const { RecordBatch: kafkaJsBatch } = require('kafkajs/src/protocol/recordBatch/v0') as {
  RecordBatch: (options: Record<string, unknown>) => Promise<Encoded>
}
const kafkaJsRecord = require('kafkajs/src/protocol/recordBatch/record/v0') as (
  options: Record<string, unknown>,
) => Encoded
const kafkaJsDecode = require('kafkajs/src/protocol/recordBatch/v0/decoder') as (
  decoder: unknown,
) => Promise<{ readonly records: readonly KafkaJsRecord[]; readonly producerId: string }>
const KafkaJsDecoder = require('kafkajs/src/protocol/decoder') as new (buffer: Buffer) => unknown
const Long = require('kafkajs/src/utils/long') as { fromValue(value: number): unknown }

const TIME = 1_700_000_000_000

const messages = Array.from({ length: 300 }, (_, i) => ({
  key: i % 3 === 0 ? null : Buffer.from(`key-${i}`),
  value: i % 7 === 0 ? null : Buffer.from(`value-${i}-`.repeat(i)),
  headers: i % 5 === 0 ? { trace: Buffer.from(`t${i}`), ключ: Buffer.from('') } : {},
  timestamp: TIME + ((i * 7919) % 1000) - 500,
}))

describe('KafkaJS', () => {
  it.each([0, 1])('writes batches of codec %d that we read as they were meant', async codec => {
    const first = messages[0]?.timestamp ?? 0
    const encoded = await kafkaJsBatch({
      compression: codec,
      firstOffset: Long.fromValue(1_000),
      firstTimestamp: first,
      maxTimestamp: Math.max(...messages.map(m => m.timestamp)),
      lastOffsetDelta: messages.length - 1,
      producerId: Long.fromValue(77),
      producerEpoch: 2,
      firstSequence: 9,
      records: messages.map((m, i) =>
        kafkaJsRecord({ ...m, offsetDelta: i, timestampDelta: m.timestamp - first }),
      ),
    })
    const { buffer } = encoded
    expect(validateBatch(buffer, 0, buffer.length)).toBeNull()
    const [batch] = decodeBatches(buffer)
    expect([batch?.producerId, batch?.producerEpoch, batch?.baseSequence]).toEqual([77, 2, 9])
    const back = [...(batch?.records() ?? [])]
    expect(
      back.map(r => ({
        key: r.key,
        value: r.value,
        headers: Object.fromEntries(r.headers.map(h => [h.key, h.value])),
        timestamp: r.timestamp,
      })),
    ).toEqual(messages)
    expect(back.map(r => r.offset)).toEqual(messages.map((_, i) => 1_000 + i))
  })

  it.each(['none', 'gzip'] as const)('reads what we write under %s', async compression => {
    const batch = encodeBatch({
      records: messages.map(m => ({
        ...m,
        headers: Object.entries(m.headers).map(([key, value]) => ({ key, value })),
      })),
      compression,
      baseOffset: 2 ** 40,
      producer: { producerId: 2 ** 33, producerEpoch: 1 },
      baseSequence: 0,
    })
    expect(crcOf(batch)).toBe(computeBatchCrc(batch, 0, batch.length))
    const read = await kafkaJsDecode(new KafkaJsDecoder(batch))
    expect(read.producerId).toBe(String(2 ** 33))
    expect(
      read.records.map(r => ({
        key: r.key,
        value: r.value,
        headers: r.headers,
        timestamp: Number(r.timestamp),
      })),
    ).toEqual(messages)
    expect(read.records.map(r => Number(r.offset))).toEqual(messages.map((_, i) => 2 ** 40 + i))
  })
})
