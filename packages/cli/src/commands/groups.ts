/** `millrace groups`: list, describe with lag, reset, delete. */
import type { FetchedOffset, GroupDescription, GroupListing, Log } from '@millrace/log'
import { CommandError, EXIT, type ExitCode } from 'millrace/errors'
import { type LogContext, printAnswer, printRows, reportFailures } from '../terminal/context.ts'
import { type Place, parsePlace } from '../text/place.ts'
import { counted } from '../text/quantity.ts'
import { committedOf, lagsOf, NO_OFFSET } from './group-lag.ts'
import { offsetsAt, rangesOf, requireTopic, targetsOf } from './partition-ranges.ts'

/** `groups list` */
export async function listGroups(
  context: LogContext,
  options: { readonly state?: readonly string[] },
): Promise<ExitCode> {
  const states = options.state ?? []
  const groups = await context.log.groups.list(states.length === 0 ? {} : { states })
  printRows<GroupListing>(
    context,
    groups.toSorted((a, b) => (a.groupId < b.groupId ? -1 : 1)),
    {
      group: group => group.groupId,
      state: group => group.state,
      type: group => group.protocolType,
    },
    ({ groupId, state, protocolType }) => ({ group: groupId, state, protocolType }),
  )
  return EXIT.ok
}

/** `groups describe GROUP` */
export async function describeGroup(context: LogContext, groupId: string): Promise<ExitCode> {
  const group = await requireGroup(context.log, groupId)
  const lags = await lagsOf(context.log, group)
  const total = lags.reduce((sum, each) => sum + each.lag, 0)
  if (context.json) {
    const members = group.members.map(({ memberId, groupInstanceId, clientId, clientHost }) => ({
      memberId,
      groupInstanceId,
      clientId,
      clientHost,
    }))
    const { state, protocolType, protocolName } = group
    context.stdout.write(
      `${JSON.stringify({ group: groupId, state, protocolType, protocolName, lag: total, members, partitions: lags })}\n`,
    )
    return EXIT.ok
  }
  const { stdout } = context
  stdout.write(`${groupId}  ${group.state}  ${group.protocolName || 'no assignor'}\n`)
  stdout.write(`${counted(group.members.length, 'member')}, lag ${total.toLocaleString('en-US')}\n`)
  if (group.members.length > 0) {
    stdout.write('\n')
    printRows(context, group.members, {
      member: member => member.memberId,
      instance: member => member.groupInstanceId ?? '',
      client: member => member.clientId,
      host: member => member.clientHost,
    })
  }
  stdout.write('\n')
  printRows(context, lags, {
    topic: lag => lag.topic,
    partition: lag => lag.partition,
    committed: lag => (lag.committed === NO_OFFSET ? '-' : lag.committed.toLocaleString('en-US')),
    latest: lag => lag.latest,
    lag: lag => lag.lag,
    member: lag => lag.member ?? '-',
    problem: lag => lag.error ?? '',
  })
  return EXIT.ok
}

/** Options of `groups reset`. */
export type ResetGroupOptions = {
  readonly to: string
  /** Topics, each with partitions if not all: `loans` or `loans:0,3`. None: all committed ones. */
  readonly topic?: readonly string[]
  readonly dryRun?: boolean
}

