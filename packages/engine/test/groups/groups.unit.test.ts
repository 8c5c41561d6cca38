import type { GroupState } from '@millrace/log'
import { describe, expect, it } from 'vitest'
import { ClassicGroup } from '../../src/coordinators/classic-groups/classic-group.ts'
import { type GroupEvent, TRANSITIONS } from '../../src/coordinators/classic-groups/transitions.ts'
import { codeOf, DELAY_MS, GroupsBench } from './bench.ts'
import { settle, subscription } from './virtual.ts'

/** Every way to each state. */
const PATHS: Record<GroupState, readonly GroupEvent[]> = {
  Empty: [],
  PreparingRebalance: ['prepare'],
  CompletingRebalance: ['prepare', 'complete'],
  Stable: ['prepare', 'complete', 'assign'],
  Dead: ['die'],
}

describe('the transition table', () => {
  for (const [state, path] of Object.entries(PATHS)) {
    for (const [event, next] of Object.entries(TRANSITIONS[state as GroupState])) {
      it(`${state} on ${event}: ${next ?? 'refused'}`, () => {
        const group = new ClassicGroup('g')
        for (const step of path) group.apply(step, 1)
        expect(group.state).toBe(state)
        if (next === null) {
          expect(() => group.apply(event as GroupEvent, 2)).toThrow('cannot happen')
          expect(group.state).toBe(state)
        } else {
          group.apply(event as GroupEvent, 2)
          expect([group.state, group.previousState]).toEqual([next, state])
        }
      })
    }
  }
})

