/**
 * The classic group protocol in memory, for tests of members: generations, the two-step join,
 * rebalance and session timeouts, static members with fencing. What a real coordinator does and
 * members cannot tell apart is left out (durability, loading, metrics).
 */

import type { Timer } from '@millrace/base'
import type {
  CommitRequest,
  CommittedOffset,
  FetchedOffset,
  GroupState,
  Groups,
  JoinRequest,
  JoinResponse,
  LeaveRequest,
  MemberIdentity,
  SyncRequest,
  SyncResponse,
  TopicPartition,
} from '@millrace/log'
import { LogError, type LogErrorCode } from '@millrace/log'
import type { SimOutside } from './sim-outside.ts'

type Member = {
  readonly id: string
  request: JoinRequest
  join: ((response: JoinResponse) => void) | null
  sync: ((response: SyncResponse) => void) | null
  assignment: Buffer
  session: Timer | null
}

type Group = {
  state: GroupState
  generation: number
  protocol: string
  leader: string
  readonly members: Map<string, Member>
  readonly pending: Set<string>
  readonly statics: Map<string, string>
  timer: Timer | null
  readonly offsets: Map<string, TopicPartition & CommittedOffset>
}

export class MemoryGroups implements Groups {
  readonly groups = new Map<string, Group>()
  readonly outside: SimOutside
  latencyMs: () => number = () => 1
  /** Thrown instead of answering, when it returns an error. */
  fault: (call: string) => LogError | null = () => null
  readonly calls: string[] = []
  #nextMember = 1

  constructor(outside: SimOutside) {
    this.outside = outside
  }

  group(id: string): Group {
    const known = this.groups.get(id)
    if (known !== undefined) return known
    const group: Group = {
      state: 'Empty',
      generation: 0,
      protocol: '',
      leader: '',
      members: new Map(),
      pending: new Set(),
      statics: new Map(),
      timer: null,
      offsets: new Map(),
    }
    this.groups.set(id, group)
    return group
  }

  async join(request: JoinRequest): Promise<JoinResponse> {
    await this.#enter('join')
    const group = this.group(request.groupId)
    const { memberId, groupInstanceId } = request
    if (groupInstanceId !== null && group.statics.has(groupInstanceId)) {
      const current = group.statics.get(groupInstanceId) ?? ''
      if (memberId !== '' && memberId !== current) return joinError('FENCED_INSTANCE_ID', memberId)
      if (memberId === '') this.#remove(group, current, 'FENCED_INSTANCE_ID')
    }
    if (memberId === '' && groupInstanceId === null && request.requireKnownMemberId) {
      const id = this.#newId(request)
      group.pending.add(id)
      return joinError('MEMBER_ID_REQUIRED', id)
    }
    if (memberId !== '' && !group.members.has(memberId) && !group.pending.delete(memberId))
      return joinError('UNKNOWN_MEMBER_ID', memberId)
    const id = memberId === '' ? this.#newId(request) : memberId
    if (groupInstanceId !== null) group.statics.set(groupInstanceId, id)
    const known = group.members.get(id)
    const unchanged = known !== undefined && sameProtocols(known.request, request)
    const settled =
      group.state === 'CompletingRebalance' || (group.state === 'Stable' && group.leader !== id)
    if (unchanged && settled) return this.#joined(group, known)
    const member = known ?? {
      id,
      request,
      join: null,
      sync: null,
      assignment: Buffer.alloc(0),
      session: null,
    }
    member.request = request
    group.members.set(id, member)
    member.session?.cancel()
    return await new Promise<JoinResponse>(resolve => {
      member.join = resolve
      this.#prepare(group)
    })
  }

