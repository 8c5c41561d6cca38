/**
 * The living state of one classic group: its members, its leader, the vote on a protocol, who has
 * joined and who has synced. It knows no clock but the timestamps it is given, no timers, no log.
 *
 * Nothing of it needs to survive a restart but what `toStored` gives; see `GroupMachine`. Bounded by
 * `group.max.size` members and as many pending ones, which the rebalancer checks.
 */

import type { Timer } from '@millrace/base'
import type { GroupState, JoinResponse, LogErrorCode } from '@millrace/log'
import { GROUP_OVERHEAD_BYTES, GroupMemory, memberBytes } from './group-memory.ts'
import { type Member, type MemberProtocol, metadataOf } from './member.ts'
import type { StoredGroup } from './records.ts'
import { CONSUMER_PROTOCOL, subscribedTopics } from './subscription.ts'
import { type GroupEvent, TRANSITIONS } from './transitions.ts'

/** A group of the classic protocol. */
export class ClassicGroup {
  readonly groupId: string
  readonly members: Map<string, Member> = new Map()
  /** Members of this generation that have not synced. */
  readonly pendingSyncs: Set<string> = new Set()
  joinTimer: Timer | null = null
  syncTimer: Timer | null = null
  /** Whether somebody joined since the initial rebalance was last put off. */
  newMemberAdded = false
  #state: GroupState = 'Empty'
  #previousState: GroupState = 'Empty'
  #stateTimestamp = -1
  #generationId = 0
  #protocolType: string | null = null
  #protocolName: string | null = null
  #leader: string | null = null
  readonly #byInstance = new Map<string, string>()
  readonly #pendingJoins = new Map<string, Timer>()
  readonly #memory: GroupMemory

  constructor(groupId: string, memory: GroupMemory = new GroupMemory()) {
    this.groupId = groupId
    this.#memory = memory
    memory.add(this.#ownBytes)
  }

  /** The group as it was stored: empty, or stable with the members of its last generation. */
  static fromStored(groupId: string, stored: StoredGroup, memory?: GroupMemory): ClassicGroup {
    const group = new ClassicGroup(groupId, memory)
    group.#protocolType = stored.protocolType === '' ? null : stored.protocolType
    group.#generationId = stored.generationId
    group.#protocolName = stored.protocolName
    group.#stateTimestamp = stored.stateTimestamp
    for (const { subscription, ...member } of stored.members) {
      const protocols = [{ name: stored.protocolName ?? '', metadata: subscription }]
      group.#put({
        ...member,
        protocols,
        isNew: false,
        awaitingJoin: null,
        awaitingSync: null,
        session: null,
        bytes: 0,
      })
    }
    group.#leader = stored.leader
    if (group.#leader === null || !group.members.has(group.#leader)) group.#chooseLeader()
    if (group.members.size > 0) group.#state = 'Stable'
    return group
  }

  get state(): GroupState {
    return this.#state
  }

  get previousState(): GroupState {
    return this.#previousState
  }

  /** When the state was entered, ms since the epoch; -1 where unknown. */
  get stateTimestamp(): number {
    return this.#stateTimestamp
  }

  get generationId(): number {
    return this.#generationId
  }

  get protocolType(): string | null {
    return this.#protocolType
  }

  get protocolName(): string | null {
    return this.#protocolName
  }

  get leader(): string | null {
    return this.#leader
  }

