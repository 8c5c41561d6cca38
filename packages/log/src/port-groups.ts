/**
 * The port's group half: the classic consumer group protocol (KIP-62, KIP-345, KIP-394, KIP-429)
 * and committed offsets. Field names follow the messages JoinGroup, SyncGroup, Heartbeat,
 * LeaveGroup, OffsetCommit, OffsetFetch of the Kafka protocol; metadata and assignments are opaque.
 */
import type { LogError } from './errors.ts'
import type { Offset, TopicPartition } from './vocabulary.ts'

/** Generation of a commit that no member makes. */
export const NO_GENERATION = -1

/** Host of a member that joins in the engine's own process: a restart of that ends it. */
export const IN_PROCESS_HOST = ''

/** A member asks to take part in the next generation. */
export type JoinRequest = {
  readonly groupId: string
  /** "" on the first join. */
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly clientId: string
  /** Where the member is; {@link IN_PROCESS_HOST} where there is no connection. */
  readonly clientHost: string
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  readonly protocolType: string
  readonly protocols: readonly { readonly name: string; readonly metadata: Buffer }[]
  /**
   * Whether a first join is answered MEMBER_ID_REQUIRED with an id to join with (KIP-394; JoinGroup
   * version 4 and later).
   */
  readonly requireKnownMemberId: boolean
  /** Whether the caller understands `skipAssignment` (JoinGroup version 9, KIP-814). */
  readonly supportsSkippingAssignment: boolean
  readonly reason?: string | null
}

/** The answer to a join, sent when the generation is complete. */
export type JoinResponse = {
  readonly error?: LogError
  readonly generationId: number
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly leader: string
  readonly memberId: string
  readonly skipAssignment: boolean
  /** All members for the leader, none for the others. */
  readonly members: readonly {
    readonly memberId: string
    readonly groupInstanceId: string | null
    readonly metadata: Buffer
  }[]
}

/** A member of a generation; `groupInstanceId` for static members. */
export type MemberIdentity = {
  readonly groupId: string
  readonly generationId: number
  readonly memberId: string
  readonly groupInstanceId: string | null
}

/** A member asks for its part; the leader brings everybody's. */
export type SyncRequest = MemberIdentity & {
  /** Checked against the group's where given (SyncGroup version 5). */
  readonly protocolType?: string | null
  readonly protocolName?: string | null
  readonly assignments: readonly { readonly memberId: string; readonly assignment: Buffer }[]
}

/** The answer to a sync. */
export type SyncResponse = {
  readonly error?: LogError
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly assignment: Buffer
}

/** Members to be taken out, by member id or by instance id (memberId ""). */
export type LeaveRequest = {
  readonly groupId: string
  readonly members: readonly {
    readonly memberId: string
    readonly groupInstanceId: string | null
    readonly reason?: string | null
  }[]
}

/** The answer to a leave, per member in order. */
export type LeaveResponse = {
  readonly error?: LogError
  readonly members: readonly {
    readonly memberId: string
    readonly groupInstanceId: string | null
    readonly error?: LogError
  }[]
}

/** An offset as it is committed: the next offset to read. */
export type CommittedOffset = {
  readonly offset: Offset
  /** -1 where unknown. */
  readonly leaderEpoch: number
  readonly metadata: string | null
}

/** A partition; with the id of its topic where another one of the same name is not meant. */
export type MeantPartition = TopicPartition & { readonly topicId?: string }

/** Offsets to commit. Generation -1 with memberId "": a commit without membership. */
export type CommitRequest = MemberIdentity & {
  readonly offsets: readonly (MeantPartition & CommittedOffset)[]
}

/** The outcome for one partition. */
export type PartitionOutcome = TopicPartition & { readonly error?: LogError }

/** One fetched committed offset; offset -1 where nothing is committed. */
export type FetchedOffset = TopicPartition & CommittedOffset & { readonly error?: LogError }

/** The state of a classic group. */
export type GroupState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead'

/** A group in a listing. */
export type GroupListing = {
  readonly groupId: string
  readonly protocolType: string
  readonly state: GroupState
}

/** A group and its members. An unknown group is described as Dead, as Kafka does. */
export type GroupDescription = GroupListing & {
  readonly error?: LogError
  readonly protocolName: string
  readonly members: readonly {
    readonly memberId: string
    readonly groupInstanceId: string | null
    readonly clientId: string
    readonly clientHost: string
    readonly metadata: Buffer
    readonly assignment: Buffer
  }[]
}

/** The group half of `Log`. */
export interface Groups {
  join(request: JoinRequest): Promise<JoinResponse>
  sync(request: SyncRequest): Promise<SyncResponse>
  heartbeat(request: MemberIdentity): Promise<{ readonly error?: LogError }>
  leave(request: LeaveRequest): Promise<LeaveResponse>
  commit(request: CommitRequest): Promise<readonly PartitionOutcome[]>
  /** Committed offsets of some partitions, or of all (`partitions` absent). */
  fetchOffsets(
    groupId: string,
    partitions?: readonly MeantPartition[],
    options?: { readonly requireStable?: boolean },
  ): Promise<readonly FetchedOffset[]>
  list(filter?: { readonly states?: readonly string[] }): Promise<readonly GroupListing[]>
  describe(groupIds: readonly string[]): Promise<readonly GroupDescription[]>
  delete(
    groupIds: readonly string[],
  ): Promise<readonly { readonly groupId: string; readonly error?: LogError }[]>
  /** Forgets committed offsets; throws GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP. */
  deleteOffsets(
    groupId: string,
    partitions: readonly TopicPartition[],
  ): Promise<readonly PartitionOutcome[]>
}
