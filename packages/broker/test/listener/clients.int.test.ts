/** Two clients as they come from the registry against the listener; the engine is a fake. */
import { Admin, Consumer, Producer } from '@platformatic/kafka'
import { Kafka, logLevel } from 'kafkajs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { slices } from '../support/fake-engine.ts'
import { type Harness, startHarness } from '../support/harness.ts'

let harness: Harness
let broker: string

beforeEach(async () => {
  harness = await startHarness()
  broker = `127.0.0.1:${harness.listener.address.port}`
})

afterEach(async () => {
  expect(harness.lines).toEqual([])
  await harness.stop()
  expect(slices.open).toBe(0)
})

test('KafkaJS creates a topic, produces to it, and consumes it in a group', async () => {
  const kafka = new Kafka({ brokers: [broker], logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  expect(await admin.createTopics({ topics: [{ topic: 'js', numPartitions: 2 }] })).toBe(true)
  const producer = kafka.producer()
  await producer.connect()
  await producer.send({
    topic: 'js',
    messages: [
      { key: 'a', value: '1' },
      { key: 'a', value: '2' },
    ],
  })
  const consumer = kafka.consumer({ groupId: 'js-group', maxWaitTimeInMs: 100 })
  await consumer.connect()
  await consumer.subscribe({ topic: 'js', fromBeginning: true })
  const seen: string[] = []
  await new Promise<void>((resolve, reject) => {
    const eachMessage = async ({ message }: { message: { value: Buffer | null } }) => {
      seen.push(String(message.value))
      if (seen.length === 2) resolve()
    }
    consumer.run({ eachMessage }).catch(reject)
  })
  expect(seen).toEqual(['1', '2'])
  const { groups } = await admin.listGroups()
  expect(groups.map(({ groupId }) => groupId)).toEqual(['g'])
  await consumer.disconnect()
  await producer.disconnect()
  await admin.deleteTopics({ topics: ['js'] })
  await admin.disconnect()
  expect(harness.fake.topics.size).toBe(0)
})

test('@platformatic/kafka creates a topic, produces to it, and consumes it in a group', async () => {
  const base = { clientId: 'p', bootstrapBrokers: [broker] }
  const admin = new Admin(base)
  await admin.createTopics({ topics: ['pk'], partitions: 1, replicas: 1 })
  const producer = new Producer(base)
  await producer.send({
    messages: [{ topic: 'pk', key: Buffer.from('a'), value: Buffer.from('1') }],
  })
  const consumer = new Consumer({ ...base, groupId: 'p-group' })
  const stream = await consumer.consume({ topics: ['pk'], mode: 'earliest' })
  for await (const message of stream) {
    expect(String(message.value)).toBe('1')
    break
  }
  await stream.close().catch(() => undefined)
  await consumer.close(true)
  await producer.close()
  await admin.close()
})
