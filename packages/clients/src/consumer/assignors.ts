/**
 * How the leader of a group shares partitions among its members.
 *
 * Pure functions from subscriptions and partition counts to an assignment, the same on every
 * member and in every run. `range` and `roundrobin` give what Kafka's Java client gives; the
 * sticky one has a file of its own. Names are those of the wire, so that members written in other
 * languages can be in the same group.
 */
import {
  type Assignor,
  emptyAssignment,
  type GroupAssignment,
  type GroupMember,
  inMemberOrder,
  topicsOf,
} from './assignment.ts'
import { assignCooperativeSticky } from './cooperative-sticky.ts'

/** Assignors by their names on the wire. */
export type AssignorName = 'range' | 'roundrobin' | 'cooperative-sticky'

/** All assignors, and whether they keep partitions over a rebalance (KIP-429). */
export const ASSIGNORS: Readonly<
  Record<AssignorName, { readonly assign: Assignor; readonly cooperative: boolean }>
> = {
  range: { assign: assignRange, cooperative: false },
  roundrobin: { assign: assignRoundRobin, cooperative: false },
  'cooperative-sticky': { assign: assignCooperativeSticky, cooperative: true },
}

/** Per topic: equal runs of partitions, the first members get one more. */
export function assignRange(
  members: readonly GroupMember[],
  partitionCounts: ReadonlyMap<string, number>,
): GroupAssignment {
  const assignment = emptyAssignment(members)
  const ordered = inMemberOrder(members)
  for (const topic of topicsOf(members, partitionCounts)) {
    const takers = ordered.filter(member => member.subscription.topics.includes(topic))
    const count = partitionCounts.get(topic) ?? 0
    const each = Math.floor(count / takers.length)
    const extra = count % takers.length
    let partition = 0
    for (const [index, taker] of takers.entries())
      for (let left = each + (index < extra ? 1 : 0); left > 0; left -= 1, partition += 1)
        assignment.get(taker.memberId)?.push({ topic, partition })
  }
  return assignment
}

/** All partitions in turn to all members in turn, over those that do not subscribe. */
export function assignRoundRobin(
  members: readonly GroupMember[],
  partitionCounts: ReadonlyMap<string, number>,
): GroupAssignment {
  const assignment = emptyAssignment(members)
  const ordered = inMemberOrder(members)
  let turn = 0
  for (const topic of topicsOf(members, partitionCounts)) {
    const count = partitionCounts.get(topic) ?? 0
    for (let partition = 0; partition < count; partition += 1) {
      // Ends: at least one member subscribes to the topic.
      for (;;) {
        const member = ordered[turn % ordered.length]
        turn += 1
        if (member?.subscription.topics.includes(topic)) {
          assignment.get(member.memberId)?.push({ topic, partition })
          break
        }
      }
    }
  }
  return assignment
}
