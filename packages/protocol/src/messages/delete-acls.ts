/** DeleteAcls: removes the access rules that match filters (KIP-140); 1 patterns (KIP-290), 3 users as resources. */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API DeleteAcls, key 31. */
export const deleteAcls: Api<DeleteAclsRequest, DeleteAclsResponse> = api({
  key: 31,
  name: 'DeleteAcls',
  versions: [1, 3],
  flexibleFrom: 2,
  request: `
    filters:[]{
      resourceTypeFilter:i8 resourceNameFilter:str? patternTypeFilter:i8=3
      principalFilter:str? hostFilter:str? operation:i8 permissionType:i8
    }`,
  response: `
    throttleTimeMs:i32
    filterResults:[]{
      errorCode:i16 errorMessage:str?
      matchingAcls:[]{
        errorCode:i16 errorMessage:str? resourceType:i8 resourceName:str patternType:i8=3
        principal:str host:str operation:i8 permissionType:i8
      }
    }`,
})

/** The request of DeleteAcls. */
export interface DeleteAclsRequest extends Tagged {
  readonly filters: readonly DeleteAclsFilter[]
}

/** A filter, in which null matches everything. */
export interface DeleteAclsFilter extends Tagged {
  readonly resourceTypeFilter: number
  readonly resourceNameFilter: string | null
  readonly patternTypeFilter?: number
  readonly principalFilter: string | null
  readonly hostFilter: string | null
  readonly operation: number
  readonly permissionType: number
}

/** The response of DeleteAcls. */
export interface DeleteAclsResponse extends Tagged {
  readonly throttleTimeMs: number
  readonly filterResults: readonly DeleteAclsFilterResult[]
}

/** The outcome for one filter, in the order of the request. */
export interface DeleteAclsFilterResult extends Tagged {
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly matchingAcls: readonly DeletedAcl[]
}

/** A rule that matched, and whether it is gone. */
export interface DeletedAcl extends Tagged {
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly resourceType: number
  readonly resourceName: string
  readonly patternType?: number
  readonly principal: string
  readonly host: string
  readonly operation: number
  readonly permissionType: number
}
