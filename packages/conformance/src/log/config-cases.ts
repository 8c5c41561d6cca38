/**
 * Topic configuration: what is said of it, how it changes, and what it does to appends.
 */
import assert from 'node:assert/strict'
import type { ConfigChange, ConfigEntry } from '@millrace/log'
import { RecordBatch } from '@millrace/log'
import { type CaseSpec, reopens } from './case-spec.ts'
import { failed, type LogScene, noError, only, throws } from './scene.ts'

async function entry(scene: LogScene, topic: string, name: string): Promise<ConfigEntry> {
  const entries = await scene.log.describeConfig(topic)
  const found = entries.find(candidate => candidate.name === name)
  assert.ok(found !== undefined, `${name} is part of the configuration`)
  return found
}

const set = (name: string, value: string): ConfigChange => ({ name, operation: 'set', value })

/** Waits until a value is in force: a cluster tells its nodes after it has answered. */
const becomes = (scene: LogScene, topic: string, name: string, value: string): Promise<void> =>
  scene.eventually(async () => {
    assert.equal((await entry(scene, topic, name)).value, value)
  })

const HOUR_MS = 3_600_000

export const configCases: readonly CaseSpec[] = [
  {
    name: 'a value given at creation is described as the topic’s own, others as defaults',
    run: async scene => {
      const topic = await scene.topic(1, { 'retention.ms': '86400000' })
      const retention = await entry(scene, topic, 'retention.ms')
      assert.deepEqual([retention.value, retention.source], ['86400000', 'topic'])
      assert.equal(retention.type, 'long')
      assert.notEqual((await entry(scene, topic, 'cleanup.policy')).source, 'topic')
    },
  },
  {
    name: 'the whole configuration is described, each key once',
    run: async scene => {
      const keys = (await scene.log.describeConfig(await scene.topic())).map(e => e.name)
      assert.equal(new Set(keys).size, keys.length)
      for (const key of [
        'cleanup.policy',
        'max.message.bytes',
        'message.timestamp.type',
        'retention.bytes',
        'retention.ms',
        'segment.bytes',
      ]) {
        assert.ok(keys.includes(key), key)
      }
    },
  },
  {
    name: 'an unknown key at creation is refused',
    run: async scene => {
      const topic = { name: scene.topicName(), partitions: 1, configs: { 'no.such.key': '1' } }
      failed(only(await scene.log.createTopics([topic])), 'INVALID_CONFIG')
    },
  },
  {
    name: 'an illegal value at creation is refused',
    run: async scene => {
      for (const configs of [
        { 'retention.ms': 'soon' },
        { 'max.message.bytes': '-5' },
        { 'message.timestamp.type': 'Whenever' },
      ]) {
        const topic = { name: scene.topicName(), partitions: 1, configs }
        failed(only(await scene.log.createTopics([topic])), 'INVALID_CONFIG')
      }
    },
  },
  {
    name: 'a value can be set, and deleted back to its default',
    run: async scene => {
      const topic = await scene.topic()
      const before = await entry(scene, topic, 'retention.ms')
      await scene.log.alterConfig(topic, [set('retention.ms', '123456789')])
      await becomes(scene, topic, 'retention.ms', '123456789')
      await scene.log.alterConfig(topic, [
        { name: 'retention.ms', operation: 'delete', value: null },
      ])
      await scene.eventually(async () => {
        const after = await entry(scene, topic, 'retention.ms')
        assert.deepEqual([after.value, after.source], [before.value, before.source])
      })
    },
  },
  {
    name: 'changes leave other values as they were',
    run: async scene => {
      const topic = await scene.topic(1, { 'segment.bytes': '2097152' })
      await scene.log.alterConfig(topic, [set('retention.ms', '1000000')])
      await becomes(scene, topic, 'retention.ms', '1000000')
      assert.equal((await entry(scene, topic, 'segment.bytes')).value, '2097152')
    },
  },
  {
    name: 'of several changes with a bad one none is made',
    run: async scene => {
      const topic = await scene.topic()
      const before = (await entry(scene, topic, 'retention.ms')).value
      await throws(
        () =>
          scene.log.alterConfig(topic, [
            set('retention.ms', '1000000'),
            set('segment.bytes', 'many'),
          ]),
        'INVALID_CONFIG',
      )
      assert.equal((await entry(scene, topic, 'retention.ms')).value, before)
    },
  },
  {
    name: 'a change that only validates changes nothing, and says what would be wrong',
    run: async scene => {
      const topic = await scene.topic()
      const before = (await entry(scene, topic, 'retention.ms')).value
      const check = { validateOnly: true }
      await scene.log.alterConfig(topic, [set('retention.ms', '1000000')], check)
      assert.equal((await entry(scene, topic, 'retention.ms')).value, before)
      await throws(
        () => scene.log.alterConfig(topic, [set('retention.ms', 'x')], check),
        'INVALID_CONFIG',
      )
    },
  },
  {
    name: 'an unknown key cannot be set',
    run: async scene => {
      const topic = await scene.topic()
      await throws(() => scene.log.alterConfig(topic, [set('no.such.key', '1')]), 'INVALID_CONFIG')
    },
  },
  {
    name: 'words are appended to and subtracted from a list',
    needs: features => features.compactedTopics,
    run: async scene => {
      const topic = await scene.topic(1, { 'cleanup.policy': 'delete' })
      const name = 'cleanup.policy'
      await scene.log.alterConfig(topic, [{ name, operation: 'append', value: 'compact' }])
      await scene.eventually(async () => {
        const words = ((await entry(scene, topic, name)).value ?? '').split(',').sort()
        assert.deepEqual(words, ['compact', 'delete'])
      })
      await scene.log.alterConfig(topic, [{ name, operation: 'subtract', value: 'delete' }])
      await becomes(scene, topic, name, 'compact')
    },
  },
  {
    name: 'nothing can be appended to a value that is no list',
    run: async scene => {
      const topic = await scene.topic()
      const change = { name: 'retention.ms', operation: 'append', value: '1' } as const
      await throws(() => scene.log.alterConfig(topic, [change]), 'INVALID_CONFIG')
    },
  },
  {
    name: 'an unknown topic has no configuration',
    run: async scene => {
      const topic = scene.topicName()
      await throws(() => scene.log.describeConfig(topic), 'UNKNOWN_TOPIC_OR_PARTITION')
      await throws(
        () => scene.log.alterConfig(topic, [set('retention.ms', '1')]),
        'UNKNOWN_TOPIC_OR_PARTITION',
      )
    },
  },
  {
    name: 'configuration is kept over a restart',
    needs: reopens,
    run: async scene => {
      const topic = await scene.topic(1, { 'retention.ms': '86400000' })
      await scene.log.alterConfig(topic, [set('max.message.bytes', '5000')])
      await scene.reopen()
      assert.equal((await entry(scene, topic, 'retention.ms')).value, '86400000')
      assert.equal((await entry(scene, topic, 'max.message.bytes')).value, '5000')
    },
  },
  {
    name: 'a batch of exactly max.message.bytes is taken, one byte more is refused',
    run: async scene => {
      const batch = scene.batch(['x'.repeat(2_000)])
      const topic = await scene.topic(1, { 'max.message.bytes': String(batch.length) })
      noError((await scene.appendRaw(topic, 0, batch)).error)
      const larger = scene.batch(['x'.repeat(2_001)])
      assert.equal(larger.length, batch.length + 1)
      failed(await scene.appendRaw(topic, 0, larger), 'MESSAGE_TOO_LARGE')
      assert.equal((await scene.read(topic)).length, 1)
    },
  },
  {
    name: 'a changed max.message.bytes is in force for later appends',
    run: async scene => {
      const topic = await scene.topic()
      await scene.append(topic, ['x'.repeat(2_000)])
      await scene.log.alterConfig(topic, [set('max.message.bytes', '1000')])
      await scene.eventually(async () => {
        const batch = scene.batch(['x'.repeat(2_000)])
        failed(await scene.appendRaw(topic, 0, batch), 'MESSAGE_TOO_LARGE')
      })
    },
  },
  {
    name: 'under LogAppendTime every record has the time of its append',
    run: async scene => {
      const topic = await scene.topic(1, { 'message.timestamp.type': 'LogAppendTime' })
      const before = scene.now()
      const result = await scene.appendRaw(
        topic,
        0,
        scene.batch(['a', 'b'], { compression: 'gzip' }),
      )
      noError(result.error)
      // A minute of doubt: the log's clock may be another machine's.
      assert.ok(Math.abs(result.logAppendTime - before) < 60_000)
      const fetched = await scene.fetch(topic, 0)
      const batch = new RecordBatch(fetched.records)
      assert.ok(batch.isLogAppendTime)
      for (const record of batch.records()) assert.equal(record.timestamp, result.logAppendTime)
    },
  },
  {
    name: 'under CreateTime records keep their own time, and an append has none',
    run: async scene => {
      const topic = await scene.topic(1, { 'message.timestamp.type': 'CreateTime' })
      const batch = scene.batch([{ value: 'a', timestamp: scene.start + 5 }])
      assert.equal((await scene.appendRaw(topic, 0, batch)).logAppendTime, -1)
      assert.equal(only(await scene.read(topic)).timestamp, scene.start + 5)
    },
  },
  {
    name: 'records too far in the future or the past are refused where the topic says so',
    run: async scene => {
      const topic = await scene.topic(1, {
        'message.timestamp.after.max.ms': String(HOUR_MS),
        'message.timestamp.before.max.ms': String(HOUR_MS),
      })
      for (const timestamp of [scene.now() + 2 * HOUR_MS, scene.now() - 2 * HOUR_MS]) {
        const batch = scene.batch([{ value: 'x', timestamp }])
        failed(await scene.appendRaw(topic, 0, batch), 'INVALID_TIMESTAMP')
      }
      await scene.append(topic, ['in time'])
    },
  },
  {
    name: 'a compacted topic refuses records without a key and takes tombstones',
    needs: features => features.compactedTopics,
    run: async scene => {
      const topic = await scene.topic(1, { 'cleanup.policy': 'compact' })
      const keyless = scene.batch([{ key: 'k', value: 'v' }, { value: 'no key' }])
      const refused = await scene.appendRaw(topic, 0, keyless)
      failed(refused, 'INVALID_RECORD')
      const named = refused.recordErrors?.map(({ batchIndex }) => batchIndex)
      assert.deepEqual(named, [1], 'the record without a key is named')
      await scene.append(topic, [{ key: 'k', value: null }])
      assert.equal(only(await scene.read(topic)).value, null)
    },
  },
  {
    name: 'every durability acknowledges appends that can then be read',
    needs: features => features.durability,
    run: async scene => {
      for (const durability of ['sync', 'interval', 'os']) {
        const topic = await scene.topic(1, { durability })
        assert.equal((await entry(scene, topic, 'durability')).value, durability)
        await scene.append(topic, [durability])
        assert.deepEqual(await scene.values(topic), [durability])
      }
    },
  },
]
