/**
 * AlterConfigs: replaces the whole configuration of a resource.
 *
 * What is not named goes back to its default; IncrementalAlterConfigs is what clients should use.
 */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API AlterConfigs, key 33. */
export const alterConfigs: Api<AlterConfigsRequest, AlterConfigsResponse> = api({
  key: 33,
  name: 'AlterConfigs',
  versions: [0, 2],
  flexibleFrom: 2,
  request: `
    resources:[]{
      resourceType:i8 resourceName:str
      configs:[]{ name:str value:str? }
    }
    validateOnly:bool`,
  response: `
    throttleTimeMs:i32
    responses:[]{
      errorCode:i16 errorMessage:str? resourceType:i8 resourceName:str
    }`,
})

/** The request of AlterConfigs. */
export interface AlterConfigsRequest extends Tagged {
  readonly resources: readonly AlterConfigsResource[]
  readonly validateOnly: boolean
}

/** A resource and its new configuration. */
export interface AlterConfigsResource extends Tagged {
  /** One of `CONFIG_RESOURCE_TYPE`. */
  readonly resourceType: number
  readonly resourceName: string
  readonly configs: readonly AlterConfigsEntry[]
}

/** A configuration entry. */
export interface AlterConfigsEntry extends Tagged {
  readonly name: string
  readonly value: string | null
}

/** The response of AlterConfigs. */
export interface AlterConfigsResponse extends Tagged {
  readonly throttleTimeMs: number
  readonly responses: readonly AlterConfigsResult[]
}

/** The outcome for one resource. */
export interface AlterConfigsResult extends Tagged {
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly resourceType: number
  readonly resourceName: string
}
