// Kafka Connect (4.3.1) with a node as its broker, in one worker: files into a topic and out of it, and
// MirrorMaker 2, which copies another node's topics with their configuration, and the offsets of groups.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type IHeaders, Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Connect, fetchKafkaConnect, startConnect } from '../../scripts/peers/kafka-connect.ts'
import { TestNode } from '../support/node.ts'
import { usePeer } from '../support/peers.ts'
import { createTopic, withAdmin } from '../support/topics.ts'
import { until } from '../support/wait.ts'

const peer = await fetchKafkaConnect()
usePeer(peer)

let folder: string
let source: TestNode
let node: TestNode
let connect: Connect

beforeAll(async () => {
  if (!peer.available) return
  folder = await mkdtemp(join(tmpdir(), 'millrace-connect-'))
  source = await TestNode.start()
  node = await TestNode.start()
  connect = await startConnect({ folder, bootstrap: node.bootstrap })
}, 150_000)

afterAll(async () => {
  await connect?.stop()
  for (const each of [source, node]) {
    await each?.stop()
    await each?.dispose()
  }
  if (folder !== undefined) await rm(folder, { recursive: true, force: true })
}, 60_000)

/** Starts a connector and waits until it and its tasks run; a task that fails fails the test. */
async function run(name: string, config: Readonly<Record<string, string>>): Promise<void> {
  await connect.configure(name, { name, 'tasks.max': '1', ...config })
  await until(`${name} runs`, async () => {
    const states = await connect.states(name).catch(() => undefined)
    if (states?.includes('FAILED')) throw new Error(await connect.failure(name))
    return states !== undefined && states.length > 1 && states.every(each => each === 'RUNNING')
  })
}

const client = (bootstrap: string): Kafka =>
  new Kafka({ clientId: 'test', brokers: [bootstrap], logLevel: logLevel.NOTHING })

type Read = {
  readonly partition: number
  readonly key: string | undefined
  readonly value: string | undefined
  readonly headers: IHeaders
}

/** Reads `count` records of a topic from its beginning. */
async function read(bootstrap: string, topic: string, count: number): Promise<readonly Read[]> {
  const consumer = client(bootstrap).consumer({ groupId: `reader-${topic}` })
  const found: Read[] = []
  await consumer.connect()
  try {
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({
      eachMessage: async ({ partition, message: { key, value, headers } }) => {
        found.push({
          partition,
          key: key?.toString(),
          value: value?.toString(),
          headers: headers ?? {},
        })
      },
    })
    await until(`${count} records of ${topic}`, () => found.length >= count)
    return found
  } finally {
    await consumer.disconnect()
  }
}

/** The values of some keys of a topic's configuration. */
async function configOf(
  bootstrap: string,
  name: string,
  keys: readonly string[],
): Promise<readonly (string | undefined)[]> {
  return withAdmin(bootstrap, async admin => {
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: 2, name }],
    })
    const entries = resources[0]?.configEntries ?? []
    return keys.map(key => entries.find(each => each.configName === key)?.configValue)
  })
}

describe('Kafka Connect', () => {
  it('carries the lines of a file into a topic, and those of the topic into a file', async () => {
    const [from, to] = [join(folder, 'in.txt'), join(folder, 'out.txt')]
    const lines = Array.from({ length: 500 }, (_, i) => `line ${i} of the file`)
    await writeFile(from, `${lines.join('\n')}\n`)
    const topic = await createTopic(node.bootstrap, 'file-lines', 1)
    await run('file-source', {
      'connector.class': 'org.apache.kafka.connect.file.FileStreamSourceConnector',
      file: from,
      topic,
    })
    await run('file-sink', {
      'connector.class': 'org.apache.kafka.connect.file.FileStreamSinkConnector',
      file: to,
      topics: topic,
    })
    expect((await read(node.bootstrap, topic, lines.length)).map(({ value }) => value)).toEqual(
      lines,
    )
    await until('all lines are in the other file', async () => {
      const text = await readFile(to, 'utf8').catch(() => '')
      return text.split('\n').length > lines.length
    })
    expect(await readFile(to, 'utf8')).toBe(`${lines.join('\n')}\n`)
    await until('the sink has committed', () =>
      withAdmin(node.bootstrap, async admin => {
        const [found] = await admin.fetchOffsets({ groupId: 'connect-file-sink', topics: [topic] })
        return found?.partitions[0]?.offset === String(lines.length)
      }),
    )
  })
})

