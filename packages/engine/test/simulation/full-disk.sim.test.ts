// D5: a disk that fills up. Below disk.reserve.bytes appends are refused, retriably, everything else
// goes on, and they are taken again when space returns, without a restart. Where the disk is full to
// the last byte nothing that was acknowledged is lost, wherever it happens.
import { expect, test } from 'vitest'
import { GROUP_SETTINGS } from '../../src/group-settings.ts'
import { ENGINE_SETTINGS } from '../../src/settings.ts'
import { type DiskCall, failNth, type SimDisk, VirtualOutside } from '../../src/simulation.ts'
import { CHECKPOINT_FILES, readCheckpoint } from '../../src/storage/checkpoint-file.ts'
import { audit, readAll } from './support/audit.ts'
import { freshDisk, mustBoot, recoverAndAudit } from './support/boot.ts'
import { Oracle } from './support/oracle.ts'
import { append, commit, create, deleteBelow, remove, rest, type Step } from './support/script.ts'
import type { Life } from './support/world.ts'

type Scene = {
  readonly life: Life
  readonly disk: SimDisk
  readonly oracle: Oracle
  readonly said: readonly string[]
}

const PLENTY = 2 ** 40

async function scene(reserve = 0): Promise<Scene> {
  const outside = new VirtualOutside(1)
  const disk = freshDisk(outside)
  const said: string[] = []
  const life = await mustBoot(disk, outside, {
    settings: { 'disk.reserve.bytes': reserve },
    onEvent: ({ message }) => said.push(message),
  })
  return { life, disk, oracle: new Oracle(), said }
}

const act = ({ life, oracle }: Scene, step: Step): Promise<boolean | undefined> =>
  life.outside.drive(step({ life, oracle }))

/** What is used now, plus so much. */
function leave({ disk }: Scene, bytes: number): void {
  disk.capacityBytes += bytes - disk.space().free
}

async function crashAndAudit({ life, disk, oracle }: Scene): Promise<void> {
  disk.faults = undefined
  for (const kind of ['power', 'kill'] as const) {
    const outside = life.outside.reboot()
    const { timers } = outside
    const after = disk.crash(
      kind === 'power' ? { kind, timers, choose: () => 0 } : { kind, timers },
    )
    after.capacityBytes = PLENTY
    await recoverAndAudit(after, outside, oracle.clone(), kind)
  }
}

test('below disk.reserve.bytes appends are refused, reads and administration go on, and it resumes', async () => {
  const it = await scene(100_000)
  for (const step of [create('a'), append('a'), append('a')]) expect(await act(it, step)).toBe(true)
  leave(it, 99_999)
  await act(it, rest(1100))
  expect(it.life.engine.health()).toMatchObject({ state: 'ready', diskFull: true })
  expect(await act(it, append('a'))).toBe(false)
  const batch = Buffer.alloc(0)
  const [refused] =
    (await it.life.outside.drive(it.life.engine.append([{ topic: 'a', partition: 0, batch }]))) ??
    []
  expect(refused?.error).toMatchObject({ code: 'KAFKA_STORAGE_ERROR', retriable: true })
  await audit(it.life, it.oracle, undefined)
  expect(await act(it, commit('a', 1))).toBe(true)
  expect(await act(it, deleteBelow('a', 1))).toBe(true)
  expect(await act(it, create('b'))).toBe(true)
  leave(it, 200_000)
  await act(it, rest(1100))
  expect(it.life.engine.health()).toMatchObject({ state: 'ready', diskFull: false })
  expect(await act(it, append('a'))).toBe(true)
  await crashAndAudit(it)
})

