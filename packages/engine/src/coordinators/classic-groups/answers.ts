/** The shapes of refusals: a join and a sync that got nothing but an error. */
import { type JoinResponse, LogError, type LogErrorCode, type SyncResponse } from '@millrace/log'

const NOTHING = Buffer.alloc(0)

export function refusedJoin(memberId: string, error: LogError | LogErrorCode): JoinResponse {
  return {
    error: typeof error === 'string' ? new LogError(error) : error,
    generationId: -1,
    protocolType: null,
    protocolName: null,
    leader: '',
    memberId,
    skipAssignment: false,
    members: [],
  }
}

export function refusedSync(error: LogError | LogErrorCode): SyncResponse {
  return {
    error: typeof error === 'string' ? new LogError(error) : error,
    protocolType: null,
    protocolName: null,
    assignment: NOTHING,
  }
}
