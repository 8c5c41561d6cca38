/** Words for cases about the log under a store: what any client of it can read and write. */
import assert from 'node:assert/strict'
import { decodeBatches, encodeBatch, type Log, type NewRecord } from '@millrace/log'

const FETCH_BYTES = 8 * 1024 * 1024
/** Rounds of fetching that a read of one partition takes at most. */
const ROUNDS_MAX = 1000

/** A record and where it lies. */
export type PlacedRecord = NewRecord & { readonly partition: number; readonly offset: number }

/** Number of partitions of a topic. */
export async function partitionsOf(log: Log, topic: string): Promise<number> {
  const [description] = await log.describeTopics([topic])
  assert.ok(description !== undefined, `there is no topic ${topic}`)
  return description.partitions.length
}

/** All records of a topic, by partition and offset. */
export async function recordsOf(log: Log, topic: string): Promise<PlacedRecord[]> {
  const records: PlacedRecord[] = []
  const partitions = await partitionsOf(log, topic)
  for (let partition = 0; partition < partitions; partition++) {
    records.push(...(await partitionRecords(log, topic, partition)))
  }
  return records
}

async function partitionRecords(
  log: Log,
  topic: string,
  partition: number,
): Promise<PlacedRecord[]> {
  const records: PlacedRecord[] = []
  let offset = 0
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const [result] = await log.fetch({
      positions: [{ topic, partition, offset, maxBytes: FETCH_BYTES }],
      minBytes: 1,
      maxBytes: FETCH_BYTES,
      maxWaitMs: 0,
      isolation: 'read_uncommitted',
    })
    assert.ok(result !== undefined)
    if (result.error !== undefined) throw result.error
    for (const batch of decodeBatches(result.records)) {
      for (const { key, value, headers, timestamp, offset: at } of batch.records()) {
        records.push({ partition, offset: at, key, value, headers, timestamp })
      }
      offset = batch.lastOffset + 1
    }
    if (offset >= result.highWatermark) return records
  }
  return assert.fail(`the end of ${topic} was not reached in ${ROUNDS_MAX} fetches`)
}

/** Writes records as one batch, as any client can; gives the first offset. */
export async function write(
  log: Log,
  topic: string,
  partition: number,
  records: readonly NewRecord[],
): Promise<number> {
  const batch = encodeBatch({
    timestamp: Date.now(),
    records: records.map(({ key, value, headers, timestamp }) => ({
      key: key ?? null,
      value,
      ...(headers === undefined ? {} : { headers }),
      ...(timestamp === undefined ? {} : { timestamp }),
    })),
  })
  const [result] = await log.append([{ topic, partition, batch }])
  assert.ok(result !== undefined)
  if (result.error !== undefined) throw result.error
  return result.baseOffset
}

/** Names of topics that begin with a prefix. */
export async function topicsWith(log: Log, prefix: string): Promise<string[]> {
  const topics = await log.describeTopics()
  return topics.map(topic => topic.name).filter(name => name.startsWith(prefix))
}
