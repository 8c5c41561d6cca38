/**
 * A member of a group: the classic protocol of Kafka (KIP-62, KIP-345, KIP-394, KIP-429).
 *
 *     unjoined ──join──► joining ──sync──► stable ──► (again, when the group moves)
 *
 * Heartbeats run beside all of it, also while the application works on a batch or finishes its work
 * before a rebalance. Eager members give everything up before they join again; cooperative ones
 * keep what they hold, give up only what the new assignment takes from them, and then join once
 * more. A member that the group no longer knows has lost its partitions: somebody else may read
 * them, so its work on them is no longer committed.
 *
 * A session ends on this side, too: without an answer to a heartbeat for `sessionTimeoutMs` the
 * member counts itself out. Refusals that waiting does not mend (a fenced instance id, a full
 * group, no common assignor) are final.
 */

import { backoffMs, Signal, sleep, type Timer } from '@millrace/base'
import type { TopicPartition } from '@millrace/log'
import {
  asLogError,
  type Groups,
  IN_PROCESS_HOST,
  type JoinResponse,
  LogError,
  type LogErrorCode,
  type MemberIdentity,
  NO_GENERATION,
} from '@millrace/log'
import { answerWithin } from '../answer.ts'
import type { GroupMember } from './assignment.ts'
import { ASSIGNORS, type AssignorName } from './assignors.ts'
import { cooperativeUserData } from './cooperative-sticky.ts'
import {
  CONSUMER_PROTOCOL_TYPE,
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from './embedded-protocol.ts'
import type { ResolvedConsumerOptions } from './options.ts'
import { keyOf } from './partition-table.ts'

/** What a member asks of its consumer. */
export type MembershipEvents = {
  /** Topics to read, as they exist now. */
  readonly topics: () => Promise<readonly string[]>
  /** How many partitions each of these topics has; missing: it does not exist. */
  readonly partitionCounts: (topics: readonly string[]) => Promise<Map<string, number>>
  /** What the consumer holds. */
  readonly owned: () => readonly TopicPartition[]
  /** Finish the work on these, commit it, give them up. Resolves within `rebalanceTimeoutMs`. */
  readonly revoke: (partitions: readonly TopicPartition[]) => Promise<void>
  /** These are lost: somebody else may hold them. */
  readonly lose: (partitions: readonly TopicPartition[]) => Promise<void>
  /** Take these, too. */
  readonly assign: (partitions: readonly TopicPartition[]) => Promise<void>
  /** Whether the loop has been at one batch for too long to count as alive. */
  readonly stalled: () => boolean
  /** The member has ended for good. */
  readonly fatal: (error: LogError) => void
}

/** Refusals that end the membership. */
const FINAL: ReadonlySet<LogErrorCode> = new Set<LogErrorCode>([
  'FENCED_INSTANCE_ID',
  'GROUP_MAX_SIZE_REACHED',
  'INCONSISTENT_GROUP_PROTOCOL',
  'INVALID_GROUP_ID',
  'INVALID_SESSION_TIMEOUT',
  'UNSUPPORTED_VERSION',
  'LOG_CLOSED',
])
/** Answers that say that the group has gone on without this member. */
const LOST: ReadonlySet<LogErrorCode> = new Set<LogErrorCode>([
  'UNKNOWN_MEMBER_ID',
  'ILLEGAL_GENERATION',
])

/** See the head of the file. */
export class Membership {
  #groups: Groups
  #groupId: string
  #options: ResolvedConsumerOptions
  #events: MembershipEvents
  #memberId = ''
  #generationId = NO_GENERATION
  /** The generation in which the present partitions were assigned. */
  #ownedGenerationId = NO_GENERATION
  #phase: 'unjoined' | 'joining' | 'stable' = 'unjoined'
  #mustJoin = true
  #lost: LogErrorCode | null = null
  #final: LogError | null = null
  #failures = 0
  #signal: Signal
  #resumed: Signal
  #suspended = false
  #stopping = new AbortController()
  #heartbeatTimer: Timer | null = null
  #heartbeatInFlight = false
  #heardAt = 0
  #watchTimer: Timer | null = null
  /** What the last join was based on: the topics of the group as the leader saw them, or ours. */
  #basis = ''
  #basisTopics: readonly string[] | null = null
  #topicsMissing = false
  #running: Promise<void> | null = null

  constructor(
    groups: Groups,
    groupId: string,
    options: ResolvedConsumerOptions,
    events: MembershipEvents,
  ) {
    this.#groups = groups
    this.#groupId = groupId
    this.#options = options
    this.#events = events
    this.#signal = new Signal(options.outside.timers)
    this.#resumed = new Signal(options.outside.timers)
  }

  /** As whom to commit. */
  get identity(): MemberIdentity {
    return {
      groupId: this.#groupId,
      generationId: this.#generationId,
      memberId: this.#memberId,
      groupInstanceId: this.#options.groupInstanceId,
    }
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** The subscription has changed. */
  rejoin(): void {
    this.#mustJoin = true
    this.#signal.fire()
  }

  /** Asks the group at once whether this member still belongs to it. */
  check(): void {
    if (this.#generationId !== NO_GENERATION) this.#planHeartbeat(0)
  }

  /** The loop is alive again. */
  resume(): void {
    if (this.#suspended) this.#resumed.fire()
  }

  /** Gives everything up and leaves. Static members stay in the group (KIP-345). */
  async stop(): Promise<void> {
    if (this.#stopping.signal.aborted) return
    this.#stopping.abort()
    this.#signal.fire()
    this.#resumed.fire()
    // An assignment that is under way when this begins comes to its end first, and is then undone.
    do {
      const owned = this.#events.owned()
      await (this.#lost === null ? this.#events.revoke(owned) : this.#events.lose(owned))
    } while (this.#events.owned().length > 0)
    await this.#leave('the consumer is closed')
    this.#stopTimers()
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        if (this.#final !== null) throw this.#final
        if (this.#lost !== null) await this.#afterLoss(this.#lost)
        if (this.#suspended) await this.#untilResumed()
        else if (this.#mustJoin) await this.#join()
        else await this.#signal.wait()
      } catch (error) {
        if (!(await this.#survives(asLogError(error)))) return
      }
    }
  }

  /** Decides what a failure means; false: the membership is over. */
  async #survives(error: LogError): Promise<boolean> {
    if (this.#stopping.signal.aborted) return false
    this.#phase = 'unjoined'
    this.#mustJoin = true
    if (error.code === 'REBALANCE_IN_PROGRESS') return true
    if (LOST.has(error.code)) {
      this.#lost ??= error.code
      return true
    }
    if (FINAL.has(error.code) || !error.retriable) {
      this.#stopTimers()
      await this.#events.lose(this.#events.owned())
      this.#events.fatal(error)
      return false
    }
    this.#options.onBackgroundError(error)
    this.#failures += 1
    const { outside, backoff } = this.#options
    const wait = backoffMs(backoff, this.#failures, outside.random)
    await sleep(outside.timers, wait, this.#stopping.signal)
    return true
  }

  async #afterLoss(code: LogErrorCode): Promise<void> {
    if (code === 'UNKNOWN_MEMBER_ID') this.#memberId = ''
    this.#generationId = NO_GENERATION
    this.#ownedGenerationId = NO_GENERATION
    this.#mustJoin = true
    this.#phase = 'unjoined'
    this.#stopTimers()
    const owned = this.#events.owned()
    if (owned.length > 0) await this.#events.lose(owned)
    this.#lost = null
  }

  async #untilResumed(): Promise<void> {
    await this.#resumed.wait()
    this.#suspended = false
    this.#mustJoin = true
  }

  async #join(): Promise<void> {
    const topics = await this.#events.topics()
    await this.#revokeBeforeJoin(topics)
    if (this.#lost !== null || this.#stopping.signal.aborted) return
    this.#mustJoin = false
    this.#phase = 'joining'
    // The group waits for our join itself: no heartbeat is needed until it is answered.
    this.#stopTimers()
    const response = await this.#requestJoin(topics)
    if (response === null || this.#stopping.signal.aborted) return
    this.#generationId = response.generationId
    this.#heardAt = this.#options.outside.clock.monotonic()
    this.#planHeartbeat()
    const assigned = await this.#sync(response, topics)
    if (this.#lost !== null || this.#stopping.signal.aborted) return
    this.#phase = 'stable'
    this.#failures = 0
    await this.#apply(assigned)
    this.#watch()
  }

  /** Eager members give up everything, cooperative ones what they no longer subscribe to. */
  async #revokeBeforeJoin(topics: readonly string[]): Promise<void> {
    const wanted = new Set(topics)
    const owned = this.#events.owned()
    const given = this.#options.cooperative
      ? owned.filter(({ topic }) => !wanted.has(topic))
      : owned
    if (given.length > 0) await this.#events.revoke(given)
  }

  /** Joins; null when the member must begin again with the id that it was given. */
  async #requestJoin(topics: readonly string[]): Promise<JoinResponse | null> {
    // The group answers when all members have joined, or their time is over.
    const response = await this.#ask('join', this.#options.rebalanceTimeoutMs, () =>
      this.#groups.join({
        groupId: this.#groupId,
        memberId: this.#memberId,
        groupInstanceId: this.#options.groupInstanceId,
        clientId: this.#options.clientId,
        clientHost: IN_PROCESS_HOST,
        sessionTimeoutMs: this.#options.sessionTimeoutMs,
        rebalanceTimeoutMs: this.#options.rebalanceTimeoutMs,
        protocolType: CONSUMER_PROTOCOL_TYPE,
        protocols: this.#options.assignors.map(name => ({
          name,
          metadata: this.#subscription(name, topics),
        })),
        requireKnownMemberId: true,
        supportsSkippingAssignment: true,
      }),
    )
    if (response.error?.code === 'MEMBER_ID_REQUIRED') {
      this.#memberId = response.memberId
      this.#mustJoin = true
      return null
    }
    if (response.error !== undefined) throw response.error
    this.#memberId = response.memberId
    return response
  }

  #subscription(name: AssignorName, topics: readonly string[]): Buffer {
    const { cooperative } = ASSIGNORS[name]
    return encodeSubscription({
      topics: topics.toSorted(),
      userData: cooperative ? cooperativeUserData(this.#ownedGenerationId) : null,
      ownedPartitions: this.#events.owned(),
      generationId: this.#ownedGenerationId,
      rackId: null,
    })
  }

  async #sync(response: JoinResponse, topics: readonly string[]): Promise<TopicPartition[]> {
    const leads = response.leader === response.memberId
    this.#basisTopics = null
    this.#topicsMissing = false
    if (!leads) this.#basis = topics.toSorted().join()
    const assignments = leads ? await this.#assignAll(response) : []
    const request = {
      ...this.identity,
      protocolType: response.protocolType,
      protocolName: response.protocolName,
      assignments: response.skipAssignment ? [] : assignments,
    }
    const answer = await this.#ask('sync', this.#options.rebalanceTimeoutMs, () =>
      this.#groups.sync(request),
    )
    if (answer.error !== undefined) throw answer.error
    return [...decodeAssignment(answer.assignment).partitions]
  }

  /** The leader's part: shares out all partitions of all topics of all members. */
  async #assignAll(response: JoinResponse): Promise<{ memberId: string; assignment: Buffer }[]> {
    const members: GroupMember[] = response.members.map(
      ({ memberId, groupInstanceId, metadata }) => ({
        memberId,
        groupInstanceId,
        subscription: decodeSubscription(metadata),
      }),
    )
    const name = this.#options.assignors.find(each => each === response.protocolName)
    if (name === undefined)
      throw new LogError('INCONSISTENT_GROUP_PROTOCOL', `chosen: ${response.protocolName}`)
    const topics = [...new Set(members.flatMap(({ subscription }) => subscription.topics))]
    const counts = await this.#events.partitionCounts(topics)
    this.#basisTopics = topics
    this.#basis = basisOf(counts)
    this.#topicsMissing = counts.size < topics.length
    const shared = ASSIGNORS[name].assign(members, counts)
    return [...shared].map(([memberId, partitions]) => ({
      memberId,
      assignment: encodeAssignment({ partitions, userData: null }),
    }))
  }

  async #apply(assigned: readonly TopicPartition[]): Promise<void> {
    const before = this.#events.owned()
    const beforeKeys = new Set(before.map(keyOf))
    const assignedKeys = new Set(assigned.map(keyOf))
    const removed = before.filter(each => !assignedKeys.has(keyOf(each)))
    const added = assigned.filter(each => !beforeKeys.has(keyOf(each)))
    if (removed.length > 0) {
      await this.#events.revoke(removed)
      // Only now may others have them: the next rebalance gives them away (KIP-429).
      this.#mustJoin = true
    }
    if (this.#lost !== null || this.#stopping.signal.aborted) return
    this.#ownedGenerationId = this.#generationId
    await this.#events.assign(added)
  }

  async #leave(reason: string): Promise<void> {
    const { groupInstanceId } = this.#options
    const memberId = this.#memberId
    this.#generationId = NO_GENERATION
    if (memberId === '' || groupInstanceId !== null) return
    this.#memberId = ''
    try {
      await this.#ask('leave', 0, () =>
        this.#groups.leave({
          groupId: this.#groupId,
          members: [{ memberId, groupInstanceId, reason }],
        }),
      )
    } catch (error) {
      // The session ends by itself if the group does not hear of this.
      this.#options.onBackgroundError(asLogError(error))
    }
  }

  #ask<T>(what: string, waitMs: number, call: () => Promise<T>): Promise<T> {
    const { outside, requestTimeoutMs } = this.#options
    return answerWithin(outside.timers, waitMs + requestTimeoutMs, what, call)
  }

  #planHeartbeat(ms: number = this.#options.heartbeatIntervalMs): void {
    this.#heartbeatTimer?.cancel()
    this.#heartbeatTimer = this.#options.outside.timers.after(ms, () => void this.#heartbeat())
  }

  async #heartbeat(): Promise<void> {
    if (this.#heartbeatInFlight || this.#generationId === NO_GENERATION) return
    if (this.#events.stalled()) return this.#suspend()
    this.#heartbeatInFlight = true
    const { generationId } = this.identity
    let error: LogError | undefined
    try {
      const { identity } = this
      error = (await this.#ask('heartbeat', 0, () => this.#groups.heartbeat(identity))).error
    } catch (thrown) {
      error = asLogError(thrown)
    }
    this.#heartbeatInFlight = false
    // An answer about an older generation says nothing about this one.
    if (this.#generationId === generationId && generationId !== NO_GENERATION) this.#heard(error)
    if (this.#heartbeatTimer !== null && this.#lost === null) this.#planHeartbeat()
  }

  #heard(error: LogError | undefined): void {
    const now = this.#options.outside.clock.monotonic()
    if (error === undefined) this.#heardAt = now
    else if (error.code === 'REBALANCE_IN_PROGRESS') {
      this.#heardAt = now
      if (this.#phase === 'stable') this.rejoin()
    } else if (LOST.has(error.code)) this.#lose(error.code)
    else if (FINAL.has(error.code)) {
      this.#final = error
      this.#signal.fire()
    } else {
      this.#options.onBackgroundError(error)
      // Nobody heard of us for a session: the group has given our partitions away.
      if (now - this.#heardAt >= this.#options.sessionTimeoutMs) this.#lose('ILLEGAL_GENERATION')
    }
  }

  #lose(code: LogErrorCode): void {
    this.#lost ??= code
    this.#signal.fire()
  }

  /** The loop is stuck: others shall have the partitions until it asks again. */
  #suspend(): void {
    this.#suspended = true
    this.#lose('UNKNOWN_MEMBER_ID')
    void this.#leave('the loop has been at one batch for processingMsMax')
  }

  /** Looks from time to time whether the topics are still those that the assignment is for. */
  #watch(): void {
    this.#watchTimer?.cancel()
    // A topic that does not exist yet is looked for more often.
    const { metadataMaxAgeMs, retryBackoffMaxMs } = this.#options
    const ms = this.#topicsMissing
      ? Math.min(retryBackoffMaxMs, metadataMaxAgeMs)
      : metadataMaxAgeMs
    this.#watchTimer = this.#options.outside.timers.after(ms, () => {
      this.#basisNow().then(
        basis => {
          if (this.#phase !== 'stable' || this.#watchTimer === null) return
          if (basis !== this.#basis) this.rejoin()
          else this.#watch()
        },
        error => {
          this.#options.onBackgroundError(asLogError(error))
          if (this.#watchTimer !== null) this.#watch()
        },
      )
    })
  }

  async #basisNow(): Promise<string> {
    const own = await this.#events.topics()
    if (this.#basisTopics === null) return own.toSorted().join()
    const topics = new Set([...this.#basisTopics, ...own])
    return basisOf(await this.#events.partitionCounts([...topics]))
  }

  #stopTimers(): void {
    this.#heartbeatTimer?.cancel()
    this.#heartbeatTimer = null
    this.#watchTimer?.cancel()
    this.#watchTimer = null
  }
}

const basisOf = (counts: ReadonlyMap<string, number>): string =>
  [...counts]
    .map(([topic, count]) => `${topic}:${count}`)
    .sort()
    .join()
