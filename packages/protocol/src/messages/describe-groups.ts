/**
 * DescribeGroups: state, members and assignments of groups of the classic protocol.
 *
 * 3 authorized operations (KIP-430), 4 static members (KIP-345), 6 says of a group that is not there that
 * it is not there (KIP-1043).
 */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API DescribeGroups, key 15. */
export const describeGroups: Api<DescribeGroupsRequest, DescribeGroupsResponse> = api({
  key: 15,
  name: 'DescribeGroups',
  versions: [0, 6],
  flexibleFrom: 5,
  request: `
    groups:[]str includeAuthorizedOperations:bool[3+]`,
  response: `
    throttleTimeMs:i32[1+]
    groups:[]{
      errorCode:i16 errorMessage:str?[6] groupId:str groupState:str protocolType:str protocolData:str
      members:[]{
        memberId:str groupInstanceId:str?[4+] clientId:str clientHost:str
        memberMetadata:bytes memberAssignment:bytes
      }
      authorizedOperations:i32[3+]=min
    }`,
})

/** The request of DescribeGroups. */
export interface DescribeGroupsRequest extends Tagged {
  readonly groups: readonly string[]
  readonly includeAuthorizedOperations?: boolean
}

/** The response of DescribeGroups. */
export interface DescribeGroupsResponse extends Tagged {
  readonly throttleTimeMs?: number
  readonly groups: readonly DescribedGroup[]
}

/** A group, or why it cannot be described. */
export interface DescribedGroup extends Tagged {
  readonly errorCode: number
  readonly errorMessage?: string | null
  readonly groupId: string
  readonly groupState: string
  readonly protocolType: string
  /** Name of the assignor. */
  readonly protocolData: string
  readonly members: readonly DescribedGroupMember[]
  readonly authorizedOperations?: number
}

/** A member of a group. */
export interface DescribedGroupMember extends Tagged {
  readonly memberId: string
  readonly groupInstanceId?: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly memberMetadata: Buffer
  readonly memberAssignment: Buffer
}
