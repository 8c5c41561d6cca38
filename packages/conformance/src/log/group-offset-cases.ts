/**
 * Committed offsets: kept with their metadata, by members and without membership; who may commit;
 * how they go away.
 */
import assert from 'node:assert/strict'
import { type FetchedOffset, NO_GENERATION, type PartitionOutcome } from '@millrace/log'
import { nth } from '../frame/frame.ts'
import { type CaseSpec, reopens } from './case-spec.ts'
import {
  identity,
  join,
  leave,
  rebalancing,
  second,
  single,
  subscription,
  sync,
} from './group-scene.ts'
import { failed, type LogScene, noError, only, throws } from './scene.ts'

/** Longer than `offset.metadata.max.bytes` is by default. */
const METADATA_TOO_LONG = 4_097

const offsetOf = (topic: string, offset: number, partition = 0, metadata: string | null = '') => ({
  topic,
  partition,
  offset,
  leaderEpoch: -1,
  metadata,
})

const nobody = (groupId: string) => ({
  groupId,
  generationId: NO_GENERATION,
  memberId: '',
  groupInstanceId: null,
})

/** Commits without membership; the outcome. */
const commit = async (
  scene: LogScene,
  groupId: string,
  offset: ReturnType<typeof offsetOf>,
): Promise<PartitionOutcome> =>
  only(await scene.log.groups.commit({ ...nobody(groupId), offsets: [offset] }))

const fetched = async (scene: LogScene, groupId: string, topic: string): Promise<FetchedOffset> =>
  only(await scene.log.groups.fetchOffsets(groupId, [{ topic, partition: 0 }]))

const offsetIn = async (scene: LogScene, groupId: string, topic: string): Promise<number> => {
  const answer = await fetched(scene, groupId, topic)
  noError(answer.error)
  return answer.offset
}

