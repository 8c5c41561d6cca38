// D4: a failed or hung sync. The journal's fences the engine: no later acknowledgement, health says
// why, reads go on, a restart heals and keeps the evidence. A segment's fences its partition alone;
// what it was acknowledged is in the rescue file.
import { encodeBatch } from '@millrace/log'
import { expect, test } from 'vitest'
import { type DiskCall, type SimDisk, VirtualOutside } from '../../src/simulation.ts'
import { audit } from './support/audit.ts'
import { freshDisk, mustBoot, perform, recoverAndAudit } from './support/boot.ts'
import { Oracle } from './support/oracle.ts'
import { append, commit, create, rest, type Step, together } from './support/script.ts'
import type { CrashKind, Life } from './support/world.ts'

type Scene = { readonly life: Life; readonly disk: SimDisk; readonly oracle: Oracle }

async function scene(steps: readonly Step[]): Promise<Scene> {
  const outside = new VirtualOutside(1)
  const disk = freshDisk(outside)
  const oracle = new Oracle()
  const life = await perform(disk, outside, oracle, steps)
  if (life === undefined) throw new Error('the disk has crashed')
  return { life, disk, oracle }
}

const act = ({ life, oracle }: Scene, step: Step): Promise<boolean | undefined> =>
  life.outside.drive(step({ life, oracle }))

async function restart(
  { life, disk, oracle }: Scene,
  kind: CrashKind | 'close',
): Promise<{ disk: SimDisk; outside: VirtualOutside }> {
  disk.faults = undefined
  if (kind === 'close') await life.outside.drive(life.engine.close())
  const outside = life.outside.reboot()
  const { timers } = outside
  const after = disk.crash(
    kind === 'power' ? { kind, timers, choose: () => 0 } : { kind: 'kill', timers },
  )
  await recoverAndAudit(after, outside, oracle.clone(), kind === 'power' ? 'power' : 'kill')
  return { disk: after, outside }
}

const segmentOf = (id: number) => (call: DiskCall) =>
  call.path.startsWith(`partitions/${id}/`) && call.path.endsWith('.log')

const journalSync = (call: DiskCall): boolean => call.journal && call.kind === 'sync'

test.each(['close', 'kill', 'power'] as const)(
  'a failed sync of the journal fences the engine until a restart (%s)',
  async kind => {
    const it = await scene([create('a', 2), append('a'), append('a', 1)])
    let failed = 0
    it.disk.faults = call => {
      if (!journalSync(call) || failed > 0) return undefined
      failed += 1
      return { error: 'EIO' }
    }
    expect(await act(it, append('a'))).toBe(false)
    // The next sync would succeed, without the data: nothing may be acknowledged any more.
    expect(failed).toBe(1)
    for (const step of [append('a'), append('a', 1), commit('a', 1), create('b')]) {
      expect(await act(it, step)).toBe(false)
    }
    const health = it.life.engine.health()
    expect(health.state).toBe('fenced')
    expect(health.reason).toContain('EIO')
    await audit(it.life, it.oracle, undefined)
    const { disk } = await restart(it, kind)
    const aside = disk.list('journal').filter(name => name.endsWith('.aside'))
    // The mark that keeps the evidence is best effort: a power cut may take it.
    if (kind !== 'power') expect(aside.length).toBeGreaterThan(0)
  },
)

test('a sync of the journal that hangs fences the engine after journal.stall.max.ms', async () => {
  const it = await scene([create('a'), append('a')])
  it.disk.faults = call => (journalSync(call) ? { hang: true } : undefined)
  const started = it.life.outside.clock.monotonic()
  expect(await act(it, append('a'))).toBe(false)
  const waited = it.life.outside.clock.monotonic() - started
  expect(waited).toBeGreaterThanOrEqual(30_000)
  expect(waited).toBeLessThan(31_000)
  expect(it.life.engine.health().state).toBe('fenced')
  await audit(it.life, it.oracle, undefined)
  await restart(it, 'power')
})

test.each([
  ['the journal', journalSync],

  ['any file', (call: DiskCall) => call.kind === 'sync'],
] as const)(
  'a process that stands still for minutes while a sync of %s runs fences nothing',
  async (_, slow) => {
    const it = await scene([create('a'), append('a')])
    it.disk.faults = call => (slow(call) ? { delayMs: 2_000 } : undefined)
    for (let pause = 0; pause < 5; pause += 1) {
      const answer = act(it, append('a', 0, 40_000))
      await it.life.outside.advance(500)
      it.life.outside.pause(300_000)
      expect(await answer).toBe(true)
      await act(it, rest(11_000))
      it.life.outside.pause(300_000)
      await act(it, rest(11_000))
    }
    expect(it.life.engine.health()).toMatchObject({ state: 'ready', partitions: [] })
    await restart(it, 'power')
  },
)

test('a sync that hangs is found also where the process stands still now and then', async () => {
  const it = await scene([create('a'), append('a')])
  it.disk.faults = call => (journalSync(call) ? { hang: true } : undefined)
  const answer = act(it, append('a'))
  for (let pause = 0; pause < 10; pause += 1) {
    it.life.outside.pause(60_000)
    await it.life.outside.advance(1_000)
    expect(it.life.engine.health().state).toBe('ready')
  }
  await it.life.outside.advance(30_000)
  expect(it.life.engine.health().state).toBe('fenced')
  expect(await answer).toBe(false)
  await restart(it, 'power')
})