  async sync(request: SyncRequest): Promise<SyncResponse> {
    await this.#enter('sync')
    const group = this.group(request.groupId)
    const error = this.#check(group, request)
    if (error !== null) return syncError(error)
    const member = group.members.get(request.memberId)
    if (member === undefined) return syncError('UNKNOWN_MEMBER_ID')
    this.#touch(group, member)
    if (group.state === 'PreparingRebalance') return syncError('REBALANCE_IN_PROGRESS')
    if (group.state === 'Stable') return synced(group, member)
    return await new Promise<SyncResponse>(resolve => {
      member.sync = resolve
      if (group.leader !== member.id) return
      const given = new Map(request.assignments.map(each => [each.memberId, each.assignment]))
      group.state = 'Stable'
      for (const each of group.members.values()) {
        each.assignment = given.get(each.id) ?? Buffer.alloc(0)
        each.sync?.(synced(group, each))
        each.sync = null
        this.#touch(group, each)
      }
    })
  }

  async heartbeat(request: MemberIdentity) {
    await this.#enter('heartbeat')
    const group = this.group(request.groupId)
    const error = this.#check(group, request)
    if (error !== null) return { error: new LogError(error) }
    const member = group.members.get(request.memberId)
    if (member !== undefined) this.#touch(group, member)
    if (group.state === 'PreparingRebalance')
      return { error: new LogError('REBALANCE_IN_PROGRESS') }
    return {}
  }

  async leave(request: LeaveRequest) {
    await this.#enter('leave')
    const group = this.group(request.groupId)
    const members = request.members.map(({ memberId, groupInstanceId }) => {
      const known = group.members.has(memberId)
      if (known) this.#remove(group, memberId, 'UNKNOWN_MEMBER_ID')
      return known
        ? { memberId, groupInstanceId }
        : { memberId, groupInstanceId, error: new LogError('UNKNOWN_MEMBER_ID') }
    })
    if (group.state !== 'Empty') this.#prepare(group)
    return { members }
  }

  async commit(request: CommitRequest) {
    await this.#enter('commit')
    const group = this.group(request.groupId)
    const simple = request.generationId < 0 && request.memberId === ''
    let code: LogErrorCode | null = simple
      ? group.members.size > 0
        ? 'UNKNOWN_MEMBER_ID'
        : null
      : this.#check(group, request)
    if (code === null && group.state === 'CompletingRebalance') code = 'REBALANCE_IN_PROGRESS'
    return request.offsets.map(({ topic, partition, offset, leaderEpoch, metadata }) => {
      if (code !== null) return { topic, partition, error: new LogError(code) }
      const value = { topic, partition, offset, leaderEpoch, metadata }
      group.offsets.set(`${topic}/${partition}`, value)
      return { topic, partition }
    })
  }

  async fetchOffsets(groupId: string, partitions?: readonly TopicPartition[]) {
    await this.#enter('fetchOffsets')
    const { offsets } = this.group(groupId)
    const wanted = partitions ?? [...offsets.values()]
    return wanted.map(
      ({ topic, partition }): FetchedOffset =>
        offsets.get(`${topic}/${partition}`) ?? {
          topic,
          partition,
          offset: -1,
          leaderEpoch: -1,
          metadata: null,
        },
    )
  }

  async list() {
    return []
  }

  async describe() {
    return []
  }

  async delete() {
    return []
  }

  async deleteOffsets() {
    return []
  }

  /** The committed offset of a partition, -1 without one. */
  committed(groupId: string, topic: string, partition: number): number {
    return this.group(groupId).offsets.get(`${topic}/${partition}`)?.offset ?? -1
  }

  /** Takes a member out, as a lost session does. */
  expel(groupId: string, memberId: string): void {
    const group = this.group(groupId)
    this.#remove(group, memberId, 'UNKNOWN_MEMBER_ID')
    if (group.state !== 'Empty') this.#prepare(group)
  }

