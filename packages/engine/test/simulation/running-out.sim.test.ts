// What runs out is not damage: descriptors, memory of the kernel. Appends wait or are refused,
// retriably; what was acknowledged is read; nothing is fenced or quarantined; and it ends by itself.
import { expect, test } from 'vitest'
import type { DiskErrorCode } from '../../src/disk/disk.ts'
import { type SimDisk, VirtualOutside } from '../../src/simulation.ts'
import { audit, readAll } from './support/audit.ts'
import { freshDisk, mustBoot, recoverAndAudit } from './support/boot.ts'
import { Oracle } from './support/oracle.ts'
import { append, create, remove, rest, type Step, together } from './support/script.ts'
import type { Life } from './support/world.ts'

type Scene = { readonly life: Life; readonly disk: SimDisk; readonly oracle: Oracle }

const PARTITIONS = 60
/** Fewer than partitions; the journal and what cannot wait take a part of them. */
const DESCRIPTORS = 40

async function scene(descriptorsMax: number, settings = {}): Promise<Scene> {
  const outside = new VirtualOutside(1)
  const disk = freshDisk(outside)
  disk.descriptorsMax = descriptorsMax
  return { life: await mustBoot(disk, outside, { settings }), disk, oracle: new Oracle() }
}

const act = ({ life, oracle }: Scene, step: Step): Promise<boolean | undefined> =>
  life.outside.drive(step({ life, oracle }))

const everywhere = (bytes = 100): Step =>
  together(...Array.from({ length: PARTITIONS }, (_, i) => append('many', i, bytes)))

/** As good as new: ready, nothing in trouble, no more files open than there may be. */
function expectWhole({ life, disk }: Scene): void {
  expect(life.engine.health()).toMatchObject({ state: 'ready', diskFull: false, partitions: [] })
  expect(disk.openFiles).toBeLessThanOrEqual(disk.descriptorsMax)
}

async function crashAndAudit({ life, disk, oracle }: Scene): Promise<void> {
  for (const kind of ['power', 'kill'] as const) {
    const outside = life.outside.reboot()
    const { timers } = outside
    // Recovery writes to all of them as well, under the same limit.
    const after = disk.crash(
      kind === 'power' ? { kind, timers, choose: () => 0 } : { kind, timers },
    )
    await recoverAndAudit(after, outside, oracle.clone(), kind)
  }
}

test('more partitions are written between two checkpoints than files may be open', async () => {
  const it = await scene(DESCRIPTORS, { 'checkpoint.interval.ms': 3_600_000 })
  expect(await act(it, create('many', PARTITIONS))).toBe(true)
  for (let round = 0; round < 4; round += 1) expect(await act(it, everywhere())).toBe(true)
  expectWhole(it)
  await audit(it.life, it.oracle, undefined)
  await crashAndAudit(it)
})

test('a fetch of more partitions than files may be open answers some, and all one after the other', async () => {
  const it = await scene(DESCRIPTORS)
  await act(it, create('many', PARTITIONS))
  await act(it, everywhere())
  const { engine, outside } = it.life
  const left = new Set(Array.from({ length: PARTITIONS }, (_, i) => i))
  for (let rounds = 0; left.size > 0; rounds += 1) {
    expect(rounds).toBeLessThan(20)
    const positions = [...left].map(partition => ({
      topic: 'many',
      partition,
      offset: 0,
      maxBytes: 1000,
    }))
    const request = { minBytes: 1e6, maxBytes: 1e6, maxWaitMs: 500, isolation: 'read_uncommitted' }
    const answer = await outside.drive(engine.fetchSlices({ ...request, positions } as never))
    const held = answer?.filter(({ records }) => records.byteLength > 0) ?? []
    expect(held.length).toBeGreaterThan(0)
    expect(answer?.filter(({ error }) => error !== undefined)).toEqual([])
    expectWhole(it)
    for (const { partition, records } of held) {
      left.delete(partition)
      records.release()
    }
    expect(await act(it, append('many', 3))).toBe(true)
  }
  expect(engine.metrics()['segment_files_read']).toBe(0)
})

test('readers that hold their slices do not keep appends from their files', async () => {
  const it = await scene(DESCRIPTORS)
  await act(it, create('many', PARTITIONS))
  await act(it, everywhere())
  const { engine, outside } = it.life
  const holding = []
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    const positions = [{ topic: 'many', partition, offset: 0, maxBytes: 1000 }]
    const request = { minBytes: 1, maxBytes: 1000, maxWaitMs: 0, isolation: 'read_uncommitted' }
    holding.push(
      ...((await outside.drive(engine.fetchSlices({ ...request, positions } as never))) ?? []),
    )
  }
  expect(await act(it, everywhere())).toBe(true)
  expectWhole(it)
  for (const { records } of holding) records.release()
  await audit(it.life, it.oracle, undefined)
})

const LACKS: readonly DiskErrorCode[] = ['EMFILE', 'ENOMEM']

test.each(LACKS)(
  '%s at every call for a while: what is acknowledged is read, and it resumes',
  async code => {
    const it = await scene(Number.POSITIVE_INFINITY)
    await act(it, create('many', 4))
    for (let i = 0; i < 4; i += 1) expect(await act(it, append('many', i))).toBe(true)
    await act(it, rest(1500)) // synced: the next write has to open its file again
    // What is open goes on working; nothing else can be opened.
    it.disk.faults = ({ kind, journal, path }) =>
      !journal &&
      (code === 'ENOMEM'
        ? kind === 'write' && path.endsWith('.log')
        : /open|create|syncFolder/.test(kind))
        ? { error: code }
        : undefined
    for (let i = 0; i < 8; i += 1) {
      await act(it, append('many', i % 4, 5000))
      await act(it, rest(400))
    }
    expect(it.life.engine.health()).toMatchObject({
      state: 'ready',
      diskFull: false,
      partitions: [],
    })
    it.disk.faults = undefined
    await act(it, rest(2500))
    expectWhole(it)
    for (let i = 0; i < 4; i += 1) expect(await act(it, append('many', i))).toBe(true)
    await audit(it.life, it.oracle, undefined)
    await crashAndAudit(it)
  },
)

test('what waits for its segment is read at once, and its topic can be deleted', async () => {
  const it = await scene(Number.POSITIVE_INFINITY)
  await act(it, create('a'))
  await act(it, create('b'))
  it.disk.faults = ({ kind, path }) =>
    kind === 'write' && path.endsWith('.log') && !path.startsWith('journal')
      ? { error: 'ENOSPC' }
      : undefined
  expect(await act(it, append('a'))).toBe(true)
  const read = await it.life.outside.drive(readAll(it.life, 'a', 0))
  expect(read?.batches).toHaveLength(1)
  expect(it.life.engine.health()).toMatchObject({ state: 'ready', diskFull: true })
  expect(await act(it, append('b'))).toBe(false)
  expect(await act(it, remove('a'))).toBe(true)
  it.disk.faults = undefined
  await act(it, rest(2500))
  expectWhole(it)
  expect(await act(it, append('b'))).toBe(true)
  await crashAndAudit(it)
})
