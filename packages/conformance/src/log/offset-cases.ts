/**
 * Offsets: the earliest, the latest, those of a time; and the log start that DeleteRecords moves.
 */
import assert from 'node:assert/strict'
import type { Offset, OffsetAnswer, OffsetPlace } from '@millrace/log'
import { nth } from '../frame/frame.ts'
import { type CaseSpec, reopens } from './case-spec.ts'
import { failed, type LogScene, noError, only } from './scene.ts'

const ask = async (scene: LogScene, topic: string, place: OffsetPlace): Promise<OffsetAnswer> =>
  only(await scene.log.listOffsets([{ topic, partition: 0, place }]))

/** The offset and the time since the scene's start, -1 for none. */
async function placeOf(scene: LogScene, topic: string, place: OffsetPlace): Promise<number[]> {
  const answer = await ask(scene, topic, place)
  noError(answer.error)
  return [answer.offset, answer.timestamp < 0 ? -1 : answer.timestamp - scene.start]
}

async function deleteTo(scene: LogScene, topic: string, offset: Offset): Promise<Offset> {
  const outcome = only(await scene.log.deleteRecords([{ topic, partition: 0, offset }]))
  noError(outcome.error)
  return outcome.lowWatermark
}

/** Offsets 0 to 6 in three batches; times since the start: 100, 300, 200; 400, 350; 250, 500. */
async function timesOf(scene: LogScene): Promise<string> {
  const topic = await scene.topic()
  const record = (ms: number) => ({ key: 'k', value: `${ms}`, timestamp: scene.start + ms })
  await scene.append(topic, [100, 300, 200].map(record), { compression: 'gzip' })
  await scene.append(topic, [400, 350].map(record), { compression: 'zstd' })
  await scene.append(topic, [250, 500].map(record))
  return topic
}

