// KafkaJS 2.2.4 against a node: the oldest protocol versions that a client in wide use still speaks.
// Its own package brings gzip; snappy, LZ4 and Zstandard come from codecs registered here.
import { promisify } from 'node:util'
import zlib from 'node:zlib'
import kafkajs, {
  CompressionTypes,
  ConfigResourceTypes,
  type Consumer,
  type ConsumerConfig,
  Kafka,
  type KafkaMessage,
  logLevel,
  Partitioners,
} from 'kafkajs'
import lz4 from 'lz4-napi'
import snappy from 'snappy'
import { afterEach, describe, expect, it } from 'vitest'
import { uniqueName, useBroker } from '../support/broker.ts'
import { createTopic, withAdmin } from '../support/topics.ts'
import { sleep, until } from '../support/wait.ts'

const broker = useBroker()

type Encoder = { encoder: Buffer | { buffer: Buffer } }
const register = (
  type: CompressionTypes,
  compress: (data: Buffer) => Promise<Buffer>,
  decompress: (data: Buffer) => Promise<Buffer>,
): void => {
  // KafkaJS hands its own Encoder, whose bytes are in `buffer`.
  const bytes = (data: Encoder['encoder']): Buffer => (Buffer.isBuffer(data) ? data : data.buffer)
  const codecs: { [type: number]: unknown } = kafkajs.CompressionCodecs
  codecs[type] = () => ({
    compress: (data: Encoder['encoder']) => compress(bytes(data)),
    decompress,
  })
}
register(CompressionTypes.Snappy, snappy.compress, async data => {
  const plain = await snappy.uncompress(data)
  return Buffer.isBuffer(plain) ? plain : Buffer.from(plain)
})
register(CompressionTypes.LZ4, lz4.compressFrame, lz4.decompressFrame)
register(
  CompressionTypes.ZSTD,
  promisify(zlib.zstdCompress),
  promisify(zlib.zstdDecompress) as (data: Buffer) => Promise<Buffer>,
)

const client = (): Kafka =>
  new Kafka({ clientId: 'kafkajs', brokers: [broker.bootstrap], logLevel: logLevel.NOTHING })

const open: Consumer[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map(consumer => consumer.disconnect()))
})

const newConsumer = async (config: ConsumerConfig): Promise<Consumer> => {
  const consumer = client().consumer({
    maxWaitTimeInMs: 100,
    heartbeatInterval: 500,
    ...config,
  })
  open.push(consumer)
  await consumer.connect()
  return consumer
}

const newTopic = (partitions: number, config: Readonly<Record<string, string>> = {}) =>
  createTopic(broker.bootstrap, uniqueName('kafkajs'), partitions, config)

const produce = async (
  topic: string,
  messages: { key?: string; value: string | null; partition?: number; timestamp?: string }[],
  compression: CompressionTypes = CompressionTypes.None,
) => {
  const producer = client().producer({ createPartitioner: Partitioners.DefaultPartitioner })
  await producer.connect()
  try {
    return await producer.send({ topic, messages, compression, acks: -1 })
  } finally {
    await producer.disconnect()
  }
}

const numbered = (count: number, from = 0): { key: string; value: string }[] =>
  Array.from({ length: count }, (_, i) => ({
    key: `key-${(from + i) % 11}`,
    value: `value ${from + i} ${'x'.repeat(100)}`,
  }))

const values = (messages: readonly (KafkaMessage | { value: unknown })[]): string[] =>
  messages.map(message => String(message.value)).sort()

/** Reads `count` records of a topic with a new group from the start. */
const readAll = async (topic: string, count: number): Promise<KafkaMessage[]> => {
  const consumer = await newConsumer({ groupId: uniqueName('reader') })
  await consumer.subscribe({ topic, fromBeginning: true })
  const messages: KafkaMessage[] = []
  await consumer.run({ eachMessage: async ({ message }) => void messages.push(message) })
  await until(`${count} records of ${topic}`, () => messages.length >= count)
  await consumer.disconnect()
  return messages
}

