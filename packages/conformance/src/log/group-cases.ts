/**
 * A group of one: joining, syncing, heartbeats, leaving; describe, list and delete.
 */
import assert from 'node:assert/strict'
import { nth } from '../frame/frame.ts'
import { type CaseSpec, reopens } from './case-spec.ts'
import {
  identity,
  join,
  joinRequest,
  leave,
  part,
  single,
  stateOf,
  subscription,
  sync,
} from './group-scene.ts'
import { failed, noError, only } from './scene.ts'

export const groupCases: readonly CaseSpec[] = [
  {
    name: 'a first join that must know its id is given one, and joins with it',
    run: async scene => {
      const groupId = scene.groupId()
      const request = joinRequest(scene, groupId, { requireKnownMemberId: true })
      const asked = await scene.log.groups.join(request)
      failed(asked, 'MEMBER_ID_REQUIRED')
      assert.ok(asked.memberId.length > 0)
      const joined = await scene.log.groups.join({ ...request, memberId: asked.memberId })
      noError(joined.error)
      assert.equal(joined.memberId, asked.memberId)
    },
  },
  {
    name: 'the first member leads the first generation and sees itself with its metadata',
    run: async scene => {
      const groupId = scene.groupId()
      const metadata = subscription('orders')
      const member = await join(scene, groupId, { protocols: [{ name: 'range', metadata }] })
      assert.equal(member.join.leader, member.memberId)
      assert.equal(member.generationId, 1)
      assert.equal(member.join.protocolName, 'range')
      const seen = only(member.join.members)
      assert.deepEqual([seen.memberId, seen.groupInstanceId], [member.memberId, null])
      assert.ok(seen.metadata.equals(metadata))
    },
  },
  {
    name: 'the leader’s assignment reaches the member byte for byte',
    run: async scene => {
      const member = await join(scene, scene.groupId())
      const response = await sync(scene, member)
      noError(response.error)
      assert.ok(response.assignment.equals(part(member.memberId)))
      const again = await scene.log.groups.sync({ ...identity(member), assignments: [] })
      noError(again.error)
      assert.ok(again.assignment.equals(part(member.memberId)), 'a repeated sync says the same')
    },
  },
  {
    name: 'a group passes from Dead through Stable to Empty',
    run: async scene => {
      const groupId = scene.groupId()
      assert.equal(await stateOf(scene, groupId), 'Dead')
      const member = await join(scene, groupId)
      assert.equal(await stateOf(scene, groupId), 'CompletingRebalance')
      noError((await sync(scene, member)).error)
      assert.equal(await stateOf(scene, groupId), 'Stable')
      await leave(scene, member)
      assert.equal(await stateOf(scene, groupId), 'Empty')
    },
  },
  {
    name: 'a member of a stable group is told by its heartbeat that all is well',
    run: async scene => {
      const member = await single(scene, scene.groupId())
      for (let i = 0; i < 3; i++) {
        noError((await scene.log.groups.heartbeat(identity(member))).error)
      }
    },
  },
  {
    name: 'a heartbeat of another generation is refused',
    run: async scene => {
      const member = await single(scene, scene.groupId())
      for (const generationId of [member.generationId - 1, member.generationId + 1]) {
        failed(
          await scene.log.groups.heartbeat({ ...identity(member), generationId }),
          'ILLEGAL_GENERATION',
        )
      }
    },
  },
  {
    name: 'a heartbeat of an unknown member or group is refused',
    run: async scene => {
      const member = await single(scene, scene.groupId())
      const heartbeat = { ...identity(member), memberId: 'nobody' }
      failed(await scene.log.groups.heartbeat(heartbeat), 'UNKNOWN_MEMBER_ID')
      const elsewhere = { ...identity(member), groupId: scene.groupId() }
      failed(await scene.log.groups.heartbeat(elsewhere), 'UNKNOWN_MEMBER_ID')
    },
  },
  {
    name: 'a join with an id that the group did not give is refused',
    run: async scene => {
      const request = joinRequest(scene, scene.groupId(), { memberId: 'nobody' })
      failed(await scene.log.groups.join(request), 'UNKNOWN_MEMBER_ID')
    },
  },
  {
    name: 'a sync of an unknown member or another generation is refused',
    run: async scene => {
      const member = await join(scene, scene.groupId())
      const request = { ...identity(member), assignments: [] }
      failed(await scene.log.groups.sync({ ...request, memberId: 'nobody' }), 'UNKNOWN_MEMBER_ID')
      failed(
        await scene.log.groups.sync({ ...request, generationId: member.generationId + 1 }),
        'ILLEGAL_GENERATION',
      )
    },
  },
  {
    name: 'a sync with another protocol than the group’s is refused',
    run: async scene => {
      const member = await join(scene, scene.groupId())
      failed(
        await scene.log.groups.sync({
          ...identity(member),
          protocolType: 'consumer',
          protocolName: 'other',
          assignments: [],
        }),
        'INCONSISTENT_GROUP_PROTOCOL',
      )
    },
  },
  {
    name: 'an empty group id is refused',
    run: async scene => {
      failed(await scene.log.groups.join(joinRequest(scene, '')), 'INVALID_GROUP_ID')
    },
  },
  {
    name: 'a session timeout outside of what is allowed is refused',
    run: async scene => {
      for (const sessionTimeoutMs of [scene.features.sessionTimeoutMsMin - 1, 2 ** 31 - 1]) {
        const request = joinRequest(scene, scene.groupId(), { sessionTimeoutMs })
        failed(await scene.log.groups.join(request), 'INVALID_SESSION_TIMEOUT')
      }
    },
  },
  {
    name: 'a join without protocols is refused',
    run: async scene => {
      const request = joinRequest(scene, scene.groupId(), { protocols: [] })
      failed(await scene.log.groups.join(request), 'INCONSISTENT_GROUP_PROTOCOL')
    },
  },
  {
    name: 'a member that left is unknown',
    run: async scene => {
      const member = await single(scene, scene.groupId())
      await leave(scene, member)
      failed(await scene.log.groups.heartbeat(identity(member)), 'UNKNOWN_MEMBER_ID')
    },
  },
  {
    name: 'leaving is answered for each member, and an unknown one is an error of its own',
    run: async scene => {
      const member = await single(scene, scene.groupId())
      const response = await scene.log.groups.leave({
        groupId: member.groupId,
        members: [
          { memberId: 'nobody', groupInstanceId: null },
          { memberId: member.memberId, groupInstanceId: null },
        ],
      })
      noError(response.error)
      failed(nth(response.members, 0), 'UNKNOWN_MEMBER_ID')
      noError(nth(response.members, 1).error)
    },
  },
  {
    name: 'a group is described with its protocol and its members',
    run: async scene => {
      const metadata = subscription('described')
      const member = await single(scene, scene.groupId(), {
        protocols: [{ name: 'roundrobin', metadata }],
        clientId: 'the-client',
      })
      const group = only(await scene.log.groups.describe([member.groupId]))
      assert.deepEqual(
        [group.groupId, group.state, group.protocolType, group.protocolName],
        [member.groupId, 'Stable', 'consumer', 'roundrobin'],
      )
      const seen = only(group.members)
      assert.deepEqual(
        [seen.memberId, seen.clientId, seen.groupInstanceId],
        [member.memberId, 'the-client', null],
      )
      assert.ok(seen.metadata.equals(metadata))
      assert.ok(seen.assignment.equals(part(member.memberId)))
    },
  },
  {
    name: 'groups are listed, by state if asked',
    run: async scene => {
      const member = await single(scene, scene.groupId())
      const listed = async (states?: string[]): Promise<string | undefined> => {
        const groups = await scene.log.groups.list(states === undefined ? {} : { states })
        return groups.find(group => group.groupId === member.groupId)?.state
      }
      assert.equal(await listed(), 'Stable')
      assert.equal(await listed(['Stable']), 'Stable')
      assert.equal(await listed(['Empty']), undefined)
      await leave(scene, member)
      assert.equal(await listed(['Empty', 'Dead']), 'Empty')
      assert.equal(await listed(['Stable']), undefined)
    },
  },
  {
    name: 'an empty group can be deleted and is gone, one with members not',
    run: async scene => {
      const member = await single(scene, scene.groupId())
      const { groupId } = member
      const unknown = scene.groupId()
      const outcomes = await scene.log.groups.delete([groupId, unknown])
      failed(nth(outcomes, 0), 'NON_EMPTY_GROUP')
      failed(nth(outcomes, 1), 'GROUP_ID_NOT_FOUND')
      await leave(scene, member)
      const deleted = only(await scene.log.groups.delete([groupId]))
      noError(deleted.error)
      assert.equal(deleted.groupId, groupId)
      assert.equal(await stateOf(scene, groupId), 'Dead')
    },
  },
  {
    name: 'a member that falls silent is taken out after its session timeout',
    run: async scene => {
      const sessionTimeoutMs = scene.features.sessionTimeoutMsMin
      const member = await single(scene, scene.groupId(), { sessionTimeoutMs })
      await scene.sleep(sessionTimeoutMs)
      await scene.eventually(async () => {
        assert.equal(await stateOf(scene, member.groupId), 'Empty')
      })
      failed(await scene.log.groups.heartbeat(identity(member)), 'UNKNOWN_MEMBER_ID')
    },
  },
  {
    name: 'heartbeats keep a member in its group beyond its session timeout',
    run: async scene => {
      const sessionTimeoutMs = scene.features.sessionTimeoutMsMin
      const member = await single(scene, scene.groupId(), { sessionTimeoutMs })
      for (let i = 0; i < 6; i++) {
        await scene.sleep(sessionTimeoutMs / 4)
        noError((await scene.log.groups.heartbeat(identity(member))).error)
      }
    },
  },
  {
    name: 'a member goes on after a restart with the generation and the part that it had',
    needs: reopens,
    run: async scene => {
      const member = await single(scene, scene.groupId())
      await scene.reopen()
      await scene.eventually(async () => {
        noError((await scene.log.groups.heartbeat(identity(member))).error)
      })
      const response = await scene.log.groups.sync({ ...identity(member), assignments: [] })
      noError(response.error)
      assert.ok(response.assignment.equals(part(member.memberId)))
    },
  },
]