const FULL: Readonly<Record<string, (call: DiskCall) => boolean>> = {
  'the journal, on write': call => call.journal && call.kind === 'write',
  'segments, on write': call =>
    call.kind === 'write' && call.path.startsWith('partitions/') && call.path.endsWith('.log'),
  'segments, on create': call => call.kind === 'create' && call.path.startsWith('partitions/'),
  'the folder of a partition': call => call.kind === 'makeFolder',
  'a checkpoint': call => call.kind === 'write' && call.path.startsWith('checkpoint'),
  'a checkpoint, late on sync': call => call.kind === 'sync' && call.path.startsWith('checkpoint'),
  'an index': call => call.path.endsWith('.index'),
  'a further file of the journal': call =>
    call.kind === 'create' && call.path.startsWith('journal/'),
}

test.each(Object.entries(FULL))(
  'no space for %s: nothing acknowledged is lost, and it resumes',
  async (_, hit) => {
    const it = await scene()
    for (const step of [create('a', 2), append('a', 0, 3000)])
      expect(await act(it, step)).toBe(true)
    it.disk.faults = call => (hit(call) ? { error: 'ENOSPC', taken: 'part' } : undefined)
    for (let i = 0; i < 12; i += 1) {
      await act(it, append('a', i % 2, 3000))
      await act(it, rest(300))
      await act(it, commit('a', i))
    }
    // What is acknowledged and has no room yet waits in memory; what is in the segments can be read.
    const read = await it.life.outside.drive(readAll(it.life, 'a', 0))
    expect(read?.batches.length).toBeGreaterThan(0)
    expect(it.life.engine.health()).toMatchObject({ state: 'ready', partitions: [] })
    it.disk.faults = undefined
    await act(it, rest(2500))
    expect(it.life.engine.health()).toMatchObject({
      state: 'ready',
      diskFull: false,
      partitions: [],
    })
    for (let i = 0; i < 40; i += 1) expect(await act(it, append('a', i % 2, 3000))).toBe(true)
    await audit(it.life, it.oracle, undefined)
    await crashAndAudit(it)
  },
)

test('while the journal has no room answers come in their time, and so does the end', async () => {
  const it = await scene()
  for (const step of [create('a'), append('a'), commit('a', 1)])
    expect(await act(it, step)).toBe(true)
  it.disk.faults = call =>
    call.journal && call.kind === 'write' ? { error: 'ENOSPC', taken: 'part' } : undefined
  const { engine, outside } = it.life
  const askedAt = outside.clock.monotonic()
  const tookMs = (): number => outside.clock.monotonic() - askedAt
  const offsets = [{ topic: 'a', partition: 0, offset: 1, leaderEpoch: -1, metadata: null }]
  const who = { groupId: 'g', generationId: -1, memberId: '', groupInstanceId: null }
  const committed = engine.groups.commit({ ...who, offsets })
  const topic = it.oracle.named('a')
  if (topic !== undefined) topic.state = 'leaving'
  const deleted = engine.deleteTopics(['a'])
  const [commitOutcome] = (await outside.drive(committed)) ?? []
  expect(commitOutcome?.error).toMatchObject({ code: 'COORDINATOR_NOT_AVAILABLE', retriable: true })
  expect(tookMs()).toBeLessThan(GROUP_SETTINGS['offsets.commit.timeout.ms'].default + 1000)
  const [deleteOutcome] = (await outside.drive(deleted)) ?? []
  expect(deleteOutcome?.error).toMatchObject({ code: 'REQUEST_TIMED_OUT', retriable: true })
  expect(tookMs()).toBeLessThan(ENGINE_SETTINGS['admin.timeout.ms'].default + 1000)
  expect(engine.health()).toMatchObject({ state: 'ready', diskFull: true })
  expect(await act(it, append('a'))).toBe(false)
  const closesAt = tookMs()
  await outside.drive(engine.close())
  expect(tookMs() - closesAt).toBeLessThan(61_000)
  expect(it.said.join()).toContain('close.max.ms=60000: the last checkpoint did not end')
  await crashAndAudit(it)
})

