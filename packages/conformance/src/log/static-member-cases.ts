/**
 * Static members (KIP-345): a member with an instance id that comes back takes its place again
 * without a rebalance, and whoever held the id before is fenced.
 */
import assert from 'node:assert/strict'
import type { CaseSpec } from './case-spec.ts'
import {
  identity,
  join,
  leave,
  type Member,
  part,
  rebalancing,
  single,
  stateOf,
  sync,
} from './group-scene.ts'
import { failed, type LogScene, noError, only } from './scene.ts'

/** A follower with an instance id beside a dynamic leader, both stable. */
async function withStaticFollower(scene: LogScene, groupInstanceId: string): Promise<Member[]> {
  const first = await single(scene, scene.groupId())
  const coming = join(scene, first.groupId, { groupInstanceId })
  await rebalancing(scene, first)
  const members = await Promise.all([
    join(scene, first.groupId, { memberId: first.memberId }),
    coming,
  ])
  for (const { error } of await Promise.all(members.map(member => sync(scene, member)))) {
    noError(error)
  }
  return members
}

export const staticMemberCases: readonly CaseSpec[] = [
  {
    name: 'a static member is known by its instance id',
    run: async scene => {
      const member = await single(scene, scene.groupId(), { groupInstanceId: 'one' })
      assert.equal(only(member.join.members).groupInstanceId, 'one')
      const group = only(await scene.log.groups.describe([member.groupId]))
      assert.equal(only(group.members).groupInstanceId, 'one')
      noError((await scene.log.groups.heartbeat(identity(member))).error)
    },
  },
  {
    name: 'a static follower that comes back gets a new id and its old part, without a rebalance',
    run: async scene => {
      const [leader, follower] = await withStaticFollower(scene, 'back')
      assert.ok(leader !== undefined && follower !== undefined)
      const returned = await join(scene, follower.groupId, { groupInstanceId: 'back' })
      assert.notEqual(returned.memberId, follower.memberId)
      assert.equal(returned.generationId, follower.generationId)
      const response = await scene.log.groups.sync({ ...identity(returned), assignments: [] })
      noError(response.error)
      assert.ok(response.assignment.equals(part(follower.memberId)))
      noError((await scene.log.groups.heartbeat(identity(leader))).error)
      assert.equal(await stateOf(scene, leader.groupId), 'Stable')
    },
  },
  {
    name: 'whoever held an instance id before is fenced',
    run: async scene => {
      const [, follower] = await withStaticFollower(scene, 'fence')
      assert.ok(follower !== undefined)
      await join(scene, follower.groupId, { groupInstanceId: 'fence' })
      failed(await scene.log.groups.heartbeat(identity(follower)), 'FENCED_INSTANCE_ID')
      failed(
        await scene.log.groups.sync({ ...identity(follower), assignments: [] }),
        'FENCED_INSTANCE_ID',
      )
      const topic = await scene.topic()
      const commit = { topic, partition: 0, offset: 1, leaderEpoch: -1, metadata: null }
      failed(
        only(await scene.log.groups.commit({ ...identity(follower), offsets: [commit] })),
        'FENCED_INSTANCE_ID',
      )
    },
  },
  {
    name: 'a leader that comes back under its instance id keeps the generation',
    run: async scene => {
      const leader = await single(scene, scene.groupId(), { groupInstanceId: 'lead' })
      const returned = await join(scene, leader.groupId, {
        groupInstanceId: 'lead',
        supportsSkippingAssignment: true,
      })
      assert.equal(returned.generationId, leader.generationId)
      assert.equal(returned.join.leader, returned.memberId)
      assert.equal(returned.join.skipAssignment, true)
      const response = await scene.log.groups.sync({ ...identity(returned), assignments: [] })
      noError(response.error)
      assert.ok(response.assignment.equals(part(leader.memberId)))
    },
  },
  {
    name: 'a static member is taken out by its instance id alone',
    run: async scene => {
      const member = await single(scene, scene.groupId(), { groupInstanceId: 'out' })
      await leave(scene, { ...identity(member), memberId: '' })
      assert.equal(await stateOf(scene, member.groupId), 'Empty')
      failed(
        await scene.log.groups.heartbeat(identity(member)),
        'UNKNOWN_MEMBER_ID',
        'FENCED_INSTANCE_ID',
      )
    },
  },
  {
    name: 'taking out an instance that is not there is refused',
    run: async scene => {
      const { groupId } = await single(scene, scene.groupId(), { groupInstanceId: 'here' })
      const response = await scene.log.groups.leave({
        groupId,
        members: [{ memberId: '', groupInstanceId: 'elsewhere' }],
      })
      failed(only(response.members), 'UNKNOWN_MEMBER_ID')
    },
  },
  {
    name: 'taking out an instance with another’s member id is refused',
    run: async scene => {
      const { groupId } = await single(scene, scene.groupId(), { groupInstanceId: 'here' })
      const response = await scene.log.groups.leave({
        groupId,
        members: [{ memberId: 'somebody', groupInstanceId: 'here' }],
      })
      failed(only(response.members), 'FENCED_INSTANCE_ID')
    },
  },
]
