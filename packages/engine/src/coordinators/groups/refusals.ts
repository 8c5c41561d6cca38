/** What is refused whatever the group is like: ids, sizes and times out of bounds, and too many groups. */
import { type JoinRequest, LogError, type LogErrorCode } from '@millrace/log'
import type { GroupSettings } from '../../group-settings.ts'
import type { GroupMemory } from '../classic-groups/group-memory.ts'

const GROUP_ID_MAX_BYTES = 32_767

/**
 * The empty id names a group as well where no membership is asked for, as in Apache Kafka: offsets
 * are committed to it and fetched, it is described and deleted.
 */
export const groupIdProblem = (groupId: string): LogError | null =>
  groupId === '' ? new LogError('INVALID_GROUP_ID', 'it is empty') : lengthProblem(groupId)

/** Why an id is too long, if it is. */
export const lengthProblem = (groupId: string): LogError | null =>
  Buffer.byteLength(groupId) <= GROUP_ID_MAX_BYTES
    ? null
    : new LogError('INVALID_GROUP_ID', `a group id has at most ${GROUP_ID_MAX_BYTES} bytes`)

/** Why a member cannot join any group, if so. */
export function joinProblem(settings: GroupSettings, request: JoinRequest): LogError | null {
  const shortest = settings['group.min.session.timeout.ms']
  const longest = settings['group.max.session.timeout.ms']
  if (request.sessionTimeoutMs < shortest || request.sessionTimeoutMs > longest) {
    const detail = `${request.sessionTimeoutMs} ms, allowed are ${shortest} to ${longest}`
    return new LogError('INVALID_SESSION_TIMEOUT', detail)
  }
  const most = settings['group.member.metadata.max.bytes']
  const bytes = request.protocols.reduce(
    (sum, { name, metadata }) => sum + Buffer.byteLength(name) + metadata.length,
    0,
  )
  if (bytes > most) {
    const detail = `${bytes} bytes of metadata, ${most} allowed (group.member.metadata.max.bytes)`
    return new LogError('INVALID_REQUEST', detail)
  }
  return groupIdProblem(request.groupId)
}

/**
 * Why there is no room for another group, if so.
 *
 * @param code one that clients know in the answer to what they ask
 */
export function fullProblem(
  { settings, memory }: { readonly settings: GroupSettings; readonly memory: GroupMemory },
  groups: number,
  code: LogErrorCode,
): LogError | null {
  const most = settings['groups.max']
  if (groups >= most) return new LogError(code, `there are ${most} groups (groups.max)`)
  if (memory.hasRoom(2 * GROUP_ID_MAX_BYTES)) return null
  return new LogError(code, `groups have ${memory.bytes} bytes (groups.total.max.bytes)`)
}