describe('joining', () => {
  it('makes a generation of those that come within the delay; the first leads and sees all', async () => {
    const bench = new GroupsBench()
    const joins = [bench.join(), bench.join()]
    await bench.time.run(DELAY_MS - 1)
    expect(await bench.state()).toBe('PreparingRebalance')
    await bench.time.run(DELAY_MS + 2)
    const [leader, follower] = await Promise.all(joins)
    expect(leader?.generationId).toBe(1)
    expect(leader?.leader).toBe(leader?.memberId)
    expect(leader?.members).toHaveLength(2)
    expect(follower?.members).toHaveLength(0)
    expect(follower?.protocolName).toBe('range')
    expect(await bench.state()).toBe('CompletingRebalance')
  })

  it('forgets a member whose first join waits longer than its setting', async () => {
    const bench = new GroupsBench({ 'group.new.member.join.timeout.ms': 30_000 })
    const patient = { rebalanceTimeoutMs: 600_000 }
    const [first] = await bench.stable(1, [patient])
    if (first === undefined) throw new Error('nobody has joined')
    void bench.join(patient)
    const members = async () => (await bench.groups.describe(['g']))[0]?.members.length
    for (let step = 0; step < 5; step += 1) {
      await bench.time.run(5_800)
      await bench.heartbeat(first)
    }
    expect(await members()).toBe(2)
    await bench.time.run(2_000)
    expect(await members()).toBe(1)
  })

  it('asks for a second step with the id it hands out, and forgets ids that never come', async () => {
    const bench = new GroupsBench()
    const first = await bench.join({ requireKnownMemberId: true })
    expect(codeOf(first)).toBe('MEMBER_ID_REQUIRED')
    expect(first.memberId).toMatch(/^client-[0-9a-f-]{36}$/)
    const second = bench.join({ requireKnownMemberId: true, memberId: first.memberId })
    await bench.time.run(DELAY_MS + 2)
    expect((await second).memberId).toBe(first.memberId)
    const lost = await new GroupsBench().join({ requireKnownMemberId: true })
    const other = new GroupsBench()
    await other.join({ requireKnownMemberId: true })
    await other.time.run(10_001)
    expect(other.groups.size).toBe(0)
    expect(codeOf(await other.join({ memberId: lost.memberId }))).toBe('UNKNOWN_MEMBER_ID')
  })

  it('waits for a pending id before it completes a rebalance', async () => {
    const bench = new GroupsBench()
    const [member] = await bench.stable(1)
    const pending = await bench.join({ requireKnownMemberId: true })
    const rejoin = bench.join({ memberId: member?.memberId ?? '' })
    await bench.time.run(10)
    expect(await bench.state()).toBe('PreparingRebalance')
    void bench.join({ memberId: pending.memberId })
    await bench.time.run(10)
    expect((await rejoin).members).toHaveLength(2)
  })

  it('refuses with a stated error', async () => {
    const bench = new GroupsBench({ 'groups.max': 1, 'group.member.metadata.max.bytes': 1024 })
    expect(codeOf(await bench.join({ groupId: '' }))).toBe('INVALID_GROUP_ID')
    expect(codeOf(await bench.join({ sessionTimeoutMs: 5999 }))).toBe('INVALID_SESSION_TIMEOUT')
    expect(codeOf(await bench.join({ sessionTimeoutMs: 1_800_001 }))).toBe(
      'INVALID_SESSION_TIMEOUT',
    )
    const large = [{ name: 'range', metadata: Buffer.alloc(1025) }]
    expect(codeOf(await bench.join({ protocols: large }))).toBe('INVALID_REQUEST')
    expect(codeOf(await bench.join({ protocols: [] }))).toBe('INCONSISTENT_GROUP_PROTOCOL')
    expect(codeOf(await bench.join({ protocolType: '' }))).toBe('INCONSISTENT_GROUP_PROTOCOL')
    await bench.stable(1)
    const other = [{ name: 'sticky', metadata: Buffer.alloc(0) }]
    expect(codeOf(await bench.join({ protocols: other }))).toBe('INCONSISTENT_GROUP_PROTOCOL')
    expect(codeOf(await bench.join({ protocolType: 'connect' }))).toBe(
      'INCONSISTENT_GROUP_PROTOCOL',
    )
    expect(codeOf(await bench.join({ memberId: 'stranger' }))).toBe('UNKNOWN_MEMBER_ID')
    expect(codeOf(await bench.join({ groupId: 'h' }))).toBe('GROUP_MAX_SIZE_REACHED')
  })

  it('takes no more than group.max.size members', async () => {
    const bench = new GroupsBench({ 'group.max.size': 2 })
    const joins = [bench.join(), bench.join()]
    expect(codeOf(await bench.join())).toBe('GROUP_MAX_SIZE_REACHED')
    await bench.time.run(2 * DELAY_MS + 5)
    expect((await joins[0])?.members).toHaveLength(2)
    expect(codeOf(await bench.join())).toBe('GROUP_MAX_SIZE_REACHED')
  })

  it('votes for the protocol that all know and most prefer', async () => {
    const bench = new GroupsBench()
    const protocols = (...names: string[]) => ({
      protocols: names.map(name => ({ name, metadata: subscription(['t']) })),
    })
    const joined = await bench.stable(3, [
      protocols('a', 'b', 'c'),
      protocols('c', 'b'),
      protocols('b', 'c', 'a'),
    ])
    expect(joined[0]?.protocolName).toBe('b')
  })

  it('drops members that do not join again within the longest rebalance timeout', async () => {
    const bench = new GroupsBench()
    const long = { sessionTimeoutMs: 60_000 }
    const [one, two] = await bench.stable(2, [
      { ...long, rebalanceTimeoutMs: 5000 },
      { ...long, rebalanceTimeoutMs: 7000 },
    ])
    const rejoin = bench.join({ memberId: one?.memberId ?? '', ...long, rebalanceTimeoutMs: 5000 })
    await bench.time.run(6999)
    expect(await bench.state()).toBe('PreparingRebalance')
    await bench.time.run(3)
    expect((await rejoin).members).toHaveLength(1)
    expect(codeOf(await bench.join({ memberId: two?.memberId ?? '' }))).toBe('UNKNOWN_MEMBER_ID')
  })

  it('tells a follower without news the generation it may have missed; a leader rebalances', async () => {
    const bench = new GroupsBench()
    const [leader, follower] = await bench.stable(2)
    const again = await bench.join({ memberId: follower?.memberId ?? '' })
    expect([again.generationId, again.error]).toEqual([1, undefined])
    expect(await bench.state()).toBe('Stable')
    void bench.join({ memberId: leader?.memberId ?? '' })
    await settle()
    expect(await bench.state()).toBe('PreparingRebalance')
  })

  it('rebalances when a member brings news, also between join and sync', async () => {
    const bench = new GroupsBench()
    const news = { protocols: [{ name: 'range', metadata: subscription(['t', 'u']) }] }
    const joins = [bench.join(), bench.join()]
    await bench.time.run(2 * DELAY_MS + 5)
    const [, follower] = await Promise.all(joins)
    if (follower === undefined) throw new Error('no follower')
    const waiting = bench.sync(follower)
    void bench.join({ memberId: follower.memberId, ...news })
    expect(codeOf(await waiting)).toBe('REBALANCE_IN_PROGRESS')
    expect(await bench.state()).toBe('PreparingRebalance')
  })
})