test('a disk that does not answer does not hold up the end, and keeps the folder locked', async () => {
  const it = await scene()
  for (const step of [create('a'), append('a')]) expect(await act(it, step)).toBe(true)
  it.disk.faults = call => (call.kind === 'sync' && !call.journal ? { hang: true } : undefined)
  const { engine, outside } = it.life
  const closesAt = outside.clock.monotonic()
  await outside.drive(engine.close())
  expect(outside.clock.monotonic() - closesAt).toBeLessThan(61_000)
  await crashAndAudit(it)
})

/** The next life behind a crash, on a disk with so much room. */
async function startFull(
  { life, disk, oracle }: Scene,
  kind: 'power' | 'kill',
  free = 0,
): Promise<Scene> {
  const outside = life.outside.reboot()
  const { timers } = outside
  const after = disk.crash(kind === 'power' ? { kind, timers, choose: () => 0 } : { kind, timers })
  after.capacityBytes += free - after.space().free
  const said: string[] = []
  const next = await mustBoot(after, outside, { onEvent: ({ message }) => said.push(message) })
  return { life: next, disk: after, oracle, said }
}

/** A file that grows: what lies in the journal's files and checkpoints is written over. */
const isNewRoom = ({ kind, path, journal }: DiskCall): boolean =>
  !journal && (kind === 'create' || (kind === 'write' && path.endsWith('.log')))

const STARTS = ['kill', 'power', 'close'] as const

test.each(STARTS)(
  'a start without one free byte (%s): reads, deletions of records and topics, then everything by itself',
  async start => {
    const it = await scene()
    for (const step of [create('a'), create('b', 3), commit('a', 1)]) {
      expect(await act(it, step)).toBe(true)
    }
    for (let i = 0; i < 4; i += 1) {
      for (const step of [append('a', 0, 3000), append('b', i % 3, 3000)]) {
        expect(await act(it, step)).toBe(true)
      }
    }
    // The segments are durable: whatever the crash, there is something to delete.
    await act(it, rest(1100))
    // Acknowledged, and in no segment: it waits in memory, and for the next start in the journal.
    it.disk.faults = call => (FULL['segments, on write']?.(call) ? { error: 'ENOSPC' } : undefined)
    expect(await act(it, append('a', 0, 3000))).toBe(true)
    if (start === 'close') await it.life.outside.drive(it.life.engine.close())
    const crash = start === 'power' ? 'power' : 'kill'
    for (const then of ['goes on', 'power', 'kill'] as const) {
      const next = await startFull({ ...it, oracle: it.oracle.clone() }, crash)
      const { engine } = next.life
      expect(engine.health()).toMatchObject({ state: 'ready', partitions: [], diskFull: true })
      expect(next.said.join()).toContain('opened without room for a checkpoint')
      await audit(next.life, next.oracle, crash)
      expect(await act(next, append('a'))).toBe(false)
      expect(await act(next, deleteBelow('a', 2))).toBe(true)
      expect(await act(next, remove('b'))).toBe(true)
      if (then === 'goes on') {
        // What was deleted has made room.
        await act(next, rest(5000))
        expect(engine.health()).toMatchObject({ state: 'ready', partitions: [], diskFull: false })
        expect(await act(next, append('a'))).toBe(true)
        await audit(next.life, next.oracle, undefined)
        await crashAndAudit(next)
        continue
      }
      // Full again: what was deleted stays so.
      const later = await startFull(next, then)
      await audit(later.life, later.oracle, then)
      expect(later.life.engine.topic('b')).toBeUndefined()
      later.disk.capacityBytes = PLENTY
      await act(later, rest(5000))
      expect(await act(later, append('a'))).toBe(true)
      await crashAndAudit(later)
    }
  },
)

