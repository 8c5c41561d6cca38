// The wall clock jumps while the engine is open and while it is closed: records, committed offsets,
// and what is known of producers stay as long as they are fresh by the monotonic clock.
import { encodeBatch, NO_GENERATION } from '@millrace/log'
import { expect, test } from 'vitest'
import type { EngineEvent } from '../../src/open-engine.ts'
import { VirtualOutside } from '../../src/simulation.ts'
import { freshDisk, mustBoot } from './support/boot.ts'
import type { Life } from './support/world.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const PRODUCER = { producerId: 1000, producerEpoch: 0 }
const TARGET = { topic: 't', partition: 0 }

const drive = <T>({ outside }: Life, work: Promise<T>): Promise<T | undefined> =>
  outside.drive(work, { maxMs: DAY })

async function begin(life: Life): Promise<void> {
  const configs = { 'retention.ms': String(6 * HOUR), 'segment.bytes': '4096' }
  await drive(life, life.engine.createTopics([{ name: 't', partitions: 1, configs }]))
  for (let i = 0; i < 4; i += 1) await append(life, i)
  const request = { groupId: 'g', generationId: NO_GENERATION, memberId: '', groupInstanceId: null }
  const offsets = [{ ...TARGET, offset: 3, leaderEpoch: -1, metadata: null }]
  await drive(life, life.engine.groups.commit({ ...request, offsets }))
}

async function append(life: Life, baseSequence: number) {
  const timestamp = life.outside.clock.now()
  const records = [{ value: 'x'.repeat(3000) }]
  const batch = encodeBatch({ records, timestamp, producer: PRODUCER, baseSequence })
  return (await drive(life, life.engine.append([{ ...TARGET, batch }])))?.[0]
}

/** First offset, committed offset, and the answer to a repetition of the last batch. */
async function whatIsLeft(life: Life) {
  const earliest = await drive(life, life.engine.listOffsets([{ ...TARGET, place: 'earliest' }]))
  const committed = await drive(life, life.engine.groups.fetchOffsets('g', [TARGET]))
  const repeated = await append(life, 3)
  return [earliest?.[0]?.offset, committed?.[0]?.offset, repeated?.baseOffset]
}

const ALL = [0, 3, 3]

async function opened(events: EngineEvent[] = []): Promise<Life> {
  const outside = new VirtualOutside(1)
  const life = await mustBoot(freshDisk(outside), outside, { onEvent: e => void events.push(e) })
  await begin(life)
  return life
}

test.each([8, 400, 40_000])(
  '%i days ahead: nothing fresh goes, it is said, and it is held',
  async days => {
    const events: EngineEvent[] = []
    const life = await opened(events)
    await life.outside.advance(HOUR)
    life.outside.jumpWallClock(days * DAY)
    // Retention, the expiry of offsets and that of producers come by many times.
    await life.outside.advance(2 * HOUR)
    expect(await whatIsLeft(life)).toEqual(ALL)
    expect(events.filter(({ message }) => message.includes('wall clock'))).toHaveLength(1)
    expect(life.engine.health()).toMatchObject({ state: 'ready', clockHeldBackMs: days * DAY })
    expect(life.engine.metrics()).toMatchObject({ clock_jumps_total: 1 })
    // By the monotonic clock they grow old all the same.
    await life.outside.advance(6 * HOUR)
    const left = await drive(life, life.engine.listOffsets([{ ...TARGET, place: 'earliest' }]))
    expect(left?.[0]?.offset).toBeGreaterThan(0)
    await drive(life, life.engine.close())
  },
)

test.each(['kill', 'stop'] as const)(
  'a start behind a %s with a clock years ahead deletes nothing',
  async how => {
    const life = await opened()
    await life.outside.advance(HOUR)
    if (how === 'stop') await drive(life, life.engine.close())
    for (let boots = 0, before = life; boots < 3; boots += 1) {
      const outside = before.outside.reboot(1000)
      if (boots === 0) outside.jumpWallClock(3000 * DAY)
      const disk = before.disk.crash({ kind: 'kill', timers: outside.timers })
      before = await mustBoot(disk, outside)
      await outside.advance(HOUR)
      expect(await whatIsLeft(before)).toEqual(ALL)
      expect(before.engine.health().clockHeldBackMs).toBeGreaterThan(2999 * DAY)
      if (how === 'stop') await drive(before, before.engine.close())
    }
  },
)

test('ahead and back again: as if nothing had been, and appends go on', async () => {
  const life = await opened()
  for (const days of [8, -8, -2, 2]) {
    life.outside.jumpWallClock(days * DAY)
    await life.outside.advance(HOUR)
    expect(await whatIsLeft(life)).toEqual(ALL)
  }
  expect(life.engine.health().clockHeldBackMs).toBe(2 * DAY)
  expect((await append(life, 4))?.baseOffset).toBe(4)
  await drive(life, life.engine.close())
})
