// @platformatic/kafka 2.x against a node: a client that speaks only recent protocol versions.
import { randomUUID } from 'node:crypto'
import {
  Admin,
  ConfigResourceTypes,
  Consumer,
  ListOffsetTimestamps,
  Producer,
  stringDeserializers,
  stringSerializers,
} from '@platformatic/kafka'
import { afterEach, describe, expect, it } from 'vitest'
import { uniqueName, useBroker } from '../support/broker.ts'
import { createTopic } from '../support/topics.ts'
import { until } from '../support/wait.ts'

const broker = useBroker()
const base = () => ({ clientId: 'platformatic', bootstrapBrokers: [broker.bootstrap] })

type StringConsumer = Consumer<string, string, string, string>
const open: { close(): Promise<void> }[] = []
const consumers: StringConsumer[] = []
afterEach(async () => {
  await Promise.all(consumers.splice(0).map(each => each.close(true)))
  await Promise.all(open.splice(0).map(each => each.close()))
})

const newAdmin = (): Admin => {
  const admin = new Admin(base())
  open.push(admin)
  return admin
}

const newProducer = (): Producer<string, string, string, string> => {
  const producer = new Producer({ ...base(), serializers: stringSerializers })
  open.push(producer)
  return producer
}

const newConsumer = (groupId: string): StringConsumer => {
  const consumer = new Consumer({
    ...base(),
    groupId,
    deserializers: stringDeserializers,
    sessionTimeout: 10_000,
    rebalanceTimeout: 10_000,
    heartbeatInterval: 300,
    maxWaitTime: 100,
  })
  consumers.push(consumer)
  return consumer
}

const newTopic = (partitions: number): Promise<string> =>
  createTopic(broker.bootstrap, uniqueName('platformatic'), partitions)

const numbered = (topic: string, count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => ({
    topic,
    key: `key-${(from + i) % 11}`,
    value: `value ${from + i} ${'x'.repeat(100)}`,
  }))

interface Read {
  readonly key: string | undefined
  readonly value: string | undefined
  readonly partition: number
  readonly offset: bigint
  readonly timestamp: bigint
  readonly headers: ReadonlyMap<string, string>
}

/** Consumes into a list until the consumer is closed. */
const listen = async (
  consumer: StringConsumer,
  topic: string,
  mode: 'earliest' | 'committed' = 'earliest',
): Promise<Read[]> => {
  const stream = await consumer.consume({
    topics: [topic],
    mode,
    fallbackMode: 'earliest',
    autocommit: true,
  })
  const messages: Read[] = []
  stream.on('data', message => messages.push(message as unknown as Read))
  stream.on('error', () => {
    // A stream that is closed while it fetches says so; the test's own wait tells what is missing.
  })
  return messages
}

const readAll = async (topic: string, count: number): Promise<Read[]> => {
  const messages = await listen(newConsumer(uniqueName('reader')), topic)
  await until(`${count} records of ${topic}`, () => messages.length >= count)
  return messages
}

const values = (list: readonly { value?: unknown }[]): string[] =>
  list.map(each => String(each.value)).sort()

describe('@platformatic/kafka admin', () => {
  it('creates, lists, extends and deletes topics', async () => {
    const admin = newAdmin()
    const topic = uniqueName('admin')
    const [created] = await admin.createTopics({ topics: [topic], partitions: 2, replicas: 1 })
    expect(created).toMatchObject({ name: topic, partitions: 2, replicas: 1 })
    expect(await admin.listTopics()).toContain(topic)
    await admin.createPartitions({ topics: [{ name: topic, count: 4, assignments: null }] })
    const metadata = await admin.metadata({ topics: [topic] })
    expect(metadata.topics.get(topic)?.partitionsCount).toBe(4)
    await admin.deleteTopics({ topics: [topic] })
    await until('the topic is gone', async () => !(await admin.listTopics()).includes(topic))
  })

  it('describes and changes the configuration of a topic', async () => {
    const admin = newAdmin()
    const topic = await newTopic(1)
    const read = async (): Promise<Record<string, unknown>> => {
      const [found] = await admin.describeConfigs({
        resources: [
          { resourceType: ConfigResourceTypes.TOPIC, resourceName: topic, configurationKeys: null },
        ],
      })
      return Object.fromEntries((found?.configs ?? []).map(each => [each.name, each.value]))
    }
    const before = await read()
    expect(before['retention.ms']).toBe('604800000')
    await admin.incrementalAlterConfigs({
      resources: [
        {
          resourceType: ConfigResourceTypes.TOPIC,
          resourceName: topic,
          configs: [{ name: 'retention.ms', configOperation: 0, value: '98765' }],
        },
      ],
    })
    expect(await read()).toEqual({ ...before, 'retention.ms': '98765' })
  })

  it('lists offsets, deletes records, describes log directories', async () => {
    const admin = newAdmin()
    const topic = await newTopic(1)
    await newProducer().send({ messages: numbered(topic, 10), acks: -1 })
    const offset = async (timestamp: bigint): Promise<bigint | undefined> => {
      const [found] = await admin.listOffsets({
        topics: [{ name: topic, partitions: [{ partitionIndex: 0, timestamp }] }],
      })
      return found?.partitions[0]?.offset
    }
    expect(await offset(ListOffsetTimestamps.LATEST)).toBe(10n)
    const deleted = await admin.deleteRecords({
      topics: [{ name: topic, partitions: [{ partition: 0, offset: 4n }] }],
    })
    expect(deleted[0]?.partitions[0]?.lowWatermark).toBe(4n)
    expect(await offset(ListOffsetTimestamps.EARLIEST)).toBe(4n)
    const [directories] = await admin.describeLogDirs({
      topics: [{ name: topic, partitions: [0] }],
    })
    const sizes = directories?.results.flatMap(each => each.topics.flatMap(t => t.partitions))
    expect(sizes?.length).toBe(1)
    expect(Number(sizes?.[0]?.partitionSize)).toBeGreaterThan(0)
  })

  it('lists and describes groups, alters and deletes what they committed', async () => {
    const admin = newAdmin()
    const topic = await newTopic(2)
    const groupId = uniqueName('group')
    await newProducer().send({ messages: numbered(topic, 20), acks: -1 })
    const consumer = newConsumer(groupId)
    const messages = await listen(consumer, topic)
    await until('twenty records', () => messages.length === 20)
    expect([...(await admin.listGroups()).keys()]).toContain(groupId)
    const described = await admin.describeGroups({ groups: [groupId] })
    expect(described.get(groupId)).toMatchObject({ state: 'Stable', protocolType: 'consumer' })
    expect(described.get(groupId)?.members.size).toBe(1)
    await consumer.close(true)
    consumers.splice(consumers.indexOf(consumer), 1)
    await until('the group is empty', async () => {
      const found = await admin.describeGroups({ groups: [groupId] })
      return found.get(groupId)?.state === 'Empty'
    })
    await admin.alterConsumerGroupOffsets({
      groupId,
      topics: [{ name: topic, partitionOffsets: [{ partition: 0, offset: 3n }] }],
    })
    const [committed] = await admin.listConsumerGroupOffsets({ groups: [groupId] })
    const mine = committed?.topics.find(each => each.name === topic)
    expect(mine?.partitions.find(each => each.partitionIndex === 0)?.committedOffset).toBe(3n)
    await admin.deleteConsumerGroupOffsets({
      groupId,
      topics: [{ name: topic, partitionIndexes: [0] }],
    })
    await admin.deleteGroups({ groups: [groupId] })
    expect([...(await admin.listGroups()).keys()]).not.toContain(groupId)
  })
})

