/** `millrace topics`: list, create, describe, alter, delete. */
import type { ConfigChange, ConfigEntry, TopicDescription, TopicOutcome } from '@millrace/log'
import { CommandError, EXIT, type ExitCode } from 'millrace/errors'
import { type LogContext, printAnswer, printRows, reportFailures } from '../terminal/context.ts'
import { bytes, counted } from '../text/quantity.ts'
import { type PartitionRange, partitionRanges, requireTopic } from './partition-ranges.ts'

/** Options of `topics list`. */
export type ListTopicsOptions = {
  /** Whether topics of the log itself are shown. */
  readonly internal?: boolean
  /** Whether records and bytes are counted; asks about every partition. */
  readonly long?: boolean
}

/** `topics list` */
export async function listTopics(
  context: LogContext,
  options: ListTopicsOptions,
): Promise<ExitCode> {
  const { log } = context
  const all = await log.describeTopics()
  const topics = all.filter(topic => options.internal === true || !topic.internal)
  if (options.long !== true) {
    printRows(
      context,
      topics,
      { topic: topic => topic.name, partitions: topic => topic.partitions.length },
      ({ name, topicId, internal, partitions }) => ({
        topic: name,
        topicId,
        internal,
        partitions: partitions.length,
      }),
    )
    return EXIT.ok
  }
  const ranges = await partitionRanges(log, topics)
  const sizes = await log.describeSizes(topics.map(topic => topic.name))
  const rangesByTopic = Map.groupBy(ranges, range => range.topic)
  const sizesByTopic = Map.groupBy(sizes, size => size.topic)
  const rows = topics.map(topic => ({
    topic: topic.name,
    topicId: topic.topicId,
    internal: topic.internal,
    partitions: topic.partitions.length,
    records: sum(rangesByTopic.get(topic.name), range => range.latest - range.earliest),
    bytes: sum(sizesByTopic.get(topic.name), size => size.bytes),
  }))
  printRows(context, rows, {
    topic: row => row.topic,
    partitions: row => row.partitions,
    records: row => row.records,
    size: row => bytes(row.bytes),
  })
  return EXIT.ok
}

/** Options of `topics create`. */
export type CreateTopicsOptions = {
  readonly partitions?: number
  readonly replicationFactor?: number
  /** NAME=VALUE each. */
  readonly config?: readonly string[]
  readonly ifNotExists?: boolean
  readonly dryRun?: boolean
}

/** `topics create NAME...` */
export async function createTopics(
  context: LogContext,
  names: readonly string[],
  options: CreateTopicsOptions,
): Promise<ExitCode> {
  const configs = Object.fromEntries((options.config ?? []).map(assignment))
  const outcomes = await context.log.createTopics(
    names.map(name => ({
      name,
      partitions: options.partitions ?? -1,
      replicationFactor: options.replicationFactor ?? -1,
      configs,
    })),
    { validateOnly: options.dryRun === true },
  )
  const done = options.dryRun === true ? 'could be created' : 'created'
  return report(context, outcomes, done, options.ifNotExists ? 'TOPIC_ALREADY_EXISTS' : null)
}

/** `topics delete NAME...` */
export async function deleteTopics(
  context: LogContext,
  names: readonly string[],
  options: { readonly ifExists?: boolean },
): Promise<ExitCode> {
  const outcomes = await context.log.deleteTopics(names)
  const absent = options.ifExists ? 'UNKNOWN_TOPIC_OR_PARTITION' : null
  return report(context, outcomes, 'deleted', absent)
}

/** Options of `topics alter`. */
export type AlterTopicOptions = {
  readonly partitions?: number
  /** NAME=VALUE each. */
  readonly config?: readonly string[]
  /** Names that go back to their defaults. */
  readonly unset?: readonly string[]
  readonly dryRun?: boolean
}

