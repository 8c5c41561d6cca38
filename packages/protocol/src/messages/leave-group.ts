/**
 * LeaveGroup: takes members out of a group.
 *
 * Up to 2 the member itself; from 3 on a list of members, so that an administrator can remove static
 * ones by their instance id (KIP-345). 5 reasons (KIP-800).
 */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API LeaveGroup, key 13. */
export const leaveGroup: Api<LeaveGroupRequest, LeaveGroupResponse> = api({
  key: 13,
  name: 'LeaveGroup',
  versions: [0, 5],
  flexibleFrom: 4,
  request: `
    groupId:str memberId:str[0-2]
    members:[]{ memberId:str groupInstanceId:str? reason:str?[5] }[3+]`,
  response: `
    throttleTimeMs:i32[1+] errorCode:i16
    members:[]{ memberId:str groupInstanceId:str? errorCode:i16 }[3+]`,
})

/** The request of LeaveGroup. */
export interface LeaveGroupRequest extends Tagged {
  readonly groupId: string
  readonly memberId?: string
  readonly members?: readonly LeaveGroupMember[]
}

/** A member that is to leave. */
export interface LeaveGroupMember extends Tagged {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly reason?: string | null
}

/** The response of LeaveGroup. */
export interface LeaveGroupResponse extends Tagged {
  readonly throttleTimeMs?: number
  readonly errorCode: number
  readonly members?: readonly LeaveGroupMemberResponse[]
}

/** The outcome for one member. */
export interface LeaveGroupMemberResponse extends Tagged {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly errorCode: number
}
