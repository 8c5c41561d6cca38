// Fetches that wait, and those that ask for a lot: what they cost the others.
import type { FetchPosition, FetchRequest } from '@millrace/log'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Engine } from '../../src/index.ts'
import { PartitionLog } from '../../src/partitions/partition-log.ts'
import { Segment } from '../../src/segments/segment.ts'
import { append, createTopic, open, temporaryFolder } from './support.ts'

const KIB = 1024
const FOREVER_MS = 60_000

const position = (partition: number, maxBytes: number, offset = 0): FetchPosition => ({
  topic: 't',
  partition,
  offset,
  maxBytes,
})

const fetchOf = (
  positions: readonly FetchPosition[],
  minBytes: number,
  maxBytes = 64 * KIB * KIB,
): FetchRequest => ({
  positions,
  minBytes,
  maxBytes,
  maxWaitMs: FOREVER_MS,
  isolation: 'read_uncommitted',
})

async function fetched(engine: Engine, request: FetchRequest): Promise<number> {
  const results = await engine.fetch(request)
  return results.reduce((sum, { records }) => sum + records.length, 0)
}

/** How often partitions are looked into from now on. */
function looks(): { readonly count: () => number } {
  const spy = vi.spyOn(PartitionLog.prototype, 'locate')
  onTestFinished(() => spy.mockRestore())
  return { count: () => spy.mock.calls.length }
}

describe('minimal bytes', () => {
  test.each([
    ['the limit of the partition', 10_000, 10_000, 1_000_000],
    ['the limit of the answer', 10_000, 1_000_000, 10_000],
    ['more than the limit of the answer', 20_000, 1_000_000, 10_000],
    ['what there is', 50_000, 1_000_000, 1_000_000],
  ])('that are %s are there at once', async (_what, minBytes, partitionMax, maxBytes) => {
    const engine = await open()
    await createTopic(engine, 't')
    for (let i = 0; i < 100; i += 1) await append(engine, 't', ['x'.repeat(1000)])
    const request = fetchOf([position(0, partitionMax)], minBytes, maxBytes)
    expect(await fetched(engine, request)).toBeGreaterThan(8_000)
  })

  test('are waited for over several partitions together, and counted as they come', async () => {
    const engine = await open()
    await createTopic(engine, 't', {}, 3)
    await append(engine, 't', ['x'.repeat(1000)], { partition: 0 })
    let done = false
    const waiting = fetched(
      engine,
      fetchOf(
        [0, 1, 2].map(p => position(p, 1 << 20)),
        3_000,
      ),
    )
    void waiting.then(() => {
      done = true
    })
    await append(engine, 't', ['x'.repeat(1000)], { partition: 1 })
    await append(engine, 't', ['x'], { partition: 1 })
    expect(done).toBe(false)
    await append(engine, 't', ['x'.repeat(1000)], { partition: 2 })
    expect(await waiting).toBeGreaterThan(3_000)
  })

  test('of a partition beyond its limit do not count for the others', async () => {
    const engine = await open()
    await createTopic(engine, 't', {}, 2)
    let done = false
    const waiting = fetched(engine, fetchOf([position(0, 1500), position(1, 1500)], 2_500))
    void waiting.then(() => {
      done = true
    })
    for (let i = 0; i < 10; i += 1) await append(engine, 't', ['x'.repeat(1000)])
    expect(done).toBe(false)
    await append(engine, 't', ['x'.repeat(1000)], { partition: 1 })
    expect(await waiting).toBeGreaterThan(2_000)
  })
})

