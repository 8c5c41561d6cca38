/**
 * Membership of a group: JoinGroup, SyncGroup, LeaveGroup.
 *
 * The version of JoinGroup says what the member understands: below 4 it is let in without knowing
 * its id (KIP-394), from 5 on it may have an instance id (KIP-345), from 9 on it may be told to skip
 * the assignment (KIP-814).
 */
import type {
  JoinRequest,
  JoinResponse,
  LeaveRequest,
  LeaveResponse,
  LogError,
  SyncRequest,
  SyncResponse,
} from '@millrace/log'
import { joinGroup, leaveGroup, syncGroup } from '@millrace/protocol'
import type { Cluster } from './cluster.ts'
import { coordinatorMoved, errorOf, failure } from './errors.ts'
import { silentAbout } from './silence.ts'

const JOIN_REQUIRES_KNOWN_ID_FROM = 4
const JOIN_INSTANCE_ID_MIN = 5
const JOIN_SKIPS_ASSIGNMENT_FROM = 9
const SYNC_INSTANCE_ID_MIN = 3
/** First version of SyncGroup with the protocol, which it must then have. */
const SYNC_PROTOCOL_FROM = 5
const LEAVE_MEMBERS_MIN = 3

/** The versions of JoinGroup that mean what the request says. */
function joinVersions(request: JoinRequest): { readonly min: number; readonly max: number } {
  const isStatic = request.groupInstanceId !== null
  // A static member, or one that has an id, is let in at once by every version.
  const asNewcomer = !request.requireKnownMemberId && request.memberId === '' && !isStatic
  if (asNewcomer) return { min: 0, max: JOIN_REQUIRES_KNOWN_ID_FROM - 1 }
  const min = isStatic ? JOIN_INSTANCE_ID_MIN : 0
  const max = request.supportsSkippingAssignment
    ? Number.MAX_SAFE_INTEGER
    : JOIN_SKIPS_ASSIGNMENT_FROM - 1
  return { min, max }
}

/** See {@link import('@millrace/log').Groups.join}. */
export async function askToJoin(cluster: Cluster, request: JoinRequest): Promise<JoinResponse> {
  const { groupId, memberId, sessionTimeoutMs, rebalanceTimeoutMs } = request
  const refused = (error: LogError): JoinResponse => ({
    error,
    generationId: -1,
    protocolType: null,
    protocolName: null,
    leader: '',
    memberId,
    skipAssignment: false,
    members: [],
  })
  return cluster.atCoordinator(
    groupId,
    broker =>
      broker.waiting(async connection => {
        const response = await connection.call(
          joinGroup,
          {
            groupId,
            sessionTimeoutMs,
            rebalanceTimeoutMs,
            memberId,
            groupInstanceId: request.groupInstanceId,
            protocolType: request.protocolType,
            protocols: request.protocols,
            reason: request.reason ?? null,
          },
          {
            waitMs: Math.max(rebalanceTimeoutMs, sessionTimeoutMs),
            clientId: request.clientId,
            versions: joinVersions(request),
          },
        )
        const error = errorOf(response.errorCode)
        if (error !== undefined) return { ...refused(error), memberId: response.memberId }
        return {
          generationId: response.generationId,
          protocolType: response.protocolType ?? request.protocolType,
          protocolName: response.protocolName,
          leader: response.leader,
          memberId: response.memberId,
          skipAssignment: response.skipAssignment,
          members: response.members.map(member => ({
            memberId: member.memberId,
            groupInstanceId: member.groupInstanceId,
            metadata: member.metadata,
          })),
        }
      }),
    ({ error }) => error,
  )
}

/** See {@link import('@millrace/log').Groups.sync}. */
export function askToSync(cluster: Cluster, request: SyncRequest): Promise<SyncResponse> {
  const { groupId, generationId, memberId, groupInstanceId, assignments } = request
  const namesProtocol = (request.protocolType ?? request.protocolName ?? null) !== null
  return cluster.atCoordinator(
    groupId,
    broker =>
      broker.waiting(async connection => {
        const response = await connection.call(
          syncGroup,
          {
            groupId,
            generationId,
            memberId,
            groupInstanceId,
            protocolType: request.protocolType ?? null,
            protocolName: request.protocolName ?? null,
            assignments,
          },
          {
            waitMs: cluster.settings['request.timeout.ms'],
            versions: {
              min: groupInstanceId === null ? 0 : SYNC_INSTANCE_ID_MIN,
              max: namesProtocol ? Number.MAX_SAFE_INTEGER : SYNC_PROTOCOL_FROM - 1,
            },
          },
        )
        return {
          ...failure(errorOf(response.errorCode)),
          protocolType: response.protocolType,
          protocolName: response.protocolName,
          assignment: response.assignment,
        }
      }),
    ({ error }) => error,
  )
}

/** See {@link import('@millrace/log').Groups.leave}. */
export async function askToLeave(cluster: Cluster, request: LeaveRequest): Promise<LeaveResponse> {
  const { groupId } = request
  const members = request.members.map(member => ({ ...member, reason: member.reason ?? null }))
  const [only] = members
  // Older brokers take one dynamic member at a time.
  const alone = members.length === 1 && only?.groupInstanceId === null
  const response = await cluster.atCoordinator(
    groupId,
    broker =>
      broker
        .lane('groups')
        .call(
          leaveGroup,
          { groupId, memberId: only?.memberId ?? '', members },
          { versions: { min: alone ? 0 : LEAVE_MEMBERS_MIN } },
        ),
    answer => errorOf(answer.errorCode),
  )
  const error = errorOf(response.errorCode)
  if (error !== undefined && coordinatorMoved(error)) return { error, members: [] }
  const told = new Map(
    response.members.map(member => [`${member.memberId} ${member.groupInstanceId}`, member]),
  )
  return {
    ...failure(error),
    members: request.members.map(({ memberId, groupInstanceId }, index) => {
      const member = told.get(`${memberId} ${groupInstanceId}`) ?? response.members[index]
      if (member !== undefined) {
        return { memberId, groupInstanceId, ...failure(errorOf(member.errorCode)) }
      }
      const missing = alone ? error : (error ?? silentAbout(memberId))
      return { memberId, groupInstanceId, ...failure(missing) }
    }),
  }
}
