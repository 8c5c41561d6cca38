// @confluentinc/kafka-javascript (librdkafka 2.x, built from source) against a node: a recent
// librdkafka through the promise interface that most Node users take.
import { afterEach, describe, expect, it } from 'vitest'
import { fetchConfluent } from '../../scripts/peers/confluent.ts'
import { uniqueName, useBroker } from '../support/broker.ts'
import {
  type ConfluentAdmin,
  type ConfluentConsumer,
  type ConfluentKafka,
  type ConfluentMessage,
  confluentKafka,
} from '../support/confluent.ts'
import { usePeer } from '../support/peers.ts'
import { createTopic } from '../support/topics.ts'
import { sleep, until } from '../support/wait.ts'

usePeer(await fetchConfluent())
const broker = useBroker()
const client = (): ConfluentKafka => confluentKafka(broker.bootstrap)

const open: ConfluentConsumer[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map(consumer => consumer.disconnect()))
})

const newConsumer = async (
  groupId: string,
  config: Readonly<Record<string, unknown>> = {},
): Promise<ConfluentConsumer> => {
  const consumer = client().consumer({
    kafkaJS: { groupId, fromBeginning: true, ...config },
    'fetch.wait.max.ms': 100,
  })
  open.push(consumer)
  await consumer.connect()
  return consumer
}

const withAdmin = async <T>(work: (admin: ConfluentAdmin) => Promise<T>): Promise<T> => {
  const admin = client().admin()
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}

const newTopic = (partitions: number): Promise<string> =>
  createTopic(broker.bootstrap, uniqueName('confluent'), partitions)

const numbered = (count: number, from = 0): { key: string; value: string }[] =>
  Array.from({ length: count }, (_, i) => ({
    key: `key-${(from + i) % 11}`,
    value: `value ${from + i} ${'x'.repeat(100)}`,
  }))

const values = (list: readonly { value: unknown }[]): string[] =>
  list.map(each => String(each.value)).sort()

const produce = async (
  topic: string,
  messages: { key?: string | null; value: string | null; partition?: number; timestamp?: string }[],
  config: Readonly<Record<string, unknown>> = {},
) => {
  const producer = client().producer(config)
  await producer.connect()
  try {
    return await producer.send({ topic, messages })
  } finally {
    await producer.disconnect()
  }
}

const readAll = async (topic: string, count: number): Promise<ConfluentMessage[]> => {
  const consumer = await newConsumer(uniqueName('reader'))
  await consumer.subscribe({ topics: [topic] })
  const messages: ConfluentMessage[] = []
  await consumer.run({ eachMessage: async ({ message }) => void messages.push(message) })
  await until(`${count} records of ${topic}`, () => messages.length >= count)
  return messages
}

describe('@confluentinc/kafka-javascript admin', () => {
  it('creates, lists, describes and deletes topics', async () => {
    await withAdmin(async admin => {
      const topic = uniqueName('admin')
      expect(await admin.createTopics({ topics: [{ topic, numPartitions: 4 }] })).toBe(true)
      expect(await admin.createTopics({ topics: [{ topic, numPartitions: 4 }] })).toBe(false)
      await until('the topic is listed', async () => (await admin.listTopics()).includes(topic))
      const [found] = await admin.fetchTopicMetadata({ topics: [topic] })
      expect(found?.partitions.map(each => each.partitionId).sort()).toEqual([0, 1, 2, 3])
      await admin.deleteTopics({ topics: [topic] })
      await until('the topic is gone', async () => !(await admin.listTopics()).includes(topic))
    })
  })

  it('finds offsets, also by time, and deletes records below an offset', async () => {
    const topic = await newTopic(1)
    const base = Date.now() - 100_000
    for (let i = 0; i < 5; i++) {
      await produce(topic, [{ value: `v${i}`, timestamp: String(base + i * 1000) }])
    }
    await withAdmin(async admin => {
      expect(await admin.fetchTopicOffsets(topic)).toMatchObject([{ low: '0', high: '5' }])
      const [byTime] = await admin.fetchTopicOffsetsByTimestamp(topic, base + 1500)
      expect(byTime?.offset).toBe('2')
      const deleted = await admin.deleteTopicRecords({
        topic,
        partitions: [{ partition: 0, offset: '3' }],
      })
      expect(deleted[0]?.lowWatermark).toBe(3)
      expect(await admin.fetchTopicOffsets(topic)).toMatchObject([{ low: '3', high: '5' }])
    })
    expect(values(await readAll(topic, 2))).toEqual(['v3', 'v4'])
  })

  it('lists, describes and deletes groups and reads what they committed', async () => {
    const topic = await newTopic(1)
    const groupId = uniqueName('group')
    await produce(topic, numbered(10))
    const consumer = await newConsumer(groupId, { autoCommit: false })
    await consumer.subscribe({ topics: [topic] })
    let seen = 0
    await consumer.run({ eachMessage: async () => void seen++ })
    await until('ten records', () => seen === 10)
    await consumer.commitOffsets([{ topic, partition: 0, offset: '6' }])
    await withAdmin(async admin => {
      expect((await admin.listGroups()).groups.map(each => each.groupId)).toContain(groupId)
      const [group] = (await admin.describeGroups([groupId])).groups
      expect(group?.members.length).toBe(1)
      const offsets = await admin.fetchOffsets({ groupId, topics: [topic] })
      expect(offsets[0]?.partitions).toMatchObject([{ partition: 0, offset: '6' }])
      await consumer.disconnect()
      open.splice(0)
      await admin.deleteGroups([groupId])
      expect((await admin.listGroups()).groups.map(each => each.groupId)).not.toContain(groupId)
    })
  })
})

