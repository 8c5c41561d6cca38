/**
 * Groups that change: members come and go, the group agrees on a protocol, late ones are left out.
 */
import assert from 'node:assert/strict'
import type { CaseSpec } from './case-spec.ts'
import {
  identity,
  join,
  joinRequest,
  leave,
  pair,
  part,
  rebalancing,
  second,
  single,
  stateOf,
  subscription,
  sync,
} from './group-scene.ts'
import { failed, noError, only } from './scene.ts'

const protocols = (...names: readonly string[]) =>
  names.map(name => ({ name, metadata: subscription(name) }))

export const rebalanceCases: readonly CaseSpec[] = [
  {
    name: 'a second member makes a new generation that both are in, and only the leader sees all',
    run: async scene => {
      const first = await single(scene, scene.groupId())
      const [a, b] = await second(scene, first)
      assert.deepEqual([a.generationId, b.generationId], [2, 2])
      assert.equal(a.memberId, first.memberId)
      assert.equal(a.join.leader, first.memberId)
      assert.equal(b.join.leader, first.memberId)
      assert.deepEqual(
        a.join.members.map(member => member.memberId).sort(),
        [a.memberId, b.memberId].sort(),
      )
      assert.deepEqual(b.join.members, [])
    },
  },
  {
    name: 'a follower’s sync waits for the leader and brings its own part',
    run: async scene => {
      const [leader, follower] = await second(scene, await single(scene, scene.groupId()))
      let answered = false
      const waiting = sync(scene, follower).finally(() => {
        answered = true
      })
      await scene.sleep(100)
      assert.equal(answered, false)
      const led = await sync(scene, leader)
      const followed = await waiting
      noError(led.error)
      noError(followed.error)
      assert.ok(led.assignment.equals(part(leader.memberId)))
      assert.ok(followed.assignment.equals(part(follower.memberId)))
      assert.equal(await stateOf(scene, leader.groupId), 'Stable')
    },
  },
  {
    name: 'while the group rebalances, a heartbeat says so',
    run: async scene => {
      const first = await single(scene, scene.groupId())
      const coming = join(scene, first.groupId)
      await rebalancing(scene, first)
      assert.equal(await stateOf(scene, first.groupId), 'PreparingRebalance')
      await join(scene, first.groupId, { memberId: first.memberId })
      await coming
    },
  },
  {
    name: 'the old generation is refused after a rebalance',
    run: async scene => {
      const first = await single(scene, scene.groupId())
      const [a, b] = await second(scene, first)
      failed(await scene.log.groups.heartbeat(identity(first)), 'ILLEGAL_GENERATION')
      failed(
        await scene.log.groups.sync({ ...identity(first), assignments: [] }),
        'ILLEGAL_GENERATION',
      )
      await Promise.all([sync(scene, a), sync(scene, b)])
      failed(await scene.log.groups.heartbeat(identity(first)), 'ILLEGAL_GENERATION')
    },
  },
  {
    name: 'a member that leaves makes the others join again',
    run: async scene => {
      const [a, b] = await pair(scene, scene.groupId())
      await leave(scene, b)
      await rebalancing(scene, a)
      const alone = await join(scene, a.groupId, { memberId: a.memberId })
      assert.equal(alone.generationId, a.generationId + 1)
      assert.equal(only(alone.join.members).memberId, a.memberId)
    },
  },
  {
    name: 'when the leader leaves another member leads',
    run: async scene => {
      const [leader, follower] = await pair(scene, scene.groupId())
      await leave(scene, leader)
      await rebalancing(scene, follower)
      const next = await join(scene, follower.groupId, { memberId: follower.memberId })
      assert.equal(next.join.leader, follower.memberId)
    },
  },
  {
    name: 'a member that does not join again in time is left out of the next generation',
    run: async scene => {
      const groupId = scene.groupId()
      const late = await single(scene, groupId, { rebalanceTimeoutMs: 1_000 })
      const next = await join(scene, groupId, { rebalanceTimeoutMs: 1_000 })
      assert.equal(next.join.leader, next.memberId)
      assert.equal(only(next.join.members).memberId, next.memberId)
      failed(await scene.log.groups.heartbeat(identity(late)), 'UNKNOWN_MEMBER_ID')
    },
  },
  {
    name: 'the group uses a protocol that all members know',
    run: async scene => {
      const first = await single(scene, scene.groupId(), {
        protocols: protocols('cooperative', 'range'),
      })
      assert.equal(first.join.protocolName, 'cooperative')
      const [a, b] = await second(scene, first, {
        first: { protocols: protocols('cooperative', 'range') },
        second: { protocols: protocols('range', 'roundrobin') },
      })
      assert.deepEqual([a.join.protocolName, b.join.protocolName], ['range', 'range'])
      const seen = a.join.members.find(member => member.memberId === b.memberId)
      assert.ok(seen?.metadata.equals(subscription('range')))
    },
  },
  {
    name: 'a member without a protocol in common is refused',
    run: async scene => {
      const { groupId } = await single(scene, scene.groupId(), { protocols: protocols('range') })
      for (const changes of [
        { protocols: protocols('other') },
        { protocolType: 'connect', protocols: protocols('range') },
      ]) {
        const request = joinRequest(scene, groupId, changes)
        failed(await scene.log.groups.join(request), 'INCONSISTENT_GROUP_PROTOCOL')
      }
      assert.equal(await stateOf(scene, groupId), 'Stable')
    },
  },
  {
    name: 'a follower that repeats its join in a stable group changes nothing',
    run: async scene => {
      const [leader, follower] = await pair(scene, scene.groupId())
      const again = await join(scene, follower.groupId, { memberId: follower.memberId })
      assert.equal(again.generationId, follower.generationId)
      noError((await scene.log.groups.heartbeat(identity(leader))).error)
    },
  },
  {
    name: 'a leader that joins again starts a rebalance',
    run: async scene => {
      const [leader, follower] = await pair(scene, scene.groupId())
      const again = join(scene, leader.groupId, { memberId: leader.memberId })
      await rebalancing(scene, follower)
      const next = await join(scene, follower.groupId, { memberId: follower.memberId })
      assert.equal(next.generationId, leader.generationId + 1)
      assert.equal((await again).generationId, leader.generationId + 1)
    },
  },
  {
    name: 'a member with a changed subscription starts a rebalance',
    run: async scene => {
      const [leader, follower] = await pair(scene, scene.groupId())
      const changed = [{ name: 'range', metadata: subscription('topic', 'and another') }]
      const again = join(scene, follower.groupId, {
        memberId: follower.memberId,
        protocols: changed,
      })
      await rebalancing(scene, leader)
      const led = await join(scene, leader.groupId, { memberId: leader.memberId })
      const seen = led.join.members.find(member => member.memberId === follower.memberId)
      assert.ok(seen?.metadata.equals(subscription('topic', 'and another')))
      await again
    },
  },
  {
    name: 'a member joining during the sync of others starts the next generation',
    run: async scene => {
      const [leader, follower] = await second(scene, await single(scene, scene.groupId()))
      const waiting = sync(scene, follower)
      const third = join(scene, leader.groupId)
      failed(await waiting, 'REBALANCE_IN_PROGRESS')
      const [a, b, c] = await Promise.all([
        join(scene, leader.groupId, { memberId: leader.memberId }),
        join(scene, leader.groupId, { memberId: follower.memberId }),
        third,
      ])
      assert.equal(new Set([a.generationId, b.generationId, c.generationId]).size, 1)
      assert.ok(a.generationId > leader.generationId)
      assert.equal(a.join.members.length, 3)
    },
  },
  {
    name: 'five members that come at once end in one generation with one leader',
    run: async scene => {
      const groupId = scene.groupId()
      // A log may complete a generation before all have come: those join again until all are in.
      const members = await Promise.all(
        Array.from({ length: 5 }, async () => {
          let member = await join(scene, groupId)
          await scene.eventually(async () => {
            const { memberId } = member
            const { error } = await sync(scene, member)
            const beat = error ?? (await scene.log.groups.heartbeat(identity(member))).error
            if (beat !== undefined) member = await join(scene, groupId, { memberId })
            noError(beat)
            assert.equal(only(await scene.log.groups.describe([groupId])).members.length, 5)
          })
          return member
        }),
      )
      await scene.eventually(async () => {
        const group = only(await scene.log.groups.describe([groupId]))
        assert.deepEqual(
          group.members.map(member => member.memberId).sort(),
          members.map(member => member.memberId).sort(),
        )
      })
    },
  },
]
