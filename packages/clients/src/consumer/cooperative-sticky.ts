/**
 * The assignor `cooperative-sticky`: balanced, moves as little as it can, and moves in two steps.
 *
 * 1. Every member keeps what it holds, where it still subscribes to it and no member of a later
 *    generation claims it (of two claims in one generation none counts).
 * 2. What nobody holds goes to the member with the least.
 * 3. While some chain of moves takes a partition from a member to another that has at least two
 *    less, it is made. Each chain lowers the sum of squared loads, so this ends, and it ends
 *    balanced: no chain is left that would make loads more even.
 * 4. A partition that moves from a living member to another is given to nobody yet (KIP-429): its
 *    holder sees it missing, finishes its work, gives it up and joins again; the rebalance that
 *    follows finds it free. So two members never hold one partition in a generation.
 *
 * The choices inside differ from the Java client's, which is legal: the leader alone decides.
 */
import type { TopicPartition } from '@millrace/log'
import {
  emptyAssignment,
  type GroupAssignment,
  type GroupMember,
  inMemberOrder,
  topicsOf,
} from './assignment.ts'

/** The generation that a member was in, or -1: version 2 says so itself, version 1 in user data. */
function generationOf({ subscription }: GroupMember): number {
  if (subscription.generationId >= 0) return subscription.generationId
  const { userData } = subscription
  return userData !== null && userData.length === 4 ? userData.readInt32BE(0) : -1
}

/** User data of a member of `generationId`, as the Java client writes and reads it. */
export function cooperativeUserData(generationId: number): Buffer {
  const data = Buffer.allocUnsafe(4)
  data.writeInt32BE(generationId)
  return data
}

/** Assigns; see the head of the file. */
export function assignCooperativeSticky(
  members: readonly GroupMember[],
  partitionCounts: ReadonlyMap<string, number>,
): GroupAssignment {
  const sharing = new Sharing(inMemberOrder(members), partitionCounts)
  sharing.keepOwned()
  sharing.giveTheFree()
  sharing.balance()
  return sharing.withoutTransfers()
}

/** One member while partitions are shared out. */
type Share = {
  readonly member: GroupMember
  readonly topics: ReadonlySet<string>
  /** Partitions by topic, so that a chain finds one to move at once. */
  readonly held: Map<string, Set<number>>
  load: number
}

type Move = { readonly from: Share; readonly to: Share; readonly topic: string }

class Sharing {
  #members: readonly GroupMember[]
  #shares: Share[]
  #partitionCounts: ReadonlyMap<string, number>
  #taken = new Map<string, Set<number>>()