export const groupOffsetCases: readonly CaseSpec[] = [
  {
    name: 'a committed offset comes back with its metadata and leader epoch',
    run: async scene => {
      const [topic, groupId] = [await scene.topic(), scene.groupId()]
      const offset = { ...offsetOf(topic, 42, 0, 'où j’en suis'), leaderEpoch: 0 }
      noError((await commit(scene, groupId, offset)).error)
      const answer = await fetched(scene, groupId, topic)
      noError(answer.error)
      assert.deepEqual(
        [answer.topic, answer.partition, answer.offset, answer.leaderEpoch, answer.metadata],
        [topic, 0, 42, 0, 'où j’en suis'],
      )
    },
  },
  {
    name: 'a later commit replaces an earlier one, also with a smaller offset',
    run: async scene => {
      const [topic, groupId] = [await scene.topic(), scene.groupId()]
      for (const offset of [5, 9, 3]) {
        noError((await commit(scene, groupId, offsetOf(topic, offset))).error)
        assert.equal(await offsetIn(scene, groupId, topic), offset)
      }
    },
  },
  {
    name: 'where nothing is committed the offset is -1 and no error',
    run: async scene => {
      const topic = await scene.topic()
      const answer = await fetched(scene, scene.groupId(), topic)
      noError(answer.error)
      assert.equal(answer.offset, -1)
    },
  },
  {
    name: 'all committed offsets of a group are fetched when no partitions are named',
    run: async scene => {
      const [a, b, groupId] = [await scene.topic(2), await scene.topic(), scene.groupId()]
      const offsets = [offsetOf(a, 1, 1), offsetOf(b, 2)]
      for (const outcome of await scene.log.groups.commit({ ...nobody(groupId), offsets })) {
        noError(outcome.error)
      }
      const all = await scene.log.groups.fetchOffsets(groupId)
      const found = all.map(o => `${o.topic} ${o.partition}: ${o.offset}`)
      assert.deepEqual(found.sort(), [`${a} 1: 1`, `${b} 0: 2`].sort())
    },
  },
  {
    name: 'offsets of groups are kept apart',
    run: async scene => {
      const [topic, one, two] = [await scene.topic(), scene.groupId(), scene.groupId()]
      noError((await commit(scene, one, offsetOf(topic, 1))).error)
      noError((await commit(scene, two, offsetOf(topic, 2))).error)
      assert.equal(await offsetIn(scene, one, topic), 1)
      assert.equal(await offsetIn(scene, two, topic), 2)
    },
  },
  {
    name: 'an offset of an unknown topic is refused, others of the commit are stored',
    run: async scene => {
      const [topic, groupId] = [await scene.topic(), scene.groupId()]
      const outcomes = await scene.log.groups.commit({
        ...nobody(groupId),
        offsets: [offsetOf(scene.topicName(), 1), offsetOf(topic, 2)],
      })
      failed(nth(outcomes, 0), 'UNKNOWN_TOPIC_OR_PARTITION')
      noError(nth(outcomes, 1).error)
      assert.equal(await offsetIn(scene, groupId, topic), 2)
    },
  },
  {
    name: 'metadata of 4096 bytes is kept, one byte more is refused',
    run: async scene => {
      const [topic, groupId] = [await scene.topic(), scene.groupId()]
      const longest = 'm'.repeat(METADATA_TOO_LONG - 1)
      noError((await commit(scene, groupId, offsetOf(topic, 1, 0, longest))).error)
      assert.equal((await fetched(scene, groupId, topic)).metadata, longest)
      const tooLong = offsetOf(topic, 2, 0, 'm'.repeat(METADATA_TOO_LONG))
      failed(await commit(scene, groupId, tooLong), 'OFFSET_METADATA_TOO_LARGE')
      assert.equal(await offsetIn(scene, groupId, topic), 1)
    },
  },
  {
    name: 'a member commits, and its offsets stay when it has left',
    run: async scene => {
      const topic = await scene.topic()
      const member = await single(scene, scene.groupId())
      const outcome = only(
        await scene.log.groups.commit({ ...identity(member), offsets: [offsetOf(topic, 7)] }),
      )
      noError(outcome.error)
      await leave(scene, member)
      assert.equal(await offsetIn(scene, member.groupId, topic), 7)
      assert.equal((await join(scene, member.groupId)).generationId > member.generationId, true)
      assert.equal(await offsetIn(scene, member.groupId, topic), 7)
    },
  },
  {
    name: 'a commit of another generation or an unknown member is refused and changes nothing',
    run: async scene => {
      const topic = await scene.topic()
      const member = await single(scene, scene.groupId())
      const offsets = [offsetOf(topic, 7)]
      const refused = async (change: object): Promise<PartitionOutcome> =>
        only(await scene.log.groups.commit({ ...identity(member), ...change, offsets }))
      failed(await refused({ generationId: member.generationId + 1 }), 'ILLEGAL_GENERATION')
      failed(await refused({ generationId: member.generationId - 1 }), 'ILLEGAL_GENERATION')
      failed(await refused({ memberId: 'nobody' }), 'UNKNOWN_MEMBER_ID')
      assert.equal(await offsetIn(scene, member.groupId, topic), -1)
    },
  },
  {
    name: 'a commit of a member to a group that is not there is refused',
    run: async scene => {
      const topic = await scene.topic()
      const member = { ...nobody(scene.groupId()), generationId: 3, memberId: 'm' }
      failed(
        only(await scene.log.groups.commit({ ...member, offsets: [offsetOf(topic, 1)] })),
        'ILLEGAL_GENERATION',
        // From version 9 of OffsetCommit on (KIP-848).
        'GROUP_ID_NOT_FOUND',
      )
    },
  },
  {
    name: 'a commit without membership is refused while the group has members',
    run: async scene => {
      const topic = await scene.topic()
      const { groupId } = await single(scene, scene.groupId())
      failed(await commit(scene, groupId, offsetOf(topic, 1)), 'UNKNOWN_MEMBER_ID')
    },
  },
  {
    name: 'a member still commits while the others are being called to join again',
    run: async scene => {
      const topic = await scene.topic()
      const first = await single(scene, scene.groupId())
      const coming = join(scene, first.groupId)
      await rebalancing(scene, first)
      const offsets = [offsetOf(topic, 11)]
      noError(only(await scene.log.groups.commit({ ...identity(first), offsets })).error)
      await join(scene, first.groupId, { memberId: first.memberId })
      await coming
      assert.equal(await offsetIn(scene, first.groupId, topic), 11)
    },
  },
  {
    name: 'between join and sync a commit is told that the group rebalances',
    run: async scene => {
      const topic = await scene.topic()
      const [leader, follower] = await second(scene, await single(scene, scene.groupId()))
      const offsets = [offsetOf(topic, 1)]
      failed(
        only(await scene.log.groups.commit({ ...identity(leader), offsets })),
        'REBALANCE_IN_PROGRESS',
      )
      await Promise.all([sync(scene, leader), sync(scene, follower)])
      noError(only(await scene.log.groups.commit({ ...identity(leader), offsets })).error)
    },
  },
  {
    name: 'a group that only commits is listed as Empty and described without members',
    run: async scene => {
      const [topic, groupId] = [await scene.topic(), scene.groupId()]
      noError((await commit(scene, groupId, offsetOf(topic, 1))).error)
      const listed = (await scene.log.groups.list()).find(group => group.groupId === groupId)
      assert.equal(listed?.state, 'Empty')
      const group = only(await scene.log.groups.describe([groupId]))
      assert.deepEqual([group.state, group.members], ['Empty', []])
    },
  },
  {
    name: 'deleting a group forgets its offsets',
    run: async scene => {
      const [topic, groupId] = [await scene.topic(), scene.groupId()]
      noError((await commit(scene, groupId, offsetOf(topic, 5))).error)
      noError(only(await scene.log.groups.delete([groupId])).error)
      assert.equal(await offsetIn(scene, groupId, topic), -1)
    },
  },
  {
    name: 'single offsets of an empty group can be deleted',
    run: async scene => {
      const [topic, groupId] = [await scene.topic(2), scene.groupId()]
      const offsets = [offsetOf(topic, 1, 0), offsetOf(topic, 2, 1)]
      await scene.log.groups.commit({ ...nobody(groupId), offsets })
      const outcome = only(await scene.log.groups.deleteOffsets(groupId, [{ topic, partition: 0 }]))
      noError(outcome.error)
      const left = await scene.log.groups.fetchOffsets(groupId)
      assert.deepEqual(
        left.map(o => [o.partition, o.offset]),
        [[1, 2]],
      )
    },
  },
  {
    name: 'offsets of an unknown group, or of an active one that is no consumer, are not deleted',
    run: async scene => {
      const topic = await scene.topic()
      const partitions = [{ topic, partition: 0 }]
      await throws(
        () => scene.log.groups.deleteOffsets(scene.groupId(), partitions),
        'GROUP_ID_NOT_FOUND',
      )
      const { groupId } = await single(scene, scene.groupId(), { protocolType: 'connect' })
      await throws(() => scene.log.groups.deleteOffsets(groupId, partitions), 'NON_EMPTY_GROUP')
    },
  },
  {
    name: 'offsets of a topic that running consumers are subscribed to are not deleted',
    run: async scene => {
      const [subscribed, other] = [await scene.topic(), await scene.topic()]
      const member = await single(scene, scene.groupId(), {
        protocols: [{ name: 'range', metadata: subscription(subscribed) }],
      })
      const offsets = [offsetOf(subscribed, 1), offsetOf(other, 2)]
      await scene.log.groups.commit({ ...identity(member), offsets })
      const outcomes = await scene.log.groups.deleteOffsets(member.groupId, [
        { topic: subscribed, partition: 0 },
        { topic: other, partition: 0 },
      ])
      failed(nth(outcomes, 0), 'GROUP_SUBSCRIBED_TO_TOPIC')
      noError(nth(outcomes, 1).error)
      assert.equal(await offsetIn(scene, member.groupId, subscribed), 1)
      assert.equal(await offsetIn(scene, member.groupId, other), -1)
    },
  },
  {
    name: 'committed offsets of a deleted topic go away with it',
    run: async scene => {
      const [topic, kept, groupId] = [await scene.topic(), await scene.topic(), scene.groupId()]
      const offsets = [offsetOf(topic, 1), offsetOf(kept, 2)]
      await scene.log.groups.commit({ ...nobody(groupId), offsets })
      await scene.log.deleteTopics([topic])
      await scene.eventually(async () => {
        const left = await scene.log.groups.fetchOffsets(groupId)
        assert.deepEqual(
          left.map(o => [o.topic, o.offset]),
          [[kept, 2]],
        )
      })
    },
  },
  {
    name: 'committed offsets are there after a restart, the latest of each partition',
    needs: reopens,
    run: async scene => {
      const [topic, groupId] = [await scene.topic(2), scene.groupId()]
      for (let i = 1; i <= 20; i++) {
        noError((await commit(scene, groupId, offsetOf(topic, i, i % 2, `at ${i}`))).error)
      }
      await scene.reopen()
      await scene.eventually(async () => {
        const all = await scene.log.groups.fetchOffsets(groupId)
        assert.deepEqual(all.map(o => [o.partition, o.offset, o.metadata]).sort(), [
          [0, 20, 'at 20'],
          [1, 19, 'at 19'],
        ])
      })
    },
  },
  {
    name: 'a group deleted before a restart stays deleted',
    needs: reopens,
    run: async scene => {
      const [topic, groupId] = [await scene.topic(), scene.groupId()]
      noError((await commit(scene, groupId, offsetOf(topic, 5))).error)
      noError(only(await scene.log.groups.delete([groupId])).error)
      await scene.reopen()
      assert.equal(await offsetIn(scene, groupId, topic), -1)
      assert.equal(only(await scene.log.groups.describe([groupId])).state, 'Dead')
    },
  },
]
