/**
 * Fetches: whole batches from any offset, soft byte bounds, long polls that wake, partitions that
 * answer apart from each other.
 */
import assert from 'node:assert/strict'
import type { FetchPosition, FetchRequest } from '@millrace/log'
import { decodeBatches } from '@millrace/log'
import { nth } from '../frame/frame.ts'
import type { CaseSpec } from './case-spec.ts'
import { failed, type LogScene, noError } from './scene.ts'

/** A wait that a case must not sit out. */
const LONG_WAIT_MS = 30_000
/** "At once", on a slow machine. */
const AT_ONCE_MS = 10_000
const BYTES = 1024 * 1024

const request = (positions: readonly FetchPosition[], maxWaitMs = 0): FetchRequest => ({
  positions,
  minBytes: 1,
  maxBytes: BYTES,
  maxWaitMs,
  isolation: 'read_uncommitted',
})

const at = (topic: string, partition: number, offset: number): FetchPosition => ({
  topic,
  partition,
  offset,
  maxBytes: BYTES,
})

const offsetsIn = (records: Buffer): number[] =>
  [...decodeBatches(records)].flatMap(batch => [...batch.records()].map(r => r.offset))

/** Runs a call and tells how long it took. */
async function timed<T>(scene: LogScene, call: () => Promise<T>): Promise<[T, number]> {
  const start = scene.now()
  const result = await call()
  return [result, scene.now() - start]
}

