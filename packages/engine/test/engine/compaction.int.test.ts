// Compacted topics on real files: the last value of every key stays where it was, the others go.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { decodeBatches, encodeBatch, type NewRecord } from '@millrace/log'
import { describe, expect, test } from 'vitest'
import { type Engine, type EngineEvent, nodeDisk, verifyFolder } from '../../src/index.ts'
import { createTopic, killed, open, temporaryFolder } from './support.ts'

const COMPACT = { 'cleanup.policy': 'compact', 'segment.bytes': '4096' }

type Stored = { readonly offset: number; readonly key: string; readonly value: string | null }

async function put(engine: Engine, topic: string, records: readonly NewRecord[]): Promise<number> {
  const batch = encodeBatch({ records, timestamp: Date.now() })
  const [result] = await engine.append([{ topic, partition: 0, batch }])
  if (result?.error !== undefined) throw result.error
  return result?.baseOffset ?? -1
}

/** All that a reader from `offset` on sees up to the high watermark. */
async function read(engine: Engine, topic: string, from = 0): Promise<Stored[]> {
  const stored: Stored[] = []
  let offset = from
  for (;;) {
    const [result] = await engine.fetch({
      positions: [{ topic, partition: 0, offset, maxBytes: 1 << 20 }],
      minBytes: 0,
      maxBytes: 1 << 20,
      maxWaitMs: 0,
      isolation: 'read_uncommitted',
    })
    if (result === undefined || result.error !== undefined) throw result?.error
    if (offset >= result.highWatermark) return stored
    const before = offset
    for (const batch of decodeBatches(result.records)) {
      for (const { offset: at, key, value } of batch.records()) {
        if (at >= offset) {
          stored.push({
            offset: at,
            key: String(key),
            value: value === null ? null : String(value),
          })
        }
      }
      offset = batch.lastOffset + 1
    }
    expect(offset).toBeGreaterThan(before)
  }
}

/** Writes key `i % keys` round after round; answers with the last offset of each key. */
async function fill(engine: Engine, topic: string, rounds: number, keys: number) {
  const last = new Map<string, Stored>()
  for (let round = 0; round < rounds; round += 1) {
    for (let i = 0; i < keys; i += 1) {
      const key = `k${i}`
      const value = `${round}-${i}-${'x'.repeat(200)}`
      const offset = await put(engine, topic, [{ key, value }])
      last.set(key, { offset, key, value })
    }
  }
  return [...last.values()].sort((a, b) => a.offset - b.offset)
}

describe('a compacted topic', () => {
  test('keeps the last value of each key at its offset, over restarts', async () => {
    const folder = temporaryFolder()
    const events: EngineEvent[] = []
    const engine = await open({ folder, onEvent: event => events.push(event) })
    await createTopic(engine, 't', COMPACT)
    const last = await fill(engine, 't', 20, 7)
    const [report] = await engine.compactNow('t')
    expect(await read(engine, 't')).toEqual(last)
    expect(report).toMatchObject({ topic: 't', partition: 0, recordsRemoved: 133, cleanedTo: 140 })
    expect(report?.bytesAfter).toBeLessThan((report?.bytesBefore ?? 0) / 10)
    expect(events.filter(({ message }) => message.includes('cleaned up to')).length).toBe(1)
    for (let offset = 0; offset < 140; offset += 1) {
      expect(await read(engine, 't', offset)).toEqual(last.filter(r => r.offset >= offset))
    }
    const files = readdirSync(join(folder, 'partitions', '16')).sort()
    expect(files).toEqual([`${'0'.repeat(20)}-1.index`, `${'0'.repeat(20)}-1.log`])
    const crashed = await open({ folder: killed(folder) })
    expect(await read(crashed, 't')).toEqual(last)
    await engine.close()
    expect(verifyFolder(nodeDisk(folder)).findings).toEqual([])
    const again = await open({ folder })
    expect(await read(again, 't')).toEqual(last)
    expect(await put(again, 't', [{ key: 'new', value: 'v' }])).toBe(140)
    expect((await read(again, 't')).length).toBe(8)
  })
})