describe('static members', () => {
  const fixed = { groupInstanceId: 'i' }

  it('come back under a new id without a rebalance, and the old id is fenced', async () => {
    const bench = new GroupsBench()
    const [old] = await bench.stable(2, [fixed])
    if (old === undefined) throw new Error('nobody')
    const back = await bench.join(fixed)
    expect(back.memberId).not.toBe(old.memberId)
    expect([back.generationId, back.skipAssignment, back.leader]).toEqual([1, true, back.memberId])
    expect(back.members).toHaveLength(2)
    expect(await bench.state()).toBe('Stable')
    expect(codeOf(await bench.heartbeat(old, fixed))).toBe('FENCED_INSTANCE_ID')
    expect(codeOf(await bench.sync(old, fixed))).toBe('FENCED_INSTANCE_ID')
    expect(codeOf((await bench.commit({ ...old, ...fixed }))[0])).toBe('FENCED_INSTANCE_ID')
    const part = await bench.sync({ ...back, members: [] }, fixed)
    expect(part.assignment.toString()).toBe(`for ${old.memberId}`)
    bench.restart()
    expect(codeOf(await bench.heartbeat(back, fixed))).toBeUndefined()
  })

  it('are led by their former id if they cannot skip the assignment', async () => {
    const bench = new GroupsBench()
    const [old] = await bench.stable(1, [fixed])
    const back = await bench.join({ ...fixed, supportsSkippingAssignment: false })
    expect([back.leader, back.skipAssignment]).toEqual([old?.memberId, false])
    expect(back.members).toEqual([])
  })

  it('rebalance when they come back with another subscription, or between join and sync', async () => {
    const bench = new GroupsBench()
    await bench.stable(2, [fixed])
    const protocols = [{ name: 'range', metadata: subscription(['u']) }]
    void bench.join({ ...fixed, protocols })
    expect(await bench.state()).toBe('PreparingRebalance')
    const second = new GroupsBench()
    const joins = [second.join(), second.join(fixed)]
    await second.time.run(2 * DELAY_MS + 5)
    await Promise.all(joins)
    void second.join(fixed)
    expect(await second.state()).toBe('PreparingRebalance')
  })

  it('fence the join of the one that they replace', async () => {
    const bench = new GroupsBench()
    const waiting = bench.join(fixed)
    void bench.join(fixed)
    expect(codeOf(await waiting)).toBe('FENCED_INSTANCE_ID')
  })

  it('stay through a rebalance they miss, until their session ends', async () => {
    const bench = new GroupsBench()
    await bench.stable(2, [{}, { ...fixed, sessionTimeoutMs: 60_000 }])
    const joined = bench.join({ sessionTimeoutMs: 60_000 })
    await bench.time.run(20_100)
    expect((await joined).members.map(member => member.groupInstanceId)).toContain('i')
  })

  it('are refused, unchanged, when the disk takes nothing', async () => {
    const bench = new GroupsBench()
    const [old] = await bench.stable(1, [fixed])
    if (old === undefined) throw new Error('nobody')
    bench.sink.refuse = true
    expect(codeOf(await bench.join(fixed))).toBe('COORDINATOR_NOT_AVAILABLE')
    expect(codeOf(await bench.heartbeat(old, fixed))).toBeUndefined()
  })
})

describe('sync', () => {
  it('gives followers their part when the leader has brought it and it is durable', async () => {
    const bench = new GroupsBench()
    bench.sink.latency = 5
    const joins = [bench.join(), bench.join()]
    await bench.time.run(2 * DELAY_MS + 5)
    const [leader, follower] = await Promise.all(joins)
    if (leader === undefined || follower === undefined) throw new Error('nobody')
    let answered = 0
    const syncs = [bench.sync(follower), bench.sync(leader)]
    for (const sync of syncs) void sync.then(() => answered++)
    await bench.time.run(4)
    expect(answered).toBe(0)
    await bench.time.run(3)
    const [part] = await Promise.all(syncs)
    expect(part?.assignment.toString()).toBe(`for ${follower.memberId}`)
    expect([part?.protocolType, part?.protocolName]).toEqual(['consumer', 'range'])
  })

  it('refuses by state, generation, member and protocol', async () => {
    const bench = new GroupsBench()
    const joins = [bench.join(), bench.join()]
    await bench.time.run(2 * DELAY_MS + 5)
    const [leader, follower] = await Promise.all(joins)
    if (leader === undefined || follower === undefined) throw new Error('nobody')
    expect(codeOf(await bench.sync(leader, { groupId: 'none' }))).toBe('UNKNOWN_MEMBER_ID')
    expect(codeOf(await bench.sync(leader, { groupId: '' }))).toBe('INVALID_GROUP_ID')
    expect(codeOf(await bench.sync(leader, { memberId: 'x' }))).toBe('UNKNOWN_MEMBER_ID')
    expect(codeOf(await bench.sync(leader, { generationId: 9 }))).toBe('ILLEGAL_GENERATION')
    expect(codeOf(await bench.sync(leader, { protocolName: 'x' }))).toBe(
      'INCONSISTENT_GROUP_PROTOCOL',
    )
    expect(codeOf(await bench.sync(leader, { protocolType: 'x' }))).toBe(
      'INCONSISTENT_GROUP_PROTOCOL',
    )
    void bench.join()
    expect(codeOf(await bench.sync(leader))).toBe('REBALANCE_IN_PROGRESS')
  })

  it('sends all back to join when the disk takes nothing or the group is too large', async () => {
    const bench = new GroupsBench()
    const [leader] = await bench.joinedOnly(1)
    bench.sink.refuse = true
    expect(codeOf(await bench.sync(leader))).toBe('COORDINATOR_NOT_AVAILABLE')
    expect(await bench.state()).toBe('PreparingRebalance')
    const small = new GroupsBench({ 'group.metadata.max.bytes': 4096 })
    const [other] = await small.joinedOnly(1)
    const assignments = [{ memberId: other.memberId, assignment: Buffer.alloc(4096) }]
    expect(codeOf(await small.sync(other, { assignments }))).toBe('UNKNOWN_SERVER_ERROR')
  })

  it('drops members that join but never sync', async () => {
    const bench = new GroupsBench()
    const long = { sessionTimeoutMs: 60_000, rebalanceTimeoutMs: 5000 }
    const [leader, lost] = await bench.joinedOnly(2, [long, long])
    await bench.sync(leader)
    await bench.time.run(5100)
    expect(await bench.state()).toBe('PreparingRebalance')
    expect(codeOf(await bench.heartbeat(lost))).toBe('UNKNOWN_MEMBER_ID')
  })
})

