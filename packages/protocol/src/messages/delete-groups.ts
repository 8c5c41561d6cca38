/**
 * DeleteGroups: deletes groups that have no members, with their offsets (KIP-229).
 */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API DeleteGroups, key 42. */
export const deleteGroups: Api<DeleteGroupsRequest, DeleteGroupsResponse> = api({
  key: 42,
  name: 'DeleteGroups',
  versions: [0, 2],
  flexibleFrom: 2,
  request: `
    groupsNames:[]str`,
  response: `
    throttleTimeMs:i32
    results:[]{ groupId:str errorCode:i16 }`,
})

/** The request of DeleteGroups. */
export interface DeleteGroupsRequest extends Tagged {
  readonly groupsNames: readonly string[]
}

/** The response of DeleteGroups. */
export interface DeleteGroupsResponse extends Tagged {
  readonly throttleTimeMs: number
  readonly results: readonly DeleteGroupsResult[]
}

/** The outcome for one group. */
export interface DeleteGroupsResult extends Tagged {
  readonly groupId: string
  readonly errorCode: number
}
