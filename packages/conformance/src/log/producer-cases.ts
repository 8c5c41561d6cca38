/**
 * Idempotent producers (KIP-98, KIP-360): a repeated batch is stored once and answered as the first
 * time; what is out of order is refused.
 */
import assert from 'node:assert/strict'
import type { AppendResult, ProducerIdentity } from '@millrace/log'
import { type CaseSpec, reopens } from './case-spec.ts'
import { failed, type LogScene, noError, throws } from './scene.ts'

const SEQUENCE_MAX = 2 ** 31 - 1
/** Batches that are remembered for each producer and partition. */
const REMEMBERED = 5

const init = (scene: LogScene): Promise<ProducerIdentity> =>
  scene.log.initProducer({ transactionalId: null })

/** Appends `values` as a batch of a producer, whatever the outcome. */
const send = (
  scene: LogScene,
  topic: string,
  producer: ProducerIdentity,
  baseSequence: number,
  values: readonly string[] = [`${baseSequence}`],
  partition = 0,
): Promise<AppendResult> =>
  scene.appendRaw(topic, partition, scene.batch(values, { producer, baseSequence }))

/** Appends a batch that must be taken; its offset. */
async function sent(...args: Parameters<typeof send>): Promise<number> {
  const result = await send(...args)
  noError(result.error)
  return result.baseOffset
}

const nextEpoch = (producer: ProducerIdentity): ProducerIdentity => ({
  producerId: producer.producerId,
  producerEpoch: producer.producerEpoch + 1,
})

