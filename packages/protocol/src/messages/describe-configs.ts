/**
 * DescribeConfigs: the configuration of topics and brokers.
 *
 * 3 types and documentation (KIP-569). Null keys ask for all.
 */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API DescribeConfigs, key 32. */
export const describeConfigs: Api<DescribeConfigsRequest, DescribeConfigsResponse> = api({
  key: 32,
  name: 'DescribeConfigs',
  versions: [1, 4],
  flexibleFrom: 4,
  request: `
    resources:[]{ resourceType:i8 resourceName:str configurationKeys:[]str? }
    includeSynonyms:bool includeDocumentation:bool[3+]`,
  response: `
    throttleTimeMs:i32
    results:[]{
      errorCode:i16 errorMessage:str? resourceType:i8 resourceName:str
      configs:[]{
        name:str value:str? readOnly:bool configSource:i8=-1 isSensitive:bool
        synonyms:[]{ name:str value:str? source:i8 }
        configType:i8[3+] documentation:str?[3+]
      }
    }`,
})

/** The request of DescribeConfigs. */
export interface DescribeConfigsRequest extends Tagged {
  readonly resources: readonly DescribeConfigsResource[]
  readonly includeSynonyms: boolean
  readonly includeDocumentation?: boolean
}

/** A resource asked for. */
export interface DescribeConfigsResource extends Tagged {
  /** One of `CONFIG_RESOURCE_TYPE`. */
  readonly resourceType: number
  readonly resourceName: string
  /** Null: all. */
  readonly configurationKeys: readonly string[] | null
}

/** The response of DescribeConfigs. */
export interface DescribeConfigsResponse extends Tagged {
  readonly throttleTimeMs: number
  readonly results: readonly DescribeConfigsResult[]
}

/** A resource and its configuration, or why there is none. */
export interface DescribeConfigsResult extends Tagged {
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly resourceType: number
  readonly resourceName: string
  readonly configs: readonly DescribeConfigsEntry[]
}

/** A configuration entry. */
export interface DescribeConfigsEntry extends Tagged {
  readonly name: string
  readonly value: string | null
  readonly readOnly: boolean
  /** One of `CONFIG_SOURCE`. */
  readonly configSource?: number
  readonly isSensitive: boolean
  readonly synonyms: readonly DescribeConfigsSynonym[]
  /** One of `CONFIG_TYPE`. */
  readonly configType?: number
  readonly documentation?: string | null
}

/** Another place that could give the value, the strongest first. */
export interface DescribeConfigsSynonym extends Tagged {
  readonly name: string
  readonly value: string | null
  readonly source: number
}
