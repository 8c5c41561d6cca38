/**
 * ListConfigResources: the names of what has a configuration.
 *
 * 0, ListClientMetricsResources, knows only client metrics (KIP-714); 1 every type (KIP-1142).
 */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API ListConfigResources, key 74. */
export const listConfigResources: Api<ListConfigResourcesRequest, ListConfigResourcesResponse> =
  api({
    key: 74,
    name: 'ListConfigResources',
    versions: [0, 1],
    flexibleFrom: 0,
    request: `
    resourceTypes:[]i8[1]`,
    response: `
    throttleTimeMs:i32 errorCode:i16
    configResources:[]{ resourceName:str resourceType:i8[1]=16 }`,
  })

/** The request of ListConfigResources. */
export interface ListConfigResourcesRequest extends Tagged {
  /** Of `CONFIG_RESOURCE_TYPE`; empty: all. */
  readonly resourceTypes?: readonly number[]
}

/** The response of ListConfigResources. */
export interface ListConfigResourcesResponse extends Tagged {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly configResources: readonly ListedConfigResource[]
}

/** Something that has a configuration. */
export interface ListedConfigResource extends Tagged {
  readonly resourceName: string
  readonly resourceType?: number
}
