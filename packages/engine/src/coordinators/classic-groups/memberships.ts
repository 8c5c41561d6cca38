/**
 * What members of a group ask besides joining: sync, heartbeat, leave, and whether they may commit;
 * in each state of the group.
 */
import {
  type CommitRequest,
  type LeaveRequest,
  type LeaveResponse,
  LogError,
  type LogErrorCode,
  type MemberIdentity,
  NO_GENERATION,
  type SyncRequest,
  type SyncResponse,
} from '@millrace/log'
import { refusedSync } from './answers.ts'
import type { ClassicGroup } from './classic-group.ts'
import type { Answer } from './member.ts'
import type { GroupContext, Rebalancer } from './rebalancer.ts'

const NOTHING = Buffer.alloc(0)

/** Handles what members ask. */
export class Memberships {
  readonly #context: GroupContext
  readonly #rebalancer: Rebalancer

  constructor(context: GroupContext, rebalancer: Rebalancer) {
    this.#context = context
    this.#rebalancer = rebalancer
  }

  /** Gives a member its part, at once or when the leader has brought it. */
  sync(group: ClassicGroup, request: SyncRequest, answer: Answer<SyncResponse>): void {
    const problem = this.#syncProblem(group, request)
    const member = group.members.get(request.memberId)
    if (problem !== null || member === undefined) {
      this.#refuseSync(answer, problem ?? 'UNKNOWN_MEMBER_ID')
      return
    }
    this.#rebalancer.synced(group, member.memberId)
    if (group.state === 'Stable') {
      const { protocolType, protocolName } = group
      const { assignment } = member
      this.#context.ledger.answer(answer, { protocolType, protocolName, assignment }, refusedSync)
      return
    }
    // An earlier sync of the same member waits on a connection that its client has given up.
    this.#rebalancer.answerSync(member, refusedSync('REBALANCE_IN_PROGRESS'))
    member.awaitingSync = answer
    if (group.leader === member.memberId) {
      this.#rebalancer.assign(group, assignmentsOf(group, request))
    }
  }

  /** Keeps the member's session; says when it must join again. */
  heartbeat(group: ClassicGroup, request: MemberIdentity): LogErrorCode | null {
    const problem = identityProblem(group, request)
    if (problem !== null) return problem
    const member = group.members.get(request.memberId)
    if (member !== undefined) this.#rebalancer.touch(group, member)
    return group.state === 'PreparingRebalance' ? 'REBALANCE_IN_PROGRESS' : null
  }

  /** Takes members out, by member id or by instance id. */
  leave(group: ClassicGroup, members: LeaveRequest['members']): LeaveResponse['members'] {
    let memberGone = false
    let pendingGone = false
    const outcomes = members.map(({ memberId, groupInstanceId }) => {
      const outcome = { memberId, groupInstanceId }
      if (memberId !== '' && group.pendingJoins.has(memberId)) {
        this.#rebalancer.dropPending(group, memberId)
        pendingGone = true
        return outcome
      }
      const byInstance = memberId === '' && groupInstanceId !== null
      const id = byInstance ? (group.instanceMember(groupInstanceId) ?? '') : memberId
      const problem = group.memberProblem(id, groupInstanceId)
      const member = group.members.get(id)
      if (problem !== null || member === undefined) {
        return { ...outcome, error: new LogError(problem ?? 'UNKNOWN_MEMBER_ID') }
      }
      this.#rebalancer.drop(group, member)
      memberGone = true
      return outcome
    })
    if (memberGone || pendingGone) this.#afterLeave(group, memberGone)
    return outcomes
  }

  /** Whether this commit may be made now; one by a member keeps its session. */
  commitProblem(group: ClassicGroup, request: CommitRequest): LogErrorCode | null {
    const { memberId, generationId, groupInstanceId } = request
    // Without a generation: an admin, or a consumer that assigns itself; only while nobody else is.
    if (generationId <= NO_GENERATION && group.state === 'Empty') return null
    if (generationId <= NO_GENERATION && memberId === '' && groupInstanceId === null) {
      return 'UNKNOWN_MEMBER_ID'
    }
    const problem = identityProblem(group, request)
    if (problem !== null) return problem
    // It knows of the new generation but not yet which partitions it owns there.
    if (group.state === 'CompletingRebalance') return 'REBALANCE_IN_PROGRESS'
    const member = group.members.get(memberId)
    // While its own join waits, its session ends with the answer to that.
    if (member !== undefined && !member.isNew) this.#rebalancer.touch(group, member)
    return null
  }

  #refuseSync(answer: Answer<SyncResponse>, code: LogErrorCode): void {
    this.#context.ledger.answer(answer, refusedSync(code), refusedSync)
  }

  #syncProblem(group: ClassicGroup, request: SyncRequest): LogErrorCode | null {
    const problem = identityProblem(group, request)
    if (problem !== null) return problem
    const { protocolType = null, protocolName = null } = request
    if (protocolType !== null && protocolType !== group.protocolType) {
      return 'INCONSISTENT_GROUP_PROTOCOL'
    }
    if (protocolName !== null && protocolName !== group.protocolName) {
      return 'INCONSISTENT_GROUP_PROTOCOL'
    }
    if (group.state === 'PreparingRebalance') return 'REBALANCE_IN_PROGRESS'
    const most = this.#context.settings['group.member.metadata.max.bytes']
    return request.assignments.some(({ assignment }) => assignment.length > most)
      ? 'INVALID_REQUEST'
      : null
  }

  #afterLeave(group: ClassicGroup, memberGone: boolean): void {
    // The first round of an empty group takes its time also when somebody leaves it.
    if (group.state === 'PreparingRebalance') this.#rebalancer.completeIfJoined(group)
    else this.#rebalancer.afterRemoval(group, memberGone)
  }
}

/** Unknown, fenced, or of another generation; in this order, as Kafka answers. */
function identityProblem(group: ClassicGroup, identity: MemberIdentity): LogErrorCode | null {
  const problem = group.memberProblem(identity.memberId, identity.groupInstanceId)
  if (problem !== null) return problem
  return identity.generationId === group.generationId ? null : 'ILLEGAL_GENERATION'
}

/** The leader's assignment for members of the group, copied; nothing for those it left out. */
function assignmentsOf(group: ClassicGroup, request: SyncRequest): Map<string, Buffer> {
  const assignments = new Map<string, Buffer>()
  for (const memberId of group.members.keys()) assignments.set(memberId, NOTHING)
  for (const { memberId, assignment } of request.assignments) {
    if (assignments.has(memberId)) assignments.set(memberId, Buffer.from(assignment))
  }
  return assignments
}