describe('heartbeat and sessions', () => {
  it('keep a member; without them it is taken out and the others rebalance', async () => {
    const bench = new GroupsBench()
    const [one, two] = await bench.stable(2)
    if (one === undefined || two === undefined) throw new Error('nobody')
    await bench.time.run(9000)
    expect(codeOf(await bench.heartbeat(one))).toBeUndefined()
    await bench.time.run(1500)
    expect(codeOf(await bench.heartbeat(one))).toBe('REBALANCE_IN_PROGRESS')
    expect(codeOf(await bench.heartbeat(two))).toBe('UNKNOWN_MEMBER_ID')
  })

  it('tell unknown members, old generations and unknown groups', async () => {
    const bench = new GroupsBench()
    const [one] = await bench.joinedOnly(1)
    expect(codeOf(await bench.heartbeat(one))).toBeUndefined()
    expect(codeOf(await bench.heartbeat(one, { generationId: 0 }))).toBe('ILLEGAL_GENERATION')
    expect(codeOf(await bench.heartbeat({ ...one, memberId: 'x' }))).toBe('UNKNOWN_MEMBER_ID')
    expect(codeOf(await new GroupsBench().heartbeat(one))).toBe('UNKNOWN_MEMBER_ID')
  })

  it('are kept by commits too', async () => {
    const bench = new GroupsBench()
    const [one] = await bench.stable(1)
    for (let i = 0; i < 3; i++) {
      await bench.time.run(9000)
      expect(codeOf((await bench.commit(one))[0])).toBeUndefined()
    }
  })
})

describe('leaving', () => {
  it('takes out several members, by id or instance id, and says who was not there', async () => {
    const bench = new GroupsBench()
    const [one, two] = await bench.stable(3, [{}, { groupInstanceId: 'i' }])
    const left = await bench.groups.leave({
      groupId: 'g',
      members: [
        { memberId: one?.memberId ?? '', groupInstanceId: null },
        { memberId: '', groupInstanceId: 'i' },
        { memberId: '', groupInstanceId: 'j' },
        { memberId: 'x', groupInstanceId: null },
      ],
    })
    expect(left.members.map(codeOf)).toEqual([
      undefined,
      undefined,
      'UNKNOWN_MEMBER_ID',
      'UNKNOWN_MEMBER_ID',
    ])
    expect(codeOf(await bench.heartbeat(two ?? one ?? raise()))).toBe('UNKNOWN_MEMBER_ID')
    expect(await bench.state()).toBe('PreparingRebalance')
  })

  it('leaves an empty group with a new generation, whose offsets stay', async () => {
    const bench = new GroupsBench()
    const [one] = await bench.stable(1)
    await bench.commit(one)
    const members = [{ memberId: one?.memberId ?? '', groupInstanceId: null }]
    await bench.groups.leave({ groupId: 'g', members })
    expect(await bench.state()).toBe('Empty')
    bench.restart()
    expect(await bench.state()).toBe('Empty')
    expect((await bench.groups.fetchOffsets('g'))[0]?.offset).toBe(5)
    const gone = await bench.groups.leave({ groupId: 'none', members })
    expect(gone.members.map(codeOf)).toEqual(['UNKNOWN_MEMBER_ID'])
  })
})

function raise(): never {
  throw new Error('nobody')
}