  /** Follows the table; a transition that it does not have is a defect. */
  apply(event: GroupEvent, now: number): void {
    const next = TRANSITIONS[this.#state][event]
    if (next === null) {
      throw new Error(`group ${this.groupId}: ${event} cannot happen in state ${this.#state}`)
    }
    this.#previousState = this.#state
    this.#state = next
    this.#stateTimestamp = now
  }

  get canRebalance(): boolean {
    return TRANSITIONS[this.#state].prepare !== null
  }

  /** Ids handed out with MEMBER_ID_REQUIRED that have not come back, each with its timer. */
  get pendingJoins(): ReadonlyMap<string, Timer> {
    return this.#pendingJoins
  }

  /** Expects a handed-out id until its timer ends. */
  expect(memberId: string, timer: Timer): void {
    this.#pendingJoins.set(memberId, timer)
    this.#memory.add(pendingBytes(memberId))
  }

  /** Forgets a handed-out id, or stops waiting for it because it has come. */
  unexpect(memberId: string): void {
    if (this.#pendingJoins.delete(memberId)) this.#memory.add(-pendingBytes(memberId))
  }

  /** Counts a member anew: what it holds has changed. */
  recount(member: Member): void {
    if (this.members.get(member.memberId) !== member) return
    const bytes = memberBytes(member)
    this.#memory.add(bytes - member.bytes)
    member.bytes = bytes
  }

  /** Nothing of it is kept any more: it counts no longer. */
  release(): void {
    for (const memberId of [...this.#pendingJoins.keys()]) this.unexpect(memberId)
    for (const member of this.members.values()) this.#memory.add(-member.bytes)
    this.#memory.add(-this.#ownBytes)
  }

  get #ownBytes(): number {
    return GROUP_OVERHEAD_BYTES + 2 * Buffer.byteLength(this.groupId)
  }

  /** The longest of the members' rebalance timeouts. */
  get rebalanceTimeoutMs(): number {
    let longest = 0
    for (const member of this.members.values()) {
      longest = Math.max(longest, member.rebalanceTimeoutMs)
    }
    return longest
  }

  /** Members whose join is waiting for the generation. */
  get awaitingJoins(): number {
    let count = 0
    for (const member of this.members.values()) if (member.awaitingJoin !== null) count++
    return count
  }

  get hasAllMembersJoined(): boolean {
    return this.pendingJoins.size === 0 && this.awaitingJoins === this.members.size
  }

  /** The member id that an instance id stands for now. */
  instanceMember(groupInstanceId: string): string | undefined {
    return this.#byInstance.get(groupInstanceId)
  }

  /** Why such a member may not act in this group; null if it may. */
  memberProblem(memberId: string, groupInstanceId: string | null): LogErrorCode | null {
    if (groupInstanceId !== null) {
      const current = this.#byInstance.get(groupInstanceId)
      if (current === undefined) return 'UNKNOWN_MEMBER_ID'
      if (current !== memberId) return 'FENCED_INSTANCE_ID'
    }
    return this.members.has(memberId) ? null : 'UNKNOWN_MEMBER_ID'
  }

  /** Whether a member of this type with these protocols can be in one generation with the others. */
  supports(protocolType: string, protocols: readonly MemberProtocol[]): boolean {
    if (this.#state === 'Empty') return protocolType !== '' && protocols.length > 0
    if (this.#protocolType !== protocolType) return false
    return protocols.some(({ name }) => this.#isCommon(name))
  }

  add(member: Member, protocolType: string): void {
    if (this.members.size === 0) this.#protocolType = protocolType
    this.#put(member)
    this.#leader ??= member.memberId
  }

  /** Takes a member out, or a pending id; its timers and waiting answers are the caller's. */
  remove(memberId: string): void {
    const member = this.members.get(memberId)
    if (member !== undefined) this.#memory.add(-member.bytes)
    this.members.delete(memberId)
    if (
      member !== undefined &&
      member.groupInstanceId !== null &&
      this.#byInstance.get(member.groupInstanceId) === memberId
    ) {
      this.#byInstance.delete(member.groupInstanceId)
    }
    if (this.#leader === memberId) this.#chooseLeader()
    this.unexpect(memberId)
    this.pendingSyncs.delete(memberId)
  }

  /** Gives a static member its new id; everything else stays. */
  rename(member: Member, memberId: string): Member {
    const renamed: Member = {
      ...member,
      memberId,
      isNew: false,
      awaitingJoin: null,
      awaitingSync: null,
      session: null,
      bytes: 0,
    }
    const wasLeader = this.#leader === member.memberId
    const wasPending = this.pendingSyncs.has(member.memberId)
    this.remove(member.memberId)
    this.#put(renamed)
    if (wasLeader) this.#leader = memberId
    if (wasPending) this.pendingSyncs.add(memberId)
    return renamed
  }

  /** A leader that has joined: the present one, else another. False where nobody has joined. */
  electJoinedLeader(): boolean {
    const leader = this.#leader === null ? undefined : this.members.get(this.#leader)
    if (leader !== undefined && leader.awaitingJoin !== null) return true
    for (const member of this.members.values()) {
      if (member.awaitingJoin === null) continue
      this.#leader = member.memberId
      return true
    }
    return false
  }

  /** Begins the next generation, with the members that are there now or with none. */
  nextGeneration(now: number): void {
    this.#generationId = this.#generationId >= 0x7fffffff ? 1 : this.#generationId + 1
    this.pendingSyncs.clear()
    this.#protocolName = this.members.size === 0 ? null : this.vote()
    if (this.members.size === 0) this.#leader = null
    this.apply(this.members.size === 0 ? 'empty' : 'complete', now)
  }

  /** The protocol that all members know and most prefer; of equals the one first voted for. */
  vote(): string | null {
    const votes = new Map<string, number>()
    for (const member of this.members.values()) {
      const choice = member.protocols.find(({ name }) => this.#isCommon(name))
      if (choice !== undefined) votes.set(choice.name, (votes.get(choice.name) ?? 0) + 1)
    }
    let best: string | null = null
    for (const [name, count] of votes) {
      if (best === null || count > (votes.get(best) ?? 0)) best = name
    }
    return best
  }

  /** All members with their metadata, as the leader is told. */
  memberList(): JoinResponse['members'] {
    return [...this.members.values()].map(member => ({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      metadata: metadataOf(member, this.#protocolName),
    }))
  }

  /**
   * What consumers of this group read now, for many questions: metadata is opened once. Unreadable
   * metadata counts as a subscription to everything.
   */
  subscription(): (topic: string) => boolean {
    const read = new Set<string>()
    if (!this.isOfConsumers) return () => false
    for (const member of this.members.values()) {
      const protocols =
        this.#protocolName === null
          ? member.protocols
          : member.protocols.filter(({ name }) => name === this.#protocolName)
      for (const { metadata } of protocols) {
        const topics = subscribedTopics(metadata)
        if (topics === null) return () => true
        for (const topic of topics) read.add(topic)
      }
    }
    return topic => read.has(topic)
  }

  /** Whether its members are consumers, whose subscriptions can be read. */
  get isOfConsumers(): boolean {
    return this.#protocolType === CONSUMER_PROTOCOL
  }

  /**
   * As offsets ask (KIP-211): those of an empty group age from when it became so; those of a simple one,
   * and those of topics that a stable one does not read, from each commit.
   */
  get offsetsAgeSince(): number | null {
    if (this.#protocolType === null) return this.pendingJoins.size > 0 ? null : -1
    if (this.#state === 'Empty') return this.pendingJoins.size > 0 ? null : this.#stateTimestamp
    return this.#state === 'Stable' && this.isOfConsumers ? -1 : null
  }

  /** What is stored of it, with these assignments in place of the members' own where given. */
  toStored(assignments?: ReadonlyMap<string, Buffer>): StoredGroup {
    return {
      protocolType: this.#protocolType ?? '',
      generationId: this.#generationId,
      protocolName: this.#protocolName,
      leader: this.#leader,
      stateTimestamp: this.#stateTimestamp,
      members: [...this.members.values()].map(member => ({
        memberId: member.memberId,
        groupInstanceId: member.groupInstanceId,
        clientId: member.clientId,
        clientHost: member.clientHost,
        rebalanceTimeoutMs: member.rebalanceTimeoutMs,
        sessionTimeoutMs: member.sessionTimeoutMs,
        subscription: metadataOf(member, this.#protocolName),
        assignment: assignments?.get(member.memberId) ?? member.assignment,
      })),
    }
  }

  #put(member: Member): void {
    this.members.set(member.memberId, member)
    if (member.groupInstanceId !== null) {
      this.#byInstance.set(member.groupInstanceId, member.memberId)
    }
    this.unexpect(member.memberId)
    this.recount(member)
  }

  #chooseLeader(): void {
    const [first] = this.members.keys()
    this.#leader = first ?? null
  }

  /** Whether every member offers the protocol. */
  #isCommon(name: string): boolean {
    for (const member of this.members.values()) {
      if (!member.protocols.some(protocol => protocol.name === name)) return false
    }
    return true
  }
}

/** Counted for a handed-out id: it and its timer. */
const pendingBytes = (memberId: string): number => 256 + Buffer.byteLength(memberId)
