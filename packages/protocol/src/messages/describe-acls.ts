/** DescribeAcls: the access rules that match a filter (KIP-140); 1 patterns (KIP-290), 3 users as resources. */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API DescribeAcls, key 29. */
export const describeAcls: Api<DescribeAclsRequest, DescribeAclsResponse> = api({
  key: 29,
  name: 'DescribeAcls',
  versions: [1, 3],
  flexibleFrom: 2,
  request: `
    resourceTypeFilter:i8 resourceNameFilter:str? patternTypeFilter:i8=3
    principalFilter:str? hostFilter:str? operation:i8 permissionType:i8`,
  response: `
    throttleTimeMs:i32 errorCode:i16 errorMessage:str?
    resources:[]{
      resourceType:i8 resourceName:str patternType:i8=3
      acls:[]{ principal:str host:str operation:i8 permissionType:i8 }
    }`,
})

/** The request of DescribeAcls: a filter, in which null matches everything. */
export interface DescribeAclsRequest extends Tagged {
  readonly resourceTypeFilter: number
  readonly resourceNameFilter: string | null
  readonly patternTypeFilter?: number
  readonly principalFilter: string | null
  readonly hostFilter: string | null
  readonly operation: number
  readonly permissionType: number
}

/** The response of DescribeAcls. */
export interface DescribeAclsResponse extends Tagged {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly resources: readonly DescribedAclResource[]
}

/** A resource and its rules. */
export interface DescribedAclResource extends Tagged {
  readonly resourceType: number
  readonly resourceName: string
  readonly patternType?: number
  readonly acls: readonly DescribedAcl[]
}

/** A rule. */
export interface DescribedAcl extends Tagged {
  readonly principal: string
  readonly host: string
  readonly operation: number
  readonly permissionType: number
}
