/** ApiVersions: which APIs and versions this node speaks. The first request of every client. */
import {
  type ApiVersionsRequest,
  type ApiVersionsResponse,
  apiVersions,
  apiVersionsList,
  ERROR_CODES,
  encodeResponseFrame,
  type Frame,
} from '@millrace/protocol'
import type { Handler } from './handler.ts'

/** First version in which clients name themselves (KIP-511). */
const NAMED_VERSION_MIN = 3
const SOFTWARE_NAME = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/

/** The handler of ApiVersions. */
export const apiVersionsHandler: Handler<ApiVersionsRequest, ApiVersionsResponse> = {
  api: apiVersions,

  handle: (request, { version }) => {
    const { clientSoftwareName, clientSoftwareVersion } = request
    const named =
      SOFTWARE_NAME.test(clientSoftwareName) && SOFTWARE_NAME.test(clientSoftwareVersion)
    if (version >= NAMED_VERSION_MIN && !named) {
      return { errorCode: ERROR_CODES.INVALID_REQUEST, apiKeys: [] }
    }
    return { errorCode: ERROR_CODES.NONE, apiKeys: apiVersionsList() }
  },

  failure: (_request, { code }) => ({ errorCode: code, apiKeys: [] }),
}

/**
 * The answer to a version of ApiVersions that is not spoken here: version 0, the range of
 * ApiVersions alone. The client asks again with a version out of it (KIP-511).
 */
export function unsupportedVersionFrame(correlationId: number): Frame {
  const [minVersion, maxVersion] = apiVersions.versions
  return encodeResponseFrame(apiVersions, 0, correlationId, {
    errorCode: ERROR_CODES.UNSUPPORTED_VERSION,
    apiKeys: [{ apiKey: apiVersions.key, minVersion, maxVersion }],
  })
}