  async #enter(call: string): Promise<void> {
    this.calls.push(call)
    const fault = this.fault(call)
    await this.outside.sleep(this.latencyMs())
    if (fault !== null) throw fault
  }

  #newId(request: JoinRequest): string {
    return `${request.clientId}-${this.#nextMember++}`
  }

  #check(group: Group, request: MemberIdentity): LogErrorCode | null {
    const { memberId, generationId, groupInstanceId } = request
    if (groupInstanceId !== null && group.statics.has(groupInstanceId))
      if (group.statics.get(groupInstanceId) !== memberId) return 'FENCED_INSTANCE_ID'
    if (!group.members.has(memberId)) return 'UNKNOWN_MEMBER_ID'
    return generationId === group.generation ? null : 'ILLEGAL_GENERATION'
  }

  #touch(group: Group, member: Member): void {
    member.session?.cancel()
    member.session = this.outside.timers.after(member.request.sessionTimeoutMs, () => {
      this.#remove(group, member.id, 'UNKNOWN_MEMBER_ID')
      if (group.state !== 'Empty') this.#prepare(group)
    })
  }

  #remove(group: Group, memberId: string, code: LogErrorCode): void {
    const member = group.members.get(memberId)
    if (member === undefined) return
    member.session?.cancel()
    group.members.delete(memberId)
    for (const [instance, id] of group.statics) if (id === memberId) group.statics.delete(instance)
    member.join?.(joinError(code, memberId))
    member.sync?.(syncError(code))
    if (group.members.size === 0) {
      group.state = 'Empty'
      group.timer?.cancel()
      group.timer = null
      return
    }
  }

  #prepare(group: Group): void {
    if (group.state !== 'PreparingRebalance') {
      group.state = 'PreparingRebalance'
      for (const member of group.members.values()) {
        member.sync?.(syncError('REBALANCE_IN_PROGRESS'))
        member.sync = null
      }
      const timeouts = [...group.members.values()].map(each => each.request.rebalanceTimeoutMs)
      group.timer = this.outside.timers.after(Math.max(...timeouts), () => {
        for (const member of [...group.members.values()])
          if (member.join === null) this.#remove(group, member.id, 'UNKNOWN_MEMBER_ID')
        if (group.members.size > 0) this.#complete(group)
      })
    }
    if ([...group.members.values()].every(member => member.join !== null)) this.#complete(group)
  }

  #complete(group: Group): void {
    group.timer?.cancel()
    group.timer = null
    group.generation += 1
    group.state = 'CompletingRebalance'
    const members = [...group.members.values()]
    const leader = group.members.get(group.leader) ?? members[0]
    if (leader === undefined) throw new Error('a group without members cannot complete')
    group.leader = leader.id
    group.protocol =
      leader.request.protocols.find(({ name }) =>
        members.every(each => each.request.protocols.some(other => other.name === name)),
      )?.name ?? ''
    for (const member of members) {
      const { join } = member
      member.join = null
      this.#touch(group, member)
      join?.(this.#joined(group, member))
    }
  }

  #joined(group: Group, member: Member): JoinResponse {
    const metadataOf = (each: Member) =>
      each.request.protocols.find(({ name }) => name === group.protocol)?.metadata ??
      Buffer.alloc(0)
    return {
      generationId: group.generation,
      protocolType: 'consumer',
      protocolName: group.protocol,
      leader: group.leader,
      memberId: member.id,
      skipAssignment: false,
      members:
        group.leader === member.id
          ? [...group.members.values()].map(each => ({
              memberId: each.id,
              groupInstanceId: each.request.groupInstanceId,
              metadata: metadataOf(each),
            }))
          : [],
    }
  }
}

const sameProtocols = (a: JoinRequest, b: JoinRequest): boolean =>
  a.protocols.length === b.protocols.length &&
  a.protocols.every(
    ({ name, metadata }, index) =>
      name === b.protocols[index]?.name && metadata.equals(b.protocols[index].metadata),
  )

const joinError = (code: LogErrorCode, memberId: string): JoinResponse => ({
  error: new LogError(code),
  generationId: -1,
  protocolType: null,
  protocolName: null,
  leader: '',
  memberId,
  skipAssignment: false,
  members: [],
})

const syncError = (code: LogErrorCode): SyncResponse => ({
  error: new LogError(code),
  protocolType: null,
  protocolName: null,
  assignment: Buffer.alloc(0),
})

const synced = (group: Group, member: Member): SyncResponse => ({
  protocolType: 'consumer',
  protocolName: group.protocol,
  assignment: member.assignment,
})
