// What goes by itself, and what stays readable meanwhile.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { systemOutside } from '@millrace/base'
import { describe, expect, test } from 'vitest'
import { type Engine, nodeDisk, verifyFolder } from '../../src/index.ts'
import { WrappedDisk } from '../storage/support.ts'
import {
  createTopic,
  fetchAt,
  killed,
  numbered,
  open,
  readAll,
  store,
  temporaryFolder,
  until,
  valuesOf,
} from './support.ts'

const SMALL_SEGMENTS = { 'segment.bytes': '4096' }
const OFTEN = { 'log.retention.check.interval.ms': 100, 'checkpoint.interval.ms': 100 }

/** The platform's outside with clocks that can be set forward. */
function shiftingOutside() {
  const system = systemOutside({ keepAlive: false })
  const shift = { ms: 0 }
  const monotonic = (): number => system.clock.monotonic() + shift.ms
  const clock = { now: () => Date.now() + shift.ms, monotonic }
  return { outside: { ...system, clock }, shift }
}

/** Names of the segment files of all partitions of clients. */
const segmentFiles = (folder: string): string[] =>
  readdirSync(join(folder, 'partitions'))
    .filter(id => Number(id) >= 16)
    .flatMap(id => readdirSync(join(folder, 'partitions', id)))
    .filter(name => name.endsWith('.log'))

const logStartOf = async (engine: Engine, topic: string): Promise<number> =>
  (await engine.listOffsets([{ topic, partition: 0, place: 'earliest' }]))[0]?.offset ?? -1

const damageIn = (folder: string): readonly string[] =>
  verifyFolder(nodeDisk(folder))
    .findings.filter(({ severity }) => severity === 'damage')
    .map(({ path, what }) => `${path}: ${what}`)

/** Resolves behind a whole pass of retention: a topic whose record is too old is empty by then. */
async function passOfRetention(engine: Engine, now: number): Promise<void> {
  await createTopic(engine, 'beside', { 'retention.ms': '60000' })
  await store(engine, 'beside', ['old'], { timestamp: now - 3_600_000 })
  await until(async () => (await logStartOf(engine, 'beside')) === 1)
}

describe('retention', () => {
  test('by size removes the oldest segments and keeps at least as much as asked', async () => {
    const folder = temporaryFolder()
    const engine = await open({ folder, settings: OFTEN })
    await createTopic(engine, 't', { ...SMALL_SEGMENTS, 'retention.bytes': '12000' })
    for (const value of numbered(30)) await store(engine, 't', [value.padEnd(1000)])
    await until(async () => (await logStartOf(engine, 't')) > 0)
    await until(() => segmentFiles(folder).length <= 4)
    const [size] = await engine.describeSizes(['t'])
    expect(size?.bytes).toBeGreaterThanOrEqual(12_000)
    expect(size?.bytes).toBeLessThan(12_000 + 4096)
    const start = await logStartOf(engine, 't')
    expect(await readAll(engine, 't')).toHaveLength(30 - start)
    const gone = await fetchAt(engine, 't', start - 1)
    expect(gone.error?.code).toBe('OFFSET_OUT_OF_RANGE')
    await engine.close()
    const after = await open({ folder })
    expect(await logStartOf(after, 't')).toBe(start)
  })

  test('by time goes by the largest timestamp of a segment, and takes the last one as well', async () => {
    const folder = temporaryFolder()
    const { outside, shift } = shiftingOutside()
    const engine = await open({ folder, settings: OFTEN, outside })
    await createTopic(engine, 't', { ...SMALL_SEGMENTS, 'retention.ms': '60000' })
    const now = Date.now()
    for (let i = 0; i < 10; i += 1) await store(engine, 't', ['x'.padEnd(1000)], { timestamp: now })
    await passOfRetention(engine, now)
    expect(await logStartOf(engine, 't')).toBe(0)
    shift.ms = 61_000
    await until(async () => (await logStartOf(engine, 't')) === 10)
    await until(() => segmentFiles(folder).length === 0)
    expect(await store(engine, 't', ['next'], { timestamp: now + 61_000 })).toBe(10)
    expect(await valuesOf(engine, 't')).toEqual(['next'])
  })

  test('that took everything is understood by a recovery from the checkpoint before', async () => {
    const folder = temporaryFolder()
    const { outside, shift } = shiftingOutside()
    const settings = { ...OFTEN, 'checkpoint.interval.ms': 3_600_000 }
    const first = await open({ folder, outside })
    await createTopic(first, 't', { 'retention.ms': '60000' })
    for (const value of numbered(5)) await store(first, 't', [value])
    await first.close()
    shift.ms = 61_000
    const engine = await open({ folder, settings, outside })
    await until(() => segmentFiles(folder).length === 0)
    const copy = killed(folder)
    expect(damageIn(copy)).toEqual([])
    const after = await open({ folder: copy })
    expect(after.health()).toMatchObject({ state: 'ready', partitions: [] })
    expect([await logStartOf(after, 't'), await readAll(after, 't')]).toEqual([5, []])
    expect(await store(after, 't', ['next'])).toBe(5)
    expect(await store(engine, 't', ['next'])).toBe(5)
  })

  test('leaves a topic with retention.ms -1 alone for ever', async () => {
    const { outside, shift } = shiftingOutside()
    const engine = await open({ settings: OFTEN, outside })
    await createTopic(engine, 't', { 'retention.ms': '-1' })
    await store(engine, 't', ['old'])
    shift.ms = 10 * 365 * 86_400_000
    await passOfRetention(engine, outside.clock.now())
    expect(await valuesOf(engine, 't')).toEqual(['old'])
  })
})

