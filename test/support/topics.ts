// Topics for tests, made with KafkaJS: a client that is neither ours nor the one under test.
import { type Admin, Kafka, logLevel } from 'kafkajs'
import { until } from './wait.ts'

/** Runs `work` with a connected KafkaJS admin client. */
export async function withAdmin<T>(
  bootstrap: string,
  work: (admin: Admin) => Promise<T>,
): Promise<T> {
  const admin = new Kafka({
    clientId: 'test-admin',
    brokers: [bootstrap],
    logLevel: logLevel.NOTHING,
  }).admin()
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}

/** Creates a topic, waits until its partitions have leaders, and returns its name. */
export async function createTopic(
  bootstrap: string,
  topic: string,
  numPartitions: number,
  config: Readonly<Record<string, string>> = {},
): Promise<string> {
  const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
  await withAdmin(bootstrap, async admin => {
    // The client's own wait gives up when a busy broker does not know the topic at once.
    await admin.createTopics({
      waitForLeaders: false,
      topics: [{ topic, numPartitions, configEntries }],
    })
    await until(`leaders of ${topic}`, async () => {
      const found = await admin.fetchTopicMetadata({ topics: [topic] }).catch(() => undefined)
      const known = found?.topics.find(each => each.name === topic)?.partitions ?? []
      return known.length === numPartitions && known.every(each => each.leader >= 0)
    })
  })
  return topic
}
