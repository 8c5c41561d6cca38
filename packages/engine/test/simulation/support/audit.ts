// The audit: everything that a running engine shows, held against everything that the world knows.

import {
  batchesOf,
  type KnownBatch,
  type KnownPartition,
  type KnownTopic,
  knownBatch,
  type Oracle,
  Violation,
} from './oracle.ts'
import type { CrashKind, Life } from './world.ts'

const FETCH_BYTES = 1 << 20

/** Audits topics, partitions and groups. `after`: the crash that lies before it, if there was one. */
export async function audit(
  life: Life,
  oracle: Oracle,
  after: CrashKind | undefined,
  /** What retention by time has taken is at least so old; undefined: not looked at. */
  ageMin?: number,
): Promise<void> {
  await life.outside.drive(auditAll(life, oracle, after, ageMin), {
    until: () => life.disk.crashed,
  })
}

async function auditAll(
  life: Life,
  oracle: Oracle,
  after: CrashKind | undefined,
  ageMin: number | undefined,
): Promise<void> {
  await auditTopics(life, oracle)
  for (const topic of oracle.topics.values()) {
    if (topic.state !== 'live') continue
    for (let i = 0; i < topic.partitionsAtLeast; i += 1) {
      const { logStart, known } = await auditPartition(life, oracle, topic, i, after)
      if (ageMin === undefined || topic.retention !== 'time') continue
      oracle.auditAges(known, logStart, life.outside.clock.monotonic(), ageMin)
    }
  }
  await auditGroups(life, oracle)
}

async function auditTopics(life: Life, oracle: Oracle): Promise<void> {
  const shown = (await life.engine.describeTopics()).filter(topic => !topic.internal)
  const ids = new Set(shown.map(topic => topic.topicId))
  for (const known of oracle.topics.values()) {
    if (known.state === 'gone' && ids.has(known.topicId)) {
      throw new Violation(`${known.name} was deleted and is back`)
    }
    if (known.state === 'live' && !ids.has(known.topicId)) {
      throw new Violation(`${known.name} (${known.topicId}) is gone`)
    }
    if (known.state === 'leaving') known.state = ids.has(known.topicId) ? 'live' : 'gone'
    known.replaced = false
  }
  for (const { name, topicId, partitions } of shown) {
    const known = oracle.topics.get(topicId)
    if (known !== undefined) {
      if (partitions.length < known.partitionsAtLeast) {
        throw new Violation(`${name} has lost partitions: ${partitions.length}`)
      }
      known.partitionsAtLeast = partitions.length
      continue
    }
    // Its creation was never answered, but it is there: from now on it must stay.
    const configs = await life.engine.describeConfig(name)
    const value = (key: string): string => configs.find(entry => entry.name === key)?.value ?? ''
    oracle.learn({
      name,
      topicId,
      durability: value('durability') as KnownTopic['durability'],
      retention:
        value('retention.ms') !== '-1'
          ? 'time'
          : value('retention.bytes') !== '-1'
            ? 'size'
            : 'none',
      partitionsAtLeast: partitions.length,
    })
  }
}

async function auditPartition(
  life: Life,
  oracle: Oracle,
  topic: KnownTopic,
  partition: number,
  after: CrashKind | undefined,
): Promise<{ readonly known: KnownPartition; readonly logStart: number }> {
  const known = oracle.partition(topic, partition)
  const { batches, logStart, highWatermark } = await readAll(life, topic.name, partition)
  if (after === 'power' && topic.durability !== 'sync') known.fallBack(highWatermark)
  known.audit(batches, logStart, highWatermark)
  if (logStart > known.startAsked && topic.retention === 'none') {
    throw new Violation(
      `${known.name}: the log start is ${logStart}, at most ${known.startAsked} was asked`,
    )
  }
  return { known, logStart }
}

/** Everything between log start and high watermark. */
export async function readAll(
  life: Life,
  topic: string,
  partition: number,
): Promise<{ batches: KnownBatch[]; logStart: number; highWatermark: number }> {
  const batches: KnownBatch[] = []
  const [earliest] = await life.engine.listOffsets([{ topic, partition, place: 'earliest' }])
  let offset = earliest?.offset ?? 0
  for (;;) {
    const [result] = await life.engine.fetch({
      positions: [{ topic, partition, offset, maxBytes: FETCH_BYTES }],
      minBytes: 0,
      maxBytes: FETCH_BYTES,
      maxWaitMs: 0,
      isolation: 'read_uncommitted',
    })
    if (result === undefined) throw new Violation('no answer to a fetch')
    if (result.error?.code === 'OFFSET_OUT_OF_RANGE' && result.logStartOffset > offset) {
      batches.length = 0 // retention has been here
      offset = result.logStartOffset
      continue
    }
    if (result.error !== undefined) {
      throw new Violation(
        `${topic}-${partition} cannot be read at ${offset}: ${result.error.message}`,
      )
    }
    const found = batchesOf(result.records).map(batch => knownBatch(batch))
    if (found.length === 0) {
      return { batches, logStart: result.logStartOffset, highWatermark: result.highWatermark }
    }
    batches.push(...found)
    offset = (found.at(-1)?.last ?? offset) + 1
  }
}

async function auditGroups(life: Life, oracle: Oracle): Promise<void> {
  for (const key of oracle.tried.keys()) {
    const [groupId = '', topicId = '', partition = ''] = key.split(' ')
    const topic = oracle.topics.get(topicId)
    if (topic === undefined || topic.state !== 'live') continue
    const target = { topic: topic.name, partition: Number(partition) }
    const [answer] = await life.engine.groups.fetchOffsets(groupId, [target])
    if (answer === undefined || answer.error !== undefined) {
      throw new Violation(`${key} cannot be asked: ${answer?.error?.message}`)
    }
    oracle.seeCommit(key, `${groupId} ${topic.name} ${partition}`, answer.offset)
  }
}