export const producerCases: readonly CaseSpec[] = [
  {
    name: 'every producer gets an id of its own',
    run: async scene => {
      const producers = await Promise.all(Array.from({ length: 20 }, () => init(scene)))
      assert.equal(new Set(producers.map(p => p.producerId)).size, 20)
      for (const { producerId, producerEpoch } of producers) {
        assert.ok(producerId >= 0 && producerEpoch >= 0)
      }
    },
  },
  {
    name: 'a producer that goes on gets a newer epoch or another id',
    run: async scene => {
      const current = await init(scene)
      const next = await scene.log.initProducer({ transactionalId: null, current })
      assert.ok(
        next.producerId !== current.producerId || next.producerEpoch > current.producerEpoch,
      )
    },
  },
  {
    name: 'a producer with a transactional id is refused where transactions are not served',
    needs: features => features.refusesTransactions,
    run: async scene => {
      await throws(
        () => scene.log.initProducer({ transactionalId: 'tx', transactionTimeoutMs: 60_000 }),
        'UNSUPPORTED_VERSION',
      )
      assert.equal(scene.log.transactions, undefined)
    },
  },
  {
    name: 'a batch sent twice is stored once and has its first offset both times',
    run: async scene => {
      const topic = await scene.topic()
      const producer = await init(scene)
      assert.equal(await sent(scene, topic, producer, 0, ['a', 'b']), 0)
      assert.equal(await sent(scene, topic, producer, 0, ['a', 'b']), 0)
      assert.equal(await sent(scene, topic, producer, 2, ['c']), 2)
      assert.equal(await sent(scene, topic, producer, 0, ['a', 'b']), 0)
      assert.deepEqual(await scene.values(topic), ['a', 'b', 'c'])
    },
  },
  {
    name: 'a batch sent twice at once is stored once',
    run: async scene => {
      const topic = await scene.topic()
      const producer = await init(scene)
      const results = await Promise.all([
        send(scene, topic, producer, 0, ['a']),
        send(scene, topic, producer, 0, ['a']),
        send(scene, topic, producer, 1, ['b']),
        send(scene, topic, producer, 1, ['b']),
      ])
      for (const result of results) noError(result.error)
      assert.deepEqual(
        results.map(result => result.baseOffset),
        [0, 0, 1, 1],
      )
      assert.deepEqual(await scene.values(topic), ['a', 'b'])
    },
  },
  {
    name: 'the last five batches of a producer are remembered',
    run: async scene => {
      const topic = await scene.topic()
      const producer = await init(scene)
      for (let i = 0; i < REMEMBERED; i++) await sent(scene, topic, producer, i)
      for (let i = 0; i < REMEMBERED; i++) {
        assert.equal(await sent(scene, topic, producer, i), i)
      }
      assert.equal((await scene.read(topic)).length, REMEMBERED)
    },
  },
  {
    name: 'a batch older than the remembered ones is not stored again',
    run: async scene => {
      const topic = await scene.topic()
      const producer = await init(scene)
      for (let i = 0; i <= REMEMBERED; i++) await sent(scene, topic, producer, i)
      failed(
        await send(scene, topic, producer, 0),
        'OUT_OF_ORDER_SEQUENCE_NUMBER',
        'DUPLICATE_SEQUENCE_NUMBER',
      )
      assert.equal((await scene.read(topic)).length, REMEMBERED + 1)
    },
  },
  {
    name: 'a gap in the sequence is refused, and the missing batch is still taken',
    run: async scene => {
      const topic = await scene.topic()
      const producer = await init(scene)
      await sent(scene, topic, producer, 0)
      failed(await send(scene, topic, producer, 2), 'OUT_OF_ORDER_SEQUENCE_NUMBER')
      await sent(scene, topic, producer, 1)
      await sent(scene, topic, producer, 2)
      assert.deepEqual(await scene.values(topic), ['0', '1', '2'])
    },
  },
  {
    name: 'a batch that repeats a part of another is refused',
    run: async scene => {
      const topic = await scene.topic()
      const producer = await init(scene)
      await sent(scene, topic, producer, 0, ['a', 'b', 'c'])
      failed(
        await send(scene, topic, producer, 1, ['b', 'c']),
        'OUT_OF_ORDER_SEQUENCE_NUMBER',
        'DUPLICATE_SEQUENCE_NUMBER',
      )
      assert.deepEqual(await scene.values(topic), ['a', 'b', 'c'])
    },
  },
  {
    name: 'a refused batch does not use up its sequence number',
    run: async scene => {
      const topic = await scene.topic()
      const producer = await init(scene)
      const broken = scene.batch(['x'], { producer, baseSequence: 0 })
      broken.writeUInt8(broken.readUInt8(40) ^ 1, 40)
      failed(await scene.appendRaw(topic, 0, broken), 'CORRUPT_MESSAGE')
      assert.equal(await sent(scene, topic, producer, 0), 0)
    },
  },
  {
    name: 'sequences are counted for each partition apart',
    run: async scene => {
      const topic = await scene.topic(2)
      const producer = await init(scene)
      await sent(scene, topic, producer, 0, ['a'], 0)
      await sent(scene, topic, producer, 0, ['b'], 1)
      await sent(scene, topic, producer, 1, ['c'], 1)
      await sent(scene, topic, producer, 1, ['d'], 0)
      assert.deepEqual(await scene.values(topic, 0), ['a', 'd'])
      assert.deepEqual(await scene.values(topic, 1), ['b', 'c'])
    },
  },
  {
    name: 'sequences are counted for each producer apart',
    run: async scene => {
      const topic = await scene.topic()
      const [a, b] = [await init(scene), await init(scene)]
      await sent(scene, topic, a, 0, ['a0'])
      await sent(scene, topic, b, 0, ['b0'])
      await sent(scene, topic, a, 1, ['a1'])
      await sent(scene, topic, b, 1, ['b1'])
      assert.deepEqual(await scene.values(topic), ['a0', 'b0', 'a1', 'b1'])
    },
  },
  {
    name: 'batches of a producer that nobody awaited keep their order',
    run: async scene => {
      const topic = await scene.topic()
      const producer = await init(scene)
      const results = await Promise.all(
        Array.from({ length: REMEMBERED }, (_, i) => send(scene, topic, producer, i)),
      )
      assert.deepEqual(
        results.map(r => [r.error?.code, r.baseOffset]),
        results.map((_, i) => [undefined, i]),
      )
    },
  },
  {
    name: 'a newer epoch begins at sequence 0 and shuts out the older one',
    run: async scene => {
      const topic = await scene.topic()
      const producer = await init(scene)
      await sent(scene, topic, producer, 0, ['old'])
      const newer = nextEpoch(producer)
      failed(await send(scene, topic, newer, 1), 'OUT_OF_ORDER_SEQUENCE_NUMBER')
      await sent(scene, topic, newer, 0, ['new'])
      failed(await send(scene, topic, producer, 1), 'INVALID_PRODUCER_EPOCH')
      await sent(scene, topic, newer, 1, ['newer'])
      assert.deepEqual(await scene.values(topic), ['old', 'new', 'newer'])
    },
  },
  {
    name: 'after the largest sequence number comes 0',
    run: async scene => {
      const topic = await scene.topic()
      const producer = await init(scene)
      await sent(scene, topic, producer, SEQUENCE_MAX - 1, ['a', 'b'])
      await sent(scene, topic, producer, 0, ['c'])
      assert.equal(await sent(scene, topic, producer, SEQUENCE_MAX - 1, ['a', 'b']), 0)
      failed(await send(scene, topic, producer, 2), 'OUT_OF_ORDER_SEQUENCE_NUMBER')
      await sent(scene, topic, producer, 1, ['d'])
      assert.deepEqual(await scene.values(topic), ['a', 'b', 'c', 'd'])
    },
  },
  {
    name: 'a batch may reach over the largest sequence number',
    run: async scene => {
      const topic = await scene.topic()
      const producer = await init(scene)
      await sent(scene, topic, producer, SEQUENCE_MAX - 1, ['a', 'b', 'c', 'd'])
      assert.equal(await sent(scene, topic, producer, SEQUENCE_MAX - 1, ['a', 'b', 'c', 'd']), 0)
      await sent(scene, topic, producer, 2, ['e'])
      assert.equal((await scene.read(topic)).length, 5)
    },
  },
  {
    name: 'a batch without a producer is stored as often as it is sent',
    run: async scene => {
      const topic = await scene.topic()
      for (let i = 0; i < 3; i++) assert.equal(await scene.append(topic, ['same']), i)
    },
  },
  {
    name: 'after a restart the last batch repeated is still known, and a gap still refused',
    needs: reopens,
    run: async scene => {
      const topic = await scene.topic()
      const producer = await init(scene)
      for (let i = 0; i < REMEMBERED; i++) await sent(scene, topic, producer, i)
      await scene.reopen()
      assert.equal(await sent(scene, topic, producer, REMEMBERED - 1), REMEMBERED - 1)
      failed(await send(scene, topic, producer, REMEMBERED + 1), 'OUT_OF_ORDER_SEQUENCE_NUMBER')
      assert.equal(await sent(scene, topic, producer, REMEMBERED), REMEMBERED)
      assert.equal((await scene.read(topic)).length, REMEMBERED + 1)
    },
  },
  {
    name: 'after a restart the last five batches of a producer are still remembered',
    // Apache Kafka keeps only the last one in its snapshots.
    needs: (features, factory) =>
      (features.batchesSurviveRestart ?? true) && reopens(features, factory),
    run: async scene => {
      const topic = await scene.topic()
      const producer = await init(scene)
      for (let i = 0; i < REMEMBERED; i++) await sent(scene, topic, producer, i)
      await scene.reopen()
      for (let i = 0; i < REMEMBERED; i++) {
        assert.equal(await sent(scene, topic, producer, i), i)
      }
      assert.equal((await scene.read(topic)).length, REMEMBERED)
    },
  },
  {
    name: 'after a restart an older epoch of a producer is still shut out',
    needs: reopens,
    run: async scene => {
      const topic = await scene.topic()
      const producer = await init(scene)
      await sent(scene, topic, producer, 0, ['old'])
      await sent(scene, topic, nextEpoch(producer), 0, ['new'])
      await scene.reopen()
      failed(await send(scene, topic, producer, 1), 'INVALID_PRODUCER_EPOCH')
      await sent(scene, topic, nextEpoch(producer), 1, ['newer'])
      assert.deepEqual(await scene.values(topic), ['old', 'new', 'newer'])
    },
  },
  {
    name: 'producer ids given out before a restart are not given out again',
    needs: reopens,
    run: async scene => {
      const before = [await init(scene), await init(scene)].map(p => p.producerId)
      await scene.reopen()
      const after = [await init(scene), await init(scene)].map(p => p.producerId)
      assert.equal(new Set([...before, ...after]).size, 4)
    },
  },
]
