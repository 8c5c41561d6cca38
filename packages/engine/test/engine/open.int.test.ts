// Opening, closing, opening again.
import { spawnSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { encodeBatch } from '@millrace/log'
import { describe, expect, test } from 'vitest'
import { nodeDisk } from '../../src/index.ts'
import { CHECKPOINT_FILES, readCheckpoint } from '../../src/storage/checkpoint-file.ts'
import { WrappedDisk } from '../storage/support.ts'
import {
  append,
  codeOf,
  createTopic,
  killed,
  numbered,
  open,
  readAll,
  store,
  temporaryFolder,
  valuesOf,
} from './support.ts'

const SOURCE = new URL('../../src/index.ts', import.meta.url).href

/** A disk that counts the bytes read of files whose path matches. */
function countingDisk(folder: string, files: RegExp) {
  const count = { bytes: 0 }
  const disk = new WrappedDisk(nodeDisk(folder), {
    onRead: (path, _, bytes) => {
      if (files.test(path)) count.bytes += bytes
    },
  })
  return { disk, count }
}

describe('a data folder', () => {
  test('is refused to a second engine of this process, and free after close', async () => {
    const folder = temporaryFolder()
    const first = await open({ folder })
    const second = await open({ folder }).catch((cause: Error) => cause)
    expect(second).toMatchObject({ code: 'KAFKA_STORAGE_ERROR' })
    expect(String(second)).toContain('another')
    await createTopic(first, 't')
    await store(first, 't', ['still here'])
    await first.close()
    expect(await valuesOf(await open({ folder }), 't')).toEqual(['still here'])
  })

  test('is refused to another process', async () => {
    const folder = temporaryFolder()
    await open({ folder })
    const script = `import { openEngine } from ${JSON.stringify(SOURCE)}
      await openEngine({ folder: process.argv[1] }).then(
        () => process.exit(0), error => { console.log(error.code); process.exit(3) })`
    const args = ['--conditions=millrace:source', '--input-type=module', '-e', script, folder]
    const child = spawnSync(process.execPath, args, { encoding: 'utf8' })
    expect({ status: child.status, out: child.stdout.trim() }).toEqual({
      status: 3,
      out: 'KAFKA_STORAGE_ERROR',
    })
  })

  test('keeps its id, its topics with their ids, configurations and records', async () => {
    const folder = temporaryFolder()
    const before = await open({ folder })
    await createTopic(before, 't', { 'retention.ms': '12345' }, 3)
    await store(before, 't', numbered(10), { partition: 2 })
    const topics = await before.describeTopics()
    const config = await before.describeConfig('t')
    await before.close()
    const after = await open({ folder })
    expect(after.id).toBe(before.id)
    expect(await after.describeTopics()).toEqual(topics)
    expect(await after.describeConfig('t')).toEqual(config)
    expect(await valuesOf(after, 't', 2)).toEqual(numbered(10))
    expect(await store(after, 't', ['next'], { partition: 2 })).toBe(10)
  })

  test('after a clean stop no segment and no journal is scanned', async () => {
    const folder = temporaryFolder()
    const before = await open({ folder })
    await createTopic(before, 't', { 'segment.bytes': '65536' }, 2)
    for (let i = 0; i < 40; i += 1) {
      await store(before, 't', ['x'.repeat(20_000)], { partition: i % 2 })
    }
    await before.close()
    const { disk, count } = countingDisk(folder, /partitions\/|journal\//)
    const after = await open({ folder, disk })
    // The heads of journal files that a group of this generation could begin.
    expect(count.bytes).toBeLessThan(2000)
    await readAll(after, 't', 0)
    const first = count.bytes
    expect(first).toBeLessThan(20 * 20_000 * 4)
    expect(after.metrics()['recovered_groups']).toBe(0)
  })

  test('stopped cleanly after a crash is not scanned either', async () => {
    const folder = temporaryFolder()
    const first = await open({ folder })
    await createTopic(first, 't')
    for (let i = 0; i < 5; i += 1) await store(first, 't', ['x'.repeat(100_000)])
    await first.close()
    const second = await open({ folder })
    await store(second, 't', ['x'.repeat(100_000)])
    const copy = killed(folder)
    await (await open({ folder: copy })).close()
    const { disk, count } = countingDisk(copy, /partitions\/.*log|journal\//)
    const last = await open({ folder: copy, disk })
    const [result] = await last.fetch({
      positions: [{ topic: 't', partition: 0, offset: 5, maxBytes: 1 }],
      minBytes: 1,
      maxBytes: 1,
      maxWaitMs: 0,
      isolation: 'read_uncommitted',
    })
    expect(result?.records.length).toBeGreaterThan(100_000)
    expect(count.bytes).toBeLessThan(450_000)
  })

  test('killed at any moment gives back every acknowledged record', async () => {
    const folder = temporaryFolder()
    const engine = await open({ folder, settings: { 'checkpoint.bytes': 4096 } })
    await createTopic(engine, 't')
    const values: string[] = []
    for (let round = 0; round < 12; round += 1) {
      for (const value of numbered(5, round * 5)) {
        await store(engine, 't', [value])
        values.push(value)
      }
      const copy = await open({ folder: killed(folder) })
      expect(await valuesOf(copy, 't')).toEqual(values)
      await copy.close()
    }
  })

  test('killed again and again during its own recovery changes nothing', async () => {
    const folder = temporaryFolder()
    const engine = await open({ folder })
    await createTopic(engine, 't')
    for (const value of numbered(20)) await store(engine, 't', [value])
    let copy = killed(folder)
    for (let i = 0; i < 4; i += 1) {
      const next = await open({ folder: copy })
      expect(await valuesOf(next, 't')).toEqual(numbered(20))
      copy = killed(copy)
    }
  })

  test('a producer that repeats itself over a restart gets its first answer', async () => {
    const folder = temporaryFolder()
    const first = await open({ folder })
    await createTopic(first, 't')
    const producer = await first.initProducer({ transactionalId: null })
    const batch = (baseSequence: number): Buffer =>
      encodeBatch({ records: [{ value: `s${baseSequence}` }], producer, baseSequence })
    const send = async (engine: typeof first, sequence: number) =>
      (await engine.append([{ topic: 't', partition: 0, batch: batch(sequence) }]))[0]
    for (const sequence of [0, 1, 2]) await send(first, sequence)
    const crashed = await open({ folder: killed(folder) })
    expect(await send(crashed, 1)).toMatchObject({ baseOffset: 1 })
    expect((await send(crashed, 4))?.error?.code).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    expect(await send(crashed, 3)).toMatchObject({ baseOffset: 3 })
    await first.close()
    const second = await open({ folder })
    expect(await send(second, 2)).toMatchObject({ baseOffset: 2 })
    expect(await valuesOf(second, 't')).toEqual(['s0', 's1', 's2'])
    const ids = await Promise.all(
      Array.from({ length: 3 }, () => second.initProducer({ transactionalId: null })),
    )
    expect(ids.map(({ producerId }) => producerId)).not.toContain(producer.producerId)
  })

  test('whose newest checkpoint is damaged loses nothing, whenever that happens', async () => {
    const folder = temporaryFolder()
    const first = await open({ folder })
    await createTopic(first, 't')
    await store(first, 't', ['a'])
    await first.close()
    const second = await open({ folder })
    await store(second, 't', ['b'])
    const copy = killed(folder)
    const newest = readCheckpoint(nodeDisk(copy)).checkpoint?.number ?? 0
    const file = nodeDisk(copy).open(CHECKPOINT_FILES[newest % 2] ?? '', 'write')
    file.write(40, [Buffer.from([0])])
    file.close()
    const opened = await open({ folder: copy })
    expect(await valuesOf(opened, 't')).toEqual(['a', 'b'])
  })

  test('without a whole checkpoint, but with partitions, is not taken for a new one', async () => {
    const folder = temporaryFolder()
    const engine = await open({ folder })
    await createTopic(engine, 't')
    await store(engine, 't', ['a'])
    await engine.close()
    for (const name of CHECKPOINT_FILES) writeFileSync(join(folder, name), 'nothing')
    expect(await codeOf(open({ folder }))).toBe('KAFKA_STORAGE_ERROR')
    for (const name of CHECKPOINT_FILES) rmSync(join(folder, name))
    expect(await codeOf(open({ folder }))).toBe('KAFKA_STORAGE_ERROR')
  })

  test('bad settings and topic defaults are refused before the folder is touched', async () => {
    await expect(open({ settings: { 'topics.max': 0 } })).rejects.toThrow('topics.max')
    expect(await codeOf(open({ topicDefaults: { 'no.such': '1' } }))).toBe('INVALID_CONFIG')
  })

  test('close answers everything that was asked before, and refuses what comes later', async () => {
    const folder = temporaryFolder()
    const engine = await open({ folder, settings: { 'journal.group.max.bytes': 16_384 } })
    await createTopic(engine, 't')
    const appends = numbered(60).map(value => append(engine, 't', [value.padEnd(30_000)]))
    const waiting = engine.fetch({
      positions: [{ topic: 't', partition: 0, offset: 0, maxBytes: 1 }],
      minBytes: 1 << 30,
      maxBytes: 1,
      maxWaitMs: 60_000,
      isolation: 'read_uncommitted',
    })
    const closed = engine.close()
    const results = await Promise.all(appends)
    expect(results.map(({ error }) => error)).toEqual(results.map(() => undefined))
    await Promise.all([waiting, closed])
    expect(await codeOf(append(engine, 't', ['late']))).toBe('LOG_CLOSED')
    expect(await codeOf(engine.describeTopics())).toBe('LOG_CLOSED')
    expect(await readAll(await open({ folder }), 't')).toHaveLength(60)
  })
})