describe('KafkaJS admin', () => {
  it('creates, lists, describes, extends and deletes topics', async () => {
    await withAdmin(broker.bootstrap, async admin => {
      const topic = uniqueName('admin')
      expect(await admin.createTopics({ topics: [{ topic, numPartitions: 2 }] })).toBe(true)
      expect(await admin.createTopics({ topics: [{ topic, numPartitions: 2 }] })).toBe(false)
      expect(await admin.listTopics()).toContain(topic)
      await admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] })
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
      expect(topics[0]?.partitions.map(each => each.partitionId).sort()).toEqual([0, 1, 2, 3, 4])
      await admin.deleteTopics({ topics: [topic] })
      await until('the topic is gone', async () => !(await admin.listTopics()).includes(topic))
    })
  })

  it('refuses fewer partitions, bad names and unknown configuration keys by their codes', async () => {
    const topic = await newTopic(3)
    await withAdmin(broker.bootstrap, async admin => {
      await expect(
        admin.createPartitions({ topicPartitions: [{ topic, count: 2 }] }),
      ).rejects.toMatchObject({ type: 'INVALID_PARTITIONS' })
      await expect(
        admin.createTopics({ topics: [{ topic: 'no spaces here' }] }),
      ).rejects.toMatchObject({ errors: [{ type: 'INVALID_TOPIC_EXCEPTION' }] })
      await expect(
        admin.createTopics({
          topics: [
            {
              topic: uniqueName('bad'),
              configEntries: [{ name: 'no.such.key', value: '1' }],
            },
          ],
        }),
      ).rejects.toMatchObject({ errors: [{ type: 'INVALID_CONFIG' }] })
    })
  })

  it('describes and alters the configuration of a topic', async () => {
    const topic = await newTopic(1, { 'retention.ms': '123456' })
    await withAdmin(broker.bootstrap, async admin => {
      const read = async (): Promise<Record<string, string>> => {
        const { resources } = await admin.describeConfigs({
          includeSynonyms: true,
          resources: [{ type: ConfigResourceTypes.TOPIC, name: topic }],
        })
        const entries = resources[0]?.configEntries ?? []
        return Object.fromEntries(entries.map(each => [each.configName, each.configValue]))
      }
      expect(await read()).toMatchObject({ 'retention.ms': '123456', 'cleanup.policy': 'delete' })
      await admin.alterConfigs({
        validateOnly: false,
        resources: [
          {
            type: ConfigResourceTypes.TOPIC,
            name: topic,
            configEntries: [{ name: 'segment.bytes', value: '16777216' }],
          },
        ],
      })
      const after = await read()
      expect(after['segment.bytes']).toBe('16777216')
      // AlterConfigs replaces the whole configuration, so what is not named is back at its default.
      expect(after['retention.ms']).toBe('604800000')
    })
  })

  it('describes the cluster and its one broker', async () => {
    await withAdmin(broker.bootstrap, async admin => {
      const cluster = await admin.describeCluster()
      expect(cluster.brokers.map(each => `${each.host}:${each.port}`)).toEqual([broker.bootstrap])
      expect(cluster.controller).toBe(cluster.brokers[0]?.nodeId)
      expect(cluster.clusterId.length).toBeGreaterThan(0)
    })
  })

  it('finds offsets by time, deletes records below an offset', async () => {
    const topic = await newTopic(2)
    const at = (ms: number, n: number) => ({
      partition: 0,
      value: `v${n}`,
      timestamp: String(ms),
    })
    const base = Date.now() - 100_000
    for (let i = 0; i < 10; i++) await produce(topic, [at(base + i * 1000, i)])
    await withAdmin(broker.bootstrap, async admin => {
      const offsets = async () => {
        const found = await admin.fetchTopicOffsets(topic)
        return found.sort((a, b) => a.partition - b.partition).map(each => [each.low, each.high])
      }
      expect(await offsets()).toEqual([
        ['0', '10'],
        ['0', '0'],
      ])
      const byTime = await admin.fetchTopicOffsetsByTimestamp(topic, base + 3500)
      expect(byTime.find(each => each.partition === 0)?.offset).toBe('4')
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '6' }] })
      expect((await offsets())[0]).toEqual(['6', '10'])
    })
    expect(values(await readAll(topic, 4))).toEqual(['v6', 'v7', 'v8', 'v9'])
  })

  it('sets, resets, lists, describes and deletes what a group has committed', async () => {
    const topic = await newTopic(2)
    await produce(topic, numbered(20))
    const groupId = uniqueName('group')
    await withAdmin(broker.bootstrap, async admin => {
      const partitions = [
        { partition: 0, offset: '3' },
        { partition: 1, offset: '5' },
      ]
      await admin.setOffsets({ groupId, topic, partitions })
      const committed = async (): Promise<string[]> => {
        const [found] = await admin.fetchOffsets({ groupId, topics: [topic] })
        const list = [...(found?.partitions ?? [])].sort((a, b) => a.partition - b.partition)
        return list.map(each => each.offset)
      }
      expect(await committed()).toEqual(['3', '5'])
      // KafkaJS commits the place itself, not the offset that it stands for.
      await admin.resetOffsets({ groupId, topic, earliest: true })
      expect(await committed()).toEqual(['-2', '-2'])
      const { groups } = await admin.listGroups()
      expect(groups.map(each => each.groupId)).toContain(groupId)
      const described = await admin.describeGroups([groupId])
      expect(described.groups[0]).toMatchObject({ groupId, state: 'Empty', members: [] })
      expect(await admin.deleteGroups([groupId])).toMatchObject([{ groupId, errorCode: 0 }])
      expect(await committed()).toEqual(['-1', '-1'])
      await expect(admin.deleteGroups([groupId])).rejects.toMatchObject({
        groups: [{ groupId, error: { type: 'GROUP_ID_NOT_FOUND' } }],
      })
    })
  })
})

