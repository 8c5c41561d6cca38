/**
 * A program with few descriptors: it writes to many partitions at once, reads all of them in one fetch
 * that waits for more, and prints what came of it. Arguments: data folder, number of partitions.
 */
import { encodeBatch } from '@millrace/log'
import { openEngine } from '../../src/index.ts'

const [folder = '', count = ''] = process.argv.slice(2)
const partitions = Array.from({ length: Number(count) }, (_, partition) => partition)
const events: string[] = []
const log = await openEngine({ folder, onEvent: event => void events.push(event.message) })
await log.createTopics([{ name: 't', partitions: partitions.length }])
const batch = encodeBatch({ records: [{ value: 'v' }], timestamp: Date.now() })
let stored = 0
for (const round of [1, 2]) {
  const entries = partitions.map(partition => ({ topic: 't', partition, batch }))
  for (const { baseOffset } of await log.append(entries)) if (baseOffset === round - 1) stored += 1
}
const read = new Set<number>()
while (read.size < partitions.length) {
  const answer = await log.fetch({
    positions: partitions
      .filter(partition => !read.has(partition))
      .map(partition => ({ topic: 't', partition, offset: 0, maxBytes: 1000 })),
    minBytes: 1 << 20,
    maxBytes: 1 << 20,
    maxWaitMs: 10,
    isolation: 'read_uncommitted',
  })
  for (const { partition, records, error } of answer) {
    if (error !== undefined) throw error
    if (records.length > 0) read.add(partition)
  }
}
const { state, partitions: troubled, diskFull } = log.health()
const warned = events.some(message => message.includes('ulimit -n'))
const report = { stored, read: read.size, state, troubled, diskFull, warned }
process.stdout.write(`${JSON.stringify(report)}\n`)
await log.close()
