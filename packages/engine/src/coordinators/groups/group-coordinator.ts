/**
 * The group coordinator: the port's group half over an internal partition.
 *
 * A request is decided and its records replayed without a pause, so requests see each other's
 * effects in their order; every answer waits until what it rests on is durable. Requests before
 * `start` get COORDINATOR_LOAD_IN_PROGRESS, after `close` COORDINATOR_NOT_AVAILABLE. Bounded by
 * `groups.max`, `group.max.size`, `group.offsets.max` and the byte limits of `settings.ts`.
 */

import type { Outside, Timer } from '@millrace/base'
import { resolveSettings, Turns } from '@millrace/base'
import {
  type CommitRequest,
  type FetchedOffset,
  type GroupDescription,
  type GroupListing,
  type Groups,
  IN_PROCESS_HOST,
  type JoinRequest,
  type JoinResponse,
  type LeaveRequest,
  type LeaveResponse,
  LogError,
  type LogErrorCode,
  type MeantPartition,
  type MemberIdentity,
  type PartitionOutcome,
  type SyncRequest,
  type SyncResponse,
  type Timestamp,
  type TopicPartition,
} from '@millrace/log'
import { GROUP_SETTINGS, type GroupSettings } from '../../group-settings.ts'
import type { Coordinator } from '../../machines/coordinator.ts'
import type { Machine, MachineRecord } from '../../machines/machine.ts'
import type { Commits } from '../../machines/runtime.ts'
import type { TimerWheel } from '../../timer-wheel.ts'
import { TURN_BUDGET_MS } from '../../turns.ts'
import { refusedJoin, refusedSync } from '../classic-groups/answers.ts'
import { ClassicGroup } from '../classic-groups/classic-group.ts'
import type { ClassicGroupsMachine } from '../classic-groups/classic-groups-machine.ts'
import { describeGroup } from '../classic-groups/descriptions.ts'
import { GroupMemory } from '../classic-groups/group-memory.ts'
import { Joins } from '../classic-groups/joins.ts'
import { GroupLedger } from '../classic-groups/ledger.ts'
import type { Member } from '../classic-groups/member.ts'
import { Memberships } from '../classic-groups/memberships.ts'
import { type GroupContext, Rebalancer } from '../classic-groups/rebalancer.ts'
import {
  decideCommit,
  decideOffsetDeletion,
  expiry,
  fetchedOffset,
  fetchedOffsets,
  type OffsetRules,
} from '../offsets/decisions.ts'
import type { OffsetsMachine } from '../offsets/offsets-machine.ts'
import { fullProblem, groupIdProblem, joinProblem, lengthProblem } from './refusals.ts'
import { Removals } from './removals.ts'
import { TopicPurges } from './topic-purges.ts'

/** What a {@link GroupCoordinator} works with. */
export type GroupCoordinatorOptions = {
  readonly machines: {
    readonly offsets: OffsetsMachine
    readonly classicGroups: ClassicGroupsMachine
  }
  readonly commits: Commits
  readonly outside: Outside
  readonly wheel: TimerWheel
  readonly settings?: Partial<GroupSettings>
  /** Whether offsets can be committed for it. */
  readonly partitionExists: OffsetRules['partitionExists']
  readonly isAnother?: OffsetRules['isAnother']
  /** How old something with this wall time is, in ms. Default: by the wall clock as it is. */
  readonly ageOf?: (timestamp: Timestamp) => number
  /** Told what an operator should know, in one sentence. */
  readonly onWarning?: (message: string) => void
}

/** Consumer groups and committed offsets of one node. */
export class GroupCoordinator implements Groups, Coordinator {
  readonly machines: readonly Machine[]
  readonly #offsets: OffsetsMachine
  readonly #stored: ClassicGroupsMachine
  readonly #groups = new Map<string, ClassicGroup>()
  readonly #ledger: GroupLedger
  readonly #context: GroupContext
  readonly #rules: OffsetRules
  readonly #ageOf: (timestamp: Timestamp) => number
  readonly #rebalancer: Rebalancer
  readonly #joins: Joins
  readonly #memberships: Memberships
  readonly #removals: Removals
  readonly #turns: Turns
  /** Groups whose deletion takes several commit groups: nobody joins or commits meanwhile. */
  readonly #closing = new Set<string>()
  readonly #purges: TopicPurges
  #phase: 'loading' | 'ready' | 'closed' = 'loading'
  #expiry: Timer | null = null

