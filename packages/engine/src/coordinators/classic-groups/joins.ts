/**
 * What a join means: for a new member, for one that is known, for a static one that comes back, in
 * each state of the group (KIP-345, KIP-394, KIP-814).
 */

import type { Random } from '@millrace/base'
import type { JoinRequest, JoinResponse, LogError, LogErrorCode } from '@millrace/log'
import { refusedJoin, refusedSync } from './answers.ts'
import type { ClassicGroup } from './classic-group.ts'
import { memberBytes, storedMemberBytes } from './group-memory.ts'
import {
  type Answer,
  copyProtocols,
  joiningMember,
  type Member,
  metadataOf,
  offersSame,
} from './member.ts'
import type { GroupContext, Rebalancer } from './rebalancer.ts'
import { groupRecord } from './records.ts'
import { sameSubscription } from './subscription.ts'

/** As long as an id that is given out, behind the client's name. */
const NEW_MEMBER_ID = '-'.repeat(37)

/** Handles joins. */
export class Joins {
  readonly #context: GroupContext
  readonly #rebalancer: Rebalancer
  readonly #random: Random

  constructor(context: GroupContext, rebalancer: Rebalancer, random: Random) {
    this.#context = context
    this.#rebalancer = rebalancer
    this.#random = random
  }

  /** Lets a member into the group or says why not; the answer may take a rebalance. */
  join(group: ClassicGroup, request: JoinRequest, answer: Answer<JoinResponse>): void {
    const { memberId } = request
    if (!this.#hasRoom(group, request) || !this.#hasBytes(group, request)) {
      this.#turnAway(group, memberId)
      this.#refuse(answer, '', 'GROUP_MAX_SIZE_REACHED')
    } else if (!group.supports(request.protocolType, request.protocols)) {
      this.#refuse(answer, memberId, 'INCONSISTENT_GROUP_PROTOCOL')
    } else if (memberId === '') {
      this.#joinUnknown(group, request, answer)
    } else if (group.pendingJoins.has(memberId)) {
      this.#joinPending(group, request, answer)
    } else {
      const problem = group.memberProblem(memberId, request.groupInstanceId)
      const member = group.members.get(memberId)
      if (problem !== null || member === undefined) {
        this.#refuse(answer, memberId, problem ?? 'UNKNOWN_MEMBER_ID')
      } else {
        this.#rejoin(group, member, request, answer)
      }
    }
  }

