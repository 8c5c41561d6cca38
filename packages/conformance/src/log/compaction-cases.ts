/**
 * Compaction: the last value of each key stays at its offset, what it replaces goes, and nobody who
 * reads, asks for a time or produces notices anything else.
 *
 * A segment that is being written is never cleaned: the cases ask for short segments, and go on
 * writing until the one that matters has been closed and cleaned.
 */
import assert from 'node:assert/strict'
import type { NewRecord } from '@millrace/log'
import { RecordBatch } from '@millrace/log'
import type { CaseSpec } from './case-spec.ts'
import type { LogFeatures } from './factory.ts'
import { failed, type LogScene, noError, only } from './scene.ts'

/** A segment is closed by the first append after this time. */
const SEGMENT_MS = 100
const FILLER = 'filler'

const CLEANED_SOON: Readonly<Record<string, string>> = {
  'cleanup.policy': 'compact',
  'min.cleanable.dirty.ratio': '0',
  'segment.ms': String(SEGMENT_MS),
  'delete.retention.ms': '100',
}

const cleans = (features: LogFeatures): boolean =>
  features.compactedTopics && features.cleansSoon === true

/** Writes to a compacted topic; time passes between its appends, by the log's clock and the records'. */
class CompactedTopic {
  readonly #scene: LogScene
  readonly name: string
  #time: number

  constructor(scene: LogScene, name: string) {
    this.#scene = scene
    this.name = name
    this.#time = scene.start
  }

  static async create(
    scene: LogScene,
    configs: Readonly<Record<string, string>> = {},
  ): Promise<CompactedTopic> {
    return new CompactedTopic(scene, await scene.topic(1, { ...CLEANED_SOON, ...configs }))
  }

  /** Appends a batch into a segment that nothing else is written to. */
  async put(records: readonly NewRecord[], options: Parameters<LogScene['batch']>[1] = {}) {
    const offset = await this.#scene.append(this.name, records, {
      timestamp: this.tick(),
      ...options,
    })
    await this.#scene.sleep(2 * SEGMENT_MS)
    return offset
  }

  /** The timestamp of the next batch: later than a segment may last. */
  tick(): number {
    this.#time += 10 * SEGMENT_MS
    return this.#time
  }

  /** Keys, values and offsets, without the filler. */
  async content(from = 0): Promise<(readonly [string, string | null, number])[]> {
    const records = await this.#scene.read(this.name, 0, from)
    return records
      .filter(({ key }) => String(key) !== FILLER)
      .map(({ key, value, offset }) => [String(key), value === null ? null : String(value), offset])
  }

  /** Goes on writing until what is left is this. */
  async becomes(content: readonly (readonly [string, string | null, number])[]): Promise<void> {
    await this.#scene.eventually(async () => {
      await this.put([{ key: FILLER, value: 'x' }])
      assert.deepEqual(await this.content(), content)
    })
  }
}

