/**
 * The rounds of a group: when members are asked to join again, when a generation is complete, who
 * is dropped from it, and all the timers of that (session, join, sync) on the one wheel.
 *
 * What a request means in which state is decided by `Joins` and `Members`; they change groups only
 * through here. Every wait has a timer: a join the longest rebalance timeout of the members, a sync
 * the same, a member its session, a first join `group.new.member.join.timeout.ms`.
 */

import type { Clock } from '@millrace/base'
import type { JoinResponse, LogError, LogErrorCode, SyncResponse } from '@millrace/log'
import type { GroupSettings } from '../../group-settings.ts'
import type { TimerWheel } from '../../timer-wheel.ts'
import { refusedJoin, refusedSync } from './answers.ts'
import type { ClassicGroup } from './classic-group.ts'
import type { GroupMemory } from './group-memory.ts'
import { type GroupLedger, hadNoRoom } from './ledger.ts'
import type { Answer, Member } from './member.ts'
import { groupRecord } from './records.ts'

const NOTHING = Buffer.alloc(0)

/** What the parts of the coordinator share. */
export type GroupContext = {
  readonly ledger: GroupLedger
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly settings: GroupSettings
  readonly memory: GroupMemory
  /** Told of a group that may have nothing left to live for. */
  readonly onIdle: (group: ClassicGroup) => void
}

/** Moves groups from generation to generation. */
export class Rebalancer {
  readonly #context: GroupContext

  constructor(context: GroupContext) {
    this.#context = context
  }

  /** Answers a member's waiting join; its session starts anew. No effect where it waits for none. */
  answerJoin(member: Member, response: JoinResponse): void {
    const answer = member.awaitingJoin
    if (answer === null) return
    member.awaitingJoin = null
    this.giveJoin(answer, response)
  }

  giveJoin(answer: Answer<JoinResponse>, response: JoinResponse): void {
    this.#context.ledger.answer(answer, response, error => refusedJoin(response.memberId, error))
  }

  /** Answers a member's waiting sync. False where it waits for none. */
  answerSync(member: Member, response: SyncResponse): boolean {
    const answer = member.awaitingSync
    if (answer === null) return false
    member.awaitingSync = null
    this.#context.ledger.answer(answer, response, refusedSync)
    return true
  }

  /** The answer to a member of the present generation. */
  joined(group: ClassicGroup, memberId: string): JoinResponse {
    return {
      generationId: group.generationId,
      protocolType: group.protocolType,
      protocolName: group.protocolName,
      leader: group.leader ?? '',
      memberId,
      skipAssignment: false,
      members: group.leader === memberId ? group.memberList() : [],
    }
  }

  /** Starts the member's session anew. */
  touch(group: ClassicGroup, member: Member, timeoutMs: number = member.sessionTimeoutMs): void {
    member.session?.cancel()
    member.session = this.#context.wheel.after(timeoutMs, () => this.#expire(group, member))
  }