describe('@confluentinc/kafka-javascript producer and consumer', () => {
  for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
    it(`reads back what it wrote with compression ${codec}`, async () => {
      const topic = await newTopic(3)
      const messages = numbered(1000)
      const written = await produce(topic, messages, { 'compression.codec': codec })
      expect(written.every(each => each.errorCode === 0)).toBe(true)
      const back = await readAll(topic, messages.length)
      expect(values(back)).toEqual(values(messages))
    })
  }

  it('keeps keys, headers, timestamps and tombstones', async () => {
    const topic = await newTopic(1)
    const producer = client().producer()
    await producer.connect()
    await producer.send({
      topic,
      messages: [
        { key: 'a', value: 'one', headers: { trace: '42' }, timestamp: '1700000000123' },
        { key: null, value: 'two' },
        { key: 'c', value: null },
      ],
    })
    await producer.disconnect()
    const [first, second, third] = await readAll(topic, 3)
    expect([String(first?.key), first?.timestamp]).toEqual(['a', '1700000000123'])
    expect(String(first?.headers?.['trace'])).toBe('42')
    expect([second?.key ?? null, String(second?.value)]).toEqual([null, 'two'])
    expect([String(third?.key), third?.value]).toEqual(['c', null])
  })

  it('stores each record once as an idempotent producer, in order', async () => {
    const topic = await newTopic(2)
    const messages = numbered(2000)
    await produce(topic, messages, { kafkaJS: { idempotent: true }, 'batch.num.messages': 20 })
    const back = await readAll(topic, messages.length)
    expect(values(back)).toEqual(values(messages))
    const ofKey = (list: readonly { key?: unknown; value: unknown }[]): string[] =>
      list.filter(each => String(each.key) === 'key-3').map(each => String(each.value))
    expect(ofKey(back)).toEqual(ofKey(messages))
  })

  it('goes on from the committed offset', async () => {
    const topic = await newTopic(1)
    const groupId = uniqueName('group')
    await produce(topic, numbered(10))
    const first = await newConsumer(groupId, { autoCommit: false })
    await first.subscribe({ topics: [topic] })
    let seen = 0
    await first.run({ eachMessage: async () => void seen++ })
    await until('ten records', () => seen === 10)
    await first.commitOffsets([{ topic, partition: 0, offset: '7' }])
    const committed = await first.committed([{ topic, partition: 0 }], 5_000)
    expect(committed[0]?.offset).toBe('7')
    await first.disconnect()
    open.splice(0)
    const second = await newConsumer(groupId)
    await second.subscribe({ topics: [topic] })
    const offsets: string[] = []
    await second.run({ eachMessage: async ({ message }) => void offsets.push(message.offset) })
    await until('three records', () => offsets.length >= 3)
    expect(offsets).toEqual(['7', '8', '9'])
  })

  it('seeks and pauses', async () => {
    const topic = await newTopic(1)
    await produce(topic, numbered(20))
    const consumer = await newConsumer(uniqueName('group'))
    await consumer.subscribe({ topics: [topic] })
    const offsets: number[] = []
    await consumer.run({
      eachMessage: async ({ message }) => void offsets.push(Number(message.offset)),
    })
    await until('all records once', () => offsets.length === 20)
    consumer.seek({ topic, partition: 0, offset: '15' })
    await until('the last five again', () => offsets.length === 25)
    expect(offsets.slice(20)).toEqual([15, 16, 17, 18, 19])
    consumer.pause([{ topic }])
    await produce(topic, numbered(5, 20))
    await sleep(500)
    expect(offsets.length).toBe(25)
    consumer.resume([{ topic }])
    await until('five more', () => offsets.length === 30)
    expect(offsets.slice(25)).toEqual([20, 21, 22, 23, 24])
  })

  for (const strategy of ['roundrobin', 'range', 'cooperative-sticky']) {
    it(`shares the partitions among three members (${strategy}), and again when one leaves`, async () => {
      const topic = await newTopic(6)
      const groupId = uniqueName('group')
      const seen = new Set<string>()
      const join = async (): Promise<ConfluentConsumer> => {
        const consumer = client().consumer({
          kafkaJS: { groupId, fromBeginning: true },
          'fetch.wait.max.ms': 100,
          'partition.assignment.strategy': strategy,
        })
        open.push(consumer)
        await consumer.connect()
        await consumer.subscribe({ topics: [topic] })
        await consumer.run({
          eachMessage: async ({ message }) => void seen.add(String(message.value)),
        })
        return consumer
      }
      const members = [await join(), await join(), await join()]
      const spread = (): string =>
        members
          .map(each => each.assignment().length)
          .sort()
          .join()
      await until('two partitions each', () => spread() === '2,2,2')
      await produce(topic, numbered(300))
      await until('all records', () => seen.size === 300)
      await members.shift()?.disconnect()
      open.shift()
      await until('three partitions each', () => spread() === '3,3')
      await produce(topic, numbered(300, 300))
      await until('all records', () => seen.size === 600)
    })
  }
})