/** Cases about compaction. */
export const compactionCases: readonly CaseSpec[] = [
  {
    name: 'cleaning leaves the last value of each key, at its offset',
    needs: cleans,
    run: async scene => {
      const topic = await CompactedTopic.create(scene)
      await topic.put([
        { key: 'a', value: '1' },
        { key: 'b', value: '1' },
        { key: 'a', value: '2' },
      ])
      await topic.put([{ key: 'c', value: '1' }])
      await topic.put([{ key: 'a', value: '3' }])
      await topic.becomes([
        ['b', '1', 1],
        ['c', '1', 3],
        ['a', '3', 4],
      ])
    },
  },
  {
    name: 'a read at an offset that cleaning has taken goes on with the next record',
    needs: cleans,
    run: async scene => {
      const topic = await CompactedTopic.create(scene)
      for (const value of ['1', '2', '3']) await topic.put([{ key: 'a', value }])
      await topic.becomes([['a', '3', 2]])
      for (const from of [0, 1, 2]) assert.deepEqual(await topic.content(from), [['a', '3', 2]])
      const earliest = { topic: topic.name, partition: 0, place: 'earliest' } as const
      assert.equal(only(await scene.log.listOffsets([earliest])).offset, 0)
    },
  },
  {
    name: 'the time of a record that cleaning has taken leads to the next record',
    needs: cleans,
    run: async scene => {
      const topic = await CompactedTopic.create(scene)
      const first = topic.tick()
      await topic.put([{ key: 'a', value: '1' }], { timestamp: first })
      await topic.put([{ key: 'a', value: '2' }])
      await topic.becomes([['a', '2', 1]])
      const query = { topic: topic.name, partition: 0, place: first }
      const answer = only(await scene.log.listOffsets([query]))
      assert.equal(answer.offset, 1)
      assert.ok(answer.timestamp > first)
    },
  },
  {
    name: 'a tombstone takes its key away, and goes itself after delete.retention.ms',
    needs: cleans,
    run: async scene => {
      const topic = await CompactedTopic.create(scene)
      await topic.put([{ key: 'a', value: '1' }])
      await topic.put([{ key: 'b', value: '1' }])
      await topic.put([{ key: 'a', value: null }])
      await topic.becomes([['b', '1', 1]])
    },
  },
  {
    name: 'a tombstone stays for delete.retention.ms',
    needs: cleans,
    run: async scene => {
      const topic = await CompactedTopic.create(scene, { 'delete.retention.ms': '3600000' })
      await topic.put([{ key: 'a', value: '1' }])
      await topic.put([{ key: 'a', value: null, timestamp: topic.tick() }])
      await topic.becomes([['a', null, 1]])
      const tombstone = only((await scene.read(topic.name, 0, 1)).filter(r => r.offset === 1))
      // Its batch now carries the time when it may go; its own time is as it was.
      assert.equal(tombstone.timestamp, scene.start + 20 * SEGMENT_MS)
    },
  },
  {
    name: 'a cleaned batch keeps its codec, its offsets and the times of its records',
    needs: cleans,
    run: async scene => {
      const topic = await CompactedTopic.create(scene)
      const at = topic.tick()
      const records = [
        { key: 'a', value: '1', timestamp: at },
        { key: 'b', value: '1', timestamp: at + 1 },
        { key: 'c', value: '1', timestamp: at + 2, headers: [{ key: 'h', value: 'x' }] },
        { key: 'a', value: '2', timestamp: at + 3 },
      ]
      await topic.put(records, { compression: 'gzip' })
      await topic.put([{ key: 'b', value: '2' }])
      await topic.becomes([
        ['c', '1', 2],
        ['a', '2', 3],
        ['b', '2', 4],
      ])
      const batch = new RecordBatch((await scene.fetch(topic.name, 0)).records)
      assert.deepEqual([batch.baseOffset, batch.lastOffset, batch.compression], [0, 3, 'gzip'])
      const times = [...batch.records()].map(({ timestamp }) => timestamp - at)
      assert.deepEqual(times, [2, 3])
      assert.equal(only([...batch.records()][0]?.headers ?? []).key, 'h')
    },
  },
  {
    name: 'a producer goes on where it was when its records have been cleaned away',
    needs: cleans,
    run: async scene => {
      const topic = await CompactedTopic.create(scene)
      const producer = await scene.log.initProducer({ transactionalId: null })
      const batchOf = (value: string, baseSequence: number) =>
        scene.batch([{ key: 'a', value }], { producer, baseSequence, timestamp: topic.tick() })
      const last = batchOf('2', 1)
      for (const batch of [batchOf('1', 0), last]) {
        noError((await scene.appendRaw(topic.name, 0, Buffer.from(batch))).error)
        await scene.sleep(2 * SEGMENT_MS)
      }
      await topic.put([{ key: 'a', value: '3' }])
      await topic.becomes([['a', '3', 2]])
      const again = await scene.appendRaw(topic.name, 0, Buffer.from(last))
      noError(again.error)
      assert.equal(again.baseOffset, 1)
      failed(await scene.appendRaw(topic.name, 0, batchOf('5', 3)), 'OUT_OF_ORDER_SEQUENCE_NUMBER')
      noError((await scene.appendRaw(topic.name, 0, batchOf('4', 2))).error)
    },
  },
  {
    name: 'records of a topic that is compacted and deleted can be deleted by offset',
    needs: features => features.compactedTopics,
    run: async scene => {
      const topic = await scene.topic(1, { 'cleanup.policy': 'compact,delete' })
      await scene.append(topic, [
        { key: 'a', value: '1' },
        { key: 'b', value: '1' },
      ])
      const outcome = only(await scene.log.deleteRecords([{ topic, partition: 0, offset: 1 }]))
      noError(outcome.error)
      assert.equal(outcome.lowWatermark, 1)
      assert.equal(only(await scene.read(topic, 0, 1)).offset, 1)
    },
  },
  {
    name: 'a minimal compaction lag beyond the maximal one is refused',
    needs: features => features.compactedTopics,
    run: async scene => {
      const configs = { 'min.compaction.lag.ms': '2000', 'max.compaction.lag.ms': '1000' }
      const name = scene.topicName()
      const outcome = only(await scene.log.createTopics([{ name, partitions: 1, configs }]))
      failed(outcome, 'INVALID_CONFIG')
    },
  },
]
