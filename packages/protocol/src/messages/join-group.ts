/**
 * JoinGroup: enters a group's next generation.
 *
 * Version 0 has no timeout for rebalancing: the session's counts. 4 the member id comes from the broker
 * first (MEMBER_ID_REQUIRED, KIP-394), 5 static members (KIP-345), 8 reasons (KIP-800), 9 a leader that
 * need not assign (KIP-814).
 */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API JoinGroup, key 11. */
export const joinGroup: Api<JoinGroupRequest, JoinGroupResponse> = api({
  key: 11,
  name: 'JoinGroup',
  versions: [0, 9],
  flexibleFrom: 6,
  request: `
    groupId:str sessionTimeoutMs:i32 rebalanceTimeoutMs:i32[1+]=-1 memberId:str
    groupInstanceId:str?[5+] protocolType:str
    protocols:[]{ name:str metadata:bytes }
    reason:str?[8+]`,
  response: `
    throttleTimeMs:i32[2+] errorCode:i16 generationId:i32=-1 protocolType:str?[7+]
    protocolName:str?7+ leader:str skipAssignment:bool[9] memberId:str
    members:[]{ memberId:str groupInstanceId:str?[5+] metadata:bytes }`,
})

/** The request of JoinGroup. */
export interface JoinGroupRequest extends Tagged {
  readonly groupId: string
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs?: number
  readonly memberId: string
  readonly groupInstanceId?: string | null
  readonly protocolType: string
  readonly protocols: readonly JoinGroupProtocol[]
  readonly reason?: string | null
}

/** An assignor that the member knows, with its subscription. */
export interface JoinGroupProtocol extends Tagged {
  readonly name: string
  readonly metadata: Buffer
}

/** The response of JoinGroup. */
export interface JoinGroupResponse extends Tagged {
  readonly throttleTimeMs?: number
  readonly errorCode: number
  readonly generationId?: number
  readonly protocolType?: string | null
  readonly protocolName: string | null
  readonly leader: string
  readonly skipAssignment?: boolean
  readonly memberId: string
  /** Empty for all but the leader. */
  readonly members: readonly JoinGroupMember[]
}

/** A member, as the leader needs it to assign. */
export interface JoinGroupMember extends Tagged {
  readonly memberId: string
  readonly groupInstanceId?: string | null
  readonly metadata: Buffer
}
