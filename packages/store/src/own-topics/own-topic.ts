/**
 * A topic that the store keeps for itself: keys, snapshots, audit. One partition, so that all nodes
 * read its records in one order.
 */
import { type Outside, sleep } from '@millrace/base'
import { type Log, LogError, type Offset, type TopicDescription } from '@millrace/log'
import { failureOfLog, StoreError } from '../errors.ts'

/** Before the names of the store's own topics, unless it was opened with another prefix. */
export const OWN_PREFIX = '__millrace.'

/** A topic of the store's own. */
export type OwnTopic = {
  readonly name: string
  /** By Kafka's names; used when the topic is created. */
  readonly configs: Readonly<Record<string, string>>
  /** What must be so on a topic that is already there; other values are the operator's to change. */
  readonly required: Readonly<Record<string, string>>
}

/** A topic as it is. */
export type OwnTopicState = {
  readonly topicId: string
  /** The effective configuration. */
  readonly config: ReadonlyMap<string, string>
  /** Where it ended when it was looked at. */
  readonly end: Offset
}

/** A topic that somebody else has just created is looked for this often, this far apart. */
const LOOKS = 100
const LOOK_AGAIN_MS = 50

/**
 * Creates the topic if it is not there, and checks it.
 *
 * @throws StoreError BAD_TOPIC, names the setting; STORE_FAILED when the log refuses,
 *   LOG_UNAVAILABLE when it does for now
 */
export async function ensureOwnTopic(
  log: Log,
  topic: OwnTopic,
  outside: Pick<Outside, 'timers'>,
): Promise<OwnTopicState> {
  try {
    return await ensure(log, topic, outside)
  } catch (cause) {
    if (cause instanceof StoreError) throw cause
    throw failureOfLog(`topic ${topic.name} cannot be used`, cause)
  }
}

async function ensure(
  log: Log,
  topic: OwnTopic,
  outside: Pick<Outside, 'timers'>,
): Promise<OwnTopicState> {
  const { name, configs, required } = topic
  const [outcome] = await log.createTopics([{ name, partitions: 1, configs }])
  const problem = outcome?.error
  // Another node was first.
  if (problem !== undefined && problem.code !== 'TOPIC_ALREADY_EXISTS') throw problem
  const found = await look(log, name, outside)
  if (found.partitions.length !== 1) {
    const have = found.partitions.length
    throw new StoreError('BAD_TOPIC', `topic ${name} must have 1 partition, it has ${have}`)
  }
  const config = new Map<string, string>()
  for (const entry of await log.describeConfig(name)) config.set(entry.name, entry.value ?? '')
  for (const [key, value] of Object.entries(required)) {
    const has = config.get(key)
    if (has !== value) {
      throw new StoreError('BAD_TOPIC', `topic ${name}: ${key} must be ${value}, it is ${has}`)
    }
  }
  const [end] = await log.listOffsets([{ topic: name, partition: 0, place: 'latest' }])
  if (end?.error !== undefined) throw end.error
  return { topicId: found.topicId, config, end: end?.offset ?? 0 }
}

/** The topic is there, but need not be seen here yet. */
async function look(
  log: Log,
  name: string,
  { timers }: Pick<Outside, 'timers'>,
): Promise<TopicDescription> {
  for (let i = 0; i < LOOKS; i++) {
    const [found] = await log.describeTopics([name])
    if (found !== undefined) return found
    await sleep(timers, LOOK_AGAIN_MS)
  }
  throw new LogError('UNKNOWN_TOPIC_OR_PARTITION', name)
}
