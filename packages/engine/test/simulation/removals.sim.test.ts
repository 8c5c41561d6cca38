// Removals that take several commit groups, cut off by a crash at any moment: a group is there, perhaps
// with fewer offsets, or gone with all of them; and no topic ever meets offsets of an earlier one.
import { expect, test } from 'vitest'
import { SimDisk, seededChoose, VirtualOutside } from '../../src/simulation.ts'
import { mustBoot } from './support/boot.ts'
import type { Life } from './support/world.ts'

const LATENCY_MS = 1
const PARTITIONS = 60
/** So long that the offsets take many slices of the smallest journal. */
const LARGE = `large-${'x'.repeat(1000)}`
const GROUPS = [LARGE, 'small']

async function scene(seed: number): Promise<Life> {
  const outside = new VirtualOutside(seed)
  const disk = new SimDisk({ timers: outside.timers, latencyMs: () => LATENCY_MS })
  const life = await mustBoot(disk, outside)
  await outside.drive(life.engine.createTopics([{ name: 't', partitions: PARTITIONS }]))
  for (const groupId of GROUPS) {
    for (let from = 0; from < PARTITIONS; from += 10)
      await outside.drive(commit(life, groupId, from))
  }
  return life
}

const commit = ({ engine }: Life, groupId: string, from: number) =>
  engine.groups.commit({
    groupId,
    generationId: -1,
    memberId: '',
    groupInstanceId: null,
    offsets: Array.from({ length: 10 }, (_, i) => ({
      topic: 't',
      partition: from + i,
      offset: 7,
      leaderEpoch: -1,
      metadata: null,
    })),
  })

async function crashed(life: Life, seed: number): Promise<Life> {
  const outside = life.outside.reboot()
  const choose = seededChoose(seed)
  const kind = seed % 2 === 0 ? ({ kind: 'kill' } as const) : ({ kind: 'power', choose } as const)
  return mustBoot(life.disk.crash({ ...kind, timers: outside.timers }), outside)
}

async function offsetsOf({ engine, outside }: Life, groupId: string): Promise<number> {
  return (await outside.drive(engine.groups.fetchOffsets(groupId)))?.length ?? 0
}

async function stateOf({ engine, outside }: Life, groupId: string): Promise<string | undefined> {
  return (await outside.drive(engine.groups.describe([groupId])))?.[0]?.state
}

test('a group whose deletion is cut off is there or gone, never its offsets alone', async () => {
  const seen = new Set<string>()
  for (let seed = 0; seed < 60; seed += 1) {
    const life = await scene(seed)
    let deleted = false
    void life.engine.groups.delete([LARGE]).then(([outcome]) => {
      deleted = outcome?.error === undefined
    })
    await life.outside.advance(seed / 2)
    const after = await crashed(life, seed)
    const [state, offsets] = [await stateOf(after, LARGE), await offsetsOf(after, LARGE)]
    expect([state === 'Dead', offsets > 0]).not.toEqual([true, true])
    if (deleted) expect([state, offsets]).toEqual(['Dead', 0])
    expect(await offsetsOf(after, 'small')).toBe(PARTITIONS)
    seen.add(offsets === PARTITIONS ? 'whole' : offsets === 0 ? 'gone' : 'in part')
    // What is left of it can be deleted.
    if (state === 'Empty') {
      const [again] = (await after.outside.drive(after.engine.groups.delete([LARGE]))) ?? []
      expect(again?.error).toBeUndefined()
    }
  }
  // The crashes came before, in the middle and behind.
  expect([...seen].sort()).toEqual(['gone', 'in part', 'whole'])
})

test('a topic that is made again has no offsets of the one before it', async () => {
  for (let seed = 0; seed < 60; seed += 1) {
    const life = await scene(seed)
    void life.engine.deleteTopics(['t']).catch(() => undefined)
    void life.engine.createTopics([{ name: 't', partitions: PARTITIONS }]).catch(() => undefined)
    const before = life.engine.topic('t')?.topicId
    await life.outside.advance(seed / 2)
    const after = await crashed(life, seed)
    // A creation waits for what is left of the topic before it.
    await after.outside.drive(after.engine.createTopics([{ name: 't', partitions: PARTITIONS }]))
    if (after.engine.topic('t')?.topicId === before) continue // it was never deleted
    for (const groupId of GROUPS) expect(await offsetsOf(after, groupId)).toBe(0)
  }
})
