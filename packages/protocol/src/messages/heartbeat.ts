/**
 * Heartbeat: keeps a member in its group, and tells it of a rebalance.
 *
 * 3 static members (KIP-345).
 */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API Heartbeat, key 12. */
export const heartbeat: Api<HeartbeatRequest, HeartbeatResponse> = api({
  key: 12,
  name: 'Heartbeat',
  versions: [0, 4],
  flexibleFrom: 4,
  request: `
    groupId:str generationId:i32 memberId:str groupInstanceId:str?[3+]`,
  response: `
    throttleTimeMs:i32[1+] errorCode:i16`,
})

/** The request of Heartbeat. */
export interface HeartbeatRequest extends Tagged {
  readonly groupId: string
  readonly generationId: number
  readonly memberId: string
  readonly groupInstanceId?: string | null
}

/** The response of Heartbeat. */
export interface HeartbeatResponse extends Tagged {
  readonly throttleTimeMs?: number
  readonly errorCode: number
}