/** `groups reset GROUP --to PLACE` */
export async function resetGroup(
  context: LogContext,
  groupId: string,
  options: ResetGroupOptions,
): Promise<ExitCode> {
  const { log } = context
  const place = parsePlace(options.to, context.now())
  const [group] = await log.groups.describe([groupId])
  const members = group?.members.length ?? 0
  if (members > 0) {
    throw new CommandError(
      `the group ${groupId} has ${counted(members, 'member')}`,
      EXIT.failed,
      'Stop its consumers first: they would commit over the new offsets.',
    )
  }
  const current = await committedOf(log, groupId)
  const targets = await resetTargets(log, groupId, current, options.topic ?? [])
  const wanted = await resetOffsets(log, targets, place)
  const before = new Map(current.map(each => [`${each.topic}/${each.partition}`, each.offset]))
  const rows = targets.map(({ topic, partition }, index) => ({
    topic,
    partition,
    from: before.get(`${topic}/${partition}`) ?? NO_OFFSET,
    to: wanted[index] ?? 0,
  }))
  const failures: { readonly what: string; readonly error: Error }[] = []
  if (options.dryRun !== true) {
    const outcomes = await log.groups.commit({
      groupId,
      memberId: '',
      generationId: -1,
      groupInstanceId: null,
      offsets: rows.map(({ topic, partition, to }) => ({
        topic,
        partition,
        offset: to,
        leaderEpoch: -1,
        metadata: null,
      })),
    })
    for (const { topic, partition, error } of outcomes) {
      if (error !== undefined) failures.push({ what: `${topic}/${partition}`, error })
    }
  }
  printRows(context, rows, {
    topic: row => row.topic,
    partition: row => row.partition,
    from: row => (row.from === NO_OFFSET ? '-' : row.from.toLocaleString('en-US')),
    to: row => row.to,
  })
  if (options.dryRun === true && !context.json) {
    context.stdout.write('Nothing was changed (--dry-run).\n')
  }
  return reportFailures(context, failures)
}

/** `groups delete GROUP...` */
export async function deleteGroups(
  context: LogContext,
  groupIds: readonly string[],
): Promise<ExitCode> {
  const failures: { readonly what: string; readonly error: Error }[] = []
  for (const { groupId, error } of await context.log.groups.delete(groupIds)) {
    if (error !== undefined) failures.push({ what: groupId, error })
    else printAnswer(context, `${groupId}: deleted`, { group: groupId })
  }
  return reportFailures(context, failures)
}

async function requireGroup(log: Log, groupId: string): Promise<GroupDescription> {
  const [group] = await log.groups.describe([groupId])
  if (group?.error !== undefined) throw group.error
  if (group === undefined || group.state === 'Dead') {
    throw new CommandError(
      `there is no group ${groupId}`,
      EXIT.failed,
      'Run "millrace groups list" for those that are.',
    )
  }
  return group
}

async function resetTargets(
  log: Log,
  groupId: string,
  current: readonly FetchedOffset[],
  chosen: readonly string[],
): Promise<readonly { readonly topic: string; readonly partition: number }[]> {
  if (chosen.length === 0) {
    if (current.length > 0) return current.map(({ topic, partition }) => ({ topic, partition }))
    throw new CommandError(
      `the group ${groupId} has committed nothing`,
      EXIT.usage,
      'Name the topics: --topic NAME or --topic NAME:0,1.',
    )
  }
  const targets = []
  for (const text of chosen) {
    const [name = '', list] = text.split(':', 2)
    if (list !== undefined && !/^\d+(,\d+)*$/.test(list)) {
      throw new CommandError(`"${text}" is not TOPIC or TOPIC:0,1`, EXIT.usage)
    }
    const partitions = list === undefined ? undefined : list.split(',').map(Number)
    targets.push(...targetsOf([await requireTopic(log, name)], partitions))
  }
  return targets
}

/** Where each partition's next read begins; kept between its first and last offset. */
async function resetOffsets(
  log: Log,
  targets: readonly { readonly topic: string; readonly partition: number }[],
  place: Place,
): Promise<readonly number[]> {
  const ranges = await rangesOf(log, targets)
  if (place.kind === 'earliest' || place.kind === 'latest') {
    const { kind } = place
    return ranges.map(range => range[kind])
  }
  const found =
    place.kind === 'time'
      ? await offsetsAt(log, targets, place.timestamp)
      : ranges.map(() => place.offset)
  return ranges.map(({ earliest, latest }, index) => {
    const offset = found[index] ?? NO_OFFSET
    return offset === NO_OFFSET ? latest : Math.min(Math.max(offset, earliest), latest)
  })
}
