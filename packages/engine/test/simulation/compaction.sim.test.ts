// Compacted topics under crashes at any disk operation and failing disks: the last value of each key
// stays, nothing else goes that is not replaced, offsets never change, tombstones stay for their time,
// producers are known again, and what was overwritten is gone from the disk within its time. And
// cleaners that are broken on purpose are noticed.
// A failing seed is replayed with SIM_SEED; SIM_SEEDS sets how many are run.
import { RecordBatch } from '@millrace/log'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { PartitionLog } from '../../src/partitions/partition-log.ts'
import { CALM, SimDisk } from '../../src/simulation.ts'
import { BatchCleaner } from '../../src/storage/compaction/batch-cleaner.ts'
import { Cleaner } from '../../src/storage/compaction/cleaner.ts'
import { OffsetMap } from '../../src/storage/compaction/offset-map.ts'
import { Journal } from '../../src/storage/journal.ts'
import type { CompactionPlan } from './support/compaction/plan.ts'
import { type CompactionOptions, runCompaction } from './support/compaction/run-compaction.ts'

const FIRST = 1
const one = process.env['SIM_SEED']
const count = Number(process.env['SIM_SEEDS'] ?? 300)
/** Seeds among which at least one must notice a broken cleaner. */
const CANARY_SEEDS = 40

const replay = (seed: number): string =>
  `seed ${seed}; replay: SIM_SEED=${seed} npx vitest run --project sim packages/engine/test/simulation/compaction`

describe('compaction', () => {
  it(`${one === undefined ? count : `seed ${one}`}: keeps what it must and takes what it may, whatever crashes`, async () => {
    const seeds =
      one === undefined ? Array.from({ length: count }, (_, i) => FIRST + i) : [Number(one)]
    let cleanings = 0
    for (const seed of seeds) {
      try {
        cleanings += (await runCompaction(seed)).cleanings
      } catch (cause) {
        const text = cause instanceof Error ? cause.stack : cause
        throw new Error(`${replay(seed)}\n${text}`, { cause })
      }
    }
    expect(cleanings).toBeGreaterThan(0)
  })
})

/** No faults but the broken cleaner. */
const harsh = (plan: CompactionPlan): CompactionPlan => ({ ...plan, climate: CALM, crashes: 3 })

async function noticed(options: CompactionOptions = {}): Promise<number> {
  let found = 0
  for (let seed = FIRST; seed < FIRST + CANARY_SEEDS && found === 0; seed += 1) {
    await runCompaction(seed, { plan: harsh, ...options }).catch(() => {
      found += 1
    })
  }
  return found
}

describe('a broken cleaner is noticed', () => {
  afterEach(() => vi.restoreAllMocks())

  it('and one that is whole is not', async () => {
    expect(await noticed()).toBe(0)
  })

  it('that takes the last value of a key', async () => {
    const { get } = OffsetMap.prototype
    vi.spyOn(OffsetMap.prototype, 'get').mockImplementation(function (this: OffsetMap, key) {
      const offset = get.call(this, key)
      return offset >= 0 && offset % 50 === 7 ? offset + 1 : offset
    })
    expect(await noticed()).toBe(1)
  })

  it('that takes tombstones before their horizon', async () => {
    const { clean } = BatchCleaner.prototype
    vi.spyOn(BatchCleaner.prototype, 'clean').mockImplementation(function (
      this: BatchCleaner,
      batch,
      isLast,
    ) {
      const only = batch.recordCount === 1 && !isLast ? [...batch.records()][0] : undefined
      return only !== undefined && only.value === null ? null : clean.call(this, batch, isLast)
    })
    expect(await noticed()).toBe(1)
  })

  it('that leaves nothing at the end for readers to get past', async () => {
    const { clean } = BatchCleaner.prototype
    vi.spyOn(BatchCleaner.prototype, 'clean').mockImplementation(function (
      this: BatchCleaner,
      batch,
    ) {
      return clean.call(this, batch, false)
    })
    expect(await noticed()).toBe(1)
  })

  it('that moves records to other offsets', async () => {
    const { clean } = BatchCleaner.prototype
    vi.spyOn(BatchCleaner.prototype, 'clean').mockImplementation(function (
      this: BatchCleaner,
      batch,
      isLast,
    ) {
      const bytes = clean.call(this, batch, isLast)
      const left = bytes === null ? null : new RecordBatch(bytes)
      if (bytes === null || left?.recordCount !== 1 || left.lastOffsetDelta === 0) return bytes
      const moved = Buffer.from(bytes)
      moved.writeUInt32BE((left.baseOffset + 1) >>> 0, 4)
      return moved
    })
    expect(await noticed()).toBe(1)
  })

  it('that unlinks old segments before a checkpoint lists the new ones', async () => {
    const { replace } = PartitionLog.prototype
    vi.spyOn(PartitionLog.prototype, 'replace').mockImplementation(function (
      this: PartitionLog,
      sources,
      result,
      group,
    ) {
      const done = replace.call(this, sources, result, group)
      if (done) for (const source of sources) source.unlink()
      return done
    })
    expect(await noticed()).toBe(1)
  })

  it('that never takes old segments away', async () => {
    vi.spyOn(Cleaner.prototype, 'afterCheckpoint').mockImplementation(() => undefined)
    expect(await noticed()).toBe(1)
  })

  it('that leaves copies in the journal', async () => {
    vi.spyOn(Journal.prototype, 'scrub').mockImplementation(async files => files.clear())
    expect(await noticed()).toBe(1)
  })

  it('that forgets to clean what is old', async () => {
    vi.spyOn(Cleaner.prototype, 'run').mockImplementation(async () => undefined)
    expect(await noticed()).toBe(1)
  })

  it('that does not wait for its segments to be synced', async () => {
    const lying = (disk: SimDisk): SimDisk => {
      const open = disk.open.bind(disk)
      const crash = disk.crash.bind(disk)
      disk.crash = kind => lying(crash(kind))
      disk.open = (path, mode) => {
        const file = open(path, mode)
        const nothing = async (): Promise<void> => undefined
        return /-\d+\.log$/.test(path) ? Object.assign(file, { sync: nothing }) : file
      }
      return disk
    }
    expect(await noticed({ disk: parts => lying(new SimDisk(parts)) })).toBe(1)
  })
})