export const offsetCases: readonly CaseSpec[] = [
  {
    name: 'an empty partition begins and ends at 0, and has no largest timestamp',
    run: async scene => {
      const topic = await scene.topic()
      assert.deepEqual(await placeOf(scene, topic, 'earliest'), [0, -1])
      assert.deepEqual(await placeOf(scene, topic, 'latest'), [0, -1])
      assert.deepEqual(await placeOf(scene, topic, 'maxTimestamp'), [-1, -1])
      assert.deepEqual(await placeOf(scene, topic, scene.start), [-1, -1])
    },
  },
  {
    name: 'the latest offset is the one that the next record gets',
    run: async scene => {
      const topic = await timesOf(scene)
      assert.deepEqual(await placeOf(scene, topic, 'earliest'), [0, -1])
      assert.deepEqual(await placeOf(scene, topic, 'latest'), [7, -1])
      assert.equal(await scene.append(topic, ['next']), 7)
    },
  },
  {
    name: 'the offset of a time is that of the first record at or after it, inside of batches too',
    run: async scene => {
      const topic = await timesOf(scene)
      const at = (ms: number): Promise<number[]> => placeOf(scene, topic, scene.start + ms)
      assert.deepEqual(await at(0), [0, 100])
      assert.deepEqual(await at(100), [0, 100])
      assert.deepEqual(await at(101), [1, 300])
      assert.deepEqual(await at(300), [1, 300])
      assert.deepEqual(await at(301), [3, 400])
      assert.deepEqual(await at(400), [3, 400])
      assert.deepEqual(await at(401), [6, 500])
      assert.deepEqual(await at(500), [6, 500])
    },
  },
  {
    name: 'a time after all records has no offset and is no error',
    run: async scene => {
      const topic = await timesOf(scene)
      assert.deepEqual(await placeOf(scene, topic, scene.start + 501), [-1, -1])
    },
  },
  {
    name: 'the largest timestamp is found with the first record that has it',
    run: async scene => {
      const topic = await timesOf(scene)
      assert.deepEqual(await placeOf(scene, topic, 'maxTimestamp'), [6, 500])
      await scene.append(topic, [
        { value: 'a', timestamp: scene.start + 600 },
        { value: 'b', timestamp: scene.start + 700 },
        { value: 'c', timestamp: scene.start + 700 },
      ])
      await scene.append(topic, [{ value: 'd', timestamp: scene.start + 10 }])
      assert.deepEqual(await placeOf(scene, topic, 'maxTimestamp'), [8, 700])
    },
  },
  {
    name: 'under LogAppendTime a time is looked up among the times of the appends',
    run: async scene => {
      const topic = await scene.topic(1, { 'message.timestamp.type': 'LogAppendTime' })
      const first = await scene.appendRaw(topic, 0, scene.batch(['a', 'b']))
      await scene.sleep(20)
      const second = await scene.appendRaw(topic, 0, scene.batch(['c']))
      const found = async (time: number): Promise<number> => (await ask(scene, topic, time)).offset
      assert.equal(await found(first.logAppendTime), 0)
      assert.ok(second.logAppendTime > first.logAppendTime)
      assert.equal(await found(first.logAppendTime + 1), 2)
      assert.equal(await found(second.logAppendTime + 1), -1)
    },
  },
  {
    name: 'several questions are answered in their order, each with its own error',
    run: async scene => {
      const topic = await timesOf(scene)
      const unknown = scene.topicName()
      const answers = await scene.log.listOffsets([
        { topic, partition: 0, place: 'latest' },
        { topic: unknown, partition: 0, place: 'latest' },
        { topic, partition: 5, place: 'earliest' },
        { topic, partition: 0, place: 'earliest' },
      ])
      assert.deepEqual(
        answers.map(a => [a.topic, a.partition, a.error?.code ?? a.offset]),
        [
          [topic, 0, 7],
          [unknown, 0, 'UNKNOWN_TOPIC_OR_PARTITION'],
          [topic, 5, 'UNKNOWN_TOPIC_OR_PARTITION'],
          [topic, 0, 0],
        ],
      )
    },
  },
  {
    name: 'a leader epoch from the future is refused in a question for offsets',
    run: async scene => {
      const topic = await scene.topic()
      const query = { topic, partition: 0, place: 'latest' as const, leaderEpoch: 1_000_000 }
      failed(only(await scene.log.listOffsets([query])), 'UNKNOWN_LEADER_EPOCH')
    },
  },
  {
    name: 'deleted records are below the log start and out of range',
    run: async scene => {
      const topic = await timesOf(scene)
      assert.equal(await deleteTo(scene, topic, 3), 3)
      assert.deepEqual(await placeOf(scene, topic, 'earliest'), [3, -1])
      failed(await scene.fetch(topic, 2), 'OFFSET_OUT_OF_RANGE')
      const result = await scene.fetch(topic, 3)
      noError(result.error)
      assert.equal(result.logStartOffset, 3)
      assert.deepEqual(await scene.values(topic, 0, 3), ['400', '350', '250', '500'])
    },
  },
  {
    name: 'the log start may lie inside of a batch',
    run: async scene => {
      const topic = await timesOf(scene)
      assert.equal(await deleteTo(scene, topic, 1), 1)
      failed(await scene.fetch(topic, 0), 'OFFSET_OUT_OF_RANGE')
      assert.deepEqual((await scene.values(topic, 0, 1)).slice(0, 2), ['300', '200'])
      assert.deepEqual(await placeOf(scene, topic, scene.start), [1, 300])
    },
  },
  {
    name: 'deleting records up to -1 empties the partition, and offsets go on',
    run: async scene => {
      const topic = await timesOf(scene)
      assert.equal(await deleteTo(scene, topic, -1), 7)
      assert.deepEqual(await placeOf(scene, topic, 'earliest'), [7, -1])
      assert.deepEqual(await placeOf(scene, topic, scene.start), [-1, -1])
      assert.equal(await scene.append(topic, ['next']), 7)
      assert.deepEqual(await scene.values(topic, 0, 7), ['next'])
    },
  },
  {
    name: 'the log start never moves back',
    run: async scene => {
      const topic = await timesOf(scene)
      await deleteTo(scene, topic, 4)
      assert.equal(await deleteTo(scene, topic, 2), 4)
      assert.deepEqual(await placeOf(scene, topic, 'earliest'), [4, -1])
    },
  },
  {
    name: 'records behind the end cannot be deleted',
    run: async scene => {
      const topic = await timesOf(scene)
      const outcomes = await scene.log.deleteRecords([
        { topic, partition: 0, offset: 8 },
        { topic, partition: 3, offset: 0 },
      ])
      failed(nth(outcomes, 0), 'OFFSET_OUT_OF_RANGE')
      failed(nth(outcomes, 1), 'UNKNOWN_TOPIC_OR_PARTITION')
      assert.deepEqual(await placeOf(scene, topic, 'earliest'), [0, -1])
    },
  },
  {
    name: 'records of a compacted topic cannot be deleted by offset',
    needs: features => features.compactedTopics,
    run: async scene => {
      const topic = await scene.topic(1, { 'cleanup.policy': 'compact' })
      await scene.append(topic, [{ key: 'k', value: 'v' }])
      const target = { topic, partition: 0, offset: 1 }
      failed(only(await scene.log.deleteRecords([target])), 'POLICY_VIOLATION')
    },
  },
  {
    name: 'the log start and offsets by time are kept over a restart',
    needs: reopens,
    run: async scene => {
      const topic = await timesOf(scene)
      await deleteTo(scene, topic, 4)
      await scene.reopen()
      assert.deepEqual(await placeOf(scene, topic, 'earliest'), [4, -1])
      assert.deepEqual(await placeOf(scene, topic, 'latest'), [7, -1])
      assert.deepEqual(await placeOf(scene, topic, scene.start), [4, 350])
      assert.deepEqual(await placeOf(scene, topic, scene.start + 351), [6, 500])
      failed(await scene.fetch(topic, 3), 'OFFSET_OUT_OF_RANGE')
    },
  },
]
