// Partitions with a few records: no folder, no file, and nothing is lost.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { encodeBatch } from '@millrace/log'
import { expect, test } from 'vitest'
import { DiskError } from '../../src/disk/disk.ts'
import type { Engine, RecordSlice } from '../../src/index.ts'
import { nodeDisk, verifyFolder } from '../../src/index.ts'
import { WrappedDisk } from '../storage/support.ts'
import {
  append,
  createTopic,
  killed,
  open,
  store,
  temporaryFolder,
  until,
  valuesOf,
} from './support.ts'

const SMALL = {
  'segment.memory.max.bytes': 2000,
  'segments.memory.max.bytes': 1 << 20,
  'checkpoint.interval.ms': 100,
}

const foldersOf = (folder: string): string[] => readdirSync(join(folder, 'partitions'))
const opened = (folder: string, settings = {}): Promise<Engine> =>
  open({ folder, settings: { ...SMALL, ...settings } })

async function checkpoints(engine: Engine, count: number): Promise<void> {
  const before = engine.metrics()['checkpoints_total'] ?? 0
  while ((engine.metrics()['checkpoints_total'] ?? 0) < before + count) {
    await append(engine, 'others', ['x'])
  }
}

test('a partition with a few records has no file, over a kill, a stop and checkpoints', async () => {
  const folder = temporaryFolder()
  const engine = await opened(folder)
  await createTopic(engine, 't', {}, 50)
  await createTopic(engine, 'others')
  for (let partition = 0; partition < 50; partition += 1) {
    await store(engine, 't', [`a${partition}`], { partition })
  }
  const beforeAny = killed(folder)
  await checkpoints(engine, 2)
  await store(engine, 't', ['b'], { partition: 7 })
  const behind = killed(folder)
  await engine.close()
  for (const [path, seventh] of [
    [beforeAny, ['a7']],
    [behind, ['a7', 'b']],
    [folder, ['a7', 'b']],
  ] as const) {
    const report = verifyFolder(nodeDisk(path))
    expect(report.findings.filter(({ severity }) => severity === 'damage')).toEqual([])
    const again = await opened(path)
    expect(await valuesOf(again, 't', 7)).toEqual(seventh)
    expect(await valuesOf(again, 't', 49)).toEqual(['a49'])
    expect(again.health().partitions).toEqual([])
    await again.close()
    // `others` has grown; nobody else has.
    expect(foldersOf(path).length).toBeLessThanOrEqual(3)
  }
})

test('a segment that grows gets its file, and goes on where it was', async () => {
  const folder = temporaryFolder()
  const engine = await opened(folder)
  await createTopic(engine, 't')
  const values = Array.from({ length: 40 }, (_, i) => `${i} ${'x'.repeat(100)}`)
  for (const value of values.slice(0, 5)) await store(engine, 't', [value])
  const before = foldersOf(folder).length
  for (const value of values.slice(5)) await store(engine, 't', [value])
  expect(foldersOf(folder).length).toBeGreaterThan(before)
  expect(await valuesOf(engine, 't')).toEqual(values)
  const copy = killed(folder)
  await engine.close()
  for (const path of [copy, folder]) {
    const again = await opened(path)
    expect(await valuesOf(again, 't')).toEqual(values)
    await again.close()
  }
})

test('beyond the bound of all together small segments get files', async () => {
  const folder = temporaryFolder()
  const engine = await opened(folder, { 'segments.memory.max.bytes': 3000 })
  await createTopic(engine, 't', {}, 20)
  for (let partition = 0; partition < 20; partition += 1) {
    await store(engine, 't', ['x'.repeat(300)], { partition })
  }
  expect(foldersOf(folder).length).toBeGreaterThan(10)
  expect(foldersOf(folder).length).toBeLessThan(20)
  for (let partition = 0; partition < 20; partition += 1) {
    expect(await valuesOf(engine, 't', partition)).toEqual(['x'.repeat(300)])
  }
})

test('what compaction erases of a small segment stands in no file, checkpoints included', async () => {
  const folder = temporaryFolder()
  const engine = await opened(folder)
  await createTopic(engine, 't')
  await createTopic(engine, 'others')
  const put = async (value: string): Promise<void> => {
    const batch = encodeBatch({ records: [{ key: 'k', value }], timestamp: Date.now() })
    const [result] = await engine.append([{ topic: 't', partition: 0, batch }])
    if (result?.error !== undefined) throw result.error
  }
  await put('a secret')
  await checkpoints(engine, 3)
  expect(filesWith(folder, 'a secret').sort()).toContain('checkpoint-a')
  await engine.alterConfig('t', [{ name: 'cleanup.policy', operation: 'set', value: 'compact' }])
  await put('no more')
  await engine.compactNow('t')
  expect(await valuesOf(engine, 't')).toEqual(['no more'])
  expect(filesWith(folder, 'a secret')).toEqual([])
})

test.each([false, true])(
  'what is being read of a small segment stays whole when it gets its file and is deleted (others read the file: %s)',
  async others => {
    const engine = await opened(temporaryFolder())
    await createTopic(engine, 't')
    const slice = async (): Promise<RecordSlice> => {
      const positions = [{ topic: 't', partition: 0, offset: 0, maxBytes: 1 << 20 }]
      const limits = { maxBytes: 1 << 20, minBytes: 1, maxWaitMs: 0 }
      const request = { positions, ...limits, isolation: 'read_uncommitted' } as const
      const [answer] = await engine.fetchSlices(request)
      if (answer === undefined || answer.error !== undefined) throw new Error('no answer')
      return answer.records
    }
    const bytesOf = (of: RecordSlice): string => {
      const bytes = Buffer.alloc(of.byteLength)
      of.read(0, bytes)
      return bytes.toString('latin1')
    }
    await store(engine, 't', ['first'])
    const [small, second] = [await slice(), await slice()]
    const before = bytesOf(small)
    await store(engine, 't', ['x'.repeat(3000)])
    const large = others ? await slice() : undefined
    const whole = large === undefined ? '' : bytesOf(large)
    await engine.deleteTopics(['t'])
    // In whatever order they are let go.
    expect(bytesOf(small)).toBe(before)
    if (large !== undefined) expect(bytesOf(large)).toBe(whole)
    large?.release()
    expect(bytesOf(small)).toBe(before)
    small.release()
    expect(bytesOf(second)).toBe(before)
    second.release()
    await until(() => engine.metrics()['segment_files_open'] === 0)
  },
)

test('a deleted topic gives back its memory though the disk does not let its files go', async () => {
  const folder = temporaryFolder()
  const disk = new WrappedDisk(nodeDisk(folder), {
    onUnlink: path => {
      if (path.endsWith('.log')) throw new DiskError('EIO', path, 'it stays')
    },
  })
  const settings = { ...SMALL, 'segments.memory.max.bytes': 6000 }
  const engine = await open({ folder, disk, settings })
  const fill = async (topic: string): Promise<void> => {
    await createTopic(engine, topic, {}, 3)
    for (const partition of [0, 1, 2]) {
      await store(engine, topic, ['x'.repeat(1000)], { partition })
    }
  }
  await fill('first')
  expect(foldersOf(folder)).toEqual([])
  await engine.deleteTopics(['first'])
  await fill('second')
  expect(foldersOf(folder), 'there was room for all').toEqual([])
})

function filesWith(folder: string, text: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .filter(({ parentPath, name }) => readFileSync(join(parentPath, name)).includes(text))
    .map(({ name }) => name)
}
