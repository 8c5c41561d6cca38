/** What several commands ask first: a topic by its name, and where its partitions begin and end. */
import { type Log, LogError, type OffsetPlace, type TopicDescription } from '@millrace/log'

/** From the first offset that can be read to the end of what can be read. */
export type PartitionRange = {
  readonly topic: string
  readonly partition: number
  readonly earliest: number
  /** The next offset to be written, as consumers see it. */
  readonly latest: number
}

/** A partition of a topic. */
type Target = { readonly topic: string; readonly partition: number }

/** The topic of that name. Throws UNKNOWN_TOPIC_OR_PARTITION. */
export async function requireTopic(log: Log, name: string): Promise<TopicDescription> {
  const topic = (await log.describeTopics([name])).find(each => each.name === name)
  if (topic === undefined) throw new LogError('UNKNOWN_TOPIC_OR_PARTITION', name)
  return topic
}

/** All partitions of topics, in order, or the `chosen` ones. Throws for one that is not there. */
export function targetsOf(
  topics: readonly TopicDescription[],
  chosen?: readonly number[],
): readonly Target[] {
  const targets = topics.flatMap(topic =>
    topic.partitions
      .map(({ partition }) => ({ topic: topic.name, partition }))
      .sort((a, b) => a.partition - b.partition),
  )
  if (chosen === undefined || chosen.length === 0) return targets
  for (const partition of chosen) {
    if (!targets.some(target => target.partition === partition)) {
      throw new LogError('UNKNOWN_TOPIC_OR_PARTITION', `partition ${partition}`)
    }
  }
  return targets.filter(target => chosen.includes(target.partition))
}

/** Begin and end of every partition of the topics. */
export async function partitionRanges(
  log: Log,
  topics: readonly TopicDescription[],
): Promise<readonly PartitionRange[]> {
  return rangesOf(log, targetsOf(topics))
}

/** Begin and end of each of the partitions. Throws the first error that one of them answers. */
export async function rangesOf(
  log: Log,
  targets: readonly Target[],
): Promise<readonly PartitionRange[]> {
  const [earliest, latest] = await Promise.all([
    offsetsAt(log, targets, 'earliest'),
    offsetsAt(log, targets, 'latest'),
  ])
  return targets.map(({ topic, partition }, index) => ({
    topic,
    partition,
    earliest: earliest[index] ?? 0,
    latest: latest[index] ?? 0,
  }))
}

/** The offset of a place in each partition, in their order; -1 where a time lies after the end. */
export async function offsetsAt(
  log: Log,
  targets: readonly Target[],
  place: OffsetPlace,
): Promise<readonly number[]> {
  if (targets.length === 0) return []
  const answers = await log.listOffsets(
    targets.map(({ topic, partition }) => ({ topic, partition, place })),
  )
  const byTarget = new Map(answers.map(answer => [keyOf(answer), answer]))
  return targets.map(target => {
    const answer = byTarget.get(keyOf(target))
    if (answer?.error !== undefined) throw answer.error
    return answer?.offset ?? -1
  })
}

function keyOf({ topic, partition }: Target): string {
  return `${topic}/${partition}`
}