test('members whose node stood still for minutes stay members', async () => {
  const it = await scene([create('a')])
  const { engine, outside } = it.life
  const joined = await outside.drive(
    engine.groups.join({
      groupId: 'g',
      memberId: '',
      groupInstanceId: null,
      clientId: 'c',
      clientHost: '/127.0.0.1',
      sessionTimeoutMs: 6_000,
      rebalanceTimeoutMs: 6_000,
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: Buffer.alloc(0) }],
      requireKnownMemberId: false,
      supportsSkippingAssignment: false,
    }),
  )
  const { memberId = '', generationId = 0 } = joined ?? {}
  const me = { groupId: 'g', generationId, memberId, groupInstanceId: null }
  await outside.drive(
    engine.groups.sync({
      ...me,
      protocolType: 'consumer',
      protocolName: 'range',
      assignments: [{ memberId, assignment: Buffer.alloc(0) }],
    }),
  )
  for (let pause = 0; pause < 5; pause += 1) {
    outside.pause(300_000)
    // Its heartbeat lies in the socket until timers have had their turn.
    await outside.advance(0)
    expect(await outside.drive(engine.groups.heartbeat(me))).toEqual({})
    await outside.advance(2_000)
  }
  // One that is silent while the node is awake goes as ever.
  await outside.advance(6_100)
  expect(await outside.drive(engine.groups.heartbeat(me))).toMatchObject({
    error: { code: 'UNKNOWN_MEMBER_ID' },
  })
})

test('a slow disk fences nothing: syncs of 1 ms to 20 s are waited for', async () => {
  const it = await scene([create('a'), append('a')])
  let delayMs = 1
  it.disk.faults = call => {
    if (call.kind !== 'sync') return undefined
    delayMs = Math.min(20_000, delayMs * 3)
    return { delayMs }
  }
  for (let i = 0; i < 12; i += 1) expect(await act(it, append('a'))).toBe(true)
  expect(it.life.engine.health()).toMatchObject({ state: 'ready', partitions: [] })
  await restart(it, 'power')
})

test.each(['EIO', 'hang'] as const)(
  'a segment whose sync fails (%s) fences its partition alone, and keeps what was acknowledged',
  async fault => {
    const it = await scene([create('a', 2), together(append('a', 0), append('a', 1)), append('a')])
    const first = segmentOf(16)
    it.disk.faults = call =>
      call.kind === 'sync' && first(call)
        ? fault === 'EIO'
          ? { error: 'EIO' }
          : { hang: true }
        : undefined
    await act(it, rest(40_000))
    const health = it.life.engine.health()
    expect(health.state).toBe('ready')
    expect(health.partitions).toMatchObject([{ topic: 'a', partition: 0, state: 'fenced' }])
    expect(await act(it, append('a', 0))).toBe(false)
    expect(await act(it, append('a', 1))).toBe(true)
    await audit(it.life, it.oracle, undefined)
    // Checkpoints go on without it, so it does not pin the journal.
    await act(it, rest(40_000))
    expect(it.disk.list('rescue')).toEqual(['16.rescue'])
    for (let i = 0; i < 8; i += 1) expect(await act(it, append('a', 1, 40_000))).toBe(true)
    await restart(it, 'power')
  },
)

test('a segment that cannot be written fences its partition alone, and keeps what was acknowledged', async () => {
  const it = await scene([create('a', 2), together(append('a', 0), append('a', 1)), rest(1100)])
  const first = segmentOf(16)
  it.disk.faults = call =>
    call.kind === 'write' && first(call) ? { error: 'EIO', taken: 'part' } : undefined
  // It is in the journal: acknowledged, though its segment has failed.
  expect(await act(it, append('a', 0))).toBe(true)
  expect(it.life.engine.health().partitions).toMatchObject([{ partition: 0, state: 'fenced' }])
  expect(await act(it, append('a', 0))).toBe(false)
  expect(await act(it, append('a', 1))).toBe(true)
  const after = it.life.outside.reboot()
  it.disk.faults = undefined
  const disk = it.disk.crash({ kind: 'power', timers: after.timers, choose: () => 0 })
  await recoverAndAudit(disk, after, it.oracle.clone(), 'power')
})

test('a journal that failed is set aside once; the restart after that writes its own again', async () => {
  const it = await scene([create('a'), append('a')])
  it.disk.faults = call => (journalSync(call) ? { error: 'EIO' } : undefined)
  await act(it, append('a'))
  const { disk, outside } = await restart(it, 'close')
  const evidence = disk.list('journal').filter(name => name.endsWith('.aside'))
  const life = await mustBoot(disk, outside)
  expect(life.engine.health().state).toBe('ready')
  expect(disk.list('journal').filter(name => name.endsWith('.aside'))).toEqual(evidence)
  expect(disk.exists('fenced')).toBe(false)
})

test('a refusal that rests on a deletion which is not durable in time is answered as late', async () => {
  const it = await scene([create('a'), append('a')])
  const { engine, outside } = it.life
  it.disk.faults = call => (journalSync(call) ? { delayMs: 10_000 } : undefined)
  const deleted = engine.deleteTopics(['a'])
  const batch = encodeBatch({ records: [{ value: 'x' }], timestamp: 0 })
  const produce = (timeoutMs: number) =>
    outside.drive(engine.append([{ topic: 'a', partition: 0, batch }], { timeoutMs }))
  const late = (await produce(1_000))?.[0]
  expect(late?.error?.code).toBe('REQUEST_TIMED_OUT')
  const inTime = (await produce(60_000))?.[0]
  expect(inTime?.error?.code).toBe('UNKNOWN_TOPIC_OR_PARTITION')
  it.disk.faults = undefined
  await outside.drive(deleted)
})