describe('MirrorMaker 2', () => {
  const aliases = (): Readonly<Record<string, string>> => ({
    'source.cluster.alias': 'a',
    'target.cluster.alias': 'b',
    'source.cluster.bootstrap.servers': source.bootstrap,
    'target.cluster.bootstrap.servers': node.bootstrap,
    'key.converter': 'org.apache.kafka.connect.converters.ByteArrayConverter',
    'value.converter': 'org.apache.kafka.connect.converters.ByteArrayConverter',
    'header.converter': 'org.apache.kafka.connect.converters.ByteArrayConverter',
  })
  const config = {
    'retention.ms': '7200000',
    'cleanup.policy': 'compact,delete',
    'compression.type': 'zstd',
    'remote.log.delete.on.disable': 'false',
  }

  it('copies records, partitions and configuration, and follows changes of them', async () => {
    const topic = await createTopic(source.bootstrap, 'orders', 3, config)
    const producer = client(source.bootstrap).producer()
    await producer.connect()
    const messages = Array.from({ length: 300 }, (_, i) => ({
      key: `key-${i}`,
      value: `value ${i}`,
      headers: { n: String(i) },
    }))
    await producer.send({ topic, messages })
    await producer.disconnect()
    await run('mirror', {
      ...aliases(),
      'connector.class': 'org.apache.kafka.connect.mirror.MirrorSourceConnector',
      topics: 'orders',
      'replication.factor': '1',
      'offset-syncs.topic.replication.factor': '1',
      'refresh.topics.interval.seconds': '1',
      'sync.topic.configs.interval.seconds': '1',
      'offset.lag.max': '0',
      'consumer.auto.offset.reset': 'earliest',
    })
    const [there, here] = await Promise.all([
      read(source.bootstrap, topic, messages.length),
      read(node.bootstrap, `a.${topic}`, messages.length),
    ])
    const sorted = (records: readonly Read[]): readonly string[] =>
      records
        .map(({ partition, key, value, headers }) => `${partition} ${key} ${value} ${headers['n']}`)
        .sort()
    expect(sorted(here)).toEqual(sorted(there))
    expect(here.length).toBe(messages.length)

    const keys = ['retention.ms', 'cleanup.policy', 'compression.type']
    await until('its configuration is here', async () => {
      const [retention] = await configOf(node.bootstrap, `a.${topic}`, keys)
      return retention === config['retention.ms']
    })
    expect(await configOf(node.bootstrap, `a.${topic}`, keys)).toEqual(
      keys.map(key => config[key as keyof typeof config]),
    )
    await withAdmin(source.bootstrap, admin =>
      admin.alterConfigs({
        validateOnly: false,
        resources: [
          { type: 2, name: topic, configEntries: [{ name: 'retention.ms', value: '5400000' }] },
        ],
      }),
    )
    await until('the change has come', async () => {
      const values = await configOf(node.bootstrap, `a.${topic}`, [
        'retention.ms',
        'cleanup.policy',
      ])
      return values.join() === '5400000,delete'
    })
  })

  it('translates the offsets of a group, so that it can go on here', async () => {
    await run('checkpoints', {
      ...aliases(),
      'connector.class': 'org.apache.kafka.connect.mirror.MirrorCheckpointConnector',
      groups: 'reader-orders',
      'checkpoints.topic.replication.factor': '1',
      'emit.checkpoints.interval.seconds': '1',
      'sync.group.offsets.enabled': 'true',
      'sync.group.offsets.interval.seconds': '1',
      'refresh.groups.interval.seconds': '1',
    })
    const sum = async (bootstrap: string, topic: string): Promise<number> =>
      withAdmin(bootstrap, async admin => {
        const [found] = await admin.fetchOffsets({ groupId: 'reader-orders', topics: [topic] })
        return (found?.partitions ?? []).reduce((all, { offset }) => all + Number(offset), 0)
      })
    expect(await sum(source.bootstrap, 'orders')).toBe(300)
    await until('the offsets are here', async () => (await sum(node.bootstrap, 'a.orders')) === 300)
  })
})