/** `topics alter NAME` */
export async function alterTopic(
  context: LogContext,
  name: string,
  options: AlterTopicOptions,
): Promise<ExitCode> {
  const changes: ConfigChange[] = [
    ...(options.config ?? [])
      .map(assignment)
      .map(([key, value]) => ({ name: key, operation: 'set', value }) as const),
    ...(options.unset ?? []).map(key => ({ name: key, operation: 'delete', value: null }) as const),
  ]
  if (changes.length === 0 && options.partitions === undefined) {
    throw new CommandError(
      'nothing to alter',
      EXIT.usage,
      'Give --partitions, --config NAME=VALUE or --unset NAME.',
    )
  }
  const validateOnly = options.dryRun === true
  if (changes.length > 0) await context.log.alterConfig(name, changes, { validateOnly })
  const outcomes: readonly TopicOutcome[] =
    options.partitions === undefined
      ? [{ name }]
      : await context.log.createPartitions([{ name, partitions: options.partitions }], {
          validateOnly,
        })
  return report(context, outcomes, validateOnly ? 'could be altered' : 'altered', null)
}

/** `topics describe NAME` */
export async function describeTopic(
  context: LogContext,
  name: string,
  options: { readonly all?: boolean },
): Promise<ExitCode> {
  const topic = await requireTopic(context.log, name)
  const [ranges, configs] = await Promise.all([
    partitionRanges(context.log, [topic]),
    context.log.describeConfig(name),
  ])
  const shown = configs.filter(entry => options.all === true || entry.source === 'topic')
  if (context.json) context.stdout.write(`${JSON.stringify(asJson(topic, ranges, shown))}\n`)
  else describeForEyes(context, topic, ranges, shown)
  return EXIT.ok
}

function describeForEyes(
  context: LogContext,
  topic: TopicDescription,
  ranges: readonly PartitionRange[],
  configs: readonly ConfigEntry[],
): void {
  const partitions = counted(topic.partitions.length, 'partition')
  context.stdout.write(`${topic.name}  ${partitions}  id ${topic.topicId}\n\n`)
  printRows(context, ranges, {
    partition: range => range.partition,
    earliest: range => range.earliest,
    latest: range => range.latest,
    records: range => range.latest - range.earliest,
    leader: range => leaderOf(topic, range.partition),
  })
  if (configs.length === 0) {
    context.stdout.write('\nAll configuration by default; --all shows it.\n')
    return
  }
  context.stdout.write('\n')
  printRows(context, configs, {
    config: entry => entry.name,
    value: entry => entry.value ?? '',
    source: entry => entry.source,
  })
}

function asJson(
  topic: TopicDescription,
  ranges: readonly PartitionRange[],
  configs: readonly ConfigEntry[],
): object {
  return {
    topic: topic.name,
    topicId: topic.topicId,
    internal: topic.internal,
    partitions: ranges.map(({ partition, earliest, latest }) => ({
      partition,
      leader: leaderOf(topic, partition),
      earliest,
      latest,
    })),
    configs: configs.map(({ name, value, source }) => ({ name, value, source })),
  }
}

function leaderOf(topic: TopicDescription, partition: number): number {
  return topic.partitions.find(each => each.partition === partition)?.leader ?? -1
}

function report(
  context: LogContext,
  outcomes: readonly TopicOutcome[],
  done: string,
  harmless: string | null,
): ExitCode {
  const failures: { readonly what: string; readonly error: Error }[] = []
  for (const { name, error, topicId, partitions } of outcomes) {
    if (error !== undefined && error.code !== harmless) failures.push({ what: name, error })
    else if (error !== undefined) printAnswer(context, `${name}: unchanged`, { topic: name })
    else printAnswer(context, `${name}: ${done}`, { topic: name, topicId, partitions })
  }
  return reportFailures(context, failures)
}

/** NAME=VALUE apart. Throws a usage error. */
function assignment(text: string): readonly [name: string, value: string] {
  const at = text.indexOf('=')
  if (at < 1) throw new CommandError(`"${text}" is not NAME=VALUE`, EXIT.usage)
  return [text.slice(0, at), text.slice(at + 1)]
}

function sum<T>(items: readonly T[] | undefined, amount: (item: T) => number): number {
  return (items ?? []).reduce((total, item) => total + amount(item), 0)
}
