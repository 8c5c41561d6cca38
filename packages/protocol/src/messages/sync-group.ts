/**
 * SyncGroup: the leader hands in the assignment, every member gets its part.
 *
 * 3 static members (KIP-345), 5 the protocol is checked (KIP-559).
 */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API SyncGroup, key 14. */
export const syncGroup: Api<SyncGroupRequest, SyncGroupResponse> = api({
  key: 14,
  name: 'SyncGroup',
  versions: [0, 5],
  flexibleFrom: 4,
  request: `
    groupId:str generationId:i32 memberId:str groupInstanceId:str?[3+]
    protocolType:str?[5] protocolName:str?[5]
    assignments:[]{ memberId:str assignment:bytes }`,
  response: `
    throttleTimeMs:i32[1+] errorCode:i16 protocolType:str?[5] protocolName:str?[5] assignment:bytes`,
})

/** The request of SyncGroup. */
export interface SyncGroupRequest extends Tagged {
  readonly groupId: string
  readonly generationId: number
  readonly memberId: string
  readonly groupInstanceId?: string | null
  readonly protocolType?: string | null
  readonly protocolName?: string | null
  readonly assignments: readonly SyncGroupAssignment[]
}

/** One member's part. */
export interface SyncGroupAssignment extends Tagged {
  readonly memberId: string
  readonly assignment: Buffer
}

/** The response of SyncGroup. */
export interface SyncGroupResponse extends Tagged {
  readonly throttleTimeMs?: number
  readonly errorCode: number
  readonly protocolType?: string | null
  readonly protocolName?: string | null
  readonly assignment: Buffer
}