describe('a fetch that waits', () => {
  test('reads nothing while others append, however many wait', async () => {
    const engine = await open()
    await createTopic(engine, 't', {}, 8)
    const positions = Array.from({ length: 8 }, (_, partition) => position(partition, 1 << 20))
    const waiting = Array.from({ length: 50 }, () => fetched(engine, fetchOf(positions, 1 << 20)))
    // On a busy machine the first looks may take several turns.
    while (engine.metrics()['fetch_waiting'] !== 50) await new Promise(setImmediate)
    const { count } = looks()
    for (let i = 0; i < 20; i += 1) await append(engine, 't', ['x'], { partition: i % 8 })
    expect(count()).toBe(0)
    expect(engine.metrics()['fetch_waiting']).toBe(50)
    await engine.close()
    await Promise.all(waiting)
  })

  test('that has enough with all others looks when its group is applied, and each has it', async () => {
    const engine = await open()
    await createTopic(engine, 't', {}, 4)
    const positions = Array.from({ length: 4 }, (_, partition) => position(partition, 1 << 20))
    const waiting = Array.from({ length: 20 }, () => fetched(engine, fetchOf(positions, 1)))
    await append(engine, 't', ['x'], { partition: 3 })
    expect(new Set(await Promise.all(waiting))).toEqual(new Set([69]))
  })

  test('ends when its partition is deleted, or its offset falls below the log start', async () => {
    const engine = await open()
    await createTopic(engine, 't', {}, 2)
    await append(engine, 't', ['a'], { partition: 0 })
    await append(engine, 't', ['b'], { partition: 0 })
    const behind = engine.fetch(fetchOf([position(0, 1 << 20)], 1 << 20))
    await engine.deleteRecords([{ topic: 't', partition: 0, offset: 1 }])
    expect((await behind)[0]?.error?.code).toBe('OFFSET_OUT_OF_RANGE')
    const gone = engine.fetch(fetchOf([position(1, 1 << 20)], 1))
    await engine.deleteTopics(['t'])
    expect((await gone)[0]?.error?.code).toBe('UNKNOWN_TOPIC_OR_PARTITION')
  })
})

test('a fetch of a great many positions lets the loop turn, and answers them all in order', async () => {
  const engine = await open()
  await createTopic(engine, 't')
  for (let i = 0; i < 5; i += 1) await append(engine, 't', ['x'.repeat(100)])
  const positions = Array.from({ length: 20_000 }, (_, i) => position(0, 200, i % 5))
  let over = false
  let turns = 0
  const count = (): void => {
    turns += 1
    if (!over) setImmediate(count)
  }
  setImmediate(count)
  const results = await engine.fetch({ ...fetchOf(positions, 1, 1 << 26), maxWaitMs: 0 })
  over = true
  expect(turns).toBeGreaterThan(1)
  expect(results.every(({ records, error }) => records.length > 0 && error === undefined)).toBe(
    true,
  )
})

describe('a large segment that nobody has read since the start', () => {
  /** Reopened; every look from now on is noted: whether its segment was prepared. */
  async function scene(): Promise<{
    readonly engine: Engine
    readonly preparations: () => number
    readonly looked: readonly boolean[]
    readonly end: number
  }> {
    const folder = temporaryFolder()
    const before = await open({ folder })
    await createTopic(before, 't')
    const end = 40
    for (let i = 0; i < end; i += 1) await append(before, 't', ['x'.repeat(100 * KIB)])
    await before.close()
    const engine = await open({ folder })
    const looked: boolean[] = []
    const { locate } = PartitionLog.prototype
    const look = vi.spyOn(PartitionLog.prototype, 'locate')
    look.mockImplementation(function (this: PartitionLog, offset, maxBytes) {
      looked.push(this.unprepared(offset) === undefined)
      return locate.call(this, offset, maxBytes)
    })
    const prepare = vi.spyOn(Segment.prototype, 'prepare')
    onTestFinished(() => {
      look.mockRestore()
      prepare.mockRestore()
    })
    return { engine, preparations: () => prepare.mock.calls.length, looked, end }
  }

  test('is prepared in slices before a fetch looks into it, once', async () => {
    const { engine, preparations, looked } = await scene()
    expect(await fetched(engine, fetchOf([position(0, 10 * KIB)], 1))).toBeGreaterThan(0)
    expect(looked).toEqual([true])
    expect(preparations()).toBe(1)
  })

  test('is prepared before a fetch that has waited looks into it', async () => {
    const { engine, preparations, looked, end } = await scene()
    const waiting = fetched(engine, fetchOf([position(0, 10 * KIB, end)], 1))
    while (engine.metrics()['fetch_waiting'] !== 1) await new Promise(setImmediate)
    // What is new is in memory: the rest of the segment is still as it was.
    await append(engine, 't', ['y'])
    expect(await waiting).toBeGreaterThan(0)
    expect(looked).not.toContain(false)
    expect(await fetched(engine, fetchOf([position(0, 10 * KIB)], 1))).toBeGreaterThan(0)
    expect(looked).not.toContain(false)
    expect(preparations()).toBeLessThanOrEqual(1)
  })
})