test('commits of offsets fill the journal of a full disk, are refused in time, and leave room for deletions', async () => {
  const it = await scene()
  for (const step of [create('a'), create('b'), append('a'), append('b', 0, 3000), rest(1100)]) {
    expect(await act(it, step)).toBe(true)
  }
  it.disk.faults = call => (isNewRoom(call) ? { error: 'ENOSPC' } : undefined)
  let refused = 0
  for (let i = 0; i < 2000 && refused < 20; i += 1) {
    if (!(await act(it, commit('a', i)))) refused += 1
  }
  expect(refused).toBe(20)
  expect(await act(it, deleteBelow('a', 1))).toBe(true)
  expect(await act(it, remove('b'))).toBe(true)
  it.disk.faults = undefined
  await act(it, rest(5000))
  expect(it.life.engine.health()).toMatchObject({ state: 'ready', diskFull: false })
  expect(await act(it, commit('a', 3000))).toBe(true)
  await crashAndAudit(it)
})

test('where the start behind a clean stop has no room, the journal it goes on with is not taken for an empty one', async () => {
  const it = await scene()
  for (const step of [create('a'), create('b'), append('a'), append('b')]) {
    expect(await act(it, step)).toBe(true)
  }
  await it.life.outside.drive(it.life.engine.close())
  const { outside } = it.life
  const { timers } = outside
  const disk = it.disk.crash({ kind: 'kill', timers })
  const { checkpoint } = readCheckpoint(disk)
  expect(checkpoint?.clean).toBe(true)
  const other = CHECKPOINT_FILES[((checkpoint?.number ?? 0) + 1) % 2]
  // The next checkpoint alone: what is repeated later goes over the same bytes.
  disk.faults = failNth(1, 'ENOSPC', {
    only: ({ kind, path }) => kind === 'write' && path === other,
  })
  const said: string[] = []
  const life = await mustBoot(disk, outside, { onEvent: ({ message }) => said.push(message) })
  const next: Scene = { ...it, life, disk, said }
  expect(said.join()).toContain('opened without room for a checkpoint')
  expect(await act(next, remove('b'))).toBe(true)
  expect(await act(next, commit('a', 1))).toBe(true)
  await crashAndAudit(next)
  // Its files count: a lost one is damage.
  const reboot = outside.reboot()
  const lost = disk.crash({ kind: 'kill', timers: reboot.timers })
  for (const name of lost.list('journal')) {
    if (name.endsWith('.journal')) lost.unlink(`journal/${name}`)
  }
  const later = await mustBoot(lost, reboot)
  expect(later.engine.health().state).toBe('fenced')
})

test('a start with any number of free bytes: nothing acknowledged is missing, and all is well with room', async () => {
  const it = await scene()
  for (const step of [create('a'), append('a', 0, 3000), rest(1100)]) await act(it, step)
  for (let i = 0; i < 8; i += 1) expect(await act(it, append('a', 0, 3000))).toBe(true)
  await act(it, commit('a', 1))
  for (let free = 0; free < 90_000; free += 997) {
    for (const kind of ['power', 'kill'] as const) {
      const next = await startFull({ ...it, oracle: it.oracle.clone() }, kind, free)
      await audit(next.life, next.oracle, kind)
      await act(next, append('a', 0, 2000))
      await act(next, commit('a', 2))
      if (free % 2 === 0) {
        next.disk.capacityBytes = PLENTY
        await act(next, rest(3000))
        expect(next.life.engine.health()).toMatchObject({ state: 'ready', diskFull: false })
        expect(await act(next, append('a'))).toBe(true)
      }
      await crashAndAudit(next)
    }
  }
})

test('full to the last byte at every size: refused or stored, never half, and it resumes', async () => {
  for (let free = 0; free < 140_000; free += 997) {
    const it = await scene()
    expect(await act(it, create('a'))).toBe(true)
    leave(it, free)
    for (let i = 0; i < 30; i += 1) await act(it, append('a', 0, 3000))
    it.disk.capacityBytes = PLENTY
    await act(it, rest(3000))
    const { state } = it.life.engine.health()
    // A late refusal of the journal's own sync fences; otherwise no restart is needed.
    if (state === 'ready') expect(await act(it, append('a'))).toBe(true)
    await audit(it.life, it.oracle, undefined)
    await crashAndAudit(it)
  }
})
