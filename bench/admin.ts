// Topics for measurements, made and removed with KafkaJS: the same client for every system.
import { Kafka, logLevel } from 'kafkajs'

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

/** Creates a topic and waits until it has its leaders. */
export const createTopic = (
  bootstrap: string,
  topic: string,
  partitions: number,
  config: Readonly<Record<string, string>> = {},
): Promise<boolean> =>
  admin(bootstrap, client =>
    client.createTopics({
      waitForLeaders: true,
      timeout: 30_000,
      topics: [
        {
          topic,
          numPartitions: partitions,
          replicationFactor: 1,
          configEntries: Object.entries(config).map(([name, value]) => ({ name, value })),
        },
      ],
    }),
  )

/** Deletes a topic. */
export const deleteTopic = (bootstrap: string, topic: string): Promise<void> =>
  admin(bootstrap, client => client.deleteTopics({ topics: [topic], timeout: 30_000 }))
