// Bugs that the simulation has found, each as the shortest script that shows it.
import { LogError } from '@millrace/log'
import { expect, test } from 'vitest'
import { type DiskCall, failNth, SimDisk, VirtualOutside } from '../../src/simulation.ts'
import { audit } from './support/audit.ts'
import { type BootOptions, boot, mustBoot, recoverAndAudit } from './support/boot.ts'
import { Oracle } from './support/oracle.ts'
import { append, create, deleteBelow, remove, rest, type Step } from './support/script.ts'
import type { Life } from './support/world.ts'

const LATENCY_MS = 1
/** Older than segments become. */
const WEEKS_MS = 14 * 86_400_000

type Scene = { readonly life: Life; readonly disk: SimDisk; readonly oracle: Oracle }

async function scene(steps: readonly Step[], options: BootOptions = {}): Promise<Scene> {
  const outside = new VirtualOutside(1)
  const disk = new SimDisk({ timers: outside.timers, latencyMs: () => LATENCY_MS })
  const it = { life: await mustBoot(disk, outside, options), disk, oracle: new Oracle() }
  for (const step of steps) expect(await act(it, step)).toBe(true)
  return it
}

const act = ({ life, oracle }: Scene, step: Step): Promise<boolean | undefined> =>
  life.outside.drive(step({ life, oracle }))

async function powerCut({ life, disk, oracle }: Scene): Promise<void> {
  disk.faults = undefined
  const outside = life.outside.reboot()
  const after = disk.crash({ kind: 'power', timers: outside.timers, choose: () => 0 })
  await recoverAndAudit(after, outside, oracle.clone(), 'power')
}

async function kill({ life, disk, oracle }: Scene): Promise<void> {
  disk.faults = undefined
  const outside = life.outside.reboot()
  const after = disk.crash({ kind: 'kill', timers: outside.timers })
  await recoverAndAudit(after, outside, oracle.clone(), 'kill')
}

test('deleting records answers with the start that is durable, not with a later one under way', async () => {
  const { life } = await scene([create('a'), append('a'), append('a'), append('a')])
  const target = { topic: 'a', partition: 0 }
  const first = life.engine.deleteRecords([{ ...target, offset: 1 }])
  await life.outside.advance(LATENCY_MS / 2) // its group is on its way
  const second = life.engine.deleteRecords([{ ...target, offset: 2 }])
  expect((await life.outside.drive(first))?.[0]?.lowWatermark).toBe(1)
  expect((await life.outside.drive(second))?.[0]?.lowWatermark).toBe(2)
})

test('a start that moved in a failed group takes no files', async () => {
  const big = append('a', 0, 3000)
  const it = await scene([create('a'), big, big, rest(1100)])
  it.disk.faults = call => (call.journal && call.kind === 'sync' ? { error: 'EIO' } : undefined)
  expect(await act(it, deleteBelow('a', 1))).toBe(false)
  await act(it, rest(3000))
  await powerCut(it)
})

test('a journal that fails during a deletion leaves no rejection unhandled', async () => {
  const unhandled: unknown[] = []
  const note = (cause: unknown): void => void unhandled.push(cause)
  process.on('unhandledRejection', note)
  try {
    const it = await scene([create('a'), append('a')])
    it.disk.faults = call => (call.journal ? { error: 'EIO' } : undefined)
    expect(await act(it, remove('a'))).toBe(false)
    await new Promise(resolve => setImmediate(resolve))
    expect(unhandled).toEqual([])
    await powerCut(it)
  } finally {
    process.off('unhandledRejection', note)
  }
})

test('a deletion that is durable succeeds, whatever its files do', async () => {
  const it = await scene([create('a'), append('a'), rest(1100)])
  it.disk.faults = call =>
    call.kind === 'unlink' || call.kind === 'removeFolder' ? { error: 'EIO' } : undefined
  expect(await act(it, remove('a'))).toBe(true)
  await powerCut(it)
})

test('a deletion that fails takes nothing out of a checkpoint that is under way', async () => {
  const it = await scene([create('a'), append('a'), append('a')])
  // The checkpoint begins with the group in front of the deletion, whose own sync then fails.
  let syncs = 0
  it.disk.faults = call => {
    if (!call.journal || call.kind !== 'sync') return undefined
    syncs += 1
    return { delayMs: syncs === 1 ? 50 : 20_000 }
  }
  const { life, oracle } = it
  life.outside.timers.after(
    1020 - life.outside.clock.monotonic(),
    () => void remove('a')({ life, oracle }),
  )
  await act(it, rest(10_000))
  await powerCut(it)
})