  constructor(members: readonly GroupMember[], partitionCounts: ReadonlyMap<string, number>) {
    this.#members = members
    this.#partitionCounts = partitionCounts
    this.#shares = members.map(member => ({
      member,
      topics: new Set(member.subscription.topics),
      held: new Map(),
      load: 0,
    }))
  }

  keepOwned(): void {
    const claims = new Map<string, { share: Share | null; generation: number }>()
    for (const share of this.#shares) {
      const generation = generationOf(share.member)
      for (const { topic, partition } of share.member.subscription.ownedPartitions) {
        const key = keyOf(topic, partition)
        const claim = claims.get(key)
        if (claim === undefined || generation > claim.generation)
          claims.set(key, { share, generation })
        else if (generation === claim.generation && claim.share !== share) claim.share = null
      }
    }
    for (const share of this.#shares)
      for (const { topic, partition } of share.member.subscription.ownedPartitions) {
        const exists = partition >= 0 && partition < (this.#partitionCounts.get(topic) ?? 0)
        if (!exists || !share.topics.has(topic)) continue
        if (claims.get(keyOf(topic, partition))?.share === share)
          this.#give(share, topic, partition)
      }
  }

  giveTheFree(): void {
    for (const topic of topicsOf(this.#members, this.#partitionCounts)) {
      const takers = this.#shares.filter(share => share.topics.has(topic))
      const count = this.#partitionCounts.get(topic) ?? 0
      for (let partition = 0; partition < count; partition += 1) {
        if (this.#taken.get(topic)?.has(partition)) continue
        let least = takers[0]
        for (const taker of takers) if (least && taker.load < least.load) least = taker
        if (least) this.#give(least, topic, partition)
      }
    }
  }

  balance(): void {
    for (;;) {
      const chain = this.#nextChain()
      if (chain === null) return
      for (const { from, to, topic } of chain) this.#move(from, to, topic)
    }
  }

  /** The assignment without partitions that a living member must first give up. */
  withoutTransfers(): GroupAssignment {
    const owners = new Map<string, Set<string>>()
    for (const { memberId, subscription } of this.#members)
      for (const { topic, partition } of subscription.ownedPartitions) {
        const key = keyOf(topic, partition)
        owners.set(key, (owners.get(key) ?? new Set()).add(memberId))
      }
    const assignment = emptyAssignment(this.#members)
    for (const { member, held } of this.#shares) {
      const given: TopicPartition[] = []
      for (const [topic, partitions] of held)
        for (const partition of partitions) {
          const holders = owners.get(keyOf(topic, partition))
          if (holders === undefined || holders.has(member.memberId))
            given.push({ topic, partition })
        }
      assignment.set(member.memberId, given.sort(byTopicAndPartition))
    }
    return assignment
  }

  #nextChain(): Move[] | null {
    for (const from of this.#shares.toSorted((a, b) => b.load - a.load)) {
      const chain = this.#chainFrom(from)
      if (chain !== null) return chain
    }
    return null
  }

  /** The shortest chain of moves from `from` to a member with at least two partitions less. */
  #chainFrom(from: Share): Move[] | null {
    const reachedBy = new Map<Share, { from: Share; topic: string } | null>([[from, null]])
    // A map keeps the order of insertion and grows under the loop: a breadth-first search.
    for (const share of reachedBy.keys()) {
      if (share.load <= from.load - 2) return pathTo(share, reachedBy)
      for (const to of this.#shares) {
        if (reachedBy.has(to)) continue
        const topic = movableTopic(share, to)
        if (topic !== null) reachedBy.set(to, { from: share, topic })
      }
    }
    return null
  }

  #give(share: Share, topic: string, partition: number): void {
    const taken = this.#taken.get(topic) ?? new Set()
    if (taken.has(partition)) return
    this.#taken.set(topic, taken.add(partition))
    share.held.set(topic, (share.held.get(topic) ?? new Set()).add(partition))
    share.load += 1
  }

  #move(from: Share, to: Share, topic: string): void {
    const held = from.held.get(topic) ?? new Set()
    // The last one given leaves first: what was owned was given before, so it stays longest.
    const partition = [...held].at(-1)
    if (partition === undefined) throw new Error('a chain moved what its member does not hold')
    held.delete(partition)
    to.held.set(topic, (to.held.get(topic) ?? new Set()).add(partition))
    from.load -= 1
    to.load += 1
  }
}

const keyOf = (topic: string, partition: number): string => `${partition} ${topic}`

function movableTopic(from: Share, to: Share): string | null {
  for (const [topic, partitions] of from.held)
    if (partitions.size > 0 && to.topics.has(topic)) return topic
  return null
}

function pathTo(
  end: Share,
  reachedBy: ReadonlyMap<Share, { from: Share; topic: string } | null>,
): Move[] {
  const path: Move[] = []
  let to = end
  for (let step = reachedBy.get(to); step; step = reachedBy.get(to)) {
    path.push({ ...step, to })
    to = step.from
  }
  return path
}

function byTopicAndPartition(a: TopicPartition, b: TopicPartition): number {
  if (a.topic !== b.topic) return a.topic < b.topic ? -1 : 1
  return a.partition - b.partition
}
