/**
 * ListGroups: all groups, from 4 on by state (KIP-518), from 5 on by type (KIP-848).
 *
 * An empty filter lets everything through.
 */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API ListGroups, key 16. */
export const listGroups: Api<ListGroupsRequest, ListGroupsResponse> = api({
  key: 16,
  name: 'ListGroups',
  versions: [0, 5],
  flexibleFrom: 3,
  request: `
    statesFilter:[]str[4+] typesFilter:[]str[5]`,
  response: `
    throttleTimeMs:i32[1+] errorCode:i16
    groups:[]{ groupId:str protocolType:str groupState:str[4+] groupType:str[5] }`,
})

/** The request of ListGroups. */
export interface ListGroupsRequest extends Tagged {
  readonly statesFilter?: readonly string[]
  readonly typesFilter?: readonly string[]
}

/** The response of ListGroups. */
export interface ListGroupsResponse extends Tagged {
  readonly throttleTimeMs?: number
  readonly errorCode: number
  readonly groups: readonly ListedGroup[]
}

/** A group. */
export interface ListedGroup extends Tagged {
  readonly groupId: string
  readonly protocolType: string
  readonly groupState?: string
  readonly groupType?: string
}
