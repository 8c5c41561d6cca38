/**
 * JoinGroup, SyncGroup, Heartbeat, LeaveGroup: a member's way through the classic group protocol.
 * Joins and syncs wait in the engine; only later answers of the same connection wait with them.
 */
import { LogError } from '@millrace/log'
import {
  type Decoded,
  type HeartbeatRequest,
  type HeartbeatResponse,
  heartbeat,
  type JoinGroupRequest,
  type JoinGroupResponse,
  joinGroup,
  type LeaveGroupRequest,
  type LeaveGroupResponse,
  leaveGroup,
  type SyncGroupRequest,
  type SyncGroupResponse,
  syncGroup,
} from '@millrace/protocol'
import { codeOf } from './error-mapping.ts'
import type { Handler } from './handler.ts'

/** First version whose clients join twice, the second time with the id they were given (KIP-394). */
const JOIN_KNOWN_ID_VERSION_MIN = 4
/** First version in which no protocol is null, not empty. */
const JOIN_NULL_PROTOCOL_VERSION_MIN = 7
/** First version whose leaders understand that they need not assign (KIP-814). */
const JOIN_SKIP_VERSION_MIN = 9
/** First version whose requests say which protocol they are about (KIP-559). */
const SYNC_PROTOCOL_VERSION_MIN = 5
/** First version that names several members (KIP-345). */
const LEAVE_BATCH_VERSION_MIN = 3

const NO_BYTES = Buffer.alloc(0)

/**
 * A wait that nobody needs any more, because the connection has ended or the node stops, ends: a
 * member that is still there looks for its coordinator anew.
 */
function unlessGone<T>(waiting: Promise<T>, gone: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const end = (): void => reject(new LogError('COORDINATOR_NOT_AVAILABLE'))
    if (gone.aborted) end()
    gone.addEventListener('abort', end)
    waiting.then(resolve, reject).finally(() => gone.removeEventListener('abort', end))
  })
}

/** The handler of JoinGroup. */
export const joinGroupHandler: Handler<JoinGroupRequest, JoinGroupResponse> = {
  api: joinGroup,

  handle: async (request, { version, clientId, clientHost, gone }, { engine }) => {
    const { sessionTimeoutMs, rebalanceTimeoutMs } = request
    const joining = engine.groups.join({
      groupId: request.groupId,
      memberId: request.memberId,
      groupInstanceId: request.groupInstanceId,
      clientId,
      clientHost,
      sessionTimeoutMs,
      // Version 0 has none: the session's counts.
      rebalanceTimeoutMs: rebalanceTimeoutMs < 0 ? sessionTimeoutMs : rebalanceTimeoutMs,
      protocolType: request.protocolType,
      protocols: request.protocols,
      requireKnownMemberId: version >= JOIN_KNOWN_ID_VERSION_MIN,
      supportsSkippingAssignment: version >= JOIN_SKIP_VERSION_MIN,
      reason: request.reason,
    })
    const joined = await unlessGone(joining, gone)
    return {
      errorCode: codeOf(joined.error),
      generationId: joined.generationId,
      protocolType: joined.protocolType,
      protocolName: protocolName(joined.protocolName, version),
      leader: joined.leader,
      skipAssignment: joined.skipAssignment,
      memberId: joined.memberId,
      members: joined.members,
    }
  },

  failure: ({ memberId }, { code }, { version }) => ({
    errorCode: code,
    protocolName: protocolName(null, version),
    leader: '',
    memberId,
    members: [],
  }),
}

function protocolName(name: string | null, version: number): string | null {
  return name ?? (version >= JOIN_NULL_PROTOCOL_VERSION_MIN ? null : '')
}

const namesProtocol = (request: Decoded<SyncGroupRequest>): boolean =>
  request.protocolType !== null && request.protocolName !== null

/** The handler of SyncGroup. */
export const syncGroupHandler: Handler<SyncGroupRequest, SyncGroupResponse> = {
  api: syncGroup,

  handle: async (request, { gone, version }, { engine }) => {
    const { groupId, generationId, memberId, groupInstanceId, assignments } = request
    if (version >= SYNC_PROTOCOL_VERSION_MIN && !namesProtocol(request)) {
      throw new LogError('INCONSISTENT_GROUP_PROTOCOL', 'protocol type or name is missing')
    }
    const syncing = engine.groups.sync({
      groupId,
      generationId,
      memberId,
      groupInstanceId,
      protocolType: request.protocolType,
      protocolName: request.protocolName,
      assignments,
    })
    const { error, protocolType, protocolName, assignment } = await unlessGone(syncing, gone)
    return { errorCode: codeOf(error), protocolType, protocolName, assignment }
  },

  failure: (_request, { code }) => ({ errorCode: code, assignment: NO_BYTES }),
}

/** The handler of Heartbeat. */
export const heartbeatHandler: Handler<HeartbeatRequest, HeartbeatResponse> = {
  api: heartbeat,

  handle: async (request, _call, { engine }) => {
    const { groupId, generationId, memberId, groupInstanceId } = request
    const identity = { groupId, generationId, memberId, groupInstanceId }
    return { errorCode: codeOf((await engine.groups.heartbeat(identity)).error) }
  },

  failure: (_request, { code }) => ({ errorCode: code }),
}

/** The handler of LeaveGroup. */
export const leaveGroupHandler: Handler<LeaveGroupRequest, LeaveGroupResponse> = {
  api: leaveGroup,

  handle: async (request, { version }, { engine }) => {
    const { groupId, memberId } = request
    if (version < LEAVE_BATCH_VERSION_MIN) {
      const members = [{ memberId, groupInstanceId: null }]
      const { error, members: left } = await engine.groups.leave({ groupId, members })
      return { errorCode: codeOf(error ?? left[0]?.error) }
    }
    const { error, members } = await engine.groups.leave({ groupId, members: request.members })
    return {
      errorCode: codeOf(error),
      members: members.map(member => ({
        memberId: member.memberId,
        groupInstanceId: member.groupInstanceId,
        errorCode: codeOf(member.error),
      })),
    }
  },

  failure: (_request, { code }) => ({ errorCode: code, members: [] }),
}
