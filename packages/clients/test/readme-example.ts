import { createConsumer, createProducer } from '@millrace/clients'
import type { Log } from '@millrace/log'

export async function example(log: Log): Promise<string[]> {
  await log.createTopics([{ name: 'orders', partitions: 3 }])
  await using producer = createProducer(log)
  await producer.send('orders', { key: 'a-17', value: '{"total":12}' })
  await using consumer = createConsumer(log, { groupId: 'billing', autoOffsetReset: 'earliest' })
  consumer.subscribe(['orders'])
  for await (const batch of consumer) {
    await consumer.commit()
    return [...batch.records].map(record => `${record.key} ${record.value}`)
  }
  return []
}
