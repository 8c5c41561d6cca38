/**
 * Topics: created, described, widened, deleted; each name's outcome apart from the others'.
 */
import assert from 'node:assert/strict'
import { nth } from '../frame/frame.ts'
import { type CaseSpec, reopens } from './case-spec.ts'
import { failed, type LogScene, noError, only } from './scene.ts'

const TOPIC_ID = /^[A-Za-z0-9_-]{22}$/
/** More copies than any cluster under test has nodes. */
const TOO_MANY_COPIES = 1_000

const names = async (scene: LogScene, ...topics: string[]): Promise<string[]> =>
  (await scene.log.describeTopics(topics)).map(topic => topic.name)

export const topicCases: readonly CaseSpec[] = [
  {
    name: 'a created topic is described with its partitions and an id of its own',
    run: async scene => {
      const name = await scene.topic(3)
      const topic = only(await scene.log.describeTopics([name]))
      assert.equal(topic.name, name)
      assert.equal(topic.internal, false)
      assert.match(topic.topicId, TOPIC_ID)
      assert.deepEqual(
        topic.partitions.map(p => p.partition).sort((a, b) => a - b),
        [0, 1, 2],
      )
      for (const partition of topic.partitions) {
        assert.ok(partition.leader >= 0)
        assert.ok(partition.replicas.includes(partition.leader))
        assert.ok(partition.inSyncReplicas.includes(partition.leader))
      }
    },
  },
  {
    name: 'a creation answers with the id and the number of partitions of the topic',
    run: async scene => {
      const name = scene.topicName()
      const outcome = only(await scene.log.createTopics([{ name, partitions: 2 }]))
      noError(outcome.error)
      await scene.settled(name, 2)
      assert.equal(outcome.name, name)
      assert.equal(outcome.partitions, 2)
      assert.equal(outcome.topicId, only(await scene.log.describeTopics([name])).topicId)
    },
  },
  {
    name: 'a topic created without a number of partitions has at least one',
    run: async scene => {
      const name = scene.topicName()
      noError(only(await scene.log.createTopics([{ name, partitions: -1 }])).error)
      await scene.eventually(async () => {
        assert.ok(only(await scene.log.describeTopics([name])).partitions.length >= 1)
      })
    },
  },
  {
    name: 'a replication factor of -1 takes the default',
    run: async scene => {
      const name = scene.topicName()
      const topic = { name, partitions: 1, replicationFactor: -1 }
      noError(only(await scene.log.createTopics([topic])).error)
    },
  },
  {
    name: 'all topics are described when no names are given',
    run: async scene => {
      const a = await scene.topic()
      const b = await scene.topic(2)
      await scene.eventually(async () => {
        const all = await scene.log.describeTopics()
        assert.equal(all.find(topic => topic.name === a)?.partitions.length, 1)
        assert.equal(all.find(topic => topic.name === b)?.partitions.length, 2)
      })
    },
  },
  {
    name: 'an unknown name is missing from the description, and known ones are there',
    run: async scene => {
      const name = await scene.topic()
      assert.deepEqual(await names(scene, scene.topicName(), name), [name])
    },
  },
  {
    name: 'describing a topic does not create it',
    run: async scene => {
      const [known, unknown] = [await scene.topic(), scene.topicName()]
      assert.deepEqual(await names(scene, unknown, known), [known])
      assert.deepEqual(await names(scene, unknown, known), [known])
    },
  },
  {
    name: 'a second creation of the same name is refused and changes nothing',
    run: async scene => {
      const name = await scene.topic(2)
      const again = only(await scene.log.createTopics([{ name, partitions: 5 }]))
      failed(again, 'TOPIC_ALREADY_EXISTS')
      assert.equal(only(await scene.log.describeTopics([name])).partitions.length, 2)
    },
  },
  {
    name: 'illegal topic names are refused',
    run: async scene => {
      const bad = ['', '.', '..', 'a b', 'a/b', 'ä', 'a'.repeat(250)]
      for (const name of bad) {
        failed(
          only(await scene.log.createTopics([{ name, partitions: 1 }])),
          'INVALID_TOPIC_EXCEPTION',
        )
      }
    },
  },
  {
    name: 'a topic name may have 249 characters of letters, digits, dot, underscore and hyphen',
    run: async scene => {
      const name = `${scene.topicName()}.A_z-9.`.padEnd(249, 'x')
      noError(only(await scene.log.createTopics([{ name, partitions: 1 }])).error)
      await scene.settled(name, 1)
      assert.deepEqual(await names(scene, name), [name])
      noError(only(await scene.log.deleteTopics([name])).error)
    },
  },
  {
    name: 'a name that differs from another only in dots and underscores is refused',
    run: async scene => {
      const name = `${scene.topicName()}.a_b`
      noError(only(await scene.log.createTopics([{ name, partitions: 1 }])).error)
      await scene.settled(name, 1)
      const twin = name.replace('.a_b', '_a.b')
      failed(
        only(await scene.log.createTopics([{ name: twin, partitions: 1 }])),
        'INVALID_TOPIC_EXCEPTION',
      )
      noError(only(await scene.log.deleteTopics([name])).error)
    },
  },
  {
    name: 'zero partitions are refused',
    run: async scene => {
      const name = scene.topicName()
      failed(only(await scene.log.createTopics([{ name, partitions: 0 }])), 'INVALID_PARTITIONS')
    },
  },
  {
    name: 'more copies than there are nodes are refused',
    run: async scene => {
      for (const replicationFactor of [0, TOO_MANY_COPIES]) {
        const topic = { name: scene.topicName(), partitions: 1, replicationFactor }
        failed(only(await scene.log.createTopics([topic])), 'INVALID_REPLICATION_FACTOR')
      }
    },
  },
  {
    name: 'on one node a second copy is refused',
    needs: features => features.singleNode,
    run: async scene => {
      const topic = { name: scene.topicName(), partitions: 1, replicationFactor: 2 }
      failed(only(await scene.log.createTopics([topic])), 'INVALID_REPLICATION_FACTOR')
    },
  },
  {
    name: 'one bad topic of a creation does not keep the others from being created',
    run: async scene => {
      const [good, bad] = [scene.topicName(), scene.topicName()]
      const outcomes = await scene.log.createTopics([
        { name: bad, partitions: 0 },
        { name: good, partitions: 1 },
      ])
      assert.deepEqual(
        outcomes.map(o => [o.name, o.error?.code]),
        [
          [bad, 'INVALID_PARTITIONS'],
          [good, undefined],
        ],
      )
      await scene.settled(good, 1)
      assert.deepEqual(await names(scene, bad, good), [good])
    },
  },
  {
    name: 'a creation that only validates creates nothing, and says what would be wrong',
    run: async scene => {
      const name = scene.topicName()
      const check = { validateOnly: true }
      noError(only(await scene.log.createTopics([{ name, partitions: 1 }], check)).error)
      failed(
        only(await scene.log.createTopics([{ name, partitions: 0 }], check)),
        'INVALID_PARTITIONS',
      )
      assert.deepEqual(await names(scene, name), [])
    },
  },
  {
    name: 'a deleted topic is gone for description, reading and writing',
    run: async scene => {
      const name = await scene.topic()
      await scene.append(name, ['x'])
      const outcome = only(await scene.log.deleteTopics([name]))
      noError(outcome.error)
      assert.equal(outcome.name, name)
      await scene.eventually(async () => {
        assert.deepEqual(await names(scene, name), [])
        failed(await scene.fetch(name, 0, { maxWaitMs: 0 }), 'UNKNOWN_TOPIC_OR_PARTITION')
        failed(await scene.appendRaw(name, 0, scene.batch(['y'])), 'UNKNOWN_TOPIC_OR_PARTITION')
      })
    },
  },
  {
    name: 'deleting an unknown topic is an error of that name alone',
    run: async scene => {
      const name = await scene.topic()
      const unknown = scene.topicName()
      const outcomes = await scene.log.deleteTopics([unknown, name])
      failed(nth(outcomes, 0), 'UNKNOWN_TOPIC_OR_PARTITION')
      noError(nth(outcomes, 1).error)
    },
  },
  {
    name: 'a topic created again under the same name is empty and has another id',
    run: async scene => {
      const name = await scene.topic()
      await scene.append(name, ['old', 'older'])
      const before = only(await scene.log.describeTopics([name])).topicId
      noError(only(await scene.log.deleteTopics([name])).error)
      await scene.eventually(async () => {
        noError(only(await scene.log.createTopics([{ name, partitions: 1 }])).error)
      })
      await scene.settled(name, 1)
      await scene.eventually(async () => {
        assert.notEqual(only(await scene.log.describeTopics([name])).topicId, before)
        assert.deepEqual(await scene.values(name), [])
      })
      assert.equal(await scene.append(name, ['new']), 0)
    },
  },
  {
    name: 'partitions can be added, and the new ones are empty and can be written',
    run: async scene => {
      const name = await scene.topic(1)
      await scene.append(name, ['kept'])
      noError(only(await scene.log.createPartitions([{ name, partitions: 3 }])).error)
      await scene.settled(name, 3)
      assert.equal(only(await scene.log.describeTopics([name])).partitions.length, 3)
      assert.equal(await scene.append(name, ['new'], { partition: 2 }), 0)
      assert.deepEqual(await scene.values(name), ['kept'])
    },
  },
  {
    name: 'partitions cannot be taken away, nor added in a number that is there already',
    run: async scene => {
      const name = await scene.topic(2)
      for (const partitions of [1, 2]) {
        failed(only(await scene.log.createPartitions([{ name, partitions }])), 'INVALID_PARTITIONS')
      }
    },
  },
  {
    name: 'partitions of an unknown topic cannot be added',
    run: async scene => {
      const topic = { name: scene.topicName(), partitions: 2 }
      failed(only(await scene.log.createPartitions([topic])), 'UNKNOWN_TOPIC_OR_PARTITION')
    },
  },
  {
    name: 'adding partitions that only validates adds none',
    run: async scene => {
      const name = await scene.topic(1)
      const topics = [{ name, partitions: 4 }]
      const outcome = only(await scene.log.createPartitions(topics, { validateOnly: true }))
      noError(outcome.error)
      assert.equal(only(await scene.log.describeTopics([name])).partitions.length, 1)
    },
  },
  {
    name: 'topics keep their id and their partitions over a restart',
    needs: reopens,
    run: async scene => {
      const name = await scene.topic(2)
      noError(only(await scene.log.createPartitions([{ name, partitions: 3 }])).error)
      await scene.settled(name, 3)
      const before = only(await scene.log.describeTopics([name]))
      await scene.reopen()
      const after = only(await scene.log.describeTopics([name]))
      assert.equal(after.topicId, before.topicId)
      assert.equal(after.partitions.length, 3)
    },
  },
  {
    name: 'a topic deleted before a restart stays deleted',
    needs: reopens,
    run: async scene => {
      const name = await scene.topic()
      noError(only(await scene.log.deleteTopics([name])).error)
      await scene.reopen()
      assert.deepEqual(await names(scene, name), [])
    },
  },
  {
    name: 'the log keeps its id over a restart',
    needs: reopens,
    run: async scene => {
      const before = scene.log.id
      assert.ok(before.length > 0)
      assert.equal((await scene.reopen()).id, before)
    },
  },
  {
    name: 'a closed log refuses every call with LOG_CLOSED, and can be closed again',
    needs: features => features.closes,
    run: async scene => {
      await scene.log.close()
      for (const call of [
        () => scene.log.describeTopics(),
        () => scene.log.append([]),
        () => scene.log.initProducer({ transactionalId: null }),
        () => scene.log.groups.list(),
      ]) {
        await assert.rejects(async () => call(), { name: 'LogError', code: 'LOG_CLOSED' })
      }
      await scene.log.close()
    },
  },
  {
    name: 'sizes are told for each partition and grow with what is written',
    run: async scene => {
      const topic = await scene.topic(2)
      const bytes = async (): Promise<number[]> => {
        const sizes = await scene.log.describeSizes([topic])
        assert.deepEqual(sizes.map(size => size.partition).sort(), [0, 1])
        return [0, 1].map(n => sizes.find(size => size.partition === n)?.bytes ?? -1)
      }
      const before = nth(await bytes(), 1)
      await scene.append(topic, ['x'.repeat(10_000)], { partition: 1 })
      await scene.eventually(async () => {
        assert.ok(nth(await bytes(), 1) >= before + 10_000)
      })
    },
  },
]
