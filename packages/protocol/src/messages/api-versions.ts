/**
 * ApiVersions: what the broker speaks; the first request of every connection (KIP-511).
 *
 * A broker that does not know the version asked for answers in version 0 with UNSUPPORTED_VERSION and
 * the range of this API. The response never has tags in its header. 3 names the client, 4 lets a
 * supported feature begin at 0. Without finalized features clients use no newer protocol by themselves.
 */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API ApiVersions, key 18. */
export const apiVersions: Api<ApiVersionsRequest, ApiVersionsResponse> = api({
  key: 18,
  name: 'ApiVersions',
  versions: [0, 4],
  flexibleFrom: 3,
  request: `
    clientSoftwareName:str[3+] clientSoftwareVersion:str[3+]`,
  response: `
    errorCode:i16
    apiKeys:[]{ apiKey:i16 minVersion:i16 maxVersion:i16 }
    throttleTimeMs:i32[1+]
    supportedFeatures:[]{
      name:str minVersion:i16 maxVersion:i16
    }[3+]<tag0>
    finalizedFeaturesEpoch:i64[3+]<tag1>=-1
    finalizedFeatures:[]{
      name:str maxVersionLevel:i16 minVersionLevel:i16
    }[3+]<tag2>
    zkMigrationReady:bool[3+]<tag3>`,
})

/** The request of ApiVersions. */
export interface ApiVersionsRequest extends Tagged {
  readonly clientSoftwareName?: string
  readonly clientSoftwareVersion?: string
}

/** The response of ApiVersions. */
export interface ApiVersionsResponse extends Tagged {
  readonly errorCode: number
  readonly apiKeys: readonly ApiVersionsRange[]
  readonly throttleTimeMs?: number
  readonly supportedFeatures?: readonly ApiVersionsSupportedFeature[]
  readonly finalizedFeaturesEpoch?: number
  readonly finalizedFeatures?: readonly ApiVersionsFinalizedFeature[]
  readonly zkMigrationReady?: boolean
}

/** A feature that the cluster has agreed on. */
export interface ApiVersionsFinalizedFeature extends Tagged {
  readonly name: string
  readonly maxVersionLevel: number
  readonly minVersionLevel: number
}

/** A feature that the broker could speak. */
export interface ApiVersionsSupportedFeature extends Tagged {
  readonly name: string
  readonly minVersion: number
  readonly maxVersion: number
}

/** The versions of one API. */
export interface ApiVersionsRange extends Tagged {
  readonly apiKey: number
  readonly minVersion: number
  readonly maxVersion: number
}