export const fetchCases: readonly CaseSpec[] = [
  {
    name: 'a fetch at the end waits, and answers empty with the high watermark',
    run: async scene => {
      const topic = await scene.topic()
      await scene.append(topic, ['a', 'b'])
      const [result, took] = await timed(scene, () => scene.fetch(topic, 2, { maxWaitMs: 300 }))
      noError(result.error)
      assert.deepEqual([result.records.length, result.highWatermark], [0, 2])
      assert.ok(took >= 250, `it waited ${took} ms of 300`)
    },
  },
  {
    name: 'a fetch that may not wait answers an empty partition at once',
    run: async scene => {
      const topic = await scene.topic()
      const result = await scene.fetch(topic, 0, { maxWaitMs: 0 })
      noError(result.error)
      assert.deepEqual(
        [result.records.length, result.highWatermark, result.logStartOffset],
        [0, 0, 0],
      )
    },
  },
  {
    name: 'the answer names high watermark, last stable offset and log start',
    run: async scene => {
      const topic = await scene.topic()
      await scene.append(topic, ['a', 'b', 'c'])
      const result = await scene.fetch(topic, 0)
      assert.deepEqual(
        [result.topic, result.partition, result.highWatermark, result.lastStableOffset],
        [topic, 0, 3, 3],
      )
      assert.equal(result.logStartOffset, 0)
      assert.deepEqual(result.abortedTransactions, [])
    },
  },
  {
    name: 'an offset inside of a batch brings that batch whole',
    run: async scene => {
      const topic = await scene.topic()
      await scene.append(topic, ['a'])
      await scene.append(topic, ['b', 'c', 'd'], { compression: 'lz4' })
      await scene.append(topic, ['e'])
      for (const offset of [1, 2, 3]) {
        const result = await scene.fetch(topic, offset)
        noError(result.error)
        assert.deepEqual(offsetsIn(result.records).slice(0, 3), [1, 2, 3])
      }
      assert.deepEqual(offsetsIn((await scene.fetch(topic, 4)).records), [4])
    },
  },
  {
    name: 'every offset of a long partition can be fetched',
    run: async scene => {
      const topic = await scene.topic()
      for (let i = 0; i < 40; i++) {
        await scene.append(topic, [`${2 * i}`, `${2 * i + 1}`])
      }
      for (let offset = 0; offset < 80; offset++) {
        const result = await scene.fetch(topic, offset, { partitionMaxBytes: 1 })
        const first = offset - (offset % 2)
        assert.deepEqual(offsetsIn(result.records).slice(0, 2), [first, first + 1])
      }
    },
  },
  {
    name: 'the first batch is returned even if it is larger than the bounds',
    run: async scene => {
      const topic = await scene.topic()
      await scene.append(topic, ['x'.repeat(50_000)])
      for (const bounds of [{ partitionMaxBytes: 100 }, { maxBytes: 100 }]) {
        const result = await scene.fetch(topic, 0, bounds)
        assert.deepEqual(offsetsIn(result.records), [0])
      }
    },
  },
  {
    name: 'an answer keeps to the bytes asked for, past its first batch',
    run: async scene => {
      const topic = await scene.topic()
      for (let i = 0; i < 10; i++) await scene.append(topic, ['x'.repeat(1_000)])
      for (const bounds of [{ partitionMaxBytes: 5_000 }, { maxBytes: 5_000 }]) {
        const { records } = await scene.fetch(topic, 0, bounds)
        assert.ok(records.length <= 5_000, `${records.length} bytes`)
        assert.ok(offsetsIn(records).length >= 1)
      }
    },
  },
  {
    name: 'a reader that follows whole batches sees every record once',
    run: async scene => {
      const topic = await scene.topic()
      for (let i = 0; i < 30; i++) {
        await scene.append(
          topic,
          Array.from({ length: 1 + (i % 4) }, () => 'x'.repeat(300)),
        )
      }
      const seen: number[] = []
      for (let next = 0; next < 73; ) {
        const { records } = await scene.fetch(topic, next, { partitionMaxBytes: 2_000 })
        const offsets = offsetsIn(records)
        assert.equal(offsets[0], next)
        seen.push(...offsets)
        next = (offsets.at(-1) ?? next) + 1
      }
      assert.deepEqual(
        seen,
        Array.from({ length: 73 }, (_, i) => i),
      )
    },
  },
  {
    name: 'an offset behind the end or before the start is out of range',
    run: async scene => {
      const topic = await scene.topic()
      await scene.append(topic, ['a', 'b'])
      for (const offset of [3, 1_000_000]) {
        const result = await scene.fetch(topic, offset, { maxWaitMs: LONG_WAIT_MS })
        failed(result, 'OFFSET_OUT_OF_RANGE')
        assert.equal(result.records.length, 0)
      }
    },
  },
  {
    name: 'an unknown topic or partition is an error, at once',
    run: async scene => {
      const topic = await scene.topic(1)
      const [result, took] = await timed(scene, () =>
        scene.fetch(topic, 0, { partition: 7, maxWaitMs: LONG_WAIT_MS }),
      )
      failed(result, 'UNKNOWN_TOPIC_OR_PARTITION')
      assert.ok(took < AT_ONCE_MS, `it took ${took} ms`)
      failed(await scene.fetch(scene.topicName(), 0), 'UNKNOWN_TOPIC_OR_PARTITION')
    },
  },
  {
    name: 'several partitions are fetched in one call, answers in the order of the positions',
    run: async scene => {
      const [a, b] = [await scene.topic(2), await scene.topic()]
      await scene.append(a, ['a0'])
      await scene.append(a, ['a1', 'a1'], { partition: 1 })
      await scene.append(b, ['b0'])
      const positions = [at(a, 1, 0), at(a, 0, 0), at(b, 0, 0)]
      const results = await scene.log.fetch(request(positions, LONG_WAIT_MS))
      assert.deepEqual(
        results.map(r => [r.topic, r.partition, r.error, offsetsIn(r.records)]),
        [
          [a, 1, undefined, [0, 1]],
          [a, 0, undefined, [0]],
          [b, 0, undefined, [0]],
        ],
      )
    },
  },
  {
    name: 'a failing partition of a fetch does not keep the others from answering',
    run: async scene => {
      const topic = await scene.topic(2)
      await scene.append(topic, ['fine'])
      const results = await scene.log.fetch(
        request([at(topic, 9, 0), at(topic, 1, 99), at(topic, 0, 0)], LONG_WAIT_MS),
      )
      failed(nth(results, 0), 'UNKNOWN_TOPIC_OR_PARTITION')
      failed(nth(results, 1), 'OFFSET_OUT_OF_RANGE')
      noError(nth(results, 2).error)
      assert.deepEqual(offsetsIn(nth(results, 2).records), [0])
    },
  },
  {
    name: 'a waiting fetch wakes as soon as a record comes',
    run: async scene => {
      const topic = await scene.topic(2)
      const waiting = timed(scene, () =>
        scene.log.fetch(request([at(topic, 0, 0), at(topic, 1, 0)], LONG_WAIT_MS)),
      )
      await scene.sleep(100)
      await scene.append(topic, ['woken'], { partition: 1 })
      const [results, took] = await waiting
      assert.deepEqual(offsetsIn(nth(results, 1).records), [0])
      assert.ok(took < AT_ONCE_MS, `it took ${took} ms`)
    },
  },
  {
    name: 'a fetch waits for as many bytes as it asks for',
    run: async scene => {
      const topic = await scene.topic()
      await scene.append(topic, ['x'.repeat(500)])
      const waiting = timed(scene, () =>
        scene.fetch(topic, 0, { minBytes: 1_500, maxWaitMs: LONG_WAIT_MS }),
      )
      await scene.sleep(100)
      await scene.append(topic, ['x'.repeat(500)])
      await scene.sleep(100)
      await scene.append(topic, ['x'.repeat(500)])
      const [result, took] = await waiting
      assert.deepEqual(offsetsIn(result.records), [0, 1, 2])
      assert.ok(took >= 180 && took < AT_ONCE_MS, `it took ${took} ms`)
    },
  },
  {
    name: 'a fetch that waits in vain for bytes answers with what there is',
    run: async scene => {
      const topic = await scene.topic()
      await scene.append(topic, ['a'])
      const [result, took] = await timed(scene, () =>
        scene.fetch(topic, 0, { minBytes: 100_000, maxWaitMs: 300 }),
      )
      assert.deepEqual(offsetsIn(result.records), [0])
      assert.ok(took >= 250, `it waited ${took} ms of 300`)
    },
  },
  {
    name: 'many fetches wait at once and all wake',
    run: async scene => {
      const topic = await scene.topic()
      const waiting = Array.from({ length: 20 }, () =>
        scene.fetch(topic, 0, { maxWaitMs: LONG_WAIT_MS }),
      )
      await scene.sleep(50)
      await scene.append(topic, ['for all'])
      for (const result of await Promise.all(waiting)) {
        assert.deepEqual(offsetsIn(result.records), [0])
      }
    },
  },
  {
    name: 'an abort signal ends the wait',
    run: async scene => {
      const topic = await scene.topic()
      const stop = new AbortController()
      const waiting = timed(scene, () =>
        scene.fetch(topic, 0, { maxWaitMs: LONG_WAIT_MS, signal: stop.signal }),
      )
      await scene.sleep(50)
      stop.abort()
      const [result, took] = await waiting
      noError(result.error)
      assert.equal(result.records.length, 0)
      assert.ok(took < AT_ONCE_MS, `it took ${took} ms`)
    },
  },
  {
    name: 'an aborted signal keeps a fetch from waiting, and what there is comes',
    run: async scene => {
      const topic = await scene.topic()
      await scene.append(topic, ['there'])
      const result = await scene.fetch(topic, 0, {
        maxWaitMs: LONG_WAIT_MS,
        minBytes: 100_000,
        signal: AbortSignal.abort(),
      })
      noError(result.error)
      assert.deepEqual(offsetsIn(result.records), [0])
    },
  },
  {
    name: 'deleting a topic ends the fetches that wait for it',
    run: async scene => {
      const topic = await scene.topic()
      const waiting = timed(scene, () => scene.fetch(topic, 0, { maxWaitMs: LONG_WAIT_MS }))
      await scene.sleep(50)
      await scene.log.deleteTopics([topic])
      const [result, took] = await waiting
      failed(result, 'UNKNOWN_TOPIC_OR_PARTITION', 'NOT_LEADER_OR_FOLLOWER')
      assert.ok(took < AT_ONCE_MS, `it took ${took} ms`)
    },
  },
  {
    name: 'a leader epoch that the partition does not have is refused, its own is taken',
    run: async scene => {
      const topic = await scene.topic()
      await scene.append(topic, ['a'])
      const { leaderEpoch } = nth((await scene.log.describeTopics([topic]))[0]?.partitions ?? [], 0)
      noError((await scene.fetch(topic, 0, { leaderEpoch })).error)
      failed(await scene.fetch(topic, 0, { leaderEpoch: leaderEpoch + 10 }), 'UNKNOWN_LEADER_EPOCH')
    },
  },
  {
    name: 'committed reading of a log without transactions shows everything',
    run: async scene => {
      const topic = await scene.topic()
      await scene.append(topic, ['a', 'b'])
      const result = await scene.fetch(topic, 0, { isolation: 'read_committed' })
      noError(result.error)
      assert.deepEqual(offsetsIn(result.records), [0, 1])
      assert.equal(result.lastStableOffset, 2)
    },
  },
]