  #refuse(answer: Answer<JoinResponse>, memberId: string, code: LogErrorCode): void {
    this.#rebalancer.giveJoin(answer, refusedJoin(memberId, code))
  }

  #hasRoom(group: ClassicGroup, request: JoinRequest): boolean {
    const most = this.#context.settings['group.max.size']
    const instance = request.groupInstanceId
    if (instance !== null && group.instanceMember(instance) !== undefined) return true
    if (group.state === 'PreparingRebalance') {
      // Counted are those that have joined, so that a group that was larger before the limit fell
      // loses the last to come back.
      const member = group.members.get(request.memberId)
      return (member !== undefined && member.awaitingJoin !== null) || group.awaitingJoins < most
    }
    return group.members.has(request.memberId) || group.members.size < most
  }

  /** Whether what the request brings fits, into the group's stored record and beside all others. */
  #hasBytes(group: ClassicGroup, request: JoinRequest): boolean {
    const { memory, settings } = this.#context
    const { memberId, groupInstanceId } = request
    const instance = groupInstanceId === null ? undefined : group.instanceMember(groupInstanceId)
    const known = group.members.get(instance ?? memberId)
    // An id that is still to be given out is a UUID behind a name.
    const measured = { ...request, memberId: memberId === '' ? NEW_MEMBER_ID : memberId }
    if (!memory.hasRoom(memberBytes(measured) - (known?.bytes ?? 0))) return false
    let stored = storedMemberBytes(measured)
    for (const member of group.members.values()) {
      if (member !== known) stored += storedMemberBytes(member)
    }
    return stored <= settings['group.metadata.max.bytes']
  }

  #turnAway(group: ClassicGroup, memberId: string): void {
    this.#rebalancer.dropPending(group, memberId)
    const member = group.members.get(memberId)
    if (member !== undefined) this.#rebalancer.drop(group, member)
    this.#rebalancer.afterRemoval(group, member !== undefined)
  }

  #joinUnknown(group: ClassicGroup, request: JoinRequest, answer: Answer<JoinResponse>): void {
    const instance = request.groupInstanceId
    const memberId = this.#newMemberId(instance ?? request.clientId)
    if (instance !== null) {
      const oldId = group.instanceMember(instance)
      const old = oldId === undefined ? undefined : group.members.get(oldId)
      if (old === undefined) this.#add(group, request, memberId, answer)
      else this.#replaceStatic(group, old, memberId, request, answer)
    } else if (!request.requireKnownMemberId) {
      this.#add(group, request, memberId, answer)
    } else if (group.pendingJoins.size >= this.#context.settings['group.max.size']) {
      this.#refuse(answer, '', 'GROUP_MAX_SIZE_REACHED')
    } else {
      this.#rebalancer.awaitPending(group, memberId, request.sessionTimeoutMs)
      this.#refuse(answer, memberId, 'MEMBER_ID_REQUIRED')
    }
  }

  #joinPending(group: ClassicGroup, request: JoinRequest, answer: Answer<JoinResponse>): void {
    if (request.groupInstanceId !== null) {
      // Ids are handed out in advance to dynamic members only.
      this.#refuse(answer, request.memberId, 'UNKNOWN_MEMBER_ID')
      return
    }
    this.#rebalancer.dropPending(group, request.memberId)
    this.#add(group, request, request.memberId, answer)
  }

  #add(
    group: ClassicGroup,
    request: JoinRequest,
    memberId: string,
    answer: Answer<JoinResponse>,
  ): void {
    const member = joiningMember(request, memberId)
    member.awaitingJoin = answer
    if (group.state === 'PreparingRebalance' && group.previousState === 'Empty') {
      group.newMemberAdded = true
    }
    group.add(member, request.protocolType)
    // It does not know its id yet and cannot heartbeat; nor is a lost connection noticed here.
    const timeout = this.#context.settings['group.new.member.join.timeout.ms']
    this.#rebalancer.touch(group, member, timeout)
    this.#rebalancer.rebalance(group)
  }

  /** A known member joins again: with news it rebalances, without it gets what it may have missed. */
  #rejoin(
    group: ClassicGroup,
    member: Member,
    request: JoinRequest,
    answer: Answer<JoinResponse>,
  ): void {
    const same = offersSame(member, request.protocols)
    // A leader in a stable group rebalances without news of its own: what has changed may be the
    // topics, which only it watches.
    const missed =
      same &&
      (group.state === 'CompletingRebalance' ||
        (group.state === 'Stable' && group.leader !== member.memberId))
    if (missed) {
      this.#rebalancer.giveJoin(answer, this.#rebalancer.joined(group, member.memberId))
      return
    }
    this.#update(group, member, request, answer)
    this.#rebalancer.rebalance(group)
  }

  #update(
    group: ClassicGroup,
    member: Member,
    request: JoinRequest,
    answer: Answer<JoinResponse>,
  ): void {
    member.protocols = copyProtocols(request.protocols)
    group.recount(member)
    member.rebalanceTimeoutMs = request.rebalanceTimeoutMs
    member.sessionTimeoutMs = request.sessionTimeoutMs
    // An earlier join of the same member waits on a connection that its client has given up.
    this.#rebalancer.answerJoin(member, refusedJoin(member.memberId, 'REBALANCE_IN_PROGRESS'))
    member.awaitingJoin = answer
  }

  /** A static member comes back without its id: it gets a new one and the old one is fenced. */
  #replaceStatic(
    group: ClassicGroup,
    old: Member,
    memberId: string,
    request: JoinRequest,
    answer: Answer<JoinResponse>,
  ): void {
    const formerLeader = group.leader
    const formerMetadata = metadataOf(old, group.protocolName)
    try {
      this.#storeRename(group, old, memberId, request)
    } catch (error) {
      answer(refusedJoin('', error as LogError))
      return
    }
    this.#rebalancer.answerJoin(old, refusedJoin(old.memberId, 'FENCED_INSTANCE_ID'))
    this.#rebalancer.answerSync(old, refusedSync('FENCED_INSTANCE_ID'))
    old.session?.cancel()
    const member = group.rename(old, memberId)
    this.#update(group, member, request, answer)
    this.#rebalancer.touch(group, member)
    if (group.state !== 'Stable') {
      // In CompletingRebalance the leader already assigns to the old id: all must join again.
      this.#rebalancer.rebalance(group)
      return
    }
    const metadata = metadataOf(member, group.protocolName)
    const unchanged =
      group.vote() === group.protocolName &&
      sameSubscription(request.protocolType, formerMetadata, metadata)
    if (!unchanged) {
      this.#rebalancer.rebalance(group)
      return
    }
    const joined = this.#rebalancer.joined(group, memberId)
    const leads = group.leader === memberId
    this.#rebalancer.answerJoin(
      member,
      request.supportsSkippingAssignment
        ? { ...joined, skipAssignment: leads }
        : // Told of its former id as the leader, an older client does not assign anew.
          { ...joined, leader: formerLeader ?? '', members: [] },
    )
  }

  /**
   * The stored generation learns of the new id before the member does; else a crash would bring the
   * old one back and fence the member that lives.
   */
  #storeRename(group: ClassicGroup, old: Member, memberId: string, request: JoinRequest): void {
    const stored = this.#context.ledger.machine.stored(group.groupId)
    if (stored?.members.some(member => member.memberId === old.memberId) !== true) return
    const { groupId, state } = group
    const offered = request.protocols.find(({ name }) => name === stored.protocolName)
    const members = stored.members.map(member =>
      member.memberId === old.memberId
        ? {
            ...member,
            memberId,
            subscription:
              state === 'Stable' && offered !== undefined ? offered.metadata : member.subscription,
          }
        : member,
    )
    const leader = stored.leader === old.memberId ? memberId : stored.leader
    this.#context.ledger.write([groupRecord(groupId, { ...stored, leader, members })])
  }

  /** `<prefix>-<uuid>`, as Kafka's. */
  #newMemberId(prefix: string): string {
    const bytes = this.#random.bytes(16)
    bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
    bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
    const hex = bytes.toString('hex')
    const parts = [
      [0, 8],
      [8, 12],
      [12, 16],
      [16, 20],
      [20, 32],
    ] as const
    return `${prefix}-${parts.map(([from, to]) => hex.slice(from, to)).join('-')}`
  }
}
