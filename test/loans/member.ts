// One member of a group in a process of its own, which can be killed: `member.ts kafkajs|confluent
// BOOTSTRAP GROUP TOPIC` prints the value of each record as a line, until SIGTERM.
import { once } from 'node:events'
import { Kafka, logLevel } from 'kafkajs'
import { confluentKafka } from '../support/confluent.ts'

const [client = '', bootstrap = '', groupId = '', topic = ''] = process.argv.slice(2)
const sessionTimeout = 6_000

/** Prints, and waits while the reader of the output is behind. */
const print = async (lines: string): Promise<void> => {
  if (!process.stdout.write(lines)) await once(process.stdout, 'drain')
}

const stopped = once(process, 'SIGTERM')

if (client === 'kafkajs') {
  const consumer = new Kafka({
    clientId: 'member',
    brokers: [bootstrap],
    logLevel: logLevel.NOTHING,
  }).consumer({ groupId, sessionTimeout, heartbeatInterval: 500, rebalanceTimeout: 10_000 })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    autoCommitInterval: 200,
    eachBatch: async ({ batch, resolveOffset, heartbeat, commitOffsetsIfNecessary }) => {
      await print(batch.messages.map(message => `${message.value}\n`).join(''))
      resolveOffset(batch.lastOffset())
      await commitOffsetsIfNecessary()
      await heartbeat()
    },
  })
  await stopped
  await consumer.disconnect()
} else {
  const consumer = confluentKafka(bootstrap).consumer({
    kafkaJS: { groupId, sessionTimeout, fromBeginning: true, autoCommitInterval: 200 },
    'heartbeat.interval.ms': 500,
  })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic] })
  await consumer.run({ eachMessage: async ({ message }) => print(`${message.value}\n`) })
  await stopped
  await consumer.disconnect()
}
process.exit(0)