test.each([2, 3, 4])(
  'groups as large as files of the journal pass through %i of them',
  async files => {
    const slow = (call: DiskCall) =>
      call.kind === 'sync' && call.path.endsWith('.log') ? { delayMs: 300 } : undefined
    const settings = { 'journal.max.bytes': 65_536 * files, 'checkpoint.bytes': 1 << 20 }
    const it = await scene([create('a', 2)], { settings })
    it.disk.faults = slow
    for (let i = 0; i < 30; i += 1) {
      expect(await act(it, append('a', i % 2, i % 3 === 0 ? 20_000 : 50_000))).toBe(true)
    }
    await audit(it.life, it.oracle, undefined)
    await powerCut(it)
  },
)

test('a rescue file whose sync failed is written again, not taken for durable', async () => {
  const it = await scene([create('a', 2), append('a', 0), append('a', 1)])
  let rescues = 0
  it.disk.faults = call => {
    if (call.kind !== 'sync') return undefined
    if (call.path.startsWith('partitions/16/')) return { error: 'EIO' }
    if (!call.path.startsWith('rescue/')) return undefined
    rescues += 1
    return rescues === 1 ? { error: 'EIO' } : undefined
  }
  await act(it, rest(5000))
  expect(rescues).toBeGreaterThan(1)
  expect(await act(it, append('a', 1))).toBe(true)
  await act(it, rest(5000))
  await powerCut(it)
})

test('of a fenced partition of a coordinator no file goes that its checkpoint lists', async () => {
  const it = await scene([create('a'), rest(1100)], { settings: { 'journal.stall.max.ms': 500 } })
  let begun: Promise<boolean> | undefined
  it.disk.faults = call => {
    if (call.kind !== 'sync' || !call.path.startsWith('partitions/0/')) return undefined
    // While it is synced for too long another segment begins behind it.
    it.life.outside.jumpWallClock(WEEKS_MS)
    begun ??= create('c')(it)
    return { delayMs: 1500 }
  }
  await act(it, create('b'))
  await act(it, rest(6000))
  expect(await begun).toBe(true)
  const { partitions } = it.life.engine.health()
  expect(partitions).toMatchObject([{ topic: '__catalogue', state: 'fenced' }])
  await kill(it)
})

test('growing the journal on a full disk leaves no half files behind', async () => {
  const it = await scene([create('a'), append('a')], { settings: { 'journal.max.bytes': 1 << 20 } })
  it.disk.faults = call =>
    call.kind === 'write' && call.path.startsWith('journal/') && !call.journal
      ? { error: 'ENOSPC', taken: 'part' }
      : undefined
  const before = it.disk.list('journal').length
  for (let i = 0; i < 20; i += 1) await act(it, append('a', 0, 30_000))
  expect(it.disk.list('journal').length).toBeLessThanOrEqual(before + 1)
  await powerCut(it)
})

test.each(['power', 'kill'] as const)(
  'a file that cannot be read while opening after a crash (%s) is not told as damage',
  async kind => {
    const it = await scene([create('a'), append('a'), append('a')])
    const isLook = ({ kind }: DiskCall): boolean =>
      kind === 'open' || kind === 'read' || kind === 'list'
    let n = 1
    for (let failed = true; failed; n += 1) {
      const outside = it.life.outside.reboot()
      const disk = it.disk.crash({ kind, timers: outside.timers, choose: () => 0 })
      const failing = failNth(n, 'EIO', { only: isLook })
      failed = false
      disk.faults = call => {
        const fault = failing(call)
        failed ||= fault !== undefined
        return fault
      }
      const life = await boot(disk, outside).catch(cause => {
        if (cause instanceof LogError && !cause.message.includes('damaged')) return undefined
        throw new Error(`call ${n}`, { cause })
      })
      expect({ n, state: life?.engine.health().state ?? 'refused' }).not.toMatchObject({
        state: 'fenced',
      })
      disk.faults = undefined
      if (life === undefined) {
        // The same process tries again: nothing may be left open.
        expect({ n, open: disk.openFiles }).toEqual({ n, open: 0 })
        await recoverAndAudit(disk, outside, it.oracle.clone(), kind)
      }
    }
    expect(n).toBeGreaterThan(20)
  },
)
