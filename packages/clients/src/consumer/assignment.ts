/**
 * The words that all assignors share: members, assignments, and their orders.
 */
import type { TopicPartition } from '@millrace/log'
import type { Subscription } from './embedded-protocol.ts'

/** A member as the leader sees it. */
export type GroupMember = {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly subscription: Subscription
}

/** Partitions by member id; every member has an entry. */
export type GroupAssignment = Map<string, TopicPartition[]>

/** A way to assign. */
export type Assignor = (
  members: readonly GroupMember[],
  partitionCounts: ReadonlyMap<string, number>,
) => GroupAssignment

/** Static members by instance id first, then the others by member id: stable over restarts. */
export function inMemberOrder(members: readonly GroupMember[]): GroupMember[] {
  return [...members].sort((a, b) => {
    if (a.groupInstanceId !== null && b.groupInstanceId !== null)
      return a.groupInstanceId < b.groupInstanceId ? -1 : 1
    if (a.groupInstanceId !== null) return -1
    if (b.groupInstanceId !== null) return 1
    return a.memberId < b.memberId ? -1 : 1
  })
}

/** An assignment that gives nobody anything. */
export const emptyAssignment = (members: readonly GroupMember[]): GroupAssignment =>
  new Map(members.map(member => [member.memberId, []]))

/** Topics of all members that exist, in rising order. */
export function topicsOf(
  members: readonly GroupMember[],
  partitionCounts: ReadonlyMap<string, number>,
): string[] {
  const topics = new Set(members.flatMap(member => member.subscription.topics))
  return [...topics].filter(topic => partitionCounts.has(topic)).sort()
}