describe('KafkaJS producer and consumer', () => {
  for (const [name, type] of Object.entries({
    none: CompressionTypes.None,
    gzip: CompressionTypes.GZIP,
    snappy: CompressionTypes.Snappy,
    lz4: CompressionTypes.LZ4,
    zstd: CompressionTypes.ZSTD,
  })) {
    it(`reads back what it wrote with compression ${name}`, async () => {
      const topic = await newTopic(3)
      const messages = numbered(1000)
      const written = await produce(topic, messages, type)
      expect(written.every(each => each.errorCode === 0)).toBe(true)
      const back = await readAll(topic, messages.length)
      expect(values(back)).toEqual(values(messages))
    })
  }

  it('keeps keys, headers, timestamps and tombstones', async () => {
    const topic = await newTopic(1)
    const producer = client().producer({ createPartitioner: Partitioners.DefaultPartitioner })
    await producer.connect()
    const headers = { trace: '42', list: ['a', 'b'] }
    await producer.send({
      topic,
      messages: [
        { key: 'a', value: 'one', headers, timestamp: '1700000000123' },
        { key: null, value: 'two' },
        { key: 'c', value: null },
      ],
    })
    await producer.disconnect()
    const [first, second, third] = await readAll(topic, 3)
    expect(String(first?.key)).toBe('a')
    expect(first?.timestamp).toBe('1700000000123')
    expect(String(first?.headers?.['trace'])).toBe('42')
    expect([first?.headers?.['list']].flat().map(String)).toEqual(['a', 'b'])
    expect([second?.key, String(second?.value)]).toEqual([null, 'two'])
    expect([String(third?.key), third?.value]).toEqual(['c', null])
    expect([first?.offset, second?.offset, third?.offset]).toEqual(['0', '1', '2'])
  })

  it('stores each record once as an idempotent producer, in order', async () => {
    const topic = await newTopic(2)
    const producer = client().producer({
      idempotent: true,
      maxInFlightRequests: 1,
      createPartitioner: Partitioners.DefaultPartitioner,
    })
    await producer.connect()
    const messages = numbered(500)
    for (let i = 0; i < messages.length; i += 10) {
      await producer.send({ topic, acks: -1, messages: messages.slice(i, i + 10) })
    }
    await producer.disconnect()
    const back = await readAll(topic, messages.length)
    expect(values(back)).toEqual(values(messages))
    const ofKey = (list: readonly { key?: unknown; value: unknown }[]): string[] =>
      list.filter(each => String(each.key) === 'key-3').map(each => String(each.value))
    expect(ofKey(back)).toEqual(ofKey(messages))
  })

  it('answers acks=0 and acks=1 as their clients expect', async () => {
    const topic = await newTopic(1)
    const producer = client().producer({ createPartitioner: Partitioners.DefaultPartitioner })
    await producer.connect()
    await producer.send({ topic, acks: 0, messages: [{ value: 'zero' }] })
    const [one] = await producer.send({ topic, acks: 1, messages: [{ value: 'one' }] })
    expect(one?.errorCode).toBe(0)
    await producer.disconnect()
    expect(values(await readAll(topic, 2))).toEqual(['one', 'zero'])
  })

  it('goes on from the committed offset, and from a commit made by hand', async () => {
    const topic = await newTopic(1)
    const groupId = uniqueName('group')
    await produce(topic, numbered(10))
    const first = await newConsumer({ groupId })
    await first.subscribe({ topic, fromBeginning: true })
    let seen = 0
    await first.run({ autoCommit: false, eachMessage: async () => void seen++ })
    await until('ten records', () => seen === 10)
    await first.commitOffsets([{ topic, partition: 0, offset: '7', metadata: 'by hand' }])
    await first.disconnect()
    await withAdmin(broker.bootstrap, async admin => {
      const [found] = await admin.fetchOffsets({ groupId, topics: [topic] })
      expect(found?.partitions).toEqual([{ partition: 0, offset: '7', metadata: 'by hand' }])
    })
    const second = await newConsumer({ groupId })
    await second.subscribe({ topic, fromBeginning: true })
    const offsets: string[] = []
    await second.run({ eachMessage: async ({ message }) => void offsets.push(message.offset) })
    await until('three records', () => offsets.length >= 3)
    expect(offsets).toEqual(['7', '8', '9'])
  })

  it('seeks and pauses', async () => {
    const topic = await newTopic(1)
    await produce(topic, numbered(20))
    const consumer = await newConsumer({ groupId: uniqueName('group') })
    await consumer.subscribe({ topic, fromBeginning: true })
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

  it('shares the partitions among three members, and again when one leaves', async () => {
    const topic = await newTopic(6)
    const groupId = uniqueName('group')
    const owned = new Map<Consumer, number[]>()
    const seen = new Set<string>()
    const join = async (): Promise<Consumer> => {
      const consumer = await newConsumer({ groupId, rebalanceTimeout: 10_000 })
      consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
        owned.set(consumer, payload.memberAssignment[topic] ?? [])
      })
      await consumer.subscribe({ topic, fromBeginning: true })
      await consumer.run({ eachMessage: async ({ message }) => void seen.add(`${message.value}`) })
      return consumer
    }
    const spread = (): number[] => [...owned.values()].map(list => list.length).sort()
    const whole = (): boolean =>
      [...owned.values()]
        .flat()
        .sort((a, b) => a - b)
        .join() === '0,1,2,3,4,5'
    const members = [await join(), await join(), await join()]
    await until('two partitions each', () => spread().join() === '2,2,2' && whole())
    const before = numbered(300)
    await produce(topic, before)
    await until('all records', () => seen.size === 300)
    const group = await withAdmin(broker.bootstrap, admin => admin.describeGroups([groupId]))
    expect(group.groups[0]?.state).toBe('Stable')
    expect(group.groups[0]?.members.length).toBe(3)
    const leaver = members[0]
    if (leaver !== undefined) {
      await leaver.disconnect()
      owned.delete(leaver)
    }
    await until('three partitions each', () => spread().join() === '3,3' && whole())
    await produce(topic, numbered(300, 300))
    await until('all records', () => seen.size === 600)
  })

  it('meets an offset that is out of range by starting anew', async () => {
    const topic = await newTopic(1)
    await produce(topic, numbered(10))
    const groupId = uniqueName('group')
    await withAdmin(broker.bootstrap, async admin => {
      await admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '1000' }] })
    })
    const consumer = await newConsumer({ groupId })
    await consumer.subscribe({ topic, fromBeginning: true })
    const offsets: string[] = []
    await consumer.run({ eachMessage: async ({ message }) => void offsets.push(message.offset) })
    await until('ten records', () => offsets.length === 10)
    expect(offsets[0]).toBe('0')
  })
})
