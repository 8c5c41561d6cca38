// What clients make a node remember has a bound in bytes: refused at the door, with a code that their
// libraries know, and counted rightly through all that members do.
import { describe, expect, it } from 'vitest'
import { codeOf, DELAY_MS, GroupsBench } from './bench.ts'
import { rng, subscription } from './virtual.ts'

const MIB = 1 << 20

describe('the members of all groups', () => {
  const metadata = Buffer.alloc(200_000)
  const protocols = [{ name: 'range', metadata }]

  it('have a total, and a join beyond it is refused until somebody leaves', async () => {
    const bench = new GroupsBench({ 'groups.total.max.bytes': MIB })
    expect(codeOf(await answered(bench, 'a', protocols))).toBeUndefined()
    const second = await answered(bench, 'b', protocols)
    expect(codeOf(second)).toBeUndefined()
    expect(codeOf(await bench.join({ groupId: 'c', protocols }))).toBe('GROUP_MAX_SIZE_REACHED')
    expect(bench.groups.bytes.groups).toBeLessThanOrEqual(MIB)
    // What brings little is still let in.
    expect(codeOf(await answered(bench, 'small'))).toBeUndefined()
    const members = [{ memberId: second.memberId, groupInstanceId: null }]
    await bench.groups.leave({ groupId: 'b', members })
    expect(codeOf(await answered(bench, 'c', protocols))).toBeUndefined()
  })

  it('let nobody grow beyond it, by metadata or by assignment', async () => {
    const bench = new GroupsBench({ 'groups.total.max.bytes': MIB })
    const one = await answered(bench, 'g')
    const large = [{ name: 'range', metadata: Buffer.alloc(600_000) }]
    const assignments = [{ memberId: one.memberId, assignment: Buffer.alloc(600_000) }]
    expect(codeOf(await bench.sync(one, { assignments }))).toBe('UNKNOWN_SERVER_ERROR')
    const grown = await bench.join({ memberId: one.memberId, protocols: large })
    expect(codeOf(grown)).toBe('GROUP_MAX_SIZE_REACHED')
    expect(bench.groups.bytes.groups).toBeLessThan(MIB)
  })

  it('fit into the record that is stored of their group', async () => {
    const bench = new GroupsBench({ 'group.metadata.max.bytes': 4096 })
    const half = [{ name: 'range', metadata: Buffer.alloc(1900) }]
    const first = bench.join({ protocols: half })
    const second = bench.join({ protocols: half })
    expect(codeOf(await bench.join({ protocols: half }))).toBe('GROUP_MAX_SIZE_REACHED')
    await bench.time.run(2 * DELAY_MS)
    expect((await Promise.all([first, second])).map(codeOf)).toEqual([undefined, undefined])
  })

  it('count for nothing when they are gone, whatever they did before', async () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const bench = new GroupsBench({
        'offsets.retention.check.interval.ms': 60_000,
        'offsets.retention.minutes': 5,
      })
      const random = rng(seed)
      for (let step = 0; step < 40; step += 1) void act(bench, random)
      await bench.time.run(30 * 60_000)
      expect(bench.groups.size).toBe(0)
      expect(bench.groups.bytes).toEqual({ groups: 0, offsets: 0 })
    }
  })

  it('are counted the same after a restart', async () => {
    const bench = new GroupsBench()
    const joined = await bench.stable(2)
    await bench.commit({ ...joined[0], groupId: 'g' })
    const before = bench.groups.bytes
    bench.restart()
    expect(bench.groups.bytes.offsets).toBe(before.offsets)
    expect(Math.abs(bench.groups.bytes.groups - before.groups)).toBeLessThan(100)
  })
})

describe('committed offsets', () => {
  it('have a total in bytes, metadata included; what replaces others fits', async () => {
    const bench = new GroupsBench({ 'offsets.total.max.bytes': 65_536 })
    const commit = (groupId: string, length: number) =>
      bench.commit({
        groupId,
        offsets: [
          { topic: 't', partition: 0, offset: 1, leaderEpoch: -1, metadata: 'x'.repeat(length) },
        ],
      })
    let taken = 0
    let code: string | undefined
    for (; code === undefined && taken < 100; taken += 1) {
      code = codeOf((await commit(`g${taken}`, 4000))[0])
    }
    expect(code).toBe('INVALID_COMMIT_OFFSET_SIZE')
    expect(bench.groups.bytes.offsets).toBeLessThanOrEqual(65_536)
    expect(taken).toBeGreaterThan(10)
    expect(codeOf((await commit('g0', 4000))[0])).toBeUndefined()
    await bench.groups.delete(['g1'])
    expect(codeOf((await commit('again', 4000))[0])).toBeUndefined()
  })

  it('are counted within one request too', async () => {
    const bench = new GroupsBench({
      'offsets.total.max.bytes': 65_536,
      'offset.metadata.max.bytes': 32_767,
    })
    const offsets = [0, 1, 2, 3].map(partition => ({
      topic: 't',
      partition,
      offset: 1,
      leaderEpoch: -1,
      metadata: 'x'.repeat(30_000),
    }))
    expect((await bench.commit({ offsets })).map(codeOf)).toEqual([
      undefined,
      undefined,
      'INVALID_COMMIT_OFFSET_SIZE',
      'INVALID_COMMIT_OFFSET_SIZE',
    ])
  })
})

async function answered(bench: GroupsBench, groupId: string, protocols = PLAIN) {
  const joining = bench.join({ groupId, protocols })
  await bench.time.run(2 * DELAY_MS + 10)
  return joining
}

const PLAIN = [{ name: 'range', metadata: subscription(['t']) }]

/** Something that a client may do, perhaps in the middle of something else. */
async function act(bench: GroupsBench, random: ReturnType<typeof rng>): Promise<void> {
  const groupId = `g${random.below(3)}`
  await bench.time.sleep(random.below(20_000))
  const metadata = Buffer.alloc(random.below(2000))
  const groupInstanceId = random.chance(0.3) ? `i${random.below(2)}` : null
  const protocols = [{ name: 'range', metadata }]
  const requireKnownMemberId = random.chance(0.5)
  const joined = await bench.join({ groupId, groupInstanceId, protocols, requireKnownMemberId })
  const identity = { groupId, groupInstanceId, ...joined }
  if (random.chance(0.5)) {
    await bench.join({ groupId, groupInstanceId, memberId: joined.memberId, protocols })
  }
  if (joined.generationId >= 0) {
    const assignments = joined.members.map(({ memberId }) => ({ memberId, assignment: metadata }))
    await bench.sync(joined, { ...identity, assignments })
  }
  if (random.chance(0.5)) await bench.commit({ groupId })
  if (random.chance(0.5)) {
    await bench.groups.leave({ groupId, members: [{ memberId: joined.memberId, groupInstanceId }] })
  }
  if (random.chance(0.3)) {
    await bench.groups.deleteOffsets(groupId, [{ topic: 't', partition: 0 }]).catch(() => undefined)
  }
  if (random.chance(0.3)) await bench.groups.delete([groupId])
}
