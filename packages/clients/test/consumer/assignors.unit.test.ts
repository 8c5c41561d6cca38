import type { TopicPartition } from '@millrace/log'
import { describe, expect, test } from 'vitest'
import type { GroupAssignment, GroupMember } from '../../src/consumer/assignment.ts'
import { assignRange, assignRoundRobin } from '../../src/consumer/assignors.ts'
import { assignCooperativeSticky } from '../../src/consumer/cooperative-sticky.ts'
import { seeded } from '../support/sim-outside.ts'

const member = (
  memberId: string,
  topics: readonly string[],
  ownedPartitions: readonly TopicPartition[] = [],
  generationId = 1,
): GroupMember => ({
  memberId,
  groupInstanceId: null,
  subscription: { topics, userData: null, ownedPartitions, generationId, rackId: null },
})

const shown = (assignment: GroupAssignment) =>
  Object.fromEntries(
    [...assignment].map(([id, partitions]) => [
      id,
      partitions.map(({ topic, partition }) => `${topic}${partition}`).join(' '),
    ]),
  )

const counts = (topics: Record<string, number>) => new Map(Object.entries(topics))

// The cases are those of the documentation of Kafka's RangeAssignor and RoundRobinAssignor.
describe('range', () => {
  test('gives each member a run of each topic', () => {
    const members = [member('C0', ['s', 't']), member('C1', ['s', 't'])]
    expect(shown(assignRange(members, counts({ s: 3, t: 3 })))).toEqual({
      C0: 's0 s1 t0 t1',
      C1: 's2 t2',
    })
  })

  test('gives nothing of a topic that does not exist', () => {
    expect(shown(assignRange([member('C0', ['no'])], counts({})))).toEqual({ C0: '' })
  })

  test('keeps static members in the order of their instance ids', () => {
    const members = [
      { ...member('z', ['t']), groupInstanceId: 'i1' },
      { ...member('a', ['t']), groupInstanceId: 'i2' },
    ]
    expect(shown(assignRange(members, counts({ t: 2 })))).toEqual({ z: 't0', a: 't1' })
  })
})

describe('roundrobin', () => {
  test('deals all partitions in turn', () => {
    const members = [member('C0', ['s', 't']), member('C1', ['s', 't'])]
    expect(shown(assignRoundRobin(members, counts({ s: 3, t: 3 })))).toEqual({
      C0: 's0 s2 t1',
      C1: 's1 t0 t2',
    })
  })

  test('passes over members that do not subscribe', () => {
    const members = [member('C0', ['a']), member('C1', ['a', 'b']), member('C2', ['a', 'b', 'c'])]
    expect(shown(assignRoundRobin(members, counts({ a: 1, b: 2, c: 3 })))).toEqual({
      C0: 'a0',
      C1: 'b0',
      C2: 'b1 c0 c1 c2',
    })
  })
})

const all = (topic: string, count: number): TopicPartition[] =>
  Array.from({ length: count }, (_, partition) => ({ topic, partition }))