describe('deleted records', () => {
  test('stay deleted over a restart and a crash, and their files go', async () => {
    const folder = temporaryFolder()
    const engine = await open({ folder, settings: OFTEN })
    await createTopic(engine, 't', SMALL_SEGMENTS)
    for (const value of numbered(20)) await store(engine, 't', [value.padEnd(1000)])
    expect(segmentFiles(folder).length).toBeGreaterThan(5)
    const [outcome] = await engine.deleteRecords([{ topic: 't', partition: 0, offset: 17 }])
    expect(outcome).toMatchObject({ lowWatermark: 17 })
    const crashed = await open({ folder: killed(folder) })
    expect((await readAll(crashed, 't')).map(({ offset }) => offset)).toEqual([17, 18, 19])
    await until(() => segmentFiles(folder).length <= 2)
    expect(damageIn(killed(folder))).toEqual([])
    await engine.close()
    const after = await open({ folder })
    expect((await readAll(after, 't')).map(({ offset }) => offset)).toEqual([17, 18, 19])
  })

  test('up to -1 leave nothing, and up to beyond the end is refused', async () => {
    const engine = await open()
    await createTopic(engine, 't')
    await store(engine, 't', numbered(3))
    const [beyond] = await engine.deleteRecords([{ topic: 't', partition: 0, offset: 4 }])
    expect(beyond?.error?.code).toBe('OFFSET_OUT_OF_RANGE')
    const [all] = await engine.deleteRecords([{ topic: 't', partition: 0, offset: -1 }])
    expect(all?.lowWatermark).toBe(3)
    expect(await readAll(engine, 't')).toEqual([])
  })
})

