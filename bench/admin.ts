// Topics for measurements, made and removed with KafkaJS: the same client for every system.
import { Kafka, logLevel } from 'kafkajs'
import { sleep } from './stats.ts'

const admin = async <T>(
  bootstrap: string,
  work: (admin: ReturnType<Kafka['admin']>) => Promise<T>,
): Promise<T> => {
  const client = new Kafka({
    clientId: 'bench',
    brokers: [bootstrap],
    logLevel: logLevel.NOTHING,
  }).admin()
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.disconnect()
  }
}

const leaderTimeoutMs = 30_000

/** Creates a topic and waits until every partition has its leader. */
export const createTopic = (
  bootstrap: string,
  topic: string,
  partitions: number,
  config: Readonly<Record<string, string>> = {},
): Promise<void> =>
  admin(bootstrap, async client => {
    await client.createTopics({
      // The client's own wait gives up when a busy broker does not know the topic at once.
      waitForLeaders: false,
      timeout: leaderTimeoutMs,
      topics: [
        {
          topic,
          numPartitions: partitions,
          replicationFactor: 1,
          configEntries: Object.entries(config).map(([name, value]) => ({ name, value })),
        },
      ],
    })
    const deadline = Date.now() + leaderTimeoutMs
    while (!(await hasLeaders(client, topic, partitions))) {
      if (Date.now() > deadline) throw new Error(`${topic} has no leaders in ${leaderTimeoutMs} ms`)
      await sleep(20)
    }
  })

const hasLeaders = async (
  client: ReturnType<Kafka['admin']>,
  topic: string,
  partitions: number,
): Promise<boolean> => {
  const found = await client.fetchTopicMetadata({ topics: [topic] }).catch(() => undefined)
  const known = found?.topics.find(each => each.name === topic)?.partitions ?? []
  return known.length === partitions && known.every(each => each.leader >= 0)
}

/** Deletes a topic. */
export const deleteTopic = (bootstrap: string, topic: string): Promise<void> =>
  admin(bootstrap, client => client.deleteTopics({ topics: [topic], timeout: 30_000 }))