describe('cooperative-sticky', () => {
  test('shares evenly from nothing', () => {
    const members = [member('a', ['t']), member('b', ['t']), member('c', ['t'])]
    const sizes = [...assignCooperativeSticky(members, counts({ t: 8 })).values()].map(
      p => p.length,
    )
    expect(sizes.toSorted()).toEqual([2, 3, 3])
  })

  test('gives a newcomer nothing that another must first give up', () => {
    const members = [member('a', ['t'], all('t', 4)), member('b', ['t'])]
    expect(shown(assignCooperativeSticky(members, counts({ t: 4 })))).toEqual({ a: 't0 t1', b: '' })
  })

  test('gives what became free to the newcomer in the next round', () => {
    const members = [member('a', ['t'], all('t', 2)), member('b', ['t'])]
    expect(shown(assignCooperativeSticky(members, counts({ t: 4 })))).toEqual({
      a: 't0 t1',
      b: 't2 t3',
    })
  })

  test('believes the later generation where two members claim a partition', () => {
    const members = [member('a', ['t'], all('t', 2), 4), member('b', ['t'], all('t', 1), 5)]
    expect(shown(assignCooperativeSticky(members, counts({ t: 2 })))).toEqual({ a: 't1', b: 't0' })
  })

  test('reads the generation of members of version 1 from their user data', () => {
    const old = member('b', ['t'], all('t', 1), -1)
    const userData = Buffer.from([0, 0, 0, 9])
    const members = [
      member('a', ['t'], all('t', 2), 4),
      { ...old, subscription: { ...old.subscription, userData } },
    ]
    expect(shown(assignCooperativeSticky(members, counts({ t: 2 })))['b']).toBe('t0')
  })

  test('balances over a chain of members with different topics', () => {
    const members = [
      member('a', ['x'], all('x', 3)),
      member('b', ['x', 'y'], all('y', 2)),
      member('c', ['y']),
    ]
    const after = rounds(members, counts({ x: 3, y: 2 }))
    expect([...after.values()].map(p => p.length).toSorted()).toEqual([1, 2, 2])
  })

  test('over random groups: all given once, balanced, never to two, nothing moved in vain', () => {
    for (let seed = 1; seed <= 300; seed += 1) {
      const next = seeded(seed)
      const topics = ['x', 'y', 'z'].slice(0, 1 + Math.floor(next() * 3))
      const sizes = counts(Object.fromEntries(topics.map(t => [t, 1 + Math.floor(next() * 9)])))
      let members = Array.from({ length: 1 + Math.floor(next() * 6) }, (_, i) =>
        member(`m${i}`, next() < 0.6 ? topics : topics.filter(() => next() < 0.7)),
      )
      const before = rounds(members, sizes)
      const again = rounds(withOwned(members, before), sizes)
      expect(shown(again), `seed ${seed}: a settled group stays as it is`).toEqual(shown(before))
      members = withOwned(members, before).slice(1)
      members.push(member('late', topics))
      check(rounds(members, sizes), members, sizes, seed)
    }
  })
})

const withOwned = (members: readonly GroupMember[], assignment: GroupAssignment) =>
  members.map(each =>
    member(each.memberId, each.subscription.topics, assignment.get(each.memberId) ?? []),
  )

/** Rebalances until nothing is given up any more, as the members do. */
function rounds(members: readonly GroupMember[], sizes: Map<string, number>): GroupAssignment {
  let current = [...members]
  for (let round = 0; round < 4; round += 1) {
    const assignment = assignCooperativeSticky(current, sizes)
    const held = new Map<string, string>()
    for (const { memberId, subscription } of current)
      for (const { topic, partition } of subscription.ownedPartitions)
        held.set(`${topic}${partition}`, memberId)
    for (const [id, partitions] of assignment)
      for (const { topic, partition } of partitions)
        expect(held.get(`${topic}${partition}`) ?? id, 'never taken from a holder').toBe(id)
    const gaveUp = current.some(({ memberId, subscription }) =>
      subscription.ownedPartitions.some(
        ({ topic, partition }) =>
          !assignment.get(memberId)?.some(p => p.topic === topic && p.partition === partition),
      ),
    )
    if (!gaveUp) return assignment
    current = withOwned(current, assignment)
  }
  throw new Error('the group does not come to rest')
}

function check(
  assignment: GroupAssignment,
  members: readonly GroupMember[],
  sizes: Map<string, number>,
  seed: number,
): void {
  const given = [...assignment.values()].flat().map(p => `${p.topic}${p.partition}`)
  expect(new Set(given).size, `seed ${seed}: nothing twice`).toBe(given.length)
  const readable = [...sizes].filter(([topic]) =>
    members.some(({ subscription }) => subscription.topics.includes(topic)),
  )
  expect(given.length, `seed ${seed}: all given`).toBe(readable.reduce((sum, [, n]) => sum + n, 0))
  for (const from of members)
    for (const to of members) {
      const held = assignment.get(from.memberId) ?? []
      const less = assignment.get(to.memberId) ?? []
      const movable = held.some(({ topic }) => to.subscription.topics.includes(topic))
      if (movable) expect(held.length - less.length, `seed ${seed}: balanced`).toBeLessThan(2)
    }
}