describe('a deleted topic', () => {
  test('takes its files with it, and a crash behind it leaves nothing that is taken for damage', async () => {
    const folder = temporaryFolder()
    const engine = await open({ folder })
    await createTopic(engine, 't', SMALL_SEGMENTS, 3)
    for (const value of numbered(9)) {
      await store(engine, 't', [value.padEnd(3000)], { partition: Number(value.slice(6)) % 3 })
    }
    await engine.close()
    const again = await open({ folder })
    await again.deleteTopics(['t'])
    expect(segmentFiles(folder)).toEqual([])
    expect(damageIn(killed(folder))).toEqual([])
    const crashed = await open({ folder: killed(folder) })
    expect(crashed.topic('t')).toBeUndefined()
    await createTopic(crashed, 't')
    expect(await store(crashed, 't', ['new'])).toBe(0)
    expect(await valuesOf(crashed, 't')).toEqual(['new'])
  })

  test('takes its committed offsets with it, also where it comes back at once', async () => {
    const folder = temporaryFolder()
    const engine = await open({ folder })
    await createTopic(engine, 't')
    const committed = { topic: 't', partition: 0, offset: 11, metadata: null, leaderEpoch: -1 }
    const member = { groupId: 'g', generationId: -1, memberId: '', groupInstanceId: null }
    await engine.groups.commit({ ...member, offsets: [committed] })
    await Promise.all([engine.deleteTopics(['t']), engine.createTopics([{ name: 't' }])])
    const offsetIn = async (log: typeof engine): Promise<number | undefined> =>
      (await log.groups.fetchOffsets('g', [{ topic: 't', partition: 0 }]))[0]?.offset
    expect(await offsetIn(engine)).toBe(-1)
    expect(await offsetIn(await open({ folder: killed(folder) }))).toBe(-1)
    await engine.groups.commit({ ...member, offsets: [{ ...committed, offset: 1 }] })
    expect(await offsetIn(await open({ folder: killed(folder) }))).toBe(1)
  })

  test('can still be read to the end by who has slices of it', async () => {
    const folder = temporaryFolder()
    const engine = await open({ folder })
    await createTopic(engine, 't')
    await store(engine, 't', numbered(10))
    const [result] = await engine.fetchSlices({
      positions: [{ topic: 't', partition: 0, offset: 0, maxBytes: 1 << 20 }],
      minBytes: 1,
      maxBytes: 1 << 20,
      maxWaitMs: 0,
      isolation: 'read_uncommitted',
    })
    await engine.deleteTopics(['t'])
    expect(segmentFiles(folder)).toEqual([])
    const bytes = Buffer.alloc(result?.records.byteLength ?? 0)
    result?.records.read(0, bytes)
    expect(bytes.toString('latin1')).toContain('value 9')
    result?.records.release()
    result?.records.release()
    expect(engine.metrics()['segment_files_open']).toBeLessThanOrEqual(1)
  })
})

describe('internal topics', () => {
  test('are trimmed at checkpoints, so that they do not grow with what was ever committed', async () => {
    const folder = temporaryFolder()
    const engine = await open({ folder, settings: OFTEN })
    await createTopic(engine, 't')
    const metadata = 'm'.repeat(4000)
    const commit = (offset: number) =>
      engine.groups.commit({
        groupId: 'g',
        generationId: -1,
        memberId: '',
        groupInstanceId: null,
        offsets: [{ topic: 't', partition: 0, offset, metadata, leaderEpoch: -1 }],
      })
    const size = async (): Promise<number> =>
      (await engine.describeSizes(['__consumer_offsets']))[0]?.bytes ?? -1
    let written = 0
    for (let i = 0; i < 3000 && written < 9 << 20; i += 1) {
      await Promise.all([commit(i), commit(i)])
      written += 8000
    }
    await until(async () => (await size()) < 6 << 20)
    const files = join(folder, 'partitions', '1')
    await until(() => readdirSync(files).filter(name => name.endsWith('.log')).length <= 2)
    const copy = await open({ folder: killed(folder) })
    expect(copy.health()).toMatchObject({ state: 'ready', partitions: [] })
    const [fetched] = await copy.groups.fetchOffsets('g', [{ topic: 't', partition: 0 }])
    expect(fetched?.offset).toBeGreaterThan(500)
    expect(existsSync(files)).toBe(true)
  })

  test('that were trimmed while the next checkpoint was waiting are never missed by it', async () => {
    const folder = temporaryFolder()
    const slow = { onSync: () => new Promise<void>(resolve => setTimeout(resolve, 20)) }
    const disk = new WrappedDisk(nodeDisk(folder), slow)
    // A checkpoint with every group: one is always being written while the next one waits.
    const engine = await open({ folder, disk, settings: { 'checkpoint.bytes': 4096 } })
    await createTopic(engine, 't', {}, 20)
    const commit = (offset: number) =>
      engine.groups.commit({
        groupId: 'g',
        generationId: -1,
        memberId: '',
        groupInstanceId: null,
        offsets: Array.from({ length: 20 }, (_, partition) => ({
          topic: 't',
          partition,
          offset,
          metadata: 'm'.repeat(4000),
          leaderEpoch: -1,
        })),
      })
    for (let round = 0; round < 25; round += 1) {
      for (let i = 0; i < 8; i += 1) await commit(round * 8 + i)
      const copy = await open({ folder: killed(folder) })
      expect(copy.health().partitions, `round ${round}`).toEqual([])
      await copy.close()
    }
  })
})