describe('@platformatic/kafka producer and consumer', () => {
  for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
    it(`reads back what it wrote with compression ${compression}`, async () => {
      const topic = await newTopic(3)
      const messages = numbered(topic, 500)
      await newProducer().send({ messages, compression, acks: -1 })
      expect(values(await readAll(topic, messages.length))).toEqual(values(messages))
    })
  }

  it('keeps keys, headers and timestamps', async () => {
    const topic = await newTopic(1)
    const id = randomUUID()
    const sent = await newProducer().send({
      acks: -1,
      messages: [
        { topic, key: 'a', value: 'one', headers: { trace: id }, timestamp: 1_700_000_000_123n },
        { topic, value: 'two' },
      ],
    })
    expect(sent.offsets).toMatchObject([{ topic, partition: 0, offset: 0n }])
    const [first, second] = await readAll(topic, 2)
    expect(first).toMatchObject({
      key: 'a',
      value: 'one',
      offset: 0n,
      timestamp: 1_700_000_000_123n,
    })
    expect(first?.headers.get('trace')).toBe(id)
    expect(second).toMatchObject({ value: 'two', offset: 1n })
  })

  it('stores each record once as an idempotent producer, in order', async () => {
    const topic = await newTopic(1)
    const producer = newProducer()
    const messages = numbered(topic, 200)
    for (let i = 0; i < messages.length; i += 10) {
      await producer.send({ messages: messages.slice(i, i + 10), idempotent: true, acks: -1 })
    }
    const back = await readAll(topic, messages.length)
    expect(back.map(each => each.value)).toEqual(messages.map(each => each.value))
  })

  it('goes on in a group where the last member stopped', async () => {
    const topic = await newTopic(2)
    const groupId = uniqueName('group')
    const producer = newProducer()
    await producer.send({ messages: numbered(topic, 50), acks: -1 })
    const first = newConsumer(groupId)
    const before = await listen(first, topic)
    await until('fifty records', () => before.length === 50)
    await first.close(true)
    consumers.splice(consumers.indexOf(first), 1)
    const more = numbered(topic, 30, 50)
    await producer.send({ messages: more, acks: -1 })
    const after = await listen(newConsumer(groupId), topic, 'committed')
    await until('thirty more', () => after.length >= 30)
    expect(values(after)).toEqual(values(more))
  })

  it('shares the partitions among three members, and again when one leaves', async () => {
    const topic = await newTopic(6)
    const groupId = uniqueName('group')
    const members = [newConsumer(groupId), newConsumer(groupId), newConsumer(groupId)]
    const lists = await Promise.all(members.map(member => listen(member, topic)))
    const seen = (): Set<string> => new Set(lists.flat().map(each => String(each.value)))
    const spread = (): string =>
      members
        .map(each => each.assignments?.flatMap(a => a.partitions).length ?? 0)
        .sort()
        .join()
    await until('two partitions each', () => spread() === '2,2,2')
    const producer = newProducer()
    await producer.send({ messages: numbered(topic, 300), acks: -1 })
    await until('all records', () => seen().size === 300)
    const leaver = members.shift()
    if (leaver !== undefined) {
      await leaver.close(true)
      consumers.splice(consumers.indexOf(leaver), 1)
    }
    await until('three partitions each', () => spread() === '3,3')
    await producer.send({ messages: numbered(topic, 300, 300), acks: -1 })
    await until('all records', () => seen().size === 600)
  })
})
