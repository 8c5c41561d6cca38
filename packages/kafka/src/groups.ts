/**
 * Consumer groups: every call goes to the coordinator of its group.
 *
 * Joining and syncing wait there, each on a connection of its own, so that heartbeats and commits of
 * other members are not held up. Listing asks all brokers.
 */
import type {
  CommitRequest,
  FetchedOffset,
  GroupDescription,
  GroupListing,
  GroupState,
  Groups,
  JoinRequest,
  JoinResponse,
  LeaveRequest,
  LeaveResponse,
  LogError,
  MemberIdentity,
  PartitionOutcome,
  SyncRequest,
  SyncResponse,
  TopicPartition,
} from '@millrace/log'
import {
  type Decoded,
  type DescribedGroup,
  deleteGroups,
  describeGroups,
  heartbeat,
  listGroups,
} from '@millrace/protocol'
import type { Cluster } from './cluster.ts'
import { errorOf, failure } from './errors.ts'
import { askToCommit, askToDeleteOffsets, askToFetchOffsets } from './group-offsets.ts'
import { askToJoin, askToLeave, askToSync } from './memberships.ts'
import { silentAbout } from './silence.ts'

/** First version of ListGroups that tells and filters by state. */
const STATES_MIN = 4

/** The group half of the log. */
export class WireGroups implements Groups {
  readonly #cluster: Cluster

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  join(request: JoinRequest): Promise<JoinResponse> {
    return askToJoin(this.#cluster, request)
  }

  sync(request: SyncRequest): Promise<SyncResponse> {
    return askToSync(this.#cluster, request)
  }

  async heartbeat(request: MemberIdentity): Promise<{ readonly error?: LogError }> {
    const { groupId, generationId, memberId, groupInstanceId } = request
    const { errorCode } = await this.#cluster.atCoordinator(
      groupId,
      broker =>
        broker.lane('groups').call(heartbeat, { groupId, generationId, memberId, groupInstanceId }),
      response => errorOf(response.errorCode),
      { repeat: true },
    )
    return failure(errorOf(errorCode))
  }

  leave(request: LeaveRequest): Promise<LeaveResponse> {
    return askToLeave(this.#cluster, request)
  }

  commit(request: CommitRequest): Promise<readonly PartitionOutcome[]> {
    return askToCommit(this.#cluster, request)
  }

  fetchOffsets(
    groupId: string,
    partitions?: readonly TopicPartition[],
    options: { readonly requireStable?: boolean } = {},
  ): Promise<readonly FetchedOffset[]> {
    return askToFetchOffsets(this.#cluster, groupId, partitions, options.requireStable ?? false)
  }

  async list(
    filter: { readonly states?: readonly string[] } = {},
  ): Promise<readonly GroupListing[]> {
    const { states } = filter
    await this.#cluster.start()
    const answers = await Promise.all(
      this.#cluster.brokers.map(({ broker }) =>
        broker
          .lane('control')
          .call(
            listGroups,
            { statesFilter: states ?? [] },
            { versions: { min: states === undefined ? 0 : STATES_MIN } },
          ),
      ),
    )
    return answers.flatMap(({ errorCode, groups }) => {
      const error = errorOf(errorCode)
      if (error !== undefined) throw error
      return groups.map(({ groupId, protocolType, groupState }) => ({
        groupId,
        protocolType,
        state: groupState as GroupState,
      }))
    })
  }

  describe(groupIds: readonly string[]): Promise<readonly GroupDescription[]> {
    return Promise.all(groupIds.map(groupId => this.#describe(groupId)))
  }

  async #describe(groupId: string): Promise<GroupDescription> {
    const { groups } = await this.#cluster.atCoordinator(
      groupId,
      broker => broker.lane('groups').call(describeGroups, { groups: [groupId] }),
      ({ groups: [group] }) => errorOf(group?.errorCode ?? 0),
      { repeat: true },
    )
    const [group] = groups
    if (group === undefined) return { ...unknown(groupId), error: silentAbout(groupId) }
    const error = errorOf(group.errorCode)
    // Newer brokers say GROUP_ID_NOT_FOUND of what older ones describe as Dead.
    if (error?.code === 'GROUP_ID_NOT_FOUND') return unknown(groupId)
    return { ...failure(error), ...described(group) }
  }

  delete(
    groupIds: readonly string[],
  ): Promise<readonly { readonly groupId: string; readonly error?: LogError }[]> {
    return Promise.all(
      groupIds.map(async groupId => {
        const { results } = await this.#cluster.atCoordinator(
          groupId,
          broker => broker.lane('groups').call(deleteGroups, { groupsNames: [groupId] }),
          ({ results: [result] }) => errorOf(result?.errorCode ?? 0),
        )
        const [result] = results
        if (result === undefined) return { groupId, error: silentAbout(groupId) }
        return { groupId, ...failure(errorOf(result.errorCode)) }
      }),
    )
  }

  deleteOffsets(
    groupId: string,
    partitions: readonly TopicPartition[],
  ): Promise<readonly PartitionOutcome[]> {
    return askToDeleteOffsets(this.#cluster, groupId, partitions)
  }
}

const unknown = (groupId: string): GroupDescription => ({
  groupId,
  protocolType: '',
  protocolName: '',
  state: 'Dead',
  members: [],
})

function described(group: Decoded<DescribedGroup>): GroupDescription {
  return {
    groupId: group.groupId,
    protocolType: group.protocolType,
    protocolName: group.protocolData,
    state: group.groupState as GroupState,
    members: group.members.map(member => ({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      metadata: member.memberMetadata,
      assignment: member.memberAssignment,
    })),
  }
}
