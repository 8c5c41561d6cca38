/**
 * Appends: offsets without gaps, order, outcomes apart, durability over a restart.
 */
import assert from 'node:assert/strict'
import { nth } from '../frame/frame.ts'
import { type CaseSpec, reopens } from './case-spec.ts'
import { failed, noError, only } from './scene.ts'

const PIPELINED = 50

export const appendCases: readonly CaseSpec[] = [
  {
    name: 'the first record of a partition has offset 0',
    run: async scene => {
      const topic = await scene.topic()
      const result = await scene.appendRaw(topic, 0, scene.batch(['a']))
      noError(result.error)
      assert.deepEqual([result.baseOffset, result.logStartOffset], [0, 0])
    },
  },
  {
    name: 'offsets go on without a gap from batch to batch',
    run: async scene => {
      const topic = await scene.topic()
      const bases: number[] = []
      for (const size of [3, 1, 5, 2]) {
        bases.push(
          await scene.append(
            topic,
            Array.from({ length: size }, (_, i) => `${i}`),
          ),
        )
      }
      assert.deepEqual(bases, [0, 3, 4, 9])
      assert.deepEqual(
        (await scene.read(topic)).map(record => record.offset),
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
      )
    },
  },
  {
    name: 'key, value, headers and timestamp come back as they were written',
    run: async scene => {
      const topic = await scene.topic()
      const timestamp = scene.start + 7
      const headers = [
        { key: 'h', value: Buffer.from([0, 255]) },
        { key: 'h', value: null },
        { key: 'ключ', value: Buffer.alloc(0) },
      ]
      await scene.append(topic, [
        { key: Buffer.from([1, 2]), value: Buffer.from([3]), headers, timestamp },
        { key: null, value: null },
        { key: '', value: '' },
      ])
      const records = await scene.read(topic)
      assert.deepEqual(
        records.map(r => [r.key, r.value, r.timestamp, r.headers]),
        [
          [Buffer.from([1, 2]), Buffer.from([3]), timestamp, headers],
          [null, null, scene.start, []],
          [Buffer.alloc(0), Buffer.alloc(0), scene.start, []],
        ],
      )
    },
  },
  {
    name: 'an acknowledged record can be read at once',
    run: async scene => {
      const topic = await scene.topic()
      for (let i = 0; i < 20; i++) {
        const offset = await scene.append(topic, [`${i}`])
        const fetched = await scene.fetch(topic, offset, { maxWaitMs: 0 })
        noError(fetched.error)
        assert.ok(fetched.highWatermark >= offset + 1)
        assert.ok(fetched.records.length > 0)
      }
    },
  },
  {
    name: 'appends that nobody awaited keep the order of their calls',
    run: async scene => {
      const topic = await scene.topic()
      const calls = Array.from({ length: PIPELINED }, (_, i) =>
        scene.appendRaw(topic, 0, scene.batch([`${i}`])),
      )
      const results = await Promise.all(calls)
      assert.deepEqual(
        results.map(result => result.baseOffset),
        results.map((_, i) => i),
      )
      assert.deepEqual(
        await scene.values(topic),
        results.map((_, i) => `${i}`),
      )
    },
  },
  {
    name: 'one call appends to several partitions and topics, each with its own offsets',
    run: async scene => {
      const [a, b] = [await scene.topic(2), await scene.topic()]
      await scene.append(a, ['before'], { partition: 1 })
      const results = await scene.log.append([
        { topic: a, partition: 1, batch: scene.batch(['a1', 'a1']) },
        { topic: b, partition: 0, batch: scene.batch(['b0']) },
        { topic: a, partition: 0, batch: scene.batch(['a0']) },
      ])
      assert.deepEqual(
        results.map(r => [r.error, r.baseOffset]),
        [
          [undefined, 1],
          [undefined, 0],
          [undefined, 0],
        ],
      )
      assert.deepEqual(await scene.values(a, 0), ['a0'])
      assert.deepEqual(await scene.values(a, 1), ['before', 'a1', 'a1'])
      assert.deepEqual(await scene.values(b, 0), ['b0'])
    },
  },
  {
    name: 'a failing entry of an append does not keep the others from being stored',
    run: async scene => {
      const topic = await scene.topic(2)
      const broken = scene.batch(['broken'])
      broken.writeUInt8(broken.readUInt8(60) ^ 1, 60)
      const results = await scene.log.append([
        { topic, partition: 0, batch: scene.batch(['good']) },
        { topic, partition: 1, batch: broken },
      ])
      noError(nth(results, 0).error)
      failed(nth(results, 1), 'CORRUPT_MESSAGE')
      assert.equal(nth(results, 1).baseOffset, -1)
      assert.deepEqual(await scene.values(topic, 0), ['good'])
      assert.deepEqual(await scene.values(topic, 1), [])
    },
  },
  {
    name: 'an append to an unknown topic or partition is refused',
    run: async scene => {
      const topic = await scene.topic(1)
      failed(await scene.appendRaw(topic, 1, scene.batch(['x'])), 'UNKNOWN_TOPIC_OR_PARTITION')
      failed(
        await scene.appendRaw(scene.topicName(), 0, scene.batch(['x'])),
        'UNKNOWN_TOPIC_OR_PARTITION',
      )
    },
  },
  {
    name: 'an append with acks 1 answers with its offset',
    run: async scene => {
      const topic = await scene.topic()
      await scene.append(topic, ['a'])
      const result = await scene.appendRaw(topic, 0, scene.batch(['b']), { acks: 1 })
      noError(result.error)
      assert.equal(result.baseOffset, 1)
      await scene.eventually(async () => {
        assert.deepEqual(await scene.values(topic), ['a', 'b'])
      })
    },
  },
  {
    name: 'an append with acks 0 is stored without being waited for',
    run: async scene => {
      const topic = await scene.topic()
      noError((await scene.appendRaw(topic, 0, scene.batch(['quiet']), { acks: 0 })).error)
      await scene.eventually(async () => {
        assert.deepEqual(await scene.values(topic), ['quiet'])
      })
    },
  },
  {
    name: 'a large batch comes back whole',
    run: async scene => {
      const topic = await scene.topic()
      const value = Buffer.alloc(900_000, 'millrace ')
      await scene.append(topic, [{ value }])
      assert.ok(only(await scene.read(topic)).value?.equals(value))
    },
  },
  {
    name: 'acknowledged records are there after a restart, and offsets go on behind them',
    needs: reopens,
    run: async scene => {
      const topic = await scene.topic(2)
      const values = Array.from({ length: 100 }, (_, i) => `${i}`)
      for (const value of values) await scene.append(topic, [value])
      await scene.append(topic, ['other'], { partition: 1, compression: 'zstd' })
      await scene.reopen()
      assert.deepEqual(await scene.values(topic), values)
      assert.deepEqual(await scene.values(topic, 1), ['other'])
      assert.equal(await scene.append(topic, ['next']), 100)
      await scene.reopen()
      assert.deepEqual(await scene.values(topic), [...values, 'next'])
    },
  },
  {
    name: 'partitions do not see each other’s records',
    run: async scene => {
      const topic = await scene.topic(3)
      for (let i = 0; i < 9; i++) await scene.append(topic, [`${i}`], { partition: i % 3 })
      for (const partition of [0, 1, 2]) {
        assert.deepEqual(
          await scene.values(topic, partition),
          [0, 3, 6].map(i => `${i + partition}`),
        )
      }
    },
  },
]
