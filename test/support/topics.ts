// Topics for tests, made with KafkaJS: a client that is neither ours nor the one under test.
import { type Admin, Kafka, logLevel } from 'kafkajs'

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

/** Creates a topic and returns its name. */
export async function createTopic(
  bootstrap: string,
  topic: string,
  numPartitions: number,
  config: Readonly<Record<string, string>> = {},
): Promise<string> {
  const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
  await withAdmin(bootstrap, admin =>
    admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions, configEntries }] }),
  )
  return topic
}
