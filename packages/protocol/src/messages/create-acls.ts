/** CreateAcls: adds access rules (KIP-140); 1 patterns (KIP-290), 3 users as resources. */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API CreateAcls, key 30. */
export const createAcls: Api<CreateAclsRequest, CreateAclsResponse> = api({
  key: 30,
  name: 'CreateAcls',
  versions: [1, 3],
  flexibleFrom: 2,
  request: `
    creations:[]{
      resourceType:i8 resourceName:str resourcePatternType:i8=3
      principal:str host:str operation:i8 permissionType:i8
    }`,
  response: `
    throttleTimeMs:i32
    results:[]{ errorCode:i16 errorMessage:str? }`,
})

/** The request of CreateAcls. */
export interface CreateAclsRequest extends Tagged {
  readonly creations: readonly AclCreation[]
}

/** A rule to be added. */
export interface AclCreation extends Tagged {
  readonly resourceType: number
  readonly resourceName: string
  readonly resourcePatternType?: number
  readonly principal: string
  readonly host: string
  readonly operation: number
  readonly permissionType: number
}

/** The response of CreateAcls. */
export interface CreateAclsResponse extends Tagged {
  readonly throttleTimeMs: number
  readonly results: readonly AclCreationResult[]
}

/** The outcome for one rule, in the order of the request. */
export interface AclCreationResult extends Tagged {
  readonly errorCode: number
  readonly errorMessage: string | null
}