  /** Expects a handed-out member id to come back within its session timeout. */
  awaitPending(group: ClassicGroup, memberId: string, timeoutMs: number): void {
    const timer = this.#context.wheel.after(timeoutMs, () => {
      this.dropPending(group, memberId)
      this.afterRemoval(group)
    })
    group.expect(memberId, timer)
  }

  /** Forgets a handed-out member id, or stops waiting for it because it has come. */
  dropPending(group: ClassicGroup, memberId: string): void {
    group.pendingJoins.get(memberId)?.cancel()
    group.unexpect(memberId)
  }

  /** Takes a member out; what it waited for is answered UNKNOWN_MEMBER_ID, so that it joins again. */
  drop(group: ClassicGroup, member: Member): void {
    member.session?.cancel()
    member.session = null
    group.remove(member.memberId)
    this.answerJoin(member, refusedJoin('', 'UNKNOWN_MEMBER_ID'))
    this.answerSync(member, refusedSync('UNKNOWN_MEMBER_ID'))
  }

  /** What follows when members or pending ones are gone. */
  afterRemoval(group: ClassicGroup, memberGone = false): void {
    if (memberGone && (group.state === 'Stable' || group.state === 'CompletingRebalance')) {
      this.prepare(group)
    } else if (group.state === 'PreparingRebalance' && group.hasAllMembersJoined) {
      this.complete(group)
    } else if (group.state === 'Empty') {
      this.#context.onIdle(group)
    }
  }

  /** Begins a rebalance where the state allows, else looks whether the running one is complete. */
  rebalance(group: ClassicGroup): void {
    if (group.canRebalance) this.prepare(group)
    else this.completeIfJoined(group)
  }

  /** Completes the join phase if all have joined; the first one of an empty group waits its time. */
  completeIfJoined(group: ClassicGroup): void {
    if (group.state !== 'PreparingRebalance' || group.previousState === 'Empty') return
    if (group.hasAllMembersJoined) this.complete(group)
  }

  /** Asks all members to join again. */
  prepare(group: ClassicGroup): void {
    if (group.state === 'CompletingRebalance') this.failSyncs(group, 'REBALANCE_IN_PROGRESS')
    group.pendingSyncs.clear()
    group.syncTimer?.cancel()
    group.syncTimer = null
    const isFirst = group.state === 'Empty'
    group.apply('prepare', this.#context.clock.now())
    if (isFirst) {
      const delay = this.#context.settings['group.initial.rebalance.delay.ms']
      group.newMemberAdded = false
      this.#delayFirst(group, delay, Math.max(group.rebalanceTimeoutMs - delay, 0))
    } else if (group.hasAllMembersJoined) {
      this.complete(group)
    } else {
      this.#completeAfter(group, group.rebalanceTimeoutMs)
    }
  }

  /** Ends the join phase with those that are there; dynamic members that are not are dropped. */
  complete(group: ClassicGroup): void {
    group.joinTimer?.cancel()
    group.joinTimer = null
    for (const member of [...group.members.values()]) {
      if (member.awaitingJoin === null && member.groupInstanceId === null) this.drop(group, member)
    }
    if (!group.electJoinedLeader() && group.members.size > 0) {
      // Only static members, none of which has joined: their sessions will end, or they come.
      this.#completeAfter(group, group.rebalanceTimeoutMs)
      return
    }
    group.nextGeneration(this.#context.clock.now())
    if (group.members.size === 0) {
      this.#storeEmpty(group)
      this.#context.onIdle(group)
      return
    }
    for (const member of group.members.values()) {
      this.answerJoin(member, this.joined(group, member.memberId))
      this.touch(group, member)
      member.isNew = false
      group.pendingSyncs.add(member.memberId)
    }
    group.syncTimer = this.#context.wheel.after(group.rebalanceTimeoutMs, () =>
      this.#expireSyncs(group),
    )
  }

  /** Takes the member off the list of those whose sync is missing. */
  synced(group: ClassicGroup, memberId: string): void {
    group.pendingSyncs.delete(memberId)
    if (group.pendingSyncs.size > 0) return
    group.syncTimer?.cancel()
    group.syncTimer = null
  }

  /** Stores the leader's assignment and gives everybody their part. */
  assign(group: ClassicGroup, assignments: ReadonlyMap<string, Buffer>): void {
    const { ledger, settings, clock, memory } = this.#context
    const record = groupRecord(group.groupId, group.toStored(assignments))
    let more = 0
    for (const { memberId, assignment } of group.members.values()) {
      more += 2 * ((assignments.get(memberId)?.length ?? 0) - assignment.length)
    }
    const bytes = record.value?.length ?? 0
    if (bytes > settings['group.metadata.max.bytes'] || !memory.hasRoom(more)) {
      this.failSyncs(group, 'UNKNOWN_SERVER_ERROR')
      this.prepare(group)
      return
    }
    try {
      ledger.write([record])
    } catch (error) {
      this.failSyncs(group, error as LogError)
      this.prepare(group)
      return
    }
    group.apply('assign', clock.now())
    for (const member of group.members.values()) {
      member.assignment = assignments.get(member.memberId) ?? NOTHING
      group.recount(member)
      const { protocolType, protocolName } = group
      const { assignment } = member
      if (this.answerSync(member, { protocolType, protocolName, assignment })) {
        this.touch(group, member)
      }
    }
  }

  /** Gives everybody who waits for an assignment an error instead. */
  failSyncs(group: ClassicGroup, error: LogError | LogErrorCode): void {
    for (const member of group.members.values()) {
      member.assignment = NOTHING
      group.recount(member)
      if (this.answerSync(member, refusedSync(error))) this.touch(group, member)
    }
  }

  /** Cancels all timers of the group and answers all that wait in it with the error. */
  stop(group: ClassicGroup, error: LogErrorCode): void {
    group.joinTimer?.cancel()
    group.syncTimer?.cancel()
    group.joinTimer = null
    group.syncTimer = null
    for (const memberId of [...group.pendingJoins.keys()]) this.dropPending(group, memberId)
    for (const member of group.members.values()) {
      member.session?.cancel()
      member.session = null
      const join = member.awaitingJoin
      const sync = member.awaitingSync
      member.awaitingJoin = null
      member.awaitingSync = null
      // Refusals rest on no state, so they need not wait for the sink.
      join?.(refusedJoin(member.memberId, error))
      sync?.(refusedSync(error))
    }
  }

  #completeAfter(group: ClassicGroup, ms: number): void {
    group.joinTimer?.cancel()
    group.joinTimer = this.#context.wheel.after(ms, () => {
      if (group.state === 'PreparingRebalance') this.complete(group)
    })
  }

  /** Puts the first generation off while members keep coming, at most to the rebalance timeout. */
  #delayFirst(group: ClassicGroup, delay: number, remaining: number): void {
    group.joinTimer = this.#context.wheel.after(delay, () => {
      if (group.state !== 'PreparingRebalance') return
      if (!group.newMemberAdded || remaining === 0) {
        this.complete(group)
        return
      }
      group.newMemberAdded = false
      const next = Math.min(this.#context.settings['group.initial.rebalance.delay.ms'], remaining)
      this.#delayFirst(group, next, Math.max(remaining - delay, 0))
    })
  }

  #storeEmpty(group: ClassicGroup): void {
    // A group that never stored a generation has none to take back.
    const { ledger } = this.#context
    if (ledger.machine.stored(group.groupId) === undefined) return
    try {
      ledger.write([groupRecord(group.groupId, group.toStored())])
    } catch (error) {
      if (!hadNoRoom(error)) return
      // Else a restart would bring the last generation back. Where the journal has failed it does: its
      // members' sessions end, and the group is empty again.
      const later = (): void => {
        if (group.state === 'Empty') this.#storeEmpty(group)
      }
      ledger.room().then(later, () => undefined)
    }
  }

  #expire(group: ClassicGroup, member: Member): void {
    if (group.members.get(member.memberId) !== member) return
    // Who waits for an answer cannot heartbeat; its session starts anew with the answer. Not so a
    // first join: its client may be long gone.
    if (!member.isNew && (member.awaitingJoin !== null || member.awaitingSync !== null)) return
    this.drop(group, member)
    this.afterRemoval(group, true)
  }

  #expireSyncs(group: ClassicGroup): void {
    group.syncTimer = null
    if (group.state !== 'CompletingRebalance' && group.state !== 'Stable') return
    if (group.pendingSyncs.size === 0) return
    for (const memberId of [...group.pendingSyncs]) {
      const member = group.members.get(memberId)
      if (member !== undefined) this.drop(group, member)
    }
    this.prepare(group)
  }
}
