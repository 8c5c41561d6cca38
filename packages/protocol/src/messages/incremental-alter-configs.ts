/**
 * IncrementalAlterConfigs: changes single keys of a configuration (KIP-339).
 */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API IncrementalAlterConfigs, key 44. */
export const incrementalAlterConfigs: Api<
  IncrementalAlterConfigsRequest,
  IncrementalAlterConfigsResponse
> = api({
  key: 44,
  name: 'IncrementalAlterConfigs',
  versions: [0, 1],
  flexibleFrom: 1,
  request: `
    resources:[]{
      resourceType:i8 resourceName:str
      configs:[]{ name:str configOperation:i8 value:str? }
    }
    validateOnly:bool`,
  response: `
    throttleTimeMs:i32
    responses:[]{
      errorCode:i16 errorMessage:str? resourceType:i8 resourceName:str
    }`,
})

/** The request of IncrementalAlterConfigs. */
export interface IncrementalAlterConfigsRequest extends Tagged {
  readonly resources: readonly IncrementalAlterConfigsResource[]
  readonly validateOnly: boolean
}

/** A resource and what changes in it. */
export interface IncrementalAlterConfigsResource extends Tagged {
  /** One of `CONFIG_RESOURCE_TYPE`. */
  readonly resourceType: number
  readonly resourceName: string
  readonly configs: readonly IncrementalAlterConfigsEntry[]
}

/** A change of one key. */
export interface IncrementalAlterConfigsEntry extends Tagged {
  readonly name: string
  /** One of `CONFIG_OPERATION`. */
  readonly configOperation: number
  readonly value: string | null
}

/** The response of IncrementalAlterConfigs. */
export interface IncrementalAlterConfigsResponse extends Tagged {
  readonly throttleTimeMs: number
  readonly responses: readonly IncrementalAlterConfigsResult[]
}

/** The outcome for one resource. */
export interface IncrementalAlterConfigsResult extends Tagged {
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly resourceType: number
  readonly resourceName: string
}
