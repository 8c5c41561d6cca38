/** How far a group is behind, partition by partition, and which member reads which. */
import { decodeAssignment } from '@millrace/clients'
import { type FetchedOffset, type GroupDescription, type Log, LogError } from '@millrace/log'
import { rangesOf, targetsOf } from './partition-ranges.ts'

/** The committed offset where there is none. */
export const NO_OFFSET = -1
/** Only members of this protocol type have assignments that can be read. */
const CONSUMER = 'consumer'

/** What a group has read of one partition. */
export type Lag = {
  readonly topic: string
  readonly partition: number
  /** The next offset to be read; -1 where nothing is committed. */
  readonly committed: number
  readonly latest: number
  /** Records not read yet; from the earliest offset on where nothing is committed. */
  readonly lag: number
  /** Id of the member that reads it; null where nobody does. */
  readonly member: string | null
  readonly error?: string
}

/** The offsets a group has committed, by topic and partition. */
export async function committedOf(log: Log, groupId: string): Promise<readonly FetchedOffset[]> {
  const offsets = await log.groups.fetchOffsets(groupId)
  return offsets
    .filter(each => each.error !== undefined || each.offset !== NO_OFFSET)
    .toSorted((a, b) =>
      a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1,
    )
}

/**
 * All partitions of the topics that the group has committed or is assigned: those without a commit
 * are behind too. Topics that are gone are not.
 */
export async function lagsOf(log: Log, group: GroupDescription): Promise<readonly Lag[]> {
  const committed = await committedOf(log, group.groupId)
  const owners = ownersOf(group)
  const names = [...committed, ...owners.values()].map(each => each.topic)
  const targets = targetsOf(await log.describeTopics([...new Set(names)]))
  const ranges = await rangesOf(log, targets)
  const offsets = new Map(committed.map(each => [keyOf(each), each]))
  return ranges.map(({ topic, partition, earliest, latest }) => {
    const offset = offsets.get(keyOf({ topic, partition }))
    const next = offset?.offset ?? NO_OFFSET
    return {
      topic,
      partition,
      committed: next,
      latest,
      lag: Math.max(0, latest - (next === NO_OFFSET ? earliest : next)),
      member: owners.get(keyOf({ topic, partition }))?.memberId ?? null,
      ...(offset?.error === undefined ? {} : { error: offset.error.message }),
    }
  })
}

type Owned = { readonly topic: string; readonly partition: number; readonly memberId: string }

function ownersOf(group: GroupDescription): ReadonlyMap<string, Owned> {
  const owners = new Map<string, Owned>()
  if (group.protocolType !== CONSUMER) return owners
  for (const { memberId, assignment } of group.members) {
    for (const { topic, partition } of partitionsOf(assignment)) {
      owners.set(keyOf({ topic, partition }), { topic, partition, memberId })
    }
  }
  return owners
}

/** An assignment is the members' own business: one that cannot be read names nothing. */
function partitionsOf(assignment: Buffer) {
  try {
    return decodeAssignment(assignment).partitions
  } catch (error) {
    if (error instanceof LogError) return []
    throw error
  }
}

function keyOf({
  topic,
  partition,
}: {
  readonly topic: string
  readonly partition: number
}): string {
  return `${topic}/${partition}`
}