  constructor(options: GroupCoordinatorOptions) {
    const { outside, wheel, partitionExists } = options
    const settings = resolveSettings(GROUP_SETTINGS, options.settings)
    this.machines = [options.machines.offsets, options.machines.classicGroups]
    this.#offsets = options.machines.offsets
    this.#stored = options.machines.classicGroups
    this.#ledger = new GroupLedger(
      this.#stored,
      options.commits,
      settings['offsets.commit.timeout.ms'],
    )
    this.#context = {
      ledger: this.#ledger,
      clock: outside.clock,
      wheel,
      settings,
      memory: new GroupMemory(settings['groups.total.max.bytes']),
      onIdle: group => this.#forgetIfNothingLeft(group),
    }
    this.#ageOf = options.ageOf ?? (timestamp => outside.clock.now() - timestamp)
    const { isAnother } = options
    this.#rules = {
      machine: this.#offsets,
      settings,
      partitionExists,
      ...(isAnother !== undefined && { isAnother }),
    }
    this.#rebalancer = new Rebalancer(this.#context)
    this.#joins = new Joins(this.#context, this.#rebalancer, outside.random)
    this.#memberships = new Memberships(this.#context, this.#rebalancer)
    this.#turns = new Turns(outside, TURN_BUDGET_MS)
    this.#removals = new Removals(this.#ledger, this.#offsets, this.#turns, () =>
      this.#phaseProblem(),
    )
    this.#purges = new TopicPurges(
      topic => this.#removeOffsetsOf(topic),
      (topic, cause) => {
        // The next start finds them.
        if (this.#phase === 'closed') return
        options.onWarning?.(
          `offsets of the deleted topic ${topic} could not be removed: ${reasonOf(cause)}; it is tried again, and no topic of that name is created before`,
        )
      },
    )
  }

  /**
   * Ends recovery: groups live again, each member with a whole session before it. Those of this process's
   * last life are gone with it. Once.
   */
  start(): void {
    if (this.#phase !== 'loading') return
    this.#phase = 'ready'
    const { settings, memory } = this.#context
    const most = settings['group.max.size']
    for (const groupId of this.#groupIds()) {
      const stored = this.#stored.stored(groupId)
      const group =
        stored === undefined
          ? new ClassicGroup(groupId, memory)
          : ClassicGroup.fromStored(groupId, stored, memory)
      this.#groups.set(groupId, group)
      for (const member of group.members.values()) this.#rebalancer.touch(group, member)
      const gone = [...group.members.values()].filter(isOfLastLife)
      // Either ends in one rebalance of those that are left.
      if (gone.length > 0) this.#memberships.leave(group, gone)
      else if (group.members.size > most) this.#rebalancer.prepare(group)
    }
    this.#scheduleExpiry()
    // A crash may have come between a topic's deletion and that of its last offsets.
    for (const topic of [...this.#offsets.topics()]) {
      if (!this.#rules.partitionExists(topic, 0)) this.#purges.begin(topic).catch(() => undefined)
    }
  }

  /** Answers all that wait with COORDINATOR_NOT_AVAILABLE and cancels all timers. */
  close(): void {
    this.#phase = 'closed'
    this.#expiry?.cancel()
    for (const group of this.#groups.values()) {
      this.#rebalancer.stop(group, 'COORDINATOR_NOT_AVAILABLE')
    }
    this.#groups.clear()
  }

  join(request: JoinRequest): Promise<JoinResponse> {
    const problem =
      this.#phaseProblem() ??
      joinProblem(this.#context.settings, request) ??
      this.#closingProblem(request.groupId)
    if (problem !== null) return Promise.resolve(refusedJoin(request.memberId, problem))
    let group = this.#groups.get(request.groupId)
    if (group === undefined) {
      if (request.memberId !== '') {
        return this.#settled(refusedJoin(request.memberId, 'UNKNOWN_MEMBER_ID'), error =>
          refusedJoin(request.memberId, error),
        )
      }
      const full = this.#fullProblem('GROUP_MAX_SIZE_REACHED')
      if (full !== null) return Promise.resolve(refusedJoin('', full))
      group = this.#create(request.groupId)
    }
    const joined = new Promise<JoinResponse>(resolve => this.#joins.join(group, request, resolve))
    this.#forgetIfNothingLeft(group)
    return joined
  }

  sync(request: SyncRequest): Promise<SyncResponse> {
    const problem = this.#phaseProblem() ?? groupIdProblem(request.groupId)
    if (problem !== null) return Promise.resolve(refusedSync(problem))
    const group = this.#groups.get(request.groupId)
    if (group === undefined) {
      return this.#settled(refusedSync('UNKNOWN_MEMBER_ID'), refusedSync)
    }
    return new Promise(resolve => this.#memberships.sync(group, request, resolve))
  }

  heartbeat(request: MemberIdentity): Promise<{ readonly error?: LogError }> {
    const problem = this.#phaseProblem() ?? groupIdProblem(request.groupId)
    if (problem !== null) return Promise.resolve({ error: problem })
    const group = this.#groups.get(request.groupId)
    const code =
      group === undefined ? 'UNKNOWN_MEMBER_ID' : this.#memberships.heartbeat(group, request)
    return this.#settled(code === null ? {} : { error: new LogError(code) }, error => ({ error }))
  }

  leave(request: LeaveRequest): Promise<LeaveResponse> {
    const problem = this.#phaseProblem() ?? groupIdProblem(request.groupId)
    if (problem !== null) return Promise.resolve({ error: problem, members: [] })
    const group = this.#groups.get(request.groupId)
    const members =
      group === undefined
        ? request.members.map(({ memberId, groupInstanceId }) => ({
            memberId,
            groupInstanceId,
            error: new LogError('UNKNOWN_MEMBER_ID'),
          }))
        : this.#memberships.leave(group, request.members)
    return this.#settled<LeaveResponse>({ members }, error => ({ error, members: [] }))
  }

  commit(request: CommitRequest): Promise<readonly PartitionOutcome[]> {
    const failed = (error: LogError): readonly PartitionOutcome[] =>
      request.offsets.map(({ topic, partition }) => ({ topic, partition, error }))
    const { groupId } = request
    const problem = this.#phaseProblem() ?? lengthProblem(groupId) ?? this.#closingProblem(groupId)
    if (problem !== null) return Promise.resolve(failed(problem))
    const group = this.#groups.get(request.groupId)
    const refused =
      group === undefined
        ? this.#strangerProblem(request)
        : asError(this.#memberships.commitProblem(group, request))
    if (refused !== null) return this.#settled(failed(refused), failed)
    const decision = decideCommit(this.#rules, request, this.#context.clock.now())
    try {
      this.#writeOffsets(decision.records)
    } catch (error) {
      return Promise.resolve(failed(error as LogError))
    }
    if (group === undefined && decision.records.length > 0) this.#create(request.groupId)
    return this.#settled(decision.outcomes, failed)
  }

  /**
   * `requireStable` changes nothing while there are no transactions. Throws the coordinator's own
   * conditions.
   */
  async fetchOffsets(
    groupId: string,
    partitions?: readonly MeantPartition[],
    _options?: { readonly requireStable?: boolean },
  ): Promise<readonly FetchedOffset[]> {
    throwIf(this.#phaseProblem() ?? lengthProblem(groupId))
    const found =
      partitions === undefined
        ? fetchedOffsets(this.#offsets, groupId)
        : partitions.map(partition => fetchedOffset(this.#rules, groupId, partition))
    await this.#ledger.settled()
    return found
  }

  /** Throws the coordinator's own conditions. States are compared without regard to case. */
  async list(filter?: { readonly states?: readonly string[] }): Promise<readonly GroupListing[]> {
    throwIf(this.#phaseProblem())
    const states = (filter?.states ?? []).map(state => state.toLowerCase())
    const found: GroupListing[] = []
    for (const { groupId, protocolType, state } of this.#groups.values()) {
      if (states.length > 0 && !states.includes(state.toLowerCase())) continue
      found.push({ groupId, protocolType: protocolType ?? '', state })
    }
    await this.#ledger.settled()
    return found
  }

  async describe(groupIds: readonly string[]): Promise<readonly GroupDescription[]> {
    const problem = this.#phaseProblem()
    const described = groupIds.map(groupId => {
      const description = describeGroup(groupId, this.#groups.get(groupId))
      return problem === null ? description : { ...description, error: problem }
    })
    if (problem === null) await this.#ledger.settled()
    return described
  }

  /** Deletes empty groups with all they have committed. */
  async delete(
    groupIds: readonly string[],
  ): Promise<readonly { readonly groupId: string; readonly error?: LogError }[]> {
    const errors = await Promise.all(
      groupIds.map(async groupId => this.#phaseProblem() ?? (await this.#deleteGroup(groupId))),
    )
    const outcomes = groupIds.map((groupId, at) => {
      const error = errors[at] ?? null
      return error === null ? { groupId } : { groupId, error }
    })
    return this.#settled<readonly { groupId: string; error?: LogError }[]>(outcomes, error =>
      groupIds.map(groupId => ({ groupId, error })),
    )
  }

  async deleteOffsets(
    groupId: string,
    partitions: readonly TopicPartition[],
  ): Promise<readonly PartitionOutcome[]> {
    throwIf(this.#phaseProblem() ?? groupIdProblem(groupId) ?? this.#closingProblem(groupId))
    const group = this.#groups.get(groupId)
    if (group === undefined || (group.state !== 'Empty' && !group.isOfConsumers)) {
      await this.#ledger.settled()
      throw new LogError(group === undefined ? 'GROUP_ID_NOT_FOUND' : 'NON_EMPTY_GROUP', groupId)
    }
    const { records, outcomes } = decideOffsetDeletion(this.#rules, group, partitions)
    const last = records.length === this.#offsets.count(groupId)
    this.#ledger.commit(this.#removals.withoutOffsets(group, { records, last }))
    await this.#ledger.settled()
    return outcomes
  }

  /**
   * Removes all offsets committed for a deleted topic; call it while no partition of it exists any
   * more. Resolves when that is durable.
   */
  async onTopicDeleted(topic: string): Promise<void> {
    await this.#purges.begin(topic)
  }

  /**
   * Resolves when no offsets of an earlier topic of this name are left: until then another one must not
   * be created, nor where it rejects with COORDINATOR_NOT_AVAILABLE. Undefined where there are none.
   */
  purged(topic: string): Promise<void> | undefined {
    return this.#purges.unfinished(topic)
  }

  /** Bytes of memory that are counted. */
  get bytes(): { readonly groups: number; readonly offsets: number } {
    return { groups: this.#context.memory.bytes, offsets: this.#offsets.bytes }
  }

  metrics(): Readonly<Record<string, number>> {
    const { settings, memory } = this.#context
    return {
      groups: this.size,
      groups_max: settings['groups.max'],
      groups_bytes: memory.bytes,
      groups_bytes_max: settings['groups.total.max.bytes'],
      offsets: this.#offsets.size,
      offsets_bytes: this.#offsets.bytes,
      offsets_bytes_max: settings['offsets.total.max.bytes'],
    }
  }

  /** Number of groups. */
  get size(): number {
    return this.#groups.size
  }

  #groupIds(): ReadonlySet<string> {
    return new Set([...this.#stored.groupIds(), ...this.#offsets.groupIds()])
  }

  #writeOffsets(records: readonly MachineRecord[]): void {
    this.#ledger.commit([{ machine: this.#offsets, records }])
  }

  #create(groupId: string): ClassicGroup {
    const group = new ClassicGroup(groupId, this.#context.memory)
    this.#groups.set(groupId, group)
    return group
  }

  async #settled<Response>(
    response: Response,
    failed: (error: LogError) => Response,
  ): Promise<Response> {
    try {
      await this.#ledger.settled()
      return response
    } catch (error) {
      return failed(error as LogError)
    }
  }

  #phaseProblem(): LogError | null {
    if (this.#phase === 'ready') return null
    return this.#phase === 'loading'
      ? new LogError('COORDINATOR_LOAD_IN_PROGRESS')
      : new LogError('COORDINATOR_NOT_AVAILABLE', 'it has been closed')
  }

  #closingProblem(groupId: string): LogError | null {
    return this.#closing.has(groupId)
      ? new LogError('COORDINATOR_NOT_AVAILABLE', `${groupId.slice(0, 100)} is being deleted`)
      : null
  }

  /** @param code one that clients know in the answer to what they ask */
  #fullProblem(code: LogErrorCode): LogError | null {
    return fullProblem(this.#context, this.#groups.size, code)
  }

  /** A commit into a group that is not there: it becomes one without members. */
  #strangerProblem(request: CommitRequest): LogError | null {
    return request.generationId >= 0
      ? new LogError('ILLEGAL_GENERATION')
      : this.#fullProblem('INVALID_COMMIT_OFFSET_SIZE')
  }

  async #deleteGroup(groupId: string): Promise<LogError | null> {
    const closing = this.#closingProblem(groupId)
    if (closing !== null) return closing
    const group = this.#groups.get(groupId)
    if (group === undefined) return new LogError('GROUP_ID_NOT_FOUND', groupId)
    if (group.state !== 'Empty') return new LogError('NON_EMPTY_GROUP', groupId)
    this.#closing.add(groupId)
    try {
      await this.#removals.offsets(group, () => () => true, {
        when: () => true,
        ended: () => {
          this.#closing.delete(groupId)
          this.#bury(group)
        },
      })
      return null
    } catch (error) {
      this.#closing.delete(groupId)
      return error as LogError
    }
  }

  async #removeOffsetsOf(topic: string): Promise<void> {
    await this.#removals.ofTopic(topic, groupId => this.#groups.get(groupId))
    await this.#ledger.settled()
  }

  #bury(group: ClassicGroup): void {
    this.#rebalancer.stop(group, 'COORDINATOR_NOT_AVAILABLE')
    group.apply('die', this.#context.clock.now())
    group.release()
    this.#groups.delete(group.groupId)
  }

  #forgetIfNothingLeft(group: ClassicGroup): void {
    const { groupId } = group
    const kept =
      group.state !== 'Empty' ||
      group.pendingJoins.size > 0 ||
      this.#stored.stored(groupId) !== undefined ||
      this.#offsets.count(groupId) > 0
    if (!kept && this.#groups.get(groupId) === group) this.#bury(group)
  }

  #scheduleExpiry(): void {
    const interval = this.#context.settings['offsets.retention.check.interval.ms']
    this.#expiry = this.#context.wheel.after(interval, () => {
      this.#expire()
        .catch(() => undefined) // nothing is taken now; the next look will find them again
        .finally(() => {
          if (this.#phase === 'ready') this.#scheduleExpiry()
        })
    })
  }

  /** Removes expired offsets, and empty groups that hold none; one group after the other. */
  async #expire(): Promise<void> {
    await this.#purges.again()
    for (const group of [...this.#groups.values()]) {
      const { groupId } = group
      const lives = (): boolean =>
        this.#groups.get(groupId) === group && !this.#closing.has(groupId)
      await this.#removals.offsets(
        group,
        () => (lives() ? expiry(this.#rules, group, this.#ageOf) : null),
        {
          when: () => group.state === 'Empty' && group.pendingJoins.size === 0,
          ended: () => this.#bury(group),
        },
      )
      if (this.#turns.spent()) await this.#turns.next()
    }
  }
}

/** The message of what an error rests on, which says more than that the coordinator is not available. */
function reasonOf(error: unknown): string {
  const below = error instanceof Error ? (error.cause ?? error) : error
  return below instanceof Error ? below.message : String(below)
}

function asError(code: LogErrorCode | null): LogError | null {
  return code === null ? null : new LogError(code)
}

function throwIf(error: LogError | null): void {
  if (error !== null) throw error
}

/**
 * A member that joined in the engine's process, before this start of it: nobody will ever speak for it. A
 * static one is waited for: whoever comes with its name takes its place.
 */
const isOfLastLife = ({ clientHost, groupInstanceId }: Member): boolean =>
  clientHost === IN_PROCESS_HOST && groupInstanceId === null
